"""Comparisons: classes before and after a change, and prompts in the order of their accuracy, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zsc.checks import check_choice, check_unique, short
from zsc.plots import style
from zsc.plots.style import MOST, NEUTRAL, RIGHT, SMALL, TEXT_TONES, WRONG, Result
from zsc.statistics import CONFIDENCE, mcnemar

ALPHA = 1 - CONFIDENCE
_AGAINST = ("difference", "difference_low", "difference_high")


@style.styled
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
    The metric is "recall", "precision" or "f1". Of more than 40 classes, those that change most are drawn. Of two
    evaluations of the same pictures, a recall that McNemar's exact test cannot tell apart is grey.
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
    ax, places = style.rows_axes(labels, ax)
    support = style.view(after, "report").get("support")
    said = []
    for place, name in zip(places, classes, strict=True):
        change = abs(second[name] - first[name])
        counted = "" if support is None or metric != "recall" else f", {change * support[name]:.0f} of {support[name]}"
        alike = metric == "recall" and _alike(before, after, name)
        said.append(f"{name} {_dumb_bell(ax, place, (float(first[name]), float(second[name])), counted, alike)}")
    style.share_axis(ax, "x", metric, [*first[classes], *second[classes]])
    circle: dict[str, Any] = {"marker": "o", "markersize": 9, "linestyle": "", "markeredgecolor": NEUTRAL}
    handles = [
        Line2D([], [], label=style.wrap(name, 40), markerfacecolor=fill, markeredgewidth=2, **circle)
        for name, fill in zip(names, ("white", NEUTRAL), strict=True)
    ]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=2)
    what = f"{metric.capitalize()} of each class, {names[0]} and {names[1]}"
    note = "" if len(classes) == len(first) else f"the {len(classes)} of {len(first)} classes that change most"
    n = None if support is None else support.sum()
    style.finish(ax, style.heading(title, what, after, n), "; ".join(said), after, note)
    return ax


def _alike(before: Result, after: Result, name: str) -> bool:
    """Say whether McNemar's exact test cannot tell two recalls of a class apart, measured on the same pictures."""
    if isinstance(before, pd.DataFrame) or isinstance(after, pd.DataFrame):
        return False
    rows, same = (e.y_true == e.class_names.index(name) for e in (before, after))
    return np.array_equal(rows, same) and rows.any() and mcnemar(after.right[rows], before.right[rows]) >= ALPHA


def _dumb_bell(ax: Axes, place: float, ends: tuple[float, float], of: str, alike: bool) -> str:
    """Draw one class, and write what changed and whether that is told."""
    start, end = ends
    change = end - start
    colour = NEUTRAL if abs(change) < 0.0005 or alike else RIGHT if change > 0 else WRONG
    ax.plot([start, end], [place, place], color=colour, linewidth=3, zorder=2)
    ax.plot(start, place, "o", markersize=9, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
    ax.plot(end, place, "o", markersize=9, color=colour, zorder=3)
    amount = f"{change:+.2f}" if abs(change) >= 0.005 else f"{change:+.3f}"
    words = "no change"
    if abs(change) >= 0.0005:
        words = f"{amount} {'better' if change > 0 else 'worse'}{of}" + (", not told apart" if alike else "")
    _write_beside(ax, place, words, color=TEXT_TONES.get(colour, colour))
    return words


@style.styled
def ranking(
    table: pd.DataFrame, *, differences: bool | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw candidates, the most accurate on top, each with an interval and its numbers; of more than 40, the best.

    `table` has one row per candidate, its name in the index, and columns accuracy, low, high, as of `compare_prompts`.
    Where it has difference, difference_low, difference_high too, what is drawn is each one's paired difference to the
    reference: intervals of accuracies on the same pictures may overlap and still be apart. "better" and "worse" are
    said of p_adjusted, where it is given. False draws the accuracies.
    """
    style.view(table, "ranking", ["accuracy", "low", "high"])
    if differences is None:
        differences = _AGAINST[0] in table and bool(table[_AGAINST[0]].notna().any())
    columns = _AGAINST if differences else ("accuracy", "low", "high")
    style.view(table, "ranking", columns)
    ordered = table.sort_values("accuracy", ascending=False, kind="stable").head(MOST)
    labels = style.wrap_names(ordered.index, 34)
    ax, places = style.rows_axes(labels, ax)
    drawn = ordered[list(columns)].to_numpy(dtype=float)
    for place, values, (_, row) in zip(places, drawn, ordered.iterrows(), strict=True):
        words = "{:.3f} ({:.3f} to {:.3f})".format(*values)
        words, mark, colour = _judged(row) if differences else (words, "o", RIGHT)
        middle, low, high = np.nan_to_num(values)  # the reference lies at 0
        ax.errorbar(middle, place, xerr=[[middle - low], [high - middle]], fmt=mark, color=colour, markersize=7)
        _write_beside(ax, place, words)
    if differences:
        ax.axvline(0, color=NEUTRAL, linewidth=1, zorder=1)
        ax.grid(axis="x")
        against = f" to {style.cut(table['reference'].iloc[0], 40)}" if "reference" in table else ""
        ax.set_xlabel(f"difference of accuracy{against} on the same pictures, with its 95 % interval")
    else:
        style.share_axis(ax, "x", "accuracy, with its 95 % interval", drawn)
    note = "" if len(ordered) == len(table) else f"the {len(ordered)} best of {len(table)}"
    best = "; ".join(f"{name} {accuracy:.3f}" for name, accuracy in ordered["accuracy"].head(5).items())
    n = table["n"].max() if "n" in table else None
    heading = style.heading(title, "Prompts in the order of their accuracy", table, n)
    style.finish(ax, heading, f"of {len(table)}, {best}", table, note)
    return ax


def _judged(row: pd.Series) -> tuple[str, str, str]:
    """Word a difference to the reference; choose a mark and a colour for what it tells."""
    change, low, high = (float(row[column]) for column in _AGAINST)
    if np.isnan(change):
        return f"{row['accuracy']:.3f}, the reference", "D", NEUTRAL
    told = row["p_adjusted"] < ALPHA if "p_adjusted" in row else low > 0 or high < 0
    word, mark, colour = ("better", "^", RIGHT) if change > 0 else ("worse", "v", WRONG)
    word, mark, colour = (word, mark, colour) if told else ("not told apart", "o", NEUTRAL)
    return f"{row['accuracy']:.3f}, {change:+.3f} ({low:+.3f} to {high:+.3f}) {word}", mark, colour


def _write_beside(ax: Axes, place: float, text: str, **marks: Any) -> None:
    """Write to the right of the Axes, at the height of a row."""
    spot: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    ax.annotate(text, (1.02, place), fontsize=SMALL, **spot, **marks)
