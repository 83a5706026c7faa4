"""Metrics of probabilities (N, K) against labels (N,) that scikit-learn lacks or words otherwise; the rest is its own.

All in [0, 1] but the log loss, which is in nats.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from zsc.checks import check_count, check_fraction

SMALLEST = np.finfo(np.float64).tiny  # what a probability of 0 for the true class counts as in the log loss


def top_k_accuracy(y_true: np.ndarray, proba: np.ndarray, k: int) -> float:
    """Give the share of pictures whose true class is among the k most probable; ties go to the lower index.

    Raises
    ------
    ValueError
        If k is not in 1 to K.
    """
    k = check_count(k, "k", high=proba.shape[1])
    top = np.argsort(-proba, axis=1, kind="stable")[:, :k]
    return float((top == y_true[:, None]).any(axis=1).mean())


def log_loss(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the mean of -log of the true class's probability, in nats.

    The one log loss of the package. No row is rescaled and nothing is cut but a probability of 0, which a softmax in
    float64 gives to classes 745 nats behind: it counts as 2.2e-308, that is as 708 nats.
    """
    given = np.clip(proba[np.arange(len(y_true)), y_true], SMALLEST, 1)
    return float(np.log(1 / given).mean())


def brier_score(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the Brier score, halved so that it lies in [0, 1]: for two classes the mean squared error of either's."""
    errors = np.array(proba, dtype=np.float64)
    errors[np.arange(len(y_true)), y_true] -= 1
    return float((errors**2).sum(axis=1).mean() / 2)


def coverage_curve(y_true: np.ndarray, proba: np.ndarray) -> pd.DataFrame:
    """Show what abstaining buys: a row for every threshold that changes something, from the least strict on.

    A prediction is made where the highest probability is at least the threshold.

    Returns
    -------
    pd.DataFrame
        Columns threshold, coverage (the share that is predicted), accuracy (among those), n.
    """
    top = proba.max(axis=1)
    right = proba.argmax(axis=1) == y_true
    order = np.argsort(-top, kind="stable")
    n = np.arange(1, len(top) + 1)
    accuracy = np.cumsum(right[order]) / n
    last = np.r_[np.flatnonzero(np.diff(top[order])), len(top) - 1]  # pictures of equal confidence go together
    curve = pd.DataFrame({"threshold": top[order], "coverage": n / len(top), "accuracy": accuracy, "n": n})
    return curve.iloc[last[::-1]].reset_index(drop=True)


def check_threshold(threshold: float) -> float:
    """Check a threshold on a probability: 0 to 1."""
    return check_fraction(threshold, "threshold", ends=True)
