"""Comparisons: classes before and after a change, and prompts in the order of their accuracy with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zsc.checks import check_choice, check_unique, short
from zsc.plots import style
from zsc.plots.style import MOST, NEUTRAL, RIGHT, SMALL, WRONG, Result


def before_after(
    before: Result,
    after: Result,
    *,
    metric: str = "recall",
    names: tuple[str, str] = ("before", "after"),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a dumb-bell for each class: an open circle before, a full one after, and the change in words.

    `before` and `after` are two evaluations, or their `report` tables, of the same classes; `names` tells them apart.
    The metric is "recall", "precision" or "f1". Of more than 40 classes, those that change most are drawn.
    """
    check_choice(metric, ("recall", "precision", "f1"), "metric")
    first, second = (style.view(result, "report", [metric])[metric] for result in (before, after))
    if set(first.index) != set(second.index):
        raise ValueError(
            f"before has the classes {short(list(first.index))}, after {short(list(second.index))}; compare the same."
        )
    check_unique(list(first.index), "before")
    check_unique(list(second.index), "after")
    change = (second[first.index] - first).abs().to_numpy()
    shown = np.sort(np.argsort(-change, kind="stable")[:MOST])  # in the order of the table
    classes = list(first.index[shown])
    labels = style.wrap_names(classes, 26)
    ax = ax or style.new_axes(1.5 + sum(max(0.5, 0.18 * (1 + label.count("\n"))) for label in labels))
    for place, name in enumerate(classes):
        _dumb_bell(ax, place, float(first[name]), float(second[name]))
    ax.set_yticks(range(len(classes)), labels)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    style.share_axis(ax, "x", metric)
    circle: dict[str, Any] = {"marker": "o", "markersize": 9, "linestyle": "", "markeredgecolor": NEUTRAL}
    handles = [
        Line2D([], [], label=style.wrap(name, 40), markerfacecolor=fill, markeredgewidth=2, **circle)
        for name, fill in zip(names, ("white", NEUTRAL), strict=True)
    ]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL)
    what = f"{metric.capitalize()} of each class, {names[0]} and {names[1]}"
    note = "" if len(classes) == len(first) else f"the {len(classes)} of {len(first)} classes that change most"
    style.put_title(ax, style.heading(title, what, after), note)
    return ax


def _dumb_bell(ax: Axes, place: int, start: float, end: float) -> None:
    change = end - start
    colour = NEUTRAL if abs(change) < 0.0005 else RIGHT if change > 0 else WRONG
    ax.plot([start, end], [place, place], color=colour, linewidth=3, zorder=2)
    ax.plot(start, place, "o", markersize=9, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
    ax.plot(end, place, "o", markersize=9, color=colour, zorder=3)
    amount = f"{change:+.2f}" if abs(change) >= 0.005 else f"{change:+.3f}"
    words = "no change" if colour == NEUTRAL else f"{amount} {'better' if change > 0 else 'worse'}"
    _write_beside(ax, place, words, color=colour)


def ranking(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw candidates, the most accurate on top, each with its interval and its numbers; of more than 40, the best.

    `table` has one row per candidate, its name in the index, and columns accuracy, low, high, as of `compare_prompts`.
    """
    style.view(table, "ranking", ["accuracy", "low", "high"])
    ordered = table.sort_values("accuracy", ascending=False, kind="stable").head(MOST)
    labels = style.wrap_names(ordered.index, 34)
    ax = ax or style.new_axes(1.3 + 0.16 * sum(1 + label.count("\n") for label in labels) + 0.26 * len(labels))
    middle = ordered["accuracy"].to_numpy(dtype=float)
    ends = np.abs(ordered[["low", "high"]].to_numpy(dtype=float).T - middle)  # (2, candidates)
    ax.errorbar(middle, range(len(middle)), xerr=ends, fmt="o", color=RIGHT, ecolor=NEUTRAL, capsize=4, markersize=7)
    for place, row in enumerate(ordered.itertuples()):
        _write_beside(ax, place, f"{row.accuracy:.3f} ({row.low:.3f} to {row.high:.3f})")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    style.share_axis(ax, "x", "accuracy, with its 95 % interval")
    note = "" if len(ordered) == len(table) else f"the {len(ordered)} best of {len(table)}"
    style.put_title(ax, style.heading(title, "Prompts in the order of their accuracy", table), note)
    return ax


def _write_beside(ax: Axes, place: int, text: str, **marks: Any) -> None:
    """Write to the right of the Axes, at the height of a row."""
    spot: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    ax.annotate(text, (1.02, place), fontsize=SMALL, **spot, **marks)
