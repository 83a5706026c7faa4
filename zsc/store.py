"""Embeddings on disk: embed once, ask many times, stop at any moment.

`<folder>/<model fingerprint>/` holds Parquet parts of picture digests and their vectors; `<folder>/paths/` remembers
the digest of each path (see path_index.py). A part is whole or not there, several processes may write at once, and a
damaged part is found, told, and embedded again (see parts.py). Nothing is written before there is something to keep.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zsc.checks import UNIT_TOLERANCE, check_embeddings
from zsc.files import TEMPORARY, printable, sweep, write_whole
from zsc.images import is_url, local_path

DESCRIPTION = "model.json"
KIND = "zsc embeddings"
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_FIRST_KEYS = frozenset(  # of model.json, before it had a kind
    ("name", "library", "embed_dim", "image_size", "context_length", "logit_scale", "weights_sha256", "device",
     "precision", "engine")
)  # fmt: skip


@dataclass(frozen=True)
class PartCheck:
    """What `EmbeddingStore.verify` found of one part: its path, rows, and what is wrong with it (empty: nothing)."""

    path: Path
    rows: int
    problem: str


class EmbeddingStore:
    """The kept embeddings of one model.

    Parameters
    ----------
    folder
        The folder of all models' embeddings, such as ``data/embeddings``; made when something is added.
    fingerprint
        The model's (`Encoder.fingerprint`): everything that changes an embedding is in it.
    dim
        D, the length of a vector.
    about
        What the model is, written beside the parts for people, and for `stores`.

    Raises
    ------
    NotADirectoryError
        If `folder` is a file.
    """

    def __init__(self, folder: str | Path, fingerprint: str, dim: int, about: Mapping[str, Any] | None = None) -> None:
        if Path(folder).is_file():
            raise NotADirectoryError(f"{printable(folder)} is a file; pass a folder that keeps embeddings.")
        self.folder = Path(folder) / fingerprint
        self.dim, self.about = dim, about
        self._rows: dict[bytes, tuple[Path, int]] = {}  # digest -> part and row
        sweep(self.folder)
        for part in parts_of(self.folder):
            table = read_part(part, layout(dim), ["digest"], check=False)  # its bytes are checked when it is used
            if table is not None:
                self._remember(part, table["digest"].to_pylist())

    def __contains__(self, digest: object) -> bool:
        return digest in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, digests: Sequence[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
        """Look vectors up.

        Parameters
        ----------
        digests
            N digests; None is never found.

        Returns
        -------
        tuple
            Vectors (N, D), float32, zero where not found; and which were found, (N,) bool. A part that cannot be used
            is told with a `StoreWarning`, and what it held counts as not found from then on.
        """
        values = np.zeros((len(digests), self.dim), np.float32)
        found = np.zeros(len(digests), bool)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for i, digest in enumerate(digests):
            if digest is not None and digest in self._rows:
                part, row = self._rows[digest]
                wanted.setdefault(part, []).append((i, row))
        for part, pairs in wanted.items():
            vectors = self._read(part)
            if vectors is not None:
                places, rows = np.array(pairs).T
                values[places], found[places] = vectors[rows], True
        return values, found

    def add(self, digests: Sequence[bytes], values: np.ndarray) -> Path:
        """Write vectors (N, D), unit rows, as one new part; it is there whole once this returns."""
        vectors = np.ascontiguousarray(values, dtype=np.float32)
        if vectors.shape != (len(digests), self.dim):
            raise ValueError(f"values have shape {vectors.shape}; {len(digests)} digests ask for {self.dim} columns.")
        check_embeddings(vectors, "values")
        self.make()
        columns = layout(self.dim).columns
        rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.dim)
        table = pa.table({"digest": pa.array(list(digests), columns["digest"]), "values": rows})
        part = write_part(self.folder, table, layout(self.dim))
        self._remember(part, digests)
        return part

    def make(self) -> None:
        """Make the folder with its `model.json`, where they are missing.

        Raises
        ------
        OSError
            If nothing can be written there; one sentence that names the store.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "it is read-only")
            if self.about is not None and not _is_json(self.folder / DESCRIPTION):
                head = {"kind": KIND, "format": FORMAT, "fingerprint": self.folder.name}
                write_whole(self.folder / DESCRIPTION, json.dumps({**self.about, **head}, indent=2, default=str))
        except OSError as error:
            raise type(error)(
                f"{printable(self.folder)}: the store cannot be written to ({why(error)}), and not all pictures are in "
                "it; pass another folder as store, or none."
            ) from error

    def verify(self) -> list[PartCheck]:
        """Check every part: its bytes against its name, its columns, and that its rows are unit vectors."""
        return [self._verify_part(part) for part in parts_of(self.folder)]

    def _verify_part(self, part: Path) -> PartCheck:
        try:
            table = open_part(part, layout(self.dim))
        except (DamagedPartError, ForeignPartError, FileNotFoundError) as error:
            return PartCheck(part, 0, str(error))
        problem = "" if _are_unit(_vectors(table, self.dim)) else f"its rows are not unit vectors of length {self.dim}"
        return PartCheck(part, len(table), problem)

    def _remember(self, part: Path, digests: Sequence[bytes]) -> None:
        for row, digest in enumerate(digests):
            self._rows.setdefault(digest, (part, row))

    def _read(self, part: Path) -> np.ndarray | None:
        """Read the vectors of a part; None, and its rows forgotten, where they cannot be used."""
        table = read_part(part, layout(self.dim))
        vectors = None if table is None else _vectors(table, self.dim)
        if vectors is not None and not _are_unit(vectors):
            warn_of_foreign(part, f"its rows are not unit vectors of length {self.dim}")
            vectors = None
        if vectors is None:
            self._rows = {d: place for d, place in self._rows.items() if place[0] != part}
        return vectors


def stores(folder: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Go through the models' folders under a store's folder, with what `model.json` says of each.

    A folder whose `model.json` is not of a store, or newer, is passed over with a `ForeignPartWarning` that names it.
    """
    for place, about, problem in candidates(folder):
        if about is None:
            warn_of_foreign(place, problem)
        else:
            yield place, about


def candidates(folder: str | Path) -> Iterator[tuple[Path, dict[str, Any] | None, str]]:
    """Go through the folders with a `model.json`: what it says, or None and why the folder is none of a store."""
    for description in sorted(Path(folder).glob(f"*/{DESCRIPTION}")):
        try:
            yield description.parent, _describe(description), ""
        except ForeignPartError as error:
            yield description.parent, None, str(error)


def layout(dim: int) -> Layout:
    """Give what a part of vectors with D numbers holds."""
    columns = {"digest": pa.binary(32), "values": pa.list_(pa.float32(), dim)}
    return Layout("embeddings", columns, columns)


def _describe(description: Path) -> dict[str, Any]:
    """Read a `model.json`, and prove that it is one of ours."""
    folder = description.parent
    if not FINGERPRINT.fullmatch(folder.name) or folder.is_symlink() or description.is_symlink():
        raise ForeignPartError("is not named as a folder of kept embeddings is, by 16 hexadecimal digits of its own")
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
    except OSError as error:
        raise ForeignPartError(f"its {DESCRIPTION} cannot be read ({why(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ForeignPartError(f"its {DESCRIPTION} is damaged; the next embedding with that model mends it") from error
    is_first = isinstance(about, dict) and frozenset(about) == _FIRST_KEYS
    if not is_first and not (isinstance(about, dict) and about.get("kind") == KIND):
        raise ForeignPartError(f"its {DESCRIPTION} does not describe kept embeddings")
    if newer := newer_format(about):
        raise ForeignPartError(newer)
    if about.get("fingerprint", folder.name) != folder.name:
        raise ForeignPartError(f"its {DESCRIPTION} is of {about['fingerprint']}: the folder was renamed or copied")
    if not isinstance(about.get("name"), str) or type(about.get("embed_dim")) is not int or about["embed_dim"] < 1:
        raise ForeignPartError(f"its {DESCRIPTION} names no model and length of vectors")
    return about


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _are_unit(vectors: np.ndarray) -> bool:
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return bool(np.all(np.abs(lengths - 1) <= UNIT_TOLERANCE))


def _vectors(table: pa.Table, dim: int) -> np.ndarray:
    column = table["values"].combine_chunks()
    flat = column.flatten() if isinstance(column, pa.FixedSizeListArray) else pa.concat_arrays(column.chunks).flatten()
    return np.asarray(flat, dtype=np.float32).reshape(-1, dim)


FORMAT = 1  # of everything that a store writes; what has no number is of the first version, and is read
PART = re.compile(r"part-(?P<digest>[0-9a-f]{32})\.parquet")
ASIDE = re.compile(r"part-[0-9a-f]{32}\.damaged")


class StoreWarning(UserWarning):
    """Something in a store that could not be used or written; the message names it and says why."""


class DamagedPartWarning(StoreWarning):
    """A part of a store that was not what was written; it was set aside, and its pictures are embedded again."""


class ForeignPartWarning(StoreWarning):
    """A file in a store that another program or a newer version wrote; it is neither used nor changed."""


class DamagedPartError(ValueError):
    """A part's bytes are not those that were written."""


class ForeignPartError(ValueError):
    """A file is none that this version reads; the message goes on from its name."""


@dataclass(frozen=True)
class Layout:
    """What the parts of one kind hold: columns with their types, and the columns before there were format numbers."""

    kind: str
    columns: dict[str, pa.DataType]
    first: dict[str, pa.DataType]

    def fits(self, schema: pa.Schema) -> bool:
        """Tell whether a schema is that of a part of this kind."""
        record = record_of(schema)
        return _matches(schema, self.columns if record else self.first) and record.get("kind", self.kind) == self.kind


def record_of(schema: pa.Schema) -> dict[str, Any]:
    """Read what zsc wrote into the metadata of a Parquet file; nothing where it wrote none."""
    try:
        record = json.loads((schema.metadata or {})[b"zsc"])
    except (KeyError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def newer_format(record: dict[str, Any]) -> str:
    """Say that a record is of a format that this version does not know; nothing where it knows it."""
    number = record.get("format", FORMAT)
    if isinstance(number, int) and number <= FORMAT:
        return ""
    return f"was written by a newer version of zsc (format {number}; this version reads {FORMAT}): update zsc to use it"


def parts_of(folder: Path) -> list[Path]:
    """List the parts in a folder, sorted."""
    return sorted(folder.glob("part-*.parquet"))


def write_part(folder: Path, table: pa.Table, layout: Layout) -> Path:
    """Write a table as one new part."""
    sink = pa.BufferOutputStream()
    record = json.dumps({"kind": layout.kind, "format": FORMAT})
    pq.write_table(table.replace_schema_metadata({"zsc": record}), sink, compression="NONE", use_dictionary=False)
    data = sink.getvalue().to_pybytes()
    return write_whole(folder / f"part-{_digest(data)}.parquet", data)


def open_part(part: Path, layout: Layout, names: Sequence[str] | None = None, *, check: bool = True) -> pa.Table:
    """Read a part.

    Parameters
    ----------
    part
        The file.
    layout
        What it has to hold.
    names
        The columns to read; None reads all.
    check
        Compare the checksum of the bytes with the name first.

    Raises
    ------
    DamagedPartError
        If the bytes are not those that its name was made of.
    ForeignPartError
        If it is something else than a part of this kind, or of a newer format, or may not be read.
    FileNotFoundError
        If it is gone.
    """
    if not PART.fullmatch(part.name):
        raise ForeignPartError("has a name that no part of a store has")
    try:
        with pq.ParquetFile(part) as file:
            if newer := newer_format(record_of(file.schema_arrow)):
                raise ForeignPartError(newer)
            if layout.fits(file.schema_arrow) and (not check or is_whole(part)):
                return file.read(names)
    except (FileNotFoundError, ForeignPartError):
        raise
    except Exception:  # damaged bytes may raise anything; what is wrong is found out below
        pass
    try:
        whole = is_whole(part)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ForeignPartError(f"cannot be read ({why(error)})") from error
    if not whole:
        raise DamagedPartError("its bytes are not those that were written")
    raise ForeignPartError(f"does not hold the columns {', '.join(layout.columns)} of this store")


def read_part(part: Path, layout: Layout, names: Sequence[str] | None = None, *, check: bool = True) -> pa.Table | None:
    """Read a part as `open_part` does; None, with a warning that names it, for one that cannot be used.

    A damaged part is set aside, so that nothing reads it again; what is not ours, or newer, is left as it is.
    """
    try:
        return open_part(part, layout, names, check=check)
    except FileNotFoundError:  # another process has set it aside
        return None
    except DamagedPartError as error:
        _set_aside(part, str(error))
    except ForeignPartError as error:
        warn_of_foreign(part, str(error))
    return None


def is_whole(part: Path) -> bool:
    """Tell whether a part's bytes are those that its name was made of."""
    return part.name == f"part-{_digest(part.read_bytes())}.parquet"


def warn_of_foreign(path: Path, reason: str) -> None:
    """Warn that a file or folder is not used, and left as it is."""
    warnings.warn(f"{printable(path)}: {reason}; left as it is, and not used.", ForeignPartWarning, stacklevel=3)


def why(error: OSError) -> str:
    """Say in the system's words why something could not be read or written."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return cause.strerror or str(cause)


def _set_aside(part: Path, reason: str) -> None:
    """Rename a damaged part, and warn."""
    aside = part.with_suffix(".damaged")
    try:
        part.replace(aside)
        done = f"set aside as {aside.name}"
    except FileNotFoundError:  # another process was first
        return
    except OSError as error:
        done = f"it could not be set aside ({why(error)})"
    warnings.warn(f"{printable(part)}: {reason}; {done}, its pictures are embedded again.", DamagedPartWarning,
                  stacklevel=4)  # fmt: skip


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _matches(schema: pa.Schema, columns: dict[str, pa.DataType]) -> bool:
    return schema.names == list(columns) and all(map(_same_type, schema.types, columns.values()))


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(found) and pa.types.is_fixed_size_list(expected):  # the item's name may differ
        return found.list_size == expected.list_size and found.value_type == expected.value_type
    return found == expected


SETTLED_NS = 2_000_000_000  # file systems tell times to 2 s at worst: a later change within that would not show
LAYOUT = Layout(
    "paths",
    {
        "path": pa.binary(),  # names are bytes, not always UTF-8
        "size": pa.int64(),
        "mtime": pa.int64(),
        "ctime": pa.int64(),
        "inode": pa.uint64(),
        "digest": pa.binary(32),
    },
    {"path": pa.string(), "size": pa.int64(), "mtime": pa.int64(), "digest": pa.binary(32)},
)


class FileKey(NamedTuple):
    """What changes with a file: absolute path, size in bytes, the times of change in nanoseconds, inode.

    A time of modification can be set by anybody; that of the inode (`ctime`) moves with every write.
    """

    path: bytes
    size: int
    mtime: int
    ctime: int
    inode: int


class PathIndex:
    """What is known of files: `FileKey` -> digest, so that an unchanged file is not read again.

    Parameters
    ----------
    folder
        The folder of all models' embeddings.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "paths"
        self._known: dict[FileKey, bytes] = {}
        sweep(self.folder)
        for part in parts_of(self.folder):
            table = read_part(part, LAYOUT)
            if table is not None and "ctime" in table.column_names:  # the first version's are not trusted
                *keys, digests = (column.to_pylist() for column in table.columns)
                self._known.update(zip(map(FileKey, *keys), digests, strict=True))

    def lookup(self, paths: Sequence[Any]) -> list[bytes | None]:
        """Give the digest of each unchanged file; None for others, and for what is no path."""
        return [self._known.get(key) if (key := file_key(path)) else None for path in paths]

    def add(self, rows: Sequence[tuple[FileKey, bytes]]) -> None:
        """Remember digests, in a part of their own; a folder that cannot be written to only costs reading again."""
        new = [(key, digest) for key, digest in rows if self._known.get(key) != digest]
        if not new:
            return
        columns = [*zip(*(key for key, _ in new), strict=True), [digest for _, digest in new]]
        arrays = [pa.array(c, kind) for c, kind in zip(columns, LAYOUT.columns.values(), strict=True)]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_part(self.folder, pa.table(arrays, names=list(LAYOUT.columns)), LAYOUT)
        except OSError as error:
            reason = f"{printable(self.folder)}: {len(new)} paths could not be remembered ({why(error)})"
            warnings.warn(f"{reason}; these pictures are read again next time.", StoreWarning, stacklevel=3)
        self._known.update(new)


def file_key(path: Any) -> FileKey | None:
    """Give what changes with a file; None for what is no file on disk, or was changed in the last two seconds."""
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


MANIFEST = "manifest.parquet"  # what a cluster writes beside its parts
_FIRST_TEMPORARY = re.compile(r"\.(part-[0-9a-f]{32}\.parquet|model\.json)\.\d+\.\d+\.tmp")


@dataclass(frozen=True)
class Cleared:
    """What `clear` did: the models' folders whose embeddings are gone; and each file or folder that stays, and why."""

    removed: list[Path] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)


def clear(folder: str | Path, fingerprint: str | None = None) -> Cleared:
    """Remove kept embeddings.

    Parameters
    ----------
    folder
        The folder of all models' embeddings.
    fingerprint
        Only this model's; None removes those of every model, and the index of paths.

    Returns
    -------
    Cleared
        What is gone, and what was left because nothing proves that zsc wrote it, or because it is newer or in use.
    """
    done = Cleared()
    for place, about, problem in candidates(folder):
        if fingerprint not in (None, place.name):
            continue
        if about is None:
            done.left.append((place, problem))
            continue
        left = list(_clear_files(place, layout(about["embed_dim"])))
        if not any(path.name.startswith("part-") for path, _ in left):  # else it says whose they are
            left += _remove(place / DESCRIPTION)
        _remove_if_empty(place)
        done.removed.append(place)
        done.left.extend(left)
    paths = Path(folder) / "paths"
    if fingerprint is None:
        left = list(_clear_files(paths, LAYOUT)) if (holds_index := _holds_index(paths)) else []
        done.left.extend(left)
        if holds_index or done.removed:
            _remove_if_empty(paths)
    return done


def _clear_files(folder: Path, kind: Layout) -> Iterator[tuple[Path, str]]:
    """Remove the files that are ours; give the others, and why they stay."""
    sweep(folder)
    for path in sorted(folder.iterdir()):
        if path.name == DESCRIPTION:
            continue
        reason = _why_not_ours(path, kind)
        if reason:
            yield path, reason
        else:
            yield from _remove(path)


def _why_not_ours(path: Path, kind: Layout) -> str:
    if path.is_symlink() or not path.is_file():
        return "was not written by zsc"
    if ASIDE.fullmatch(path.name) or _FIRST_TEMPORARY.fullmatch(path.name):
        return ""
    if TEMPORARY.fullmatch(path.name):
        return "is being written by another process"
    if path.name == MANIFEST and _fingerprint_in(path) == path.parent.name:
        return ""
    if not PART.fullmatch(path.name):
        return "was not written by zsc"
    with suppress(DamagedPartError, FileNotFoundError):
        try:
            open_part(path, kind, [], check=False)
        except ForeignPartError as error:
            return str(error)
    return ""


def _fingerprint_in(path: Path) -> str:
    try:
        return str(record_of(pq.read_schema(path)).get("fingerprint"))
    except Exception:  # whatever it is, it is no manifest
        return ""


def _holds_index(paths: Path) -> bool:
    parts = [] if paths.is_symlink() else sorted(paths.glob("part-*"))
    return any(not _why_not_ours(part, LAYOUT) for part in parts)


def _remove(path: Path) -> list[tuple[Path, str]]:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return [(path, f"cannot be removed ({why(error)})")]
    return []


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
