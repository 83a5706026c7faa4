"""Evaluations as JSON files: the results to read, and the arrays from which everything can be computed again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.checks import check_same_length, from_json, short, to_json
from zsc.evaluation.statistics import CONFIDENCE
from zsc.files import write_whole
from zsc.images import describe

if TYPE_CHECKING:
    from zsc.evaluation.result import Evaluation

KIND = "zsc evaluation"
FORMAT = 1  # files without one are of the time before it, and the same otherwise
_LISTS = {"class_names": (str,), "y_true": (int,), "proba": (list,)}


def results(evaluation: Evaluation) -> dict[str, Any]:
    """Give the results of an evaluation as plain values: what made it, the numbers, the report, the confusion."""
    rows = zip(evaluation.class_names, evaluation.report.to_dict("records"), strict=True)
    return {
        **evaluation.about,
        "n": evaluation.n,
        "correct": evaluation.correct,
        "accuracy": evaluation.accuracy,
        "interval": list(evaluation.interval),
        "confidence": CONFIDENCE,
        "macro_recall": evaluation.macro_recall,
        "majority_baseline": evaluation.majority_baseline,
        "log_loss": evaluation.log_loss,
        "brier": evaluation.brier,
        "calibration_error": evaluation.calibration_error,
        "report": [{"class": name, **row} for name, row in rows],
        "confusion": {"class_names": list(evaluation.class_names), "counts": evaluation.confusion.to_numpy().tolist()},
    }


def save(evaluation: Evaluation, path: str | Path) -> Path:
    """Write an evaluation as JSON, whole or not at all.

    Parameters
    ----------
    evaluation
        What to write.
    path
        The file; one that is there is replaced.

    Returns
    -------
    Path
        The file.
    """
    content = {
        "kind": KIND,
        "format": FORMAT,
        "results": results(evaluation),
        "about": evaluation.about,
        "class_names": evaluation.class_names,
        "y_true": evaluation.y_true.tolist(),
        "proba": evaluation.proba.tolist(),  # Python writes floats so that they read back to the last digit
        "images": None if evaluation.images is None else [_name(source) for source in evaluation.images],
    }
    return write_whole(path, to_json(content, indent=1))


def load(path: str | Path) -> Evaluation:
    """Read an evaluation that `save` wrote; pictures that were in memory are known by name only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else, or was written by a newer version.
    """
    from zsc.evaluation.arrays import evaluate

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such evaluation; write one with evaluation.save or 'zsc evaluate --save'.")
    try:
        found = _checked(from_json(path.read_text(encoding="utf-8-sig")))
        labels = np.array(found["y_true"])
        return evaluate(labels, found["proba"], found["class_names"], images=found["images"], about=found["about"])
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).removesuffix(".")
        raise ValueError(f"{path}: no evaluation to be read ({reason}); write one with evaluation.save.") from error


def _checked(content: Any) -> dict[str, Any]:
    """Check what a file holds before any of it becomes an array, in which other types would pass for numbers."""
    if not isinstance(content, dict) or content.get("kind") != KIND:
        kind = content.get("kind") if isinstance(content, dict) else content
        raise ValueError(f"kind is {short(kind)}, not {KIND!r}")
    written = content.get("format", FORMAT)
    if type(written) is not int or written > FORMAT:
        raise ValueError(f"format is {short(written)}, this version of zsc reads {FORMAT}: install a newer one")
    for key, kinds in _LISTS.items():
        _check_list(content.get(key), key, kinds)
    for row in content["proba"]:
        _check_list(row, "a row of proba", (float, int))
    if not isinstance(content.get("about"), dict):
        raise TypeError(f"about is {short(content.get('about'))}, not a mapping")
    if content.get("images") is not None:
        _check_list(content["images"], "images", (str,))
        check_same_length(images=content["images"], y_true=content["y_true"])
    return {"images": None} | content


def _check_list(values: Any, name: str, kinds: tuple[type, ...]) -> None:
    if not isinstance(values, list):
        raise TypeError(f"{name} is {short(values)}, not a list")
    wrong = set(map(type, values)) - set(kinds)
    if wrong:
        first = next(value for value in values if type(value) in wrong)
        raise ValueError(f"{name} holds {short(first)}, which is no {kinds[0].__name__}")


def _name(source: Any) -> str:
    """Name a picture so that its path or URL comes back, also where it is no UTF-8."""
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else describe(source)
