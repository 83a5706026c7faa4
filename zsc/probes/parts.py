"""Labelled embeddings as the probes take them, and parts of them: a validation part, a few shots a class.

A part is an `ImageEmbeddings`, or a pair (embeddings (N, D), labels (N,)). Classes are matched by name where both sides
have names, so that their order decides nothing; pictures that failed are left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zsc.checks import (
    as_list,
    check_class_names,
    check_count,
    check_embeddings,
    check_every_class,
    check_fraction,
    check_labels,
    check_same_length,
    short,
)
from zsc.embeddings import ImageEmbeddings
from zsc.matching import match_by

Part: TypeAlias = ImageEmbeddings | tuple[Any, Any]
NO_NAME = re.compile(r"class \d+$")  # what a class is called where nobody gave it a name: its order is all there is
ROUNDING = 1e-4  # what two embeddings of one picture may differ by: batches and threads change the last digits


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Checked rows with a label each. Made by `as_rows`.

    Attributes
    ----------
    values
        Shape (N, D), float32, unit rows.
    labels
        Shape (N,), int64, indices into `class_names`.
    class_names
        K names.
    images
        N picture sources, or None.
    digests
        N digests of the pictures' contents, or None.
    fingerprint, model, dataset
        What made the rows, and of which data; an empty text where it is not known.
    left_out
        How many pictures could not be opened and have no row.
    matched_by
        "position" where the classes were paired by their order, as their names do not say which is which.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: list[str]
    images: Sequence[Any] | None = None
    digests: Sequence[bytes | None] | None = None
    fingerprint: str = ""
    model: str = ""
    dataset: str = ""
    left_out: int = 0
    matched_by: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: NDArray[np.int64]) -> LabelledRows:
        """Keep the rows at `indices`, in that order."""
        images, digests = (None if a is None else [a[i] for i in indices] for a in (self.images, self.digests))
        return replace(self, values=self.values[indices], labels=self.labels[indices], images=images, digests=digests)

    @property
    def about(self) -> dict[str, Any]:
        """What is known of where the rows come from, and what was done to them: the fields that are not empty."""
        names = ("model", "fingerprint", "dataset", "left_out", "matched_by")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def as_rows(
    part: Part,
    name: str,
    *,
    class_names: Sequence[str] | None = None,
    dim: int | None = None,
    fingerprint: str = "",
) -> LabelledRows:
    """Check a part.

    Parameters
    ----------
    part
        An `ImageEmbeddings`, or a pair (embeddings, labels).
    name
        What the caller calls the argument.
    class_names
        The classes that the labels out have to index; None takes the part's own.
    dim
        D, where it is known.
    fingerprint
        The model that must have made the part, where both are known.

    Raises
    ------
    TypeError
        If the part is something else.
    ValueError
        If rows, labels, classes or models do not fit.
    """
    if isinstance(part, ImageEmbeddings):
        left_out = max(len(part.failures), int(part.failed.sum()))
        part = part.without_failed()
        about = part.fingerprint, part.model, part.dataset, left_out
        rows = LabelledRows(part.values, part.labels, part.class_names, part.paths, part.digests, *about)
    elif isinstance(part, tuple) and len(part) == 2:
        top = int(check_labels(part[1], None, f"{name}.labels").max())
        rows = LabelledRows(*part, class_names=list(class_names or [f"class {k}" for k in range(top + 1)]))
    else:
        raise TypeError(f"{name} is a {type(part).__name__}; pass an ImageEmbeddings, or a pair (embeddings, labels).")
    values = check_embeddings(rows.values, name, dim)
    labels = check_labels(rows.labels, len(rows.class_names), f"{name}.labels")
    check_same_length(**{name: values, f"{name}.labels": labels})
    check_model(rows.fingerprint, fingerprint, name)
    if class_names is not None and list(class_names) != rows.class_names:
        match = match_by(rows.class_names, class_names)
        labels = match.index[labels]
        matched_by = ""
        if match.by == "position" and not NO_NAME.match(class_names[0]):
            match.tell()
            matched_by = match.by
        rows = replace(rows, class_names=list(class_names), matched_by=matched_by)
    return replace(rows, values=values, labels=labels)


def check_model(made_by: str, expected: str, name: str) -> str:
    """Check that two things are of one model, by fingerprint, where both are known; gives the one that is."""
    if made_by and expected and made_by != expected:
        raise ValueError(f"{name} was made by {made_by}, not by {expected}; embed both with one model.")
    return made_by or expected


def tell_shared(judged: LabelledRows, learned: LabelledRows, name: str, learned_name: str, *, depth: int = 4) -> str:
    """Warn where pictures that are judged on were learned from, too; gives the sentence, empty where there are none.

    The same picture is one of the same digest; where digests are not known on both sides, of the same embedding, or of
    the same source with an embedding that differs by rounding only.
    """
    shared = int(_shared(judged, learned).sum())
    if not shared:
        return ""
    note = (
        f"{shared} of {len(judged)} pictures of {name} are in {learned_name} as well, so that what is measured on "
        f"{name} is too good for new pictures; keep the parts apart."
    )
    warnings.warn(note, stacklevel=depth)
    return note


def _shared(judged: LabelledRows, learned: LabelledRows) -> NDArray[np.bool_]:
    if judged.digests is not None and learned.digests is not None:
        digests = {digest for digest in learned.digests if digest}
        return np.array([digest in digests for digest in judged.digests])
    rows = {row.tobytes() for row in learned.values}
    found = np.array([row.tobytes() in rows for row in judged.values])
    if judged.images is not None and learned.images is not None:
        places = {str(image): i for i, image in enumerate(learned.images)}
        by_name = [(i, places[str(image)]) for i, image in enumerate(judged.images) if str(image) in places]
        for i, j in by_name:
            found[i] |= np.abs(judged.values[i] - learned.values[j]).max() < ROUNDING
    return found


def check_numbers(values: Any, name: str, *, low: float = 0.0, above: bool = False) -> list[float]:
    """Check a list of finite numbers, at least one, each of `low` or more (or above it); no texts, no bools."""
    numbers = as_list(values, name, "numbers")
    for value in numbers:
        is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not is_number or not low <= value < np.inf or (above and value == low):
            break
    else:
        if numbers:
            return [float(value) for value in numbers]
    limit = f"above {low:g}" if above else f"of {low:g} or more"
    raise ValueError(f"{name}={short(numbers)}; pass one or more numbers {limit}.")


def split_rows(rows: LabelledRows, fraction: float, *, seed: int) -> tuple[LabelledRows, LabelledRows]:
    """Cut rows in two, each class by itself.

    Parameters
    ----------
    rows
        At least two of each class.
    fraction
        The share of each class that goes into the second part, in (0, 1); at least one, never all.
    seed
        Decides which.

    Returns
    -------
    tuple
        The rest, and the part of `fraction`; both in the order of `rows`.
    """
    check_fraction(fraction, "validation")
    rng = np.random.default_rng(check_count(seed, "seed", low=0))
    second = np.zeros(len(rows), bool)
    for name, members in zip(rows.class_names, _members(rows, rng), strict=True):
        if len(members) < 2:
            raise ValueError(
                f"validation={fraction} cannot be cut from the {len(members)} pictures of class {name!r}; two are "
                "needed, or validation=None."
            )
        second[members[: int(np.clip(round(fraction * len(members)), 1, len(members) - 1))]] = True
    return rows.select(np.flatnonzero(~second)), rows.select(np.flatnonzero(second))


def draw_shots(rows: LabelledRows, shots: int, *, seed: int) -> LabelledRows:
    """Draw so many rows of each class; with the same seed, fewer shots are a part of more.

    Parameters
    ----------
    rows
        The pool.
    shots
        Rows of each class, 0 or more.
    seed
        Decides which.

    Raises
    ------
    ValueError
        If a class has fewer.
    """
    check_count(shots, "shots", low=0)
    rng = np.random.default_rng(check_count(seed, "seed", low=0))
    drawn = []
    for name, members in zip(rows.class_names, _members(rows, rng), strict=True):
        if len(members) < shots:
            raise ValueError(f"shots={shots} asks for more than train has: {len(members)} pictures of class {name!r}.")
        drawn.append(members[:shots])
    return rows.select(np.concatenate(drawn).astype(np.int64))


def _members(rows: LabelledRows, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Give the row numbers of each class in a random order, in one pass however many classes there are."""
    ends = np.cumsum(np.bincount(rows.labels, minlength=len(rows.class_names)))[:-1]
    return [rng.permutation(members) for members in np.split(np.argsort(rows.labels, kind="stable"), ends)]


def training_parts(
    train: Part, validation: Part | float | None, *, seed: int, fingerprint: str = ""
) -> tuple[LabelledRows, LabelledRows, LabelledRows | None]:
    """Sort out what a probe learns from and what its settings are chosen on.

    Parameters
    ----------
    train
        The labelled part; every class must occur.
    validation
        A fraction of `train`, held out of each class; a part of its own; or None.
    seed
        Decides the fraction.
    fingerprint
        The model that must have made them, where it is known.

    Returns
    -------
    tuple
        All of `train`, with the model of whichever part knows it; what candidates learn from; what they are compared
        on, or None.
    """
    rows = as_rows(train, "train", fingerprint=fingerprint)
    rows = replace(rows, fingerprint=rows.fingerprint or fingerprint)
    check_class_names(rows.class_names, name="the classes of train")
    check_every_class(rows.labels, len(rows.class_names), "train.labels")
    check_count(seed, "seed", low=0)
    if validation is None:
        return rows, rows, None
    if isinstance(validation, (int, float, np.integer, np.floating)):
        return rows, *split_rows(rows, float(validation), seed=seed)
    choosing = like(validation, "validation", rows)
    tell_shared(choosing, rows, "validation", "train")
    rows = replace(rows, fingerprint=rows.fingerprint or choosing.fingerprint)
    return rows, rows, choosing


def like(part: Part, name: str, rows: LabelledRows) -> LabelledRows:
    """Check a part that goes with `rows`: the same classes, dimension and model."""
    return as_rows(part, name, class_names=rows.class_names, dim=rows.values.shape[1], fingerprint=rows.fingerprint)


def judging_part(test: Part, rows: LabelledRows, choosing: LabelledRows | None) -> tuple[LabelledRows, str]:
    """Check the part to judge on, and tell (in a warning, and in the sentence given) what of it had a say before."""
    judged = like(test, "test", rows)
    note = tell_shared(judged, rows, "test", "train")
    if choosing is not None and not note:
        note = tell_shared(judged, choosing, "test", "validation")
    return judged, note
