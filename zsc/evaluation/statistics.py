"""How sure a count of right answers is, and whether two classifiers on the same pictures differ.

All of it speaks of pictures drawn like these; none of it knows of wrong labels, or of prompts that were chosen on the
same pictures (for that, see `zsc.selection`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm

from zsc.checks import check_fraction, check_same_length

CONFIDENCE = 0.95


def wilson_interval(correct: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Give the Wilson score interval of a share.

    Parameters
    ----------
    correct, n
        How many of how many.
    confidence
        How often the interval holds the true share.

    Returns
    -------
    tuple
        Low and high, in [0, 1].

    Examples
    --------
    >>> [round(end, 2) for end in wilson_interval(82, 100)]
    [0.73, 0.88]
    """
    low, high = binomtest(int(correct), int(n)).proportion_ci(check_fraction(confidence, "confidence"), method="wilson")
    return float(low), float(high)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Test whether two classifiers are equally often right on the same pictures: McNemar's exact p.

    Only pictures that one gets right and the other wrong count: under equal accuracy each falls to either side with
    probability 1/2. Where there is none, p is 1.

    Parameters
    ----------
    first, second
        Which predictions are right, shape (N,), bool, the same pictures in the same order.

    Returns
    -------
    float
        The two-sided p-value.
    """
    first, second = _pair(first, second)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, *, draws: int = 10_000, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float]:
    """Give the bootstrap interval of the difference of two accuracies on the same pictures, first minus second.

    Pictures are drawn with replacement, both answers to a picture together. A picture adds +1, 0 or -1, so that the
    draws are those of a multinomial, and the end points the percentiles.

    Parameters
    ----------
    first, second
        Which predictions are right, shape (N,), bool.
    draws
        How many bootstrap samples.
    confidence
        How often the interval holds the true difference.
    seed
        For the draws.

    Returns
    -------
    tuple
        Low and high, in [-1, 1].
    """
    first, second = _pair(first, second)
    tail = (1 - check_fraction(confidence, "confidence")) / 2
    n = len(first)
    shares = [(first & ~second).mean(), (~first & second).mean()]
    counts = np.random.default_rng(seed).multinomial(n, [*shares, 1 - sum(shares)], size=draws)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [tail, 1 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Correct p-values for having looked at many (Holm, 1979): shape (C,), each at least its p.

    Rejecting where the corrected p is under alpha keeps the chance of any false alarm under alpha. NaN stays NaN and
    does not count.
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full(p.shape, np.nan)
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return corrected


def images_needed(
    first: float, second: float, *, disagreement: float | None = None, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Say how many pictures McNemar's test needs to tell two accuracies apart (Connor, 1987).

    Parameters
    ----------
    first, second
        The two accuracies, in [0, 1].
    disagreement
        The share of pictures that just one of the two gets right; at least the difference. None takes errors that
        know nothing of each other, which asks for more pictures than the errors of similar prompts do.
    power
        How often the test should see the difference.
    alpha
        How often it may see one that is not there.

    Returns
    -------
    int
        The number of pictures.

    Raises
    ------
    ValueError
        If the accuracies are equal, or the disagreement does not fit them.

    Examples
    --------
    >>> images_needed(0.89, 0.94)
    490
    """
    a, b = check_fraction(first, "first", ends=True), check_fraction(second, "second", ends=True)
    difference = abs(a - b)
    if difference == 0:
        raise ValueError(f"first and second are both {a}; no number of pictures tells equal accuracies apart.")
    apart = (
        a * (1 - b) + b * (1 - a) if disagreement is None else check_fraction(disagreement, "disagreement", ends=True)
    )
    highest = min(a + b, 2 - a - b)
    if disagreement is not None and not difference - 1e-12 <= apart <= highest + 1e-12:
        raise ValueError(f"disagreement={apart}; accuracies of {a} and {b} allow {difference:.3f} to {highest:.3f}.")
    z_alpha = norm.ppf(1 - check_fraction(alpha, "alpha") / 2)
    z_power = norm.ppf(check_fraction(power, "power"))
    spread = max(apart - difference**2, 0.0)
    return math.ceil(((z_alpha * math.sqrt(apart) + z_power * math.sqrt(spread)) / difference) ** 2)


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    arrays = np.asarray(first), np.asarray(second)
    for array, name in zip(arrays, ("first", "second"), strict=True):
        if array.ndim != 1 or not len(array) or array.dtype != bool:
            raise ValueError(
                f"{name} has shape {array.shape} and holds {array.dtype}; pass one bool a picture: which are right."
            )
    check_same_length(first=arrays[0], second=arrays[1])
    return arrays
