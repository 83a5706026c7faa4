"""embed_images -> ImageEmbeddings: the pictures of a data set as rows of numbers, embedded once.

From here on there are no pictures and no torch, only arrays. With a store, what was embedded before, by content, is
never embedded again; a run may be stopped at any moment and goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from zsc.datasets import ImageDataset
from zsc.embeddings.job import EmbeddingJob
from zsc.embeddings.streaming import stream_blocks
from zsc.images import describe

if TYPE_CHECKING:
    from zsc.models import Encoder

MANIFEST = "manifest.parquet"  # what a cluster writes beside its parts
ON_ERROR = ("raise", "skip", "record")
FAILURE_COLUMNS = ("index", "image", "error")


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """The embeddings of N pictures, with their labels, and the model that made them.

    Attributes
    ----------
    values
        Shape (N, D), float32, unit rows; NaN in the row of a picture that failed and was recorded.
    paths, labels, class_names
        As in the data set; labels have shape (N,), -1 for no label.
    model, fingerprint
        Name and fingerprint of the encoder.
    dataset
        Name and split of the data set.
    failures
        Pictures that could not be opened: index in the data set, image, error; empty where none failed.
    digests
        sha256 of each picture's content, None where it failed; or None where they are not known.
    """

    values: np.ndarray
    paths: Sequence[Any]
    labels: np.ndarray
    class_names: list[str]
    model: str = ""
    fingerprint: str = ""
    dataset: str = ""
    failures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FAILURE_COLUMNS)))
    digests: Sequence[bytes | None] | None = None

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
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return (
            f"ImageEmbeddings({self.dataset}: {self.values.shape[0]} x {self.values.shape[1]} by {self.model}{failed})"
        )

    @property
    def failed(self) -> np.ndarray:
        """Which rows have no embedding, shape (N,), bool."""
        return np.isnan(self.values[:, 0]) if self.values.shape[1] else np.zeros(len(self), bool)

    @property
    def data_digest(self) -> str:
        """The sha256 of all pictures' contents with their classes, in any order; "" where they are not known."""
        if self.digests is None or not len(self):
            return ""
        names = [self.class_names[k] if k >= 0 else "" for k in self.labels]
        lines = sorted((digest or b"") + name.encode() for digest, name in zip(self.digests, names, strict=True))
        return hashlib.sha256(b"\n".join(lines)).hexdigest()

    def without_failed(self) -> ImageEmbeddings:
        """Leave out the rows of pictures that failed; `failures` still lists them."""
        failed = self.failed
        return self.select(np.flatnonzero(~failed)) if failed.any() else self

    def select(self, indices: Sequence[int] | np.ndarray) -> ImageEmbeddings:
        """Keep the rows at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            values=self.values[indices],
            paths=[self.paths[i] for i in indices],
            labels=self.labels[indices],
            digests=None if self.digests is None else [self.digests[i] for i in indices],
        )

    def head(self, n: int) -> ImageEmbeddings:
        """Keep the first `n` rows, or all where there are fewer."""
        if n < 1:
            raise ValueError(f"n={n}; ask for at least one picture.")
        return self.select(range(min(n, len(self))))

    def save(self, path: str | Path) -> Path:
        """Write everything to one Parquet file that `load` reads; pictures in memory are kept by name only."""
        path = Path(path)
        table = pa.table(
            {
                "image": pa.array([describe(p) for p in self.paths], pa.string()),
                "label": pa.array(self.labels, pa.int64()),
                "values": pa.FixedSizeListArray.from_arrays(pa.array(self.values.ravel()), self.values.shape[1]),
            }
        )
        if self.digests is not None:
            table = table.append_column("digest", pa.array(self.digests, pa.binary()))
        about = {k: getattr(self, k) for k in ("class_names", "model", "fingerprint", "dataset")}
        about["failures"] = json.loads(self.failures.astype(str).to_json(orient="records"))
        part = path.with_name(path.name + ".part")
        pq.write_table(table.replace_schema_metadata({"zsc": json.dumps(about)}), part)
        return part.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> ImageEmbeddings:
        """Read what `save` wrote, or the output folder of `embed_on_cluster`.

        Raises
        ------
        ValueError
            If the file is missing, damaged, or holds something else; if a folder holds the output of several models.
        """
        path = Path(path)
        if path.is_dir():
            manifests = sorted(path.glob(f"*/{MANIFEST}"))
            if len(manifests) != 1:
                raise ValueError(f"{path}: holds {len(manifests)} files */{MANIFEST}; pass the one you mean.")
            path = manifests[0]
        try:
            table = pq.read_table(path)
            about = json.loads(table.schema.metadata[b"zsc"])
        except (OSError, pa.ArrowInvalid, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: no file of embeddings that can be read; write one with save.") from error
        failures = pd.DataFrame(about.pop("failures"), columns=list(FAILURE_COLUMNS))
        values = np.stack(table["values"].to_numpy()) if len(table) else np.empty((0, 0), np.float32)
        paths = [Path(p) for p in table["image"].to_pylist()]
        about["digests"] = table["digest"].to_pylist() if "digest" in table.column_names else None
        return cls(values, paths, table["label"].to_numpy(), failures=failures, **about)


def embed_images(
    model: Encoder,
    dataset: ImageDataset,
    store: str | Path | None = None,
    *,
    batch_size: int = 32,
    workers: int | None = None,
    on_error: str = "raise",
    progress: bool = True,
) -> ImageEmbeddings:
    """Embed every picture of a data set.

    Parameters
    ----------
    model
        The encoder.
    dataset
        N pictures; two batches of them are open at any time.
    store
        A folder, such as ``data/embeddings``, that keeps the embeddings by model and by content; None keeps nothing.
    batch_size
        Pictures that go through the encoder at once.
    workers
        Threads that open pictures beside the encoder; None chooses.
    on_error
        What a picture that cannot be opened does: "raise" ends the run (what was embedded is kept), "skip" leaves its
        row out, "record" keeps its row as NaN. The last two list it in `failures`.
    progress
        Show a bar with the rate and the time left.

    Returns
    -------
    ImageEmbeddings
        A row a picture, in the data set's order.

    Raises
    ------
    ImageError
        If a picture cannot be opened and `on_error` is "raise"; the message names it.
    """
    if isinstance(model, str) or not hasattr(model, "encode_images"):
        raise TypeError(f"model is the {type(model).__name__} {model!r}; pass an encoder: zsc.load_model(name).")
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"dataset is a {type(dataset).__name__}; pass an ImageDataset, or use model.encode_images.")
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error={on_error!r}; accepted are {', '.join(ON_ERROR)}.")
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} holds no picture to embed.")
    job = EmbeddingJob(model, dataset, store)
    todo = np.flatnonzero(~job.found)
    blocks = stream_blocks(model, dataset.paths, todo, batch_size=batch_size, workers=workers, known=job.known)
    with tqdm(total=len(dataset), initial=len(dataset) - len(todo), unit="images", disable=not progress) as bar:
        try:
            for block in blocks:
                job.take(block, raise_errors=on_error == "raise")
                bar.update(len(block.pictures))
        finally:
            job.flush()
    embeddings = ImageEmbeddings(
        job.values,
        dataset.paths,
        dataset.labels,
        dataset.class_names,
        model=model.name,
        fingerprint=model.fingerprint,
        dataset=f"{dataset.name} {dataset.split_name}".strip(),
        failures=pd.DataFrame(job.failures, columns=list(FAILURE_COLUMNS)),
        digests=job.digests,
    )
    return embeddings.without_failed() if on_error == "skip" else embeddings
