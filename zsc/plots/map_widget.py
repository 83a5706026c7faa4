"""A map of pictures that one can touch in a notebook, on jupyter-scatter; without Python a page shows a figure."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import escape
from matplotlib.figure import Figure

from zsc.checks import check_same_length, needed_for
from zsc.datasets.base import class_texts
from zsc.files import printable
from zsc.images import name_of, picture_uri
from zsc.plots.maps import embedding_map
from zsc.plots.style import MOST, NEUTRAL, PALETTE, RIGHT, WRONG

if TYPE_CHECKING:
    from zsc.embeddings import ImageEmbeddings
    from zsc.evaluation import Evaluation

SHOWN, SMALL, LARGE = 24, 96, 224  # pictures of a selection; the side of one, and of that under the pointer
FIXED = {"right": RIGHT, "wrong": WRONG, "no label": NEUTRAL}  # names that have their own colour


def map_widget(
    embeddings: ImageEmbeddings, evaluation: Evaluation | None = None, *, points: np.ndarray | None = None
) -> PictureMap:
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
