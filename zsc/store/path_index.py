"""PathIndex: what is known of files on disk, so that an unchanged file is not read again to know its content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zsc.store.parts import is_whole, parts_of, set_aside, write_part

FileKey = tuple[str, int, int]  # absolute path, size in bytes, time of change in nanoseconds


class PathIndex:
    """What is known of files: path, size and time of change -> digest, so that an unchanged file is not read again.

    Parameters
    ----------
    folder
        The folder of all models' embeddings.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "paths"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[FileKey, bytes] = {}
        for part in parts_of(self.folder):
            try:
                columns = pq.read_table(part).to_pydict() if is_whole(part) else None
            except (pa.ArrowInvalid, OSError):
                columns = None
            if columns is None:
                set_aside(part, "its bytes are not those that were written")
                continue
            keys = zip(columns["path"], columns["size"], columns["mtime"], strict=True)
            self._known.update(zip(keys, columns["digest"], strict=True))

    def lookup(self, paths: Sequence[Any]) -> list[bytes | None]:
        """Give the digest of each unchanged file; None for others, and for what is no path."""
        return [self._known.get(key) if (key := file_key(path)) else None for path in paths]

    def add(self, rows: Sequence[tuple[FileKey, bytes]]) -> None:
        """Remember digests, in a part of their own."""
        new = [(key, digest) for key, digest in rows if self._known.get(key) != digest]
        if not new:
            return
        columns = {
            "path": pa.array([key[0] for key, _ in new], pa.string()),
            "size": pa.array([key[1] for key, _ in new], pa.int64()),
            "mtime": pa.array([key[2] for key, _ in new], pa.int64()),
            "digest": pa.array([digest for _, digest in new], pa.binary(32)),
        }
        write_part(self.folder, pa.table(columns))
        self._known.update(new)


def file_key(path: Any) -> FileKey | None:
    """Give absolute path, size and time of change of a file; None for what is no file on disk."""
    if not isinstance(path, (str, Path)):
        return None
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return os.path.abspath(path), status.st_size, status.st_mtime_ns
