"""Labelled embeddings as the probes take them, and parts of them: a validation part, a few shots a class.

A part is an `ImageEmbeddings`, or a pair (embeddings (N, D), labels (N,)). Classes are matched by name where both sides
have names, so that their order decides nothing; pictures that failed are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zsc.checks import (
    check_class_names,
    check_embeddings,
    check_every_class,
    check_fraction,
    check_labels,
    check_same_length,
)
from zsc.embeddings import ImageEmbeddings
from zsc.matching import match_classes

Part: TypeAlias = ImageEmbeddings | tuple[Any, Any]


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
    fingerprint
        The model's, or an empty text where it is not known.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: list[str]
    images: Sequence[Any] | None = None
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: NDArray[np.int64]) -> LabelledRows:
        """Keep the rows at `indices`, in that order."""
        images = None if self.images is None else [self.images[i] for i in indices]
        return replace(self, values=self.values[indices], labels=self.labels[indices], images=images)


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
        part = part.without_failed()
        rows = LabelledRows(part.values, part.labels, part.class_names, part.paths, part.fingerprint)
    elif isinstance(part, tuple) and len(part) == 2:
        top = int(check_labels(part[1], None, f"{name}.labels").max())
        rows = LabelledRows(*part, class_names=list(class_names or [f"class {k}" for k in range(top + 1)]))
    else:
        raise TypeError(f"{name} is a {type(part).__name__}; pass an ImageEmbeddings, or a pair (embeddings, labels).")
    values = check_embeddings(rows.values, name, dim)
    labels = check_labels(rows.labels, len(rows.class_names), f"{name}.labels")
    check_same_length(**{name: values, f"{name}.labels": labels})
    if fingerprint and rows.fingerprint and rows.fingerprint != fingerprint:
        raise ValueError(f"{name} was made by {rows.fingerprint}, not by {fingerprint}; embed both with one model.")
    if class_names is not None and list(class_names) != rows.class_names:
        labels = match_classes(rows.class_names, class_names)[labels]
        rows = replace(rows, class_names=list(class_names))
    return replace(rows, values=values, labels=labels)


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
    rng = np.random.default_rng(seed)
    second = np.zeros(len(rows), bool)
    for k, name in enumerate(rows.class_names):
        members = rng.permutation(np.flatnonzero(rows.labels == k))
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
    rng = np.random.default_rng(seed)
    drawn = []
    for k, name in enumerate(rows.class_names):
        members = rng.permutation(np.flatnonzero(rows.labels == k))
        if len(members) < shots:
            raise ValueError(f"shots={shots} asks for more than train has: {len(members)} pictures of class {name!r}.")
        drawn.append(members[:shots])
    return rows.select(np.concatenate(drawn).astype(np.int64))


def training_parts(
    train: Part, validation: Part | float | None, *, seed: int, class_names: Sequence[str] | None = None
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
    class_names
        The classes in their order; None takes those of `train`.

    Returns
    -------
    tuple
        All of `train`; what candidates learn from; what they are compared on, or None.
    """
    rows = as_rows(train, "train", class_names=class_names)
    check_class_names(rows.class_names, name="the classes of train")
    check_every_class(rows.labels, len(rows.class_names), "train.labels")
    if validation is None:
        return rows, rows, None
    if isinstance(validation, (int, float)):
        return rows, *split_rows(rows, validation, seed=seed)
    return rows, rows, like(validation, "validation", rows)


def like(part: Part, name: str, rows: LabelledRows) -> LabelledRows:
    """Check a part that goes with `rows`: the same classes, dimension and model."""
    return as_rows(part, name, class_names=rows.class_names, dim=rows.values.shape[1], fingerprint=rows.fingerprint)
