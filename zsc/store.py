"""Embeddings on disk: embed once, ask many times, stop at any moment.

`<folder>/<model fingerprint>/` holds Parquet parts of digests, of pictures and of texts' tokens, and their vectors;
`<folder>/paths/` remembers the digest of each path. A part is whole or not there, and bears the digest of its bytes as
its name: several processes may write at once, and a damaged part is found, told, set aside, and embedded again.
`compact` makes full parts of small ones, and a sorted file of keys that leads to their rows. Parts that it does not
list count, too: it may be killed, be of another moment, or be missing, and the answers are the same.
"""

import errno
import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zsc import parts
from zsc.checks import check_choice, check_count, check_embeddings, short
from zsc.files import TEMPORARY, digest_of, locked, printable, write_whole
from zsc.images import is_url, local_path
from zsc.parts import DTYPES, FORMAT, DamagedError, ForeignError, Parts, StoreWarning
from zsc.progress import Progress, each

KIND = "zsc embeddings"  # of a model.json
DESCRIPTION = "model.json"
MANIFEST = "manifest*.parquet"  # what a cluster writes beside its parts
KEYS = "keys-{}.zsc"  # what `EmbeddingStore.compact` writes beside its parts
TEXT = b"zsc text"  # how the digest of a text begins; that of a picture does so once in 2**64
SETTLED_NS = 2_000_000_000  # file systems tell times to 2 s at worst: a later change within that would not show
PART_BYTES = 2**24  # of the vectors of a full part, in float32: what is read, and proved, for a row of it
_KEY = slice(8, 24)  # the bytes of a digest that lead to its row: the first ones of all texts are equal
_LEFT_OVER = re.compile(
    r"part-[0-9a-f]{32}\.damaged|keys-[0-9a-f]{32}\.zsc|\.keys\.lock"
    r"|\.(part-[0-9a-f]{32}\.parquet|model\.json)\.\d+\.\d+\.tmp"
)
_FIRST_KEYS = {"context_length", "logit_scale", "weights_sha256"}  # of a model.json before it had a kind
_PATHS = (  # the columns of the index, as they are written and as the first version wrote them; names are bytes
    pa.schema({"path": pa.binary(), "size": pa.int64(), "mtime": pa.int64(), "ctime": pa.int64(), "inode": pa.uint64(),
               "digest": pa.binary(32)}),
    pa.schema({"path": pa.string(), "size": pa.int64(), "mtime": pa.int64(), "digest": pa.binary(32)}),
)  # fmt: skip


class PartCheck(NamedTuple):
    """What `EmbeddingStore.verify` found of one part: its path, and what is wrong with it (empty: nothing)."""

    path: Path
    problem: str


class EmbeddingStore:
    """The kept embeddings of one model: vectors with `dim` numbers, found by the digest of their picture or text.

    `folder`, such as ``data/embeddings``, is that of all models, and is made when something is added; `fingerprint` is
    `Encoder.fingerprint`; `about` says what the model is, and is written beside the parts.
    """

    def __init__(self, folder: str | Path, fingerprint: str, dim: int, about: Mapping[str, Any] | None = None) -> None:
        if not isinstance(folder, (str, Path)) or not str(folder).strip():
            raise TypeError(f"store={short(folder)}; pass a folder, or None to keep nothing.")
        if Path(folder).is_file():
            raise NotADirectoryError(f"{printable(folder)} is a file; pass a folder that keeps embeddings.")
        self.folder = Path(folder) / fingerprint
        self.dim, self.about = dim, about
        self.parts = Parts.of_vectors(self.folder, dim)
        self._load()

    def _load(self) -> None:
        """Find out what there is: the file of keys, and the digests in parts that are not in it."""
        counts, *arrays = self._read_keys()
        there, listed = set(self.parts), [self.folder / name for name in counts]
        self._there = {part: counts[part.name] for part in listed if part in there}  # own rows, texts among them
        self._index = listed, self._there, [arrays]  # one whole for threads: parts, those that are there, sorted keys
        self._rows: dict[bytes, tuple[Path, int]] = {}  # what was added since
        found = [(np.empty(0, "S16"), np.empty(0, np.int64), np.empty(0, bool))]
        for part in sorted(there.difference(listed)):
            table = self.parts.read(part, ["digest"], check=False)  # its bytes are checked when it is used
            if table is not None:
                digests = table["digest"].to_pylist()
                rows = [row for row, place in enumerate(self._find(digests)) if place is None]
                is_text = [digests[row].startswith(TEXT) for row in rows]
                places = np.array(rows, np.int64) + (len(listed) << 32)
                found.append((_keys_of(digests[row] for row in rows), places, np.array(is_text, bool)))
                listed.append(part)
            elif self.parts.is_gone(part):  # compacted just now
                return self._load()
        keys, places, texts = map(np.concatenate, zip(*found, strict=True))
        keys, first = np.unique(keys, return_index=True)
        numbers, n = places[first] >> 32, len(listed)
        own = zip(listed, np.bincount(numbers, minlength=n), np.bincount(numbers, texts[first], n), strict=True)
        self._there |= {part: [int(rows), int(texts)] for part, rows, texts in list(own)[len(counts) :]}
        self._index[2].append([keys, places[first]])
        return None

    def _read_keys(self) -> tuple[dict[str, list[int]], np.ndarray, np.ndarray]:
        found = [(dict[str, list[int]](), np.empty(0, "S16"), np.empty(0, np.int64))]
        for path in self.folder.glob("keys-*.zsc"):  # one, or two where `compact` was killed: either will do
            try:
                found.append(_open_keys(path))
            except FileNotFoundError:
                pass
            except (ValueError, OSError) as error:
                told = f"{error}; all parts are looked through until 'zsc store compact' writes it again."
                warnings.warn(f"{printable(path)}: {told}", StoreWarning, stacklevel=4)
        return max(found, key=lambda keys: len(keys[1]))

    def _find(self, digests: Sequence[Any]) -> list[tuple[Path, int] | None]:
        """Find part and row of each digest; None where it is not kept."""
        found = [self._rows.get(digest) for digest in digests]
        listed, there, sorted_keys = self._index
        for keys, places in sorted_keys:
            asked = [i for i, d in enumerate(digests) if found[i] is None and isinstance(d, bytes) and len(d) == 32]
            wanted = _keys_of(digests[i] for i in asked)
            at = np.searchsorted(keys[:-1], wanted)  # the last one is for what is beyond
            for k in np.flatnonzero(keys[at] == wanted).tolist() if len(keys) else ():
                number, row = divmod(int(places[at[k]]), 2**32)
                if listed[number] in there:
                    found[asked[k]] = listed[number], row
        return found

    def __contains__(self, digest: object) -> bool:
        return self._find([digest])[0] is not None

    def __len__(self) -> int:
        return len(self._rows) + sum(rows for rows, _ in self._there.values())

    @staticmethod
    def key_of(tokens: Sequence[int]) -> bytes:
        """Return the digest of a text: of the tokens that a model reads, without padding."""
        return TEXT + hashlib.sha256(str(tokens).encode()).digest()[len(TEXT) :]

    @property
    def texts(self) -> int:
        """How many of the embeddings are of texts."""
        return _texts(self._rows) + sum(texts for _, texts in self._there.values())

    def get(self, digests: Sequence[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
        """Look up N digests: vectors (N, D), float32, zero where not found; and which were found, (N,) bool.

        A part that cannot be used is told with a `StoreWarning`, and what it held counts as not found from then on.
        """
        values = np.zeros((len(digests), self.dim), np.float32)
        found = np.zeros(len(digests), bool)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for i, place in enumerate(self._find(digests)):
            if place is not None:
                wanted.setdefault(place[0], []).append((i, place[1]))
        for part, pairs in wanted.items():
            table = self.parts.read(part)
            if table is not None:
                places, rows = np.array(pairs).T
                values[places], found[places] = parts.unit(parts.vectors_of(table["values"])[rows]), True
            elif self.parts.is_gone(part):  # another process has compacted it
                self._load()
                return self.get(digests)
            else:
                self._rows = {d: place for d, place in self._rows.items() if place[0] != part}
                self._there.pop(part, None)
        return values, found

    def scan(self, batch_rows: int = 8192) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Go through all embeddings, each once: digests, and vectors (B, D), float32; one part is held at a time.

        OSError says that another process has compacted the store meanwhile.
        """
        check_count(batch_rows, "batch_rows")
        for part, digests, values in self._scan(
            dict.fromkeys([*self._there, *(part for part, _ in self._rows.values())])
        ):
            if not digests and self.parts.is_gone(part):
                raise OSError(f"{printable(self.folder)} was compacted by another process meanwhile; start again.")
            for start in range(0, len(digests), batch_rows):
                yield digests[start : start + batch_rows], values[start : start + batch_rows]

    def _scan(self, some: Iterable[Path]) -> Iterator[tuple[Path, list[bytes], np.ndarray]]:
        """Read the rows of each part that `_find` leads to; none of one that is gone; not those that cannot be read."""
        for part in some:
            if (table := self.parts.read(part)) is not None:
                digests = table["digest"].to_pylist()
                rows = [*range(len(digests))]
                if self._there.get(part, [0])[0] < len(rows):
                    rows = [row for row, place in enumerate(self._find(digests)) if place == (part, row)]
                yield part, [digests[row] for row in rows], parts.unit(parts.vectors_of(table["values"])[rows])
            elif self.parts.is_gone(part):
                yield part, [], np.empty((0, self.dim), np.float32)

    def add(self, digests: Sequence[bytes], values: np.ndarray) -> Path:
        """Write vectors (N, D), unit rows, as one new part; it is there whole once this returns."""
        vectors = np.ascontiguousarray(values, dtype=np.float32)
        if vectors.shape != (len(digests), self.dim):
            raise ValueError(f"values have shape {vectors.shape}; {len(digests)} digests ask for {self.dim} columns.")
        check_embeddings(vectors, "values")
        self.make()
        part = self.parts.write({"digest": list(digests), "values": vectors})
        for row, place in enumerate(self._find(digests)):
            if place is None:
                self._rows.setdefault(digests[row], (part, row))
        return part

    def try_add(self, digests: Sequence[bytes], values: np.ndarray) -> None:
        """Add vectors of texts; a folder that cannot be written to only costs encoding them again."""
        try:
            self.add(digests, values)
        except OSError as error:
            told = f"{len(digests)} texts could not be kept ({parts.why(error)}); they are encoded again next time."
            warnings.warn(f"{printable(self.folder)}: {told}", StoreWarning, stacklevel=3)

    def make(self) -> None:
        """Make the folder with its `model.json`, where they are missing; OSError says that it cannot be written to."""
        description = self.folder / DESCRIPTION
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "it is read-only")
            if self.about is not None and not isinstance(parts.json_of(description), dict):
                head = {"kind": KIND, "format": FORMAT, "fingerprint": self.folder.name}
                write_whole(description, json.dumps({**self.about, **head}, indent=2, default=str))
        except OSError as error:
            told = f"{printable(self.folder)}: the store cannot be written to ({parts.why(error)})"
            ways = "pass another folder as store, or none"
            raise type(error)(f"{told}, and not all pictures are in it; {ways}.") from error

    def compact(self, dtype: str = DTYPES[0], *, progress: Progress = False) -> list[Path]:
        """Put small parts together into full ones, and write the keys that lead to their rows; return the full parts.

        With a `dtype` of "float16" full parts are written anew, too, in half the room: cosines move by less than .001.
        It may be killed at any moment, and runs beside readers and writers: new parts come first, then the keys, and
        old parts go last. It takes about 100 bytes of memory for each embedding.
        """
        kinds = DTYPES[DTYPES.index(check_choice(dtype, DTYPES, "dtype")) :]
        self.make()
        with locked(self.folder / "keys"):
            self._load()
            size = max(1, PART_BYTES // (4 * self.dim))
            full = (part for part, (n, _) in self._there.items() if n == size and self.parts.dtype(part) in kinds)
            new = [part for part in full if pq.read_metadata(part).num_rows == size]  # all of them its own
            old, digests, values = list[Path](), list[bytes](), np.empty((0, self.dim), np.float32)
            asked = sorted({*self._there} - {*new})
            for part, more, rows in self._scan(each(asked, progress, "parts", delay=3)):
                old.append(part)
                digests, values = digests + more, np.concatenate([values, rows])
                while len(digests) >= size:
                    new.append(self.parts.write({"digest": digests[:size], "values": values[:size].astype(dtype)}))
                    digests, values = digests[size:], values[size:]
            if digests:
                new.append(self.parts.write({"digest": digests, "values": values.astype(dtype)}))
            self._write_keys(new)
            for part in {*old} - {*new} if len(old) == len(asked) else ():  # others may hold rows of a damaged one
                part.unlink(missing_ok=True)
            self._load()
        return new

    def _write_keys(self, full: Sequence[Path]) -> None:
        """Write a file of keys: as JSON the parts, with rows and texts of each; then the two arrays of `_load`."""
        keys, places, counts = [np.empty(0, "S16")], [np.empty(0, "<i8")], dict[str, tuple[int, int]]()
        for part in full:
            if (table := self.parts.read(part, ["digest"], check=False)) is not None:
                digests = table["digest"].to_pylist()
                keys.append(_keys_of(digests))
                places.append(np.arange(len(digests), dtype="<i8") + (len(counts) << 32))
                counts[part.name] = len(digests), _texts(digests)
        order = np.argsort(every := np.concatenate(keys), kind="stable")
        head = json.dumps({"kind": "zsc keys", "format": FORMAT, "parts": counts}).encode() + b"\n"
        pieces, digest = (head, every[order].data, np.concatenate(places)[order].data), hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        path = self.folder / parts.name_of(digest.hexdigest(), KEYS)
        write_whole(path, lambda file: [file.write(piece) for piece in pieces])
        for other in {*self.folder.glob("keys-*.zsc")} - {path}:
            other.unlink(missing_ok=True)

    def verify(self, *, progress: Progress = False) -> list[PartCheck]:
        """Check the keys, and every part: its bytes against its name, its columns, and that rows are unit vectors."""
        problems = dict.fromkeys([*self.parts, *self.folder.glob("keys-*.zsc")], "")
        for path in each(problems, progress, "parts", delay=3):
            try:
                self.parts.open(path) if path.suffix == ".parquet" else _open_keys(path)
            except (ValueError, OSError) as error:
                problems[path] = str(error)
        return [PartCheck(path, problem) for path, problem in problems.items()]


class FileKey(NamedTuple):
    """What changes with a file: absolute path, size in bytes, the times of change in nanoseconds, inode."""

    path: bytes
    size: int
    mtime: int  # which anybody can set
    ctime: int  # which moves with every write
    inode: int


class PathIndex:
    """What is known of files, in the folder of all models' embeddings: an unchanged file is not read again."""

    def __init__(self, folder: str | Path, *, read: bool = True) -> None:
        self.parts = Parts(Path(folder) / "paths", "paths", *_PATHS)
        self._known: dict[FileKey, bytes] = {}
        for part in self.parts if read else ():  # who only adds need not know what is there
            table = self.parts.read(part)
            if table is not None and "ctime" in table.column_names:  # the first version's are not trusted
                *keys, digests = (column.to_pylist() for column in table.columns)
                self._known.update(zip(map(FileKey, *keys), digests, strict=True))

    def lookup(self, paths: Sequence[Any]) -> list[bytes | None]:
        """Find the digest of each unchanged file; None for others, and for what is no path."""
        return [self._known.get(key) if (key := file_key(path)) else None for path in paths]

    def add(self, rows: Sequence[tuple[FileKey, bytes]]) -> None:
        """Remember digests, in a part of their own; a folder that cannot be written to only costs reading again."""
        new = [(*key, digest) for key, digest in rows if self._known.get(key) != digest]
        if not new:
            return
        folder = self.parts.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.parts.write(dict(zip(_PATHS[0].names, zip(*new, strict=True), strict=True)))
        except OSError as error:
            told = f"{len(new)} paths could not be remembered ({parts.why(error)})"
            warnings.warn(
                f"{printable(folder)}: {told}; these pictures are read again next time.", StoreWarning, stacklevel=3
            )
        self._known.update(rows)


def file_key(path: Any) -> FileKey | None:
    """Find what changes with a file; None for what is no file on disk, or was changed in the last two seconds."""
    if not isinstance(path, (str, os.PathLike)) or is_url(path):
        return None
    text = os.fsdecode(path)
    try:
        place = str(local_path(text)) if text.startswith("~") else text
        status, now = os.stat(place), time.time_ns()  # noqa: PTH116 (once for each picture)
        name = os.fsencode(os.path.abspath(place))
    except (OSError, ValueError):
        return None
    if now - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED_NS:
        return None
    return FileKey(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & (2**64 - 1))


def _open_keys(path: Path) -> tuple[dict[str, list[int]], np.ndarray, np.ndarray]:
    """Map what `EmbeddingStore.compact` wrote: parts with their rows and texts, keys, places; errors as in `open`."""
    if path.name != parts.name_of(digest_of(path), KEYS):
        raise DamagedError("its bytes are not those that were written")
    with path.open("rb") as file:
        head, start = json.loads(file.readline()), file.tell()
    parts.refuse_newer(head)
    n = sum(rows for rows, _ in head["parts"].values())
    arrays = (np.memmap(path, kind, "r", at, n) for kind, at in (("S16", start), ("<i8", start + 16 * n)) if n)
    return head["parts"], *(arrays if n else (np.empty(0, "S16"), np.empty(0, "<i8")))


def _keys_of(digests: Iterable[bytes]) -> np.ndarray:
    rows = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    return np.ascontiguousarray(rows[:, _KEY]).view("S16")[:, 0]


def _texts(digests: Iterable[bytes]) -> int:
    return sum(digest.startswith(TEXT) for digest in digests)


def stores(folder: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """List the models' folders under a store's folder, with their `model.json`; others with a `ForeignPartWarning`."""
    for path in sorted(Path(folder).glob(f"*/{DESCRIPTION}")):
        try:
            yield path.parent, _description(path)
        except ForeignError as error:
            parts.warn_of_foreign(path.parent, str(error))


def _description(path: Path) -> dict[str, Any]:
    """Read a `model.json`, and prove that it is one of ours."""
    folder = path.parent
    if not re.fullmatch("[0-9a-f]{16}", folder.name) or folder.is_symlink() or path.is_symlink():
        raise ForeignError("is not named as a folder of kept embeddings is, by 16 hexadecimal digits of its own")
    if not os.access(path, os.R_OK):
        raise ForeignError(f"its {DESCRIPTION} cannot be read")
    about = parts.json_of(path)
    if about is None:
        raise ForeignError(f"its {DESCRIPTION} is damaged; the next embedding with that model mends it")
    if not isinstance(about, dict) or (about.get("kind") != KIND and not about.keys() >= _FIRST_KEYS):
        raise ForeignError(f"its {DESCRIPTION} does not describe kept embeddings")
    parts.refuse_newer(about)
    if about.get("fingerprint", folder.name) != folder.name:
        raise ForeignError(f"its {DESCRIPTION} is of {about['fingerprint']}: the folder was renamed or copied")
    dim = about.get("embed_dim")
    if not isinstance(about.get("name"), str) or type(dim) is not int or dim < 1:
        raise ForeignError(f"its {DESCRIPTION} names no model and length of vectors")
    return about


@dataclass(frozen=True)
class Cleared:
    """What `clear` did: the models' folders whose embeddings are gone; and each file or folder that stays, and why."""

    removed: list[Path] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)


def clear(folder: str | Path, fingerprint: str | None = None) -> Cleared:
    """Remove what zsc has provably kept of one model, or with None of every model, and the index of paths."""
    done, index = Cleared(), Parts(Path(folder) / "paths", "paths", *_PATHS)
    for path in sorted(Path(folder).glob(f"*/{DESCRIPTION}")):
        if fingerprint in (None, path.parent.name):
            try:
                done.left.extend(_emptied(Parts.of_vectors(path.parent, _description(path)["embed_dim"])))
                done.removed.append(path.parent)
            except ForeignError as error:
                done.left.append((path.parent, str(error)))
    if fingerprint is None and any(not _why_not_ours(part, index) for part in index):
        done.left.extend(_emptied(index))
    return done


def _emptied(kept: Parts) -> list[tuple[Path, str]]:
    """Remove the files of a folder that are ours, and it if it is empty then; list the others, and why they stay."""
    left = list[tuple[Path, str]]()
    for path in sorted(kept.folder.iterdir(), key=lambda path: (path.name == DESCRIPTION, path)):
        is_description = path.name == DESCRIPTION and kept.kind != "paths"
        if is_description and any(other.name.startswith("part-") for other, _ in left):
            continue  # it says whose they are
        reason = "" if is_description else _why_not_ours(path, kept)
        try:
            if not reason:
                path.unlink(missing_ok=True)
        except OSError as error:
            reason = f"cannot be removed ({parts.why(error)})"
        left += [(path, reason)] if reason else []
    with suppress(OSError):
        kept.folder.rmdir()
    return left


def _why_not_ours(path: Path, kept: Parts) -> str:
    """Say why nothing proves that zsc wrote a file; empty if something does."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return "was not written by zsc"
    if TEMPORARY.fullmatch(path.name):
        return "is being written by another process"
    if path.match(MANIFEST):
        with suppress(Exception):  # whatever it is then, it is no manifest
            if parts.record_of(pq.read_schema(path)).get("fingerprint") == path.parent.name:
                return ""
    if parts.PART.fullmatch(path.name):
        try:
            kept.open(path, [], check=False)
        except ForeignError as error:
            return str(error)
        except (DamagedError, FileNotFoundError):
            pass
        return ""
    return "" if _LEFT_OVER.fullmatch(path.name) else "was not written by zsc"
