"""Photographs with words: a grid of samples, one prediction with its bars, the gallery of results."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from zsc.checks import check_choice, check_count, check_same_length
from zsc.datasets.base import class_texts
from zsc.images import thumbnail
from zsc.plots import style
from zsc.plots.style import MOST, NEUTRAL, RIGHT, TEXT_TONES, WRONG, Result, wrap

if TYPE_CHECKING:
    from zsc.datasets import ImageDataset
    from zsc.embeddings import ImageEmbeddings
    from zsc.explanation import Explanation

QUERY = "#000000"
MARKS = {RIGHT: "\N{CHECK MARK}", WRONG: "\N{BALLOT X}", QUERY: "?"}
CELL, LINE, HIGHEST = 2.1, 0.18, 40.0  # inches: a picture's side, a line of text, a figure
CAPTION_WIDTH = 22  # characters
MOST_PICTURES, MOST_TOLD = 200, 20  # pictures in a figure, and in its description


@style.styled
def sample_grid(
    dataset: "ImageDataset | ImageEmbeddings", *, notes: Sequence[str] | None = None, query: int | None = None,
    max_images: int = 20, columns: int = 5, title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw the first pictures of a data set with their labels; draw `dataset.sample(20)` for some at random.

    At most `max_images` and 200 are drawn, `columns` of them per row, at most 40; the title says how many of how many.
    `notes` are one more text per picture, such as its cosine; `query` is the place of the one that the others answer.
    """
    n = min(len(dataset), check_count(max_images, "max_images"), MOST_PICTURES)
    named = class_texts(dataset.labels[:n], dataset.class_names)
    texts = [wrap("no label" if name is None else name or "none", CAPTION_WIDTH) for name in named]
    if notes is not None:
        check_same_length(pictures=dataset.labels, notes=notes)
        texts = [f"{text}\n{wrap(note, CAPTION_WIDTH)}".strip() for text, note in zip(texts, notes, strict=False)]
    place = -1 if query is None else check_count(query, "query", low=0, high=n - 1)
    looks = [(f"the query: {text}", QUERY) if k == place else (text, "black") for k, text in enumerate(texts)]
    name = getattr(dataset, "dataset", "")  # embeddings carry name and split in one text
    name = name or f"{getattr(dataset, 'name', 'pictures')} {getattr(dataset, 'split_name', '')}".strip()
    shown = f"{n} pictures" if n == len(dataset) else f"{n} of {len(dataset)} pictures"
    return _grid(dataset.paths[:n], looks, columns, title, what=f"{name}: {shown}")


@style.styled
def gallery(
    results: Result, only: str | None = None, *, class_names: Sequence[str] | None = None, prompts: bool = False,
    why: Callable[..., Any] | None = None, max_images: int = 20, columns: int = 5, title: str | None = None,
) -> Figure:  # fmt: skip
    """Draw classified pictures: true and predicted class, probability, second choice; a tick or a cross in the corner.

    `results` is an `Evaluation`, or a table of `ZeroShotClassifier.predict` or `validate`. `only` chooses the "errors"
    or the "correct" ones, most confident first; "unsure" is all, least probable first; None all in the given order.
    `class_names` are the names behind the indices; None takes those of the table's columns proba_<class>. `prompts`
    adds the prompt that decided to each caption. `why`, such as `partial(zsc.explain, classifier)`, draws what answers
    hang on, wrong ones against the true class, and says whether the map is any good. Sizes are as in `sample_grid`.
    """
    table = style.view(results, "table")
    found = [c.removeprefix("proba_") for c in map(str, table.columns) if c.startswith("proba_")]
    names = found if class_names is None else list(class_names)
    if not names:
        raise ValueError("the table has no columns proba_<class> to name its classes; pass class_names=.")
    chosen, words = table, f"{len(table)} pictures"
    if only == "unsure":
        chosen, words = table.dropna(subset="proba").sort_values("proba", kind="stable"), f"{words}, least sure first"
    elif only is not None:
        check_choice(only, ("errors", "correct", "unsure"), "only")
        judged = table.dropna(subset=["y_true", "y_pred"]).sort_values("proba", ascending=False, kind="stable")
        chosen = judged[(judged["y_true"] == judged["y_pred"]).astype(bool) == (only == "correct")]
        words = f"{len(chosen)} {'right' if only == 'correct' else 'wrong'} of {len(table)}"
    rows = [row for _, row in chosen.head(min(check_count(max_images, "max_images"), MOST_PICTURES)).iterrows()]
    note = f"the first {len(rows)} are shown" if len(rows) < len(chosen) else ""
    note += "\nblue speaks for the answer, vermilion against it" * bool(why)
    captions = [caption(row, names, prompt=prompts) for row in rows]
    images = [row["image"] for row in rows]
    if why and (opened := [i for i, row in enumerate(rows) if pd.notna(row["y_pred"])]):
        against = [names[int(rows[i]["y_true"])] if captions[i][1] == WRONG else None for i in opened]
        for i, explained in zip(opened, why([images[i] for i in opened], against), strict=True):
            mark = f"map {'better than' if explained.is_better_than_random else 'not above'} random"
            images[i], captions[i] = explained, (f"{captions[i][0]}\n{mark}", captions[i][1])
    return _grid(images, captions, columns, title, what=words, result=results, note=note)


@style.styled
def prediction(image: Any, scores: Mapping[str, float], *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the probabilities of one picture as bars, highest on top, with the picture beside them.

    `scores` maps class names or prompts to probabilities; of more than 40 the highest are drawn, and the title says so.
    With `ax` the bars alone are drawn there. The title should name the model.
    """
    shown = dict(sorted(scores.items(), key=lambda item: -item[1])[:MOST])
    if is_new := ax is None:
        _, (left, ax) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=[1, 1.8])
        left.axis("off")
        _show(left, image)
    words = ["< 0.01" if 0 < p < 0.005 else f"{p:.2f}" for p in shown.values()]
    ax = style.bars(shown, list(shown.values()), words, 28, ax, color=RIGHT)
    if is_new:
        cast(Figure, ax.figure).set_figheight(max(3.2, 1.3 + 0.34 * ax.get_ylim()[0]))
    ax.set(xlim=(0, 1.14), xlabel="probability, relative to these prompts", xticks=np.arange(6) / 5)
    note = "" if len(shown) == len(scores) else f"the {len(shown)} likeliest of {len(scores)}"
    likeliest = ", ".join(f"{name} {p:.2f}" for name, p in [*shown.items()][:5])
    return style.finish(ax, title, "", f"probabilities: {likeliest}", note=note)


@style.styled
def why(explanation: "Explanation", *, title: str | None = None) -> Figure:
    """Draw an explanation: the picture, what each cover takes of the margin, and what each word gives."""
    shown, height = explanation, max(3.4, 1.2 + style.ROW * len(explanation.words))
    figure, (first, *axes, last) = plt.subplots(1, 4, figsize=(12, height), width_ratios=(1, 1, 1, 0.9))
    first.imshow(shown.picture)
    for ax, (name, lost) in zip(axes, shown.maps.items(), strict=True):
        _show_map(ax, shown, lost)
        ax.set_title(f"{name} cover: {lost.min():.1f} to {lost.max():.1f}")
    for ax in (first, *axes):
        ax.axis("off")
    lost = shown.words["margin_lost"]
    names = [f"{word} ({name})" for word, name in zip(shown.words["word"], shown.words["class_name"], strict=True)]
    told = [f"{round(x, 1) + 0.0:.1f}" for x in lost]  # never -0.0
    style.bars(names, lost, told, 24, last, color=[RIGHT if x > 0 else WRONG for x in lost])
    last.set(title="margin lost without a word", xlabel="logits")
    tones = f"Blue speaks for {shown.of}, vermilion for {shown.against}"
    tones += f"; hide what is dashed, and the answer is {shown.against}." if shown.flips.any() else "."
    title = title or f"why {shown.of}, not {shown.against}: margin {shown.margin:.1f}"
    said = f"the words {', '.join(f'{name} {x:.1f}' for name, x in zip(names, lost, strict=True))}"
    return style.finish(figure, title, "", f"{shown.verdict}; {said}", note=f"{tones}\nThe map is {shown.verdict}.")


def caption(row: pd.Series, names: Sequence[str], *, prompt: bool = False) -> tuple[str, str]:
    """Word one result (right: cat; wrong: cat → dog), its probability and the second choice; choose its colour.

    `prompt` adds the prompt that decided.
    """
    if pd.isna(row["y_pred"]):
        return "cannot be opened", NEUTRAL
    k, truth = int(row["y_pred"]), row["y_true"]
    words, colour = names[k], NEUTRAL
    if pd.notna(truth) and truth == k:
        words, colour = f"right: {words}", RIGHT
    elif pd.notna(truth):  # breaks at the arrow
        true, said = (n.replace(" ", "\xa0") if len(n) < CAPTION_WIDTH - 1 else n for n in (names[int(truth)], words))
        words, colour = f"wrong: {true} →\xa0{said}", WRONG
    lines = [words, f"p = {row['proba']:.2f}"]
    others = {name: row[f"proba_{name}"] for j, name in enumerate(names) if f"proba_{name}" in row and j != k}
    if others:
        second = max(others, key=lambda name: others[name])
        lines.append(f"then {second},\xa0{others[second]:.2f}")
    if prompt and isinstance(row.get("y_pred_token"), str):
        lines.append(f"by “{row['y_pred_token']}”")
    return "\n".join(wrap(line, CAPTION_WIDTH) for line in lines), colour


def _grid(
    images: Sequence[Any], captions: Sequence[tuple[str, str]], columns: int, title: str | None, *, what: str,
    result: "Result | None" = None, note: str = "",
) -> Figure:  # fmt: skip
    """Draw pictures with a text and a colour each, in cells as high as the longest text asks."""
    rows = max(1, math.ceil(len(images) / check_count(columns, "columns", high=MOST)))
    lines = max((1 + text.count("\n") for text, _ in captions), default=1)
    size = np.minimum((CELL * columns, (CELL + LINE * lines) * rows + 0.6 + 0.2 * note.count("\n")), HIGHEST)
    figure, axes = plt.subplots(rows, columns, figsize=tuple(size), squeeze=False)
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for ax, image, (text, colour) in zip(axes.flat, images, captions, strict=False):
        _show(ax, image)
        mark, tone = MARKS.get(colour, ""), TEXT_TONES.get(colour, colour)
        ax.set(xticks=[], yticks=[], anchor="N")  # so that the words below stay in the figure
        ax.set_xlabel(text, color=tone)
        ax.spines[:].set(color=colour, linewidth=3 if mark else 1, visible=True)
        if mark:
            ax.text(0.97, 0.96, mark, color="white", backgroundcolor=tone, transform=ax.transAxes, ha="right", va="top")
    return style.finish(figure, title, what, "; ".join(text for text, _ in captions[:MOST_TOLD]), result, note=note)


def _show_map(ax: Axes, explanation: "Explanation", lost: Any) -> None:
    """Draw a map over its picture without colours, and a dashed line around what flips the answer."""
    ax.imshow(explanation.picture.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    most = max(float(np.abs(lost).max()), 1e-9)
    tones = LinearSegmentedColormap.from_list("why", [WRONG, "white", RIGHT])
    ax.imshow(lost, cmap=tones, vmin=-most, vmax=most, alpha=0.75 * np.abs(lost) / most)
    if explanation.flips.any() and not explanation.flips.all():
        ax.contour(explanation.flips, [0.5], colors="black", linestyles="dashed", linewidths=1.5)


def _show(ax: Axes, image: Any) -> None:
    if hasattr(image, "maps"):
        _show_map(ax, image, image.map)
        return
    pixels = thumbnail(image)
    if pixels is None:
        ax.text(0.5, 0.5, "cannot be opened", ha="center", va="center", transform=ax.transAxes)
    ax.imshow(style.LOST if pixels is None else pixels)
