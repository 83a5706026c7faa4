"""Photographs with words: a grid of samples, one prediction with its bars, the gallery of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc.checks import check_count
from zsc.plots.style import MOST, NEUTRAL, RIGHT, SMALL, TITLE, WRONG, put_title, wrap, wrap_names
from zsc.plots.thumbnails import thumbnail

MARKS = {RIGHT: "\N{CHECK MARK}", WRONG: "\N{BALLOT X}"}
CELL, LINE = 2.1, 0.18  # inches: a picture's side, a line of text
CAPTION_WIDTH = 22  # characters
MOST_PICTURES = 200  # pictures in a figure
_SELECTIONS = ("errors", "correct", "unsure")


def sample_grid(dataset: Any, *, max_images: int = 20, columns: int = 5, title: str | None = None) -> Figure:
    """Draw the first pictures of a data set with their labels; draw `dataset.sample(20)` for some at random.

    Parameters
    ----------
    dataset
        An `ImageDataset` or `ImageEmbeddings`.
    max_images
        How many pictures at most; never more than 200, and the title says how many are shown.
    columns
        Pictures per row, 1 to 40.
    title
        Above the figure; names the data set where None.
    """
    n = min(len(dataset), _most_pictures(columns, max_images))
    names = [*dataset.class_names, "no label"]  # -1 picks the last
    texts = [wrap(names[int(label)], CAPTION_WIDTH) for label in dataset.labels[:n]]
    figure, axes = _grid(texts, columns)
    for ax, path, text in zip(axes, dataset.paths[:n], texts, strict=False):
        _draw_picture(ax, path, text, "black")
    about = f"{_dataset_name(dataset)}: {n} of {len(dataset)} pictures with their labels"
    return _finish(figure, title or about)


def gallery(
    df_results: pd.DataFrame,
    only: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    max_images: int = 20,
    columns: int = 5,
    title: str | None = None,
) -> Figure:
    """Draw classified pictures: true and predicted class, probability, second choice; a tick or a cross in the corner.

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
        How many pictures at most; never more than 200, and the title says how many are shown.
    columns
        Pictures per row, 1 to 40.
    title
        Above the figure; names model and data where None.

    Raises
    ------
    ValueError
        If `only` is none of the accepted ones, or the class names are not known.
    """
    most = _most_pictures(columns, max_images)
    names = _class_names(df_results, class_names)
    chosen = _select(df_results, only)
    rows = [row for _, row in chosen.head(most).iterrows()]
    captions = [caption(row, names) for row in rows]
    figure, axes = _grid([text for text, _ in captions], columns)
    for ax, row, (text, colour) in zip(axes, rows, captions, strict=False):
        _draw_picture(ax, row["image"], text, colour, MARKS.get(colour, ""))
    if chosen.empty:
        axes[0].text(0, 0.5, f"no {only or 'pictures'} to show", fontsize=TITLE)
    return _finish(figure, title or _title(df_results.attrs, only, len(rows), len(chosen), len(df_results)))


def prediction(image: Any, scores: Mapping[str, float], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the probabilities of one picture as bars, highest on top, with the picture beside them.

    Of more than 40, the highest; the title says so.

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
    shown = sorted(scores.items(), key=lambda item: -item[1])[:MOST][::-1]  # bars are drawn upwards
    texts = wrap_names((name for name, _ in shown), 28)
    if ax is None:
        lines = sum(1 + text.count("\n") for text in texts)
        size = (9, max(3.2, 1.2 + 0.22 * lines + 0.12 * len(texts)))
        _, (left, ax) = plt.subplots(1, 2, figsize=size, width_ratios=[1, 1.8], layout="constrained")
        left.axis("off")
        _show(left, image)
    bars = ax.barh(range(len(shown)), [p for _, p in shown], color=RIGHT)
    ax.set_yticks(range(len(shown)), texts)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set(xlim=(0, 1.14), xlabel="probability, relative to these prompts", xticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
    ax.spines[["top", "right"]].set_visible(False)
    put_title(ax, title, "" if len(shown) == len(scores) else f"the {len(shown)} likeliest of {len(scores)}")
    return ax


def caption(row: pd.Series, names: Sequence[str]) -> tuple[str, str]:
    """Word one result, and give its colour: "right: cat" or "wrong: cat → dog", its probability, the second choice."""
    if pd.isna(row["y_pred"]):
        return "cannot be opened", NEUTRAL
    predicted, proba = names[int(row["y_pred"])], f"p = {row['proba']:.2f}{_second(row, names)}"
    if pd.isna(row["y_true"]):
        return f"{wrap(predicted, CAPTION_WIDTH)}\n{proba}", NEUTRAL
    if row["y_true"] == row["y_pred"]:
        return f"{wrap('right: ' + predicted, CAPTION_WIDTH)}\n{proba}", RIGHT
    true = names[int(row["y_true"])]
    return f"{wrap('wrong: ' + true + ' → ' + predicted, CAPTION_WIDTH)}\n{proba}", WRONG


def _second(row: pd.Series, names: Sequence[str]) -> str:
    """Name the second choice and its probability, where the table has a column a class."""
    others = {n: row[f"proba_{n}"] for k, n in enumerate(names) if f"proba_{n}" in row and k != int(row["y_pred"])}
    if not others:
        return ""
    best = max(others, key=lambda name: others[name])
    return "\n" + wrap(f"then {best}, {others[best]:.2f}", CAPTION_WIDTH)


def _most_pictures(columns: int, max_images: int) -> int:
    """Check the sizes of a grid, and give how many pictures it can hold."""
    check_count(columns, "columns", high=MOST)
    return min(check_count(max_images, "max_images"), MOST_PICTURES)


def _grid(texts: Sequence[str], columns: int) -> tuple[Figure, list[Axes]]:
    """Make room for a picture a text, as high as the longest text asks; a last row may stay empty in part."""
    rows = max(1, math.ceil(len(texts) / columns))
    lines = max((1 + text.count("\n") for text in texts), default=1)
    size = (CELL * columns, (CELL + LINE * lines) * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    return figure, list(axes.flat)


def _draw_picture(ax: Axes, image: Any, text: str, colour: str, mark: str = "") -> None:
    ax.axis("on")
    _show(ax, image)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=3 if mark else 1)
    ax.set_xlabel(text, fontsize=SMALL, color=colour)
    if mark:
        box = {"boxstyle": "square,pad=0.2", "facecolor": colour, "edgecolor": "white"}
        ax.text(
            0.94, 0.93, mark, transform=ax.transAxes, ha="center", va="center", color="white", fontsize=11, bbox=box
        )


def _show(ax: Axes, image: Any) -> None:
    pixels = thumbnail(image)
    if pixels is None:
        ax.text(0.5, 0.5, "cannot be opened", ha="center", va="center", transform=ax.transAxes, fontsize=SMALL)
        pixels = np.full((8, 8, 3), 235, np.uint8)
    ax.imshow(pixels)


def _finish(figure: Figure, title: str) -> Figure:
    figure.suptitle(wrap(title, max(24, round(figure.get_figwidth() * 10))), fontsize=TITLE)
    return figure


def _select(df_results: pd.DataFrame, only: str | None) -> pd.DataFrame:
    if only is not None and only not in _SELECTIONS:
        raise ValueError(f"only={only!r}; it must be None or one of {', '.join(_SELECTIONS)}.")
    if only is None:
        return df_results
    if only == "unsure":
        return df_results.dropna(subset="proba").sort_values("proba", kind="stable")
    right = (df_results["y_true"] == df_results["y_pred"]).fillna(False).astype(bool)
    judged = df_results["y_true"].notna() & df_results["y_pred"].notna()
    chosen = df_results[right if only == "correct" else judged & ~right]
    return chosen.sort_values("proba", ascending=False, kind="stable")


def _class_names(df_results: pd.DataFrame, class_names: Sequence[str] | None) -> Sequence[str]:
    names = class_names if class_names is not None else df_results.attrs.get("class_names")
    if names is None:
        raise ValueError("the table does not carry its class names any more; pass class_names=clf.class_names.")
    return list(names)


def _title(about: Mapping[Any, Any], only: str | None, shown: int, chosen: int, total: int) -> str:
    what = {None: f"{total} pictures", "errors": f"{chosen} wrong of {total}", "correct": f"{chosen} right of {total}"}
    words = what.get(only, f"{total} pictures, least sure first")
    rest = "" if shown == chosen else f"; the first {shown} are shown"
    return f"{about.get('dataset') or 'pictures'}, classified by {about.get('model') or 'a model'}: {words}{rest}"


def _dataset_name(dataset: Any) -> str:
    """Name the data of a data set (name and split) or of embeddings (`dataset`)."""
    kept = getattr(dataset, "dataset", None)
    return str(kept or f"{getattr(dataset, 'name', 'pictures')} {getattr(dataset, 'split_name', '')}").strip()
