"""embed_images -> ImageEmbeddings: the pictures of a data set as rows of numbers, embedded once.

From here on there are no pictures and no torch, only arrays. With a store, what was embedded before, by content, is
never embedded again; a run may be stopped at any moment and goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm.auto import tqdm

from zsc.checks import (
    FrozenList,
    as_indices,
    as_list,
    check_choice,
    check_count,
    check_embeddings,
    check_unique,
    frozen,
    short,
)
from zsc.datasets import ImageDataset
from zsc.embeddings.job import EmbeddingJob
from zsc.embeddings.streaming import name_of, stream_blocks
from zsc.files import printable, write_whole
from zsc.images import is_url
from zsc.store.clearing import MANIFEST
from zsc.store.parts import FORMAT, newer_format, record_of

if TYPE_CHECKING:
    from zsc.models import Encoder

KIND = "image embeddings"  # what a saved file says that it is
ON_ERROR = ("raise", "skip", "record")
FAILURE_COLUMNS = ("index", "image", "error")
_TEXTS = ("model", "fingerprint", "dataset")


class PictureName(str):
    """The name of a picture that was in memory when its embedding was saved: there is nothing that could be opened."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class ImageEmbeddings:
    """The embeddings of N pictures, with their labels, and the model that made them.

    What is passed is checked and copied; arrays and lists are read-only, and no two share a frame.

    Attributes
    ----------
    values
        Shape (N, D), float32, unit rows, read-only; all NaN in the row of a picture that failed and was recorded.
    paths, labels, class_names
        As in the data set; labels have shape (N,), read-only, -1 for no label.
    model, fingerprint
        Name and fingerprint of the encoder.
    dataset
        Name and split of the data set.
    failures
        Pictures that could not be embedded: index in the data set, image, error; empty where none failed.
    digests
        sha256 of each picture's content, None where it failed; or None where they are not known.

    Raises
    ------
    TypeError
        If something is of another kind: labels that are not whole numbers, names that are not texts.
    ValueError
        If rows are not unit vectors, labels index no class, or the parts do not belong together.
    """

    values: np.ndarray
    paths: Sequence[Any]
    labels: np.ndarray
    class_names: list[str]
    model: str = ""
    fingerprint: str = ""
    dataset: str = ""
    failures: pd.DataFrame = field(default_factory=lambda: failure_table([]))
    digests: Sequence[bytes | None] | None = None

    def __post_init__(self) -> None:
        digests = None if self.digests is None else FrozenList(as_list(self.digests, "digests"))
        checked = {
            "paths": FrozenList(as_list(self.paths, "paths", "pictures")),
            "class_names": FrozenList(_checked_names(self.class_names)),
            "failures": _checked_failures(self.failures),
            "digests": digests,
        }
        labels, values = np.asarray(self.labels), _as_rows(self.values)
        n = len(checked["paths"])
        if values.ndim != 2 or labels.ndim != 1 or not len(values) == n == len(labels):
            raise ValueError(
                f"values of shape {values.shape} for {n} paths and {labels.size} labels; pass (N, D) values and N of "
                "the others."
            )
        if digests is not None and (len(digests) != n or not all(d is None or isinstance(d, bytes) for d in digests)):
            raise ValueError(f"digests holds {len(digests)} for {n} pictures; pass bytes or None, one for each.")
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name}={short(getattr(self, name))}; {name} must be a text.")
        checked["labels"] = _checked_labels(labels, checked["class_names"])
        checked["values"] = _checked_values(values)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

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
        names = [_utf8(self.class_names[k]) if k >= 0 else b"" for k in self.labels]
        lines = sorted((digest or b"") + name for digest, name in zip(self.digests, names, strict=True))
        return hashlib.sha256(b"\n".join(lines)).hexdigest()

    def without_failed(self) -> ImageEmbeddings:
        """Leave out the rows of pictures that failed; `failures` still lists them."""
        failed = self.failed
        return self.select(~failed) if failed.any() else self

    def select(self, indices: Sequence[int] | np.ndarray | slice) -> ImageEmbeddings:
        """Keep the rows at `indices`, in that order; or those that a mask of N bools, or a slice, names."""
        rows = as_indices(indices, len(self))
        return replace(
            self,
            values=self.values[rows],
            paths=[self.paths[i] for i in rows],
            labels=self.labels[rows],
            digests=None if self.digests is None else [self.digests[i] for i in rows],
        )

    def head(self, n: int) -> ImageEmbeddings:
        """Keep the first `n` rows, or all where there are fewer."""
        return self.select(range(min(check_count(n, "n"), len(self))))

    def save(self, path: str | Path) -> Path:
        """Write everything to one Parquet file that `load` reads; pictures in memory are kept by name only."""
        columns = {
            "image": _text_array([_exact_name(p) for p in self.paths]),
            "kind": pa.array([_kind(p) for p in self.paths], pa.string()),
            "label": pa.array(self.labels, pa.int64()),
            "values": pa.FixedSizeListArray.from_arrays(pa.array(self.values.ravel()), self.values.shape[1]),
        }
        if self.digests is not None:
            columns["digest"] = pa.array(self.digests, pa.binary())
        about = {k: getattr(self, k) for k in ("class_names", *_TEXTS)}
        about |= {"kind": KIND, "format": FORMAT, "failures": self.failures.to_dict("records")}
        table = pa.table(columns).replace_schema_metadata({"zsc": json.dumps(about)})
        return write_whole(path, lambda file: pq.write_table(table, file))

    @classmethod
    def load(cls, path: str | Path) -> ImageEmbeddings:
        """Read what `save` wrote, or the output folder of `embed_on_cluster`.

        Paths come back as paths, URLs and other texts as texts, and pictures that were in memory as `PictureName`.

        Raises
        ------
        ValueError
            If the file is missing, damaged, of a newer version, or holds something else; if a folder holds the output
            of several models. The message names the file.
        """
        path = Path(path)
        if path.is_dir():
            manifests = sorted(path.glob(f"*/{MANIFEST}"))
            if len(manifests) != 1:
                raise ValueError(
                    f"{printable(path)}: holds {len(manifests)} files */{MANIFEST}; pass the one you mean."
                )
            path = manifests[0]
        try:
            with path.open("rb") as file:
                return cls(**_read(file))
        except _UnreadableError as error:
            raise ValueError(f"{printable(path)}: {error}.") from error
        except Exception as error:  # a damaged or foreign file may raise anything
            reason = getattr(error, "strerror", None) or printable(error)
            raise ValueError(
                f"{printable(path)}: no file of embeddings that can be read ({reason}); write one with save."
            ) from error


class _UnreadableError(ValueError):
    """What is wrong with a file; the message goes on from its name."""


def _read(file: BinaryIO) -> dict[str, Any]:
    """Read the fields of `ImageEmbeddings` from a file that `save` wrote."""
    parquet = pq.ParquetFile(file)
    about = record_of(parquet.schema_arrow)
    if newer := newer_format(about):
        raise _UnreadableError(newer)
    table = parquet.read()
    kind, _ = about.pop("kind", KIND), about.pop("format", None)
    missing = [c for c in ("image", "label", "values") if c not in table.column_names]
    missing += [k for k in ("class_names", *_TEXTS, "failures") if k not in about]
    if missing or kind != KIND:
        raise _UnreadableError(
            f"does not hold saved embeddings ({', '.join(missing) or 'kind'} is missing); write them with save"
        )
    if unknown := about.keys() - {"class_names", *_TEXTS, "failures"}:
        raise _UnreadableError(f"holds {short(min(unknown))}, so that a newer version of zsc wrote it: update zsc")
    values = table["values"].combine_chunks()
    names = [name if isinstance(name, str) else _as_text(name) for name in table["image"].to_pylist()]
    kinds = table["kind"].to_pylist() if "kind" in table.column_names else [_first_kind(name) for name in names]
    failures = [(int(row["index"]), row["image"], row["error"]) for row in about["failures"]]
    return about | {
        "values": np.asarray(values.flatten()).reshape(len(table), values.type.list_size),
        "paths": [_SOURCES[kind](name) for kind, name in zip(kinds, names, strict=True)],
        "labels": table["label"].to_numpy(),
        "failures": failure_table(failures),
        "digests": table["digest"].to_pylist() if "digest" in table.column_names else None,
    }


_SOURCES: dict[str, Callable[[str], Any]] = {"path": Path, "text": str, "memory": PictureName}


def _kind(source: Any) -> str:
    if isinstance(source, os.PathLike):
        return "path"
    return "text" if isinstance(source, str) and not isinstance(source, PictureName) else "memory"


def _exact_name(source: Any) -> str:
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else name_of(source)


def _first_kind(name: str) -> str:
    """Tell what an image was in a file of the first version, which did not say."""
    return "text" if is_url(name) else "path"


def failure_table(rows: Sequence[tuple[int, str, str]]) -> pd.DataFrame:
    """List pictures that failed: index (int64), image and error (texts, which need not be UTF-8)."""
    index, images, errors = ([row[i] for row in rows] for i in range(3))
    numbers = np.array([check_count(i, "failures.index", low=0) for i in index], dtype=np.int64)
    texts = {name: pd.Series([str(t) for t in c], dtype=object) for name, c in (("image", images), ("error", errors))}
    return pd.DataFrame({"index": numbers} | texts)


def _checked_failures(failures: Any) -> pd.DataFrame:
    if not isinstance(failures, pd.DataFrame) or not set(FAILURE_COLUMNS) <= set(failures.columns):
        raise TypeError(
            f"failures is {short(failures)}; pass a DataFrame with the columns {', '.join(FAILURE_COLUMNS)}."
        )
    return failure_table(list(zip(*(failures[c].tolist() for c in FAILURE_COLUMNS), strict=True)))


def _checked_names(class_names: Any) -> list[str]:
    names = as_list(class_names, "class_names", "texts")
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"class_names holds {short(name)}; pass non-empty texts.")
    check_unique(names, "class_names")
    return [str(name) for name in names]


def _checked_labels(labels: NDArray[Any], class_names: list[str]) -> NDArray[np.int64]:
    if len(labels) and labels.dtype.kind not in "iu":
        raise TypeError(f"labels holds {labels.dtype} values; pass indices into class_names, -1 for no label.")
    if len(labels) and not -1 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        raise ValueError(
            f"labels runs from {labels.min()} to {labels.max()}; with {len(class_names)} classes it must lie in 0 to "
            f"{len(class_names) - 1}, or be -1 for no label."
        )
    return frozen(labels.astype(np.int64))


def _as_rows(values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError("values is ragged; pass rows of one length.") from error


def _checked_values(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Give unit rows, or rows of nothing but NaN, as float32 that nobody can change; a copy where somebody could."""
    if len(rows):
        lost = np.isnan(rows[:, 0]) if rows.dtype.kind == "f" and rows.shape[1] else np.zeros(len(rows), bool)
        if lost.any():
            lost[lost] = np.isnan(rows[lost]).all(axis=1)
        check_embeddings(np.where(lost[:, None], rows.shape[1] ** -0.5, rows) if lost.any() else rows, "values")
    values = rows.astype(np.float32, order="C", copy=False)
    return frozen(values) if values.flags.writeable or values.base is not None else values


def _utf8(text: str) -> bytes:
    """Encode any text: a name from the disk may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _text_array(texts: Sequence[str]) -> pa.Array:
    """Give texts as a column: of strings, or of bytes where one is no UTF-8."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([_utf8(text) for text in texts], pa.binary())


def as_encoder(model: Encoder | str | Path) -> Encoder:
    """Take an encoder, or load the one that a name or path names."""
    if isinstance(model, (str, Path)):
        from zsc.models import load_model

        return load_model(model)
    if not hasattr(model, "encode_images"):
        raise TypeError(
            f"model is the {type(model).__name__} {short(model)}; pass an encoder, or a name for load_model."
        )
    return model


def embed_images(
    model: Encoder | str,
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
        The encoder, or its name for `load_model`.
    dataset
        N pictures; two batches of them are open at any time.
    store
        A folder, such as ``data/embeddings``, that keeps the embeddings by model and by content; None keeps nothing.
    batch_size
        Pictures that go through the encoder at once.
    workers
        Threads that open pictures beside the encoder; None chooses.
    on_error
        What a picture that cannot be opened or embedded does, whatever it raises: "raise" ends the run (what was
        embedded is kept), "skip" leaves its row out, "record" keeps its row as NaN. The last two list it in `failures`.
    progress
        Show a bar with the rate and the time left.

    Returns
    -------
    ImageEmbeddings
        One row per picture, in the data set's order.

    Raises
    ------
    ImageError
        If a picture cannot be embedded and `on_error` is "raise"; the message names it.
    OSError
        If the store cannot be written to and not all pictures are in it.
    """
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"dataset is a {type(dataset).__name__}; pass an ImageDataset, or use model.encode_images.")
    check_choice(on_error, ON_ERROR, "on_error")
    check_count(batch_size, "batch_size")
    if workers is not None:
        check_count(workers, "workers", low=0)
    if store is not None and (not isinstance(store, (str, Path)) or not str(store).strip()):
        raise TypeError(f"store={short(store)}; pass a folder, or None to keep nothing.")
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} holds no picture to embed.")
    model = as_encoder(model)
    job = EmbeddingJob(model, dataset, store)
    todo = np.flatnonzero(~job.found)
    blocks = stream_blocks(model, dataset.paths, todo, batch_size=batch_size, workers=workers, known=job.known)
    with (
        contextlib.closing(blocks),
        tqdm(total=len(dataset), initial=len(dataset) - len(todo), unit="images", disable=not progress) as bar,
    ):
        try:
            for block in blocks:
                job.take(block, raise_errors=on_error == "raise")
                bar.update(len(block.pictures))
        finally:
            job.flush()
    job.values.flags.writeable = False  # so that it need not be copied
    embeddings = ImageEmbeddings(
        job.values,
        dataset.paths,
        dataset.labels,
        dataset.class_names,
        model=model.name,
        fingerprint=model.fingerprint,
        dataset=f"{dataset.name} {dataset.split_name}".strip(),
        failures=failure_table(job.failures),
        digests=job.digests,
    )
    return embeddings.without_failed() if on_error == "skip" else embeddings
