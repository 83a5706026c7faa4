"""embed_images -> ImageEmbeddings, embed_texts -> (M, D): pictures and texts as rows of numbers, embedded once.

From here on there are no pictures and no torch, only arrays. With a store, what was embedded before, by content, is
never embedded again; a run may be stopped at any moment and goes on from there.
"""

import contextlib
import ctypes
import hashlib
import os
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from PIL import Image

from zsc import checks
from zsc.datasets.base import ImageDataset, class_texts
from zsc.files import printable, shown
from zsc.images import ImageError, describe, is_url, open_image, read_source
from zsc.models import as_encoder
from zsc.models.base import Encoder, Transform
from zsc.parts import ForeignError, read_table, write_table
from zsc.progress import Progress, bar
from zsc.store import MANIFEST, EmbeddingStore, FileKey, PathIndex, file_key

KIND = "image embeddings"  # what a saved file says that it is
ON_ERROR = ("raise", "skip", "record")
PART_ROWS = 512  # embeddings per part: what a stop can lose at most, rounded up to blocks
TEXTS_AT_ONCE = 64
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt
REMEMBERED = 2**28  # bytes of text embeddings that are held in memory for each encoder
_TEXTS = ("model", "fingerprint", "dataset")
_FAILURE = ("index", "image", "error")
_LOCKS = [threading.Lock() for _ in range(64)]  # what is in memory may stand in a data set twice, for two threads


class PictureName(str):
    """The name of a picture that was in memory when its embedding was saved: there is nothing that could be opened."""

    __slots__ = ()


_SOURCES: dict[str, Callable[[str], Any]] = {"path": Path, "text": str, "memory": PictureName}


@dataclass(frozen=True, eq=False)
class ImageEmbeddings(checks.ReadOnly):
    """The embeddings of N pictures, with their labels, and the model that made them; checked, copied and read-only.

    `failures` has one row per picture that could not be embedded: index in the data set, image, error. TypeError or
    ValueError says what is of another kind, no unit vector, no class, or of another number.
    """

    values: np.ndarray  # (N, D), float32, unit rows, all NaN in that of a picture that failed
    paths: Sequence[Any]  # as in the data set, like labels and class_names
    labels: np.ndarray
    class_names: list[str]
    model: str = ""  # its name
    fingerprint: str = ""  # of the model
    dataset: str = ""  # name and split
    failures: pd.DataFrame = field(default_factory=lambda: failure_table([]))
    digests: Sequence[bytes | None] | None = None  # sha256 of contents, None where it failed; None: not known

    def __post_init__(self) -> None:
        paths = checks.FrozenList(checks.as_list(self.paths, "paths", "pictures"))
        names = checks.FrozenList(checks.check_class_names(self.class_names, low=0))
        labels = checks.frozen(checks.check_dataset_labels(self.labels, len(names)))
        values = checks.check_embeddings(self.values, "values", partial=True)
        n = len(paths)
        if not len(values) == n == len(labels):
            found = f"values of shape {values.shape} for {n} paths and {len(labels)} labels"
            raise ValueError(f"{found}; pass (N, D) values and N of the others.")
        digests = None if self.digests is None else checks.FrozenList(checks.as_list(self.digests, "digests"))
        if digests is not None and (len(digests) != n or not all(d is None or isinstance(d, bytes) for d in digests)):
            raise ValueError(f"digests holds {len(digests)} for {n} pictures; pass bytes or None, one for each.")
        if values is not self.values or values.base is not None or values.flags.writeable:
            values = checks.frozen(values)  # unless nobody can change it
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name}={checks.short(getattr(self, name))}; {name} must be a text.")
        failures = self.failures
        if not isinstance(failures, pd.DataFrame) or not set(_FAILURE) <= set(failures.columns):
            wanted = f"a DataFrame with the columns {', '.join(_FAILURE)}"
            raise TypeError(f"failures is {checks.short(failures)}; pass {wanted}.")
        failures = failure_table(failures[list(_FAILURE)].itertuples(index=False))
        vars(self).update(values=values, paths=paths, labels=labels, class_names=names)
        vars(self).update(failures=failures, digests=digests)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return f"ImageEmbeddings({self.dataset}: {len(self)} x {self.values.shape[1]} by {self.model}{failed})"

    @property
    def failed(self) -> np.ndarray:
        """Which rows have no embedding, shape (N,), bool."""
        return np.isnan(self.values[:, :1]).any(axis=1)

    @property
    def data_digest(self) -> str:
        """The sha256 of all pictures' contents with their classes, in any order; "" where they are not known."""
        if self.digests is None or not len(self):
            return ""
        names = [(n or "").encode(errors="surrogatepass") for n in class_texts(self.labels, self.class_names)]
        lines = sorted((digest or b"") + name for digest, name in zip(self.digests, names, strict=True))
        return hashlib.sha256(b"\n".join(lines)).hexdigest()

    def without_failed(self) -> "ImageEmbeddings":
        """Leave out the rows of pictures that failed; `failures` still lists them."""
        failed = self.failed
        return self.select(~failed) if failed.any() else self

    def select(self, indices: Sequence[int] | np.ndarray | slice) -> "ImageEmbeddings":
        """Keep the rows at `indices`, in that order; or those that a mask of N bools, or a slice, names."""
        rows = checks.as_indices(indices, len(self))
        digests = self.digests and [self.digests[i] for i in rows]
        paths = [self.paths[i] for i in rows]
        return replace(self, values=self.values[rows], paths=paths, labels=self.labels[rows], digests=digests)

    def head(self, n: int) -> "ImageEmbeddings":
        """Keep the first `n` rows, or all where there are fewer."""
        return self.select(range(min(checks.check_count(n, "n"), len(self))))

    def save(self, path: str | Path) -> Path:
        """Write everything to one Parquet file that `load` reads; pictures in memory are kept by name only."""
        names: list[Any] = [os.fsdecode(p) if isinstance(p, (str, os.PathLike)) else name_of(p) for p in self.paths]
        try:
            "".join(names).encode()
        except UnicodeEncodeError:  # names of files are bytes
            names = [name.encode(errors="surrogatepass") for name in names]
        columns = {"image": names, "kind": [_kind(p) for p in self.paths], "label": self.labels, "values": self.values}
        columns |= {} if self.digests is None else {"digest": list(self.digests)}
        about = {name: getattr(self, name) for name in ("class_names", *_TEXTS)}
        about |= {"kind": KIND, "failures": self.failures.to_dict("records")}
        return write_table(path, columns, about)

    @classmethod
    def load(cls, path: str | Path) -> "ImageEmbeddings":
        """Read what `save` wrote, or the output folder of `embed_on_cluster`; ValueError says why it cannot be read.

        Paths come back as paths, URLs and other texts as texts, and pictures that were in memory as `PictureName`.
        """
        path = Path(path)
        if path.is_dir():
            manifests = sorted(path.glob(f"*/{MANIFEST}"))
            if len(manifests) != 1:
                raise ValueError(f"{printable(path)}: holds {len(manifests)} files */{MANIFEST}; pass one of them.")
            path = manifests[0]
        try:
            with path.open("rb") as file:
                return cls(**_read(file, path.resolve().parent))
        except Exception as error:  # a damaged or foreign file may raise anything
            why = getattr(error, "strerror", None) or printable(error)
            words = f"no file of embeddings that can be read ({why}); write one with save"
            raise ValueError(f"{printable(path)}: {error if isinstance(error, ForeignError) else words}.") from error


def _read(file: BinaryIO, folder: Path) -> dict[str, Any]:
    """Read the fields of `ImageEmbeddings` from a file that `save` wrote; in the first version's are no kinds."""
    columns, about = read_table(file)
    if dim := about.pop("dim", None):  # a cluster's manifest: the vectors are in the parts beside it
        columns["values"], found = EmbeddingStore(folder.parent, folder.name, dim).get(columns["digest"])
        columns["values"][~found] = np.nan
        if lost := len(columns["digest"]) - columns["digest"].count(None) - found.sum():
            raise ForeignError(f"{lost} of its vectors are not in the store any more; embed the data set again")
    kind, _ = about.pop("kind", KIND), about.pop("format", None)
    wanted = {"class_names", "failures", *_TEXTS}
    missing = sorted({"image", "label", "values"} - columns.keys()) + sorted(wanted - about.keys())
    missing += [] if kind == KIND else ["kind"]
    if missing:
        raise ForeignError(f"does not hold saved embeddings ({', '.join(missing)} is missing); write them with save")
    if unknown := about.keys() - wanted:
        raise ForeignError(f"holds {checks.short(min(unknown))}, so that a newer version of zsc wrote it: update zsc")
    names = [n if isinstance(n, str) else n.decode(errors="surrogatepass") for n in columns["image"]]
    kinds = columns.get("kind") or ["text" if is_url(name) else "path" for name in names]
    return about | {
        "values": columns["values"],
        "paths": [_SOURCES[kind](name) for kind, name in zip(kinds, names, strict=True)],
        "labels": columns["label"],
        "failures": failure_table([(int(row["index"]), row["image"], row["error"]) for row in about["failures"]]),
        "digests": columns.get("digest"),
    }


def _kind(source: Any) -> str:
    is_text = isinstance(source, str) and not isinstance(source, PictureName)
    return "path" if isinstance(source, os.PathLike) else "text" if is_text else "memory"


def failure_table(rows: Iterable[tuple[int, str, str]]) -> pd.DataFrame:
    """List pictures that failed: index (int64), image and error (texts, which need not be UTF-8)."""
    found = [(checks.check_count(i, "failures.index", low=0), str(image), str(error)) for i, image, error in rows]
    table = pd.DataFrame({name: pd.Series([row[i] for row in found], dtype=object) for i, name in enumerate(_FAILURE)})
    return table.astype({"index": np.int64})


def class_names_of(embeddings: ImageEmbeddings, name: str = "embeddings") -> list[str]:
    """Return the class names of embedded pictures; anything else than embeddings is refused."""
    if not isinstance(embeddings, ImageEmbeddings):
        raise TypeError(f"{name} is a {type(embeddings).__name__}; pass embeddings: zsc.embed_images(model, dataset).")
    return embeddings.class_names


def check_made_by(embeddings: ImageEmbeddings, encoder: Encoder) -> None:
    """Check that embeddings were made by an encoder: those of another model say nothing beside its own."""
    if embeddings.fingerprint != encoder.fingerprint:
        made = f"{embeddings.model} ({embeddings.fingerprint}), not by {encoder.name} ({encoder.fingerprint})"
        ways = "embed the pictures with the same model, or pass the model that made them"
        raise ValueError(f"the embeddings were made by {made}; {ways}.")


def embed_images(
    model: Encoder | str | Path, dataset: ImageDataset,
    store: str | Path | tuple[EmbeddingStore, PathIndex, Sequence[bytes | None]] | None = None, *,
    batch_size: int = 32, workers: int | None = None, on_error: str = "raise", progress: Progress = True,
) -> ImageEmbeddings:  # fmt: skip
    """Embed every picture of a data set: one row per picture, in its order.

    Parameters
    ----------
    model, dataset, store
        The encoder, or its name for `load_model`; N pictures, of which two batches are open at any time; and a folder,
        such as ``data/embeddings``, that keeps the embeddings by model and by content; None keeps nothing. (Or
        both of the folder's, open, and what the index knows of the pictures.)
    batch_size, workers, progress
        Pictures that go through the encoder at once; threads that open pictures beside it, None or 0 chooses; and
        whether to show a bar with the rate and the time left.
    on_error
        What a picture that cannot be opened or embedded does, whatever it raises: "raise" ends the run (what was
        embedded is kept), "skip" leaves its row out, "record" keeps its row as NaN. The last two list it in `failures`.

    ImageError names a picture that cannot be embedded; OSError says that the store cannot be written to.
    """
    if not isinstance(dataset, ImageDataset):
        raise TypeError(f"dataset is a {type(dataset).__name__}; pass an ImageDataset, or use model.encode_images.")
    checks.check_choice(on_error, ON_ERROR, "on_error")
    checks.check_count(batch_size, "batch_size")
    workers = checks.check_count(workers or 0, "workers", low=0) or min(os.cpu_count() or 1, 8)
    if not len(dataset):
        raise ValueError(f"data set {dataset.name!r} holds no picture to embed.")
    job = _Job(as_encoder(model), dataset, store)
    shown = bar(progress, len(dataset), "images", initial=int(job.found.sum()))
    with shown, memory_kept(), contextlib.closing(job.blocks(batch_size, workers)) as blocks:
        try:
            for pictures in blocks:
                job.take(pictures, raise_errors=on_error == "raise")
                shown.update(len(pictures))
        finally:
            job.flush()
    embeddings = job.result()
    return embeddings.without_failed() if on_error == "skip" else embeddings


_TEXTS_OF: weakref.WeakKeyDictionary[Encoder, dict[tuple[str, bool], np.ndarray]] = weakref.WeakKeyDictionary()


def embed_texts(
    model: Encoder | str | Path, texts: Sequence[str] | str, store: str | Path | None = None, *,
    truncate: bool = False, progress: Progress | None = None,
) -> np.ndarray:  # fmt: skip
    """Embed M texts as (M, D), float32, unit rows; no text twice, and none that was embedded before.

    Rows differ from those of `Encoder.encode_texts` by what float32 leaves open (about 1e-7): texts of similar length
    go through the encoder together. Model and store are as in `embed_images`, except that a store that cannot be
    written to is only told, and that embeddings are also kept in memory as long as the encoder lives. `truncate` cuts
    texts that are too long for the model, instead of a TextTooLongError; `progress` shows a bar after three seconds
    (None: on a terminal).
    """
    asked = checks.check_texts([texts] if isinstance(texts, str) else texts, "texts")
    encoder = as_encoder(model)
    memory = _TEXTS_OF.setdefault(encoder, {})
    rows = {t: row for t in asked if (row := memory.pop((t, truncate), None)) is not None}  # put back as the latest
    new = [text for text in dict.fromkeys(asked) if text not in rows or store is not None]  # a store gets them all
    ids = encoder.token_ids(new, truncate=truncate)
    digests = [EmbeddingStore.key_of(tokens) for tokens in ids]
    kept, found = None, dict[bytes, np.ndarray]()
    if store is not None:
        kept = EmbeddingStore(store, encoder.fingerprint, encoder.embed_dim, asdict(encoder.info))
        values, is_there = kept.get(digests)
        found = {digest: values[i] for i, digest in enumerate(digests) if is_there[i]}
    text_of = {digests[i]: new[i] for i in sorted(range(len(new)), key=lambda i: len(ids[i]))}  # for little padding
    missing = [digest for digest in text_of if digest not in found]
    with bar(sys.stderr.isatty() if progress is None else progress, len(missing), "texts", delay=3) as shown:
        for start in range(0, len(missing), PART_ROWS):
            part = missing[start : start + PART_ROWS]
            for first in range(0, len(part), TEXTS_AT_ONCE):
                batch = part[first : first + TEXTS_AT_ONCE]
                values = encoder.encode_texts([text_of[digest] for digest in batch], truncate=truncate)
                found |= zip(batch, values, strict=True)
                shown.update(len(batch))
            if kept is not None:
                kept.try_add(part, np.stack([found[digest] for digest in part]))
    rows |= {text: found[digest].copy() for text, digest in zip(new, digests, strict=True)}
    memory |= {(text, truncate): row for text, row in rows.items()}
    for key in list(memory)[: -(REMEMBERED // (4 * encoder.embed_dim))]:
        memory.pop(key, None)
    return np.stack([rows[text] for text in asked]) if asked else np.empty((0, encoder.embed_dim), np.float32)


class _Job:
    """One run of `embed_images`: the rows so far, and what is not on disk yet."""

    def __init__(self, model: Encoder, dataset: ImageDataset, store: Any) -> None:
        self.model, self.dataset = model, dataset
        self.values = np.full((len(dataset), model.embed_dim), np.nan, np.float32)
        self.found = np.zeros(len(dataset), bool)
        self.digests: list[bytes | None] = [None] * len(dataset)
        self.failures: list[tuple[int, str, str]] = []
        self.pending: dict[bytes, np.ndarray] = {}
        self.seen: list[tuple[FileKey, bytes]] = []
        self.store: EmbeddingStore | None = None
        if store is not None:
            if not isinstance(store, tuple):
                opened = EmbeddingStore(store, model.fingerprint, model.embed_dim, asdict(model.info))
                index = PathIndex(store)
                store = opened, index, index.lookup(dataset.paths)
            self.store, self.index, digests = store
            kept, self.found = self.store.get(digests)
            self.values[self.found] = kept[self.found]
            self.digests = [d if found else None for d, found in zip(digests, self.found, strict=True)]

    def blocks(self, batch_size: int, workers: int) -> "Generator[list[Picture], None, None]":
        """Embed the pictures that are not found, block by block, while threads open those of the next block.

        A block holds the wanted pictures among `batch_size` neighbours of the data set: a run that goes on after a stop
        forms the same blocks as an undisturbed one, and gives the same numbers to the last bit. The threads are
        daemons: a picture that hangs holds up no interrupt.
        """
        known = () if self.store is None else self.store
        waiting: deque[Any] = deque()
        with ThreadPool(workers, _give_way) as pool:
            for _, block in groupby(np.flatnonzero(~self.found).tolist(), lambda index: index // batch_size):
                tasks = [(index, self.dataset.paths[index], self.model.transform, known) for index in block]
                waiting.append(pool.starmap_async(prepare, tasks, chunksize=1))
                if len(waiting) == 2:
                    yield encode(self.model, waiting.popleft().get())
            for block in waiting:
                yield encode(self.model, block.get())

    def take(self, pictures: "list[Picture]", *, raise_errors: bool) -> None:
        """Put embeddings into their rows, and onto disk when enough have come."""
        pictures = self._with_kept(pictures)
        failed = [picture for picture in pictures if picture.error is not None]
        for picture in pictures:
            if picture.embedding is not None and picture.error is None:
                self.digests[picture.index], self.values[picture.index] = picture.digest, picture.embedding
                if self.store is not None and picture.digest not in self.store:
                    if not self.pending:
                        self.store.make()  # a folder that cannot be written to is told before hours of work
                    self.pending[picture.digest] = picture.embedding
                if picture.key is not None:
                    self.seen.append((picture.key, picture.digest))
        if failed and raise_errors:
            raise failed[0].error  # type: ignore[misc]
        self.failures += [(picture.index, picture.name, str(picture.error)) for picture in failed]
        if len(self.pending) >= PART_ROWS or len(self.seen) >= 8 * PART_ROWS:
            self.flush()

    def _with_kept(self, pictures: "list[Picture]") -> "list[Picture]":
        """Fill in the embeddings that are kept; those that turn out to be damaged are made now."""
        kept = [p for p in pictures if p.embedding is None and p.error is None]
        if not kept or self.store is None:
            return pictures
        for picture, value, is_there in zip(kept, *self.store.get([p.digest for p in kept]), strict=True):
            picture.embedding = value if is_there else None
        paths, transform = self.dataset.paths, self.model.transform
        lost = [prepare(p.index, paths[p.index], transform, ()) for p in kept if p.embedding is None]
        mended = {p.index: p for p in encode(self.model, lost)}
        return [mended.get(p.index, p) for p in pictures]

    def flush(self) -> None:
        """Write what is not on disk yet: the vectors first, then the paths that lead to them."""
        if self.store is not None:
            if self.pending:
                self.store.add(list(self.pending), np.stack(list(self.pending.values())))
            self.index.add(self.seen)
        self.pending, self.seen = {}, []

    def result(self) -> ImageEmbeddings:
        self.values.flags.writeable = False  # so that it need not be copied
        data, failures = self.dataset, failure_table(self.failures)
        made_by = (self.model.name, self.model.fingerprint, f"{data.name} {data.split_name}".strip())
        columns = (self.values, data.paths, data.labels, data.class_names)
        return ImageEmbeddings(*columns, *made_by, failures, self.digests)


@dataclass
class Picture:
    """One picture on its way through the encoder: its place in the data set, and what messages call it."""

    index: int
    name: str
    key: FileKey | None = None  # what changes with its file, taken before it was read
    digest: bytes = b""  # sha256 of its content, once that was read
    pixels: np.ndarray | None = None  # what the transform made of it, (3, S, S), until it is embedded
    embedding: np.ndarray | None = None  # None where it is kept already
    error: ImageError | None = None  # why it failed

    def fail(self, error: BaseException) -> None:
        """Keep an error, whatever it is, as one that names the picture."""
        name = shown(self.name) if is_url(self.name) else printable(self.name)
        if isinstance(error, ImageError):
            self.error = error if name in str(error) else ImageError(f"{name}: {error}")
            return
        what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        reason = "it needs more memory than there is" if isinstance(error, MemoryError) else printable(what)
        self.error = ImageError(f"{name}: cannot be embedded ({reason}); mend it, or leave it out.")
        self.error.__cause__ = error


def _give_way() -> None:
    """Lower the priority of a thread that opens pictures, so that it does not stall the encoder when cores are few."""
    if sys.platform == "linux":  # elsewhere this would slow the whole process down
        with contextlib.suppress(OSError):
            os.nice(10)


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Let glibc keep what a batch frees for the next one, until the end: to fetch it anew costs up to a tenth."""
    try:
        libc = ctypes.CDLL(None)
        is_kept = libc.mallopt(_MMAP_THRESHOLD, 2**30) and libc.mallopt(_TRIM_THRESHOLD, 2**30)
    except (AttributeError, OSError, TypeError):  # other systems
        is_kept = False
    try:
        yield
    finally:
        if is_kept:
            libc.mallopt(_MMAP_THRESHOLD, 2**25)  # where glibc itself would have gone
            libc.mallopt(_TRIM_THRESHOLD, 2**26)
            libc.malloc_trim(0)


def prepare(index: int, source: Any, transform: Transform, known: Container[bytes]) -> Picture:
    """Read, digest and transform one picture, unless its digest is known; what is raised comes back as its error."""
    picture = Picture(index, name_of(source))
    try:
        picture.key = file_key(source)
        content, picture.digest = read_content(source)
        if picture.digest not in known:
            image = content if isinstance(content, Image.Image) else open_image(content, name=picture.name)
            picture.pixels = transform(image)
    except BaseException as error:  # a pool's thread would end, and its picture never come
        if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
            raise
        picture.fail(error)
    return picture


def name_of(source: Any) -> str:
    """Name a picture source, as `describe` does; its type where it has no name that can be told."""
    try:
        return describe(source)
    except Exception:
        return f"a {type(source).__name__}"


def read_content(source: Any) -> tuple[bytes | Image.Image, bytes]:
    """Read the bytes of a path, URL or open file, or open what is in memory as a picture; and digest that (sha256).

    Two pictures in memory that open as different ones have different digests, whatever they are.
    """
    if isinstance(source, (str, os.PathLike, bytes)):
        content = read_source(source)
    else:
        with _LOCKS[id(source) // 16 % len(_LOCKS)]:  # one thread at a time; an open file stays where it was
            is_file = hasattr(source, "read") and getattr(source, "seekable", lambda: hasattr(source, "seek"))()
            place = source.tell() if is_file else 0
            try:
                content = read_source(source)
                if not isinstance(content, (bytes, bytearray, memoryview)):
                    content = open_image(content)
            finally:
                if is_file:
                    source.seek(place)
    if not isinstance(content, Image.Image):
        return content, hashlib.sha256(content).digest()
    head = f"opened {content.mode} {content.width}x{content.height}\n"
    return content, hashlib.sha256(head.encode() + content.tobytes()).digest()


def encode(model: Encoder, pictures: list[Picture]) -> list[Picture]:
    """Embed those pictures of a block that have pixels together; equal ones once.

    Where the encoder fails, each picture goes through it alone, and those that fail again get their error; where all
    do, it is the encoder that fails: its error is raised, unless embeddings are not numbers.
    """
    new = {p.digest: p.pixels for p in pictures if p.pixels is not None}
    errors: dict[bytes, Exception] = {}
    try:
        embeddings = dict(zip(new, model.encode_pixels(list(new.values())), strict=True)) if new else {}
    except Exception as error:
        embeddings = {}
        for digest, pixels in new.items():
            try:
                embeddings[digest] = model.encode_pixels([pixels])[0]
            except Exception as its_error:
                errors[digest] = its_error
        if not embeddings and len(new) > 1 and not isinstance(error, FloatingPointError):
            raise
        if not errors:
            why = f"failed together ({type(error).__name__}: {printable(error)}) and were embedded one by one"
            told = f"{model.name}: {len(new)} pictures {why}; pass a smaller batch_size."
            warnings.warn(told, RuntimeWarning, stacklevel=2)
    for picture in pictures:
        picture.pixels = None
        picture.embedding = embeddings.get(picture.digest)
        if picture.digest in errors:
            picture.fail(errors[picture.digest])
    return pictures
