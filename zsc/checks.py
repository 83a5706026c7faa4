"""Checks of what a caller passes: labels, indices, probabilities, scores, embeddings, names, anything with an order.

Each returns the value in the one type that the rest works with, or raises one sentence that names the argument, what
was given and what is possible. Nothing is repaired: no row is rescaled, no label left out, no number cut to an integer.
"""

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]  # embeddings, cosines or scores, one row per picture or text
Indices = NDArray[np.int64]
ROW_TOLERANCE = 1e-3  # what a row of probabilities may miss 1 by: float16 and printed tables pass
UNIT_TOLERANCE = 1e-2  # what the length of an embedding may miss 1 by: float16 on a device passes
LONGEST = 300  # letters of a value in a message
_HALF = re.compile("[\ud800-\udfff]")  # what stands in a path for a byte that is no UTF-8
_PLAIN = {"boolean": bool, "integer": np.int64, "floating": float, "mixed-integer-float": float}  # pandas' words
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def short(value: object) -> str:
    """Show a value in a message: its repr, cut where it is long or deep."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # a whole number with more digits than Python writes
        text = f"a {type(value).__name__} of many digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


# One value.


def check_count(value: Any, name: str, *, low: int = 1, high: int | None = None) -> int:
    """Check a whole number in a range, ends included; bools, texts and fractions are refused."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        limits = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}={short(value)}; {name} must be a whole number {limits}.")
    return int(value)


def check_fraction(value: Any, name: str, *, ends: bool = False) -> float:
    """Check a fraction: between 0 and 1, and neither of them unless `ends`."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (0 <= value <= 1 if ends else 0 < value < 1):  # NaN fails both
        limits = "from 0 to 1, ends included" if ends else "above 0 and below 1"
        raise ValueError(f"{name}={short(value)}; {name} must be a fraction, {limits}.")
    return float(value)


def check_choice(value: Any, choices: Sequence[str], name: str) -> str:
    """Check that a text is one of some."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={short(value)}; {name} must be one of {', '.join(choices)}.")
    return value


# Sequences.


def as_list(values: Any, name: str, what: str = "items") -> list[Any]:
    """Return a sequence in which order decides as a new list; TypeError for one text or value, a mapping or a set."""
    if isinstance(values, (str, bytes, bytearray)):
        raise TypeError(f"{name} is the one text {short(values)}; pass a list of {what}.")
    if isinstance(values, Mapping) or (isinstance(values, Collection) and not hasattr(values, "__getitem__")):
        raise TypeError(f"{name} is a {type(values).__name__}, where order decides; pass a list of {what}.")
    is_scalar = isinstance(values, np.ndarray) and not values.ndim
    if is_scalar or not (isinstance(values, Iterable) or hasattr(values, "__getitem__")):
        raise TypeError(f"{name} is the {type(values).__name__} {short(values)}; pass a list of {what}.")
    return list(values)


def as_indices(indices: Any, n: int, name: str = "indices") -> Indices:
    """Return indices of N rows, shape (M,): of whole numbers from -N to N - 1, or a mask of N bools, or a slice."""
    if isinstance(indices, slice):
        return np.arange(n)[indices]
    array = as_array(indices if isinstance(indices, np.ndarray) else as_list(indices, name, "whole numbers"), name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; pass one dimension: whole numbers, or a mask of bools.")
    if array.dtype == bool:
        if len(array) != n:
            raise ValueError(f"{name} is a mask of {len(array)} bools for {n} rows; pass one for each row.")
        return np.flatnonzero(array)
    if not array.size:
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {array.dtype} values; pass whole numbers, or a mask of bools.")
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise ValueError(f"{name} runs from {low} to {high}; with {n} rows it must lie in {-n} to {n - 1}.")
    return np.arange(n)[array]


def check_same_length(**arrays: Any) -> int:
    """Check that arrays, each under the name that the caller gives it, hold one item per picture; return how many."""
    for name, array in arrays.items():
        if not hasattr(array, "__len__"):
            raise TypeError(f"{name} is a {type(array).__name__}, which has no length; pass a list.")
    (first, n), *rest = ((name, len(array)) for name, array in arrays.items())
    for name, other in rest:
        if other != n:
            raise ValueError(f"{first} holds {n} and {name} holds {other}; both must hold the same number.")
    return n


def check_texts(texts: Iterable[str], name: str) -> list[str]:
    """Check that a sequence holds non-empty texts only."""
    found = as_list(texts, name, "texts")
    for position, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} holds {short(text)} at position {position}; pass non-empty texts.")
    return [str(text) for text in found]


def check_unique(names: Sequence[str], name: str) -> None:
    """Check that no text of a sequence occurs twice."""
    text, times = next(iter(Counter(names).most_common(1)), ("", 0))
    if times > 1:
        raise ValueError(f"{name} holds {short(text)} more than once; pass different names.")


def check_class_names(
    class_names: Iterable[str], n_classes: int | None = None, name: str = "class_names", *, low: int = 2
) -> list[str]:
    """Check class names: K different, non-empty texts, at least `low` (or just `n_classes`)."""
    names = check_texts(class_names, name)
    if len(names) < low:
        raise ValueError(f"{name} holds {len(names)}; pass {'two' if low == 2 else 'one'} or more.")
    if n_classes is not None and len(names) != n_classes:
        raise ValueError(f"{name} holds {len(names)} for {n_classes} classes; pass one for each class.")
    check_unique(names, name)
    return names


# Arrays.


def check_labels(y: Any, n_classes: int | None = None, name: str = "y_true", *, partial: bool = False) -> Indices:
    """Check labels: shape (N,), N of at least 1, from 0 to K - 1; `partial` allows -1 (no label), and N of 0."""
    labels = as_array(y, name)
    if labels.ndim != 1 or not (len(labels) or partial):
        raise ValueError(f"{name} has shape {labels.shape}; pass one label per picture, shape (N,), N of at least 1.")
    if not len(labels):
        return np.empty(0, np.int64)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {labels.dtype} values; pass whole numbers, indices of classes.")
    low, high = int(labels.min()), int(labels.max())
    if low < -partial or high >= (2**63 if n_classes is None else n_classes):
        limits = "be 0 or more" if n_classes is None else f"lie in 0 to {n_classes - 1}"
        hint = " (-1 marks no label: leave such pictures out)" if low == -1 else ""
        raise ValueError(f"{name} runs from {low} to {high}; labels must {limits}{hint}.")
    return labels.astype(np.int64, copy=False)


def check_dataset_labels(y: Any, n_classes: int, name: str = "labels") -> NDArray[Any]:
    """Check labels (N,), or (N, K), int8: 1 where the class applies, 0 where it does not, -1 where nobody knows."""
    labels = as_array(y, name)
    if labels.ndim != 2:
        return check_labels(labels, n_classes, name, partial=True)
    if labels.shape[1] != n_classes:
        raise ValueError(f"{name} has shape {labels.shape}; pass one column for each of the {n_classes} classes.")
    if labels.dtype.kind not in "biu" or (labels.size and not -1 <= labels.min() <= labels.max() <= 1):
        raise ValueError(f"{name} must hold 1 where a class applies, 0 where it does not, -1 where nobody knows.")
    return labels.astype(np.int8)


def check_thresholds(given: Any, n_classes: int) -> Floats:
    """Check thresholds: one number for all of K classes, or one for each; infinite for never; shape (K,)."""
    values = _as_numbers(given, "thresholds").astype(np.float64)
    if values.shape not in {(), (n_classes,)} or np.isnan(values).any():
        raise ValueError(f"thresholds={short(given)}; pass one number, or one for each of the {n_classes} classes.")
    return np.full(n_classes, values)


def check_every_class(y: NDArray[np.int64], n_classes: int, name: str = "y_true") -> None:
    """Check that each of the K classes has at least one label."""
    missing = np.flatnonzero(np.bincount(y, minlength=n_classes) == 0)
    if len(missing):
        raise ValueError(f"{name} holds no label of class {missing[0]}; each of the {n_classes} classes must have one.")


def check_scores(scores: Any, n_classes: int | None = None, name: str = "scores", *, partial: bool = False) -> Floats:
    """Check scores: finite, shape (N, K), K of at least 2 or `n_classes`; float64 out.

    N is 1 or more; `partial` allows rows that are NaN throughout (no answer), and N of 0.
    """
    values = _as_numbers(scores, name)
    if values.ndim != 2 or not (len(values) or partial) or values.shape[1] < min(n_classes or 2, 2):
        wanted = f"one row per picture, one column for each of {min(n_classes or 2, 2)} or more classes"
        raise ValueError(f"{name} has shape {values.shape}; pass (N, K): {wanted}.")
    if n_classes is not None and values.shape[1] != n_classes:
        raise ValueError(f"{name} has {values.shape[1]} columns; pass one for each of the {n_classes} classes.")
    _check_finite(values, name, partial=partial)
    return values.astype(np.float64, copy=False)


def check_proba(proba: Any, n_classes: int | None = None, name: str = "proba", *, partial: bool = False) -> Floats:
    """Check probabilities: scores (see `check_scores`) in [0, 1], rows that add up to 1 (within 0.001), as given."""
    values = check_scores(proba, n_classes, name, partial=partial)
    sums = values.sum(axis=1)
    answered = ~np.isnan(sums)
    if not answered.any():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    if low < 0 or high > 1 + ROW_TOLERANCE:
        raise ValueError(f"{name} runs from {low:.4g} to {high:.4g}; probabilities must lie in 0 to 1.")
    worst = int(np.abs(np.where(answered, sums, 1) - 1).argmax())
    if abs(sums[worst] - 1) > ROW_TOLERANCE:
        raise ValueError(f"{name} adds up to {sums[worst]:.4g} in row {worst}; each row must add up to 1.")
    return values


def check_embeddings(values: Any, name: str = "embeddings", dim: int | None = None, *, partial: bool = False) -> Rows:
    """Check embeddings: finite rows of length 1 (within 0.01), shape (N, D), N and D of at least 1; float32 out.

    `partial` allows rows of nothing but NaN (pictures that failed), and N of 0.
    """
    rows = _as_numbers(values, name)
    if rows.ndim != 2 or not (rows.size or (partial and not len(rows))):
        raise ValueError(f"{name} has shape {rows.shape}; pass (N, D): one row per embedding, at least one.")
    if dim is not None and rows.shape[1] != dim:
        raise ValueError(f"{name} has {rows.shape[1]} columns; it must have {dim}: both must be of one model.")
    _check_finite(rows, name, partial=partial)
    rows = rows.astype(np.float32, copy=False)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    wrong = np.flatnonzero(np.abs(lengths - 1) > UNIT_TOLERANCE)  # NaN is not
    if len(wrong):
        worst = wrong[np.abs(lengths[wrong] - 1).argmax()]
        found = f"a row of length {lengths[worst]:.4g} (row {worst})"
        raise ValueError(f"{name} has {found}; rows must be of length 1: divide each by its length.")
    return rows


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Make an array without changing a value: no mask is dropped, no bool among numbers becomes one."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; fill them or leave them out.")
    if isinstance(values, (list, tuple)) and 0 < sum(isinstance(v, (bool, np.bool_)) for v in values) < len(values):
        raise ValueError(f"{name} mixes bools with other values; pass numbers only.")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:  # rows of different lengths, a tensor's graph
        reason = "is ragged; pass rows of one length" if isinstance(error, ValueError) else "is no array of numbers"
        raise ValueError(f"{name} {reason}.") from error
    if array.dtype == object:  # as pandas makes them of nullable columns
        with suppress(OverflowError):
            return array.astype(_PLAIN.get(infer_dtype(array.ravel(), skipna=False), object))
    return array


def _as_numbers(values: Any, name: str) -> NDArray[Any]:
    array = as_array(values, name)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {array.dtype} values; pass real numbers.")
    return array


def _check_finite(values: NDArray[Any], name: str, *, partial: bool = False) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if partial:
        bad &= ~np.isnan(values).all(axis=1)
    if bad.any():
        where = f"{int(bad.sum())} of {len(values)} rows (first: row {int(bad.argmax())})"
        raise ValueError(f"{name} holds NaN or infinity in {where}; pass finite numbers, without pictures that failed.")


# What nobody can change, and JSON.


def frozen(array: NDArray[Any] | None) -> Any:
    """Copy an array into one that nobody can change; None stays None."""
    copy = None if array is None else np.array(array, copy=True)
    if copy is not None:
        copy.flags.writeable = False
    return copy


class ReadOnly:
    """A frozen dataclass; what copies or pickles it makes it anew, so that a copy cannot be changed either."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, one.name) for one in fields(self))  # type: ignore[arg-type]


class FrozenList(list[Any]):
    """A list that nobody can change; ``list(it)`` is one's own."""

    def _refuse(self, *args: object, **options: object) -> NoReturn:
        raise TypeError(f"this {type(self).__bases__[0].__name__} belongs to a result and is read-only; copy it first.")

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse  # type: ignore[assignment]
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


class FrozenDict(dict[str, Any]):
    """A mapping that nobody can change; ``dict(it)`` is one's own."""

    _refuse = FrozenList._refuse
    clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]
    __setitem__ = __delitem__ = __ior__ = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def frozen_json(value: Any, name: str) -> Any:
    """Copy texts, numbers, lists and mappings into what JSON can hold and nobody can change; paths become texts."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{name} has the key {short(key)}; keys must be texts.")
        return FrozenDict({str(key): frozen_json(item, f"{name}[{short(key)}]") for key, item in value.items()})
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return FrozenList(frozen_json(item, name) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} holds {value}; pass finite numbers, or None.")
    if value is None or isinstance(value, (str, int, float, PurePath)):
        return str(value) if isinstance(value, PurePath) else value
    raise TypeError(f"{name} holds a {type(value).__name__}; pass texts, numbers, None, lists or mappings of these.")


def to_json(content: Any, indent: int | None = None) -> str:
    """Write plain values as JSON that UTF-8 can hold: bytes of a name that are no UTF-8 become escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def from_json(text: str) -> Any:
    """Read JSON in which no key is given twice and no number is NaN; else raise ValueError, without a full stop."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    key, times = next(iter(Counter(key for key, _ in pairs).most_common(1)), ("", 0))
    if times > 1:
        raise ValueError(f"{short(key)} is given twice")
    return dict(pairs)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


@contextmanager
def needed_for(what: str, extra: str) -> Iterator[None]:
    """Turn the import of a package that is not installed into one sentence: an ImportError with the line to type."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "zsc"):
            raise
        line = f"{what} needs the package {package}, which is not installed: pip install 'zsc-clip[{extra}]'."
        raise ImportError(line) from error
