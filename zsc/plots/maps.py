"""Tables as maps: cosines of pictures and prompts, confusion, and embeddings in two dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from zsc.plots.style import (
    MARKERS,
    MOST,
    MOST_CELLS,
    NEUTRAL,
    PALETTE,
    SMALL,
    cut,
    heading,
    legend_beside,
    new_axes,
    put_title,
    thin,
    wrap,
    wrap_names,
)

SHOWS = ("counts", "shares")
_FEW, _SOME = 4, 10  # so many names of columns stand upright; so many cells are wide
_LOOKS = math.lcm(len(PALETTE), len(MARKERS))  # different pairs of colour and shape

_STYLES: dict[str, dict[str, Any]] = {
    "image": {"s": 28, "alpha": 0.75, "edgecolors": "none"},
    "text": {"s": 190, "edgecolors": "black", "linewidths": 1.6, "zorder": 3},
}


def similarity(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw cosines as a heat map with the numbers in the cells; without them where there are more than 30 x 30.

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

    Raises
    ------
    ValueError
        If the labels do not fit the values.
    """
    values = np.asarray(values)
    if values.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values has shape {values.shape} for {len(row_labels)} row labels and {len(column_labels)} column "
            "labels; pass one row per row label and one column per column label."
        )
    cells = np.char.mod("%.2f", values) if _has_texts(values) else None
    ax = _heat(values, row_labels, column_labels, cells, ax, cmap="cividis", label="cosine")
    note = "" if cells is not None else f"{len(values)} x {len(values.T)} cosines; some of the names are shown"
    put_title(ax, title, note)
    return ax


def confusion(table: pd.DataFrame, *, show: str = "counts", ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw a confusion table: a row a true class, a column a predicted one; right predictions are framed.

    The colour is the share of the row, so that classes of different sizes can be compared. More than 30 classes are
    drawn without texts in the cells, with some of their names, and the title names the pairs that are confused most.

    Parameters
    ----------
    table
        Counts, as `Evaluation.confusion` holds them: the same K names down and across.
    show
        What stands in the cells: "counts", or "shares" of the row.
    ax
        Where to draw; a new figure where None.
    title
        Above the map; names what the table's `attrs` know where None.

    Raises
    ------
    ValueError
        If `show` is none of the two.
    """
    if show not in SHOWS:
        raise ValueError(f"show={show!r}; it must be one of {', '.join(SHOWS)}.")
    counts = table.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)  # (K, K); a class without pictures keeps zeros
    title, note, cells = heading(title, f"Confusion, {show}", table.attrs), "", None
    if _has_texts(counts):
        cells = counts.astype(int).astype(str) if show == "counts" else np.char.mod("%.2f", shares)
        if show == "shares":
            cells = np.where(totals > 0, cells, "-")
    else:
        note = f"{len(table)} classes; {confused_in_words(table)}"
    ax = _heat(
        shares, table.index, table.columns, cells, ax, cmap="Blues", vmin=0, vmax=1, label="share of the true class"
    )
    for k in range(min(counts.shape) if cells is not None else 0):
        ax.add_patch(Rectangle((k, k), 1, 1, fill=False, edgecolor="black", linewidth=1.5))
    ax.set(xlabel="predicted class", ylabel="true class")
    put_title(ax, title, note)
    return ax


def confused_in_words(table: pd.DataFrame, most: int = 5) -> str:
    """Name the pairs of classes that a confusion table mixes up most: "most confused: cat → dog (12), ..."."""
    counts = table.to_numpy().copy()
    np.fill_diagonal(counts, 0)
    flat = counts.ravel()
    order = np.argsort(-flat, kind="stable")[:most]
    pairs = [(*divmod(int(place), counts.shape[1]), int(flat[place])) for place in order if flat[place]]
    words = [f"{cut(table.index[i])} → {cut(table.columns[j])} ({n})" for i, j, n in pairs]
    return f"most confused: {', '.join(words)}" if words else "no mistakes"


def embedding_map(
    points: np.ndarray,
    labels: Sequence[Any] | np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    modality: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw embeddings in two dimensions: a colour and a shape per class, a large symbol with a dark edge for texts.

    Forty classes look different; of more, the legend names forty and the title says so.

    Parameters
    ----------
    points
        Coordinates, shape (N, 2), as a PCA or t-SNE gives them.
    labels
        N classes: names, or indices into `class_names` (-1 for no label).
    class_names
        The names behind indices; also the order of the legend.
    modality
        For each point "image" or "text"; None: all are pictures.
    ax
        Where to draw; a new figure where None.
    title
        Above the map: name model, data and method.

    Raises
    ------
    ValueError
        If the arguments do not fit together.
    """
    points = np.asarray(points)
    kinds = np.array(["image"] * len(points) if modality is None else list(modality))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) == len(labels) == len(kinds):
        raise ValueError(
            f"points of shape {points.shape} for {len(labels)} labels and {len(kinds)} modalities; pass (N, 2) and N."
        )
    if not set(kinds) <= {"image", "text"}:
        raise ValueError(f"modality holds {sorted(set(kinds))}; they must be image or text.")
    codes, names, n_classes = _codes(labels, class_names)
    drawn = sorted(set(codes.tolist()))
    ax = ax or new_axes(max(5.5, 1 + 0.23 * min(len(drawn), MOST)))
    looks = np.where(codes < n_classes, codes % _LOOKS, _LOOKS)  # with many classes, some share a look
    for look in dict.fromkeys([*range(min(n_classes, _LOOKS)), _LOOKS]):  # "no label" last
        colour, marker = _look(look)
        for kind, style in _STYLES.items():
            chosen = points[(looks == look) & (kinds == kind)]
            if len(chosen):
                ax.scatter(*chosen.T, color=colour, marker=marker, **style)
    _legend(ax, [(names[k], k % _LOOKS if k < n_classes else _LOOKS) for k in drawn[:MOST]], sorted(set(kinds)))
    ax.set(xlabel="first dimension", ylabel="second dimension")
    ax.spines[["top", "right"]].set_visible(False)
    note = "" if len(drawn) <= MOST else f"{len(drawn)} classes, of which the legend names {MOST}; some share a look"
    put_title(ax, title, note)
    return ax


def _codes(labels: Sequence[Any] | np.ndarray, class_names: Sequence[str] | None) -> tuple[np.ndarray, list[str], int]:
    """Give each point the place of its class, by position; the names; how many of them have a look of their own."""
    if class_names is None:
        names = list(dict.fromkeys(str(label) for label in labels))
        place = {name: k for k, name in enumerate(names)}
        return np.array([place[str(label)] for label in labels]), names, len(names)
    names, n = [str(name) for name in class_names], len(class_names)
    place = {name: k for k, name in reversed(list(enumerate(names)))}
    other = {"no label": n}  # texts that are no class come after it
    codes = []
    for label in labels:
        if isinstance(label, str):
            codes.append(place[label] if label in place else other.setdefault(label, n + len(other)))
        elif not isinstance(label, (int, np.integer)) or not -1 <= label < n:
            raise ValueError(f"labels hold {label}; with {n} class names they must lie in 0 to {n - 1}, or be -1.")
        else:
            codes.append(int(label) if label >= 0 else n)
    return np.array(codes, dtype=np.int64), [*names, *other], n


def _look(look: int) -> tuple[str, str]:
    """Give a class its colour and shape; the two run in different steps, so that forty classes differ."""
    return (NEUTRAL, ".") if look == _LOOKS else (PALETTE[look % len(PALETTE)], MARKERS[look % len(MARKERS)])


def _legend(ax: Axes, names: Sequence[tuple[str, int]], kinds: Sequence[str]) -> None:
    entries = []
    short = wrap if len(names) <= _SOME else cut
    for name, look in names:
        colour, marker = _look(look)
        entries.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=short(name, 22)))
    if "text" in kinds:
        sizes = {"image": (5, "none", "small: picture"), "text": (12, "black", "large, dark edge: text")}
        for size, edge, words in (sizes[kind] for kind in kinds):
            style: dict[str, Any] = {"marker": "o", "markersize": size, "markeredgecolor": edge, "color": "#BBBBBB"}
            entries.append(Line2D([], [], linestyle="", label=words, **style))
    legend_beside(ax, entries, n=len(entries))


def _has_texts(values: np.ndarray) -> bool:
    """Tell whether the cells of a map are so few that a text in each can be read."""
    return max(values.shape) <= MOST_CELLS


def _heat(
    values: np.ndarray,
    row_names: Sequence[Any],
    column_names: Sequence[Any],
    cells: np.ndarray | None,
    ax: Axes | None,
    *,
    label: str,
    **colours: Any,
) -> Axes:
    """Draw a map: with a text in each cell; or, where there are too many, as one picture with some of the names."""
    if cells is not None:
        rows, columns = wrap_names(row_names, 26), wrap_names(column_names, 14 if len(column_names) <= _FEW else 40)
        ax = ax or _map_axes(rows, columns)
        style: dict[str, Any] = {"annot_kws": {"fontsize": SMALL}, "cbar_kws": {"label": label}, "fmt": ""}
        style |= {"linewidths": 1 if "vmin" in colours else 0}
        seaborn.heatmap(values, ax=ax, annot=cells, xticklabels=columns, yticklabels=rows, **style, **colours)
        _turn_names(ax, columns)
        return ax
    ax = ax or new_axes(11, 12)
    n_rows, n_columns = values.shape
    is_square = 0.5 <= n_rows / n_columns <= 2
    aspect: Any = "equal" if is_square else "auto"
    drawn = ax.imshow(values, aspect=aspect, extent=(0, n_columns, n_rows, 0), interpolation="nearest", **colours)
    ax.figure.colorbar(drawn, ax=ax, label=label, shrink=0.7)
    for axis, names in ((ax.yaxis, row_names), (ax.xaxis, column_names)):
        places = thin(len(names))
        axis.set_ticks(places + 0.5, [cut(names[k]) for k in places], fontsize=7)
    ax.tick_params(axis="x", rotation=90)
    return ax


def _map_axes(rows: Sequence[str], columns: Sequence[str]) -> Axes:
    """Make room for the cells, and for the names beside and below them."""
    lines = max(1 + name.count("\n") for name in rows)
    width = 3.4 + (1.25 if len(columns) <= _FEW else 0.62 if len(columns) <= _SOME else 0.45) * len(columns)
    below = 0.6 if len(columns) <= _FEW else 1.4
    return new_axes(1.0 + below + max(0.5 if len(rows) <= _SOME else 0.38, 0.24 * lines) * len(rows), min(width, 16))


def _turn_names(ax: Axes, columns: Sequence[str]) -> None:
    ax.tick_params(axis="y", rotation=0)
    if len(columns) <= _FEW:
        ax.tick_params(axis="x", rotation=0)
        return
    for label in ax.get_xticklabels():
        label.set(rotation=45, ha="right", rotation_mode="anchor")
