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

from zsc.checks import FrozenList, as_list, check_class_names, check_embeddings, check_fraction, frozen, short
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation, evaluate
from zsc.evaluation.metrics import log_loss
from zsc.matching import match_by
from zsc.probes.parts import NO_NAME, LabelledRows, Part, as_rows, check_model, check_numbers
from zsc.scoring import cosine_scores, to_proba

SHARES = tuple(round(0.1 * i, 1) for i in range(11))


class Head:
    """What every head can do, given its scores."""

    class_names: list[str]
    fingerprint: str

    @property
    def dim(self) -> int:
        """D, the length of the embeddings it takes."""
        raise NotImplementedError

    def scores(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score checked embeddings (N, D): (N, K), on the scale of the softmax."""
        raise NotImplementedError

    def predict_scores(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Score pictures, shape (N, K): what the softmax takes (logits)."""
        if isinstance(embeddings, ImageEmbeddings):
            check_model(embeddings.fingerprint, self.fingerprint, "embeddings")
            embeddings = embeddings.values
        return self.scores(check_embeddings(embeddings, "embeddings", self.dim))

    def predict_proba(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Give probabilities, shape (N, K), rows that sum to 1."""
        return to_proba(self.predict_scores(embeddings), 1.0)

    def evaluate(self, part: Part) -> Evaluation:
        """Judge the head on labelled embeddings."""
        return self.judge(self.rows(part))

    def rows(self, part: Part) -> LabelledRows:
        """Check a part that the head is judged on: its classes, dimension and model."""
        return as_rows(part, "part", class_names=self.class_names, dim=self.dim, fingerprint=self.fingerprint)

    def judge(self, rows: LabelledRows, **about: Any) -> Evaluation:
        """Judge the head on checked rows."""
        proba = to_proba(self.scores(rows.values), 1.0)
        return evaluate(rows.labels, proba, self.class_names, images=rows.images, about=rows.about | about)

    def grade(self, rows: LabelledRows) -> dict[str, float]:
        """Give accuracy and log loss on checked rows."""
        proba = to_proba(self.scores(rows.values), 1.0)
        accuracy = float((proba.argmax(axis=1) == rows.labels).mean())
        return {"accuracy": accuracy, "log_loss": log_loss(rows.labels, proba)}


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
    fingerprint
        The model whose embeddings it takes; those of another one are refused. Empty where it is not known.
    """

    weights: NDArray[np.float32]
    intercepts: NDArray[np.float64]
    class_names: list[str]
    logit_scale: float = 1.0
    fingerprint: str = ""

    def __post_init__(self) -> None:
        weights, intercepts = frozen(np.asarray(self.weights, np.float32)), frozen(np.asarray(self.intercepts, float))
        if weights.ndim != 2 or not weights.size or intercepts.shape != weights.shape[:1]:
            raise ValueError(
                f"weights have shape {weights.shape} and intercepts {intercepts.shape}; pass (K, D) and (K,)."
            )
        if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
            raise ValueError("weights or intercepts hold NaN or infinity; pass finite numbers.")
        names = check_class_names(self.class_names, len(weights))
        (scale,) = check_numbers([self.logit_scale], "logit_scale", above=True)
        checked = {"weights": weights, "intercepts": intercepts, "class_names": FrozenList(names), "logit_scale": scale}
        for field, value in checked.items():
            object.__setattr__(self, field, value)

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
                f"zero_shot has the {len(self.class_names)} classes {short(self.class_names)}, the pictures have the "
                f"{len(class_names)} classes {short(list(class_names))}; both must have the same."
            )
        match = match_by(class_names, self.class_names)
        if not NO_NAME.match(self.class_names[0]):
            match.tell()
        weights, intercepts = self.weights[match.index], self.intercepts[match.index]
        return replace(self, weights=weights, intercepts=intercepts, class_names=list(class_names))


def zero_shot_head(
    class_weights: ZeroShotClassifier | NDArray[np.float32],
    logit_scale: float | None = None,
    class_names: Sequence[str] | None = None,
    *,
    fingerprint: str = "",
) -> LinearHead:
    """Make the head that needs no picture: cosines to the class weights.

    Parameters
    ----------
    class_weights
        A classifier, which brings all the rest; or the class weights alone, shape (K, D), unit rows.
    logit_scale
        The model's own.
    class_names
        K names. Given, classes are matched by name with those of a training part; None says that the order is theirs.
    fingerprint
        The model's; with it, embeddings of another model are refused.

    Returns
    -------
    LinearHead
        Its probabilities are those of the classifier with pooling "mean".

    Raises
    ------
    ValueError
        If an argument is wrong, or the classifier pools several prompts of a class by another rule than "mean".
    """
    if isinstance(class_weights, ZeroShotClassifier):
        return _classifier_head(class_weights, logit_scale, class_names)
    if logit_scale is None:
        raise TypeError("logit_scale is missing; pass the model's own, or a classifier instead of its class weights.")
    weights = check_embeddings(class_weights, "class_weights")
    names = [f"class {k}" for k in range(len(weights))] if class_names is None else as_list(class_names, "class_names")
    return LinearHead(weights, np.zeros(len(weights)), names, logit_scale, fingerprint)


def _classifier_head(clf: ZeroShotClassifier, *others: object) -> LinearHead:
    if any(other is not None for other in others):
        raise ValueError(
            "zero_shot_head got a classifier and more; the classifier brings scale and names, pass it alone."
        )
    if clf.pooling != "mean" and len(clf.prompts) > len(clf.class_names):
        raise ValueError(
            f"the classifier pools by {clf.pooling!r}, which no linear head can do; make it with pooling='mean'."
        )
    weights, scale = clf.class_weights, clf.model.logit_scale
    return LinearHead(weights, np.zeros(len(weights)), clf.class_names, scale, clf.model.fingerprint)


def check_head(head: LinearHead, name: str) -> LinearHead:
    """Check that a head is a linear one."""
    if not isinstance(head, LinearHead):
        raise TypeError(f"{name} is the {type(head).__name__} {short(head)}; pass a head: zero_shot_head(classifier).")
    return head


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
    start = check_head(zero_shot, "zero_shot").reorder(check_head(probe, "probe").class_names)
    fingerprint = check_model(probe.fingerprint, start.fingerprint, "probe")
    if start.dim != probe.dim:
        raise ValueError(
            f"zero_shot takes {start.dim} numbers per row and probe {probe.dim}; both must be of one model."
        )
    end = probe.weights * (probe.logit_scale / start.logit_scale)
    return LinearHead(
        ((1 - share) * start.weights + share * end).astype(np.float32),
        (1 - share) * start.intercepts + share * probe.intercepts,
        list(probe.class_names),
        start.logit_scale,
        fingerprint,
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
        One row per share: share, accuracy, log_loss.
    """
    rows = check_head(probe, "probe").rows(part)
    shares = check_numbers(shares, "shares")
    return pd.DataFrame([{"share": s} | mix_weights(zero_shot, probe, s).grade(rows) for s in shares])
