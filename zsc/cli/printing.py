"""How results reach a terminal, a pipe or a program: as lines, tables or JSON, whatever their texts hold."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from zsc.files import printable
from zsc.images import describe

_LINES_OF_ADVICE = 3


class ReaderLeftError(Exception):
    """Whoever read standard output has seen enough."""


def open_streams() -> None:
    """Give each standard stream that is closed a place to go; a terminal that lacks a letter is no reason to stop."""
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
    """Write to a stream and let it go.

    Raises
    ------
    ReaderLeftError
        If the other end of a pipe is closed.
    OSError
        If it cannot be written to, such as a full disk.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as error:
        _drop(stream)
        raise ReaderLeftError from error
    except OSError as error:
        _drop(stream)
        raise OSError(
            f"the output cannot be written ({error.strerror}); make room, or choose another place."
        ) from error


def _drop(stream: TextIO) -> None:
    """Let nothing more fail: what is still in the stream's memory is written when Python ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return


def say_table(table: pd.DataFrame, *, index: bool = True) -> None:
    """Print a table, all of it."""
    say(*(line.rstrip() for line in table.to_string(index=index, na_rep="-").split("\n")))


def print_json(stream: TextIO, content: Any) -> None:
    """Print a result as JSON that every reader takes: NaN is null, and what a stream cannot write is escaped."""
    is_utf8 = (stream.encoding or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")
    text = json.dumps(plain(content), indent=2, ensure_ascii=not is_utf8, allow_nan=False)
    put(_UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n", stream)


_UNSHOWN = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")  # `printable` escapes them, JSON does not


def plain(value: Any) -> Any:
    """Turn arrays, tables, paths, pictures and numbers that are none into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, pd.Index, pd.Series)):
        return [plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, pd.DataFrame):
        return plain(records(value))
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int)) else describe(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table as a list of plain rows that JSON can hold; a picture in memory is named by its number."""
    rows: list[dict[str, Any]] = plain(with_names(table).to_dict("records"))
    return rows


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """Name the pictures of a table's column image: by path or URL, or as "picture 17" where they lie in memory."""
    if "image" not in table:
        return table
    numbers = table["index"] if "index" in table else range(len(table))
    names = [name_of(source, int(number)) for source, number in zip(table["image"], numbers, strict=True)]
    return table.assign(image=pd.Series(names, index=table.index, dtype=object))


def name_of(source: Any, number: int) -> str:
    """Name a picture source by its path or URL; by its number in the data set where it has none."""
    file = source if isinstance(source, (str, Path)) else getattr(source, "filename", "")
    return str(file or f"picture {number}")


def say_rows(rows: Mapping[str, str]) -> None:
    """Print lines that begin with what each says."""
    say(*(f"{name:13} {text}" for name, text in rows.items()))


def say_advice(advice: pd.DataFrame) -> None:
    """Print what is known to go wrong with prompts: the first few, a line each."""
    shown = advice.head(_LINES_OF_ADVICE)
    say(*(f"{'Advice':13} {prompt!r}: {text}" for prompt, text in zip(shown["prompt"], shown["advice"], strict=True)))
    if len(advice) > len(shown):
        say(f"{'':13} and {len(advice) - len(shown)} more of this kind (all of them: --json)")


def say_left_out(failures: pd.DataFrame, asked: int) -> None:
    """Print how many pictures were left out, and the first few with the reason."""
    if len(failures):
        say(f"{'Left out':13} {len(failures)} of {asked} pictures cannot be opened and are not in these numbers")
        say(*(f"{'':13} {error}" for error in failures["error"].head(_LINES_OF_ADVICE)))


def say_predictions(table: pd.DataFrame, reasons: Mapping[int, str]) -> None:
    """Print a table of `predict`: picture, predicted class, probability, and right or wrong where that is known.

    Parameters
    ----------
    table
        N predictions; <NA> where a picture failed.
    reasons
        Row -> why that picture cannot be opened.
    """
    names, images = table.attrs["class_names"], list(with_names(table)["image"])
    short = [Path(image).name for image in images]
    lines = []
    for i, row in enumerate(table.to_dict("records")):
        line = {"picture": short[i] if short.count(short[i]) == 1 else images[i]}
        if pd.isna(row["y_pred"]):
            reason = reasons.get(i, "no reason was recorded").removeprefix(f"{images[i]}: ")
            lines.append(line | {"predicted": "cannot be opened", "proba": "", "": reason})
            continue
        mark = "" if pd.isna(row["y_true"]) else "right" if row["y_true"] == row["y_pred"] else "wrong"
        lines.append(line | {"predicted": names[row["y_pred"]], "proba": f"{row['proba']:.2f}", "": mark})
    shown = pd.DataFrame(lines)
    say_table(shown if shown[""].any() else shown.drop(columns=""), index=False)
