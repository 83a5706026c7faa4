"""Curves: confidence against accuracy, coverage, labelled pictures per class, and steps of training."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zsc.plots import style
from zsc.plots.style import MARKERS, MOST, NEUTRAL, PALETTE, RIGHT, SMALL, TITLE, WIDTH, WRONG, Result

_BINS = ["confidence", "accuracy", "count"]


def reliability(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how often predictions of a given confidence are right, with the number of pictures at each point.

    `result` is an `Evaluation`, or a table with one row per bin: confidence (mean probability of the predicted class),
    accuracy, n (or count). Empty bins are left out.
    """
    table = style.view(style.view(result, "reliability").rename(columns={"n": "count"}), "reliability", _BINS)
    ax = ax or style.new_axes(5.2, 6.4)
    shown = table[table["count"] > 0]
    ax.plot([0, 1], [0, 1], "--", color=NEUTRAL, label="perfectly calibrated")
    sizes = 25 + 90 * shown["count"] / shown["count"].max()
    ax.plot(shown["confidence"], shown["accuracy"], color=RIGHT, zorder=2)
    ax.scatter(shown["confidence"], shown["accuracy"], s=sizes, color=RIGHT, zorder=3, label="the model, n pictures")
    for confidence, accuracy, count in shown[_BINS].iloc[style.thin(len(shown))].itertuples(index=False):
        below = 0.08 < accuracy < confidence or accuracy > 0.92  # away from the diagonal
        spot: dict[str, Any] = {"ha": "left", "va": "top"} if below else {"ha": "right", "va": "bottom"}
        spot |= {"xytext": (5, -5) if below else (-5, 5), "textcoords": "offset points", "fontsize": SMALL}
        ax.annotate(f"{count:.0f}", (confidence, accuracy), **spot)
    style.share_axis(ax, "x", "confidence: probability of the predicted class")
    style.share_axis(ax, "y", "accuracy: share that is right")
    ax.legend(loc="upper left", frameon=False, fontsize=SMALL)
    style.put_title(ax, style.heading(title, "Reliability", result))
    return ax


def coverage(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw the accuracy on the pictures that are answered, when the model may abstain below a threshold.

    `result` is an `Evaluation`, or a table with one row per threshold of the probability: threshold, coverage (share
    answered), accuracy (of those).
    """
    table = style.view(result, "coverage", ["threshold", "coverage", "accuracy"])
    ax = ax or style.new_axes(4.6)
    curve = table.dropna(subset=["coverage", "accuracy"]).sort_values("coverage", kind="stable")
    ax.plot(curve["coverage"], curve["accuracy"], color=RIGHT, linewidth=2)
    for wanted in (0.1, 0.25, 0.5, 0.75, 1.0):  # a few thresholds in words, well apart
        row = curve.iloc[int(np.abs(curve["coverage"].to_numpy() - wanted).argmin())]
        if abs(row["coverage"] - wanted) < 0.1:
            ax.plot(row["coverage"], row["accuracy"], "o", color=RIGHT, markersize=7)
            spot: dict[str, Any] = {"xytext": (-2, -18), "textcoords": "offset points", "fontsize": SMALL}
            ax.annotate(f"p ≥ {row['threshold']:.2f}", (row["coverage"], row["accuracy"]), ha="right", **spot)
    style.share_axis(ax, "x", "coverage: share of pictures answered")
    style.share_axis(ax, "y", "accuracy on those answered")
    style.put_title(ax, style.heading(title, "Accuracy against coverage", result))
    return ax


def few_shot(
    table: pd.DataFrame, *, zero_shot: float | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw accuracy against labelled pictures per class: one dot per seed, a line through their means.

    `table` has the columns shots, seed, accuracy; with a column method, one line per method is drawn. `zero_shot`, the
    accuracy without any labelled picture, is a dashed line; None takes the table's column zero_shot, if any.
    """
    style.view(table, "few_shot", ["shots", "seed", "accuracy"])
    methods = list(table.groupby("method", sort=False)) if "method" in table else [("few-shot, mean of seeds", table)]
    ax = ax or style.new_axes(max(4.6, 1 + 0.23 * min(len(methods), MOST)))
    for place, (name, rows) in enumerate(methods):
        colour, marker = PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]
        ax.scatter(rows["shots"], rows["accuracy"], s=26, marker=marker, alpha=0.45, color=colour, edgecolors="none")
        means = rows.groupby("shots")["accuracy"].mean()
        label = style.cut(name, 34) if place < MOST else "_"  # Matplotlib's legends leave out what begins so
        ax.plot(means.index, means, color=colour, marker=marker, markersize=7, label=label)
    if zero_shot is None and "zero_shot" in table:
        zero_shot = float(table["zero_shot"].iloc[0])
    if zero_shot is not None:
        ax.axhline(zero_shot, linestyle="--", color=NEUTRAL, label=f"zero-shot, {zero_shot:.3f}")
    every = sorted(table["shots"].unique())
    shots = [every[k] for k in style.thin(len(every))]
    style.share_axis(ax, "y", "accuracy")
    ax.set_xscale("symlog" if shots[0] <= 0 else "log", base=2)
    ax.set_xticks(shots, [f"{s:g}" for s in shots])
    ax.minorticks_off()
    ax.set_xlabel("labelled pictures per class (shots); each faint mark is one seed")
    if len(methods) <= 10:  # then it fits inside
        ax.legend(loc="lower right", fontsize=SMALL)
    else:
        style.legend_beside(ax, n=min(len(methods), MOST) + 1)
    note = "" if len(methods) <= MOST else f"the legend names {MOST} of {len(methods)} methods"
    style.put_title(ax, style.heading(title, "Few-shot against zero-shot", table), note)
    return ax


def learning_curve(table: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draw loss and accuracy against the steps of training, one above the other.

    `table` has the columns step, loss, accuracy; rows without one of the two may hold NaN.
    """
    style.view(table, "learning_curve", ["step", "loss", "accuracy"])
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained")
    for ax, column, colour in ((top, "loss", WRONG), (bottom, "accuracy", RIGHT)):
        known = table[["step", column]].dropna()
        ax.plot(known["step"], known[column], color=colour, linewidth=2, marker="o" if len(known) <= 40 else "")
        for step, last in known.tail(1).itertuples(index=False):
            spot: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(f"{last:.3f}", (step, last), color=colour, fontsize=SMALL, **spot)
    style.share_axis(bottom, "y", "accuracy")
    top.set_ylabel("loss")
    top.set_ylim(bottom=0)
    style.faint_grid(top, "y")
    bottom.set_xlabel("step of training")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(style.wrap(style.heading(title, "Learning curve", table), 80), fontsize=TITLE)
    return figure
