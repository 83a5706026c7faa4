"""Comparisons: classes before and after a change, and prompts in the order of their accuracy with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zsc.checks import check_unique, short
from zsc.plots.style import (
    MOST,
    NEUTRAL,
    RIGHT,
    SMALL,
    WRONG,
    check_columns,
    heading,
    new_axes,
    put_title,
    share_axis,
    wrap,
    wrap_names,
)

METRICS = ("recall", "precision", "f1")


def before_after(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    metric: str = "recall",
    names: tuple[str, str] = ("before", "after"),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a dumb-bell for each class: an open circle before, a full one after, and the change in words.

    Of more than 40 classes, those that change most.

    Parameters
    ----------
    before, after
        Two `Evaluation.report` tables of the same classes.
    metric
        "recall", "precision" or "f1".
    names
        What the two stand for, such as ("prompts A", "prompts B").
    ax
        Where to draw; a new figure where None.
    title
        Above; names what the table's `attrs` know where None.

    Raises
    ------
    ValueError
        If a table lacks the metric, or the two have different classes.
    """
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}; it must be one of {', '.join(METRICS)}.")
    for table in (before, after):
        check_columns(table, [metric], "before_after")
    if set(before.index) != set(after.index):
        raise ValueError(
            f"before has the classes {short(list(before.index))}, after {short(list(after.index))}; compare the same."
        )
    check_unique(list(before.index), "before")
    check_unique(list(after.index), "after")
    change = (after.loc[before.index, metric] - before[metric]).abs().to_numpy()
    shown = np.sort(np.argsort(-change, kind="stable")[:MOST])  # in the order of the table
    classes = list(before.index[shown])
    labels = wrap_names(classes, 26)
    ax = ax or new_axes(1.5 + sum(max(0.5, 0.18 * (1 + label.count("\n"))) for label in labels))
    for place, name in enumerate(classes):
        _dumb_bell(ax, place, float(before.loc[name, metric]), float(after.loc[name, metric]))
    ax.set_yticks(range(len(classes)), labels)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    share_axis(ax, "x", metric)
    circle: dict[str, Any] = {
        "marker": "o",
        "markersize": 9,
        "linestyle": "",
        "markeredgecolor": NEUTRAL,
        "markeredgewidth": 2,
    }
    fills = ("white", NEUTRAL)
    handles = [
        Line2D([], [], label=wrap(name, 40), markerfacecolor=fill, **circle)
        for name, fill in zip(names, fills, strict=True)
    ]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL)
    note = "" if len(classes) == len(before) else f"the {len(classes)} of {len(before)} classes that change most"
    put_title(ax, heading(title, f"{metric.capitalize()} of each class, {names[0]} and {names[1]}", after.attrs), note)
    return ax


def ranking(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw candidates, the most accurate on top, each with its interval and its numbers; of more than 40, the best.

    Parameters
    ----------
    table
        One row per candidate, its name in the index; columns accuracy, low, high, as `compare_prompts` gives them.
    ax
        Where to draw; a new figure where None.
    title
        Above; names what the table's `attrs` know where None.
    """
    check_columns(table, ["accuracy", "low", "high"], "ranking")
    ordered = table.sort_values("accuracy", ascending=False, kind="stable").head(MOST)
    labels = wrap_names(ordered.index, 34)
    lines = sum(1 + label.count("\n") for label in labels)
    ax = ax or new_axes(1.3 + 0.16 * lines + 0.26 * len(labels))
    middle = ordered["accuracy"].to_numpy(dtype=float)
    ends = np.abs(ordered[["low", "high"]].to_numpy(dtype=float).T - middle)  # (2, candidates)
    ax.errorbar(middle, range(len(middle)), xerr=ends, fmt="o", color=RIGHT, ecolor=NEUTRAL, capsize=4, markersize=7)
    for place, row in enumerate(ordered.itertuples()):
        text = f"{row.accuracy:.3f} ({row.low:.3f} to {row.high:.3f})"
        ax.annotate(
            text, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL, annotation_clip=False
        )
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    share_axis(ax, "x", "accuracy, with its 95 % interval")
    note = "" if len(ordered) == len(table) else f"the {len(ordered)} best of {len(table)}"
    put_title(ax, heading(title, "Prompts in the order of their accuracy", table.attrs), note)
    return ax


def _dumb_bell(ax: Axes, place: int, start: float, end: float) -> None:
    change = end - start
    colour = NEUTRAL if abs(change) < 0.0005 else RIGHT if change > 0 else WRONG
    ax.plot([start, end], [place, place], color=colour, linewidth=3, zorder=2)
    ax.plot(start, place, "o", markersize=9, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
    ax.plot(end, place, "o", markersize=9, color=colour, zorder=3)
    amount = f"{change:+.2f}" if abs(change) >= 0.005 else f"{change:+.3f}"
    words = "no change" if colour == NEUTRAL else f"{amount} {'better' if change > 0 else 'worse'}"
    spot: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    ax.annotate(words, (1.02, place), color=colour, fontsize=SMALL, **spot)
