"""Labels that look wrong: a ranking by what the predictions say of them, and how well it finds a known list.

A suspicion, not a verdict: a model that is bad at a class suspects its right labels. Probabilities must come from a
model that did not learn these labels; zero-shot ones do.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score

from zsc.checks import check_choice, check_every_class, check_labels, check_proba, check_same_length
from zsc.evaluation import Evaluation

METHODS = ("margin", "confident")


def suspect_labels(
    y_true: Any, proba: Any = None, *, images: Sequence[Any] | None = None, method: str = "margin"
) -> pd.DataFrame:
    """Rank pictures by how doubtful their labels are.

    Parameters
    ----------
    y_true
        N labels; or an `Evaluation`; or a table of `ZeroShotClassifier.predict` in which every picture has a label.
    proba
        Shape (N, K), rows that sum to 1; None where `y_true` brings them.
    images
        N picture sources; None takes those that `y_true` brings.
    method
        "margin": the label's probability minus the highest other one. "confident": confident learning by cleanlab
        (`pip install cleanlab`), which asks how sure the model usually is of each class: the suspects it would remove
        come first, and each probability is measured against the class's mean; every class must have a label.

    Returns
    -------
    pd.DataFrame
        Most doubtful first. rank (from 1), index (in the input), image (where known), y_true, y_pred, proba_given (the
        label's probability), margin (in [-1, 1]), quality (in [0, 1], low is doubtful), suspect (by "margin": another
        class is more probable; by "confident": cleanlab would remove it).

    Raises
    ------
    ValueError
        If labels and probabilities do not fit together.
    ImportError
        If `method` is "confident" and cleanlab is not installed.

    References
    ----------
    Northcutt et al., Confident learning: estimating uncertainty in dataset labels, JAIR 2021.
    """
    check_choice(method, METHODS, "method")
    if proba is None:
        y_true, proba, images = _unpack(y_true, images)
    values = check_proba(proba)
    labels = check_labels(y_true, values.shape[1])
    n = check_same_length(y_true=labels, proba=values, **({} if images is None else {"images": images}))
    given = values[np.arange(n), labels]
    others = values.copy()
    others[np.arange(n), labels] = -1
    margin = given - others.max(axis=1)
    quality, suspect = _confident(labels, values) if method == "confident" else ((margin + 1) / 2, margin < 0)
    table = pd.DataFrame(
        {
            "index": np.arange(n),
            "y_true": labels,
            "y_pred": values.argmax(axis=1),
            "proba_given": given,
            "margin": margin,
            "quality": quality,
            "suspect": suspect,
        }
    )
    if images is not None:
        table.insert(1, "image", pd.Series(list(images), dtype=object))
    ranking = table.iloc[np.lexsort((quality, ~suspect))].reset_index(drop=True)
    ranking.insert(0, "rank", np.arange(1, n + 1))
    return ranking


def match_known(
    ranking: pd.DataFrame,
    known_ids: Sequence[Any] | frozenset[Any] | set[Any],
    *,
    at: int | Sequence[int] | None = None,
    ids: Sequence[Any] | None = None,
) -> pd.DataFrame:
    """Say how well a ranking finds labels that someone holds for wrong.

    Parameters
    ----------
    ranking
        From `suspect_labels`.
    known_ids
        The list, such as `zsc.datasets.glasses.suspect_ids()`; ids of pictures that the ranking lacks do not count.
    at
        How far down the ranking one looks, one or several numbers. None: as many as `known_ids` has in the ranking.
    ids
        The id of each picture, in the order of the labels that `suspect_labels` was given; None says that the id is the
        index. For Glasses: the numbers in the file names.

    Returns
    -------
    pd.DataFrame
        A row a number: at, found, known (in the ranking), precision (found / at), recall (found / known), chance (the
        precision of a random order), p_value (how often a random order finds as many or more). `attrs` holds
        average_precision, over the whole ranking.

    Raises
    ------
    ValueError
        If the list has nothing in the ranking, or a number is out of range.
    """
    index = ranking["index"].to_numpy()
    n = len(ranking)
    if ids is not None and len(ids) != n:
        raise ValueError(f"ids holds {len(ids)} and ranking holds {n}; accepted is the same number, one a picture.")
    wanted = set(known_ids)
    hit = np.array([(int(i) if ids is None else ids[i]) in wanted for i in index], dtype=bool)
    known = int(hit.sum())
    if not known:
        raise ValueError(
            f"known_ids holds {len(wanted)} ids and none of the {n} pictures in ranking; accepted are indices, or the "
            "values of ids."
        )
    depths = _depths(at, known, n)
    found = hit.cumsum()[depths - 1]
    table = pd.DataFrame({"at": depths, "found": found, "known": known})
    table["precision"] = found / depths
    table["recall"] = found / known
    table["chance"] = known / n
    table["p_value"] = hypergeom.sf(found - 1, n, known, depths)
    table.attrs["average_precision"] = float(average_precision_score(hit, -np.arange(n)))
    return table


def _unpack(results: Any, images: Sequence[Any] | None) -> tuple[Any, Any, Sequence[Any] | None]:
    """Take labels, probabilities and pictures out of an evaluation or a table of predictions."""
    if isinstance(results, Evaluation):
        return results.y_true, results.proba, results.images if images is None else images
    if not isinstance(results, pd.DataFrame):
        raise TypeError("proba is missing; pass it beside y_true, or pass an Evaluation or a table of predict alone.")
    columns = [c for c in results.columns if str(c).startswith("proba_")]
    if "y_true" not in results.columns or not columns:
        raise ValueError(
            f"the table has the columns {list(results.columns)}; expected y_true and a proba_<class> each."
        )
    if results["y_true"].isna().any():
        raise ValueError(f"y_true lacks {int(results['y_true'].isna().sum())} labels; leave out pictures without one.")
    sources = list(results["image"]) if images is None and "image" in results.columns else images
    return results["y_true"].to_numpy(np.int64), results[columns].to_numpy(np.float64), sources


def _confident(labels: NDArray[np.int64], proba: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ask cleanlab for the quality (N,) of each label and whether it would remove it (N,)."""
    check_every_class(labels, proba.shape[1])
    finder, ranker = _cleanlab("filter"), _cleanlab("rank")
    proba = proba / proba.sum(axis=1, keepdims=True)
    quality = ranker.get_label_quality_scores(labels, proba, method="normalized_margin", adjust_pred_probs=True)
    suspect = finder.find_label_issues(labels, proba, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(quality), np.asarray(suspect, dtype=bool)


def _cleanlab(module: str) -> ModuleType:
    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ImportError as error:
        raise ImportError("method='confident' needs the package cleanlab: pip install cleanlab.") from error


def _depths(at: int | Sequence[int] | None, known: int, n: int) -> NDArray[np.int64]:
    numbers = np.atleast_1d(np.asarray(known if at is None else at))
    if numbers.dtype.kind not in "iu" or not numbers.size or numbers.min() < 1 or numbers.max() > n:
        raise ValueError(f"at={at!r}; accepted are whole numbers, 1 to {n}.")
    return numbers.astype(np.int64)
