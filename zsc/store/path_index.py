"""PathIndex: what is known of files on disk, so that an unchanged file is not read again to know its content."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from zsc.files import printable, sweep
from zsc.images import is_url, local_path
from zsc.store.parts import Layout, StoreWarning, parts_of, read_part, why, write_part

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
