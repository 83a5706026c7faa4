"""Evaluation: how good the predictions are, and how sure one can be of that.

Plain arrays in, numbers and tables out; metrics are scikit-learn's, the interval is SciPy's. The interval speaks of
pictures drawn like these; it knows nothing of wrong labels or of prompts that were chosen on the same pictures.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
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
    check_count,
    check_fraction,
    check_labels,
    check_proba,
    check_same_length,
    from_json,
    frozen,
    frozen_json,
    short,
    to_json,
)
from zsc.datasets.base import UNLABELLED
from zsc.files import write_whole
from zsc.images import describe
from zsc.prompts import ClassPrompts
from zsc.scoring import cosine_scores
from zsc.statistics import (
    CONFIDENCE,
    holm,
    images_needed,
    mcnemar,
    paired_bootstrap,
    paired_interval,
    wilson_interval,
)

__all__ = [
    "Evaluation",
    "evaluate",
    "holm",
    "images_needed",
    "mcnemar",
    "paired_bootstrap",
    "paired_interval",
    "wilson_interval",
]

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
        return log_loss(self.y_true, self.proba)

    @property
    def brier(self) -> float:
        """The Brier score, halved so that it lies in [0, 1]."""
        return brier_score(self.y_true, self.proba)

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
        return coverage_curve(self.y_true, self.proba)

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
        return top_k_accuracy(self.y_true, self.proba, k)

    def abstain(self, threshold: float) -> Evaluation:
        """Judge only the predictions whose probability is at least `threshold`.

        The probability is relative to the prompts: a picture of none of the classes can pass. Its `about` says the
        threshold and the coverage, the share of pictures that are left.

        Raises
        ------
        ValueError
            If no prediction reaches the threshold.
        """
        kept = np.flatnonzero(self.proba.max(axis=1) >= check_threshold(threshold))
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
        return results(self)

    def save(self, path: str | Path) -> Path:
        """Write everything to a JSON file that `load` reads; see `zsc.evaluation`."""
        return save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what `save` wrote."""
        return load(path)

    def __repr__(self) -> str:
        return f"Evaluation({self.summary()})"


def _texts(names: Sequence[str], name: str) -> pd.Index:
    """Give names as an index that takes any text, also one with bytes that are no UTF-8."""
    return pd.Index(list(names), dtype=object, name=name)


def evaluate(
    y_true: Sequence[int] | np.ndarray,
    proba: np.ndarray,
    class_names: Iterable[str],
    *,
    images: Iterable[Any] | None = None,
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
        What made the predictions, kept with the result: texts as keys, and values that JSON can hold.

    Raises
    ------
    TypeError
        If names or pictures have no order, or `about` holds what JSON cannot hold.
    ValueError
        If the arguments do not fit together; the message names the one that is off.
    """
    return Evaluation(y_true, proba, class_names, images, about or {})  # type: ignore[arg-type]


SMALLEST = np.finfo(np.float64).tiny  # what a probability of 0 for the true class counts as in the log loss


def top_k_accuracy(y_true: np.ndarray, proba: np.ndarray, k: int) -> float:
    """Give the share of pictures whose true class is among the k most probable; ties go to the lower index.

    Raises
    ------
    ValueError
        If k is not in 1 to K.
    """
    k = check_count(k, "k", high=proba.shape[1])
    top = np.argsort(-proba, axis=1, kind="stable")[:, :k]
    return float((top == y_true[:, None]).any(axis=1).mean())


def log_loss(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the mean of -log of the true class's probability, in nats.

    The one log loss of the package. No row is rescaled and nothing is cut but a probability of 0, which a softmax in
    float64 gives to classes 745 nats behind: it counts as 2.2e-308, that is as 708 nats.
    """
    given = np.clip(proba[np.arange(len(y_true)), y_true], SMALLEST, 1)
    return float(np.log(1 / given).mean())


def brier_score(y_true: np.ndarray, proba: np.ndarray) -> float:
    """Give the Brier score, halved so that it lies in [0, 1]: for two classes the mean squared error of either's."""
    errors = np.array(proba, dtype=np.float64)
    errors[np.arange(len(y_true)), y_true] -= 1
    return float((errors**2).sum(axis=1).mean() / 2)


def coverage_curve(y_true: np.ndarray, proba: np.ndarray) -> pd.DataFrame:
    """Show what abstaining buys: a row for every threshold that changes something, from the least strict on.

    A prediction is made where the highest probability is at least the threshold.

    Returns
    -------
    pd.DataFrame
        Columns threshold, coverage (the share that is predicted), accuracy (among those), n.
    """
    top = proba.max(axis=1)
    right = proba.argmax(axis=1) == y_true
    order = np.argsort(-top, kind="stable")
    n = np.arange(1, len(top) + 1)
    accuracy = np.cumsum(right[order]) / n
    last = np.r_[np.flatnonzero(np.diff(top[order])), len(top) - 1]  # pictures of equal confidence go together
    curve = pd.DataFrame({"threshold": top[order], "coverage": n / len(top), "accuracy": accuracy, "n": n})
    return curve.iloc[last[::-1]].reset_index(drop=True)


def check_threshold(threshold: float) -> float:
    """Check a threshold on a probability: 0 to 1."""
    return check_fraction(threshold, "threshold", ends=True)


KIND = "zsc evaluation"
FORMAT = 1  # files without one are of the time before it, and the same otherwise
_LISTS = {"class_names": (str,), "y_true": (int,), "proba": (list,)}


def results(evaluation: Evaluation) -> dict[str, Any]:
    """Give the results of an evaluation as plain values: what made it, the numbers, the report, the confusion."""
    rows = zip(evaluation.class_names, evaluation.report.to_dict("records"), strict=True)
    return {
        **evaluation.about,
        "n": evaluation.n,
        "correct": evaluation.correct,
        "accuracy": evaluation.accuracy,
        "interval": list(evaluation.interval),
        "confidence": CONFIDENCE,
        "macro_recall": evaluation.macro_recall,
        "majority_baseline": evaluation.majority_baseline,
        "log_loss": evaluation.log_loss,
        "brier": evaluation.brier,
        "calibration_error": evaluation.calibration_error,
        "report": [{"class": name, **row} for name, row in rows],
        "confusion": {"class_names": list(evaluation.class_names), "counts": evaluation.confusion.to_numpy().tolist()},
    }


def save(evaluation: Evaluation, path: str | Path) -> Path:
    """Write an evaluation as JSON, whole or not at all.

    Parameters
    ----------
    evaluation
        What to write.
    path
        The file; one that is there is replaced.

    Returns
    -------
    Path
        The file.
    """
    content = {
        "kind": KIND,
        "format": FORMAT,
        "results": results(evaluation),
        "about": evaluation.about,
        "class_names": evaluation.class_names,
        "y_true": evaluation.y_true.tolist(),
        "proba": evaluation.proba.tolist(),  # Python writes floats so that they read back to the last digit
        "images": None if evaluation.images is None else [_name(source) for source in evaluation.images],
    }
    return write_whole(path, to_json(content, indent=1))


def load(path: str | Path) -> Evaluation:
    """Read an evaluation that `save` wrote; pictures that were in memory are known by name only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else, or was written by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such evaluation; write one with evaluation.save or 'zsc evaluate --save'.")
    try:
        found = _checked(from_json(path.read_text(encoding="utf-8-sig")))
        labels = np.array(found["y_true"])
        return evaluate(labels, found["proba"], found["class_names"], images=found["images"], about=found["about"])
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).removesuffix(".")
        raise ValueError(f"{path}: no evaluation to be read ({reason}); write one with evaluation.save.") from error


def _checked(content: Any) -> dict[str, Any]:
    """Check what a file holds before any of it becomes an array, in which other types would pass for numbers."""
    if not isinstance(content, dict) or content.get("kind") != KIND:
        kind = content.get("kind") if isinstance(content, dict) else content
        raise ValueError(f"kind is {short(kind)}, not {KIND!r}")
    written = content.get("format", FORMAT)
    if type(written) is not int or written > FORMAT:
        raise ValueError(f"format is {short(written)}, this version of zsc reads {FORMAT}: install a newer one")
    for key, kinds in _LISTS.items():
        _check_list(content.get(key), key, kinds)
    for row in content["proba"]:
        _check_list(row, "a row of proba", (float, int))
    if not isinstance(content.get("about"), dict):
        raise TypeError(f"about is {short(content.get('about'))}, not a mapping")
    if content.get("images") is not None:
        _check_list(content["images"], "images", (str,))
        check_same_length(images=content["images"], y_true=content["y_true"])
    return {"images": None} | content


def _check_list(values: Any, name: str, kinds: tuple[type, ...]) -> None:
    if not isinstance(values, list):
        raise TypeError(f"{name} is {short(values)}, not a list")
    wrong = set(map(type, values)) - set(kinds)
    if wrong:
        first = next(value for value in values if type(value) in wrong)
        raise ValueError(f"{name} holds {short(first)}, which is no {kinds[0].__name__}")


def _name(source: Any) -> str:
    """Name a picture so that its path or URL comes back, also where it is no UTF-8."""
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else describe(source)


COLUMNS = ("image", "y_true", "y_pred", "y_pred_token", "proba")


def result_table(images: Sequence[Any], y_true: np.ndarray, proba: np.ndarray, tokens: np.ndarray,
                 class_names: Sequence[str]) -> pd.DataFrame:  # fmt: skip
    """Lay out N predictions.

    Parameters
    ----------
    images
        N picture sources; paths and URLs become texts.
    y_true
        N labels; -1 becomes <NA>, and so does the prediction of a picture that failed.
    proba
        Probabilities, shape (N, K); NaN in the rows of pictures that failed.
    tokens
        For each picture the prompt that decided, shape (N,).
    class_names
        K names.

    Returns
    -------
    pd.DataFrame
        Columns image, y_true, y_pred, y_pred_token, proba, and proba_<class> for each class.
    """
    check_same_length(images=images, y_true=y_true, proba=proba, tokens=tokens)
    failed = np.isnan(proba).any(axis=1)
    y_pred = np.where(failed, UNLABELLED, proba.argmax(axis=1))
    values = (
        as_cells(images),
        _nullable(y_true),
        _nullable(y_pred),
        pd.Series(tokens, dtype=object).mask(failed, None),
        proba[np.arange(len(proba)), y_pred],
    )
    columns = [*COLUMNS, *(f"proba_{name}" for name in class_names)]
    table = pd.DataFrame(dict(enumerate([*values, *np.asarray(proba).T])))
    return table.set_axis(pd.Index(columns, dtype=object), axis=1)  # a name may hold bytes that are no UTF-8


def as_cells(images: Iterable[Any]) -> pd.Series:
    """Give picture sources as a column: paths and URLs as texts that every file format can hold, the rest as it is."""
    cells = [describe(one) if isinstance(one, (str, os.PathLike)) else one for one in images]
    return pd.Series(cells, dtype=object)


def best_prompts(
    image_embeddings: np.ndarray, text_embeddings: np.ndarray, prompts: ClassPrompts, y_pred: np.ndarray
) -> np.ndarray:
    """Find for each picture the prompt of its predicted class that is nearest to it, shape (N,)."""
    cosines = cosine_scores(image_embeddings, text_embeddings)  # (N, M)
    cosines[np.asarray(prompts.owners)[None, :] != y_pred[:, None]] = -np.inf
    return np.array(prompts.prompts, dtype=object)[cosines.argmax(axis=1)]


def _nullable(labels: np.ndarray) -> pd.Series:
    """Give labels as a column: int64, or Int64 with <NA> where pictures have no label."""
    missing = labels == UNLABELLED
    return pd.Series(labels, dtype="Int64").mask(missing) if missing.any() else pd.Series(labels)


PACKAGES = (
    "numpy",
    "pillow",
    "torch",
    "torchvision",
    "clip",
    "clip-anytorch",
    "open_clip_torch",
    "transformers",
    "openvino",
)


def environment() -> dict[str, Any]:
    """Give the versions of what a result depends on, and the machine: {"versions": ..., "hardware": ...}."""
    versions = {"zsc": version("zsc-clip"), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    hardware = {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    return {"versions": versions, "hardware": hardware}


def _processor() -> str:
    """Name the processor, as Linux tells it; else what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
