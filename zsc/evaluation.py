"""Evaluation: the one result of a classifier, what made it, and how good its predictions are.

Metrics are scikit-learn's, the interval is SciPy's. The interval holds for pictures drawn like these; it does not
account for wrong labels, or for prompts that were chosen on the same pictures.
"""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from zsc import checks
from zsc.calibration import expected_calibration_error, reliability_table
from zsc.datasets.base import UNLABELLED, class_texts
from zsc.files import digest_of, write_whole
from zsc.images import as_utf8, describe
from zsc.parts import record_of
from zsc.statistics import CONFIDENCE, holm, images_needed, mcnemar, paired_interval, shares, wilson_interval

__all__ = ["Evaluation", "Provenance", "environment", "evaluate", "holm", "images_needed", "mcnemar",
           "paired_interval", "wilson_interval"]  # fmt: skip

COLUMNS = ("image", "y_true", "y_pred", "y_pred_token", "proba")
KIND = "zsc evaluation"
FORMAT = 1  # files without a number are older, and otherwise the same
INLINE = 500_000  # a JSON file holds this many probabilities itself; more go into a Parquet file beside it
EXACT = 10_000_000  # this many probabilities are kept to the last digit; more are kept to seven digits
PACKAGES = ("numpy", "pillow", "torch", "torchvision", "clip", "clip-anytorch", "open_clip_torch", "transformers",
            "openvino", "onnxruntime")  # fmt: skip
_KINDS: dict[str, Any] = {"str": str, "int": int, "float": (int, float, type(None)), "Sequence": list, "Mapping": dict}


@dataclass(frozen=True)
class Provenance:
    """What made a result; checked, copied and read-only. Fields that nobody filled in are empty."""

    model: str = ""
    library: str = ""
    precision: str = ""
    device: str = ""
    engine: str = ""
    fingerprint: str = ""
    weights_sha256: str = ""
    logit_scale: float | None = None
    dataset: str = ""  # name and split
    data_digest: str = ""  # of the pictures' contents; not known of a selection
    prompts: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of each class
    prompts_name: str = ""
    pooling: str = ""
    matched_by: str = ""  # how labels were tied to classes: "name", "position", "not at all: ..."
    part: str = ""  # of the pictures, such as "held out: 50 of 100 pictures"
    left_out: int = 0  # how many pictures could not be opened
    advice: Sequence[str] = ()  # what `check_prompts` says of the prompts, one sentence each
    versions: Mapping[str, str] = field(default_factory=dict)  # and hardware: see `environment`
    hardware: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)  # what a caller adds

    def __post_init__(self) -> None:
        for one in fields(self):
            value = checks.frozen_json(getattr(self, one.name), one.name)
            kind = re.split(r"\W", str(one.type))[0]
            if not isinstance(value, _KINDS[kind]):
                raise TypeError(f"{one.name} must be a {kind.lower()}; got {checks.short(value)}.")
            vars(self)[one.name] = value

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are filled in, and what `other` holds, as one mapping that JSON can hold."""
        filled = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}
        return filled.pop("other", {}) | filled

    @classmethod
    def from_dict(cls, about: Mapping[str, Any]) -> Provenance:
        """Read what `to_dict` gives; unknown keys go to `other`, and None stands for the default."""
        if not isinstance(about, Mapping):
            raise TypeError(f"about is a {type(about).__name__}; pass a mapping.")
        about = checks.frozen_json(about, "about")
        names = {one.name for one in fields(cls)} - {"other"}
        known = {key: value for key, value in about.items() if key in names and value is not None}
        return cls(**known, other={key: value for key, value in about.items() if key not in names})


@dataclass(frozen=True, eq=False)
class Evaluation(checks.ReadOnly):
    """N predictions over K classes: the one result of a classifier. Checked, copied and read-only.

    `y_true`, shape (N,), holds -1 where a picture has no label; `proba`, shape (N, K), rows of NaN for pictures that
    could not be opened. `images` are N sources, `tokens` the prompts that decided, shape (N,); either may be None. A
    mapping as `made_by` becomes a `Provenance`. The metrics, unlike `table`, need a label and an answer for every
    picture, and raise one sentence otherwise.

    Where classes do not exclude each other, `thresholds`, shape (K,), say from which score on the answer is yes, and
    `proba` holds cosines or sigmoid probabilities. `y_true` and `y_pred` are then of shape (N, K), 1 for yes, 0 for no,
    -1 for not known, and judged by `report`, `mean_average_precision`, `macro_recall` and `summary`.
    """

    y_true: NDArray[np.int64]
    proba: NDArray[np.float64]
    class_names: list[str]
    images: Sequence[Any] | None = None
    made_by: Provenance = field(default_factory=Provenance)
    tokens: NDArray[np.object_] | None = None
    thresholds: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        names = checks.check_class_names(self.class_names, low=2 if self.thresholds is None else 1)
        if self.thresholds is None:
            labels, thresholds = checks.check_labels(self.y_true, len(names), partial=True), None
            proba = checks.check_proba(self.proba, len(names), partial=True)
        else:
            labels = checks.check_dataset_labels(np.atleast_2d(self.y_true), len(names), "y_true")
            proba = checks.check_scores(self.proba, len(names), "proba", partial=True)
            thresholds = checks.check_thresholds(self.thresholds, len(names))
        made_by = self.made_by if isinstance(self.made_by, Provenance) else Provenance.from_dict(self.made_by)
        images = None if self.images is None else checks.FrozenList(checks.as_list(self.images, "images", "pictures"))
        tokens = None if self.tokens is None else np.array(checks.as_list(self.tokens, "tokens", "prompts"), object)
        given = {"y_true": labels, "proba": proba, "images": images, "tokens": tokens}
        checks.check_same_length(**{name: values for name, values in given.items() if values is not None})
        labels, proba, tokens, thresholds = map(checks.frozen, (labels, proba, tokens, thresholds))
        checked = (labels, proba, checks.FrozenList(names), images, made_by, tokens, thresholds)
        vars(self).update(zip((one.name for one in fields(self)), checked, strict=True))

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """Which pictures have no answer because they could not be opened, shape (N,)."""
        return checks.frozen(np.isnan(self.proba[:, 0]))

    @cached_property
    def y_pred(self) -> NDArray[np.int64]:
        """The most probable class, the first of equal ones, (N,); with `thresholds` 1 or 0, (N, K); -1 where failed."""
        if self.thresholds is not None:
            return checks.frozen(np.where(self.failed[:, None], UNLABELLED, self.proba >= self.thresholds))
        return checks.frozen(np.where(self.failed, UNLABELLED, self.proba.argmax(axis=1)))

    @property
    def n(self) -> int:
        """N, the number of pictures."""
        return len(self.y_true)

    @property
    def table(self) -> pd.DataFrame:
        """One row per picture, a new table at each call.

        Columns image (paths and URLs as texts), y_true and y_pred (indices into `class_names`; <NA> without a label, or
        without an answer), y_pred_token (the prompt that decided), proba (of y_pred), and proba_<class> for each class.
        With `thresholds` image, y_true and y_pred (names: "hat; glasses"), and score_<class> for each class.
        """
        nothing, labels, kind = [None] * self.n, (self.y_true, self.y_pred), "proba"
        columns: list[Any] = [as_cells(nothing if self.images is None else self.images)]
        if self.thresholds is not None:
            columns += [pd.Series(class_texts(y, self.class_names), dtype=object) for y in labels]
            kind = "score"
        else:
            tokens = pd.Series(nothing if self.tokens is None else self.tokens, dtype=object).mask(self.failed, None)
            columns += [*map(_nullable, labels), tokens, self.proba[np.arange(self.n), self.y_pred]]
        names = _index([*COLUMNS[: len(columns)], *(f"{kind}_{name}" for name in self.class_names)])
        return pd.DataFrame(dict(enumerate([*columns, *self.proba.T]))).set_axis(names, axis=1)

    def select(self, rows: ArrayLike | slice) -> Evaluation:
        """Keep some pictures: their indices, in that order; or a mask of N bools, or a slice."""
        kept = checks.as_indices(rows, self.n)
        images = None if self.images is None else [self.images[i] for i in kept]
        tokens = None if self.tokens is None else self.tokens[kept]
        made_by = self.made_by if len({*kept.tolist()}) == self.n else replace(self.made_by, data_digest="")
        y_true, proba = self.y_true[kept], self.proba[kept]
        return replace(self, y_true=y_true, proba=proba, images=images, tokens=tokens, made_by=made_by)

    @cached_property
    def _unjudged(self) -> str:
        """Why nothing can be judged: a sentence, empty where everything can."""
        if not self.n:
            return "there are no pictures to judge."
        if missing := int((self.y_true == UNLABELLED).reshape(self.n, -1).any(axis=1).sum()):
            return f"{missing} of {self.n} pictures have no label; select those with y_true >= 0."
        failed = int(self.failed.sum())
        return f"{failed} of {self.n} pictures could not be opened; select those not failed." if failed else ""

    @property
    def _labels(self) -> NDArray[np.int64]:
        if self._unjudged:
            raise ValueError(self._unjudged)
        self.check_one_label()
        return self.y_true

    def check_one_label(self) -> None:
        """Refuse a result whose classes do not exclude each other, for what needs one label per picture."""
        if self.thresholds is not None:
            told = "the classes of this result do not exclude each other"
            raise ValueError(f"{told}; read report, mean_average_precision and summary() instead.")

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Which predictions are right, shape (N,): what the paired tests of `zsc.statistics` take."""
        return checks.frozen(self._labels == self.y_pred)

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
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(self.correct, self.n)

    @property
    def macro_recall(self) -> float:
        """The mean of the recalls of the classes that occur in `y_true`."""
        return float(self._seen["recall"].mean())

    @property
    def majority_baseline(self) -> float:
        """The accuracy of always naming the class that is most frequent in `y_true`."""
        return float(np.bincount(self._labels).max() / self.n)

    @property
    def verdict(self) -> str:
        """Say so where the accuracy is not shown to be above `majority_baseline`; empty where it is, or that is 1."""
        (low, high), floor = self.interval, self.majority_baseline
        words = "worse" if high < floor else "not shown to be better"
        return f"{words} than always naming the most frequent class" if low <= floor < 1 else ""

    @property
    def log_loss(self) -> float:
        """The mean of -log of the true class's probability, in nats; a probability of 0 counts as 2.2e-308."""
        given = self.proba[np.arange(self.n), self._labels]
        return float(np.log(1 / np.clip(given, np.finfo(np.float64).tiny, 1)).mean())

    @property
    def brier(self) -> float:
        """The Brier score, halved so that it lies in [0, 1]: for two classes the mean squared error of either."""
        errors = np.array(self.proba)
        errors[np.arange(self.n), self._labels] -= 1
        return float((errors**2).sum(axis=1).mean() / 2)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error of the predicted class's probability, in ten bins of equal width."""
        return expected_calibration_error(self._labels, self.proba)

    @property
    def reliability(self) -> pd.DataFrame:
        """One row per bin of confidence: mean confidence, accuracy, count; see `zsc.calibration.reliability_table`."""
        return reliability_table(self._labels, self.proba)

    @property
    def coverage(self) -> pd.DataFrame:
        """What abstaining buys: one row per threshold that changes something, from the least strict on.

        Columns threshold, coverage (the share of pictures whose probability reaches it), accuracy (among these), n.
        """
        top = self.proba.max(axis=1)
        order = np.argsort(-top, kind="stable")
        n = np.arange(1, self.n + 1)
        accuracy = np.cumsum(self.right[order]) / n
        last = np.r_[np.flatnonzero(np.diff(top[order])), self.n - 1]  # pictures of equal confidence go together
        curve = pd.DataFrame({"threshold": top[order], "coverage": n / self.n, "accuracy": accuracy, "n": n})
        return curve.iloc[last[::-1]].reset_index(drop=True)

    @property
    def report(self) -> pd.DataFrame:
        """One row per class: precision, recall, f1 (0 where undefined) and support, as scikit-learn's report.

        With `thresholds` they are of each class by itself, NaN where undefined, with their 95 % Wilson intervals
        (precision_low, ...), average_precision, answered (how many pictures got a yes) and threshold.
        """
        if self.thresholds is not None:
            return self._yes_report
        labels = np.arange(len(self.class_names))
        columns = precision_recall_fscore_support(self._labels, self.y_pred, labels=labels, zero_division=0)
        names = ("precision", "recall", "f1", "support")
        table = pd.DataFrame(dict(zip(names, columns, strict=True)), index=_index(self.class_names, "class"))
        return table.astype({"support": int})  # scikit-learn counts in floats where no prediction is right

    @property
    def by_class(self) -> pd.DataFrame:
        """One row per class, the lowest recall first; NaN where a share is undefined, as for a name never given.

        Columns n (its pictures), right, recall, low and high (the 95 % Wilson interval of the recall), precision, f1.
        """
        which = (self._labels, self.y_true[self.right], self.y_pred)
        n, right, given = (np.bincount(labels, minlength=len(self.class_names)) for labels in which)
        report = self.report
        table = pd.DataFrame({"n": n, "right": right}, index=report.index)
        table[["recall", "low", "high"]] = shares(right, n)
        table["precision"], table["f1"] = report["precision"].where(given > 0), report["f1"].where(n + given > 0)
        return table.sort_values(["recall", "high"], kind="stable")

    @property
    def weakest(self) -> str:
        """Name the class of lowest recall if its interval is below all others, or say so; empty if all are equal."""
        seen = self.by_class.loc[lambda table: table["n"] > 0]
        first, lowest = seen.iloc[0], seen[seen["recall"] == seen["recall"].min()]
        if len(lowest) == len(seen):
            return ""
        if first["high"] < seen["low"].iloc[1:].min():
            return f"Weakest: {first.name}, recall {first['recall']:.3f} of {first['n']:.0f}."
        which = first.name if len(lowest) == 1 else f"{len(lowest)} classes"
        lowest_recall = f"Lowest recall: {which}, {first['recall']:.3f} of {lowest['n'].sum()}"
        return f"{lowest_recall}; too few pictures to tell which class is the weakest."

    @cached_property
    def _yes_report(self) -> pd.DataFrame:
        """One row per class that is a yes or a no by itself."""
        if self._unjudged:
            raise ValueError(self._unjudged)
        true, yes = self.y_true == 1, self.y_pred == 1
        right, answered, support = ((true & yes).sum(axis=0), yes.sum(axis=0), true.sum(axis=0))
        table = pd.DataFrame(index=_index(self.class_names, "class"))
        for name, of in (("precision", answered), ("recall", support)):
            table[[name, f"{name}_low", f"{name}_high"]] = shares(right, of)
        columns = zip(true.T, self.proba.T, strict=True)
        table["average_precision"] = [average_precision_score(y, s) if y.any() else np.nan for y, s in columns]
        return table.assign(answered=answered, support=support, threshold=self.thresholds)

    @property
    def mean_average_precision(self) -> float:
        """The mean over the classes that occur in `y_true` of scikit-learn's average precision (mAP)."""
        if self.thresholds is None:
            raise ValueError("this result has one label per picture; mean_average_precision needs multi_label=True.")
        return float(self._seen["average_precision"].mean())

    @property
    def _seen(self) -> pd.DataFrame:
        return self.report.loc[lambda report: report["support"] > 0]

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts: one row per true class, one column per predicted class."""
        return self.confusion_table()

    def confusion_table(self, normalise: str | None = None) -> pd.DataFrame:
        """Return the confusion as counts (None), or as shares of each "true" or "predicted" class, or of "all"."""
        if normalise is not None:
            checks.check_choice(normalise, ("true", "predicted", "all"), "normalise")
        how, labels = "pred" if normalise == "predicted" else normalise, np.arange(len(self.class_names))
        counts = confusion_matrix(self._labels, self.y_pred, labels=labels, normalize=how)
        rows, columns = (_index(self.class_names, name) for name in ("true", "predicted"))
        return pd.DataFrame(counts, index=rows, columns=columns)

    @property
    def errors(self) -> pd.DataFrame:
        """The wrong predictions, most confident first.

        Columns index, image (where sources are known), true, predicted, proba (of the predicted class), proba_true,
        margin (proba less that of the runner-up) and second (the runner-up).
        """
        wrong = np.flatnonzero(~self.right)
        wrong = wrong[np.argsort(-self.proba[wrong].max(axis=1), kind="stable")]
        proba = self.proba[wrong]
        which = np.column_stack([self.y_true[wrong], np.argsort(-proba, axis=1, kind="stable")[:, :2]])
        true, first, second = np.take_along_axis(proba, which, axis=1).T
        names = np.array(self.class_names, dtype=object)[which]
        table = pd.DataFrame(names, columns=["true", "predicted", "second"], dtype=object)
        table = table.assign(index=wrong, proba=first, proba_true=true, margin=first - second)
        if self.images is not None:
            table["image"] = as_cells(self.images[i] for i in wrong.tolist())
        columns = ("index", "image", "true", "predicted", "proba", "proba_true", "margin", "second")
        return table[[name for name in columns if name in table]]

    def top_k(self, k: int) -> float:
        """Return the share of pictures whose true class is among the k most probable (ties: the lower index)."""
        k = checks.check_count(k, "k", high=self.proba.shape[1])
        top = np.argsort(-self.proba, axis=1, kind="stable")[:, :k]
        return float((top == self._labels[:, None]).any(axis=1).mean())

    def abstain(self, threshold: float) -> Evaluation:
        """Keep only the predictions whose probability is at least `threshold`; ValueError if there are none.

        A picture of none of the classes can pass (see `zsc.calibration.tell_strangers`). `made_by.other` holds the
        threshold and the coverage, the share of pictures that are left.
        """
        self.check_one_label()
        top = np.where(self.failed, -1, self.proba.max(axis=1))
        kept = np.flatnonzero(top >= checks.check_fraction(threshold, "threshold", ends=True))
        if not len(kept):
            highest = top.max(initial=0)
            raise ValueError(f"threshold={threshold}; no prediction reaches it, the highest is {highest:.3f}.")
        chosen = self.select(kept)
        other = {**self.made_by.other, "threshold": threshold, "coverage": len(kept) / self.n}
        return replace(chosen, made_by=replace(chosen.made_by, other=other))

    def summary(self) -> str:
        """Say the result in a few sentences: accuracy, how sure, against what, and `weakest`."""
        if self.thresholds is not None:
            return self._yes_summary()
        (low, high), baseline, left_out = self.interval, self.majority_baseline, self.made_by.left_out
        said = (
            f"accuracy {self.accuracy:.3f} ({self.correct} of {self.n}), 95 % interval {low:.3f} to {high:.3f}, "
            f"macro recall {self.macro_recall:.3f}; always naming the most frequent class gives {baseline:.3f}.",
            f"This is {self.verdict}." if self.verdict else "",
            self.weakest,
            f"Left out, as they cannot be opened: {left_out} pictures." if left_out else "",
            "Classes were matched by position." if self.made_by.matched_by == "position" else "",
        )
        return " ".join(filter(None, said))

    def _yes_summary(self) -> str:
        seen, chance = self._seen, (self._seen["support"] / self.n).mean()
        many = f"{len(seen)} class{'es' * (len(seen) != 1)}, {self.n} pictures"
        text = f"mean average precision {self.mean_average_precision:.3f} ({many}; chance gives {chance:.3f})."
        if len(seen) > 1:
            worst = seen.loc[seen["average_precision"].idxmin()]
            text += f" Weakest: {worst.name}, {worst['average_precision']:.3f} with {worst['support']:.0f} pictures."
        for count, what in (("support", "In no picture, and left out"), ("answered", "Never answered with yes")):
            if names := ", ".join(self.report.index[self.report[count] == 0]):
                text += f" {what}: {names}."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain values that JSON can hold: what made them, the numbers, report, confusion."""
        if self.thresholds is not None:
            report = self.report.reset_index().astype(object).replace([np.nan, np.inf], None).to_dict("records")
            precision = self.mean_average_precision if len(self._seen) else None
            return {**self.made_by.to_dict(), "n": self.n, "mean_average_precision": precision, "report": report}
        numbers = ("n", "correct", "accuracy", "macro_recall", "majority_baseline", "log_loss", "brier",
                   "calibration_error")  # fmt: skip
        rows = zip(self.class_names, self.report.to_dict("records"), strict=True)
        return {
            **self.made_by.to_dict(),
            **{name: getattr(self, name) for name in numbers},
            "interval": list(self.interval),
            "confidence": CONFIDENCE,
            "report": [{"class": name, **row} for name, row in rows],
            "confusion": {"class_names": list(self.class_names), "counts": self.confusion.to_numpy().tolist()},
        }

    def save(self, path: str | Path) -> Path:
        """Write everything to a file that `load` reads, whole or not at all; an older file is replaced.

        A path that ends in .parquet becomes one Parquet file, any other a JSON file that people can read, with a
        Parquet file beside it for more than 500,000 probabilities; more than 10 million are kept to seven digits.
        """
        path = Path(path)
        head = {"kind": KIND, "format": FORMAT, "about": self.made_by.to_dict(), "class_names": self.class_names}
        if self.thresholds is not None:
            if path.suffix == ".parquet":
                raise ValueError(f"{path}: a result of several labels per picture is kept as JSON; end it with .json.")
            head["thresholds"] = [None if np.isinf(value) else value for value in self.thresholds.tolist()]
        names = None
        if self.images is not None:  # paths and URLs come back as they are, also where they are no UTF-8
            names = [os.fsdecode(one) if isinstance(one, (str, os.PathLike)) else describe(one) for one in self.images]
        if path.suffix == ".parquet":
            table = self._columns()
            differ = names is not None and names != table["image"].to_pylist()  # some are no UTF-8
            table = table.replace_schema_metadata({"zsc": checks.to_json(head | {"images": names if differ else None})})
            numbers = dict.fromkeys(table.column_names[3:], "BYTE_STREAM_SPLIT")
            options = {"compression": "zstd", "use_dictionary": table.column_names[:3], "column_encoding": numbers}
            return write_whole(path, lambda file: pq.write_table(table, file, **options))
        results = {"results": None if self._unjudged else self.to_dict()}
        lists: dict[str, Any] = {"y_true": self.y_true.tolist(), "images": names}
        lists["tokens"] = None if self.tokens is None else list(self.tokens)
        if self.proba.size > INLINE and self.thresholds is None:
            arrays = self.save(path.with_name(f"{path.name}.parquet"))
            lists = {"arrays": arrays.name, "sha256": digest_of(arrays)}
        else:
            lists["proba"] = [None if np.isnan(row[0]) else row for row in self.proba.tolist()]
        return write_whole(path, f"{checks.to_json(results | head, indent=1)[:-2]},\n{checks.to_json(lists)[1:]}\n")

    def _columns(self) -> pa.Table:
        """Lay the result out as `table` is, without what can be computed."""
        proba = self.proba if self.proba.size <= EXACT else self.proba.astype(np.float32)
        columns = {
            "image": pa.nulls(self.n) if self.images is None else pa.array(map(describe, self.images)),
            "y_true": pa.array(self.y_true, mask=self.y_true == UNLABELLED),
            "y_pred_token": pa.nulls(self.n) if self.tokens is None else pa.array(self.tokens),
        }
        names = [*columns, *(as_utf8(f"proba_{name}") for name in self.class_names)]
        return pa.table([*columns.values(), *map(pa.array, np.ascontiguousarray(proba.T))], names=names)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what `save` wrote; pictures that were in memory are known by name only.

        FileNotFoundError says that there is no such file, ValueError that it is something else, damaged, or newer.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such evaluation; write one with evaluation.save or evaluate --save.")
        try:
            return cls(**(_read_parquet(path) if path.suffix == ".parquet" else _read_json(path)))
        except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
            reason = str(error).removesuffix(".")
            raise ValueError(f"{path}: no evaluation to be read ({reason}); write one with evaluation.save.") from error

    def __repr__(self) -> str:
        return f"Evaluation({self._unjudged or self.summary()})"


def evaluate(
    y_true: Sequence[int] | NDArray[np.int64], proba: ArrayLike, class_names: Iterable[str], *,
    images: Iterable[Any] | None = None, about: Mapping[str, Any] | Provenance | None = None,
) -> Evaluation:  # fmt: skip
    """Judge predictions from plain arrays, as in `Evaluation`; every picture must have a label and an answer."""
    names = checks.check_class_names(class_names)  # type: ignore[arg-type]
    labels, values = checks.check_labels(y_true, len(names)), checks.check_proba(proba, len(names))
    return Evaluation(labels, values, names, images, about or {})  # type: ignore[arg-type]


def as_cells(images: Iterable[Any]) -> pd.Series:
    """Return picture sources as a column: paths and URLs as texts that every file format can hold, the rest as is."""
    cells = [describe(one) if isinstance(one, (str, os.PathLike)) else one for one in images]
    return pd.Series(cells, dtype=object)


def _nullable(labels: NDArray[np.int64]) -> pd.Series:
    """Return labels as a column: int64, or Int64 with <NA> for -1."""
    missing = labels == UNLABELLED
    return pd.Series(labels, dtype="Int64").mask(missing) if missing.any() else pd.Series(labels)


def _index(names: Sequence[str], name: str | None = None) -> pd.Index:
    return pd.Index(list(names), dtype=object, name=name)  # object takes bytes that are no UTF-8


def _read_parquet(path: Path) -> dict[str, Any]:
    table = pq.read_table(path, partitioning=None)
    record = record_of(table.schema)
    found = _read_head(record)
    if table.column_names[:3] != ["image", "y_true", "y_pred_token"]:
        raise ValueError(f"its columns are {checks.short(table.column_names)}")
    images, tokens = (None if table[c].type == pa.null() else table[c].to_pylist() for c in ("image", "y_pred_token"))
    return found | {
        "y_true": table["y_true"].fill_null(UNLABELLED).to_numpy(),
        "proba": np.array([column.to_numpy() for column in table.columns[3:]]).T,
        "images": record.get("images") or images,
        "tokens": tokens,
    }


def _read_json(path: Path) -> dict[str, Any]:
    content = checks.from_json(path.read_text(encoding="utf-8-sig"))
    found = _read_head(content)
    if "arrays" in content:
        arrays = path.with_name(Path(str(content["arrays"])).name)
        if not arrays.is_file() or digest_of(arrays) != content.get("sha256"):
            raise ValueError(f"its arrays in {arrays.name} are missing, or those of another evaluation")
        return _read_parquet(arrays)
    proba = content.get("proba")
    if isinstance(proba, list):
        proba = [[math.nan] * len(found["class_names"]) if row is None else row for row in proba]
    if (thresholds := content.get("thresholds")) is not None:
        found["thresholds"] = [math.inf if value is None else value for value in thresholds]
    return found | {"proba": proba} | {key: content.get(key) for key in ("y_true", "images", "tokens")}


def _read_head(content: Any) -> dict[str, Any]:
    if (kind := content.get("kind") if isinstance(content, dict) else content) != KIND:
        raise ValueError(f"kind is {checks.short(kind)}, not {KIND!r}")
    written = content.get("format", FORMAT)
    if type(written) is not int or written > FORMAT:
        raise ValueError(f"format is {checks.short(written)}, this version of zsc reads {FORMAT}: install a newer one")
    names = checks.check_class_names(content.get("class_names"), low=1)  # type: ignore[arg-type]
    if content.get("images") is not None:
        checks.check_texts(content["images"], "images")
    return {"class_names": names, "made_by": Provenance.from_dict(content.get("about"))}  # type: ignore[arg-type]


@cache
def environment() -> Mapping[str, Any]:
    """Return the versions of what a result depends on, and the machine: {"versions": ..., "hardware": ...}."""
    versions = {"zsc": "a checkout that is not installed", "python": platform.python_version()}
    for key, name in [("zsc", "zsc-clip"), *zip(PACKAGES, PACKAGES, strict=True)]:
        with suppress(PackageNotFoundError):
            versions[key] = version(name)
    processor = platform.processor()
    with suppress(OSError, IndexError):
        processor = re.findall(r"(?m)^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))[0]
    hardware = {"machine": platform.machine(), "system": platform.system(), "processor": processor}
    return checks.frozen_json({"versions": versions, "hardware": hardware | {"cores": os.cpu_count()}}, "environment")
