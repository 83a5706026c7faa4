"""evaluate: labels and probabilities, as plain arrays, to an Evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zsc.evaluation.result import Evaluation


def evaluate(
    y_true: Sequence[int] | np.ndarray,
    proba: np.ndarray,
    class_names: Iterable[str],
    *,
    images: Iterable[Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge predictions.

    Parameters
    ----------
    y_true
        N labels, each an index into `class_names`.
    proba
        Probabilities, shape (N, K), rows that sum to 1.
    class_names
        K names, at least two.
    images
        N picture sources, for the table of errors.
    about
        What made the predictions, kept with the result: texts as keys, and values that JSON can hold.

    Raises
    ------
    TypeError
        If names or pictures have no order, or `about` holds what JSON cannot hold.
    ValueError
        If the arguments do not fit together; the message names the one that is off.
    """
    return Evaluation(y_true, proba, class_names, images, about or {})  # type: ignore[arg-type]
