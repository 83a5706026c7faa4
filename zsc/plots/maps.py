"""Tables as maps: cosines of pictures and prompts, confusion, and embeddings in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from zsc.plots.style import MARKERS, NEUTRAL, PALETTE, SMALL, heading, new_axes, put_title, wrap

SHOWS = ("counts", "shares")
_FEW, _SOME = 4, 10  # so many names of columns stand upright; so many cells are wide

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
    rows, columns = [wrap(r, 26) for r in row_labels], _column_names(column_labels)
    ax = ax or _map_axes(rows, columns)
    seaborn.heatmap(
        values,
        ax=ax,
        annot=True,
        fmt=".2f",
        cmap="cividis",
        annot_kws={"fontsize": SMALL},
        cbar_kws={"label": "cosine"},
        xticklabels=columns,
        yticklabels=rows,
    )
    _turn_names(ax, columns)
    put_title(ax, title)
    return ax


def confusion(table: pd.DataFrame, *, show: str = "counts", ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw a confusion table: a row a true class, a column a predicted one; right predictions are framed.

    The colour is the share of the row, so that classes of different sizes can be compared.

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
        raise ValueError(f"show={show!r}; accepted are {', '.join(SHOWS)}.")
    counts = table.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)  # (K, K); a class without pictures keeps zeros
    cells = counts.astype(int).astype(str) if show == "counts" else np.char.mod("%.2f", shares)
    if show == "shares":
        cells = np.where(totals > 0, cells, "-")
    rows, columns = [wrap(name, 26) for name in table.index], _column_names(list(table.columns))
    ax = ax or _map_axes(rows, columns)
    seaborn.heatmap(
        shares,
        ax=ax,
        annot=cells,
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        linewidths=1,
        annot_kws={"fontsize": SMALL},
        cbar_kws={"label": "share of the true class"},
        xticklabels=columns,
        yticklabels=rows,
    )
    for k in range(min(counts.shape)):
        ax.add_patch(Rectangle((k, k), 1, 1, fill=False, edgecolor="black", linewidth=1.5))
    ax.set(xlabel="predicted class", ylabel="true class")
    _turn_names(ax, columns)
    put_title(ax, heading(title, f"Confusion, {show}", table.attrs))
    return ax


def embedding_map(
    points: np.ndarray,
    labels: Sequence[Any] | np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    modality: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw embeddings in two dimensions: a colour and a shape a class, a large symbol with a dark edge for texts.

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
        raise ValueError(f"modality holds {sorted(set(kinds))}; accepted are image, text.")
    ax = ax or new_axes(5.5)
    named = _names_of(labels, class_names)
    order = [str(n) for n in class_names] if class_names is not None else list(dict.fromkeys(named))
    for name in dict.fromkeys([*order, *named]):  # "no label" last
        colour, marker = _look(name, order)
        for kind, style in _STYLES.items():
            chosen = points[(np.array(named) == name) & (kinds == kind)]
            if len(chosen):
                ax.scatter(*chosen.T, color=colour, marker=marker, **style)
    _legend(ax, [n for n in dict.fromkeys([*order, *named]) if n in named], order, sorted(set(kinds)))
    ax.set(xlabel="first dimension", ylabel="second dimension")
    ax.spines[["top", "right"]].set_visible(False)
    put_title(ax, title)
    return ax


def _names_of(labels: Sequence[Any] | np.ndarray, class_names: Sequence[str] | None) -> list[str]:
    if class_names is None:
        return [str(label) for label in labels]
    names = [*map(str, class_names), "no label"]  # -1 picks the last
    return [label if isinstance(label, str) else names[int(label)] for label in labels]


def _look(name: str, order: Sequence[str]) -> tuple[str, str]:
    """Give a class its colour and shape; the two run in different steps, so that eighty classes differ."""
    if name not in order:
        return NEUTRAL, "."
    place = order.index(name)
    return PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]


def _legend(ax: Axes, names: Sequence[str], order: Sequence[str], kinds: Sequence[str]) -> None:
    entries = []
    for name in names:
        colour, marker = _look(name, order)
        entries.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=wrap(name, 22)))
    if "text" in kinds:
        sizes = {"image": (5, "none", "small: picture"), "text": (12, "black", "large, dark edge: text")}
        for size, edge, words in (sizes[kind] for kind in kinds):
            style: dict[str, Any] = {"marker": "o", "markersize": size, "markeredgecolor": edge, "color": "#BBBBBB"}
            entries.append(Line2D([], [], linestyle="", label=words, **style))
    ax.legend(handles=entries, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=SMALL)


def _column_names(names: Sequence[Any]) -> list[str]:
    return [wrap(name, 14 if len(names) <= _FEW else 40) for name in names]


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
