"""Lay one of our evaluations beside published numbers: ours, its interval, and whether the two agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from zsc.evaluation import Evaluation, wilson_interval
from zsc.reproduction.tutorials import Result

DRAWS = 2000


def measure(evaluation: Evaluation, metric: str) -> tuple[float, float, float]:
    """Give a metric with its 95 % interval.

    Parameters
    ----------
    evaluation
        Ours.
    metric
        "accuracy", or "precision of C", "recall of C", "f1 of C" for a class C.

    Returns
    -------
    tuple
        Value, low, high. Wilson's interval for shares; the bootstrap's over pictures for f1. NaN where it is undefined.
    """
    if metric == "accuracy":
        return (evaluation.accuracy, *evaluation.interval)
    kind, _, name = metric.partition(" of ")
    if kind not in ("precision", "recall", "f1") or name not in evaluation.class_names:
        raise ValueError(
            f"metric {metric!r}; accepted are accuracy, and precision, recall or f1 of {evaluation.class_names}."
        )
    counts = evaluation.confusion.to_numpy()
    k = evaluation.class_names.index(name)
    right, true, predicted = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
    if kind == "f1":
        return _f1(right, true, predicted, evaluation.n)
    of = predicted if kind == "precision" else true
    return (right / of, *wilson_interval(right, of)) if of else (np.nan, np.nan, np.nan)


def verdict(published: str, ours: float, low: float, high: float) -> str:
    """Say whether ours agrees with a published number.

    Parameters
    ----------
    published
        The number as it was printed; its last digit says how it was rounded.
    ours, low, high
        As `measure` gives them.

    Returns
    -------
    str
        "reproduced (to the printed digit)", "reproduced (within our interval)", "differs", or "undefined".

    Examples
    --------
    >>> verdict("0.82", 0.823, 0.74, 0.88)
    'reproduced (to the printed digit)'
    >>> verdict("0.82", 0.90, 0.83, 0.95)
    'differs'
    """
    number = float(published)
    rounding = 0.5 * 10.0 ** -len(published.partition(".")[2])
    if np.isnan(ours):
        return "undefined"
    if abs(ours - number) <= rounding + 1e-9:
        return "reproduced (to the printed digit)"
    return "reproduced (within our interval)" if low <= number <= high else "differs"


def rows(result: Result, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Give a row for each published number of a result; one with our accuracy where nothing was published."""
    about = evaluation.about
    made = {
        key: about.get(key) for key in ("model", "library", "fingerprint", "weights_sha256", "dataset", "data_digest")
    }
    out = []
    for metric, published in (result.published or {"accuracy": ""}).items():
        ours, low, high = measure(evaluation, metric)
        says = verdict(published, ours, low, high) if published else "nothing published"
        row = {
            "claim": result.claim,
            "metric": metric,
            "published": published or None,
            "ours": ours,
            "low": low,
            "high": high,
            "difference": ours - float(published) if published else np.nan,
            "verdict": says,
            "reason": result.reason if says == "differs" else "",
            "n": evaluation.n,
        }
        out.append(row | made)
    return out


def _f1(right: int, true: int, predicted: int, n: int) -> tuple[float, float, float]:
    """Give F1 and its bootstrap interval: pictures are right, missed, wrongly taken, or none of these."""
    if not true + predicted:
        return np.nan, np.nan, np.nan
    counts = np.array([right, true - right, predicted - right])
    shares = np.append(counts, n - counts.sum()) / n
    drawn = np.random.default_rng(0).multinomial(n, shares, size=DRAWS)[:, :3].astype(float)
    total = 2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2]
    values = np.divide(2 * drawn[:, 0], total, out=np.zeros(DRAWS), where=total > 0)
    low, high = np.quantile(values, [0.025, 0.975])
    return 2 * right / (true + predicted), float(low), float(high)
