"""Lay one of our evaluations beside published numbers: is it of the same, then how many pictures the two are apart.

The model, the pictures and the arithmetic are fixed, so that a published number comes back to the digit, or but for the
few pictures that another resize changes. An interval speaks of *other* pictures and decides nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zsc.checks import short
from zsc.datasets.published import find_published
from zsc.evaluation import Evaluation, wilson_interval
from zsc.models.weights import OPENAI_WEIGHTS
from zsc.prompts import prompt_set
from zsc.reproduction.tutorials import Result, Tutorial

FEW, FEW_OF = 3, 0.01  # so many pictures, or this share of them, may answer otherwise after another resize
MADE = ("model", "library", "fingerprint", "weights_sha256", "dataset", "data_digest")
_SAME = {
    "model": "the model",
    "weights_sha256": "the weights' sha256",
    "dataset": "the data set",
    "prompts": "the prompts",
    "pooling": "the pooling rule",
    "normalisation": "the normalisation",
}


def matches(tutorial: Tutorial, result: Result, evaluation: Evaluation) -> list[str]:
    """List why an evaluation is not of what the tutorial judged.

    Parameters
    ----------
    tutorial, result
        What was published, of which model, data set, split, prompts and number of pictures.
    evaluation
        Ours, with what made it in its `about`.

    Returns
    -------
    list
        Reasons, each a few words, not being recorded among them. Empty where model, weights, data set, split, prompts,
        pooling, normalisation and the number of pictures (of each class, where that was published) are the tutorial's.
    """
    prompts = prompt_set(result.prompts)
    expected = {
        "model": tutorial.model,
        "weights_sha256": OPENAI_WEIGHTS[tutorial.model].sha256,
        "dataset": f"{tutorial.dataset} {tutorial.split}",
        "prompts": prompts.texts,
        "pooling": prompts.pooling or "mean",
        "normalisation": result.normalisation,
    }
    found = {key: evaluation.about.get(key) for key in expected}
    found["prompts"] = _plain_prompts(found["prompts"])
    reasons = [_reason(_SAME[key], found[key], wanted) for key, wanted in expected.items() if found[key] != wanted]
    if "threshold" in evaluation.about:
        reasons.append(f"only the answers above a probability of {evaluation.about['threshold']} are judged")
    if evaluation.n != result.pictures:
        return [*reasons, f"{evaluation.n} pictures, not {result.pictures}"]
    counts = find_published(tutorial.dataset).counts[tutorial.split]
    if sum(counts.values()) == result.pictures and "all" not in counts:
        labels = np.bincount(evaluation.y_true, minlength=len(evaluation.class_names))
        ours = dict(zip(evaluation.class_names, labels, strict=True))
        wrong = [name for name in {**counts, **ours} if counts.get(name, 0) != ours.get(name, 0)]
        reasons += [f"{ours.get(name, 0)} pictures of {name}, not {counts.get(name, 0)}" for name in wrong]
    return reasons


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
        Value, low, high. Wilson's interval for shares. For f1 that of the pictures that are right among those that are
        of the class or taken for it, turned into f1: it has a width at 0 and at 1, too. NaN where it is undefined.
    """
    right, of = _share(evaluation, metric)
    if not of:
        return np.nan, np.nan, np.nan
    if not metric.startswith("f1"):
        return (right / of, *wilson_interval(right, int(of)))
    low, high = wilson_interval(right, int(2 * of) - right)  # of J = right / (right + missed + wrongly taken)
    return right / of, 2 * low / (1 + low), 2 * high / (1 + high)  # f1 = 2 J / (1 + J)


def verdict(published: str, ours: float, low: float, high: float, pictures: float | None = None) -> str:
    """Say whether ours agrees with a published number.

    Parameters
    ----------
    published
        The number as it was printed; its last digit says how it was rounded.
    ours, low, high
        As `measure` gives them.
    pictures
        How many pictures ours is a share of, where the published number is of the very same ones. None: it is of
        others, drawn like these, and only the interval can tell.

    Returns
    -------
    str
        Of the same pictures "reproduced to the digit", "k pictures off" (no more than another resize changes: three, or
        one in a hundred) or "differs (by k pictures)"; of others "agrees to the digit", "agrees within the interval" or
        "differs"; "undefined" where ours is.

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
    """Give a row for each published number of a result; one with our accuracy where nothing was published.

    An evaluation that is of something else than the tutorial's gets "no verdict", and the reasons.
    """
    reasons = matches(tutorial, result, evaluation)
    made = {key: evaluation.about.get(key) for key in MADE}
    out = []
    for metric, published in (result.published or {"accuracy": ""}).items():
        ours, low, high = (
            (np.nan,) * 3 if reasons and not _can_measure(evaluation, metric) else measure(evaluation, metric)
        )
        if reasons:
            says = "no verdict"
        elif published:
            says = verdict(published, ours, low, high, _share(evaluation, metric)[1])
        else:
            says = "nothing published"
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
        out.append(row | made)
    return out


def _share(evaluation: Evaluation, metric: str) -> tuple[int, float]:
    """Give how many of how many: for f1, of the mean of those of the class and those taken for it."""
    if not _can_measure(evaluation, metric):
        raise ValueError(
            f"metric {short(metric)}; it must be accuracy, or precision, recall or f1 of one of "
            f"{short(list(evaluation.class_names))}."
        )
    if metric == "accuracy":
        return evaluation.correct, evaluation.n
    kind, _, name = metric.partition(" of ")
    k = evaluation.class_names.index(name)
    right = int((evaluation.right & (evaluation.y_true == k)).sum())
    true, predicted = int((evaluation.y_true == k).sum()), int((evaluation.y_pred == k).sum())
    return right, {"precision": predicted, "recall": true, "f1": (true + predicted) / 2}[kind]


def _can_measure(evaluation: Evaluation, metric: str) -> bool:
    kind, _, name = metric.partition(" of ")
    return metric == "accuracy" or (kind in ("precision", "recall", "f1") and name in evaluation.class_names)


def _plain_prompts(prompts: Any) -> Any:
    """Give prompts as texts and lists, however an evaluation keeps them."""
    if not isinstance(prompts, Mapping):
        return prompts
    return {name: [texts] if isinstance(texts, str) else list(texts) for name, texts in prompts.items()}


def _reason(what: str, found: Any, wanted: Any) -> str:
    if found is None:
        return f"{what} is not recorded" if not what.endswith("prompts") else f"{what} are not recorded"
    if what.endswith("prompts"):
        return f"{what} are others"
    if wanted is None:
        return f"{what} is {short(found)}, which the tutorial's is not"
    return f"{what} is {short(found)}, not {short(wanted)}"
