"""Curves: confidence against accuracy, coverage, labelled pictures per class, and steps of training.

Bars and bands are 95 % intervals: Wilson's where pictures are counted, Student's over seeds.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t

from zsc.checks import check_count
from zsc.plots import style
from zsc.plots.style import BAND, DASHES, MARKERS, MOST, NEUTRAL, PALETTE, RIGHT, TEXT_TONES, WIDTH, WRONG, Result

_BINS = ["confidence", "accuracy", "count"]
_LABELLED = 10  # lines that are named at their ends; more have a legend


@style.styled
def reliability(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how often predictions of a given confidence are right, with interval and number of pictures at each point.

    `result` is an `Evaluation`, or a table with one row per bin: confidence (mean probability of the predicted class),
    accuracy, n (or count). Empty bins are left out. No line joins the points: between small bins it would be a zigzag.
    """
    table = style.view(style.view(result, "reliability").rename(columns={"n": "count"}), "reliability", _BINS)
    x, y, counts = table.loc[table["count"] > 0, _BINS].to_numpy(dtype=float).T
    ax = ax or plt.subplots(figsize=(6.4, 5.2))[1]
    ax.plot([0, 1], [0, 1], "--", color=NEUTRAL, linewidth=1.5, label="perfectly calibrated")
    ax.errorbar(x, y, np.abs(style.wilson(y, counts) - y), fmt="o", color=RIGHT, label="the model, n pictures")
    for k in style.thin(len(x)):
        below = 0.08 < y[k] < x[k] or y[k] > 0.92  # away from the diagonal
        ha, va, away = ("left", "top", (5, -5)) if below else ("right", "bottom", (-5, 5))
        ax.annotate(f"{counts[k]:.0f}", (x[k], y[k]), away, textcoords="offset points", ha=ha, va=va)
    style.share_axis(ax, "x", "confidence: probability of the predicted class")
    style.share_axis(ax, "y", "accuracy: share that is right, with its 95 % interval")
    ax.legend(loc="upper left")
    means = (np.array([x, y]) @ counts / max(counts.sum(), 1)).round(3)
    sentence = f"mean confidence {means[0]}, accuracy {means[1]}, in {len(x)} bins of confidence"
    return style.finish(ax, title, "Reliability", sentence, result, n=counts.sum())


@style.styled
def coverage(
    result: Result, *, threshold: float | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw the accuracy on the pictures that are answered, when the model may abstain below a threshold.

    `result` is an `Evaluation`, or a table with one row per threshold of the probability: threshold, coverage (share
    answered), accuracy (of those), and n (answered) for the interval. `threshold`, the one that is used, is marked.
    """
    table = style.view(result, "coverage", ["threshold", "coverage", "accuracy"])
    curve = table.dropna(subset=["coverage", "accuracy"]).sort_values("coverage", kind="stable")
    ax, n, label = ax or plt.subplots(figsize=(WIDTH, 4.6))[1], 0, "accuracy on those answered"
    ax.plot(curve["coverage"], curve["accuracy"], color=RIGHT)
    if "n" in curve:
        some = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, 200).astype(int))]
        ax.fill_between(some["coverage"], *style.wilson(some["accuracy"], some["n"]), color=RIGHT, **BAND)
        n, label = curve["n"].max(), f"{label}, with its 95 % interval"
    away = np.abs(curve["coverage"].to_numpy()[:, None] - [0.1, 0.25, 0.5, 0.75, 1.0])
    for row in curve.iloc[away.argmin(axis=0)[away.min(axis=0) < 0.1]].itertuples():  # in words, well apart
        ax.plot(row.coverage, row.accuracy, "o", color=RIGHT)
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "path_effects": style.HALO}
        ax.annotate(f"p ≥ {row.threshold:.2f}", (row.coverage, row.accuracy), (-2, -18), **look)
    said = f"accuracy {curve['accuracy'].iloc[-1]:.3f} where {curve['coverage'].iloc[-1]:.0%} are answered"
    for kept in () if threshold is None else curve[curve["threshold"] >= threshold].tail(1).itertuples():
        words = f"threshold {threshold:g}: {kept.coverage:.0%} answered, accuracy {kept.accuracy:.3f}"
        ax.plot(kept.coverage, kept.accuracy, "D", color=WRONG, markersize=9, zorder=3, label=words)
        ax.legend(loc="lower right")
        said += f"; {words}"
    style.share_axis(ax, "x", "coverage: share of pictures answered", whole=True)
    style.share_axis(ax, "y", label)
    return style.finish(ax, title, "Accuracy against coverage", said, result, n=n)


@style.styled
def few_shot(
    table: pd.DataFrame, *, zero_shot: float | None = None, lines: Mapping[str, float] | None = None,
    ax: Axes | None = None, title: str | None = None,
) -> Axes:  # fmt: skip
    """Draw accuracy against labelled pictures per class: one dot per seed, a line through their means, its interval.

    `table` has the columns shots, seed, accuracy; with a column method, one line per method is drawn. The band is the
    95 % interval of the mean over three seeds or more; it does not count that other pictures would judge otherwise.
    `zero_shot`, the accuracy without labels, is a dotted line; None takes the table's column zero_shot, if any. `lines`
    are further accuracies to compare with: name -> accuracy.
    """
    style.view(table, "few_shot", ["shots", "seed", "accuracy"])
    methods = list(table.groupby("method", sort=False)) if "method" in table else [("few-shot, mean of seeds", table)]
    ax = ax or plt.subplots(figsize=(WIDTH, max(4.6, 1 + 0.23 * min(len(methods), MOST))))[1]
    said = []
    for place, (name, rows) in enumerate(methods):
        look: dict[str, Any] = {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)]}
        ax.scatter(rows["shots"], rows["accuracy"], s=22, alpha=0.6, linewidths=0, **look)
        found = rows.groupby("shots")["accuracy"].agg(["mean", "sem", "size"])
        means, half = found["mean"], found["sem"].where(found["size"] > 2) * t.ppf(0.975, found["size"] - 1)
        ends = np.clip([means - half, means + half], 0, 1)
        ax.fill_between(means.index, *ends, color=look["color"], **BAND)
        label = style.cut(name, 34) if place < MOST else "_"  # Matplotlib's legends leave out what begins so
        ax.plot(means.index, means, linestyle=DASHES[place % len(DASHES)], label=label, **look)
        said.append(f"{name} {means.iloc[0]:.3f} to {means.iloc[-1]:.3f}")
    columns = {"zero-shot": "zero_shot", "majority class": "baseline"}
    known = {name: float(table[column].iloc[0]) for name, column in columns.items() if column in table}
    known |= ({} if zero_shot is None else {"zero-shot": zero_shot}) | dict(lines or {})
    for name, value in known.items():
        said.append(f"{style.cut(name, 28)}, {value:.3f}")
        ax.axhline(value, linestyle=":", color=NEUTRAL, zorder=2.5, label=said[-1])
    every = np.unique(table["shots"])
    shots = every[style.thin(len(every))]
    style.share_axis(ax, "y", "accuracy")
    ax.set_xscale("symlog" if shots[0] <= 0 else "log", base=2)
    ax.set_xticks(shots, [f"{s:g}" for s in shots])
    ax.minorticks_off()
    ax.set_xlabel("labelled pictures per class (shots)\nfaint marks: single seeds; band: 95 % of their mean")
    _name_lines(ax)
    note = "" if len(methods) <= MOST else f"the legend names {MOST} of {len(methods)} methods"
    sentence = f"accuracy from {shots[0]:g} to {shots[-1]:g} pictures per class: " + ", ".join(said[:_LABELLED])
    return style.finish(ax, title, "Few-shot against zero-shot", sentence, table, note=note)


def _name_lines(ax: Axes) -> None:
    """Name each line at its end, or lower where two names would meet; more than ten in a legend."""
    lines, names = cast(Any, ax.get_legend_handles_labels())
    height = 72 * ax.get_window_extent().height / ax.figure.dpi  # in points
    if len(lines) > _LABELLED:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=min(10, height / (1.5 * len(lines))))
        return
    ends = pd.Series([np.asarray(line.get_ydata())[-1] for line in lines], names).sort_values(ascending=False)
    steps = 14 / height * np.ptp(ax.get_ylim()) * np.arange(len(ends))
    for name, y in ((ends + steps).cummin() - steps).items():
        style.write_beside(ax, y, str(name))


@style.styled
def learning_curve(
    table: pd.DataFrame, *, batch_size: int | None = None, accuracy_label: str = "accuracy", title: str | None = None
) -> Figure:
    """Draw loss and accuracy against the steps of training, one above the other.

    `table` has the columns step, loss, accuracy; rows without one of the two may hold NaN. `batch_size`, the N that
    an accuracy was measured on, gives it its interval, and adds what guessing among N gives: log N and 1 / N.
    """
    style.view(table, "learning_curve", ["step", "loss", "accuracy"])
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 5.4), sharex=True)
    said = []
    for ax, column, colour in ((top, "loss", WRONG), (bottom, "accuracy", RIGHT)):
        known = table.dropna(subset=["step", column])
        ax.plot(known["step"], known[column], color=colour, marker="o" if len(known) <= 40 else "")
        for step, last in known[["step", column]].tail(1).itertuples(index=False):
            tone = TEXT_TONES.get(colour, colour)
            ax.annotate(f"{last:.3f}", (step, last), (6, 0), textcoords="offset points", va="center", color=tone)
            said.append(f"{column} from {known[column].iloc[0]:.3f} to {last:.3f}")
    if batch_size is not None:
        n = check_count(batch_size, "batch_size", low=2)
        bottom.fill_between(known["step"], *style.wilson(known["accuracy"], [n] * len(known)), color=RIGHT, **BAND)
        for ax, value, words in ((top, math.log(n), f"log {n} = {math.log(n):.2f}"), (bottom, 1 / n, f"1 / {n}")):
            ax.axhline(value, linestyle=":", color=NEUTRAL, label=f"guessing: {words}")
            ax.legend()
    style.share_axis(bottom, "y", accuracy_label)
    top.set(ylabel="loss", ylim=(0, None))
    top.grid(axis="y")
    bottom.set_xlabel("step of training")
    bottom.locator_params(axis="x", integer=True)
    return style.finish(figure, title, "Learning curve", ", ".join(said), table)
