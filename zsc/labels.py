"""Labels that look wrong: a ranking by what the predictions say of them, and how well it finds a known list.

A suspicion, not a verdict: a model that is bad at a class suspects its right labels. Probabilities must come from a
model that did not learn these labels; zero-shot ones do.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score

from zsc.checks import (
    as_list,
    check_choice,
    check_count,
    check_every_class,
    check_labels,
    check_proba,
    check_same_length,
    short,
)
from zsc.evaluation import Evaluation
from zsc.results import as_cells

METHODS = ("margin", "confident")


def suspect_labels(
    y_true: Any, proba: Any = None, *, images: Iterable[Any] | None = None, method: str = "margin"
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
    sources = None if images is None else as_list(images, "images", "pictures")
    n = check_same_length(y_true=labels, proba=values, **({} if sources is None else {"images": sources}))
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
    if sources is not None:
        table.insert(1, "image", as_cells(sources))
    ranking = table.iloc[np.lexsort((quality, ~suspect))].reset_index(drop=True)
    ranking.insert(0, "rank", np.arange(1, n + 1))
    return ranking


def match_known(
    ranking: pd.DataFrame,
    known_ids: Iterable[Any],
    *,
    at: int | Iterable[int] | None = None,
    ids: Iterable[Any] | None = None,
) -> pd.DataFrame:
    """Say how well a ranking finds labels that someone holds for wrong.

    Parameters
    ----------
    ranking
        From `suspect_labels`.
    known_ids
        The list, in any order, such as `zsc.datasets.glasses.suspect_ids()`; ids of pictures that the ranking lacks do
        not count.
    at
        How far down the ranking one looks, one or several numbers. None: as many as `known_ids` has in the ranking.
    ids
        The id of each picture, in the order of the labels that `suspect_labels` was given (of a Series: by place); None
        says that the id is the index. For Glasses: the numbers in the file names.

    Returns
    -------
    pd.DataFrame
        One row per number: at, found, known (in the ranking), precision (found / at), recall (found / known), chance
        (the precision of a random order), p_value (how often a random order finds as many or more). `attrs` holds
        average_precision, over the whole ranking.

    Raises
    ------
    ValueError
        If the list has nothing in the ranking, or a number is out of range.
    """
    names = None if ids is None else as_list(ids, "ids", "ids, one for each picture")
    index = _ranked(ranking, None if names is None else len(names))
    n = len(index)
    if isinstance(known_ids, (str, bytes, Mapping)):
        raise TypeError(f"known_ids is the {type(known_ids).__name__} {short(known_ids)}; pass a list or a set of ids.")
    wanted = set(known_ids)
    hit = np.array([(i if names is None else names[i]) in wanted for i in index], dtype=bool)
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


def _ranked(ranking: Any, n_ids: int | None) -> list[int]:
    """Check that a ranking holds each picture once, and give their indices in its order."""
    if not isinstance(ranking, pd.DataFrame) or "index" not in ranking or not len(ranking):
        raise TypeError(f"ranking is {short(ranking)}; pass a table of suspect_labels.")
    if n_ids is not None and n_ids != len(ranking):
        raise ValueError(f"ids holds {n_ids} and ranking holds {len(ranking)}; pass one id for each picture.")
    index = check_labels(ranking["index"], n_ids, "the column index of ranking")
    if len(np.unique(index)) < len(index):
        raise ValueError("the column index of ranking holds a picture twice; pass a table of suspect_labels.")
    return [int(i) for i in index]


def _unpack(results: Any, images: Iterable[Any] | None) -> tuple[Any, Any, Iterable[Any] | None]:
    """Take labels, probabilities and pictures out of an evaluation or a table of predictions."""
    if isinstance(results, Evaluation):
        return results.y_true, results.proba, results.images if images is None else images
    if not isinstance(results, pd.DataFrame):
        raise TypeError("proba is missing; pass it beside y_true, or pass an Evaluation or a table of predict alone.")
    columns = [c for c in results.columns if str(c).startswith("proba_")]
    if "y_true" not in results.columns or not columns:
        raise ValueError(
            f"the table has the columns {short(list(results.columns))}; expected y_true and a proba_<class> each."
        )
    if results["y_true"].isna().any():
        raise ValueError(f"y_true lacks {int(results['y_true'].isna().sum())} labels; leave out pictures without one.")
    sources = list(results["image"]) if images is None and "image" in results.columns else images
    return results["y_true"], results[columns], sources


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


def _depths(at: int | Iterable[int] | None, known: int, n: int) -> NDArray[np.int64]:
    wanted = known if at is None else at
    numbers = as_list(wanted, "at", "whole numbers") if isinstance(wanted, Iterable) else [wanted]
    if not numbers:
        raise ValueError(f"at is empty; pass whole numbers from 1 to {n}.")
    return np.array([check_count(number, "at", high=n) for number in numbers], dtype=np.int64)
