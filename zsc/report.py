"""One evaluation as one HTML page that needs nothing else: figures and pictures are in it, every text is escaped.

Names of files are shown without their folders. The page says what was computed, not what to conclude.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc import plots
from zsc.evaluation import Evaluation
from zsc.files import printable, write_whole
from zsc.images import describe, is_url
from zsc.plots.style import MOST_CELLS
from zsc.provenance import environment
from zsc.results import result_table

SUFFIXES = (".html", ".htm")
DRAWN_CLASSES = 1000  # so many can be told apart in one map
MOST_PAIRS = 50  # rows of the table of confused classes
CONFUSION = "confusion, as in the table below"
_SKIPPED = ("prompts", "versions", "hardware")
_NUMBERS = {
    "n": "pictures",
    "correct": "right",
    "accuracy": "accuracy",
    "interval": "95 % interval",
    "macro_recall": "macro recall",
    "majority_baseline": "always naming the most frequent class",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
}
_STYLE = """
body {font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 960px; margin: 2em auto;
  padding: 0 1em;}
h1 {font-size: 1.6em; margin-bottom: 0;} h2 {font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc;}
table {border-collapse: collapse; margin: .6em 0; font-size: .92em;}
th, td {padding: 3px 12px 3px 0; text-align: right; vertical-align: top; border-bottom: 1px solid #eee;}
th:first-child, td:first-child, table.words td, table.words th {text-align: left;}
td {overflow-wrap: anywhere;} img {max-width: 100%; height: auto;} .wide {overflow-x: auto;}
.headline {font-size: 1.1em;} .faint {color: #595959; font-size: .9em;}
@media print {h2 {break-after: avoid;} img {break-inside: avoid;}}
"""


def write_report(evaluation: Evaluation, path: str | Path, *, title: str | None = None, max_images: int = 20) -> Path:
    """Write an evaluation as an HTML page; see `html_report`.

    Raises
    ------
    ValueError
        If the name does not end in .html, or its folder is missing.
    """
    path = check_report_path(path)
    page = html_report(evaluation, title=title, max_images=max_images)
    return write_whole(path, page)


def check_report_path(path: str | Path) -> Path:
    """Refuse a path that no page can be written to, before the work that leads to the page."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise ValueError(f"{printable(path)}: no name for a page; end it with {' or '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise ValueError(f"{printable(path)}: there is no folder {printable(path.parent)}; make it, or choose another.")
    return path


def escaped(text: object) -> str:
    """Write a text from outside so that a page shows it: no markup, control characters and odd bytes as escapes."""
    return escape(printable(text))


def confused_pairs(evaluation: Evaluation) -> pd.DataFrame:
    """Count which classes are taken for which: columns true, predicted, pictures; the most frequent pairs first.

    What it costs grows with the mistakes, not with the square of the classes.
    """
    wrong = np.flatnonzero(~evaluation.right)
    pairs, counts = np.unique(
        np.stack([evaluation.y_true[wrong], evaluation.y_pred[wrong]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    names = np.array(evaluation.class_names, dtype=object)
    columns = {"true": names[pairs[order, 0]], "predicted": names[pairs[order, 1]]}
    table = pd.DataFrame(columns, dtype=object)
    return table.assign(pictures=counts[order])


def html_report(evaluation: Evaluation, *, title: str | None = None, max_images: int = 20) -> str:
    """Make the page.

    Parameters
    ----------
    evaluation
        What to report; with `images` the page shows mistakes as pictures.
    title
        The page's heading; names data and model where None.
    max_images
        How many mistakes to show at most.

    Returns
    -------
    str
        A whole HTML document with no link, script or picture from outside.
    """
    about = evaluation.about
    title = title or f"{about.get('dataset') or 'pictures'}, classified by {about.get('model') or 'a model'}"
    parts = [
        f"<h1>{escaped(title)}</h1>",
        f'<p class="headline">{escaped(_sentence(evaluation.summary()))}</p>',
        _section("Results", _numbers(evaluation)),
        _section("Each class", _table(evaluation.report)),
        _section("Confusion", _confusion(evaluation, title)),
        _section("Mistakes", _mistakes(evaluation, max_images)),
        _section("How sure, and how often right", _curves(evaluation, title)),
        _section("Prompts", _prompts(about)),
        _section("What made it", _origin(about)),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escaped(title)}</title>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def figure_html(figure: Figure, text: str) -> str:
    """Turn a figure into an image with its pixels inside and a text for those who do not see it; the figure closes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{escaped(text)}" src="data:image/png;base64,{data}"></p>'


def _section(heading: str, inside: str) -> str:
    return f"<h2>{escaped(heading)}</h2>\n{inside}" if inside else ""


def _numbers(evaluation: Evaluation) -> str:
    rows = [(words, _plain(getattr(evaluation, name, None))) for name, words in _NUMBERS.items()]
    note = (
        "The interval speaks of pictures drawn like these. It knows nothing of wrong labels, nor of prompts that were "
        "chosen on the same pictures. Probabilities are relative to the prompts below."
    )
    return _pairs([row for row in rows if row[1]]) + f'<p class="faint">{note}</p>'


def _confusion(evaluation: Evaluation, title: str) -> str:
    n = len(evaluation.class_names)
    drawn = _drawn(plots.confusion(evaluation.confusion, title=title), CONFUSION) if n <= DRAWN_CLASSES else ""
    if n <= MOST_CELLS:
        words = "as a table: one row per true class, one column per predicted class"
        table = _table(evaluation.confusion.rename_axis(columns=None))
    else:
        pairs = confused_pairs(evaluation)
        words = f"as a table: the {min(len(pairs), MOST_PAIRS)} most frequent of {len(pairs)} pairs of confused classes"
        table = _table(pairs.head(MOST_PAIRS))
    inside = f'<div class="wide">{table}</div>'
    return f"{drawn}<details{'' if n <= MOST_CELLS else ' open'}><summary>{words}</summary>{inside}</details>"


def _mistakes(evaluation: Evaluation, max_images: int) -> str:
    errors = evaluation.errors
    if errors.empty:
        return "<p>None.</p>"
    shown = errors.head(max_images)
    words = f"<p>The {len(shown)} most confident of {len(errors)}.</p>"
    if "image" in shown:
        shown = shown.assign(image=[_file_name(image) for image in shown["image"]])
    return words + _gallery(evaluation, max_images) + f'<div class="wide">{_table(shown.set_index("index"))}</div>'


def _gallery(evaluation: Evaluation, max_images: int) -> str:
    if evaluation.images is None:
        return ""
    names, wrong = list(evaluation.class_names), evaluation.errors["index"].head(max_images).to_numpy()
    images, tokens = [evaluation.images[int(k)] for k in wrong], np.full(len(wrong), None, dtype=object)
    table = result_table(images, evaluation.y_true[wrong], evaluation.proba[wrong], tokens, names)
    title = f"{len(evaluation.errors)} wrong of {evaluation.n}"
    figure = plots.gallery(table, class_names=names, max_images=max_images, title=title)
    return figure_html(figure, "the mistakes of the table below, as pictures")


def _curves(evaluation: Evaluation, title: str) -> str:
    """Draw reliability and coverage, where the evaluation has them."""
    drawn = []
    for name in ("reliability", "coverage"):
        table = getattr(evaluation, name, None)
        if isinstance(table, pd.DataFrame) and len(table):
            draw: Callable[..., Axes] = getattr(plots, name)
            drawn.append(_drawn(draw(table, title=f"{name.capitalize()}: {title}"), f"{name} of {title}"))
    return "".join(drawn)


def _drawn(ax: Axes, text: str) -> str:
    return figure_html(cast("Figure", ax.figure), text)


def _prompts(about: Mapping[str, Any]) -> str:
    texts = about.get("prompts")
    if not isinstance(texts, Mapping):
        return ""
    rows = [(str(name), [one] if isinstance(one, str) else list(one)) for name, one in texts.items()]
    name, pooling = about.get("prompts_name"), about.get("pooling")
    words = ", ".join(filter(None, [str(name or ""), f"pooling {pooling}" if pooling else ""]))
    return (f"<p>{escaped(words)}</p>" if words else "") + _pairs(rows)


def _origin(about: Mapping[str, Any]) -> str:
    """List what made the predictions, and the versions: those of the evaluation, else those that run now."""
    rows = [(str(key), _plain(value)) for key, value in about.items() if key not in _SKIPPED]
    kept = about.get("versions")
    versions = kept if isinstance(kept, Mapping) else environment()["versions"]
    when = "versions" if isinstance(kept, Mapping) else "versions when this page was made"
    rows.append((when, ", ".join(f"{name} {number}" for name, number in versions.items())))
    hardware = about.get("hardware")
    if isinstance(hardware, Mapping):
        rows.append(("hardware", ", ".join(str(value) for value in hardware.values() if value)))
    return _pairs([row for row in rows if row[1]])


def _pairs(rows: Sequence[tuple[str, str | list[str]]]) -> str:
    """Lay out names with a text, or with several, one per line."""
    lines = [(name, [texts] if isinstance(texts, str) else texts) for name, texts in rows]
    cells = (f"<tr><td>{escaped(name)}</td><td>{'<br>'.join(map(escaped, texts))}</td></tr>" for name, texts in lines)
    return f'<table class="words">{"".join(cells)}</table>'


def _table(frame: pd.DataFrame) -> str:
    shown = frame.astype(object).map(lambda value: printable(value) if isinstance(value, str) else value)
    for axis in (0, 1):
        shown = shown.set_axis(pd.Index([printable(name) for name in frame.axes[axis]], dtype=object), axis=axis)
    with pd.option_context("display.max_colwidth", None):
        html: str = shown.to_html(border=0, escape=True, float_format="{:.3f}".format)
    return html


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.4g}"
    if isinstance(value, tuple):
        return " to ".join(_plain(part) for part in value)
    return "" if value is None else str(value)


def _file_name(image: Any) -> str:
    """Name a picture without its folders: the page may go to someone else."""
    name = describe(image)
    return Path(urlsplit(name).path if is_url(image) else name).name if isinstance(image, (str, Path)) else name


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "."
