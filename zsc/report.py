"""One evaluation as one HTML page that needs nothing else: figures and pictures are in it, every text is escaped.

Names of files are shown without their folders. The page says what was computed, not what to conclude.
"""

import base64
import io
import re
from pathlib import Path, PurePath
from typing import Any, cast

import matplotlib.pyplot as plt
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc import plots
from zsc.checks import check_count
from zsc.evaluation import Evaluation, environment
from zsc.files import check_path, in_cell, write_whole
from zsc.images import is_url, name_of, picture_uri
from zsc.plots.maps import confused_pairs
from zsc.statistics import next_right

SUFFIXES = (".html", ".htm")
PIXELS = 224  # a side of a picture


def write_report(evaluation: Evaluation, path: str | Path, **options: Any) -> Path:
    """Write an evaluation as an HTML page; the options are those of `html_report`."""
    path = check_path(path, SUFFIXES, "a page")
    return write_whole(path, html_report(evaluation, **options))


def html_report(evaluation: Evaluation, *, title: str | None = None, max_images: int = 20, audit: Any = None) -> str:
    """Make a whole HTML document with no link, script or picture from outside.

    It shows up to `max_images` mistakes by confusion, the most frequent first: of each the most confident ones, as
    pictures where the evaluation has `images`; a `title` of None stands for data and model. An `audit` gets a section.
    """
    pairs, groups = _mistakes(evaluation, check_count(max_images, "max_images"))
    prompts = evaluation.made_by.prompts
    forms = {tuple(text.replace(name, "{}") for text in texts) for name, texts in prompts.items()}
    templates = forms.pop() if len(forms) == 1 else ()  # where the texts differ in the name only
    found = {"evaluation": evaluation, "title": title, "audit": audit, "pairs": pairs, "groups": groups}
    return PAGES.get_template("report.html.j2", globals=_KNOWN).render(found, templates=templates)


def _mistakes(evaluation: Evaluation, most: int) -> tuple[pd.DataFrame, dict[Any, list[dict[Any, Any]]]]:
    """List which classes are taken for which, the most frequent first; and under (true, predicted) what is shown."""
    pairs = confused_pairs(evaluation).join(evaluation.by_class["n"], on="true")
    errors = evaluation.errors.merge(pairs.reset_index(names="place"), on=["true", "predicted"])
    errors["turn"] = errors.groupby("place").cumcount()  # every confusion has its turn before one has its second
    groups: dict[Any, list[dict[Any, Any]]] = {}
    for row in errors.sort_values(["turn", "place"]).head(most).sort_values(["place", "turn"]).to_dict("records"):
        image = None if evaluation.images is None else evaluation.images[row["index"]]
        name = name_of(image, row["index"])
        name = PurePath(re.split("[?#]", name)[0] if is_url(name) else name).name or name  # the page may go elsewhere
        card = row | {"name": name, "uri": None if image is None else picture_uri(image, PIXELS)}
        groups.setdefault((row["true"], row["predicted"]), []).append(card)
    return pairs, groups


def _drawn(ax: Axes) -> str:
    """Put a figure into the page, and close it."""
    figure = cast(Figure, ax.figure)
    figure.savefig(buffer := io.BytesIO(), dpi=110)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


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
_KNOWN = {"plots": plots, "drawn": _drawn, "picture_uri": picture_uri, "PIXELS": PIXELS}
_KNOWN |= {"next_right": next_right, "environment": environment}
