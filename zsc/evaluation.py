"""evaluate -> Evaluation: how good the predictions are, and how sure one can be of that.

Plain arrays in, numbers and tables out. The interval speaks of pictures drawn like these; it knows nothing of wrong
labels or of prompts that were chosen on the same pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The judgement of N predictions over K classes. Made by `evaluate`.

    Attributes
    ----------
    y_true
        Labels, shape (N,).
    proba
        Probabilities, shape (N, K).
    class_names
        K names.
    images
        N picture sources, or None.
    about
        What made the predictions: model, data set, prompts, pooling.
    """

    y_true: np.ndarray
    proba: np.ndarray
    class_names: list[str]
    images: Sequence[Any] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def y_pred(self) -> np.ndarray:
        """The class with the highest probability, shape (N,); the first where several are equal."""
        return np.asarray(self.proba.argmax(axis=1))

    @property
    def n(self) -> int:
        """N, the number of pictures."""
        return len(self.y_true)

    @property
    def correct(self) -> int:
        """How many predictions are right."""
        return int((self.y_true == self.y_pred).sum())

    @property
    def accuracy(self) -> float:
        """The share that is right, in [0, 1] (top-1)."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy, as SciPy computes it."""
        low, high = binomtest(self.correct, self.n).proportion_ci(CONFIDENCE, method="wilson")
        return float(low), float(high)

    @property
    def macro_recall(self) -> float:
        """The mean of the recalls of the classes that occur in `y_true`."""
        report = self.report
        return float(report.loc[report["support"] > 0, "recall"].mean())

    @cached_property
    def report(self) -> pd.DataFrame:
        """A row a class: precision, recall, f1 (0 where undefined) and support, as scikit-learn's report."""
        labels = np.arange(len(self.class_names))
        columns = precision_recall_fscore_support(self.y_true, self.y_pred, labels=labels, zero_division=0)
        names = ("precision", "recall", "f1", "support")
        return pd.DataFrame(dict(zip(names, columns, strict=True)), index=pd.Index(self.class_names, name="class"))

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """Counts: a row a true class, a column a predicted class."""
        counts = confusion_matrix(self.y_true, self.y_pred, labels=np.arange(len(self.class_names)))
        rows = pd.Index(self.class_names, name="true")
        return pd.DataFrame(counts, index=rows, columns=pd.Index(self.class_names, name="predicted"))

    @cached_property
    def errors(self) -> pd.DataFrame:
        """The wrong predictions, most confident first: index, image, true and predicted class, its probability."""
        wrong = np.flatnonzero(self.y_true != self.y_pred)
        top = self.proba[wrong, self.y_pred[wrong]]
        order = np.argsort(-top, kind="stable")
        names = np.array(self.class_names, dtype=object)
        frame = pd.DataFrame(
            {
                "index": wrong,
                "true": names[self.y_true[wrong]],
                "predicted": names[self.y_pred[wrong]],
                "proba": top,
            }
        )
        if self.images is not None:
            frame.insert(1, "image", pd.Series([self.images[int(i)] for i in wrong], dtype=object))
        return frame.iloc[order].reset_index(drop=True)

    def summary(self) -> str:
        """Say the result in a sentence."""
        low, high = self.interval
        return (
            f"accuracy {self.accuracy:.3f} ({self.correct} of {self.n}), 95 % interval {low:.3f} to {high:.3f}, "
            f"macro recall {self.macro_recall:.3f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the results as plain values that JSON can hold."""
        return {
            **self.about,
            "n": self.n,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "confidence": CONFIDENCE,
            "macro_recall": self.macro_recall,
            "report": self.report.reset_index().to_dict("records"),
            "confusion": {"class_names": self.class_names, "counts": self.confusion.to_numpy().tolist()},
        }

    def __repr__(self) -> str:
        return f"Evaluation({self.summary()})"


def evaluate(
    y_true: Sequence[int] | np.ndarray,
    proba: np.ndarray,
    class_names: Sequence[str],
    *,
    images: Sequence[Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge predictions.

    Parameters
    ----------
    y_true
        N labels, each an index into `class_names`.
    proba
        Probabilities, shape (N, K), rows that sum to 1.
    class_names
        K names, at least two.
    images
        N picture sources, for the table of errors.
    about
        What made the predictions, kept with the result.

    Raises
    ------
    ValueError
        If the arguments do not fit together; the message names the one that is off.
    """
    labels, values = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    _check(labels, values, class_names)
    if images is not None and len(images) != len(labels):
        raise ValueError(f"images holds {len(images)} sources for {len(labels)} labels; pass one a picture, or none.")
    sources = None if images is None else list(images)
    return Evaluation(labels.astype(np.int64), values, list(class_names), sources, dict(about or {}))


def _check(y_true: np.ndarray, proba: np.ndarray, class_names: Sequence[str]) -> None:
    n, k = len(y_true), len(class_names)
    if k < 2:
        raise ValueError(f"class_names holds {k} name; at least two are needed.")
    if y_true.ndim != 1 or n == 0:
        raise ValueError(f"y_true has shape {y_true.shape}; pass one label a picture, at least one.")
    if proba.shape != (n, k):
        raise ValueError(f"proba has shape {proba.shape}; {n} labels and {k} class names ask for ({n}, {k}).")
    if y_true.dtype.kind not in "iu":
        raise ValueError(f"y_true holds {y_true.dtype} values; pass indices into class_names.")
    if y_true.min() < 0 or y_true.max() >= k:
        raise ValueError(
            f"y_true runs from {y_true.min()} to {y_true.max()}; accepted are 0 to {k - 1} (-1 marks no label: leave "
            "such pictures out)."
        )
    if not np.isfinite(proba).all() or (proba < 0).any() or not np.allclose(proba.sum(axis=1), 1, atol=1e-4):
        raise ValueError("proba holds rows that are no probabilities; each must be 0 or more and sum to 1.")
