"""How results reach a terminal, a pipe or a program: as lines or JSON, whatever their texts hold."""

import json
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from zsc.files import in_cell, printable
from zsc.images import describe, name_of

SHOWN = 3  # lines of advice, and of pictures that were left out
PIPED = 100  # columns where nobody's window says how many
NARROW = 12  # columns that a text keeps before others are left out


@dataclass
class Outcome:
    """What a command returns, for `main` to print: the same result as data for programs, and as lines for people."""

    data: Any
    text: Sequence[str]
    code: int = 0
    dataset: Any = None  # the pictures that were asked for; its notes, and the next two, are more keys of the data
    failures: pd.DataFrame | None = None  # the pictures that were left out
    advice: pd.DataFrame | None = None  # on the prompts
    writers: Mapping[str, Callable[[Path], Path]] = field(default_factory=dict)  # option -> writes to its path
    error: Exception | None = None  # raised when the rest has been printed

    def as_data(self) -> Any:
        """Return what JSON shows."""
        more = {"notes": getattr(self.dataset, "notes", None), "failures": self.failures, "advice": self.advice}
        more = {key: value for key, value in more.items() if value is not None}
        return {**self.data, **more} if more else self.data

    def as_lines(self) -> list[str]:
        """Return what people see."""
        lines = list(self.text)
        if self.failures is not None and len(self.failures):
            shown, n = self.failures["error"].head(None if is_piped() else SHOWN), len(self.failures)
            count = f"{n} of {len(self.dataset)} pictures cannot be opened and are not in these numbers"
            lines.append(labelled("Left out", count + f"; the first {SHOWN} (a pipe gets all)" * (n > len(shown))))
            lines += [labelled("", reason) for reason in shown]
        advice = [] if self.advice is None else [*self.advice.itertuples()]
        lines += [labelled("Advice", f"{row.prompt!r}: {row.advice}") for row in advice[:SHOWN]]
        more = f"and {len(advice) - SHOWN} more of this kind (all of them: --json)"
        return lines + [labelled("", more)] * (len(advice) > SHOWN)


class Row(str):
    """A line of a table, which is laid out already."""


class ReaderLeftError(Exception):
    """Whoever read standard output has seen enough."""


def open_streams() -> None:
    """Let each standard stream that is closed lead nowhere; a terminal that lacks a letter is no reason to stop."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is by itself


def say(*lines: str) -> None:
    """Print lines on standard output, broken at words; no text in an argument moves the cursor or begins a line."""
    put("".join(f"{part}\n" for line in lines for part in wrapped(line)), sys.stdout)


def width() -> int:
    """Return how many columns a line has: those of the terminal, or of $COLUMNS; else 100, and never under 40."""
    return max(40, shutil.get_terminal_size((PIPED, 24)).columns)


def is_piped() -> bool:
    """Tell whether a program or a file gets the output: then all rows, columns and names are in it."""
    return not (sys.stdout.isatty() or os.environ.get("COLUMNS"))


def wrapped(line: str) -> list[str]:
    """Break a line at words, and begin the next ones under its text; a number stays beside its percent sign."""
    text = printable(line)
    if isinstance(line, Row) or len(text) <= width():
        return [text]
    label = re.match(r" *(?:\S+(?: \S+)? {2,})?", text)
    indent = " " * min(label.end() if label else 0, width() // 3)
    text = re.sub(r"(\d) %", "\\1\0%", text)
    parts = textwrap.wrap(text, width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace("\0", " ") for part in parts]


def complain(line: str) -> None:
    """Print one line on standard error; where that is closed or full, nobody is there to be told."""
    with suppress(OSError, ValueError, ReaderLeftError):
        put(f"{printable(line)}\n", sys.stderr)


def put(text: str, stream: TextIO) -> None:
    """Write to a stream and flush it; a full disk is an OSError, a closed pipe a `ReaderLeftError`."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # what is still in the stream's memory is written when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderLeftError from error
        text = f"the output cannot be written ({error.strerror}); make room, or choose another place."
        raise OSError(text) from error


def print_json(stream: TextIO, content: Any) -> None:
    """Print a result as JSON that every reader takes: NaN is null, and all but ASCII is escaped."""
    finite = json.loads(json.dumps(content, default=plain), parse_constant=lambda _: None)
    put(json.dumps(finite, indent=2) + "\n", stream)


def plain(value: Any) -> Any:
    """Give JSON what it has in place of a table, an array, a path or a picture."""
    if isinstance(value, pd.DataFrame):
        return with_names(value).to_dict("records")
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return None if value is pd.NA else describe(value)


def with_names(table: pd.DataFrame, *, short: bool = False) -> pd.DataFrame:
    """Name the pictures of a column image: by path or URL, or as "picture 17" where they lie in memory.

    The `short` names lack their folders, where that tells them apart.
    """
    if pd.api.types.is_numeric_dtype(table.dtypes.get("image", float)):  # absent, or the counts of a class of this name
        return table
    numbers = table.get("index", range(len(table)))
    names = [name_of(*picture) for picture in zip(table["image"], numbers, strict=True)]
    files = {name: Path(name).name or name for name in names}
    times = Counter(files.values())
    chosen = [files[name] if short and times[files[name]] == 1 else name for name in names]
    return table.assign(image=pd.Series(chosen, index=table.index, dtype=object))


def labelled(name: str, text: object) -> str:
    """Return a line that begins with what it says."""
    return f"{name:13} {text}"


def table_lines(table: pd.DataFrame, *, most: int | None = None) -> list[str]:
    """Return a table as lines, with its row names where they have a name; numbers have three decimals.

    A pipe gets all of it. A terminal gets `most` rows; where it is narrow, texts in several lines, then only the first
    columns. A last line says what is missing.
    """
    shown = with_names(table if is_piped() else table.head(most), short=True)
    columns: list[Any] = [*shown.drop(columns="index", errors="ignore").items()]
    if shown.index.name:
        columns = [(shown.index.name, shown.index), *shown.items()]
    cells = [[printable(head), *map(in_cell, column)] for head, column in columns]
    is_text = np.array([any(isinstance(value, str) and value for value in column) for _, column in columns])
    wide = np.array([max(1, *map(len, column)) for column in cells])
    room = np.inf if is_piped() else width() + 2
    least = np.where(is_text, wide.clip(max=NARROW), wide) + 2
    kept = max(1, int((least.cumsum() <= room).sum()))
    while sum(wide[:kept] + 2) > room and (texts := np.where(is_text, wide, 1)[:kept]).max() > 1:
        wide[texts.argmax()] -= 1
    form = "  ".join(f"{{:{'<' if text else '>'}{n}}}" for text, n in zip(is_text[:kept], wide, strict=False))
    lines: list[str] = []
    for row in zip(*cells[:kept], strict=True):
        broken = (textwrap.wrap(cell, n, break_on_hyphens=False) for cell, n in zip(row, wide, strict=False))
        lines += [Row(form.format(*line).rstrip()) for line in zip_longest(*broken, fillvalue="")]
    missing = [head for head, *_ in cells[kept:]]
    missing += [f"{len(table) - len(shown)} rows"] * (len(shown) < len(table))
    return lines + [f"Not shown here: {', '.join(missing)}; a pipe or a file gets all."] * bool(missing)
