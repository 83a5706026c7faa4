"""How sure a count of right answers is, and whether two classifiers on the same pictures differ.

All of it holds for pictures drawn like these; none of it accounts for wrong labels, or for prompts chosen on the same
pictures. `first` and `second` say which predictions are right: N bools each, the same pictures in the same order.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import betabinom, binom, binomtest, norm

from zsc.checks import as_array, as_list, check_count, check_fraction, check_same_length, short

CONFIDENCE = 0.95
FORMULA_ONLY = 10**8  # pictures beyond which the exact power and Connor's formula differ by less than 0.0001
Right = NDArray[np.bool_] | Sequence[bool]


def wilson_interval(correct: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Compute the Wilson score interval of a share, `correct` of `n`: low and high, in [0, 1].

    It holds the true share as often as `confidence` says on average over shares, not for every one: where the share is
    within about 0.02 of 0 or 1, a 95 % interval may hold it in only 84 % of samples of 10 to 50 pictures (91 % of 500).

    Examples
    --------
    >>> [round(end, 2) for end in wilson_interval(82, 100)]
    [0.73, 0.88]
    """
    n = check_count(n, "n")
    return _wilson(check_count(correct, "correct", low=0, high=n), n, check_fraction(confidence, "confidence"))


@lru_cache(4096)  # of many classes most have the same counts
def _wilson(correct: int, n: int, confidence: float) -> tuple[float, float]:
    low, high = binomtest(correct, n).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def shares(right: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute K shares and the low and high ends of their 95 % Wilson intervals, shape (K, 3); NaN for none of none."""
    counts = zip(right.tolist(), of.tolist(), strict=True)
    return np.array([(k / n, *_wilson(k, n, CONFIDENCE)) if n else (math.nan,) * 3 for k, n in counts])


def next_right(correct: int, n: int) -> tuple[int, int]:
    """Predict how many of the next hundred pictures are right after `correct` of n: the fewest and the most.

    The central 95 % interval of the beta-binomial distribution under Jeffreys' prior: wider than the share's.

    Examples
    --------
    >>> next_right(89, 100)
    (79, 96)
    """
    correct = check_count(correct, "correct", low=0, high=check_count(n, "n"))
    low, high = betabinom(100, correct + 0.5, n - correct + 0.5).interval(CONFIDENCE)
    return int(low), int(high)


def mcnemar(first: Right, second: Right) -> float:
    """Test whether two classifiers are equally often right on the same pictures: McNemar's exact two-sided p-value."""
    won, lost, _ = _discordant(first, second)
    return float(binomtest(won, won + lost, 0.5).pvalue) if won + lost else 1.0


def paired_interval(first: Right, second: Right, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Compute the interval of the difference of two accuracies, first minus second: low and high, in [-1, 1].

    Tango's score interval (Statistics in Medicine 1998), which holds the true difference about as often as stated from
    10 pictures on (the bootstrap in 18 to 87 % instead of 95 %), and is never empty. It never contradicts `mcnemar`:
    where the exact p is not below 1 - confidence, the interval is extended to 0 if it would end short of it.

    Examples
    --------
    >>> agree = [True] * 17
    >>> [round(end, 2) for end in paired_interval(agree, agree)]
    [-0.18, 0.18]
    """
    won, lost, n = _discordant(first, second)
    alpha = 1 - check_fraction(confidence, "confidence")
    z = float(norm.isf(alpha / 2))
    low, high = -_tango_end(lost, won, n, z), _tango_end(won, lost, n, z)
    if mcnemar(first, second) >= alpha:
        return min(low, 0.0), max(high, 0.0)
    just_off = float(np.nextafter(0, 1))  # beyond a confidence of .999 the score test may be the stricter one
    return (max(low, just_off), high) if won > lost else (low, min(high, -just_off))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Correct p-values for having looked at many (Holm, 1979): shape (C,), each at least its p.

    Rejecting where it is under alpha keeps the chance of any false alarm under alpha. NaN stays NaN and does not count.
    """
    p = np.asarray(as_list(p_values, "p_values", "numbers"), dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    if p.ndim != 1 or not ((p[known] >= 0) & (p[known] <= 1)).all():
        raise ValueError(f"p_values is {short(p_values)}; pass one list of numbers from 0 to 1, NaN where not known.")
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected


def images_needed(
    first: float, second: float, *, disagreement: float | None = None, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Compute how many pictures `mcnemar` needs to tell two accuracies apart.

    `first` and `second` are the accuracies, in [0, 1], and `disagreement` is the share of pictures that just one of the
    two gets right; None assumes independent errors, which is conservative: similar prompts err together. `power` and
    `alpha` say how often the test should see the difference, and how often it may see one that is not there.

    Connor's number (1987), which is for the test's approximation, is raised until the exact test reaches the power;
    from 20,000 pictures on it is within 0.005 % of the fewest, from 100 million on Connor's own. Raises ValueError if
    the accuracies are equal, or the disagreement does not fit them.

    Examples
    --------
    >>> images_needed(0.89, 0.94)
    521
    """
    a, b = check_fraction(first, "first", ends=True), check_fraction(second, "second", ends=True)
    difference = abs(a - b)
    if difference == 0:
        raise ValueError(f"first and second are both {a}; no number of pictures tells equal accuracies apart.")
    apart, highest = a * (1 - b) + b * (1 - a), min(a + b, 2 - a - b)  # of independent errors, and at most
    if disagreement is not None:
        apart = check_fraction(disagreement, "disagreement", ends=True)
    if not difference - 1e-12 <= apart <= highest + 1e-12:
        raise ValueError(f"disagreement={apart}; accuracies of {a} and {b} allow {difference:.3f} to {highest:.3f}.")
    z_alpha = norm.isf(check_fraction(alpha, "alpha") / 2)
    z_power = norm.ppf(check_fraction(power, "power"))
    root = z_alpha * math.sqrt(apart) + z_power * math.sqrt(max(apart - difference**2, 0.0))
    n = max(1, math.ceil((max(root, 0.0) / difference) ** 2))
    share = min((apart + difference) / (2 * apart), 1.0)  # of the pictures that tell them apart, the better one's
    while n < FORMULA_ONLY and _exact_power(n, min(apart, 1.0), share, alpha) < power:
        n += max(1, n // 20_000)
    return n


def as_right(values: Any, name: str) -> NDArray[np.bool_]:
    """Return which predictions are right as an array: N bools, at least one; numbers are refused."""
    given = values if hasattr(values, "__array__") else np.asarray(as_list(values, name, "bools"))
    array = as_array(given, name)
    if array.ndim != 1 or not len(array) or array.dtype != bool:
        raise ValueError(f"{name} has shape {array.shape} and holds {array.dtype}; pass one bool per picture.")
    return array


def _discordant(first: Right, second: Right) -> tuple[int, int, int]:
    """Count the pictures that only the first, and only the second, gets right; and all."""
    one, two = as_right(first, "first"), as_right(second, "second")
    n = check_same_length(first=one, second=two)
    return int((one & ~two).sum()), int((~one & two).sum()), n


def _tango_end(won: int, lost: int, n: int, z: float) -> float:
    """Find the upper end: the largest difference that the score test does not reject."""
    observed = (won - lost) / n

    def excess(difference: float) -> float:  # squared distance less what chance allows, with the likeliest other share
        b = (2 * n - won + lost) * difference - won - lost
        root = math.sqrt(max(b * b + 8 * n * lost * difference * (1 - difference), 0.0))
        other = max((root - b) / (4 * n), 0.0)
        return (won - lost - n * difference) ** 2 - z * z * n * (2 * other + difference * (1 - difference))

    if won == n:
        return 1.0
    return float(brentq(excess, observed + 1e-9 * (1 - observed), 1.0, xtol=1e-12))


def _exact_power(n: int, apart: float, share: float, alpha: float) -> float:
    """Add up how often the exact test rejects, over how many of n pictures tell the two apart."""
    middle, spread = n * apart, math.sqrt(n * apart * (1 - apart))
    m = np.arange(max(0, int(middle - 8 * spread - 8)), min(n, int(middle + 8 * spread + 8)) + 1)
    few = binom.ppf(alpha / 2, m, 0.5)
    few = np.where(2 * binom.cdf(few, m, 0.5) < alpha, few, few - 1)  # the most on one side that is still rejected
    return float(binom.pmf(m, n, apart) @ (binom.cdf(few, m, share) + binom.sf(m - few - 1, m, share)))
