"""ImageDataset: image paths, labels and class names, and nothing else.

Knows no prompts, transforms or models, and opens no picture. Labels are indices into `class_names`; -1 means that a
picture has no label.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from zsc.checks import (
    FrozenDict,
    FrozenList,
    as_indices,
    as_list,
    check_count,
    check_fraction,
    check_texts,
    check_unique,
    frozen,
    short,
)
from zsc.datasets.names import fold, look_alikes

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N pictures, their labels, and the names of the K classes. Nobody can change it; what is passed in is copied.

    Attributes
    ----------
    paths
        N picture sources: paths, URLs, PIL images or whatever else `open_image` opens.
    labels
        Index into `class_names` for each picture, shape (N,), int64; -1 for no label. None: no picture has one.
    class_names
        K different names, without white space around them.
    name
        The data set's name, such as "afhq".
    split_name
        The published split the pictures come from, such as "val"; may be empty.
    notes
        What is known about the data: source, licence, label errors, what was passed over.

    Raises
    ------
    TypeError
        If pictures, labels or names have no order (sets), or are of another type.
    ValueError
        If their numbers differ, a label is out of range, or two names are one.
    """

    paths: Sequence[Any]
    labels: np.ndarray
    class_names: list[str]
    name: str = "images"
    split_name: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths, names = as_list(self.paths, "paths", "pictures"), _as_names(self.class_names)
        labels = _as_labels(self.labels, len(paths), len(names))
        for value, what in ((self.name, "name"), (self.split_name, "split_name")):
            if not isinstance(value, str):
                raise TypeError(f"{what}={short(value)}; {what} must be a text.")
        if not isinstance(self.notes, Mapping):
            raise TypeError(f"notes is a {type(self.notes).__name__}; pass a mapping of texts.")
        notes = dict(self.notes)
        if alike := look_alikes(names):
            notes["class names"] = alike
        object.__setattr__(self, "paths", FrozenList(paths))
        object.__setattr__(self, "labels", frozen(labels))
        object.__setattr__(self, "class_names", FrozenList(names))
        object.__setattr__(self, "notes", FrozenDict(notes))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what it was made of, so that a copy cannot be changed either."""
        parts = (list(self.paths), self.labels, list(self.class_names), self.name, self.split_name, dict(self.notes))
        return type(self), parts

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, int]: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> ImageDataset: ...
    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> tuple[Any, int] | ImageDataset:
        """Give `(path, label)` of one picture, or the data set of a slice, of indices or of a mask."""
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            place = operator.index(index)
            if not -len(self) <= place < len(self):
                raise IndexError(f"index {place} is out of range; {self.name!r} has {len(self)} pictures.")
            return self.paths[place], int(self.labels[place])
        return self.select(index)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return ((self.paths[i], int(self.labels[i])) for i in range(len(self)))

    def __repr__(self) -> str:
        split = f" {self.split_name}" if self.split_name else ""
        return f"ImageDataset({self.name}{split}: {len(self)} pictures, {len(self.class_names)} classes)"

    def select(self, indices: Sequence[int] | np.ndarray | slice) -> ImageDataset:
        """Keep the pictures at `indices`, in that order; the class names stay.

        Parameters
        ----------
        indices
            Whole numbers, of which negative ones count from the end; a mask of N bools; or a slice.

        Raises
        ------
        TypeError
            If they are neither whole numbers nor bools.
        ValueError
            If one is out of range, or a mask has another length.
        """
        rows = as_indices(indices, len(self))
        return replace(self, paths=[self.paths[i] for i in rows], labels=self.labels[rows])

    def head(self, n: int) -> ImageDataset:
        """Keep the first `n` pictures, or all where there are fewer."""
        return self.select(range(min(check_count(n, "n"), len(self))))

    def sample(self, n: int, *, seed: int = 0) -> ImageDataset:
        """Draw `n` pictures at random without replacement; they keep the data set's order."""
        rng = np.random.default_rng(check_count(seed, "seed", low=0))
        return self.select(np.sort(rng.choice(len(self), check_count(n, "n", high=len(self)), replace=False)))

    def split(self, fraction: float, *, seed: int = 0) -> tuple[ImageDataset, ImageDataset]:
        """Divide at random into two parts that hold the classes in the same shares.

        Parameters
        ----------
        fraction
            Share of the first part, between 0 and 1. It gets floor or ceil of `fraction` x N pictures, and of each
            class floor or ceil of its share, give or take one.
        seed
            The same seed gives the same parts.
        """
        fraction, rng = check_fraction(fraction, "fraction"), np.random.default_rng(check_count(seed, "seed", low=0))
        order = np.lexsort((rng.random(len(self)), self.labels))  # class by class, shuffled within
        steps = np.floor(np.arange(len(self) + 1) * fraction + rng.random())  # systematic sampling along that order
        chosen = np.zeros(len(self), dtype=bool)
        chosen[order] = np.diff(steps) > 0
        return self.select(np.flatnonzero(chosen)), self.select(np.flatnonzero(~chosen))

    def to_frame(self) -> pd.DataFrame:
        """Give a table with the columns image, label and class_name, one row per picture."""
        names = np.array([*self.class_names, None], dtype=object)  # label -1 picks the None at the end
        return pd.DataFrame(
            {"image": pd.Series(self.paths, dtype=object), "label": self.labels, "class_name": names[self.labels]}
        )

    @classmethod
    def from_folder(cls, folder: str | Path, *, name: str | None = None) -> ImageDataset:
        """Load a folder with one sub-folder per class; see `zsc.datasets.own.from_folder`."""
        from zsc.datasets.own import from_folder

        return from_folder(folder, name=name)

    @classmethod
    def from_csv(cls, csv: str | Path, **options: Any) -> ImageDataset:
        """Load pictures and labels listed in a CSV file; see `zsc.datasets.own.from_csv`."""
        from zsc.datasets.own import from_csv

        return from_csv(csv, **options)

    @classmethod
    def from_huggingface(cls, hf_dataset: Any, **options: Any) -> ImageDataset:
        """Take the pictures of a Hugging Face data set; see `zsc.datasets.own.from_huggingface`."""
        from zsc.datasets.own import from_huggingface

        return from_huggingface(hf_dataset, **options)


def _as_names(class_names: Any) -> list[str]:
    """Read class names; whole numbers count as their digits."""
    given = as_list(class_names, "class_names", "names")
    texts = [str(n) if isinstance(n, (int, np.integer)) and not isinstance(n, bool) else n for n in given]
    names = [fold(n) if isinstance(n, str) else n for n in texts]
    check_texts(names, "class_names")
    check_unique(names, "class_names")
    return names


def _as_labels(labels: Any, n: int, n_classes: int) -> np.ndarray:
    """Check N labels of K classes."""
    if labels is None:
        return np.full(n, UNLABELLED, dtype=np.int64)
    array = np.asarray(labels if hasattr(labels, "__array__") else as_list(labels, "labels", "whole numbers"))
    if array.dtype == object and all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) for k in array.flat):
        array = array.astype(np.int64)  # a nullable column of pandas
    if array.shape != (n,):
        raise ValueError(f"{n} pictures for labels of shape {array.shape}; pass one label per picture.")
    if n and array.dtype.kind not in "iu":
        raise TypeError(f"labels hold {array.dtype} values; pass indices into class_names, -1 for no label.")
    if n and (int(array.min()) < UNLABELLED or int(array.max()) >= n_classes):
        raise ValueError(
            f"labels run from {array.min()} to {array.max()}; with {n_classes} class names they must lie in 0 to "
            f"{n_classes - 1}, or be -1 for no label."
        )
    return array.astype(np.int64)
