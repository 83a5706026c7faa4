"""One evaluation as one HTML page that needs nothing else: figures and pictures are in it, every text is escaped.

Names of files are shown without their folders. The page says what was computed, not what to conclude.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, cast

import matplotlib.pyplot as plt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc import plots
from zsc.evaluation import Evaluation, Provenance, environment
from zsc.files import printable, write_whole
from zsc.images import describe, is_url
from zsc.plots.maps import confused_pairs
from zsc.plots.style import MOST_CELLS

SUFFIXES = (".html", ".htm")
DRAWN_CLASSES = 1000  # so many can be told apart in one map


def write_report(evaluation: Evaluation, path: str | Path, *, title: str | None = None, max_images: int = 20) -> Path:
    """Write an evaluation as an HTML page; see `html_report`.

    Raises ValueError if the name does not end in .html, its folder is missing, or a picture has no label.
    """
    return write_whole(check_report_path(path), html_report(evaluation, title=title, max_images=max_images))


def check_report_path(path: str | Path) -> Path:
    """Refuse a path that no page can be written to, before the work that leads to the page."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise ValueError(f"{printable(path)}: not the name of a page; end it with {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise ValueError(f"{printable(path)}: there is no folder {printable(path.parent)}; make it, or choose another.")
    return path


def html_report(evaluation: Evaluation, *, title: str | None = None, max_images: int = 20) -> str:
    """Make a whole HTML document with no link, script or picture from outside.

    It shows the `max_images` most confident mistakes, as pictures where the evaluation has `images`; a `title` of None
    stands for data and model.
    """
    made_by = evaluation.made_by
    title = title or f"{made_by.dataset or 'pictures'}, classified by {made_by.model or 'a model'}"
    errors = evaluation.errors.head(max_images).set_index("index")
    if "image" in errors:
        errors["image"] = [_file_name(image) for image in errors["image"]]
    headline = evaluation.summary()
    return PAGES.get_template("report.html.j2").render(
        evaluation=evaluation,
        title=title,
        headline=headline[0].upper() + headline[1:],
        pairs=confused_pairs(evaluation) if len(evaluation.class_names) > MOST_CELLS else None,
        errors=errors,
        figures=dict(_figures(evaluation, title, max_images)),
        origin=list(_origin(made_by)),
    )


def _figures(evaluation: Evaluation, title: str, max_images: int) -> Iterator[tuple[str, str]]:
    """Draw what the page shows: name and picture."""
    if len(evaluation.class_names) <= DRAWN_CLASSES:
        yield "confusion", data_uri(plots.confusion(evaluation, title=title))
    if evaluation.images is not None and evaluation.correct < evaluation.n:
        heading = f"{evaluation.n - evaluation.correct} wrong of {evaluation.n}"
        yield "mistakes", data_uri(plots.gallery(evaluation, "errors", max_images=max_images, title=heading))
    yield "reliability", data_uri(plots.reliability(evaluation.reliability, title=f"Reliability: {title}"))
    yield "coverage", data_uri(plots.coverage(evaluation.coverage, title=f"Coverage: {title}"))


def _origin(made_by: Provenance) -> Iterator[tuple[str, Any]]:
    """List what made the predictions, and the versions: those of the evaluation, else those that run now."""
    for name, value in made_by.to_dict().items():
        if name not in ("prompts", "versions", "hardware"):
            plain = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield name, value if isinstance(value, (list, tuple)) else plain
    versions = made_by.versions or environment()["versions"]
    words = ", ".join(f"{name} {number}" for name, number in versions.items())
    yield "versions" if made_by.versions else "versions when this page was made", words
    if made_by.hardware:
        yield "hardware", ", ".join(str(value) for value in made_by.hardware.values() if value)


def data_uri(figure: Figure | Axes) -> str:
    """Turn a figure into the address of an image that holds its own pixels; the figure is closed."""
    figure = cast(Figure, figure.figure) if isinstance(figure, Axes) else figure
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format="png", dpi=110)
    finally:
        plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _file_name(image: Any) -> str:
    """Name a picture without its folders: the page may go to someone else."""
    name = describe(image)
    return PurePath(re.split("[?#]", name)[0] if is_url(name) else name).name or name


def _shown(value: Any) -> Any:
    """Show a value on a page: three decimals; control characters and bytes that are no UTF-8 as escapes."""
    if hasattr(value, "__html__"):  # what a macro made is markup already
        return value
    return f"{value:.3f}" if isinstance(value, float) else printable(value)


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
