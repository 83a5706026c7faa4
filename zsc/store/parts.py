"""Parquet parts that are whole or not there: named by the checksum of their bytes, put in place by a rename.

Several processes may write parts into one folder at once; equal parts get equal names. A part says in its schema what
it is and of which format. Only what can be proved to be a damaged part of ours is renamed; all else is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zsc.files import printable, write_whole

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
