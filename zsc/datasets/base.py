"""ImageDataset: image paths, labels and class names, and nothing else.

Knows no prompts, transforms or models, and opens no picture. Labels are indices into `class_names`; -1 means that a
picture has no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N pictures, their labels, and the names of the K classes.

    Attributes
    ----------
    paths
        N picture sources: paths, URLs or PIL images.
    labels
        Index into `class_names` for each picture, shape (N,), int64; -1 for no label.
    class_names
        K names.
    name
        The data set's name, such as "afhq".
    split_name
        The published split the pictures come from, such as "val"; may be empty.
    notes
        What is known about the data: source, licence, label errors.
    """

    paths: Sequence[Any]
    labels: np.ndarray
    class_names: list[str]
    name: str = "images"
    split_name: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.paths, (str, bytes)):
            raise TypeError(f"paths is the one text {self.paths!r}; pass a list of pictures.")
        labels = np.asarray(self.labels)
        if labels.size and labels.dtype.kind not in "iu":
            raise TypeError(f"labels hold {labels.dtype} values; pass indices into class_names, -1 for no label.")
        labels = labels.astype(np.int64)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "paths", list(self.paths))
        object.__setattr__(self, "class_names", [str(c) for c in self.class_names])
        if labels.shape != (len(self.paths),):
            raise ValueError(f"{len(self.paths)} pictures for labels of shape {labels.shape}; pass one label each.")
        if len(labels) and (labels.min() < UNLABELLED or labels.max() >= len(self.class_names)):
            raise ValueError(
                f"labels run from {labels.min()} to {labels.max()}; accepted are 0 to {len(self.class_names) - 1} "
                f"({len(self.class_names)} classes), and -1 for no label."
            )
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError(f"class names {self.class_names} hold a name twice; give each class its own.")

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, int]: ...
    @overload
    def __getitem__(self, index: slice) -> ImageDataset: ...
    def __getitem__(self, index: int | slice) -> tuple[Any, int] | ImageDataset:
        """Give `(path, label)` of one picture, or the data set of a slice."""
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        return self.paths[index], int(self.labels[index])

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return ((self.paths[i], int(self.labels[i])) for i in range(len(self)))

    def __repr__(self) -> str:
        split = f" {self.split_name}" if self.split_name else ""
        return f"ImageDataset({self.name}{split}: {len(self)} pictures, {len(self.class_names)} classes)"

    def select(self, indices: Sequence[int] | np.ndarray) -> ImageDataset:
        """Keep the pictures at `indices`, in that order; the class names stay."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(self, paths=[self.paths[i] for i in indices], labels=self.labels[indices])

    def head(self, n: int) -> ImageDataset:
        """Keep the first `n` pictures, or all where there are fewer."""
        if n < 1:
            raise ValueError(f"n={n}; ask for at least one picture.")
        return self.select(range(min(n, len(self))))

    def sample(self, n: int, *, seed: int = 0) -> ImageDataset:
        """Draw `n` pictures at random without replacement; they keep the data set's order."""
        if not 1 <= n <= len(self):
            raise ValueError(f"n={n}; accepted are 1 to {len(self)}, the size of {self.name!r}.")
        return self.select(np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False)))

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
        if not 0 < fraction < 1:
            raise ValueError(f"fraction={fraction}; accepted is a share between 0 and 1, such as 0.5.")
        rng = np.random.default_rng(seed)
        order = np.lexsort((rng.random(len(self)), self.labels))  # class by class, shuffled within
        steps = np.floor(np.arange(len(self) + 1) * fraction + rng.random())  # systematic sampling along that order
        chosen = np.zeros(len(self), dtype=bool)
        chosen[order] = np.diff(steps) > 0
        return self.select(np.flatnonzero(chosen)), self.select(np.flatnonzero(~chosen))

    def to_frame(self) -> pd.DataFrame:
        """Give a table with the columns image, label and class_name, a row a picture."""
        names = np.array([*self.class_names, None], dtype=object)  # label -1 picks the None at the end
        return pd.DataFrame(
            {"image": pd.Series(self.paths, dtype=object), "label": self.labels, "class_name": names[self.labels]}
        )

    @classmethod
    def from_folder(cls, folder: str | Path, *, name: str | None = None) -> ImageDataset:
        """Load a folder with one sub-folder a class; see `zsc.datasets.own.from_folder`."""
        from zsc.datasets.own import from_folder

        return from_folder(folder, name=name)

    @classmethod
    def from_csv(cls, csv: str | Path, **options: Any) -> ImageDataset:
        """Load pictures and labels listed in a CSV file; see `zsc.datasets.own.from_csv`."""
        from zsc.datasets.own import from_csv

        return from_csv(csv, **options)

    @classmethod
    def from_huggingface(cls, hf_dataset: Any, **options: Any) -> ImageDataset:
        """Take the pictures of a Hugging Face data set into memory; see `zsc.datasets.own.from_huggingface`."""
        from zsc.datasets.own import from_huggingface

        return from_huggingface(hf_dataset, **options)
