"""embed_images -> ImageEmbeddings: the pictures of a data set as rows of numbers, embedded once.

From here on there are no pictures and no torch, only arrays. Kept in memory for now; on disk in a later version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.datasets import ImageDataset

if TYPE_CHECKING:
    from zsc.models import Encoder


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """The embeddings of N pictures, with their labels, and the model that made them.

    Attributes
    ----------
    values
        Shape (N, D), float32, unit rows.
    paths, labels, class_names
        As in the data set; labels have shape (N,), -1 for no label.
    model, fingerprint
        Name and fingerprint of the encoder.
    dataset
        Name and split of the data set.
    failures
        Pictures that could not be opened, with the reason; empty where none failed.
    """

    values: np.ndarray
    paths: Sequence[Any]
    labels: np.ndarray
    class_names: list[str]
    model: str = ""
    fingerprint: str = ""
    dataset: str = ""
    failures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"image": [], "error": []}, dtype=object))

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float32))
        object.__setattr__(self, "labels", np.asarray(self.labels))
        if self.values.ndim != 2 or not len(self.values) == len(self.paths) == len(self.labels):
            raise ValueError(
                f"values of shape {self.values.shape} for {len(self.paths)} paths and {len(self.labels)} labels; "
                "pass (N, D) values and N of the others."
            )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"ImageEmbeddings({self.dataset}: {self.values.shape[0]} x {self.values.shape[1]} by {self.model})"

    def select(self, indices: Sequence[int] | np.ndarray) -> ImageEmbeddings:
        """Keep the rows at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(
            self, values=self.values[indices], paths=[self.paths[i] for i in indices], labels=self.labels[indices]
        )

    def head(self, n: int) -> ImageEmbeddings:
        """Keep the first `n` rows, or all where there are fewer."""
        if n < 1:
            raise ValueError(f"n={n}; ask for at least one picture.")
        return self.select(range(min(n, len(self))))


def embed_images(
    model: Encoder, dataset: ImageDataset, *, batch_size: int = 32, progress: bool = True
) -> ImageEmbeddings:
    """Embed every picture of a data set.

    Parameters
    ----------
    model
        The encoder.
    dataset
        N pictures; they are opened one batch at a time.
    batch_size
        Pictures that go through the encoder at once.
    progress
        Show a bar with the rate and the time left.

    Returns
    -------
    ImageEmbeddings
        A row a picture, in the data set's order.

    Raises
    ------
    ImageError
        If a picture cannot be opened; the message names it.
    """
    if isinstance(model, str) or not hasattr(model, "encode_images"):
        raise TypeError(f"model is the {type(model).__name__} {model!r}; pass an encoder: zsc.load_model(name).")
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"dataset is a {type(dataset).__name__}; pass an ImageDataset, or use model.encode_images.")
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} holds no picture to embed.")
    values = model.encode_images(dataset.paths, batch_size=batch_size, progress=progress)
    return ImageEmbeddings(
        values,
        dataset.paths,
        dataset.labels,
        dataset.class_names,
        model=model.name,
        fingerprint=model.fingerprint,
        dataset=f"{dataset.name} {dataset.split_name}".strip(),
    )
