"""Parquet parts that are whole or not there: named by the checksum of their bytes, put in place by a rename.

Several processes may write parts into one folder at once; equal parts get equal names.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_COUNTER = itertools.count()


class DamagedPartWarning(UserWarning):
    """A part of a store that was not what was written; it was set aside, and its pictures are embedded again."""


def parts_of(folder: Path) -> list[Path]:
    """List the parts in a folder, sorted."""
    return sorted(folder.glob("part-*.parquet"))


def write_part(folder: Path, table: pa.Table) -> Path:
    """Write a table as one new part."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="NONE", use_dictionary=False)
    data = sink.getvalue().to_pybytes()
    return write_whole(folder / f"part-{_digest(data)}.parquet", data)


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file under another name, let the disk have it, and rename it last."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_COUNTER)}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary.replace(path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def is_whole(part: Path) -> bool:
    """Tell whether a part's bytes are those that its name was made of."""
    return part.name == f"part-{_digest(part.read_bytes())}.parquet"


def set_aside(part: Path, reason: str) -> None:
    """Rename a damaged part, so that nothing reads it again, and warn."""
    aside = part.with_suffix(".damaged")
    try:
        part.replace(aside)
    except FileNotFoundError:  # another process was first
        return
    warnings.warn(f"{part}: {reason}; set aside as {aside.name}, its pictures are embedded again.",
                  DamagedPartWarning, stacklevel=3)  # fmt: skip
