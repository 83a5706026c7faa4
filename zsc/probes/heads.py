"""Heads: what turns embeddings (N, D) into logits (N, K). The zero-shot head, the linear probe's, and mixes of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zsc.checks import FrozenList, check_class_names, check_embeddings, check_fraction, frozen, short
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation, evaluate
from zsc.probes.labelled import NO_NAME, LabelledRows, Part, as_rows, check_model, check_numbers
from zsc.scoring import cosine_scores, match_by, to_proba

SHARES = tuple(round(0.1 * i, 1) for i in range(11))


class Head:
    """What every head can do, given its logits."""

    class_names: list[str]
    dim: int  # D, the length of the embeddings it takes
    fingerprint: str  # of the model whose embeddings it takes; others are refused; empty where it is not known

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the logits, shape (N, K), of checked embeddings (N, D)."""
        raise NotImplementedError

    def predict_logits(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Compute logits, shape (N, K): what the softmax takes, with the logit scale in them."""
        if isinstance(embeddings, ImageEmbeddings):
            check_model(embeddings.fingerprint, self.fingerprint, "embeddings")
            embeddings = embeddings.values
        return self.logits(check_embeddings(embeddings, "embeddings", self.dim))

    def predict_proba(self, embeddings: ImageEmbeddings | Any) -> NDArray[np.float64]:
        """Compute probabilities, shape (N, K), rows that sum to 1."""
        return to_proba(self.predict_logits(embeddings), 1.0)

    def rows(self, part: Part) -> LabelledRows:
        """Check a part that the head is judged on: its classes, dimension and model."""
        return as_rows(part, "part", class_names=self.class_names, dim=self.dim, fingerprint=self.fingerprint)

    def evaluate(self, part: Part) -> Evaluation:
        """Judge the head on labelled embeddings."""
        return self.judge(self.rows(part))

    def judge(self, rows: LabelledRows, **other: Any) -> Evaluation:
        """Judge the head on checked rows; `other` is kept with the result."""
        proba = to_proba(self.logits(rows.values), 1.0)
        made_by = replace(rows.made_by, other=other)
        return evaluate(rows.labels, proba, self.class_names, images=rows.images, about=made_by)

    def grade(self, rows: LabelledRows) -> dict[str, float]:
        """Measure accuracy and log loss on checked rows."""
        result = self.judge(rows)
        return {"accuracy": result.accuracy, "log_loss": result.log_loss}


@dataclass(frozen=True, eq=False)
class LinearHead(Head):
    """Logits that are linear in the embedding: `logit_scale` x (embedding . weights) + intercept."""

    weights: NDArray[np.float32]  # (K, D)
    intercepts: NDArray[np.float64]  # (K,); 0 for the zero-shot head
    class_names: list[str]
    logit_scale: float = 1.0  # of a probe, whose weights carry their own length
    fingerprint: str = ""

    def __post_init__(self) -> None:
        weights, intercepts = frozen(np.asarray(self.weights, np.float32)), frozen(np.asarray(self.intercepts, float))
        if weights.ndim != 2 or not weights.size or intercepts.shape != weights.shape[:1]:
            shapes = f"weights have shape {weights.shape} and intercepts {intercepts.shape}"
            raise ValueError(f"{shapes}; pass (K, D) and (K,).")
        if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
            raise ValueError("weights or intercepts hold NaN or infinity; pass finite numbers.")
        names = FrozenList(check_class_names(self.class_names, len(weights)))
        (scale,) = check_numbers([self.logit_scale], "logit_scale", above=True)
        vars(self).update(weights=weights, intercepts=intercepts, dim=weights.shape[1])
        vars(self).update(class_names=names, logit_scale=scale)

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the logits, shape (N, K), of checked embeddings (N, D)."""
        return cosine_scores(values, self.weights).astype(np.float64) * self.logit_scale + self.intercepts

    def reorder(self, class_names: Sequence[str]) -> "LinearHead":
        """Put the classes into another order, matched by name."""
        if len(class_names) != len(self.class_names):
            told = f"zero_shot has the {len(self.class_names)} classes {short(self.class_names)}, the pictures have the"
            raise ValueError(f"{told} {len(class_names)} classes {short(list(class_names))}; both must have the same.")
        match = match_by(class_names, self.class_names)
        if not NO_NAME.match(self.class_names[0]):
            match.tell()
        weights, intercepts = self.weights[match.index], self.intercepts[match.index]
        return replace(self, weights=weights, intercepts=intercepts, class_names=list(class_names))


def zero_shot_head(clf: ZeroShotClassifier) -> LinearHead:
    """Make the head that needs no picture of a classifier that pools by "mean": cosines times the logit scale."""
    if clf.pooling != "mean" and len(clf.prompts) > len(clf.class_names):
        raise ValueError(f"the classifier pools by {clf.pooling!r}, which no linear head can do; use 'mean'.")
    weights, model = clf.class_weights, clf.model
    return LinearHead(weights, np.zeros(len(weights)), clf.class_names, model.logit_scale, model.fingerprint)


def check_head(head: LinearHead, name: str) -> LinearHead:
    """Check that a head is a linear one."""
    if not isinstance(head, LinearHead):
        raise TypeError(f"{name} is the {type(head).__name__} {short(head)}; pass a head: zero_shot_head(classifier).")
    return head


def check_dim(head: LinearHead, dim: int, name: str) -> None:
    """Check that the zero-shot head takes embeddings of D numbers, as something else of the same model does."""
    if head.dim != dim:
        raise ValueError(f"zero_shot takes {head.dim} numbers per row and {name} {dim}; both must be of one model.")


def mix_weights(zero_shot: LinearHead, probe: LinearHead, share: float) -> LinearHead:
    """Mix the zero-shot weights with a probe's, in the manner of WiSE-FT (Wortsman et al., CVPR 2022).

    Little of the probe is often better than either end, and loses less on pictures from elsewhere. `share`, in [0, 1],
    is the probe's. The classes are matched by name and have the probe's order.
    """
    check_fraction(share, "share", ends=True)
    start = check_head(zero_shot, "zero_shot").reorder(check_head(probe, "probe").class_names)
    fingerprint = check_model(probe.fingerprint, start.fingerprint, "probe")
    check_dim(start, probe.dim, "probe")
    end = probe.weights * (probe.logit_scale / start.logit_scale)
    weights = ((1 - share) * start.weights + share * end).astype(np.float32)
    intercepts = (1 - share) * start.intercepts + share * probe.intercepts
    return LinearHead(weights, intercepts, list(probe.class_names), start.logit_scale, fingerprint)


def mix_curve(zero_shot: LinearHead, probe: LinearHead, part: Part) -> pd.DataFrame:
    """Judge mixes of the zero-shot weights and a probe's: share, accuracy and log_loss, one row per share, 0 to 1."""
    rows = check_head(probe, "probe").rows(part)
    return pd.DataFrame([{"share": s} | mix_weights(zero_shot, probe, s).grade(rows) for s in SHARES])
