"""Evaluations as JSON files: the results to read, and the arrays from which everything can be computed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.evaluation.statistics import CONFIDENCE
from zsc.images import describe

if TYPE_CHECKING:
    from zsc.evaluation.result import Evaluation

KIND = "zsc evaluation"


def results(evaluation: Evaluation) -> dict[str, Any]:
    """Give the results of an evaluation as plain values: what made it, the numbers, the report, the confusion."""
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
        "report": evaluation.report.reset_index().to_dict("records"),
        "confusion": {"class_names": evaluation.class_names, "counts": evaluation.confusion.to_numpy().tolist()},
    }


def save(evaluation: Evaluation, path: str | Path) -> Path:
    """Write an evaluation as JSON: to a temporary name, then renamed.

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
    path = Path(path)
    content = {
        "kind": KIND,
        "results": results(evaluation),
        "about": dict(evaluation.about),
        "class_names": evaluation.class_names,
        "y_true": evaluation.y_true.tolist(),
        "proba": evaluation.proba.tolist(),  # Python writes floats so that they read back to the last digit
        "images": None if evaluation.images is None else [describe(source) for source in evaluation.images],
    }
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=_plain), encoding="utf-8")
    return part.replace(path)


def load(path: str | Path) -> Evaluation:
    """Read an evaluation that `save` wrote; pictures that were in memory are known by name only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else.
    """
    from zsc.evaluation.arrays import evaluate

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such evaluation; write one with evaluation.save or 'zsc evaluate --save'.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("kind") != KIND:
            raise ValueError(f"kind is {content.get('kind')!r}, not {KIND!r}")
        arrays = np.array(content["y_true"], dtype=np.int64), np.array(content["proba"])
        return evaluate(*arrays, content["class_names"], images=content["images"], about=content["about"])
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: no evaluation to be read ({error}); write one with evaluation.save.") from error


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays, and paths, into what JSON has."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return str(value)
