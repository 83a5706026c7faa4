"""Metrics of probabilities (N, K) against labels (N,) that scikit-learn lacks or words otherwise; the rest is its own.

All in [0, 1] but the log loss, which is in nats.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss as sklearn_log_loss

from zsc.checks import check_fraction

SMALLEST = 1e-15  # what a probability of 0 for the true class counts as in the log loss


def top_k_accuracy(y_true: np.ndarray, proba: np.ndarray, k: int) -> float:
    """Give the share of pictures whose true class is among the k most probable; ties go to the lower index.

    Raises
    ------
    ValueError
        If k is not in 1 to K.
    """
    classes = proba.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"k={k}; with {classes} classes accepted are 1 to {classes}.")
    top = np.argsort(-proba, axis=1, kind="stable")[:, :k]
    return float((top == y_true[:, None]).any(axis=1).mean())


def log_loss(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the mean of -log of the true class's probability, in nats; 0 counts as 1e-15."""
    clipped = np.clip(proba, SMALLEST, 1)
    return float(
        sklearn_log_loss(y_true, clipped / clipped.sum(axis=1, keepdims=True), labels=np.arange(proba.shape[1]))
    )


def brier_score(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the Brier score, halved so that it lies in [0, 1]: for two classes the mean squared error of either's."""
    errors = proba - np.eye(proba.shape[1])[y_true]
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
