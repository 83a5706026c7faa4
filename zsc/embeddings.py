"""embed_images -> ImageEmbeddings: the pictures of a data set as rows of numbers, embedded once.

From here on there are no pictures and no torch, only arrays. With a store, what was embedded before, by content, is
never embedded again; a run may be stopped at any moment and goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
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
from zsc.files import printable, shown, write_whole
from zsc.images import ImageError, describe, is_url, open_image, read_source
from zsc.store import FORMAT, MANIFEST, EmbeddingStore, FileKey, PathIndex, file_key, newer_format, record_of

if TYPE_CHECKING:
    from zsc.models import Encoder
    from zsc.models.base import Transform

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
        Threads that open pictures beside the encoder; None or 0 chooses.
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


PART_ROWS = 512  # embeddings a part: what a stop can lose at most, rounded up to blocks


class EmbeddingJob:
    """One run of `embed_images`: the rows so far, and what is not on disk yet.

    Parameters
    ----------
    model
        The encoder.
    dataset
        N pictures.
    store
        The folder that keeps embeddings, or None.
    """

    def __init__(self, model: Encoder, dataset: ImageDataset, store: str | Path | None) -> None:
        self.model, self.dataset = model, dataset
        self.failures: list[tuple[int, str, str]] = []
        self.pending: dict[bytes, np.ndarray] = {}
        self.seen: list[tuple[FileKey, bytes]] = []
        self.store: EmbeddingStore | None = None
        self.index: PathIndex | None = None
        if store is not None:
            self.store = EmbeddingStore(store, model.fingerprint, model.embed_dim, asdict(model.info))
            self.index = PathIndex(store)
        self.digests: list[bytes | None] = [None] * len(dataset)
        if self.index is not None:
            self.digests = list(self.index.lookup(dataset.paths))
        self.values = np.full((len(dataset), model.embed_dim), np.nan, np.float32)
        self.found = np.zeros(len(dataset), bool)
        if self.store is not None:
            kept, self.found = self.store.get(self.digests)
            self.values[self.found] = kept[self.found]
            self.digests = [d if found else None for d, found in zip(self.digests, self.found, strict=True)]

    @property
    def known(self) -> Container[bytes]:
        """The digests that need no embedding."""
        return frozenset() if self.store is None else self.store

    def take(self, block: Block, *, raise_errors: bool) -> None:
        """Put a block's embeddings into their rows, and onto disk when enough have come."""
        kept, block = self._with_kept(block)
        if block.embeddings and self.store is not None and not self.pending:
            self.store.make()  # a folder that cannot be written to is told before hours of work
        self.pending |= block.embeddings
        vectors = kept | block.embeddings
        for picture in block.pictures:
            if picture.error is None and picture.digest is not None:
                self.digests[picture.index] = picture.digest
                self.values[picture.index] = vectors[picture.digest]
                if picture.key is not None:
                    self.seen.append((picture.key, picture.digest))
        for picture in block.pictures:
            if picture.error is not None:
                if raise_errors:
                    raise picture.error
                self.failures.append((picture.index, name_of(self.dataset.paths[picture.index]), str(picture.error)))
        if len(self.pending) >= PART_ROWS or len(self.seen) >= 8 * PART_ROWS:
            self.flush()

    def _with_kept(self, block: Block) -> tuple[dict[bytes, np.ndarray], Block]:
        """Give the kept vectors of a block by digest, and the block; what turns out to be damaged is embedded now."""
        relied = {
            p.digest: p
            for p in block.pictures
            if p.digest is not None and p.error is None and p.digest not in block.embeddings
        }
        if not relied or self.store is None:
            return {}, block
        values, found = self.store.get(list(relied))
        kept = {digest: value for digest, value, is_there in zip(relied, values, found, strict=True) if is_there}
        lost = [p for p in block.pictures if p.digest in relied.keys() - kept.keys() and p.error is None]
        if lost:
            sources, transform = self.dataset.paths, self.model.transform
            again = encode_block(self.model, [prepare(p.index, sources[p.index], transform, ()) for p in lost])
            mended = {p.index: p for p in again.pictures}
            pictures = [mended.get(p.index, p) for p in block.pictures]
            block = replace(block, pictures=pictures, embeddings=block.embeddings | again.embeddings)
        return kept, block

    def flush(self) -> None:
        """Write what is not on disk yet: the vectors first, then the paths that lead to them."""
        if self.store is not None and self.pending:
            self.store.add(list(self.pending), np.stack(list(self.pending.values())))
        if self.index is not None:
            self.index.add(self.seen)
        self.pending, self.seen = {}, []


PATIENCE = 1.0  # seconds that a run that ends early waits for pictures that are being opened
_LOCKS = [threading.Lock() for _ in range(64)]  # what is in memory may stand in a data set twice, and is no thread's


@dataclass(frozen=True)
class Prepared:
    """One picture on its way to the encoder.

    Attributes
    ----------
    index
        Its place in the data set.
    digest
        sha256 of its content; None where it could not be read.
    key
        What changes with its file, taken before it was read; None for what is no file, or was changed just now.
    pixels
        What the transform made of it, (3, S, S); None where its embedding is known, or it failed.
    error
        Why it failed; None where it did not.
    name
        What messages call it.
    """

    index: int
    digest: bytes | None
    key: FileKey | None
    pixels: np.ndarray | None = None
    error: ImageError | None = None
    name: str = ""


@dataclass(frozen=True)
class Block:
    """Pictures that went through the encoder together, and the embeddings of those that were new, by digest."""

    pictures: list[Prepared]
    embeddings: dict[bytes, np.ndarray]


def stream_blocks(
    model: Encoder,
    sources: Sequence[Any],
    indices: Iterable[int],
    *,
    batch_size: int,
    workers: int | None = None,
    known: Container[bytes] = (),
) -> Generator[Block, None, None]:
    """Embed the pictures at `indices`, block by block.

    A block holds the wanted pictures among `batch_size` neighbours of the data set. A run that goes on after a stop so
    forms the same blocks as an undisturbed one, and gives the same numbers to the last bit.

    Parameters
    ----------
    model
        The encoder.
    sources
        The N pictures of the data set.
    indices
        Which of them to embed, ascending.
    batch_size
        Pictures a block at most.
    workers
        Threads that open pictures; None takes one a core, at most eight.
    known
        Digests that need no embedding; pictures of these are read but not decoded.
    """
    check_count(batch_size, "batch_size")
    workers = check_count(workers or min(os.cpu_count() or 1, 8), "workers")
    blocks = _blocks(indices, batch_size)
    waiting: deque[list[Future[Prepared]]] = deque()
    openers = _Openers(workers if blocks else 0)
    try:
        while blocks or waiting:
            while blocks and len(waiting) < 2:
                waiting.append(
                    [openers.submit(prepare, i, sources[i], model.transform, known) for i in blocks.popleft()]
                )
            prepared = [future.result() for future in waiting[0]]
            waiting.popleft()
            yield encode_block(model, prepared)
    finally:
        openers.close(future for block in waiting for future in block)


class _Openers:
    """Threads that open pictures, as an executor's; but one that hangs holds up no interrupt, nor the process's end."""

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name="zsc-open", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.put((future, function, arguments))
        return future

    def close(self, futures: Iterable[Future[Any]]) -> None:
        for future in futures:
            future.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        _give_way()
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:  # the thread that waits for it raises it
                    future.set_exception(error)
            del task, future, arguments  # nothing of a picture stays while this waits for the next


def prepare(index: int, source: Any, transform: Transform, known: Container[bytes]) -> Prepared:
    """Read, digest and transform one picture; one that raises anything comes back with its error."""
    name, digest, key = name_of(source), None, None
    try:
        key = file_key(source)
        content = _content(source)
        digest = _digest(content)
        if digest in known:
            return Prepared(index, digest, key, name=name)
        image = content if isinstance(content, Image.Image) else open_image(content, name=name)
        return Prepared(index, digest, key, transform(image), name=name)
    except Exception as error:
        return Prepared(index, digest, key, error=_as_image_error(error, name), name=name)


def digest_of_content(content: Any) -> bytes:
    """Compute the sha256 of a picture's content: of a file's bytes; of what is in memory, the picture it opens as.

    Whatever pictures in memory are, two that open as different pictures have different digests.
    """
    return _digest(_content(content))


def _content(source: Any) -> bytes | bytearray | memoryview | Image.Image:
    """Give the bytes of a path, URL or open file, which stays where it was; else the upright RGB picture."""
    if isinstance(source, (str, os.PathLike, bytes)):
        return read_source(source)
    with _LOCKS[id(source) // 16 % len(_LOCKS)], _same_place(source):
        content = read_source(source)
        return content if isinstance(content, (bytes, bytearray, memoryview)) else open_image(content)


@contextlib.contextmanager
def _same_place(source: Any) -> Iterator[None]:
    """Leave an open file where it was before it was read."""
    is_file = hasattr(source, "read") and getattr(source, "seekable", lambda: hasattr(source, "seek"))()
    place = source.tell() if is_file else None
    try:
        yield
    finally:
        if place is not None:
            source.seek(place)


def _digest(content: bytes | bytearray | memoryview | Image.Image) -> bytes:
    if isinstance(content, Image.Image):
        head = f"opened {content.mode} {content.width}x{content.height}\n"
        return hashlib.sha256(head.encode() + content.tobytes()).digest()
    return hashlib.sha256(content).digest()


def name_of(source: Any) -> str:
    """Name a picture source, as `describe` does; a name that cannot be told is no reason to lose the picture."""
    try:
        return describe(source)
    except Exception:
        return f"a {type(source).__name__}"


def _as_image_error(error: Exception, name: str) -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        reason = "needs more memory than there is; make it smaller, or leave it out"
    else:
        what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        reason = f"cannot be embedded ({printable(what)}); mend it, or leave it out"
    with contextlib.suppress(ValueError):  # an address that makes no sense has nothing to hide
        name = shown(name) if is_url(name) else name
    failure = ImageError(f"{printable(name)}: {reason}.")
    failure.__cause__ = error
    return failure


def _give_way() -> None:
    """Let the encoder go first where cores are few: an encoder that waits for one of its threads waits with all."""
    if sys.platform == "linux":  # elsewhere this would slow the whole process down
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _blocks(indices: Iterable[int], batch_size: int) -> deque[list[int]]:
    blocks: dict[int, list[int]] = {}
    for index in indices:
        blocks.setdefault(int(index) // batch_size, []).append(int(index))
    return deque(blocks.values())


def encode_block(model: Encoder, pictures: list[Prepared]) -> Block:
    """Embed the new pictures of a block together; equal ones once.

    Where the encoder fails, each picture goes through it alone, and those that fail again come back with their error.
    Where all do, for another reason than numbers that are none, it is the encoder that fails: its error is raised.
    """
    new = {p.digest: p.pixels for p in pictures if p.digest is not None and p.pixels is not None}
    if not new:
        return Block(pictures, {})
    try:
        return Block(pictures, dict(zip(new, model.encode_pixels(list(new.values())), strict=True)))
    except Exception as error:
        embeddings, errors = _encode_one_by_one(model, new)
        if not embeddings and len(new) > 1 and not isinstance(error, FloatingPointError):
            raise
        if not errors:
            warnings.warn(
                f"{model.name}: {len(new)} pictures failed together ({type(error).__name__}: {printable(error)}) and "
                "were embedded one by one; pass a smaller batch_size.", RuntimeWarning, stacklevel=2,
            )  # fmt: skip
    told = [replace(p, error=_as_image_error(errors[p.digest], p.name)) if p.digest in errors else p for p in pictures]
    return Block(told, embeddings)


def _encode_one_by_one(
    model: Encoder, new: dict[bytes, np.ndarray]
) -> tuple[dict[bytes, np.ndarray], dict[bytes | None, Exception]]:
    embeddings: dict[bytes, np.ndarray] = {}
    errors: dict[bytes | None, Exception] = {}
    for digest, pixels in new.items():
        try:
            embeddings[digest] = model.encode_pixels([pixels])[0]
        except Exception as error:
            errors[digest] = error
    return embeddings, errors
