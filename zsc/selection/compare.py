"""compare_prompts: candidates on the same pictures, each against a reference, with what can be told and what not.

Interval and p-value of a row belong together: the interval of the difference holds 0 just where p is not below 0.05.
The adjusted p-value, which the verdict goes by, also counts how many were compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.checks import check_choice, check_count
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import holm, mcnemar, paired_interval, wilson_interval
from zsc.selection.candidates import Candidate, evaluations
from zsc.selection.choose import as_rights

if TYPE_CHECKING:
    from zsc.models import Encoder

ALPHA = 0.05
NO_BETTER = "not shown to be better than always naming the most frequent class"


def compare_prompts(
    embeddings: ImageEmbeddings,
    candidates: Mapping[str, Candidate],
    *,
    model: Encoder | str,
    reference: str | None = None,
    pooling: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge candidate prompts on the same pictures, and test each against a reference.

    The p-values speak of prompts that were fixed before these pictures were looked at; to choose the best one and
    report it, take `choose_prompts`.

    Parameters
    ----------
    embeddings
        Labelled pictures, embedded by `model`.
    candidates
        Name -> prompts in any form (see `zsc.selection.as_candidates`).
    model
        The encoder that made the embeddings, or its name.
    reference
        The candidate that the others are tested against; None takes the first.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    seed
        Decides nothing: no number of the table is drawn. It stays so that calls with it go on.

    Returns
    -------
    pd.DataFrame
        One row per candidate, in the given order: n, correct, accuracy, low and high (95 % Wilson), macro_recall,
        baseline (the accuracy of always naming the most frequent class), difference (to the reference) with its 95 %
        interval difference_low and difference_high (`paired_interval`), won and lost (pictures that only this one,
        only the reference gets right), p_value (exact McNemar), p_adjusted (Holm, over all), verdict in words: against
        the reference, and against the baseline where `low` is not above it. NaN in the reference's own row. `attrs`
        says model, data set, reference, how many pictures could not be opened (left_out), and how each candidate's
        classes were matched (matched_by).
    """
    judged = evaluations(embeddings, candidates, model, pooling)
    right = {name: e.right for name, e in judged.items()}
    table = compare_right(right, reference=reference, seed=seed)
    table.insert(5, "macro_recall", [e.macro_recall for e in judged.values()])
    table.insert(6, "baseline", [e.majority_baseline for e in judged.values()])
    columns = zip(table["verdict"], table["low"], table["baseline"], strict=True)
    table["verdict"] = [f"{v}; {NO_BETTER} ({base:.3f})" if low <= base else v for v, low, base in columns]
    about = next(iter(judged.values())).about
    names = ("model", "fingerprint", "dataset", "left_out")
    table.attrs |= {key: about[key] for key in names if key in about}
    table.attrs["matched_by"] = {name: e.about.get("matched_by", "name") for name, e in judged.items()}
    table.attrs["prompts"] = {name: e.about["prompts"] for name, e in judged.items()}
    table.attrs["pooling"] = {name: e.about["pooling"] for name, e in judged.items()}
    return table


def compare_right(right: Mapping[str, np.ndarray], *, reference: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare classifiers of any kind by which of the same N pictures they get right.

    Parameters
    ----------
    right
        Name -> which predictions are right: N bools, the same pictures in the same order for all.
    reference
        The one that the others are tested against; None takes the first.
    seed
        Decides nothing, as in `compare_prompts`.

    Returns
    -------
    pd.DataFrame
        The table of `compare_prompts`, without macro_recall and baseline.
    """
    check_count(seed, "seed", low=0)
    arrays = as_rights(right)
    base = next(iter(arrays)) if reference is None else check_choice(reference, list(arrays), "reference")
    table = pd.DataFrame([_row(name, array, arrays[base], name == base) for name, array in arrays.items()])
    table = table.set_index("candidate")
    table["p_adjusted"] = holm(table["p_value"].to_numpy())
    table["verdict"] = [_verdict(row, base, len(arrays) - 1) for _, row in table.iterrows()]
    table.attrs["reference"] = base
    return table


def _row(name: str, right: np.ndarray, base: np.ndarray, is_reference: bool) -> dict[str, Any]:
    low, high = wilson_interval(int(right.sum()), len(right))
    row: dict[str, Any] = {
        "candidate": name, "n": len(right), "correct": int(right.sum()), "accuracy": float(right.mean()),
        "low": low, "high": high,
    }  # fmt: skip
    blank = dict.fromkeys(("difference", "difference_low", "difference_high", "won", "lost", "p_value"), np.nan)
    if is_reference:
        return row | blank
    bounds = paired_interval(right, base)
    return row | {
        "difference": float(right.mean() - base.mean()),
        "difference_low": bounds[0],
        "difference_high": bounds[1],
        "won": int((right & ~base).sum()),
        "lost": int((~right & base).sum()),
        "p_value": mcnemar(right, base),
    }


def _verdict(row: pd.Series, base: str, tests: int) -> str:
    if np.isnan(row["p_value"]):
        return "reference"
    if row["p_adjusted"] < ALPHA:
        return f"{'better' if row['difference'] > 0 else 'worse'} than {base}"
    counted = f" after {tests} comparisons" if row["p_value"] < ALPHA else ""  # alone they could: says why not
    return f"{int(row['n'])} images cannot tell it from {base}{counted}"
