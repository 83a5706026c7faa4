"""Parquet files that prove themselves: parts named by the digest of their bytes, tables with a record of what they are.

A part is whole or not there. A damaged one is found, told and set aside; what another program or a newer version wrote
is told, and neither used nor changed.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zsc.checks import check_embeddings
from zsc.files import digest_of, printable, sweep, write_whole

FORMAT = 1  # of everything that a store writes; what has no number is of the first version, and is read
DTYPES = ("float32", "float16")
PART = re.compile(r"part-[0-9a-f]{32}\.parquet")


class StoreWarning(UserWarning):
    """Something in a store that could not be used or written; the message names it and says why."""


class DamagedPartWarning(StoreWarning):
    """A part of a store that is not what was written; it was set aside, and what it held is embedded again."""


class ForeignPartWarning(StoreWarning):
    """A file in a store that another program or a newer version wrote; it is neither used nor changed."""


class DamagedError(ValueError):
    """A part's bytes are not those that were written; the message goes on from its name."""


class ForeignError(ValueError):
    """A file is not one that this version reads; the message goes on from its name."""


class Parts:
    """A folder of Parquet parts of one kind, with the columns of `schema` or, in older parts, of one of `older`."""

    def __init__(self, folder: Path, kind: str, schema: pa.Schema, *older: pa.Schema) -> None:
        self.folder, self.kind, self.schemas = folder, kind, (schema, *older)
        sweep(folder)

    @classmethod
    def of_vectors(cls, folder: Path, dim: int) -> "Parts":
        """Take a folder of one model's vectors with `dim` numbers."""
        types = (pa.list_(kind, dim) for kind in (pa.float32(), pa.float16()))
        return cls(folder, "embeddings", *(pa.schema({"digest": pa.binary(32), "values": kind}) for kind in types))

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob("part-*.parquet")))

    def write(self, columns: Mapping[str, Any]) -> Path:
        """Write columns as one new part."""
        is_half = getattr(columns.get("values"), "dtype", None) == np.float16
        sink, table = pa.BufferOutputStream(), _table(columns, {"kind": self.kind}, self.schemas[is_half])
        pq.write_table(table, sink, compression="NONE", use_dictionary=False, write_page_checksum=True)
        data = sink.getvalue().to_pybytes()
        return write_whole(self.folder / name_of(hashlib.sha256(data).hexdigest()), data)

    def dtype(self, part: Path) -> str:
        """Tell in which of `DTYPES` the vectors of a part are kept; empty for one that cannot be read."""
        with suppress(Exception):  # damaged bytes may raise anything
            return DTYPES[pq.read_schema(part).equals(self.schemas[1])]
        return ""

    @staticmethod
    def is_gone(part: Path) -> bool:
        """Tell whether another process has put the rows of a part into a new one."""
        return not part.exists() and not part.with_suffix(".damaged").exists()

    def read(self, part: Path, names: Sequence[str] | None = None, *, check: bool = True) -> pa.Table | None:
        """Read a part as `open` does; None, with a warning, for one that cannot be used: set aside if it is damaged."""
        try:
            return self.open(part, names, check=check)
        except ForeignError as error:
            warn_of_foreign(part, str(error))
        except DamagedError as damage:
            try:
                done = f"set aside as {part.replace(part.with_suffix('.damaged')).name}"
            except FileNotFoundError:  # another process was first
                return None
            except OSError as error:
                done = f"it could not be set aside ({why(error)})"
            told = f"{printable(part)}: {damage}; {done}, what it held is embedded again."
            warnings.warn(told, DamagedPartWarning, stacklevel=3)
        except FileNotFoundError:  # another process has set it aside
            pass
        return None

    def open(self, part: Path, names: Sequence[str] | None = None, *, check: bool = True) -> pa.Table:
        """Read the columns `names` of a part, or all; `check` that bytes fit its name, and rows are unit.

        DamagedError, ForeignError (what may not be read, too) and FileNotFoundError say why it cannot be used.
        """
        if not PART.fullmatch(part.name):
            raise ForeignError("has a name that no part of a store has")
        table, record = None, dict[str, Any]()
        with suppress(Exception), pq.ParquetFile(part, page_checksum_verification=True) as file:  # may raise anything
            record = record_of(file.schema_arrow)
            if any(map(file.schema_arrow.equals, self.schemas)) and record.get("kind", self.kind) == self.kind:
                table = file.read(names)
        refuse_newer(record)
        if check or table is None:
            try:
                is_whole = part.name == name_of(digest_of(part))
            except FileNotFoundError:
                raise
            except OSError as error:
                raise ForeignError(f"cannot be read ({why(error)})") from error
            if not is_whole:
                raise DamagedError("its bytes are not those that were written")
        if table is None:
            raise ForeignError(f"does not hold the columns {', '.join(self.schemas[0].names)} of this store")
        if check and "values" in table.column_names:
            try:
                check_embeddings(vectors_of(table["values"]), "values")
            except ValueError:
                raise ForeignError("its rows are not unit vectors") from None
        return table


def name_of(sha256: str, form: str = "part-{}.parquet") -> str:
    """Name a file by the digest of its bytes."""
    return form.format(sha256[:32])


def warn_of_foreign(path: Path, reason: str) -> None:
    """Tell of a file that is not ours."""
    warnings.warn(f"{printable(path)}: {reason}; left as it is, and not used.", ForeignPartWarning, stacklevel=4)


def why(error: OSError) -> str:
    """Say in the system's words why something could not be read or written."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return cause.strerror or str(cause)


def write_table(path: str | Path, columns: Mapping[str, Any], record: Mapping[str, Any]) -> Path:
    """Write columns, arrays (N, D) among them, as a Parquet file with a record of what it is."""
    return write_whole(path, lambda file: pq.write_table(_table(columns, record), file, row_group_size=2**14))


def _table(columns: Mapping[str, Any], record: Mapping[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    def as_column(values: Any) -> Any:
        is_matrix = isinstance(values, np.ndarray) and values.ndim == 2
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]) if is_matrix else values

    table = pa.table({name: as_column(values) for name, values in columns.items()}, schema=schema)
    return table.replace_schema_metadata({"zsc": json.dumps({**record, "format": FORMAT})})


def read_table(file: BinaryIO) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the columns and the record that `write_table` wrote; ForeignError says that they are of a newer version."""
    parquet = pq.ParquetFile(file)
    record = record_of(parquet.schema_arrow)
    refuse_newer(record)
    table = parquet.read()
    fixed = {f.name for f in table.schema if pa.types.is_fixed_size_list(f.type)}
    return {n: vectors_of(table[n]) if n in fixed else table[n].to_pylist() for n in table.column_names}, record


def vectors_of(column: pa.ChunkedArray) -> np.ndarray:
    """Read a column of vectors, (N, D)."""
    return np.asarray(pc.list_flatten(column)).reshape(-1, column.type.list_size)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors as float32; those that were kept as float16 are normalised again."""
    values = vectors.astype(np.float32, copy=False)
    return values if values is vectors else values / np.linalg.norm(values, axis=1, keepdims=True)


def record_of(schema: pa.Schema) -> dict[str, Any]:
    """Read what zsc wrote into the metadata of a Parquet file; empty if it wrote nothing."""
    record = json_of((schema.metadata or {}).get(b"zsc", b""))
    return record if isinstance(record, dict) else {}


def refuse_newer(record: Mapping[str, Any]) -> None:
    """Refuse a record of a format that this version does not know."""
    number = record.get("format", FORMAT)
    if not isinstance(number, int) or number > FORMAT:
        known = f"format {number}; this version reads {FORMAT}"
        raise ForeignError(f"was written by a newer version of zsc ({known}): update zsc to use it")


def json_of(source: Path | bytes) -> Any:
    """Read JSON; None for what is not there, or is something else."""
    try:
        return json.loads(source if isinstance(source, bytes) else source.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
