"""choose_prompts: choose on one part of the pictures, report on the other.

The best of several prompts looks better on the pictures it was chosen on than it is. The difference is the optimism;
it is reported, and the accuracy to quote is the held-out one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from zsc.checks import check_count, check_fraction, check_labels, check_same_length, check_unique, short
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.evaluation.statistics import as_right
from zsc.prompts import ClassPrompts
from zsc.selection.candidates import Candidate, as_candidates, evaluations

if TYPE_CHECKING:
    from zsc.models import Encoder


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and how good it is on pictures that had no say.

    Attributes
    ----------
    name, prompts
        The chosen candidate: the best of the choosing part; of repeated splits, the one chosen most often.
    evaluation
        With one split, the chosen candidate on the part that had no say. None with several (`repeats` above 1, or
        `cross_fit`): there every picture had a say in which candidate is chosen most often, and none is held out.
    splits
        One row per split and choosing part: repeat, part (which half chose), chosen, chosen_accuracy (on the part that
        chose), held_out_accuracy (of the same candidate on the other part), optimism (their difference), n_chosen,
        n_held_out.
    """

    name: str
    prompts: ClassPrompts
    evaluation: Evaluation | None
    splits: pd.DataFrame

    @property
    def chosen_accuracy(self) -> float:
        """The mean accuracy of the choice on the part that chose: too high to quote."""
        return float(self.splits["chosen_accuracy"].mean())

    @property
    def held_out_accuracy(self) -> float:
        """The mean accuracy of each split's own choice on its other part: with several, of this way of choosing."""
        return float(self.splits["held_out_accuracy"].mean())

    @property
    def optimism(self) -> float:
        """What choosing adds to the accuracy on the part that chose: chosen less held-out."""
        return self.chosen_accuracy - self.held_out_accuracy

    def summary(self) -> str:
        """Say the choice, its held-out accuracy and the optimism, and what there is no interval for."""
        often = (self.splits["chosen"] == self.name).sum()
        how, interval, end = f"in {often} of {len(self.splits)} splits", "", ""
        if self.evaluation is None:
            end = f" Over {len(self.splits)} splits every picture had a say in the name, so no evaluation is held out."
        else:
            low, high = self.evaluation.interval
            how, interval = "on one part", f" (95 % interval {low:.3f} to {high:.3f})"
        return (
            f"chosen {how}: {self.name}; accuracy where it was chosen {self.chosen_accuracy:.3f}, on pictures that had "
            f"no say {self.held_out_accuracy:.3f}{interval}; optimism {self.optimism:+.3f}.{end}"
        )

    def __repr__(self) -> str:
        return f"Choice({self.summary()})"


def choose_prompts(
    embeddings: ImageEmbeddings,
    candidates: Mapping[str, Candidate],
    *,
    model: Encoder | str,
    share: float = 0.5,
    repeats: int = 1,
    cross_fit: bool = False,
    pooling: str | None = None,
    seed: int = 0,
) -> Choice:
    """Choose prompts on one part of the pictures and report them on the other.

    Parameters
    ----------
    embeddings
        Labelled pictures, embedded by `model`.
    candidates
        Name -> prompts in any form (see `zsc.selection.as_candidates`).
    model
        The encoder that made the embeddings, or its name.
    share
        The share of the pictures that chooses; the classes keep their shares in both parts.
    repeats
        How many splits; more than one tells how much the choice depends on the split.
    cross_fit
        Let each part of a split choose for the other; with `share` 0.5 every picture is held out once a split.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    seed
        For the splits.

    Returns
    -------
    Choice
        With one split its `evaluation` is on held-out pictures; with several it has none, and its `held_out_accuracy`
        is that of this way of choosing.
    """
    _check_splits(share, repeats, seed)
    judged = evaluations(embeddings, candidates, model, pooling)
    first = next(iter(judged.values()))
    right = {name: e.right for name, e in judged.items()}
    splits, held_out = _split_and_choose(
        right, first.y_true, share=share, repeats=repeats, cross_fit=cross_fit, seed=seed
    )
    votes = splits["chosen"].value_counts()
    most = votes.max()
    name = next(n for n in right if votes.get(n, 0) == most)
    prompts = as_candidates(candidates, embeddings.class_names)[name]
    evaluation = _part(judged[name], held_out) if len(splits) == 1 else None
    return Choice(name, replace(prompts, name=name), evaluation, splits)


def choose_repeatedly(
    right: Mapping[str, np.ndarray],
    y_true: np.ndarray,
    *,
    share: float = 0.5,
    repeats: int = 1,
    cross_fit: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose among classifiers of any kind by which pictures they get right.

    Parameters
    ----------
    right
        Name -> which of the N predictions are right: N bools.
    y_true
        Labels, shape (N,), so that both parts have the same shares of the classes.
    share, repeats, cross_fit, seed
        As in `choose_prompts`.

    Returns
    -------
    pd.DataFrame
        The table `splits` of `Choice`. Of equal candidates the first in order is chosen.
    """
    return _split_and_choose(right, check_labels(y_true), share=share, repeats=repeats, cross_fit=cross_fit, seed=seed)[
        0
    ]


def _split_and_choose(
    right: Mapping[str, np.ndarray], y_true: np.ndarray, *, share: float, repeats: int, cross_fit: bool, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Give the table of splits, and the held-out rows of the first of them."""
    _check_splits(share, repeats, seed)
    arrays = as_rights(right)
    check_same_length(y_true=y_true, right=next(iter(arrays.values())))
    names, table = list(arrays), np.stack(list(arrays.values()))  # (C, N)
    splits = [_stratified(y_true, share, seed + repeat) for repeat in range(repeats)]
    rows = []
    for repeat, parts in enumerate(splits):
        for part, (choosing, held_out) in enumerate([parts, parts[::-1]] if cross_fit else [parts]):
            best = int(table[:, choosing].mean(axis=1).argmax())
            accuracies = float(table[best, choosing].mean()), float(table[best, held_out].mean())
            sizes = len(choosing), len(held_out)
            rows.append((repeat, part, names[best], *accuracies, accuracies[0] - accuracies[1], *sizes))
    columns = ("repeat", "part", "chosen", "chosen_accuracy", "held_out_accuracy", "optimism", "n_chosen", "n_held_out")
    return pd.DataFrame(rows, columns=list(columns)), splits[0][1]


def as_rights(right: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Take several classifiers by which of the same pictures they get right: name -> (N,), bool, at least one name."""
    if not isinstance(right, Mapping) or not right:
        raise ValueError(f"right is {short(right)}; pass a mapping of name to which predictions are right.")
    check_unique([str(name) for name in right], "right")
    arrays = {str(name): as_right(values, f"right[{name!r}]") for name, values in right.items()}
    (first, n), *rest = ((name, len(array)) for name, array in arrays.items())
    for name, other in rest:
        if other != n:
            raise ValueError(f"right[{first!r}] holds {n} and right[{name!r}] {other}; pass the same pictures for all.")
    return arrays


def _check_splits(share: float, repeats: int, seed: int) -> None:
    check_fraction(share, "share")
    check_count(repeats, "repeats")
    check_count(seed, "seed", low=0, high=2**32 - 1 - repeats)  # scikit-learn's splits take no larger one


def _stratified(y_true: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers in two, each class by the share; a class of one picture goes to either side."""
    rare = np.bincount(y_true)[y_true] < 2
    strata = np.where(rare, -1, y_true)
    if (strata == -1).sum() == 1:
        strata = np.where(rare, strata.max(), strata)
    try:
        parts = train_test_split(np.arange(len(y_true)), train_size=share, stratify=strata, random_state=seed)
    except ValueError as error:
        raise ValueError(
            f"share={share}: {len(y_true)} pictures cannot be split so that both parts hold every class; take more "
            "pictures, or another share."
        ) from error
    return np.sort(parts[0]), np.sort(parts[1])


def _part(evaluation: Evaluation, rows: np.ndarray) -> Evaluation:
    images = None if evaluation.images is None else [evaluation.images[int(i)] for i in rows]
    about = {**evaluation.about, "part": f"held out: {len(rows)} of {evaluation.n} pictures"}
    return Evaluation(evaluation.y_true[rows], evaluation.proba[rows], evaluation.class_names, images, about)
