"""Heads: what turns embeddings (N, D) into scores (N, K). The zero-shot head, the linear probe's, and mixes of both.

All judge themselves in the same way, so that a trained head is compared with the untrained one on the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from zsc.checks import check_class_names, check_embeddings, check_fraction
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation, evaluate
from zsc.matching import match_classes
from zsc.probes.parts import LabelledRows, Part, as_rows
from zsc.scoring import cosine_scores, to_proba

SHARES = tuple(round(0.1 * i, 1) for i in range(11))


class Head:
    """What every head can do, given its scores."""

    class_names: list[str]

    @property
    def dim(self) -> int:
        """D, the length of the embeddings it takes."""
        raise NotImplementedError

    def scores(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score checked embeddings (N, D): (N, K), on the scale of the softmax."""
        raise NotImplementedError

    def predict_scores(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Score pictures, shape (N, K): what the softmax takes (logits)."""
        values = embeddings.values if isinstance(embeddings, ImageEmbeddings) else embeddings
        return self.scores(check_embeddings(values, "embeddings", self.dim))

    def predict_proba(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Give probabilities, shape (N, K), rows that sum to 1."""
        return to_proba(self.predict_scores(embeddings), 1.0)

    def evaluate(self, part: Part) -> Evaluation:
        """Judge the head on labelled embeddings."""
        return self.judge(as_rows(part, "part", class_names=self.class_names, dim=self.dim))

    def judge(self, rows: LabelledRows, **about: Any) -> Evaluation:
        """Judge the head on checked rows."""
        proba = to_proba(self.scores(rows.values), 1.0)
        return evaluate(rows.labels, proba, self.class_names, images=rows.images, about=about)

    def grade(self, rows: LabelledRows) -> dict[str, float]:
        """Give accuracy and log loss on checked rows."""
        proba = to_proba(self.scores(rows.values), 1.0)
        loss = log_loss(rows.labels, proba, labels=range(len(self.class_names)))
        return {"accuracy": float((proba.argmax(axis=1) == rows.labels).mean()), "log_loss": float(loss)}


@dataclass(frozen=True, eq=False)
class LinearHead(Head):
    """Scores that are linear in the embedding: `logit_scale` x (embedding . weights) + intercept.

    Attributes
    ----------
    weights
        Shape (K, D), float32.
    intercepts
        Shape (K,); 0 for the zero-shot head.
    class_names
        K names.
    logit_scale
        What the products are multiplied by; 1 for a probe, whose weights carry their own length.
    """

    weights: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    class_names: list[str]
    logit_scale: float = 1.0

    @property
    def dim(self) -> int:
        """D, the length of the embeddings it takes."""
        return int(self.weights.shape[1])

    def scores(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score checked embeddings (N, D): (N, K), on the scale of the softmax."""
        return cosine_scores(values, self.weights).astype(np.float64) * self.logit_scale + self.intercepts

    def reorder(self, class_names: Sequence[str]) -> LinearHead:
        """Put the classes into another order, matched by name."""
        if len(class_names) != len(self.class_names):
            raise ValueError(
                f"zero_shot has the {len(self.class_names)} classes {self.class_names}, the pictures have the "
                f"{len(class_names)} classes {list(class_names)}; both must have the same."
            )
        order = match_classes(class_names, self.class_names)
        return replace(
            self, weights=self.weights[order], intercepts=self.intercepts[order], class_names=list(class_names)
        )


def zero_shot_head(
    class_weights: NDArray[np.float32], logit_scale: float, class_names: Sequence[str] | None = None
) -> LinearHead:
    """Make the head that needs no picture: cosines to the class weights.

    Parameters
    ----------
    class_weights
        Shape (K, D), unit rows: `ZeroShotClassifier.class_weights`.
    logit_scale
        The model's own.
    class_names
        K names. Given, classes are matched by name with those of a training part; None says that the order is theirs.

    Returns
    -------
    LinearHead
        Its probabilities are those of the classifier with pooling "mean".
    """
    weights = check_embeddings(class_weights, "class_weights")
    if not 0 < logit_scale < np.inf:
        raise ValueError(f"logit_scale={logit_scale!r}; accepted is a number above 0: the model's own.")
    names = [f"class {k}" for k in range(len(weights))] if class_names is None else class_names
    return LinearHead(weights, np.zeros(len(weights)), check_class_names(names, len(weights)), float(logit_scale))


def mix_weights(zero_shot: LinearHead, probe: LinearHead, share: float) -> LinearHead:
    """Mix the zero-shot weights with a probe's, in the manner of WiSE-FT.

    Both are linear, so mixed weights give mixed scores. Little of the probe is often better than either end, and loses
    less than the probe does on pictures from elsewhere.

    Parameters
    ----------
    zero_shot, probe
        The two heads, for the same classes in any order.
    share
        The probe's share, in [0, 1]: 0 is the zero-shot head exactly, 1 the probe up to rounding.

    Returns
    -------
    LinearHead
        In the probe's order of classes.

    References
    ----------
    Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.
    """
    check_fraction(share, "share", ends=True)
    start = zero_shot.reorder(probe.class_names)
    if start.dim != probe.dim:
        raise ValueError(f"zero_shot takes {start.dim} numbers a row and probe {probe.dim}; both must be of one model.")
    end = probe.weights * (probe.logit_scale / start.logit_scale)
    return LinearHead(
        ((1 - share) * start.weights + share * end).astype(np.float32),
        (1 - share) * start.intercepts + share * probe.intercepts,
        list(probe.class_names),
        start.logit_scale,
    )


def mix_curve(
    zero_shot: LinearHead, probe: LinearHead, part: Part, *, shares: Sequence[float] = SHARES
) -> pd.DataFrame:
    """Judge mixes of the zero-shot weights and a probe's.

    Parameters
    ----------
    zero_shot, probe
        The two heads.
    part
        Labelled embeddings. To choose a share, use others than those that the result is reported on.
    shares
        The probe's shares.

    Returns
    -------
    pd.DataFrame
        A row a share: share, accuracy, log_loss.
    """
    rows = as_rows(part, "part", class_names=probe.class_names, dim=probe.dim)
    return pd.DataFrame([{"share": s} | mix_weights(zero_shot, probe, s).grade(rows) for s in shares])
