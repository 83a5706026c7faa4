"""Answers as a table for people: one row per picture, as CSV that a spreadsheet opens, or as Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsc.checks import check_choice
from zsc.evaluation import Evaluation
from zsc.files import check_path, write_whole
from zsc.images import as_utf8, name_of

ENDINGS = (".csv", ".parquet")
NONE = "none of these"
DIGITS = 4  # a probability is right to about five: cosines are float32
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


def answer_table(answer: Evaluation, reasons: Mapping[int, str] | None = None, strange: Any = False) -> pd.DataFrame:
    """List N answers: path, class (a name), prompt, probability, margin (to the second), second; and the error.

    A picture without an answer has the reason of its row, or "cannot be opened", as its error, and nothing else; where
    `strange`, shape (N,), the class is "none of these".
    """
    answer.check_one_label()
    names = np.array([*answer.class_names, None], dtype=object)
    order = np.argsort(-answer.proba, axis=1, kind="stable")[:, :2]
    order[answer.failed] = -1  # the None at the end
    first, second = (np.take_along_axis(answer.proba, order[:, [i]], axis=1)[:, 0] for i in (0, 1))
    images = answer.images if answer.images is not None else [""] * answer.n
    why = [(reasons or {}).get(i, "cannot be opened") if failed else None for i, failed in enumerate(answer.failed)]
    prompts = pd.Series([None] * answer.n if answer.tokens is None else answer.tokens, dtype=object)
    return pd.DataFrame({
        "path": pd.Series([as_utf8(name_of(image, i)) for i, image in enumerate(images)], dtype=object),
        "class": np.where(strange, NONE, names[order[:, 0]]),
        "prompt": prompts.mask(answer.failed, None),
        "probability": first.round(DIGITS),
        "margin": (first - second).round(DIGITS),
        "second": names[order[:, 1]],
        "error": pd.Series(why, dtype=object),
    })  # fmt: skip


def write_answers(
    answer: Evaluation,
    path: str | Path,
    sep: str = ",",
    decimal: str = ".",
    reasons: Mapping[int, str] | None = None,
    *,
    strange: Any = False,
) -> Path:
    """Write `answer_table` to a .csv or .parquet file, whole or not at all.

    CSV is UTF-8 with a mark that spreadsheets look for; `sep` stands between columns, `decimal` before the fraction. A
    text that a spreadsheet would take for a formula gets an apostrophe before it, a path "./".
    """
    path = check_path(path, ENDINGS, "a table")
    table = answer_table(answer, reasons, strange)
    if path.suffix.lower() == ".parquet":
        return write_whole(path, lambda file: table.to_parquet(file, index=False))
    check_choice(sep, (",", ";", "\t", "|"), "sep")
    if decimal not in (".", ",") or decimal == sep:
        told = f"decimal={decimal!r} with sep={sep!r}"
        raise ValueError(f"{told}; decimal must be '.' or ',', and another sign than sep.")
    for column in ("path", "class", "prompt", "second", "error"):
        prefix = "./" if column == "path" else "'"
        table[column] = [prefix + t if isinstance(t, str) and t.startswith(_FORMULA) else t for t in table[column]]
    options: Any = {"sep": sep, "decimal": decimal, "index": False, "encoding": "utf-8-sig", "lineterminator": "\r\n"}
    return write_whole(path, lambda file: table.to_csv(file, float_format=f"%.{DIGITS}f", **options))
