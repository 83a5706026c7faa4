"""Labelled embeddings as the probes take them, and parts of them: a validation part, a few shots of each class.

A part is an `ImageEmbeddings`, or a pair (embeddings (N, D), labels (N,)). Classes are matched by name where both sides
have names, so that their order decides nothing; pictures that failed are left out.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zsc import checks
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Provenance
from zsc.scoring import match_by

Part: TypeAlias = ImageEmbeddings | tuple[Any, Any]
NO_NAME = re.compile(r"class \d+$")  # what a class is called where nobody gave it a name: its order is all there is
ROUNDING = 1e-4  # what two embeddings of one picture may differ by: batches and threads change the last digits


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """N checked embeddings with a label each, made by `as_rows`; `made_by` says what is known of model and data."""

    values: NDArray[np.float32]  # (N, D), unit rows
    labels: NDArray[np.int64]  # (N,), indices into class_names
    class_names: list[str]
    images: Sequence[Any] | None = None
    digests: Sequence[bytes | None] | None = None  # of the pictures' contents
    made_by: Provenance = field(default_factory=Provenance)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: NDArray[np.int64]) -> "LabelledRows":
        """Keep the rows at `indices`, in that order."""
        images, digests = (None if a is None else [a[i] for i in indices] for a in (self.images, self.digests))
        return replace(self, values=self.values[indices], labels=self.labels[indices], images=images, digests=digests)


def as_rows(
    part: Part, name: str, *, class_names: Sequence[str] | None = None, dim: int | None = None, fingerprint: str = ""
) -> LabelledRows:
    """Check a part, called `name`: labels become indices into `class_names`; D and model must be those, if given."""
    if isinstance(part, ImageEmbeddings):
        left_out = max(len(part.failures), int(part.failed.sum()))
        part = part.without_failed()
        made_by = Provenance(model=part.model, fingerprint=part.fingerprint, dataset=part.dataset, left_out=left_out)
        rows = LabelledRows(part.values, part.labels, part.class_names, part.paths, part.digests, made_by)
    elif isinstance(part, tuple) and len(part) == 2:
        top = int(checks.check_labels(part[1], None, f"{name}.labels").max())
        rows = LabelledRows(*part, class_names=list(class_names or [f"class {k}" for k in range(top + 1)]))
    else:
        raise TypeError(f"{name} is a {type(part).__name__}; pass an ImageEmbeddings, or a pair (embeddings, labels).")
    values = checks.check_embeddings(rows.values, name, dim)
    labels = checks.check_labels(rows.labels, len(rows.class_names), f"{name}.labels")
    checks.check_same_length(**{name: values, f"{name}.labels": labels})
    check_model(rows.made_by.fingerprint, fingerprint, name)
    rows = replace(rows, values=values, labels=labels)
    if class_names is None or list(class_names) == rows.class_names:
        return rows
    match = match_by(rows.class_names, class_names)
    if match.by == "position" and not NO_NAME.match(class_names[0]):
        match.tell()
        rows = replace(rows, made_by=replace(rows.made_by, matched_by=match.by))
    return replace(rows, labels=match.index[labels], class_names=list(class_names))


def check_model(made_by: str, expected: str, name: str) -> str:
    """Check that two things are of one model, by fingerprint, where both are known; return the one that is."""
    if made_by and expected and made_by != expected:
        raise ValueError(f"{name} was made by {made_by}, not by {expected}; embed both with one model.")
    return made_by or expected


def check_numbers(values: Any, name: str, *, above: bool = False) -> list[float]:
    """Check one or more finite numbers of 0 or more (or above 0); no texts, no bools."""
    numbers = checks.as_list(values, name, "numbers")
    are_numbers = all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in numbers)
    if not numbers or not are_numbers or not all(0 <= v < np.inf and (v or not above) for v in numbers):
        wanted = "above 0" if above else "of 0 or more"
        raise ValueError(f"{name}={checks.short(numbers)}; pass one or more numbers {wanted}.")
    return [float(value) for value in numbers]


def training_parts(
    train: Part, validation: Part | float | None, *, seed: int, fingerprint: str = ""
) -> tuple[LabelledRows, LabelledRows, LabelledRows | None]:
    """Sort out what a probe learns from and what its settings are chosen on.

    `validation` is a fraction of `train`, held out of each class, a part of its own, or None. Returned are all of
    `train`; what candidates learn from; and what they are compared on.
    """
    rows = as_rows(train, "train", fingerprint=fingerprint)
    checks.check_class_names(rows.class_names, name="the classes of train")
    checks.check_every_class(rows.labels, len(rows.class_names), "train.labels")
    checks.check_count(seed, "seed", low=0)
    rows = replace(rows, made_by=replace(rows.made_by, fingerprint=rows.made_by.fingerprint or fingerprint))
    if validation is None:
        return rows, rows, None
    if isinstance(validation, (int, float, np.integer, np.floating)):
        return rows, *split_rows(rows, float(validation), seed=seed)
    choosing = _like(validation, "validation", rows)
    tell_shared(choosing, rows, "validation", "train")
    known = check_model(choosing.made_by.fingerprint, rows.made_by.fingerprint, "validation")
    rows = replace(rows, made_by=replace(rows.made_by, fingerprint=known))
    return rows, rows, choosing


def judging_part(test: Part, rows: LabelledRows, choosing: LabelledRows | None) -> tuple[LabelledRows, str]:
    """Check the part to judge on, and say (in a warning, and in the returned sentence) what of it had a say before."""
    judged = _like(test, "test", rows)
    return judged, tell_shared(judged, rows, "test", "train") or tell_shared(judged, choosing, "test", "validation")


def _like(part: Part, name: str, rows: LabelledRows) -> LabelledRows:
    """Check a part that goes with `rows`: the same classes, dimension and model."""
    made_by = rows.made_by.fingerprint
    return as_rows(part, name, class_names=rows.class_names, dim=rows.values.shape[1], fingerprint=made_by)


def tell_shared(
    judged: LabelledRows, learned: LabelledRows | None, name: str, learned_name: str, *, depth: int = 4
) -> str:
    """Warn where pictures that are judged on were learned from, too; return the sentence, empty where there are none.

    The same picture is one of the same digest; where digests are not known on both sides, of the same embedding, or of
    the same source with an embedding that differs by rounding only.
    """
    if learned is None or not (shared := int(_shared(judged, learned).sum())):
        return ""
    note = f"{shared} of {len(judged)} pictures of {name} are in {learned_name} as well, so that what is measured on "
    note += f"{name} is too good for new pictures; keep the parts apart."
    warnings.warn(note, stacklevel=depth)
    return note


def _shared(judged: LabelledRows, learned: LabelledRows) -> NDArray[np.bool_]:
    if judged.digests is not None and learned.digests is not None:
        digests = {digest for digest in learned.digests if digest}
        return np.array([digest in digests for digest in judged.digests])
    rows = {row.tobytes() for row in learned.values}
    found = np.array([row.tobytes() in rows for row in judged.values])
    places = {str(image): i for i, image in enumerate(learned.images or ())}
    for i, image in enumerate(judged.images or ()):
        if (j := places.get(str(image))) is not None:
            found[i] |= np.abs(judged.values[i] - learned.values[j]).max() < ROUNDING
    return found


def split_rows(rows: LabelledRows, fraction: float, *, seed: int) -> tuple[LabelledRows, LabelledRows]:
    """Cut rows in two, each class by itself: the second part gets `fraction` of it, at least one picture, never all."""
    checks.check_fraction(fraction, "validation")
    second = np.zeros(len(rows), bool)
    for name, members in _shuffled(rows, seed):
        if len(members) < 2:
            told = f"validation={fraction} cannot be cut from the {len(members)} pictures of class {name!r}"
            raise ValueError(f"{told}; two are needed, or validation=None.")
        second[members[: int(np.clip(round(fraction * len(members)), 1, len(members) - 1))]] = True
    return rows.select(np.flatnonzero(~second)), rows.select(np.flatnonzero(second))


def draw_shots(rows: LabelledRows, shots: int, *, seed: int) -> LabelledRows:
    """Draw so many rows of each class; with the same seed, fewer shots are a part of more."""
    drawn = []
    for name, members in _shuffled(rows, seed):
        if len(members) < shots:
            raise ValueError(f"shots={shots} asks for more than train has: {len(members)} pictures of class {name!r}.")
        drawn.append(members[:shots])
    return rows.select(np.concatenate(drawn).astype(np.int64))


def _shuffled(rows: LabelledRows, seed: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Go through the classes, each with its row numbers in a random order; one pass over the rows."""
    rng = np.random.default_rng(checks.check_count(seed, "seed", low=0))
    ends = np.cumsum(np.bincount(rows.labels, minlength=len(rows.class_names)))[:-1]
    members = np.split(np.argsort(rows.labels, kind="stable"), ends)
    return ((name, rng.permutation(those)) for name, those in zip(rows.class_names, members, strict=True))
