"""Tables as maps: cosines of pictures and prompts, confusion, embeddings in two dimensions, also to be touched."""

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle
from scipy.spatial import KDTree

from zsc.checks import as_indices, check_choice, check_count, check_same_length, needed_for
from zsc.datasets.base import class_texts
from zsc.files import printable
from zsc.images import name_of, picture_uri, thumbnail
from zsc.plots import style
from zsc.plots.style import MARKERS, MOST, MOST_CELLS, NEUTRAL, PALETTE, RIGHT, WRONG, Result

if TYPE_CHECKING:
    from zsc.embeddings import ImageEmbeddings
    from zsc.evaluation import Evaluation

_FEW, _SOME = 4, 10  # so many names of columns stand upright; so many of a legend are whole
_SIDE = 40  # points: a picture beside a row
_LOOKS = [*zip(PALETTE * 5, MARKERS * 4, strict=True), (NEUTRAL, ".")]  # forty differ; the last is for no label
_IMAGE: dict[str, Any] = {"s": 34, "alpha": 0.8, "edgecolors": "white", "linewidths": 0.4}
_TEXT: dict[str, Any] = {"s": 190, "edgecolors": "black", "linewidths": 1.6, "zorder": 3}
_KEYS = ((5, "none", "small: picture"), (12, "black", "large, dark edge: text"))
SHOWN, SMALL, LARGE = 24, 96, 224  # pictures of a selection; the side of one, and of that under the pointer
FIXED = {"right": RIGHT, "wrong": WRONG, "no label": NEUTRAL}  # names that have their own colour


@style.styled
def similarity(
    values: np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str], *,
    pictures: Sequence[Any] | None = None, limits: tuple[float, float] | None = None,
    ax: Axes | None = None, title: str = "",
) -> Axes:  # fmt: skip
    """Draw cosines as a heat map; up to 40 rows and 15 columns with numbers, and the highest of each row framed.

    `values` has shape (rows, columns), such as pictures x prompts; of a symmetric table the lower half is drawn.
    `pictures` are one source per row, shown beside its label. `limits` are the ends of the colours; None takes 0, or
    what is lower, and the highest. The title should name model and data.
    """
    values = np.asarray(values)
    beside = [] if pictures is None else list(pictures)
    check_same_length(rows=values, row_labels=row_labels, pictures=beside or row_labels)
    check_same_length(columns=values.T, column_labels=column_labels)
    twice = list(row_labels) == list(column_labels) and np.allclose(values, values.T, equal_nan=True)
    shown = np.where(np.tri(len(values)), values, np.nan) if twice else values
    low, high = np.nanmin(values), np.nanmax(values)
    cells = np.char.mod("%.2f", values) if len(values) <= MOST and len(values.T) <= MOST_CELLS else None
    framed: Any = () if twice or len(values.T) == 1 else values.argmax(axis=1)
    ends = limits or (min(0.0, low), high)
    colours: dict[str, Any] = {"label": "cosine", "cmap": "cividis", "vmin": ends[0], "vmax": ends[1]}
    ax = _heat(shown, (row_labels, column_labels), cells, ax, framed=framed, pictures=beside, **colours)
    size = f"{len(values)} x {len(values.T)} cosines"
    row, column = np.argwhere(values == high)[0]
    most = "" if twice else f", the highest of {row_labels[row]} and {column_labels[column]}"
    note = "" if cells is not None else f"{size}; some of the names are shown"
    return style.finish(ax, title, "", f"{size} from {low:.2f} to {high:.2f}{most}", note=note)


@style.styled
def confusion(
    result: Result, *, show: str = "counts", top: int | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw a confusion table: one row per true class, one column per predicted class; right predictions are framed.

    The colour is the share of the row, so that classes of different sizes can be compared. More than 15 classes are
    drawn without texts in the cells, and the title names the pairs that are confused most; `top` draws instead so many
    of these pairs as bars. `result` is an `Evaluation`, or counts as in its `confusion`; `show` says what stands in the
    cells: "counts" (none where it is 0), or "shares" of the row.
    """
    check_choice(show, ("counts", "shares"), "show")
    table, pairs = style.view(result, "confusion"), confused_pairs(result)
    counts = table.to_numpy()
    totals = counts.sum(axis=1, keepdims=True)
    worst = [f"{style.cut(p.true)} → {style.cut(p.predicted)} ({p.pictures})" for p in pairs.head(3).itertuples()]
    words = "most confused: " if worst else "no mistakes"
    sentence = f"{np.trace(counts):,.0f} right of {counts.sum():,.0f} pictures of {len(table)} classes; {words}"
    what, note = f"Confusion, {show}", ""
    if top is not None:
        shown = pairs.head(check_count(top, "top", high=MOST))
        rows, of = [f"{p.true} → {p.predicted}" for p in shown.itertuples()], table.sum(axis=1).to_dict()
        beside = [f"{p.pictures:,} of {of[p.true]:,.0f}" for p in shown.itertuples()]
        ax = style.bars(rows, shown["pictures"], beside, 34, ax, height=0.6, color=WRONG)
        ax.locator_params(axis="x", integer=True)
        ax.set(xlabel="pictures", ylabel="true class → predicted class")
        what, note = f"The {len(shown)} most frequent of {len(pairs)} confusions", "" if worst else words
    else:
        shares = counts / np.maximum(totals, 1)  # (K, K); a class without pictures keeps zeros
        cells = None
        if max(counts.shape) > MOST_CELLS:
            note = "\n".join([f"{len(table)} classes; {words}", *worst])
        elif show == "counts":
            cells = np.where(counts > 0, counts.astype(int).astype(str), "")
        else:
            cells = np.where(totals > 0, np.char.mod("%.2f", shares), "-")
        colours: dict[str, Any] = {"label": "share of the true class", "cmap": "Blues", "vmin": 0}
        colours |= {"vmax": shares.max() or 1, "framed": range(min(counts.shape))}
        ax = _heat(shares, (table.index, table.columns), cells, ax, **colours)
        ax.set(xlabel="predicted class", ylabel="true class")
    return style.finish(ax, title, what, sentence + ", ".join(worst), result, note=note, n=counts.sum())


def confused_pairs(result: Result) -> pd.DataFrame:
    """Count which classes are taken for which: columns true, predicted, pictures; the most frequent pairs first."""
    if isinstance(result, pd.DataFrame):
        counts = np.where(np.eye(*result.shape), 0, result)
        names, pairs, pictures = result.index.to_numpy(object), np.argwhere(counts), counts[counts > 0]
    else:  # the work grows with the mistakes, not with the square of the classes
        mistakes = np.stack([result.y_true, result.y_pred], axis=1)[~result.right]
        names = np.array(result.class_names, dtype=object)
        pairs, pictures = np.unique(mistakes, axis=0, return_counts=True)
    table = pd.DataFrame(names[pairs], columns=["true", "predicted"], dtype=object)
    table["pictures"] = pictures.astype(int)
    return table.sort_values("pictures", ascending=False, kind="stable", ignore_index=True)


@style.styled
def embedding_map(
    points: np.ndarray, labels: Sequence[Any] | np.ndarray, *, class_names: Sequence[str] | None = None,
    modality: Sequence[str] | None = None, names: Sequence[str] | None = None,
    pairs: Sequence[Sequence[int]] | np.ndarray | None = None, ax: Axes | None = None, title: str = "",
) -> Axes:  # fmt: skip
    """Draw embeddings in two dimensions: a colour and a shape per class, a large symbol with a dark edge for texts.

    Forty classes look different; of more, the legend names forty and the title says so. Up to 24 classes are named
    where their pictures are densest too. `points` has shape (N, 2). `labels` are N names, or indices (-1 for no label)
    into `class_names`, which is also the order of the legend. `modality` says for each point "image" or "text"; None:
    all are pictures. `names` are N texts beside their points, "" for none, left out where there is no room. `pairs` are
    places of two points each, which a hair line joins. The title should name model, data and method.
    """
    points = np.asarray(points)
    if points.shape[1:] != (2,):
        raise ValueError(f"points has shape {points.shape}; pass (N, 2): one row per point, two columns.")
    kinds = ["image"] * len(points) if modality is None else list(modality)
    names = [""] * len(points) if names is None else names
    check_same_length(points=points, labels=labels, modality=kinds, names=names)
    if not set(kinds) <= {"image", "text"}:
        raise ValueError(f"modality must hold image or text; got {sorted(set(kinds))}.")
    is_text = np.array(kinds) == "text"
    if class_names is None:
        labels, class_names = pd.factorize(np.array([str(label) for label in labels], dtype=object))
    classes, last = [*map(str, class_names), "no label"], len(class_names)
    if strange := set(labels) - set(range(-1, last)):
        raise ValueError(f"labels hold {strange.pop()}; with {last} class names they must be 0 to {last - 1}, or -1.")
    codes = np.array(labels, dtype=int) % (last + 1)  # -1 is the last
    looks = np.where(codes < last, codes % 40, 40)  # of many, some share a look
    found, shown = np.unique(codes), np.unique(looks)
    n = len(found)
    ax = ax or plt.subplots(figsize=(style.WIDTH, max(5.5, 1 + 0.23 * min(n, MOST))))[1]
    small = {"s": 50, "linewidths": 1.0} if is_text.sum() > 50 else {}  # they would cover the pictures
    short = style.wrap if n <= _SOME else style.cut
    for look in shown:
        colour, marker = _LOOKS[look]
        ax.plot([], [], marker, color=colour, label=short(classes[codes[looks == look].min()], 22))
        for which, marks in ((~is_text, _IMAGE), (is_text, _TEXT | small)):
            ax.scatter(*points[(looks == look) & which].T, color=colour, marker=marker, **marks)
    for size, edge, words in _KEYS if len(set(kinds)) > 1 else ():
        ax.plot([], [], "o", color="#BBBBBB", markersize=size, markeredgecolor=edge, label=words)
    height = 72 * ax.get_window_extent().height / ax.figure.dpi  # in points
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=min(10, height / (1.5 * len(shown) + 3)))
    ends = as_indices(np.ravel([] if pairs is None else pairs), len(points), "pairs").reshape(-1, 2).T
    ax.plot(points[ends, 0], points[ends, 1], color=NEUTRAL, linewidth=0.4, alpha=0.6, zorder=0.5)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="#BBBBBB")
    aside = np.where(points[:, 0] < points[:, 0].mean(), 12, -12)  # names of single points lead inwards
    written = [(p, style.cut(name, 34), s) for p, name, s in zip(points, names, aside, strict=True) if name]
    for k in found if n <= 24 else ():
        island = points[(codes == k) & ~is_text][:1000]
        if len(island) > 1:
            away, _ = KDTree(island).query(island, k=min(len(island), 8))
            written.append((island[away[:, -1].argmin()], style.cut(classes[k], 22), 0))
    _write_names(ax, written)
    note = "" if n == len(shown) else f"{n} classes, of which the legend names {len(shown)}; some share a look"
    said = f"{(~is_text).sum():,} pictures" + f" and {is_text.sum():,} texts" * bool(is_text.any())
    return style.finish(ax, title, "", f"{said} of {n} classes in two dimensions", note=note)


def _write_names(ax: Axes, names: Sequence[tuple[np.ndarray, str, int]]) -> None:
    """Write names at their points, so many points aside, higher or lower where another one stands, or not at all."""
    cast(Any, ax.figure).figure.draw_without_rendering()
    taken: list[Any] = []
    for point, name, aside in names:
        look: dict[str, Any] = {"ha": ("center", "left", "right")[np.sign(aside)], "va": "center", "zorder": 4}
        look |= {"weight": "normal" if aside else "bold", "textcoords": "offset points", "path_effects": style.HALO}
        for lift in (0, 13, -13, 26, -26):
            text = ax.annotate(name, tuple(point), (aside, lift), **look)
            box = text.get_window_extent()
            if not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


def _heat(
    values: np.ndarray, names: tuple[Sequence[Any], Sequence[Any]], cells: np.ndarray | None, ax: Axes | None, *,
    label: str, framed: Iterable[int], pictures: Sequence[Any] = (), **colours: Any,
) -> Axes:  # fmt: skip
    """Draw a map: with texts, framed cells and pictures at the rows; or, without texts, with some of the names."""
    few = len(names[1]) <= _FEW
    size, small, angle = (style.WIDTH, 7.6), 7, 90
    if cells is None:
        rows, columns = ([style.cut(of[k]) for k in style.thin(len(of))] for of in names)
        framed = pictures = []
    else:
        rows, columns = style.wrap_names(names[0], 26), style.wrap_names(names[1], 14 if few else 40)
        row = max(0.62 if pictures else style.ROW, *(0.24 * (1 + name.count("\n")) for name in rows))
        width, height = 3.8 + (1.25 if few else 0.55) * len(columns), (1.6 if few else 2.4) + row * len(rows)
        size, small, angle = (width, height), 10, 45
    ax = ax or plt.subplots(figsize=size)[1]
    marks: dict[str, Any] = {"cbar_kws": {"label": label}, "linewidths": cells is not None, "rasterized": cells is None}
    seaborn.heatmap(values, ax=ax, annot=cells, fmt="", xticklabels=False, yticklabels=False, **marks, **colours)
    ax.set_yticks(style.thin(len(names[0])) + 0.5, rows, fontsize=small)
    turned: dict[str, Any] = {"rotation": angle, "ha": "right", "va": "center", "rotation_mode": "anchor"}
    ax.set_xticks(style.thin(len(names[1])) + 0.5, columns, fontsize=small, **({} if few else turned))
    faces = ax.collections[0].to_rgba(values)  # (rows, columns, 4)
    for text in ax.texts:  # seaborn's own choice may be as low as 2.3 : 1
        x, y = text.get_position()
        text.set_color(style.text_on(faces[int(y), int(x)]))
    for k, column in enumerate(framed):
        edge = style.text_on(faces[k, column])
        ax.add_patch(Rectangle((column + 0.05, k + 0.05), 0.9, 0.9, fill=False, edgecolor=edge, linewidth=1.5))
    for k, source in enumerate(pictures):
        pixels = thumbnail(source, 128)
        pixels = style.LOST if pixels is None else pixels
        spot: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "boxcoords": "offset points", "frameon": False}
        spot |= {"xybox": (-5, 0), "box_alignment": (1, 0.5), "pad": 0, "annotation_clip": False}
        ax.add_artist(AnnotationBbox(OffsetImage(pixels, zoom=_SIDE / len(pixels)), (0, k + 0.5), **spot))
        ax.tick_params(axis="y", pad=_SIDE + 10, length=0)
    return ax


def map_widget(
    embeddings: "ImageEmbeddings", evaluation: "Evaluation | None" = None, *, points: np.ndarray | None = None
) -> "PictureMap":
    """Draw N pictures as points: the pointer on one shows it, a lasso around some shows them and gives their `rows`.

    `evaluation` holds the answers for the same pictures, to colour by. `points` has shape (N, 2), as t-SNE returns it;
    None: the first two principal components. Failed pictures are left out. ImportError: jupyter-scatter is not there.
    """
    usable = ~embeddings.failed
    if points is None:
        centred = embeddings.values - embeddings.values[usable].mean(axis=0)
        points = centred @ np.linalg.eigh(centred[usable].T @ centred[usable])[1][:, :-3:-1]
    check_same_length(embeddings=embeddings.values, points=points)
    table = pd.DataFrame(np.asarray(points, dtype=float), columns=["x", "y"])
    table["class"] = class_texts(embeddings.labels, embeddings.class_names)
    if evaluation is not None:
        evaluation.check_one_label()
        check_same_length(embeddings=embeddings.values, evaluation=evaluation.y_pred)
        judged = np.where(evaluation.y_true == evaluation.y_pred, "right", "wrong")
        table["prediction"] = class_texts(evaluation.y_pred, evaluation.class_names)
        table["right or wrong"] = np.where(evaluation.y_true < 0, "no label", judged)
        table["probability"] = evaluation.proba.max(axis=1)
    return PictureMap(table[usable].fillna("no label"), embeddings.paths, f"{embeddings.dataset} by {embeddings.model}")


class PictureMap:
    """What `map_widget` makes: `rows` are selected, `colour` chooses the colours, `scatter` is jupyter-scatter's."""

    def __init__(self, table: pd.DataFrame, paths: Sequence[Any], title: str) -> None:
        with needed_for("a map to touch", "widgets"):
            w, jscatter = map(importlib.import_module, ("ipywidgets", "jscatter"))
        self._table, self._paths, self._title, ways = table, paths, title, list(table)[2:]
        self.scatter = jscatter.Scatter("x", "y", data=table, data_use_index=True, axes=False, width=640, height=420)
        self.scatter.tooltip(True, properties=ways).size(5)
        self.colour, self._large, self._small = w.Dropdown(options=ways, description="colour by"), w.HTML(), w.HTML()
        beside = w.HBox([self.scatter.show(), self._large], layout={"flex_flow": "row wrap"})
        self.widget = w.VBox([self.colour, beside, self._small])
        self.colour.observe(lambda _: self._paint(), "value")
        self.scatter.widget.observe(lambda change: self._point(change["new"]), "hovering")
        self.scatter.widget.observe(lambda _: self._gather(), "selection")
        self._paint()
        self._gather()

    @property
    def rows(self) -> np.ndarray:
        """The rows of the selected pictures in the embeddings, shape (M,), in their order."""
        return np.sort(np.asarray(self.scatter.selection(), dtype=np.int64))

    def _paint(self) -> None:
        names = self._table[self.colour.value].unique() if self.colour.value != "probability" else []
        colours = {name: FIXED.get(name, PALETTE[k % len(PALETTE)]) for k, name in enumerate(sorted(names))}
        self.scatter.color(by=self.colour.value, map=colours or "cividis").legend(len(names) <= MOST)

    def _point(self, place: int | None) -> None:
        self._large.value = "" if place is None else self._pictures(self._table.index[[place]], LARGE)

    def _gather(self) -> None:
        words = f"{len(self.rows):,} of {len(self._table):,} pictures selected; up to {SHOWN} are shown (draw a lasso)"
        self._small.value = f'<div role="status">{words}</div>{self._pictures(self.rows[:SHOWN], SMALL)}'

    def _pictures(self, rows: Iterable[int], size: int) -> str:
        """Make the HTML of some pictures, each with its name."""
        named = [(picture_uri(self._paths[row], size) or "", printable(name_of(self._paths[row], row))) for row in rows]
        shown = [f'<img src="{uri}" alt="{escape(name)}" title="{escape(name)}">' for uri, name in named]
        return f'<div style="display: flex; flex-wrap: wrap; gap: 4px">{"".join(shown)}</div>'

    def _ipython_display_(self) -> None:
        display, core = (importlib.import_module(f"IPython.{name}") for name in ("display", "core.pylabtools"))
        figure = Figure(figsize=(8, 5), layout="constrained")
        embedding_map(self._table[["x", "y"]].to_numpy(), self._table["class"], title=self._title, ax=figure.subplots())
        still = {"image/png": core.print_figure(figure, base64=True), "text/plain": self._title}
        display.display(self.widget._repr_mimebundle_() | still, raw=True)
