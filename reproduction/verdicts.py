"""Compare one of our evaluations with published numbers: is the setup the same, and how many pictures apart are they.

The model, the pictures and the arithmetic are fixed, so a published number is reproduced to the digit, except for the
few pictures that a different resize filter changes. An interval is about *other* pictures and decides nothing here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reproduction.tutorials import METRICS, Result, Tutorial
from zsc.checks import short
from zsc.datasets import find_published
from zsc.evaluation import Evaluation
from zsc.models.weights import OPENAI_WEIGHTS
from zsc.prompts import prompt_set
from zsc.statistics import wilson_interval

FEW, FEW_OF = 3, 0.01  # a different resize filter may change so many answers, or this share of them
MADE = ("model", "library", "fingerprint", "weights_sha256", "dataset", "data_digest")


def matches(tutorial: Tutorial, result: Result, evaluation: Evaluation) -> list[str]:
    """List why an evaluation does not match the tutorial's setup, in a few words per reason.

    The list is empty if model, weights, data set, split, prompts, pooling, normalisation and the number of pictures
    (per class, if that was published) are the tutorial's. A value that was not recorded is a reason, too.
    """
    prompts, made = prompt_set(result.prompts), evaluation.made_by.to_dict()
    expected = {
        "model": ("the model", tutorial.model),
        "weights_sha256": ("the weights' sha256", OPENAI_WEIGHTS[tutorial.model].sha256),
        "dataset": ("the data set", f"{tutorial.dataset} {tutorial.split}"),
        "prompts": ("the prompts", {name: list(texts) for name, texts in prompts.texts.items()}),
        "pooling": ("the pooling rule", prompts.pooling or "mean"),
        "normalisation": ("the normalisation", result.normalisation),
    }
    found = ((what, made.get(key), wanted) for key, (what, wanted) in expected.items())
    reasons = [_reason(what, ours, wanted) for what, ours, wanted in found if ours != wanted]
    if "threshold" in made:
        reasons.append(f"only the answers above a probability of {made['threshold']} are judged")
    if evaluation.n != result.pictures:
        return [*reasons, f"{evaluation.n} pictures, not {result.pictures}"]
    counts = find_published(tutorial.dataset).counts[tutorial.split]
    if sum(counts.values()) == result.pictures and "all" not in counts:
        ours = evaluation.report["support"].to_dict()
        wrong = [name for name in {**counts, **ours} if counts.get(name, 0) != ours.get(name, 0)]
        reasons += [f"{ours.get(name, 0)} pictures of {name}, not {counts.get(name, 0)}" for name in wrong]
    return reasons


def _reason(what: str, found: Any, wanted: Any) -> str:
    is_many = what.endswith("prompts")
    if found is None:
        return f"{what} {'are' if is_many else 'is'} not recorded"
    if is_many:
        return f"{what} are others"
    return (
        f"{what} is {short(found)}, {'which the tutorial does not have' if wanted is None else f'not {short(wanted)}'}"
    )


def measure(evaluation: Evaluation, metric: str) -> tuple[float, float, float]:
    """Return the value, low and high of "accuracy", or of "precision of C", "recall of C" or "f1 of C" for a class C.

    For shares, the 95 % interval is Wilson's. For f1 it is Wilson's interval of J, the share that is right among the
    pictures that are of the class or predicted as it, converted to f1: it has a width at 0 and at 1, too. NaN if the
    metric is undefined.
    """
    right, of = _share(evaluation, metric)
    if not of:
        return np.nan, np.nan, np.nan
    if not metric.startswith("f1"):
        return (right / of, *wilson_interval(right, int(of)))
    low, high = wilson_interval(right, int(2 * of) - right)  # of J = right / (right + missed + wrongly predicted)
    return right / of, 2 * low / (1 + low), 2 * high / (1 + high)  # f1 = 2 J / (1 + J)


def verdict(published: str, ours: float, low: float, high: float, pictures: float | None = None) -> str:
    """Return whether our number agrees with a published one, in words.

    Parameters
    ----------
    published
        The number as printed; its last digit says how it was rounded.
    ours, low, high
        As `measure` returns them.
    pictures
        How many pictures our number is a share of, if the published number is for the very same pictures: a difference
        that a different resize filter can cause is "k pictures off" (up to three, or one in a hundred), a larger one
        "differs". None if it is for other pictures of the same kind, so that only the interval can tell.

    Examples
    --------
    >>> verdict("0.82", 0.823, 0.74, 0.88, pictures=300)
    'reproduced to the digit'
    >>> verdict("0.82", 0.84, 0.76, 0.90, pictures=100)
    '2 pictures off'
    >>> verdict("0.82", 0.89, 0.81, 0.94, pictures=100)
    'differs (by 7 pictures)'
    """
    number = float(published)
    rounding = 0.5 * 10.0 ** -len(published.partition(".")[2])
    if np.isnan(ours):
        return "undefined"
    apart = abs(ours - number) - rounding
    if apart <= 1e-9:
        return "agrees to the digit" if pictures is None else "reproduced to the digit"
    if pictures is None:
        return "agrees within the interval" if low <= number <= high else "differs"
    off = max(1, math.ceil(apart * pictures - 1e-6))
    words = f"{off} picture{'' if off == 1 else 's'}"
    return f"{words} off" if off <= max(FEW, FEW_OF * pictures) else f"differs (by {words})"


def rows(tutorial: Tutorial, result: Result, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return one row per published number of a result, or one row with our accuracy if nothing was published.

    An evaluation that does not match the tutorial's setup gets "no verdict", with the reasons.
    """
    reasons, made = matches(tutorial, result, evaluation), evaluation.made_by.to_dict()
    found = []
    for metric, published in (result.published or {"accuracy": ""}).items():
        is_measured = not reasons or _can_measure(evaluation, metric)
        ours, low, high = measure(evaluation, metric) if is_measured else (np.nan,) * 3
        says = "no verdict" if reasons else "nothing published"
        if published and not reasons:
            says = verdict(published, ours, low, high, _share(evaluation, metric)[1])
        row = {
            "claim": result.claim,
            "metric": metric,
            "published": published or None,
            "ours": ours,
            "low": low,
            "high": high,
            "difference": ours - float(published) if published and not reasons else np.nan,
            "verdict": says,
            "reason": "; ".join(reasons) if reasons else "" if says.endswith(("digit", "published")) else result.reason,
            "n": evaluation.n,
        }
        found.append(row | {key: made.get(key) for key in MADE})
    return found


def _share(evaluation: Evaluation, metric: str) -> tuple[int, float]:
    """Return numerator and denominator; for f1 the latter is the mean of the true and the predicted count."""
    if not _can_measure(evaluation, metric):
        names = short(list(evaluation.class_names))
        raise ValueError(f"metric {short(metric)}; it must be accuracy, or precision, recall or f1 of one of {names}.")
    if metric == "accuracy":
        return evaluation.correct, evaluation.n
    kind, _, name = metric.partition(" of ")
    k = evaluation.class_names.index(name)
    is_true, is_taken = evaluation.y_true == k, evaluation.y_pred == k
    true, predicted = int(is_true.sum()), int(is_taken.sum())
    return int((is_true & is_taken).sum()), {"precision": predicted, "recall": true, "f1": (true + predicted) / 2}[kind]


def _can_measure(evaluation: Evaluation, metric: str) -> bool:
    kind, _, name = metric.partition(" of ")
    return metric == "accuracy" or (kind in METRICS and name in evaluation.class_names)
