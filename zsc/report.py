"""One evaluation as one HTML page that needs nothing else: figures and pictures are in it, every text is escaped.

Names of files are shown without their folders. The page says what was computed, not what to conclude.
"""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from zsc import plots
from zsc.checks import check_count
from zsc.evaluation import Evaluation, environment
from zsc.files import check_path, in_cell, write_whole
from zsc.images import is_url, name_of, picture_uri
from zsc.plots.maps import confused_pairs
from zsc.plots.style import RIGHT, WRONG, WRONG_TEXT, WRONG_TEXT_DARK
from zsc.statistics import next_right

SUFFIXES = (".html", ".htm")
LISTED = 20  # classes and confusions that are listed at first, and classes whose whole confusion is shown
PIXELS = 224  # a side of a picture
TONES = {  # on the ground a text has a contrast of at least 4.5, a bar of 3, also on its track
    "light": {"ground": "#FFFFFF", "text": "#222222", "faint": "#595959", "wrong": WRONG_TEXT, "bar": RIGHT,
              "track": "#E4E4E4", "line": "#CCCCCC"},
    "dark": {"ground": "#1B1B1B", "text": "#EEEEEE", "faint": "#B0B0B0", "wrong": WRONG_TEXT_DARK, "bar": "#56B4E9",
             "track": "#383838", "line": "#555555"},
}  # fmt: skip
SHADES: dict[str, Any] = {"right": RIGHT, "wrong": WRONG, "most": 60}  # of a cell of the confusion; percent of colour


def write_report(evaluation: Evaluation, path: str | Path, **options: Any) -> Path:
    """Write an evaluation as an HTML page; the options are those of `html_report`."""
    path = check_path(path, SUFFIXES, "a page")
    return write_whole(path, html_report(evaluation, **options))


def html_report(evaluation: Evaluation, *, title: str | None = None, max_images: int = 20, audit: Any = None) -> str:
    """Make a whole HTML document with no link, script or picture from outside.

    It shows up to `max_images` mistakes by confusion, the most frequent first: of each the most confident ones, as
    pictures where the evaluation has `images`; a `title` of None stands for data and model. An `audit` gets a section.
    """
    made_by = evaluation.made_by
    pairs, groups = _mistakes(evaluation, check_count(max_images, "max_images"))
    forms = {tuple(text.replace(name, "{}") for text in texts) for name, texts in made_by.prompts.items()}
    return PAGES.get_template("report.html.j2").render(
        {"LISTED": LISTED, "PIXELS": PIXELS, "TONES": TONES, "SHADES": SHADES},
        evaluation=evaluation,
        title=title or f"{made_by.dataset or 'pictures'}, classified by {made_by.model or 'a model'}",
        following=next_right(evaluation.correct, evaluation.n),
        pairs=pairs,
        groups=groups,
        cards=[card for group in groups.values() for card in group],
        curves=list(_curves(evaluation, audit)),
        templates=forms.pop() if len(forms) == 1 else (),  # where the texts differ in the name only
        versions=made_by.versions or environment()["versions"],
        audit=audit,
        changed=[(row, picture_uri(row.changed, PIXELS)) for row in audit.examples.itertuples()] if audit else (),
    )


def _mistakes(evaluation: Evaluation, most: int) -> tuple[pd.DataFrame, dict[Any, list[dict[Any, Any]]]]:
    """List which classes are taken for which, the most frequent first; and under (true, predicted) what is shown."""
    pairs, errors, images = confused_pairs(evaluation), evaluation.errors, evaluation.images
    counts = evaluation.by_class["n"].to_dict()  # in Python: pandas looks up no name that is not UTF-8
    pairs["share"] = [row.pictures / counts[row.true] for row in pairs.itertuples()]
    places = {pair: place for place, pair in enumerate(zip(pairs["true"], pairs["predicted"], strict=True))}
    errors["place"] = [places[pair] for pair in zip(errors["true"], errors["predicted"], strict=True)]
    errors["turn"] = errors.groupby("place").cumcount()  # every confusion has its turn before one has its second
    shown = errors.sort_values(["turn", "place"], kind="stable").head(most).sort_values(["place", "turn"])
    groups: dict[Any, list[dict[Any, Any]]] = {}
    for row in shown.to_dict("records"):
        image = None if images is None else images[row["index"]]
        name = name_of(image, row["index"])
        name = PurePath(re.split("[?#]", name)[0] if is_url(name) else name).name or name  # the page may go elsewhere
        card = row | {"name": name, "uri": None if image is None else picture_uri(image, PIXELS)}
        groups.setdefault((row["true"], row["predicted"]), []).append(card)
    return pairs, groups


def _curves(evaluation: Evaluation, audit: Any) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Draw how sure and how often right: name, picture, and the numbers that are told."""
    bins = evaluation.reliability.query("n > 0")[["confidence", "accuracy", "n"]]
    curve = evaluation.coverage.sort_values("coverage")
    places = curve["coverage"].searchsorted(np.linspace(0.1, 1, 10) - 1e-9)
    few = curve.iloc[np.unique(places)][["threshold", "coverage", "accuracy", "n"]]
    curves: Any = [("Reliability", bins, plots.reliability, evaluation), ("Coverage", few, plots.coverage, evaluation)]
    curves += [("What breaks it", audit.table, plots.audit, audit)] if audit else []
    for name, table, draw, of in curves:
        figure = cast(Figure, draw(of, title=name).figure)
        try:
            figure.savefig(buffer := io.BytesIO(), dpi=110)
        finally:
            plt.close(figure)
        yield name, f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}", table


def _shown(value: Any) -> Any:
    """Show a value on a page; what a macro made is markup already."""
    return value if hasattr(value, "__html__") else in_cell(value)


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
