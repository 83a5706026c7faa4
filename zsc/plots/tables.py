"""Comparisons: classes before and after a change, and prompts in the order of their accuracy, with intervals."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from zsc.checks import check_choice, check_unique, short
from zsc.plots import style
from zsc.plots.style import MOST, NEUTRAL, RIGHT, TEXT_TONES, WRONG, Result
from zsc.statistics import CONFIDENCE, mcnemar

ALPHA = 1 - CONFIDENCE
_PAIRED = ["difference", "difference_low", "difference_high"]
_TONES = {"better": RIGHT, "worse": WRONG, "told apart": WRONG}  # what a test does not tell is neutral


@style.styled
def before_after(
    before: Result, after: Result, *, metric: str = "recall", names: tuple[str, str] = ("before", "after"),
    ax: Axes | None = None, title: str | None = None,
) -> Axes:  # fmt: skip
    """Draw a dumb-bell for each class: an open circle before, a full one after, and the change in words.

    `before` and `after` are two evaluations, or their `report` tables, of the same classes. The metric is "recall",
    "precision" or "f1". Of more than 40 classes, those that change most are drawn. "better" and "worse" are said where
    McNemar's exact test tells: of the recall of two evaluations of the same pictures; else it says "not tested".
    """
    check_choice(metric, ("recall", "precision", "f1"), "metric")
    first, second = (style.view(result, "report", [metric])[metric] for result in (before, after))
    check_unique(list(first.index), "before")
    if len(first) != len(second) or set(first.index) != set(second.index):
        told = f"before has the classes {short(list(first.index))}, after {short(list(second.index))}"
        raise ValueError(f"{told}; compare the same.")
    changes = second[first.index] - first
    shown = np.sort(np.argsort(-changes.abs().to_numpy(), kind="stable")[:MOST])  # in the order of the table
    classes = first.index[shown]
    ax, places = style.rows_axes(classes, 26, ax)
    support = style.view(after, "report").get("support")
    paired = [one for one in (before, after) if not isinstance(one, pd.DataFrame) and one.thresholds is None]
    truths = [[e.class_names[k] for k in e.y_true] for e in paired]
    is_tested = metric == "recall" and len(truths) == 2 and truths[0] == truths[1]
    colours, said = [], []
    for place, name, change in zip(places, classes, changes[classes], strict=True):
        words = verdict = "not defined" if np.isnan(change) else "no change"
        if abs(change) >= 0.0005:
            verdict = "not tested"
            if is_tested:
                p = mcnemar(*(e.right[e.y_true == e.class_names.index(name)] for e in paired))
                verdict = "not told apart" if p >= ALPHA else "better" if change > 0 else "worse"
            words = f"{change:+.3f} {verdict}"
            if support is not None and metric == "recall":
                words += f", {abs(change) * support[name]:.0f} of {support[name]}"
        colour = _TONES.get(verdict, NEUTRAL)
        colours.append(colour)
        style.write_beside(ax, place, words, color=TEXT_TONES.get(colour, colour))
        said.append(f"{name} {words}")
    ax.hlines(places, first[classes], second[classes], colors=colours, linewidth=3, zorder=2)
    for values, fill in ((first, "white"), (second, colours)):
        ax.scatter(values[classes], places, s=80, color=fill, edgecolors=colours, linewidths=2, zorder=3)
    style.share_axis(ax, "x", style.wrap(f"{metric}: ○ {names[0]}, ● {names[1]}", 80))
    what = f"{metric.capitalize()} of each class, {names[0]} and {names[1]}"
    note = "" if len(classes) == len(first) else f"the {len(classes)} of {len(first)} classes that change most"
    return style.finish(ax, title, what, "; ".join(said), after, note=note, n=0 if support is None else support.sum())


@style.styled
def ranking(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw candidates, the most accurate on top, each with an interval and its numbers; of more than 40, the best.

    `table` has one row per candidate, its name in the index, and columns accuracy, low, high, as of `compare_prompts`.
    Where it has difference, difference_low, difference_high too, each one's paired difference to the reference is
    drawn: intervals of accuracies on the same pictures may overlap and still be apart. "better" and "worse" go by
    p_adjusted, where it is given; where that overrules the interval, the words say so.
    """
    style.view(table, "ranking", ["accuracy", "low", "high"])
    paired = set(_PAIRED) <= set(table) and table[_PAIRED].notna().any(axis=None)
    columns = _PAIRED if paired else ["accuracy", "low", "high"]
    ordered = table.sort_values("accuracy", ascending=False, kind="stable").head(MOST)
    ax, places = style.rows_axes(ordered.index, 34, ax)
    for place, (_, row) in zip(places, ordered.iterrows(), strict=True):
        middle, low, high = row[columns].astype(float).fillna(0)  # the reference lies at 0
        verdict, words = "", f"{middle:.3f} ({low:.3f} to {high:.3f})"
        if paired and pd.isna(row["difference"]):
            verdict, words = "the reference", f"{row['accuracy']:.3f}, the reference"
        elif paired:
            apart = low > 0 or high < 0
            told = row["p_adjusted"] < ALPHA if "p_adjusted" in row else apart
            verdict = "not told apart" if not told else "better" if middle > 0 else "worse"
            words = f"{row['accuracy']:.3f}, {middle:+.3f} ({low:+.3f} to {high:+.3f}) {verdict}"
            words += "\nafter Holm's correction" if apart and not told else ""  # by its own test it would be
        ax.errorbar(middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color=_TONES.get(verdict, NEUTRAL))
        style.write_beside(ax, place, words)
    if paired:
        ax.axvline(0, color=NEUTRAL, linewidth=1, zorder=1)
        ax.grid(axis="x")
        against = f" to {style.cut(table['reference'].iloc[0], 40)}" if "reference" in table else ""
        ax.set_xlabel(f"difference of accuracy{against}\non the same pictures, with its 95 % interval")
    else:
        style.share_axis(ax, "x", "accuracy, with its 95 % interval")
    if "baseline" in table:
        floor, start = table["baseline"].iloc[0], table["accuracy"][table[_PAIRED[0]].isna()].iloc[0] if paired else 0.0
        low, high = ax.get_xlim()
        if is_near := floor - start > 2 * low - high:  # one further away would press the intervals together
            ax.axvline(floor - start, linestyle=":", color=NEUTRAL, zorder=1)
            ax.set_xlim(min(low, floor - start - 0.02), high)
        where = "dotted" if is_near else "not drawn, far below"
        ax.set_xlabel(f"{ax.get_xlabel()}\n{where}: always naming the most frequent class, {floor:.3f}")
    note = "" if len(ordered) == len(table) else f"the {len(ordered)} best of {len(table)}"
    best = f"of {len(table)}, " + "; ".join(f"{name} {x:.3f}" for name, x in ordered["accuracy"].head(5).items())
    return style.finish(ax, title, "Prompts in the order of their accuracy", best, table, note=note)


@style.styled
def audit(audit: Any, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw what `zsc.audit` found: each row with its interval, numbers and verdict; of a kind at most 40."""
    table = audit.table.dropna(subset="value").fillna({"verdict": ""}).groupby("kind").head(MOST)
    ax, places = style.rows_axes(table["kind"] + ": " + table["name"], 34, ax)
    said = []
    for place, row in zip(places, table.to_dict("records"), strict=True):
        columns = _PAIRED if row["kind"] == "cause" else ("value", "low", "high")
        middle, low, high = (row[column] for column in columns)
        words, colour = f"{middle:.3f} ({low:.3f} to {high:.3f}) {row['verdict']}", _TONES.get(row["verdict"], NEUTRAL)
        ax.errorbar(middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color=colour)
        style.write_beside(ax, place, words, color=TEXT_TONES.get(colour, colour))
        said.append(f"{row['name']} {words}")
    ax.grid(axis="x")
    ax.set_xlabel("change: flipped answers; group: accuracy; gap: of accuracies; cause: more of the answer")
    return style.finish(ax, title, "What breaks it", "; ".join(said), audit.evaluation, n=audit.evaluation.n)
