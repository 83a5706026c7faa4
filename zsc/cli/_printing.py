"""How results reach a terminal, a pipe or a program: as lines or JSON, whatever their texts hold."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from zsc.datasets.base import UNLABELLED
from zsc.evaluation import Evaluation
from zsc.files import printable
from zsc.images import describe

SHOWN = 3  # lines of advice, and of pictures that were left out


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
        advice = [] if self.advice is None else self.advice.to_dict("records")
        lines += [labelled("Advice", f"{row['prompt']!r}: {row['advice']}") for row in advice[:SHOWN]]
        if len(advice) > SHOWN:
            lines.append(labelled("", f"and {len(advice) - SHOWN} more of this kind (all of them: --json)"))
        return lines


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
    """Print lines on standard output. An argument is one line: no text in it begins another, or moves the cursor."""
    put("".join(f"{printable(line)}\n" for line in lines), sys.stdout)


def complain(line: str) -> None:
    """Print one line on standard error; where that is closed or full, nobody is there to be told."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _drop(sys.stderr)


def put(text: str, stream: TextIO) -> None:
    """Write to a stream and flush it; a full disk is an OSError, a closed pipe a `ReaderLeftError`."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _drop(stream)
        if isinstance(error, BrokenPipeError):
            raise ReaderLeftError from error
        text = f"the output cannot be written ({error.strerror}); make room, or choose another place."
        raise OSError(text) from error


def _drop(stream: TextIO) -> None:
    """Let nothing more fail: what is still in the stream's memory is written when Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
    numbers = table["index"] if "index" in table else range(len(table))
    files = [one if isinstance(one, (str, Path)) else getattr(one, "filename", "") for one in table["image"]]
    names = [str(file or f"picture {number}") for file, number in zip(files, numbers, strict=True)]
    return table.assign(image=pd.Series(names, index=table.index, dtype=object))


def labelled(name: str, text: object) -> str:
    """Return a line that begins with what it says."""
    return f"{name:13} {text}"


def table_lines(table: pd.DataFrame, *, index: bool = True) -> list[str]:
    """Return all rows of a table as lines, with its row names or without."""
    shown = with_names(table).round(3).drop(columns=[] if index else "index", errors="ignore")
    return [line.rstrip() for line in shown.to_string(index=index, na_rep="-").split("\n")]


def prediction_lines(answer: Evaluation, reasons: Mapping[int, str]) -> list[str]:
    """Return one line per picture: predicted class, probability, right or wrong where that is known; or the reason."""
    images = list(with_names(answer.table)["image"])
    short = [Path(image).name for image in images]
    rows = []
    for i, (image, true, predicted) in enumerate(zip(images, answer.y_true, answer.y_pred, strict=True)):
        name = short[i] if short.count(short[i]) == 1 else image
        if i in reasons:
            rows.append((name, "cannot be opened", "", reasons[i].removeprefix(f"{image}: ")))
        else:
            mark = "" if true == UNLABELLED else "right" if true == predicted else "wrong"
            rows.append((name, answer.class_names[predicted], f"{answer.proba[i].max():.2f}", mark))
    shown = pd.DataFrame(rows, columns=["picture", "predicted", "proba", ""])
    return table_lines(shown if shown[""].any() else shown.drop(columns=""), index=False)
