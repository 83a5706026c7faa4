"""Embeddings on disk: embed once, ask many times, stop at any moment.

`<folder>/<model fingerprint>/` holds Parquet parts of picture digests and their vectors; `<folder>/paths/` remembers
the digest of each path (see path_index.py). A part is whole or not there, several processes may write at once, and a
damaged part is found, told, and embedded again (see parts.py). Nothing is written before there is something to keep.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from zsc.checks import UNIT_TOLERANCE, check_embeddings
from zsc.files import printable, sweep, write_whole
from zsc.store.parts import (
    FORMAT,
    DamagedPartError,
    ForeignPartError,
    Layout,
    newer_format,
    open_part,
    parts_of,
    read_part,
    warn_of_foreign,
    why,
    write_part,
)

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
