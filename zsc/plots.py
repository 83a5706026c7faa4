"""Pictures of results: figures that draw what they are given and compute nothing.

Right and wrong are told apart by text and by colour (blue and vermilion, safe for the colour-blind); every title names
model and data.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc.images import open_image

RIGHT, WRONG, NEUTRAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's blue and vermilion
THUMBNAIL = 256
PICTURE_SUFFIXES = ("png", "jpg", "jpeg", "pdf", "svg", "webp")
_SELECTIONS = ("errors", "correct", "unsure")


def gallery(
    df_results: pd.DataFrame,
    only: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    max_images: int = 24,
    columns: int = 6,
    title: str | None = None,
) -> Figure:
    """Draw classified pictures with true class, predicted class and probability.

    Parameters
    ----------
    df_results
        A table of `ZeroShotClassifier.predict` or `validate`.
    only
        None: in the table's order. "errors": the wrong ones, most confident first. "correct": the right ones, most
        confident first. "unsure": least probable first.
    class_names
        The names behind the indices; taken from `df_results.attrs` where None.
    max_images
        How many pictures at most.
    columns
        Pictures a row.
    title
        Above the figure; names model and data where None.

    Raises
    ------
    ValueError
        If `only` is none of the accepted ones, or the class names are not known.
    """
    if columns < 1 or max_images < 1:
        raise ValueError(f"columns={columns}, max_images={max_images}; accepted is 1 or more.")
    names = _class_names(df_results, class_names)
    chosen = _select(df_results, only)
    rows = max(1, math.ceil(min(len(chosen), max_images) / columns))
    figure, axes = plt.subplots(rows, columns, figsize=(2.2 * columns, 2.75 * rows + 0.5), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (_, row) in zip(axes.flat, chosen.head(max_images).iterrows(), strict=False):
        _draw_result(row, names, ax)
    if chosen.empty:
        axes[0, 0].text(0, 0.5, f"no {only or 'pictures'} to show", fontsize=12)
    figure.suptitle(_plain(title or _title(df_results.attrs, only, len(chosen), len(df_results))), fontsize=12)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
    return figure


def prediction(image: Any, scores: Mapping[str, float], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the probabilities of one picture as bars, highest on top, with the picture beside them.

    Parameters
    ----------
    image
        Anything that `zsc.open_image` opens.
    scores
        Class name or prompt -> probability.
    ax
        Where to draw the bars; a new figure where None.
    title
        Above the bars: name the model.
    """
    if ax is None:
        _, (left, ax) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=[1, 1.6], layout="constrained")
        left.imshow(_thumbnail(image))
        left.axis("off")
    ordered = sorted(scores.items(), key=lambda item: item[1])
    bars = ax.barh([_wrap(name, 32) for name, _ in ordered], [p for _, p in ordered], color=RIGHT)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set(xlim=(0, 1.12), xlabel="probability, relative to these prompts", title=_plain(title))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def similarity(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw cosines as a heat map with the numbers in the cells.

    Parameters
    ----------
    values
        Shape (rows, columns), such as pictures x prompts.
    row_labels, column_labels
        Their names.
    ax
        Where to draw; a new figure where None.
    title
        Above the map: name model and data.
    """
    if ax is None:
        size = (2.5 + 1.1 * len(column_labels), 1.6 + 0.45 * len(row_labels))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    seaborn.heatmap(
        values,
        ax=ax,
        annot=True,
        fmt=".2f",
        cmap="cividis",
        cbar_kws={"label": "cosine"},
        xticklabels=[_wrap(c, 14) for c in column_labels],
        yticklabels=[_wrap(r, 30) for r in row_labels],
    )
    ax.tick_params(axis="both", rotation=0)
    ax.set_title(_plain(title))
    return ax


def _draw_result(row: pd.Series, names: Sequence[str], ax: Axes) -> None:
    text, colour = caption(row, names)
    ax.imshow(_thumbnail(row["image"]))
    ax.axis("on")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=3)
    ax.set_xlabel(text, fontsize=9.5, color=colour)


def caption(row: pd.Series, names: Sequence[str]) -> tuple[str, str]:
    """Word one result, and give its colour: "right: cat" or "wrong: cat → dog", with the probability."""
    predicted, proba = names[int(row["y_pred"])], f"p = {row['proba']:.2f}"
    if pd.isna(row["y_true"]):
        return f"{_wrap(predicted)}\n{proba}", NEUTRAL
    if row["y_true"] == row["y_pred"]:
        return f"{_wrap('right: ' + predicted)}\n{proba}", RIGHT
    return f"{_wrap('wrong: ' + names[int(row['y_true'])] + ' → ' + predicted)}\n{proba}", WRONG


def _select(df_results: pd.DataFrame, only: str | None) -> pd.DataFrame:
    if only is not None and only not in _SELECTIONS:
        raise ValueError(f"only={only!r}; accepted are None, {', '.join(_SELECTIONS)}.")
    if only is None:
        return df_results
    if only == "unsure":
        return df_results.sort_values("proba", kind="stable")
    right = (df_results["y_true"] == df_results["y_pred"]).fillna(False).astype(bool)
    labelled = df_results["y_true"].notna()
    chosen = df_results[right if only == "correct" else labelled & ~right]
    return chosen.sort_values("proba", ascending=False, kind="stable")


def _class_names(df_results: pd.DataFrame, class_names: Sequence[str] | None) -> Sequence[str]:
    names = class_names if class_names is not None else df_results.attrs.get("class_names")
    if names is None:
        raise ValueError("the table does not carry its class names any more; pass class_names=clf.class_names.")
    return list(names)


def _title(about: Mapping[Any, Any], only: str | None, shown: int, total: int) -> str:
    what = {None: f"{total} pictures", "errors": f"{shown} wrong of {total}", "correct": f"{shown} right of {total}"}
    words = what.get(only, f"{total} pictures, least sure first")
    return f"{about.get('dataset') or 'pictures'}, classified by {about.get('model') or 'a model'}: {words}"


def _thumbnail(image: Any) -> np.ndarray:
    """Open a picture and cut its centre to a square of at most THUMBNAIL pixels."""
    picture = open_image(image)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    square.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(square)


def _wrap(text: str, width: int = 24) -> str:
    """Break a text into lines, with no character read as a formula."""
    return _plain("\n".join(textwrap.wrap(text, width)) or text)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as a picture (the suffix chooses the format), 110 dots an inch, and close it."""
    path = check_picture_path(path)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def check_picture_path(path: str | Path) -> Path:
    """Refuse a path that no figure can be written to, before the work that leads to the figure."""
    path = Path(path)
    if path.is_dir() or path.suffix.removeprefix(".").lower() not in PICTURE_SUFFIXES:
        raise ValueError(f"{path}: no name for a picture; end it with .{', .'.join(PICTURE_SUFFIXES)}.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path}: the folder {path.parent} is missing or cannot be written to; choose another.")
    return path
