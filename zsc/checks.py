"""Checks of what a caller passes: labels, indices, probabilities, scores, embeddings, names, anything with an order.

Each gives the value back in the one type that the rest works with, or raises one sentence that names the argument, what
was given and what is possible. Nothing is repaired: no row is rescaled, no label left out, no number cut to an integer.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

ROW_TOLERANCE = 1e-3  # what a row of probabilities may miss 1 by: float16 and printed tables pass
_HALF = re.compile("[\ud800-\udfff]")  # what stands in a path for a byte that is no UTF-8
LONGEST = 300  # letters of a value in a message
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3
UNIT_TOLERANCE = 1e-2  # what the length of an embedding may miss 1 by: float16 on a device passes


def check_labels(y: Any, n_classes: int | None = None, name: str = "y_true") -> NDArray[np.int64]:
    """Check labels.

    Parameters
    ----------
    y
        N indices of classes; whole numbers of any integer type, at least one.
    n_classes
        K: labels run from 0 to K - 1. None asks only for 0 or more.
    name
        What the caller calls the argument.

    Returns
    -------
    NDArray[np.int64]
        Shape (N,).

    Raises
    ------
    ValueError
        If there are none, or they have another shape, type or range; -1 (no label) is out of range.
    """
    labels = _as_array(y, name)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"{name} has shape {labels.shape}; pass one label a picture, shape (N,), N of at least 1.")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name} holds {labels.dtype} values; pass whole numbers, indices of classes.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= (2**63 if n_classes is None else n_classes):
        accepted = "0 or more" if n_classes is None else f"0 to {n_classes - 1}"
        hint = " (-1 marks no label: leave such pictures out)" if low == -1 else ""
        raise ValueError(f"{name} runs from {low} to {high}; accepted are {accepted}{hint}.")
    return labels.astype(np.int64, copy=False)


def check_proba(proba: Any, n_classes: int | None = None, name: str = "proba") -> NDArray[np.float64]:
    """Check probabilities.

    Parameters
    ----------
    proba
        Shape (N, K), N of at least 1, K of at least 2; finite, in [0, 1], rows that add up to 1 (within 0.001).
    n_classes
        K, where it is known.
    name
        What the caller calls the argument.

    Returns
    -------
    NDArray[np.float64]
        Shape (N, K), as given: rows are not rescaled.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    values = check_scores(proba, n_classes, name)
    low, high = values.min(), values.max()
    if low < 0 or high > 1 + ROW_TOLERANCE:
        raise ValueError(f"{name} runs from {low:.4g} to {high:.4g}; accepted are probabilities, 0 to 1.")
    sums = values.sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > ROW_TOLERANCE:
        raise ValueError(f"{name} adds up to {sums[worst]:.4g} in row {worst}; accepted are rows that add up to 1.")
    return values


def check_scores(scores: Any, n_classes: int | None = None, name: str = "scores") -> NDArray[np.float64]:
    """Check scores: finite numbers of shape (N, K), N of at least 1, K of at least 2 (or `n_classes`); float64 out."""
    values = _as_numbers(scores, name)
    if values.ndim != 2 or not len(values) or values.shape[1] < 2:
        raise ValueError(
            f"{name} has shape {values.shape}; pass (N, K): a row a picture, a column for each of 2 or more classes."
        )
    if n_classes is not None and values.shape[1] != n_classes:
        raise ValueError(f"{name} has {values.shape[1]} columns; accepted is one for each of the {n_classes} classes.")
    _check_finite(values, name)
    return values.astype(np.float64, copy=False)


def check_embeddings(values: Any, name: str = "embeddings", dim: int | None = None) -> NDArray[np.float32]:
    """Check embeddings.

    Parameters
    ----------
    values
        Shape (N, D), N and D of at least 1; finite rows of length 1 (within 0.01).
    name
        What the caller calls the argument.
    dim
        D, where it is known.

    Returns
    -------
    NDArray[np.float32]
        Shape (N, D), as given.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    rows = _as_numbers(values, name)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"{name} has shape {rows.shape}; pass (N, D): a row an embedding, at least one.")
    if dim is not None and rows.shape[1] != dim:
        raise ValueError(f"{name} has {rows.shape[1]} numbers a row; accepted are {dim}: both must be of one model.")
    _check_finite(rows, name)
    rows = rows.astype(np.float32, copy=False)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    worst = int(np.abs(lengths - 1).argmax())
    if abs(lengths[worst] - 1) > UNIT_TOLERANCE:
        raise ValueError(
            f"{name} has a row of length {lengths[worst]:.4g} (row {worst}); accepted are unit rows: divide "
            "each by its length."
        )
    return rows


def check_class_names(class_names: Sequence[str], n_classes: int | None = None, name: str = "class_names") -> list[str]:
    """Check class names: K different, non-empty texts, at least two (or just `n_classes`)."""
    names = check_texts(class_names, name)
    if len(names) < 2:
        raise ValueError(f"{name} holds {len(names)}; pass two or more.")
    if n_classes is not None and len(names) != n_classes:
        raise ValueError(f"{name} holds {len(names)} for {n_classes} classes; pass one for each class.")
    check_unique(names, name)
    return names


def check_texts(texts: Iterable[str], name: str) -> list[str]:
    """Check that a sequence holds non-empty texts only."""
    found = as_list(texts, name, "texts")
    for position, text in enumerate(found):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} holds {short(text)} at position {position}; pass non-empty texts.")
    return [str(text) for text in found]


def check_unique(names: Sequence[str], name: str) -> None:
    """Check that no text of a sequence occurs twice; one pass over them."""
    seen: set[str] = set()
    for text in names:
        if text in seen:
            raise ValueError(f"{name} holds {short(text)} more than once; pass different names.")
        seen.add(text)


def as_list(values: Any, name: str, what: str = "items") -> list[Any]:
    """Take a sequence in which order decides, as a list of its own; Series by place, generators unrolled.

    Raises
    ------
    TypeError
        If it is one text, or something without a fixed order (a set), or a mapping, or nothing that can be listed.
    """
    if isinstance(values, (str, bytes, bytearray)):
        raise TypeError(f"{name} is the one text {short(values)}; pass a list of {what}.")
    if isinstance(values, np.ndarray) and not values.ndim:
        raise TypeError(f"{name} is the one value {short(values)}; pass a list of {what}.")
    if isinstance(values, Mapping) or (isinstance(values, Collection) and not hasattr(values, "__getitem__")):
        raise TypeError(f"{name} is a {type(values).__name__}, where order decides; pass a list of {what}.")
    if not isinstance(values, Iterable) and not hasattr(values, "__getitem__"):
        raise TypeError(f"{name} is the {type(values).__name__} {short(values)}; pass a list of {what}.")
    return list(values)


def as_indices(indices: Any, n: int, name: str = "indices") -> NDArray[np.int64]:
    """Take indices of N rows, shape (M,): whole numbers from -N to N - 1, or a mask of N bools, or a slice.

    Raises
    ------
    TypeError
        If they are neither whole numbers nor bools.
    ValueError
        If a mask has another length, or an index is out of range.
    """
    if isinstance(indices, slice):
        return np.arange(n)[indices]
    if not isinstance(indices, (range, np.ndarray)):
        indices = as_list(indices, name, "whole numbers")
    array = _as_array(indices, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; pass one dimension: whole numbers, or a mask of bools.")
    if not array.size:
        if array.dtype == bool and n:
            raise ValueError(f"{name} is an empty mask; a mask must hold one bool for each of the {n} rows.")
        return np.empty(0, np.int64)
    if array.dtype == bool:
        if len(array) != n:
            raise ValueError(f"{name} is a mask of {len(array)} bools for {n} rows; pass one for each row.")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {array.dtype} values; pass whole numbers, or a mask of bools.")
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise ValueError(f"{name} runs from {low} to {high}; with {n} rows it must lie in {-n} to {n - 1}.")
    return np.where(array < 0, array.astype(np.int64) + n, array.astype(np.int64))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Copy an array into one that nobody can change."""
    copy = np.array(array, copy=True)
    copy.flags.writeable = False
    return copy


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
    """Copy texts, numbers, lists and mappings into what JSON can hold and nobody can change; paths become texts.

    Raises
    ------
    TypeError
        If a key is no text, or a value is something else; the message says where.
    ValueError
        If a number is not finite.
    """
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
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{name} holds a {type(value).__name__}; pass texts, numbers, None, lists or mappings of these.")


def to_json(content: Any, indent: int) -> str:
    """Write plain values as JSON that UTF-8 can hold: bytes of a name that are no UTF-8 become escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, allow_nan=False)
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def from_json(text: str) -> Any:
    """Read JSON, in which no key is given twice and no number is NaN.

    Raises
    ------
    ValueError
        If it is something else, or nested too deeply; one line without a full stop.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise ValueError(f"{short(times.most_common(1)[0][0])} is given twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def check_count(value: Any, name: str, *, low: int = 1, high: int | None = None) -> int:
    """Check a whole number in a range, ends included; bools, texts and fractions are refused."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not is_whole or value < low or (high is not None and value > high):
        limits = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}={short(value)}; {name} must be a whole number {limits}.")
    return int(value)


def short(value: object) -> str:
    """Show a value in a message: its repr, cut where it is long or deep."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # a whole number with more digits than Python writes
        text = f"a {type(value).__name__} of many digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def check_same_length(**arrays: Any) -> int:
    """Check that arrays hold one item a picture each: all the same length, which is given back.

    Parameters
    ----------
    arrays
        The arrays, each under the name that the caller gives it.

    Raises
    ------
    ValueError
        If two differ; the message names both.
    """
    for name, array in arrays.items():
        if not hasattr(array, "__len__"):
            raise TypeError(f"{name} is a {type(array).__name__}, which has no length; pass a list.")
    (first, n), *rest = ((name, len(array)) for name, array in arrays.items())
    for name, other in rest:
        if other != n:
            raise ValueError(f"{first} holds {n} and {name} holds {other}; accepted is the same number, one a picture.")
    return n


def check_fraction(value: float, name: str, *, ends: bool = False) -> float:
    """Check a fraction: between 0 and 1, and neither of them unless `ends`."""
    try:
        number = math.nan if isinstance(value, (str, bytes, bool, np.bool_)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (0 <= number <= 1 if ends else 0 < number < 1):  # NaN fails both
        accepted = "0 to 1, ends included" if ends else "above 0 and below 1"
        raise ValueError(f"{name}={short(value)}; accepted is a fraction, {accepted}.")
    return number


def check_choice(value: str, accepted: Sequence[str], name: str) -> str:
    """Check that a text is one of the accepted ones."""
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(f"{name}={short(value)}; accepted are {', '.join(accepted)}.")
    return value


def check_every_class(y: NDArray[np.int64], n_classes: int, name: str = "y_true") -> None:
    """Check that each of the K classes has at least one label."""
    missing = np.flatnonzero(np.bincount(y, minlength=n_classes) == 0)
    if len(missing):
        raise ValueError(
            f"{name} holds no label of class {missing[0]}; accepted is at least one of each of the {n_classes} classes."
        )


def _as_array(values: Any, name: str) -> NDArray[Any]:
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
    return _as_plain(array) if array.dtype == object and array.size else array


def _as_plain(array: NDArray[Any]) -> NDArray[Any]:
    """Give an array of Python's numbers, as pandas makes them of nullable columns, its own type."""
    kinds = {type(value) for value in array.flat}
    whole = all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds)
    if whole and min(array.flat) >= -(2**63) and max(array.flat) < 2**63:
        return array.astype(np.int64)
    is_real = all(issubclass(kind, (float, int, np.floating, np.integer)) and kind is not bool for kind in kinds)
    return array.astype(np.float64) if is_real and not whole else array


def _as_numbers(values: Any, name: str) -> NDArray[Any]:
    array = _as_array(values, name)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {array.dtype} values; pass real numbers.")
    return array


def _check_finite(values: NDArray[Any], name: str) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name} holds NaN or infinity in {int(bad.sum())} of {len(values)} rows (first: row {int(bad.argmax())}); "
            "pass finite numbers, without pictures that failed."
        )
