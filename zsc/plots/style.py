"""What all figures share: colours, sizes, titles, and texts in lines that are never read as formulas.

However many classes, prompts or pictures there are, the size of a figure and the number of its texts are bounded here,
and a line under the title says what was left out.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsc.files import printable, write_whole

if TYPE_CHECKING:
    from zsc.evaluation import Evaluation

Result: TypeAlias = "pd.DataFrame | Evaluation"  # a table, or the result that knows its tables, its model and its data
RIGHT, WRONG, NEUTRAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's blue and vermilion
WRONG_TEXT, WRONG_TEXT_DARK = "#B34700", "#FF8A3D"  # vermilion as text needs 4.5 : 1, on white and on a dark ground
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#882255")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">")
WIDTH = 8.0  # inches; at 110 dots per inch as wide as a page of GitHub
SMALL, TITLE = 10.0, 12.0  # points
MOST = 40  # rows of a list, names beside a map, entries of a legend
MOST_CELLS = 30  # rows and columns of a map with texts in its cells
PICTURE_SUFFIXES = ("png", "jpg", "jpeg", "pdf", "svg", "webp")
_LINES, _LONGEST = 120, 12  # lines of names down a figure; lines of one name
_HIGHEST = 40.0  # inches
_DATES = {"pdf": "CreationDate", "svg": "Date"}  # what makes two files of one figure differ


def view(result: Result, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Take a table as it is, and of an `Evaluation` the table of that name; refuse one that lacks columns or rows."""
    table: pd.DataFrame = result if isinstance(result, pd.DataFrame) else getattr(result, name)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(
            f"{name}: the table lacks {', '.join(missing)} (it has {', '.join(map(str, table.columns))}); "
            f"pass one with the columns {', '.join(columns)}."
        )
    if columns and table.empty:
        raise ValueError(f"{name}: the table is empty; pass at least one row.")
    return table


def heading(title: str | None, what: str, result: Result) -> str:
    """Return the given title; else what is drawn, of which data, by which model (a table's columns dataset, model)."""
    if title is not None:
        return title
    if isinstance(result, pd.DataFrame):
        names = (result[key].dropna().unique() if key in result else () for key in ("dataset", "model"))
        dataset, model = (" and ".join(map(str, found)) for found in names)
    else:
        dataset, model = result.made_by.dataset, result.made_by.model
    return what + (f", {dataset}" if dataset else "") + (f", classified by {model}" if model else "")


def new_axes(height: float, width: float = WIDTH) -> Axes:
    """Make a figure with one Axes, sized in inches."""
    _, ax = plt.subplots(figsize=(min(width, _HIGHEST), min(height, _HIGHEST)), layout="constrained")
    return ax


def put_title(ax: Axes, title: str, note: str = "") -> None:
    """Set a title, broken into lines as wide as the Axes, and under it what the figure leaves out."""
    width = max(24, round(10 * ax.get_window_extent().width / ax.figure.dpi))
    ax.set_title("\n".join(wrap(text, width) for text in (title, note) if text), fontsize=TITLE)


def wrap(text: object, width: int = 24, lines: int = _LONGEST) -> str:
    """Break any text into lines; a longer one ends in "...". Control characters and broken bytes become escapes."""
    line = _one_line(text)
    broken = "\n".join(textwrap.wrap(line, width, max_lines=lines, placeholder=" ...")) or line
    return broken.replace("$", r"\$")


def wrap_names(names: Iterable[object], width: int) -> list[str]:
    """Break the names of a list into lines: the more names, the fewer lines each, so that the figure stays bounded."""
    names = list(names)
    lines = min(_LONGEST, max(1, _LINES // max(1, len(names))))
    return [wrap(name, width, lines) for name in names]


def cut(text: object, width: int = 24) -> str:
    """Show a text as one line of at most `width` characters: of a longer one its beginning and its end."""
    line = _one_line(text)
    short = line if len(line) <= width else f"{line[: width // 2 - 1]}…{line[-(width // 2) :]}"
    return short.replace("$", r"\$")


def _one_line(text: object) -> str:
    return printable(" ".join(str(text).expandtabs(1).splitlines()))


def legend_beside(ax: Axes, entries: Sequence[Artist] | None = None, *, n: int) -> None:
    """Put a legend of N entries to the right of an Axes, in small print where it would not fit otherwise."""
    height = ax.get_window_extent().height / ax.figure.dpi
    size = max(4.0, min(SMALL, 72 * height / (1.5 * n)))
    ax.legend(handles=entries, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=size)


def thin(n: int, most: int = MOST) -> np.ndarray:
    """Choose at most `most` of N places, evenly spaced: which ticks get a name."""
    return np.arange(0, n, max(1, -(-n // most)))


def share_axis(ax: Axes, axis: Literal["x", "y"], label: str) -> None:
    """Let an axis run from 0 to 1, with a tick at every fifth and a faint grid."""
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    getattr(ax, f"set_{axis}ticks")(ticks, [f"{t:.1f}" for t in ticks])
    getattr(ax, f"set_{axis}lim")(-0.02, 1.02)
    getattr(ax, f"set_{axis}label")(label)
    faint_grid(ax, axis)
    ax.set_axisbelow(True)


def faint_grid(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Draw a faint grid across one axis, and no frame on the right and above."""
    ax.grid(axis=axis, color="#DDDDDD", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)


def save(figure: Figure | Axes, path: str | Path) -> Path:
    """Write a figure, or the figure of an Axes, as a picture (the suffix chooses the format), and close it.

    The file appears whole or not at all, and the same figure gives the same bytes.
    """
    path = check_picture_path(path)
    figure = cast(Figure, figure.figure) if isinstance(figure, Axes) else figure
    kind = path.suffix.removeprefix(".").lower()
    options: dict[str, Any] = {"format": kind, "dpi": 110}
    if kind in _DATES:
        options["metadata"] = {_DATES[kind]: None}
    try:
        with plt.rc_context({"svg.hashsalt": "zsc"}):
            return write_whole(path, lambda file: figure.savefig(file, **options))
    finally:
        plt.close(figure)


def check_picture_path(path: str | Path) -> Path:
    """Refuse a path that no figure can be written to, before the work that leads to the figure."""
    path = Path(path)
    if path.is_dir() or path.suffix.removeprefix(".").lower() not in PICTURE_SUFFIXES:
        raise ValueError(f"{printable(path)}: no name for a picture; end it with .{', .'.join(PICTURE_SUFFIXES)}.")
    if not os.access(path.parent, os.W_OK):
        folder = printable(path.parent)
        raise ValueError(f"{printable(path)}: the folder {folder} is missing or cannot be written to; choose another.")
    return path
