"""What all figures share: colours, sizes, titles, how much is drawn, and texts in lines that are never formulas.

However many classes, prompts or pictures there are, a figure draws what can be read: its size and its number of texts
are bounded here, and the line under its title says what was left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from zsc.files import printable

RIGHT, WRONG, NEUTRAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's blue and vermilion
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#882255")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">")
WIDTH = 8.0  # inches; at 110 dots an inch as wide as a page of GitHub
SMALL, TITLE = 10.0, 12.0  # points
MOST = 40  # rows of a list, names beside a map, entries of a legend
MOST_CELLS = 30  # rows and columns of a map with texts in its cells
_LINES, _LONGEST = 120, 12  # lines of names down a figure; lines of one name
_HIGHEST = 40.0  # inches


def new_axes(height: float, width: float = WIDTH) -> Axes:
    """Make a figure with one Axes, sized in inches."""
    _, ax = plt.subplots(figsize=(min(width, _HIGHEST), min(height, _HIGHEST)), layout="constrained")
    return ax


def put_title(ax: Axes, title: str, note: str = "") -> None:
    """Set a title, broken into lines as wide as the Axes, and under it what the figure leaves out."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    width = max(24, round(inches * 10))
    ax.set_title("\n".join(wrap(text, width) for text in (title, note) if text), fontsize=TITLE)


def heading(title: str | None, what: str, about: Mapping[Any, Any] | None = None) -> str:
    """Take the given title; else say what is drawn, of which data, by which model, as far as the table knows."""
    if title is not None:
        return title
    dataset, model = ((about or {}).get(key) for key in ("dataset", "model"))
    return what + (f", {dataset}" if dataset else "") + (f", classified by {model}" if model else "")


def wrap(text: object, width: int = 24, lines: int = _LONGEST) -> str:
    """Break a text into lines, with no character read as a formula or as a command; a longer one ends in "...".

    Any text can be drawn: one with control characters, or with bytes that are no UTF-8, shows them as escapes.
    """
    one_line = printable(" ".join(str(text).expandtabs(1).splitlines()))
    broken = textwrap.wrap(one_line, width, max_lines=lines, placeholder=" ...")
    return plain("\n".join(broken) or one_line)


def wrap_names(names: Iterable[object], width: int) -> list[str]:
    """Break the names of a list into lines: the more names, the fewer lines each, so that the figure stays bounded."""
    names = list(names)
    lines = min(_LONGEST, max(1, _LINES // max(1, len(names))))
    return [wrap(name, width, lines) for name in names]


def cut(text: object, width: int = 24) -> str:
    """Give a text as one line of at most `width` characters: of a longer one its beginning and its end."""
    line = printable(" ".join(str(text).expandtabs(1).splitlines()))
    return plain(line if len(line) <= width else f"{line[: width // 2 - 1]}…{line[-(width // 2) :]}")


def legend_beside(ax: Axes, entries: Sequence[Artist] | None = None, *, n: int) -> None:
    """Put a legend of N entries to the right of an Axes; its text is small where it could not be read otherwise."""
    height = ax.get_window_extent().height / ax.figure.dpi
    size = max(4.0, min(SMALL, 72 * height / (1.5 * n)))
    given = {} if entries is None else {"handles": entries}
    ax.legend(**given, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=size)


def plain(text: str) -> str:
    """Keep Matplotlib from reading dollar signs as formulas."""
    return text.replace("$", r"\$")


def thin(n: int, most: int = MOST) -> np.ndarray:
    """Choose at most `most` of N places, evenly spaced: which ticks get a name."""
    return np.arange(0, n, max(1, -(-n // most)))


def check_columns(table: pd.DataFrame, names: Sequence[str], what: str) -> None:
    """Refuse a table that lacks a column, in one sentence."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(
            f"{what}: the table lacks {', '.join(missing)} (it has {', '.join(map(str, table.columns))}); "
            f"pass one with the columns {', '.join(names)}."
        )
    if table.empty:
        raise ValueError(f"{what}: the table is empty; pass at least one row.")


def share_axis(ax: Axes, axis: Literal["x", "y"], label: str) -> None:
    """Let an axis run from 0 to 1, with every fifth marked and a faint grid."""
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    getattr(ax, f"set_{axis}ticks")(ticks, [f"{t:.1f}" for t in ticks])
    getattr(ax, f"set_{axis}lim")(-0.02, 1.02)
    getattr(ax, f"set_{axis}label")(label)
    ax.grid(axis=axis, color="#DDDDDD", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
