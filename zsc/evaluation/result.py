"""Evaluation: how good the predictions are, and how sure one can be of that.

Plain arrays in, numbers and tables out; metrics are scikit-learn's, the interval is SciPy's. The interval speaks of
pictures drawn like these; it knows nothing of wrong labels or of prompts that were chosen on the same pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from zsc.calibration import expected_calibration_error, reliability_table
from zsc.checks import (
    FrozenList,
    as_list,
    check_class_names,
    check_labels,
    check_proba,
    check_same_length,
    frozen,
    frozen_json,
    short,
)
from zsc.evaluation import metrics
from zsc.evaluation.statistics import wilson_interval
from zsc.results import as_cells

NORMALISE = (None, "true", "predicted", "all")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The judgement of N predictions over K classes. Made by `evaluate`; checked, copied and read-only.

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
        What made the predictions: model, data set, prompts, pooling, and the versions of what computed them;
        "left_out": how many pictures could not be opened; "matched_by": "name" or "position", how classes were paired.
    """

    y_true: np.ndarray
    proba: np.ndarray
    class_names: list[str]
    images: Sequence[Any] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = check_class_names(self.class_names)
        labels, values = check_labels(self.y_true, len(names)), check_proba(self.proba, len(names))
        check_same_length(y_true=labels, proba=values)
        images = None if self.images is None else FrozenList(as_list(self.images, "images", "pictures"))
        if images is not None:
            check_same_length(y_true=labels, images=images)
        about = frozen_json(self.about, "about")
        if not isinstance(about, Mapping):
            raise TypeError(f"about is a {type(self.about).__name__}; pass a mapping.")
        checked = (frozen(labels), frozen(values), FrozenList(names), images, about)
        for one, value in zip(fields(self), checked, strict=True):
            object.__setattr__(self, one.name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, one.name) for one in fields(self))  # a copy is as read-only

    @cached_property
    def y_pred(self) -> np.ndarray:
        """The class with the highest probability, shape (N,); the first where several are equal."""
        return frozen(self.proba.argmax(axis=1))

    @cached_property
    def right(self) -> np.ndarray:
        """Which predictions are right, shape (N,), bool: what the paired tests of `zsc.evaluation` take."""
        return frozen(self.y_true == self.y_pred)

    @property
    def n(self) -> int:
        """N, the number of pictures."""
        return len(self.y_true)

    @property
    def correct(self) -> int:
        """How many predictions are right."""
        return int(self.right.sum())

    @property
    def accuracy(self) -> float:
        """The share that is right, in [0, 1] (top-1)."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy, as SciPy computes it."""
        return wilson_interval(self.correct, self.n)

    @property
    def macro_recall(self) -> float:
        """The mean of the recalls of the classes that occur in `y_true`."""
        return float(self._report.loc[self._report["support"] > 0, "recall"].mean())

    @property
    def majority_baseline(self) -> float:
        """The accuracy of always naming the class that is most frequent in `y_true`."""
        return float(np.bincount(self.y_true).max() / self.n)

    @property
    def log_loss(self) -> float:
        """The mean of -log of the true class's probability, in nats."""
        return metrics.log_loss(self.y_true, self.proba)

    @property
    def brier(self) -> float:
        """The Brier score, halved so that it lies in [0, 1]."""
        return metrics.brier_score(self.y_true, self.proba)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error of the predicted class's probability, in ten bins of equal width."""
        return expected_calibration_error(self.y_true, self.proba)

    @property
    def reliability(self) -> pd.DataFrame:
        """One row per bin of confidence: mean confidence, accuracy, count; see `zsc.calibration.reliability_table`."""
        return reliability_table(self.y_true, self.proba)

    @property
    def coverage(self) -> pd.DataFrame:
        """What abstaining buys: threshold, coverage, accuracy, n, one row per threshold."""
        return metrics.coverage_curve(self.y_true, self.proba)

    @property
    def report(self) -> pd.DataFrame:
        """One row per class: precision, recall, f1 (0 where undefined) and support, as scikit-learn's report."""
        return self._report.copy()

    @cached_property
    def _report(self) -> pd.DataFrame:
        labels = np.arange(len(self.class_names))
        columns = precision_recall_fscore_support(self.y_true, self.y_pred, labels=labels, zero_division=0)
        names = ("precision", "recall", "f1", "support")
        return pd.DataFrame(dict(zip(names, columns, strict=True)), index=_texts(self.class_names, "class"))

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts: one row per true class, one column per predicted class."""
        return self.confusion_table()

    @property
    def errors(self) -> pd.DataFrame:
        """The wrong predictions, most confident first.

        Columns index, image (where sources are known), true, predicted, proba (of the predicted class), proba_true,
        margin (proba less that of the runner-up) and second (the runner-up).
        """
        return self._errors.copy()

    @cached_property
    def _errors(self) -> pd.DataFrame:
        wrong = np.flatnonzero(~self.right)
        proba, names = self.proba[wrong], np.array(self.class_names, dtype=object)
        order = np.argsort(-proba, axis=1, kind="stable")  # (wrong, K)
        rows = np.arange(len(wrong))
        top, second = proba[rows, order[:, 0]], proba[rows, order[:, 1]]
        columns = {
            "index": wrong,
            "true": pd.Series(names[self.y_true[wrong]], dtype=object),
            "predicted": pd.Series(names[order[:, 0]], dtype=object),
            "proba": top,
            "proba_true": proba[rows, self.y_true[wrong]],
            "margin": top - second,
            "second": pd.Series(names[order[:, 1]], dtype=object),
        }
        frame = pd.DataFrame(columns)
        if self.images is not None:
            frame.insert(1, "image", as_cells(self.images[int(i)] for i in wrong))
        return frame.iloc[np.argsort(-top, kind="stable")].reset_index(drop=True)

    def confusion_table(self, normalise: str | None = None) -> pd.DataFrame:
        """Give the confusion as counts, or as shares.

        Parameters
        ----------
        normalise
            None: counts. "true": shares of each true class (rows add up to 1; the diagonal is the recall).
            "predicted": shares of each predicted class (columns; the diagonal is the precision). "all": of all.
        """
        if not (normalise is None or isinstance(normalise, str)) or normalise not in NORMALISE:
            raise ValueError(f"normalise={short(normalise)}; accepted are None, true, predicted, all.")
        labels = np.arange(len(self.class_names))
        how = {"predicted": "pred"}.get(str(normalise), normalise)
        counts = confusion_matrix(self.y_true, self.y_pred, labels=labels, normalize=how)
        rows, columns = (_texts(self.class_names, name) for name in ("true", "predicted"))
        table = pd.DataFrame(counts, index=rows, columns=columns)
        table.attrs |= {key: self.about[key] for key in ("model", "dataset") if key in self.about}
        return table

    def top_k(self, k: int) -> float:
        """Give the share of pictures whose true class is among the k most probable, k from 1 to K."""
        return metrics.top_k_accuracy(self.y_true, self.proba, k)

    def abstain(self, threshold: float) -> Evaluation:
        """Judge only the predictions whose probability is at least `threshold`.

        The probability is relative to the prompts: a picture of none of the classes can pass. Its `about` says the
        threshold and the coverage, the share of pictures that are left.

        Raises
        ------
        ValueError
            If no prediction reaches the threshold.
        """
        kept = np.flatnonzero(self.proba.max(axis=1) >= metrics.check_threshold(threshold))
        if not len(kept):
            raise ValueError(f"threshold={threshold}; no prediction reaches it, the highest is {self.proba.max():.3f}.")
        images = None if self.images is None else [self.images[int(i)] for i in kept]
        about = {**self.about, "threshold": threshold, "coverage": len(kept) / self.n}
        return Evaluation(self.y_true[kept], self.proba[kept], self.class_names, images, about)

    def summary(self) -> str:
        """Say the result in a sentence or two: accuracy, how sure, against what, and the weakest class."""
        low, high = self.interval
        text = (
            f"accuracy {self.accuracy:.3f} ({self.correct} of {self.n}), 95 % interval {low:.3f} to {high:.3f}, "
            f"macro recall {self.macro_recall:.3f}; always naming the most frequent class gives "
            f"{self.majority_baseline:.3f}."
        )
        seen = self._report[self._report["support"] > 0]
        if seen["recall"].min() < seen["recall"].max():
            worst = seen.iloc[int(seen["recall"].argmin())]
            text += f" Weakest: {worst.name}, recall {worst['recall']:.3f} of {int(worst['support'])}."
        if self.about.get("left_out"):
            text += f" Left out, as they cannot be opened: {self.about['left_out']} pictures."
        if self.about.get("matched_by") == "position":
            text += " Classes were matched by position."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Give the results as plain values that JSON can hold."""
        from zsc.evaluation.files import results

        return results(self)

    def save(self, path: str | Path) -> Path:
        """Write everything to a JSON file that `load` reads; see `zsc.evaluation.files`."""
        from zsc.evaluation.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what `save` wrote."""
        from zsc.evaluation.files import load

        return load(path)

    def __repr__(self) -> str:
        return f"Evaluation({self.summary()})"


def _texts(names: Sequence[str], name: str) -> pd.Index:
    """Give names as an index that takes any text, also one with bytes that are no UTF-8."""
    return pd.Index(list(names), dtype=object, name=name)
