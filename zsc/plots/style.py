"""What all figures share: colours, sizes, titles, and texts that are broken into lines and never read as formulas."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

RIGHT, WRONG, NEUTRAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's blue and vermilion
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#882255")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">")
WIDTH = 8.0  # inches; at 110 dots an inch as wide as a page of GitHub
SMALL, TITLE = 10.0, 12.0  # points


def new_axes(height: float, width: float = WIDTH) -> Axes:
    """Make a figure with one Axes, sized in inches."""
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def put_title(ax: Axes, title: str) -> None:
    """Set a title, broken into lines as wide as the Axes."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    ax.set_title(wrap(title, max(24, round(inches * 10))), fontsize=TITLE)


def heading(title: str | None, what: str, about: Mapping[Any, Any] | None = None) -> str:
    """Take the given title; else say what is drawn, of which data, by which model, as far as the table knows."""
    if title is not None:
        return title
    dataset, model = ((about or {}).get(key) for key in ("dataset", "model"))
    return what + (f", {dataset}" if dataset else "") + (f", classified by {model}" if model else "")


def wrap(text: object, width: int = 24) -> str:
    """Break a text into lines, with no character read as a formula."""
    return plain("\n".join(textwrap.wrap(str(text), width)) or str(text))


def plain(text: str) -> str:
    """Keep Matplotlib from reading dollar signs as formulas."""
    return text.replace("$", r"\$")


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
