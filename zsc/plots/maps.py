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

from zsc.checks import check_choice
from zsc.plots import style
from zsc.plots.style import MARKERS, MOST, MOST_CELLS, NEUTRAL, PALETTE, SMALL, Result

_FEW, _SOME = 4, 10  # so many names of columns stand upright; so many cells are wide
_LOOKS = [*zip(PALETTE * 5, MARKERS * 4, strict=True), (NEUTRAL, ".")]  # forty differ; the last is for no label
_STYLES: dict[str, dict[str, Any]] = {
    "image": {"s": 28, "alpha": 0.75, "edgecolors": "none"},
    "text": {"s": 190, "edgecolors": "black", "linewidths": 1.6, "zorder": 3},
}
_KEYS = {"image": (5, "none", "small: picture"), "text": (12, "black", "large, dark edge: text")}


def similarity(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw cosines as a heat map, with the numbers in the cells of up to 30 x 30.

    `values` has shape (rows, columns), such as pictures x prompts, with one label for each. The title should name model
    and data.
    """
    values = np.asarray(values)
    if values.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values has shape {values.shape} for {len(row_labels)} row labels and {len(column_labels)} column "
            "labels; pass one row per row label and one column per column label."
        )
    cells = np.char.mod("%.2f", values) if max(values.shape) <= MOST_CELLS else None
    ax = _heat(values, row_labels, column_labels, cells, ax, cmap="cividis", label="cosine")
    note = "" if cells is not None else f"{len(values)} x {len(values.T)} cosines; some of the names are shown"
    style.put_title(ax, title, note)
    return ax


def confusion(result: Result, *, show: str = "counts", ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw a confusion table: one row per true class, one column per predicted class; right predictions are framed.

    The colour is the share of the row, so that classes of different sizes can be compared. More than 30 classes are
    drawn without texts in the cells, with some of their names, and the title names the pairs that are confused most.
    `result` is an `Evaluation`, or counts as in its `confusion`; `show` says what stands in the cells: "counts", or
    "shares" of the row.
    """
    check_choice(show, ("counts", "shares"), "show")
    table = style.view(result, "confusion")
    counts = table.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)  # (K, K); a class without pictures keeps zeros
    note, cells = "", None
    if max(counts.shape) > MOST_CELLS:
        pairs = confused_pairs(result).head(5).itertuples()
        words = ", ".join(f"{style.cut(p.true)} → {style.cut(p.predicted)} ({p.pictures})" for p in pairs)
        note = f"{len(table)} classes; " + (f"most confused: {words}" if words else "no mistakes")
    elif show == "counts":
        cells = counts.astype(int).astype(str)
    else:
        cells = np.where(totals > 0, np.char.mod("%.2f", shares), "-")
    colours: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 1}
    ax = _heat(shares, table.index, table.columns, cells, ax, label="share of the true class", **colours)
    for k in range(min(counts.shape) if cells is not None else 0):
        ax.add_patch(Rectangle((k, k), 1, 1, fill=False, edgecolor="black", linewidth=1.5))
    ax.set(xlabel="predicted class", ylabel="true class")
    style.put_title(ax, style.heading(title, f"Confusion, {show}", result), note)
    return ax


def confused_pairs(result: Result) -> pd.DataFrame:
    """Count which classes are taken for which: columns true, predicted, pictures; the most frequent pairs first.

    With an `Evaluation` the work grows with its mistakes, with a confusion table with the square of the classes.
    """
    if isinstance(result, pd.DataFrame):
        counts = result.to_numpy(copy=True)
        np.fill_diagonal(counts, 0)
        pairs = np.argwhere(counts)
        pictures = counts[tuple(pairs.T)]
        rows, columns = result.index, result.columns
    else:
        mistakes = np.stack([result.y_true, result.y_pred], axis=1)[~result.right]
        pairs, pictures = np.unique(mistakes, axis=0, return_counts=True)
        rows = columns = pd.Index(result.class_names, dtype=object)
    order = np.argsort(-pictures, kind="stable")
    true, predicted = pairs[order].T
    names = {"true": rows.to_numpy(object)[true], "predicted": columns.to_numpy(object)[predicted]}
    return pd.DataFrame(names, dtype=object).assign(pictures=pictures[order].astype(int))


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

    Forty classes look different; of more, the legend names forty and the title says so. `points` has shape (N, 2), as
    PCA or t-SNE returns it. `labels` are N names, or indices (-1 for no label) into `class_names`, which is also the
    order of the legend. `modality` says for each point "image" or "text"; None: all are pictures. The title should name
    model, data and method.
    """
    points = np.asarray(points)
    kinds = np.array(["image"] * len(points) if modality is None else list(modality))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) == len(labels) == len(kinds):
        raise ValueError(
            f"points of shape {points.shape} for {len(labels)} labels and {len(kinds)} modalities; pass (N, 2) and N."
        )
    if not set(kinds) <= {"image", "text"}:
        raise ValueError(f"modality must hold image or text; got {sorted(set(kinds))}.")
    codes, names, n_classes = _codes(labels, class_names)
    look_of = {k: k % 40 if k < n_classes else 40 for k in sorted(set(codes.tolist()))}  # of many, some share a look
    ax = ax or style.new_axes(max(5.5, 1 + 0.23 * min(len(look_of), MOST)))
    looks = np.array([look_of[k] for k in codes.tolist()])
    for look in sorted(set(look_of.values())):
        colour, marker = _LOOKS[look]
        for kind, marks in _STYLES.items():
            chosen = points[(looks == look) & (kinds == kind)]
            if len(chosen):
                ax.scatter(*chosen.T, color=colour, marker=marker, **marks)
    _legend(ax, [(names[k], *_LOOKS[look]) for k, look in list(look_of.items())[:MOST]], sorted(set(kinds)))
    ax.set(xlabel="first dimension", ylabel="second dimension")
    ax.spines[["top", "right"]].set_visible(False)
    n = len(look_of)
    style.put_title(ax, title, "" if n <= MOST else f"{n} classes, of which the legend names {MOST}; some share a look")
    return ax


def _codes(labels: Sequence[Any] | np.ndarray, class_names: Sequence[str] | None) -> tuple[np.ndarray, list[str], int]:
    """Turn the class of each point into a number; return the names too, and how many have a look of their own."""
    if class_names is None:
        labels = [str(label) for label in labels]
    names = [str(name) for name in (dict.fromkeys(labels) if class_names is None else class_names)]
    n = len(names)
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


def _legend(ax: Axes, classes: Sequence[tuple[str, str, str]], kinds: Sequence[str]) -> None:
    short = style.wrap if len(classes) <= _SOME else style.cut
    entries = [Line2D([], [], color=c, marker=m, linestyle="", label=short(name, 22)) for name, c, m in classes]
    for size, edge, words in (_KEYS[kind] for kind in kinds if "text" in kinds):
        marks: dict[str, Any] = {"marker": "o", "markersize": size, "markeredgecolor": edge, "color": "#BBBBBB"}
        entries.append(Line2D([], [], linestyle="", label=words, **marks))
    style.legend_beside(ax, entries, n=len(entries))


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
    """Draw a map: with a text in each cell; or, without cells, as one picture with some of the names."""
    if cells is not None:
        few, some = len(column_names) <= _FEW, len(column_names) <= _SOME
        rows, columns = style.wrap_names(row_names, 26), style.wrap_names(column_names, 14 if few else 40)
        lines = max(1 + name.count("\n") for name in rows)
        height = 1.0 + (0.6 if few else 1.4) + max(0.5 if len(rows) <= _SOME else 0.38, 0.24 * lines) * len(rows)
        width = 3.4 + (1.25 if few else 0.62 if some else 0.45) * len(columns)
        ax = ax or style.new_axes(height, min(width, 16))
        marks: dict[str, Any] = {"annot_kws": {"fontsize": SMALL}, "cbar_kws": {"label": label}, "fmt": ""}
        marks |= {"linewidths": 1 if "vmin" in colours else 0}
        seaborn.heatmap(values, ax=ax, annot=cells, xticklabels=columns, yticklabels=rows, **marks, **colours)
        ax.tick_params(axis="both", rotation=0)
        if not few:
            ax.set_xticks(ax.get_xticks(), columns, rotation=45, ha="right", rotation_mode="anchor")
        return ax
    ax = ax or style.new_axes(11, 12)
    n_rows, n_columns = values.shape
    aspect: Any = "equal" if 0.5 <= n_rows / n_columns <= 2 else "auto"
    drawn = ax.imshow(values, aspect=aspect, extent=(0, n_columns, n_rows, 0), interpolation="nearest", **colours)
    ax.figure.colorbar(drawn, ax=ax, label=label, shrink=0.7)
    for axis, names in ((ax.yaxis, row_names), (ax.xaxis, column_names)):
        places = style.thin(len(names))
        axis.set_ticks(places + 0.5, [style.cut(names[k]) for k in places], fontsize=7)
    ax.tick_params(axis="x", rotation=90)
    return ax
