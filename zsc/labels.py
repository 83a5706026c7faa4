"""Labels that look wrong: a ranking by what the predictions say of them, and how well it finds a known list.

A suspicion, not a verdict: a model that is bad at a class suspects its right labels. Probabilities must come from a
model that did not learn these labels; zero-shot ones do.
"""

import importlib
from collections.abc import Iterable, Mapping
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
    check_unique,
    needed_for,
    short,
)
from zsc.evaluation import Evaluation, as_cells


def suspect_labels(
    y_true: Any, proba: Any = None, *, images: Iterable[Any] | None = None, method: str = "margin"
) -> pd.DataFrame:
    """Rank pictures by how doubtful their labels are.

    The table has the most doubtful first, and the columns rank (from 1), index (in the input), image (where known),
    y_true, y_pred, proba_given (the label's probability), margin (in [-1, 1]), quality (in [0, 1], low is doubtful),
    suspect (by "margin": another class is more probable; by "confident": cleanlab would remove it).

    `y_true` is an `Evaluation` in which every picture has a label; or N labels, beside `proba`, shape (N, K), and
    perhaps N `images`. `method` "margin" is the label's probability minus the highest
    other one; "confident" is confident learning (Northcutt et al., JAIR 2021) by cleanlab: the suspects it would remove
    come first, and each probability is measured against the class's mean; every class must have a label.
    """
    check_choice(method, ("margin", "confident"), "method")
    if isinstance(y_true, Evaluation):
        y_true.check_one_label()
        images = y_true.images if images is None else images
        y_true, proba = y_true.y_true, y_true.proba
    elif proba is None:
        raise TypeError("proba is missing; pass it beside y_true, or pass an Evaluation alone.")
    values = check_proba(proba)
    labels = check_labels(y_true, values.shape[1])
    n = check_same_length(y_true=labels, proba=values)
    given = values[np.arange(n), labels]
    others = values.copy()
    others[np.arange(n), labels] = -1
    margin = given - others.max(axis=1)
    quality, suspect = _confident(labels, values) if method == "confident" else ((margin + 1) / 2, margin < 0)
    columns: dict[str, Any] = {"rank": 0, "index": np.arange(n)}
    if images is not None:
        columns["image"] = as_cells(sources := as_list(images, "images", "pictures"))
        check_same_length(y_true=labels, images=sources)
    columns |= {"y_true": labels, "y_pred": values.argmax(axis=1), "proba_given": given, "margin": margin}
    table = pd.DataFrame(columns | {"quality": quality, "suspect": suspect})
    return table.iloc[np.lexsort((quality, ~suspect))].assign(rank=np.arange(1, n + 1)).reset_index(drop=True)


def _confident(labels: NDArray[np.int64], proba: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ask cleanlab for the quality (N,) of each label and whether it would remove it (N,)."""
    check_every_class(labels, proba.shape[1])
    with needed_for("method='confident'", "labels"):
        finder, ranker = (importlib.import_module(f"cleanlab.{name}") for name in ("filter", "rank"))
    proba = proba / proba.sum(axis=1, keepdims=True)
    quality = ranker.get_label_quality_scores(labels, proba, method="normalized_margin", adjust_pred_probs=True)
    suspect = finder.find_label_issues(labels, proba, filter_by="prune_by_noise_rate", n_jobs=1)
    return np.asarray(quality), np.asarray(suspect, dtype=bool)


def match_known(
    ranking: pd.DataFrame,
    known_ids: Iterable[Any],
    *,
    at: int | Iterable[int] | None = None,
    ids: Iterable[Any] | None = None,
) -> pd.DataFrame:
    """Measure how well a ranking finds labels that someone holds for wrong.

    The table has one row per number: at, found, known (in the ranking), precision (found / at), recall (found / known),
    chance (the precision of a random order), p_value (how often a random order finds as many or more), and
    average_precision (over the whole ranking, the same in every row).

    `ranking` is a table of `suspect_labels`, `known_ids` the list, in any order, such as that of
    `zsc.datasets.glasses.suspect_ids()`; at least one must be in the ranking. `at` is how far down one looks, one or
    several numbers; None: as many as `known_ids` has there. `ids` are those of the pictures, in the order of the labels
    that `suspect_labels` was given; None: the id is the index.
    """
    names = None if ids is None else as_list(ids, "ids", "ids, one for each picture")
    if not isinstance(ranking, pd.DataFrame) or "index" not in ranking or not len(ranking):
        raise TypeError(f"ranking is {short(ranking)}; pass a table of suspect_labels.")
    n = len(ranking) if names is None else check_same_length(ids=names, ranking=ranking)
    index = check_labels(ranking["index"], None if names is None else n, "the column index of ranking").tolist()
    check_unique(index, "the column index of ranking")
    if isinstance(known_ids, (str, bytes, Mapping)):
        raise TypeError(f"known_ids is the {type(known_ids).__name__} {short(known_ids)}; pass a list or a set of ids.")
    wanted = set(known_ids)
    hit = np.array([(i if names is None else names[i]) in wanted for i in index], dtype=bool)
    known = int(hit.sum())
    if not known:
        found = f"known_ids holds {len(wanted)} ids and none of the {n} pictures in ranking"
        raise ValueError(f"{found}; pass indices, or the ids of all pictures as ids=.")
    numbers = as_list(at, "at", "whole numbers") if isinstance(at, Iterable) else [known if at is None else at]
    if not numbers:
        raise ValueError(f"at is empty; pass whole numbers from 1 to {n}.")
    depths = np.array([check_count(number, "at", high=n) for number in numbers])
    found = hit.cumsum()[depths - 1]
    table = pd.DataFrame({"at": depths, "found": found, "known": known})
    table = table.assign(precision=found / depths, recall=found / known, chance=known / n)
    table["p_value"] = hypergeom.sf(found - 1, n, known, depths)
    return table.assign(average_precision=float(average_precision_score(hit, -np.arange(n))))
