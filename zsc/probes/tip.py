"""Tip-Adapter: zero-shot scores plus votes of a few labelled pictures, without training.

A picture's labelled neighbours vote with exp(-beta (1 - cosine)), and alpha weighs their votes against the text. The
votes are a sum, so the same alpha counts for more the more shots there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zsc.checks import check_embeddings, check_labels, check_same_length, frozen
from zsc.probes.heads import Head, LinearHead, check_head
from zsc.probes.linear import at_the_end, choose
from zsc.probes.parts import LabelledRows, Part, check_numbers, training_parts

ALPHA, BETA = 1.0, 5.5  # the paper's settings for ImageNet
ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)  # 0 is zero-shot: the search may find that the shots do not help
BETAS = (1.0, 3.0, 5.5, 10.0, 30.0)
CHUNK_CELLS = 2**24  # affinities in memory at once: 64 MB


@dataclass(frozen=True, eq=False)
class TipAdapter(Head):
    """Zero-shot scores plus the votes of kept shots. Made by `tip_adapter`.

    Attributes
    ----------
    zero_shot
        The head that the votes are added to.
    keys
        The shots' embeddings, shape (M, D).
    labels
        Their classes, shape (M,).
    alpha, beta
        The weight of the votes, and how sharply they fall with the distance.
    validation
        What their choice rests on: alpha, beta, accuracy, log_loss; None without a validation part.
    note
        Which of the chosen settings is the end of what was offered; or empty.
    """

    zero_shot: LinearHead
    keys: NDArray[np.float32]
    labels: NDArray[np.int64]
    alpha: float = ALPHA
    beta: float = BETA
    validation: pd.DataFrame | None = None
    note: str = ""

    def __post_init__(self) -> None:
        head = check_head(self.zero_shot, "zero_shot")
        check_numbers([self.alpha, self.beta], "alpha and beta")
        if len(self.keys):
            check_embeddings(self.keys, "keys", head.dim)
            check_labels(self.labels, len(head.class_names), "labels")
            check_same_length(keys=self.keys, labels=self.labels)
        object.__setattr__(self, "keys", frozen(self.keys))
        object.__setattr__(self, "labels", frozen(self.labels))

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        """The model whose embeddings it takes; empty where it is not known."""
        return self.zero_shot.fingerprint

    @property
    def class_names(self) -> list[str]:  # type: ignore[override]
        """K names."""
        return self.zero_shot.class_names

    @property
    def dim(self) -> int:
        """D, the length of the embeddings it takes."""
        return self.zero_shot.dim

    def scores(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score checked embeddings (N, D): (N, K), on the scale of the softmax."""
        return self.zero_shot.scores(values) + self.alpha * self.votes(values)

    def votes(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add up the affinities of checked embeddings (N, D) to the shots of each class: (N, K)."""
        shots = np.arange(len(self.labels))
        ones = np.ones(len(shots), np.float32)
        shot_classes = csr_array((ones, (self.labels, shots)), shape=(len(self.class_names), len(shots)))  # (K, M)
        votes = np.zeros((len(values), len(self.class_names)), np.float32)
        step = max(1, CHUNK_CELLS // max(1, len(self.keys)))
        for start in range(0, len(values), step):
            block = slice(start, start + step)
            affinities = np.exp(-self.beta * (1 - values[block] @ self.keys.T))  # (n, M)
            votes[block] = (shot_classes @ affinities.T).T
        return votes


def tip_adapter(
    train: Part,
    zero_shot: LinearHead,
    *,
    validation: Part | float | None = None,
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    seed: int = 0,
) -> TipAdapter:
    """Make a Tip-Adapter.

    Parameters
    ----------
    train
        The shots: labelled embeddings, at least one of every class.
    zero_shot
        The head from `zero_shot_head`; of the same model as `train`.
    validation
        Where alpha and beta are chosen, by accuracy, then by log loss: a part of its own, or a fraction of `train`,
        held out of each class for the choice. None asks for one of each.
    alphas, betas
        Candidates. None stands for the paper's 1 and 5.5, and for a grid around them where there is a validation part;
        alpha 0 is zero-shot.
    seed
        Decides the fraction.

    Returns
    -------
    TipAdapter
        A head with all of `train` as its shots.

    References
    ----------
    Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022.
    """
    searched = validation is not None
    alphas = _check_settings(alphas, ALPHAS if searched else (ALPHA,), searched, "alphas")
    betas = _check_settings(betas, BETAS if searched else (BETA,), searched, "betas")
    fingerprint = check_head(zero_shot, "zero_shot").fingerprint
    rows, fitting, choosing = training_parts(train, validation, seed=seed, fingerprint=fingerprint)
    start = zero_shot.reorder(rows.class_names)
    candidates = [{"alpha": a, "beta": b} for a, b in product(alphas, betas)]
    best, table = choose(
        candidates, lambda settings: with_shots(start, fitting, **settings), choosing, by_accuracy=True
    )
    return replace(with_shots(start, rows, **best), validation=table, note=at_the_end(best, candidates, natural=0.0))


def with_shots(zero_shot: LinearHead, rows: LabelledRows, alpha: float = ALPHA, beta: float = BETA) -> TipAdapter:
    """Put checked rows beside a zero-shot head; no rows leave it as it is."""
    if zero_shot.dim != rows.values.shape[1]:
        raise ValueError(
            f"zero_shot takes {zero_shot.dim} numbers per row and train has {rows.values.shape[1]}; both must be of "
            "one model."
        )
    head = replace(zero_shot, fingerprint=zero_shot.fingerprint or rows.fingerprint)
    return TipAdapter(head, rows.values, rows.labels, alpha, beta)


def _check_settings(
    values: Sequence[float] | None, default: Sequence[float], searched: bool, name: str
) -> Sequence[float]:
    given = check_numbers(default if values is None else values, name)
    if len(given) > 1 and not searched:
        raise ValueError(
            f"{name} holds {len(given)} candidates and validation is None; pass a part to choose on, or one."
        )
    return given
