"""Curves: confidence against accuracy, coverage, labelled pictures per class, and steps of training.

Bars and bands are 95 % intervals: Wilson's where pictures are counted, Student's over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import t

from zsc.checks import check_count
from zsc.plots import style
from zsc.plots.style import DASHES, MARKERS, MOST, NEUTRAL, PALETTE, RIGHT, SMALL, TEXT_TONES, WIDTH, WRONG, Result

_BINS = ["confidence", "accuracy", "count"]
_FEWEST = 10  # pictures of a bin that a line may lead to
_POINTS = 200  # of a curve that get an interval
_LABELLED = 10  # lines that are named at their ends; more have a legend


@style.styled
def reliability(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how often predictions of a given confidence are right, with interval and number of pictures at each point.

    `result` is an `Evaluation`, or a table with one row per bin: confidence (mean probability of the predicted class),
    accuracy, n (or count). Empty bins are left out; those of less than 10 pictures are open circles without a line.
    """
    table = style.view(style.view(result, "reliability").rename(columns={"n": "count"}), "reliability", _BINS)
    ax = ax or style.new_axes(5.2, 6.4)
    shown = table[table["count"] > 0]
    x, y, counts = (shown[name].to_numpy(dtype=float) for name in _BINS)
    ax.plot([0, 1], [0, 1], "--", color=NEUTRAL, linewidth=1.5, label="perfectly calibrated")
    many = counts >= _FEWEST
    ax.plot(x, np.where(many, y, np.nan), color=RIGHT, zorder=2)
    bars = np.abs(style.wilson(y, counts) - y)
    ax.errorbar(x, y, bars, fmt="none", ecolor=RIGHT, elinewidth=1, capsize=0 if len(x) > MOST else 3)
    for which, fill, words in ((many, RIGHT, "the model, n pictures"), (~many, "white", f"n below {_FEWEST}")):
        if which.any():
            sizes = 25 + 90 * counts[which] / max(counts.max(), 1)
            ax.scatter(x[which], y[which], s=sizes, facecolor=fill, edgecolor=RIGHT, zorder=3, label=words)
    for confidence, accuracy, count in shown[_BINS].iloc[style.thin(len(shown))].itertuples(index=False):
        below = 0.08 < accuracy < confidence or accuracy > 0.92  # away from the diagonal
        spot: dict[str, Any] = {"ha": "left", "va": "top"} if below else {"ha": "right", "va": "bottom"}
        spot |= {"xytext": (5, -5) if below else (-5, 5), "textcoords": "offset points", "fontsize": SMALL}
        ax.annotate(f"{count:.0f}", (confidence, accuracy), **spot)
    style.share_axis(ax, "x", "confidence: probability of the predicted class")
    style.share_axis(ax, "y", "accuracy: share that is right, with its 95 % interval")
    ax.legend(loc="upper left")
    means = (np.array([x, y]) @ counts / max(counts.sum(), 1)).round(3)
    sentence = f"mean confidence {means[0]}, accuracy {means[1]}, in {len(x)} bins of confidence"
    style.finish(ax, style.heading(title, "Reliability", result, counts.sum()), sentence, result)
    return ax


@style.styled
def coverage(
    result: Result, *, threshold: float | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw the accuracy on the pictures that are answered, when the model may abstain below a threshold.

    `result` is an `Evaluation`, or a table with one row per threshold of the probability: threshold, coverage (share
    answered), accuracy (of those), and n (answered), which gives the curve its interval. `threshold` is marked: the one
    that is used.
    """
    table = style.view(result, "coverage", ["threshold", "coverage", "accuracy"])
    ax = ax or style.new_axes(4.6)
    curve = table.dropna(subset=["coverage", "accuracy"]).sort_values("coverage", kind="stable")
    ax.plot(curve["coverage"], curve["accuracy"], color=RIGHT)
    ends = curve["accuracy"].to_numpy(dtype=float)
    if "n" in curve:
        some = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))]
        ends = style.wilson(some["accuracy"], some["n"])
        ax.fill_between(some["coverage"], *ends, color=RIGHT, alpha=0.18, linewidth=0)
    for wanted in (0.1, 0.25, 0.5, 0.75, 1.0):  # a few thresholds in words, well apart
        row = curve.iloc[int(np.abs(curve["coverage"].to_numpy() - wanted).argmin())]
        if abs(row["coverage"] - wanted) < 0.1:
            ax.plot(row["coverage"], row["accuracy"], "o", color=RIGHT, markersize=7)
            spot: dict[str, Any] = {"xytext": (-2, -18), "textcoords": "offset points", "path_effects": style.HALO}
            ax.annotate(f"p ≥ {row['threshold']:.2f}", (row["coverage"], row["accuracy"]), ha="right", **spot)
    last = curve.iloc[-1]
    said = f"accuracy {last['accuracy']:.3f} where {last['coverage']:.0%} are answered"
    kept = curve[curve["threshold"] >= threshold] if threshold is not None else curve.head(0)
    if len(kept):
        x, y = kept.iloc[-1][["coverage", "accuracy"]]
        said += (words := f"; threshold {threshold:g}: {x:.0%} answered, accuracy {y:.3f}")
        ax.plot(x, y, "D", color=WRONG, markersize=9, zorder=3, label=words[2:])
        ax.legend(loc="lower right")
    style.share_axis(ax, "x", "coverage: share of pictures answered")
    with_band = ", with its 95 % interval" if "n" in curve else ""
    style.share_axis(ax, "y", "accuracy on those answered" + with_band, [ends.min(), ends.max()])
    n = curve["n"].max() if "n" in curve else None
    style.finish(ax, style.heading(title, "Accuracy against coverage", result, n), said, result)
    return ax


@style.styled
def few_shot(
    table: pd.DataFrame,
    *,
    zero_shot: float | None = None,
    lines: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw accuracy against labelled pictures per class: one dot per seed, a line through their means, its interval.

    `table` has the columns shots, seed, accuracy; with a column method, one line per method is drawn. The band is the
    95 % interval of the mean over three seeds or more; it does not count that other pictures would judge otherwise.
    `zero_shot`, the accuracy without any labelled picture, is a dotted line; None takes the table's column zero_shot,
    if any. `lines` are further accuracies to compare with: name -> accuracy.
    """
    style.view(table, "few_shot", ["shots", "seed", "accuracy"])
    methods = list(table.groupby("method", sort=False)) if "method" in table else [("few-shot, mean of seeds", table)]
    ax = ax or style.new_axes(max(4.6, 1 + 0.23 * min(len(methods), MOST)))
    named, said = [], []
    for place, (name, rows) in enumerate(methods):
        look: dict[str, Any] = {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)]}
        ax.scatter(rows["shots"], rows["accuracy"], s=22, alpha=0.6, linewidths=0, **look)
        found = rows.groupby("shots")["accuracy"].agg(["mean", "sem", "size"])
        means, half = found["mean"], found["sem"] * t.ppf(0.975, found["size"] - 1)
        label = style.cut(name, 34) if place < MOST else "_"  # Matplotlib's legends leave out what begins so
        ax.plot(means.index, means, markersize=7, linestyle=DASHES[place % len(DASHES)], label=label, **look)
        ends = ((means + sign * half.where(found["size"] > 2)).clip(0, 1) for sign in (-1, 1))
        ax.fill_between(means.index, *ends, color=look["color"], alpha=0.13, linewidth=0)
        named.append((label, float(means.iloc[-1])))
        said.append(f"{name} {means.iloc[0]:.3f} to {means.iloc[-1]:.3f}")
    if zero_shot is None and "zero_shot" in table:
        zero_shot = float(table["zero_shot"].iloc[0])
    for name, value in (({} if zero_shot is None else {"zero-shot": zero_shot}) | dict(lines or {})).items():
        label = f"{style.cut(name, 28)}, {value:.3f}"
        ax.axhline(value, linestyle=":", color=NEUTRAL, zorder=2.5, label=label)
        named.append((label, value))
        said.append(label)
    every = sorted(table["shots"].unique())
    shots = [every[k] for k in style.thin(len(every))]
    style.share_axis(ax, "y", "accuracy", [*table["accuracy"], *(value for _, value in named)])
    ax.set_xscale("symlog" if shots[0] <= 0 else "log", base=2)
    ax.set_xticks(shots, [f"{s:g}" for s in shots])
    ax.minorticks_off()
    ax.set_xlabel("labelled pictures per class (shots); faint marks: single seeds; band: 95 % of their mean")
    if len(named) <= _LABELLED:
        low, high = ax.get_ylim()
        gap = 1.4 * SMALL / 72 * (high - low) / (ax.get_window_extent().height / ax.figure.dpi)
        for (label, _), y in zip(named, style.spread([value for _, value in named], gap), strict=True):
            spot: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "va": "center", "annotation_clip": False}
            ax.annotate(label, (1.02, y), fontsize=SMALL, **spot)
    else:
        style.legend_beside(ax, n=min(len(methods), MOST) + len(named) - len(methods))
    note = "" if len(methods) <= MOST else f"the legend names {MOST} of {len(methods)} methods"
    sentence = f"accuracy from {shots[0]:g} to {shots[-1]:g} pictures per class: " + ", ".join(said[:_LABELLED])
    n = table["n"].max() if "n" in table else None
    style.finish(ax, style.heading(title, "Few-shot against zero-shot", table, n), sentence, table, note)
    return ax


@style.styled
def learning_curve(
    table: pd.DataFrame, *, batch_size: int | None = None, accuracy_label: str = "accuracy", title: str | None = None
) -> Figure:
    """Draw loss and accuracy against the steps of training, one above the other.

    `table` has the columns step, loss, accuracy; rows without one of the two may hold NaN. `batch_size`, the N that
    an accuracy was measured on, gives it its interval, and adds what guessing among N gives: log N and 1 / N.
    """
    style.view(table, "learning_curve", ["step", "loss", "accuracy"])
    figure, (top, bottom) = style.subplots(2, 1, WIDTH, 5.4, sharex=True)
    said = []
    for ax, column, colour in ((top, "loss", WRONG), (bottom, "accuracy", RIGHT)):
        known = table.dropna(subset=["step", column])
        ax.plot(known["step"], known[column], color=colour, marker="o" if len(known) <= 40 else "")
        for step, last in known[["step", column]].tail(1).itertuples(index=False):
            spot: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(f"{last:.3f}", (step, last), color=TEXT_TONES.get(colour, colour), fontsize=SMALL, **spot)
            said.append(f"{column} from {known[column].iloc[0]:.3f} to {last:.3f}")
    ends = table["accuracy"].to_numpy(dtype=float)
    if batch_size is not None:
        n = check_count(batch_size, "batch_size", low=2)
        known = table.dropna(subset="accuracy")
        ends = style.wilson(known["accuracy"], [n] * len(known))
        bottom.fill_between(known["step"], *ends, color=RIGHT, alpha=0.18, linewidth=0)
        for ax, value, words in ((top, math.log(n), f"log {n} = {math.log(n):.2f}"), (bottom, 1 / n, f"1 / {n}")):
            ax.axhline(value, linestyle=":", color=NEUTRAL, label=f"guessing: {words}")
            ax.legend()
    style.share_axis(bottom, "y", accuracy_label, ends)
    top.set_ylabel("loss")
    top.set_ylim(bottom=0)
    top.grid(axis="y")
    bottom.set_xlabel("step of training")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.finish(figure, style.heading(title, "Learning curve", table), ", ".join(said), table)
    return figure
