"""Embeddings on disk: embed once, ask many times, stop at any moment.

`<folder>/<model fingerprint>/` holds Parquet parts of picture digests and their vectors; `<folder>/paths/` remembers
the digest of each path (see path_index.py). A part is whole or not there, several processes may write at once, and a
damaged part is found, told, and embedded again (see parts.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zsc.store.parts import is_whole, parts_of, set_aside, write_part, write_whole


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
        The folder of all models' embeddings, such as ``data/embeddings``.
    fingerprint
        The model's (`Encoder.fingerprint`): everything that changes an embedding is in it.
    dim
        D, the length of a vector.
    about
        What the model is, written beside the parts for people.
    """

    def __init__(self, folder: str | Path, fingerprint: str, dim: int, about: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder) / fingerprint
        self.dim = dim
        self._rows: dict[bytes, tuple[Path, int]] = {}  # digest -> part and row
        self.folder.mkdir(parents=True, exist_ok=True)
        description = self.folder / "model.json"
        if about is not None and not description.exists():
            write_whole(description, json.dumps(dict(about), indent=2, default=str).encode())
        for part in parts_of(self.folder):
            self._remember(part)

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
            Vectors (N, D), float32, zero where not found; and which were found, (N,) bool. A damaged part is set aside
            with a `DamagedPartWarning`, and what it held counts as not found.
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
        """Write vectors (N, D) as one new part; it is there whole once this returns."""
        vectors = np.ascontiguousarray(values, dtype=np.float32)
        if vectors.shape != (len(digests), self.dim):
            raise ValueError(f"values have shape {vectors.shape}; {len(digests)} digests ask for {self.dim} columns.")
        table = pa.table(
            {
                "digest": pa.array(list(digests), pa.binary(32)),
                "values": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.dim),
            }
        )
        part = write_part(self.folder, table)
        for row, digest in enumerate(digests):
            self._rows.setdefault(digest, (part, row))
        return part

    def verify(self) -> list[PartCheck]:
        """Check every part: its bytes against its name, its shape, and that its rows are unit vectors."""
        return [self._verify_part(part) for part in parts_of(self.folder)]

    def _verify_part(self, part: Path) -> PartCheck:
        if not is_whole(part):
            return PartCheck(part, 0, "its bytes are not those that were written")
        table = pq.read_table(part)
        vectors = _vectors(table, self.dim)
        if vectors is None or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            return PartCheck(part, len(table), f"its rows are no unit vectors of length {self.dim}")
        return PartCheck(part, len(table), "")

    def _remember(self, part: Path) -> None:
        try:
            digests = pq.read_table(part, columns=["digest"])["digest"].to_pylist()
        except FileNotFoundError:  # another process has set it aside
            return
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, KeyError) as error:
            set_aside(part, str(error))
            return
        for row, digest in enumerate(digests):
            self._rows.setdefault(digest, (part, row))

    def _read(self, part: Path) -> np.ndarray | None:
        """Read the vectors of a part; None, with the part set aside, where it is damaged."""
        try:
            vectors = _vectors(pq.read_table(part), self.dim) if is_whole(part) else None
        except (pa.ArrowInvalid, OSError):
            vectors = None
        if vectors is None:
            set_aside(part, "its bytes are not those that were written")
            self._rows = {d: place for d, place in self._rows.items() if place[0] != part}
        return vectors


def stores(folder: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Go through the models' folders under a store's folder, with what `model.json` says of each."""
    for description in sorted(Path(folder).glob("*/model.json")):
        yield description.parent, json.loads(description.read_text(encoding="utf-8"))


def _vectors(table: pa.Table, dim: int) -> np.ndarray | None:
    column = table["values"].combine_chunks()
    if column.type.list_size != dim:
        return None
    flat = column.flatten() if isinstance(column, pa.FixedSizeListArray) else pa.concat_arrays(column.chunks).flatten()
    return np.asarray(flat, dtype=np.float32).reshape(-1, dim)
