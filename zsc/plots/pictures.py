"""Photographs with words: a grid of samples, one prediction with its bars, the gallery of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc.checks import check_choice, check_count
from zsc.datasets.base import class_texts
from zsc.images import thumbnail
from zsc.plots import style
from zsc.plots.style import MOST, NEUTRAL, RIGHT, SMALL, TITLE, WRONG, Result, wrap

if TYPE_CHECKING:
    from zsc.datasets import ImageDataset
    from zsc.embeddings import ImageEmbeddings

MARKS = {RIGHT: "\N{CHECK MARK}", WRONG: "\N{BALLOT X}"}
CELL, LINE = 2.1, 0.18  # inches: a picture's side, a line of text
CAPTION_WIDTH = 22  # characters
MOST_PICTURES = 200  # pictures in a figure


def sample_grid(
    dataset: ImageDataset | ImageEmbeddings, *, max_images: int = 20, columns: int = 5, title: str | None = None
) -> Figure:
    """Draw the first pictures of a data set with their labels; draw `dataset.sample(20)` for some at random.

    At most `max_images` and 200 are drawn, `columns` of them per row, at most 40; the title says how many of how many.
    """
    n = min(len(dataset), check_count(max_images, "max_images"), MOST_PICTURES)
    named = class_texts(dataset.labels[:n], dataset.class_names)
    texts = [wrap("no label" if name is None else name or "none", CAPTION_WIDTH) for name in named]
    name = getattr(dataset, "dataset", "")  # embeddings carry name and split in one text
    name = name or f"{getattr(dataset, 'name', 'pictures')} {getattr(dataset, 'split_name', '')}".strip()
    title = title or f"{name}: {n} of {len(dataset)} pictures with their labels"
    return _grid(dataset.paths[:n], [(text, "black") for text in texts], columns, title)


def gallery(
    results: Result,
    only: str | None = None,
    *,
    class_names: Sequence[str] | None = None,
    max_images: int = 20,
    columns: int = 5,
    title: str | None = None,
) -> Figure:
    """Draw classified pictures: true and predicted class, probability, second choice; a tick or a cross in the corner.

    `results` is an `Evaluation`, or a table of `ZeroShotClassifier.predict` or `validate`. `only` chooses the "errors"
    or the "correct" ones, most confident first; "unsure" is all, least probable first; None all in the given order.
    `class_names` are the names behind the indices; None takes those of the table's columns proba_<class>. The sizes are
    as in `sample_grid`.
    """
    if only is not None:
        check_choice(only, ("errors", "correct", "unsure"), "only")
    most = min(check_count(max_images, "max_images"), MOST_PICTURES)
    table = style.view(results, "table")
    found = [c.removeprefix("proba_") for c in map(str, table.columns) if c.startswith("proba_")]
    names = found if class_names is None else list(class_names)
    if not names:
        raise ValueError("the table has no columns proba_<class> to name its classes; pass class_names=.")
    chosen = _select(table, only)
    rows = [row for _, row in chosen.head(most).iterrows()]
    n, many = len(table), len(chosen)
    words = {"errors": f"{many} wrong of {n}", "correct": f"{many} right of {n}"}.get(only or "", f"{n} pictures")
    words += ", least sure first" if only == "unsure" else ""
    words += f"; the first {len(rows)} are shown" if len(rows) < many else ""
    what = style.heading(None, "", results).removeprefix(", ")
    title = title or f"{what or 'pictures'}: {words}"
    figure = _grid([row["image"] for row in rows], [caption(row, names) for row in rows], columns, title)
    if chosen.empty:
        figure.axes[0].text(0, 0.5, f"no {only or 'pictures'} to show", fontsize=TITLE)
    return figure


def prediction(image: Any, scores: Mapping[str, float], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the probabilities of one picture as bars, highest on top, with the picture beside them.

    `scores` maps class names or prompts to probabilities; of more than 40 the highest are drawn, and the title says so.
    With `ax` the bars alone are drawn there. The title should name the model.
    """
    shown = sorted(scores.items(), key=lambda item: -item[1])[:MOST][::-1]  # bars are drawn upwards
    texts = style.wrap_names((name for name, _ in shown), 28)
    if ax is None:
        size = (9, max(3.2, 1.2 + 0.22 * sum(1 + text.count("\n") for text in texts) + 0.12 * len(texts)))
        _, (left, ax) = plt.subplots(1, 2, figsize=size, width_ratios=[1, 1.8], layout="constrained")
        left.axis("off")
        _show(left, image)
    bars = ax.barh(range(len(shown)), [p for _, p in shown], color=RIGHT)
    ax.set_yticks(range(len(shown)), texts)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set(xlim=(0, 1.14), xlabel="probability, relative to these prompts", xticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
    ax.spines[["top", "right"]].set_visible(False)
    style.put_title(ax, title, "" if len(shown) == len(scores) else f"the {len(shown)} likeliest of {len(scores)}")
    return ax


def caption(row: pd.Series, names: Sequence[str]) -> tuple[str, str]:
    """Word one result (right: cat; wrong: cat → dog), its probability and the second choice; choose its colour."""
    if pd.isna(row["y_pred"]):
        return "cannot be opened", NEUTRAL
    k = int(row["y_pred"])
    words, colour = names[k], NEUTRAL
    if pd.notna(row["y_true"]):
        right = row["y_true"] == k
        words = f"right: {names[k]}" if right else f"wrong: {names[int(row['y_true'])]} → {names[k]}"
        colour = RIGHT if right else WRONG
    lines = [wrap(words, CAPTION_WIDTH), f"p = {row['proba']:.2f}"]
    others = {name: row[f"proba_{name}"] for j, name in enumerate(names) if f"proba_{name}" in row and j != k}
    if others:
        second = max(others, key=lambda name: others[name])
        lines.append(wrap(f"then {second}, {others[second]:.2f}", CAPTION_WIDTH))
    return "\n".join(lines), colour


def _grid(images: Sequence[Any], captions: Sequence[tuple[str, str]], columns: int, title: str) -> Figure:
    """Draw pictures with a text and a colour each, in cells as high as the longest text asks."""
    rows = max(1, math.ceil(len(images) / check_count(columns, "columns", high=MOST)))
    lines = max((1 + text.count("\n") for text, _ in captions), default=1)
    size = (CELL * columns, (CELL + LINE * lines) * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for ax, image, (text, colour) in zip(axes.flat, images, captions, strict=False):
        _show(ax, image)
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(text, fontsize=SMALL, color=colour)
        mark = MARKS.get(colour, "")
        for spine in ax.spines.values():
            spine.set(color=colour, linewidth=3 if mark else 1)
        if mark:
            box = {"boxstyle": "square,pad=0.2", "facecolor": colour, "edgecolor": "white"}
            look: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "fontsize": 11, "bbox": box}
            ax.text(0.94, 0.93, mark, transform=ax.transAxes, **look)
    figure.suptitle(wrap(title, max(24, round(size[0] * 10))), fontsize=TITLE)
    return figure


def _show(ax: Axes, image: Any) -> None:
    pixels = thumbnail(image)
    if pixels is None:
        ax.text(0.5, 0.5, "cannot be opened", ha="center", va="center", transform=ax.transAxes, fontsize=SMALL)
        pixels = np.full((8, 8, 3), 235, np.uint8)
    ax.imshow(pixels)


def _select(table: pd.DataFrame, only: str | None) -> pd.DataFrame:
    if only is None:
        return table
    if only == "unsure":
        return table.dropna(subset="proba").sort_values("proba", kind="stable")
    judged = table.dropna(subset=["y_true", "y_pred"])
    right = (judged["y_true"] == judged["y_pred"]).astype(bool)
    return judged[right if only == "correct" else ~right].sort_values("proba", ascending=False, kind="stable")
