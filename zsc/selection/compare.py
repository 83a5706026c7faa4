"""compare_prompts: candidates on the same pictures, each against a reference, with what can be told and what not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import holm, mcnemar, paired_bootstrap, wilson_interval
from zsc.selection.candidates import Candidate, evaluations

if TYPE_CHECKING:
    from zsc.models import Encoder

ALPHA = 0.05


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
        For the bootstrap.

    Returns
    -------
    pd.DataFrame
        A row a candidate, in the given order: n, correct, accuracy, low and high (95 % Wilson), macro_recall,
        difference (to the reference) with its 95 % paired bootstrap interval difference_low and difference_high, won
        and lost (pictures that only this one, only the reference gets right), p_value (exact McNemar), p_adjusted
        (Holm, over all), verdict in words. NaN in the reference's own row. `attrs` says model, data set, reference.
    """
    judged = evaluations(embeddings, candidates, model, pooling)
    right = {name: e.right for name, e in judged.items()}
    table = compare_right(right, reference=reference, seed=seed)
    table.insert(5, "macro_recall", [e.macro_recall for e in judged.values()])
    about = next(iter(judged.values())).about
    table.attrs |= {key: about[key] for key in ("model", "fingerprint", "dataset")}
    table.attrs["prompts"] = {name: e.about["prompts"] for name, e in judged.items()}
    table.attrs["pooling"] = {name: e.about["pooling"] for name, e in judged.items()}
    return table


def compare_right(right: Mapping[str, np.ndarray], *, reference: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare classifiers of any kind by which of the same N pictures they get right.

    Parameters
    ----------
    right
        Name -> which predictions are right, shape (N,), bool.
    reference
        The one that the others are tested against; None takes the first.
    seed
        For the bootstrap.

    Returns
    -------
    pd.DataFrame
        The table of `compare_prompts`, without macro_recall.
    """
    names = list(right)
    base = names[0] if reference is None else reference
    if base not in right:
        raise ValueError(f"reference={base!r}; accepted are {', '.join(names)}.")
    table = pd.DataFrame([_row(name, right[name], right[base], name == base, seed) for name in names])
    table = table.set_index("candidate")
    table["p_adjusted"] = holm(table["p_value"].to_numpy())
    table["verdict"] = [_verdict(row, base) for _, row in table.iterrows()]
    table.attrs["reference"] = base
    return table


def _row(name: str, right: np.ndarray, base: np.ndarray, is_reference: bool, seed: int) -> dict[str, Any]:
    low, high = wilson_interval(int(right.sum()), len(right))
    row: dict[str, Any] = {
        "candidate": name, "n": len(right), "correct": int(right.sum()), "accuracy": float(right.mean()),
        "low": low, "high": high,
    }  # fmt: skip
    blank = dict.fromkeys(("difference", "difference_low", "difference_high", "won", "lost", "p_value"), np.nan)
    if is_reference:
        return row | blank
    bounds = paired_bootstrap(right, base, seed=seed)
    return row | {
        "difference": float(right.mean() - base.mean()),
        "difference_low": bounds[0],
        "difference_high": bounds[1],
        "won": int((right & ~base).sum()),
        "lost": int((~right & base).sum()),
        "p_value": mcnemar(right, base),
    }


def _verdict(row: pd.Series, base: str) -> str:
    if np.isnan(row["p_value"]):
        return "reference"
    if row["p_adjusted"] < ALPHA:
        return f"{'better' if row['difference'] > 0 else 'worse'} than {base}"
    return f"{int(row['n'])} images cannot tell it from {base}"
