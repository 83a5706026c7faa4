"""How results reach a terminal, a pipe or a program: as lines or JSON, whatever their texts hold."""

import json
import math
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from zsc.datasets.base import class_texts
from zsc.evaluation import Evaluation
from zsc.files import in_cell, printable
from zsc.images import describe, name_of
from zsc.spreadsheet import NONE

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
            count = f"{len(self.failures)} of {len(self.dataset)} pictures cannot be opened"
            lines.append(labelled("Left out", f"{count} and are not in these numbers"))
            lines += [labelled("", reason) for reason in self.failures["error"].head(SHOWN)]
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
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


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
    put(json.dumps(plain(content), indent=2, allow_nan=False) + "\n", stream)


def plain(value: Any) -> Any:
    """Turn arrays, tables, paths, pictures and numbers that are none into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, pd.DataFrame):
        return plain(with_names(value).to_dict("records"))
    if isinstance(value, (list, tuple, set, frozenset, pd.Index, pd.Series)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (str, int, float)) else describe(value)


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """Name the pictures of a table's column image: by path or URL, or as "picture 17" where they lie in memory."""
    if "image" not in table:
        return table
    names = map(name_of, table["image"], table["index"] if "index" in table else range(len(table)))
    return table.assign(image=pd.Series(list(names), index=table.index, dtype=object))


def labelled(name: str, text: object) -> str:
    """Return a line that begins with what it says."""
    return f"{name:13} {text}"


def file_names(images: Sequence[str]) -> list[str]:
    """Name pictures without their folders, where that tells them apart."""
    names = {image: Path(image).name or image for image in images}
    times = Counter(names.values())
    return [names[image] if times[names[image]] == 1 else image for image in images]


def table_lines(
    table: pd.DataFrame, *, index: bool = True, drop: Sequence[str] | None = (), most: int | None = None
) -> list[str]:
    """Return a table as lines, with its row names or without; numbers have three decimals.

    A pipe gets all of it. A terminal gets `most` rows; where it is narrow, texts in several lines, then fewer columns:
    first those in `drop`, then from the right; none if it is None. A last line says what is missing.
    """
    shown = with_names(table) if is_piped() else with_names(table).head(most)
    if "image" in shown:
        shown = shown.assign(image=file_names(list(shown["image"])))
    name = str(shown.index.name or "")
    shown = shown.reset_index(names=name) if index else shown.drop(columns="index", errors="ignore")
    heads, columns = list(map(str, shown)), [column for _, column in shown.items()]
    cells = [[printable(head), *map(in_cell, column)] for head, column in zip(heads, columns, strict=True)]
    texts = {j for j, column in enumerate(columns) if any(isinstance(value, str) and value for value in column)}
    kept = {j: max(1, *map(len, column)) for j, column in enumerate(cells)}  # how wide each column is
    room = math.inf if drop is None or is_piped() else width() + 2
    going = [heads.index(name) for name in drop or () if name in heads]
    going += [j for j in range(len(cells) - 1, 0, -1) if j not in going]
    while going and sum(2 + (min(wide, NARROW) if j in texts else wide) for j, wide in kept.items()) > room:
        del kept[going.pop(0)]
    while sum(2 + wide for wide in kept.values()) > room and max((kept[j] for j in texts & set(kept)), default=1) > 1:
        kept[max(texts & set(kept), key=kept.__getitem__)] -= 1
    form = "  ".join(f"{{:{'<' if j in texts else '>'}{wide}}}" for j, wide in kept.items())
    lines: list[str] = []
    for row in zip(*(cells[j] for j in kept), strict=True):
        broken = (textwrap.wrap(cell, n, break_on_hyphens=False) for cell, n in zip(row, kept.values(), strict=True))
        lines += [Row(form.format(*line).rstrip()) for line in zip_longest(*broken, fillvalue="")]
    missing = [head for j, head in enumerate(heads) if j not in kept]
    missing += [f"{len(table) - len(shown)} rows"] * (len(shown) < len(table))
    return lines + [f"Not shown here: {', '.join(missing)}; a pipe or a file gets all."] * bool(missing)


def prediction_lines(answer: Evaluation, reasons: Mapping[int, str], strange: Container[int] = ()) -> list[str]:
    """Return one line per picture: predicted class, probability, right or wrong where that is known; or the reason."""
    images = list(with_names(answer.table)["image"])
    top, rows = answer.proba.max(axis=1).tolist(), []
    true, said = (class_texts(labels, answer.class_names) for labels in (answer.y_true, answer.y_pred))
    for i, name in enumerate(file_names(images)):
        mark = "" if true[i] is None else "right" if true[i] == said[i] else "wrong"
        lost = name, "cannot be opened", "", reasons.get(i, "").removeprefix(f"{images[i]}: ")
        rows.append(lost if i in reasons else (name, NONE if i in strange else said[i], top[i], mark))
    shown = pd.DataFrame(rows, columns=["picture", "predicted", "proba", ""])
    return table_lines(shown if shown[""].any() else shown.drop(columns=""), index=False)
