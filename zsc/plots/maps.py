"""Tables as maps: cosines of pictures and prompts, confusion, and embeddings in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.spatial import KDTree

from zsc.checks import as_indices, check_choice, check_count, check_same_length
from zsc.images import thumbnail
from zsc.plots import style
from zsc.plots.style import MARKERS, MOST, MOST_CELLS, NEUTRAL, PALETTE, SMALL, WRONG, Result

_FEW, _SOME = 4, 10  # so many names of columns stand upright; so many cells are wide
_LOOKS = [*zip(PALETTE * 5, MARKERS * 4, strict=True), (NEUTRAL, ".")]  # forty differ; the last is for no label
_STYLES: dict[str, dict[str, Any]] = {
    "image": {"s": 34, "alpha": 0.8, "edgecolors": "white", "linewidths": 0.4},
    "text": {"s": 190, "edgecolors": "black", "linewidths": 1.6, "zorder": 3},
}
_MANY_TEXTS, _SMALLER = 50, {"s": 50, "linewidths": 1.0}  # so many, and they would cover the pictures
_ISLANDS = 24  # classes that are named on the map itself
_WORDS = {"image": "pictures", "text": "texts"}
_KEYS = {"image": (5, "none", "small: picture"), "text": (12, "black", "large, dark edge: text")}


@style.styled
def similarity(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    pictures: Sequence[Any] | None = None,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw cosines as a heat map; up to 40 rows and 15 columns with numbers, and the highest of each row framed.

    `values` has shape (rows, columns), such as pictures x prompts, with one label for each. Of a symmetric table the
    lower half is drawn. `pictures` are one source per row, shown beside its label. `limits` are the ends of the
    colours, to compare figures; None takes 0, or what is lower, and the highest. The title should name model and data.
    """
    values = np.asarray(values)
    if values.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"values has shape {values.shape} for {len(row_labels)} row labels and {len(column_labels)} column "
            "labels; pass one row per row label and one column per column label."
        )
    low, high = limits or (min(0.0, np.nanmin(values)), np.nanmax(values))
    twice = list(row_labels) == list(column_labels) and np.allclose(values, values.T, equal_nan=True)
    shown = np.where(np.tri(len(values)), values, np.nan) if twice else values
    numbered = len(values) <= MOST and len(values.T) <= MOST_CELLS
    cells = np.where(np.isnan(shown), "", np.char.mod("%.2f", values)) if numbered else None
    colours: dict[str, Any] = {"cmap": "cividis", "vmin": low, "vmax": high, "label": "cosine"}
    ax = _heat(shown, row_labels, column_labels, cells, ax, pictures=pictures, **colours)
    if cells is not None and not twice and len(values.T) > 1:
        _frame(ax, shown, shown.argmax(axis=1))
    note = "" if cells is not None else f"{len(values)} x {len(values.T)} cosines; some of the names are shown"
    row, column = divmod(int(np.nanargmax(shown)), len(values.T))
    sentence = f"{len(values)} x {len(values.T)} cosines from {np.nanmin(values):.2f} to {np.nanmax(values):.2f}"
    sentence += "" if twice else f", the highest of {row_labels[row]} and {column_labels[column]}"
    style.finish(ax, title, sentence, note=note)
    return ax


@style.styled
def confusion(
    result: Result, *, show: str = "counts", top: int | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw a confusion table: one row per true class, one column per predicted class; right predictions are framed.

    The colour is the share of the row, so that classes of different sizes can be compared. More than 15 classes are
    drawn without texts in the cells, with some of their names, and the title names the pairs that are confused most;
    `top` draws instead so many of these pairs as bars, which suits many classes better.
    `result` is an `Evaluation`, or counts as in its `confusion`; `show` says what stands in the cells: "counts" (none
    where it is 0), or "shares" of the row.
    """
    check_choice(show, ("counts", "shares"), "show")
    table = style.view(result, "confusion")
    counts = table.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    pairs = confused_pairs(result)
    worst = [f"{style.cut(p.true)} → {style.cut(p.predicted)} ({p.pictures})" for p in pairs.head(3).itertuples()]
    words = "most confused: " if worst else "no mistakes"
    sentence = f"{np.trace(counts):,.0f} right of {counts.sum():,.0f} pictures of {len(table)} classes; {words}"
    sentence += ", ".join(worst)
    if top is not None:
        shown = pairs.head(check_count(top, "top", high=MOST))
        ax = _pair_bars(shown, dict(zip(table.index, totals.flat, strict=True)), ax)
        what = f"The {len(shown)} most frequent of {len(pairs)} confusions"
        style.finish(ax, style.heading(title, what, result, counts.sum()), sentence, result)
        return ax
    shares = counts / np.maximum(totals, 1)  # (K, K); a class without pictures keeps zeros
    note, cells = "", None
    if max(counts.shape) > MOST_CELLS:
        note = "\n".join([f"{len(table)} classes; {words}", *worst])
    elif show == "counts":
        cells = np.where(counts > 0, counts.astype(int).astype(str), "")
    else:
        cells = np.where(totals > 0, np.char.mod("%.2f", shares), "-")
    colours: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": shares.max() or 1}
    ax = _heat(shares, table.index, table.columns, cells, ax, label="share of the true class", **colours)
    if cells is not None:
        _frame(ax, shares, np.arange(min(counts.shape)))
    ax.set(xlabel="predicted class", ylabel="true class")
    style.finish(ax, style.heading(title, f"Confusion, {show}", result, counts.sum()), sentence, result, note)
    return ax


def _pair_bars(pairs: pd.DataFrame, totals: dict[Any, Any], ax: Axes | None) -> Axes:
    """Draw confusions as bars, the most frequent on top, each with its number of how many."""
    labels = style.wrap_names((f"{p.true} → {p.predicted}" for p in pairs.itertuples()), 34)
    ax, places = style.rows_axes(labels, ax)
    bars = ax.barh(places, pairs["pictures"], height=0.6, color=WRONG)
    ax.bar_label(bars, [f"{p.pictures:,} of {totals[p.true]:,.0f}" for p in pairs.itertuples()], padding=3)
    ax.margins(x=0.15)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="pictures", ylabel="true class → predicted class")
    if pairs.empty:
        ax.text(0.5, 0.5, "no mistakes", ha="center", transform=ax.transAxes)
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


@style.styled
def embedding_map(
    points: np.ndarray,
    labels: Sequence[Any] | np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    modality: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    pairs: Sequence[Sequence[int]] | np.ndarray | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw embeddings in two dimensions: a colour and a shape per class, a large symbol with a dark edge for texts.

    Forty classes look different; of more, the legend names forty and the title says so. Up to 24 classes are named on
    the map too, where their pictures are densest and another name leaves room. `points` has shape (N, 2), as PCA or
    t-SNE returns it; its axes mean nothing by themselves and have no numbers. `labels` are N names, or indices (-1 for
    no label) into `class_names`, which is also the order of the legend. `modality` says for each point "image" or
    "text"; None: all are pictures. `names` are N texts that stand beside their points, "" for none. `pairs` are places
    of two points each, such as a picture and its caption, which a hair line joins. The title should name model, data
    and method.
    """
    points = np.asarray(points)
    kinds = np.array(["image"] * len(points) if modality is None else list(modality))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) == len(labels) == len(kinds):
        raise ValueError(
            f"points of shape {points.shape} for {len(labels)} labels and {len(kinds)} modalities; pass (N, 2) and N."
        )
    if not set(kinds) <= {"image", "text"}:
        raise ValueError(f"modality must hold image or text; got {sorted(set(kinds))}.")
    codes, classes, n_classes = _codes(labels, class_names)
    look_of = {k: k % 40 if k < n_classes else 40 for k in sorted(set(codes.tolist()))}  # of many, some share a look
    ax = ax or style.new_axes(max(5.5, 1 + 0.23 * min(len(look_of), MOST)))
    looks = np.array([look_of[k] for k in codes.tolist()])
    small = _SMALLER if (kinds == "text").sum() > _MANY_TEXTS else {}
    for look in sorted(set(look_of.values())):
        colour, marker = _LOOKS[look]
        for kind, marks in _STYLES.items():
            chosen = points[(looks == look) & (kinds == kind)]
            if len(chosen):
                ax.scatter(*chosen.T, color=colour, marker=marker, **marks | (small if kind == "text" else {}))
    if pairs is not None:
        ends = as_indices(np.asarray(pairs).reshape(-1), len(points), "pairs").reshape(-1, 2)
        ax.add_collection(LineCollection(list(points[ends]), colors=NEUTRAL, linewidths=0.4, alpha=0.6, zorder=0.5))
    _legend(ax, [(classes[k], *_LOOKS[look]) for k, look in list(look_of.items())[:MOST]], sorted(set(kinds)))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="#BBBBBB")
    beside = [] if names is None else list(names)
    check_same_length(points=points, names=beside or points)
    middle = points[:, 0].mean()  # names of single points lead inwards
    sides = np.where(points[:, 0] < middle, 12, -12)
    written = [(p, style.cut(name, 34), int(s)) for p, name, s in zip(points, beside, sides, strict=False) if name]
    for k in look_of if len(look_of) <= _ISLANDS else ():
        island = points[(codes == k) & (kinds == "image")][:1000]
        if len(island) > 1:
            nearest, _ = KDTree(island).query(island, k=min(len(island), 8))
            written.append((island[nearest[:, -1].argmin()], style.cut(classes[k], 22), 0))
    _write_names(ax, written)
    n = len(look_of)
    note = "" if n <= MOST else f"{n} classes, of which the legend names {MOST}; some share a look"
    what = ", ".join(f"{(kinds == kind).sum():,} {word}" for kind, word in _WORDS.items() if (kinds == kind).any())
    style.finish(ax, title, f"{what} of {n} classes in two dimensions", note=note)
    return ax


def _write_names(ax: Axes, names: Sequence[tuple[np.ndarray, str, int]]) -> None:
    """Write names at their points, each on a white edge, a little higher or lower where another one stands already.

    Where there is no room the name is left to the legend.
    """
    style.whole_of(ax).draw_without_rendering()
    taken: list[Any] = []
    for point, name, aside in names:
        for lift in (0, 13, -13, 26, -26):
            spot: dict[str, Any] = {"xytext": (aside, lift), "textcoords": "offset points", "va": "center"}
            spot |= {"ha": {12: "left", -12: "right"}.get(aside, "center"), "zorder": 4, "path_effects": style.HALO}
            text = ax.annotate(name, tuple(point), fontsize=SMALL, fontweight="normal" if aside else "bold", **spot)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


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


def _frame(ax: Axes, values: np.ndarray, columns: np.ndarray) -> None:
    """Frame one cell of each row, in black or white as its colour asks."""
    cells = ax.collections[0]
    for row, column in enumerate(columns):
        tone = style.text_on(cells.to_rgba(values[row, column]))
        ax.add_patch(Rectangle((column + 0.05, row + 0.05), 0.9, 0.9, fill=False, edgecolor=tone, linewidth=1.5))


def _put_pictures(ax: Axes, pictures: Sequence[Any], side: float) -> None:
    """Show a picture of so many points at each row, between the row and its name."""
    for row, source in enumerate(pictures):
        pixels = thumbnail(source, 128)
        pixels = np.full((8, 8, 3), 235, np.uint8) if pixels is None else pixels
        image = OffsetImage(pixels, zoom=side / len(pixels))
        spot: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "boxcoords": "offset points", "frameon": False}
        spot |= {"xybox": (-5, 0), "box_alignment": (1, 0.5), "pad": 0, "annotation_clip": False}
        ax.add_artist(AnnotationBbox(image, (0, row + 0.5), **spot))
    ax.tick_params(axis="y", pad=side + 10, length=0)


def _heat(
    values: np.ndarray,
    row_names: Sequence[Any],
    column_names: Sequence[Any],
    cells: np.ndarray | None,
    ax: Axes | None,
    *,
    label: str,
    pictures: Sequence[Any] | None = None,
    **colours: Any,
) -> Axes:
    """Draw a map: with a text in each cell; or, without cells, as one picture with some of the names."""
    if pictures is not None:
        check_same_length(rows=row_names, pictures=pictures)
    if cells is not None:
        few, some = len(column_names) <= _FEW, len(column_names) <= _SOME
        rows, columns = style.wrap_names(row_names, 26), style.wrap_names(column_names, 14 if few else 40)
        lines = max(1 + name.count("\n") for name in rows)
        side = 0.0 if pictures is None else 0.56 if len(rows) <= _SOME else 0.4
        row = max(0.5 if len(rows) <= _SOME else 0.38, 0.24 * lines, side + 0.06 if side else 0)
        height = 1.0 + (0.6 if few else 1.4) + row * len(rows)
        width = 3.4 + (1.25 if few else 0.62 if some else 0.45) * len(columns) + side
        ax = ax or style.new_axes(height, min(width, 16))
        marks: dict[str, Any] = {"annot_kws": {"fontsize": SMALL}, "cbar_kws": {"label": label}, "fmt": ""}
        marks |= {"linewidths": 1, "xticklabels": columns, "yticklabels": rows, "mask": np.isnan(values)}
        seaborn.heatmap(values, ax=ax, annot=cells, **marks, **colours)
        for text in ax.texts:  # seaborn's own choice may be as low as 2.3 : 1
            x, y = text.get_position()
            text.set_color(style.text_on(ax.collections[0].to_rgba(values[int(y), int(x)])))
        ax.tick_params(axis="both", rotation=0)
        if pictures is not None:
            _put_pictures(ax, pictures, 72 * side)
        if not few:
            ax.set_xticks(ax.get_xticks(), columns, rotation=45, ha="right", rotation_mode="anchor")
        return ax
    ax = ax or style.new_axes(7.6)
    n_rows, n_columns = values.shape
    aspect: Any = "equal" if 0.5 <= n_rows / n_columns <= 2 else "auto"
    drawn = ax.imshow(values, aspect=aspect, extent=(0, n_columns, n_rows, 0), interpolation="nearest", **colours)
    ax.figure.colorbar(drawn, ax=ax, label=label, shrink=0.7)
    for axis, names in ((ax.yaxis, row_names), (ax.xaxis, column_names)):
        places = style.thin(len(names))
        axis.set_ticks(places + 0.5, [style.cut(names[k]) for k in places], fontsize=7)
    ax.tick_params(axis="x", rotation=90)
    return ax
