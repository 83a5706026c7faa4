"""evaluate: labels and probabilities, as plain arrays, to an Evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zsc.checks import check_class_names, check_labels, check_proba, check_same_length
from zsc.evaluation.result import Evaluation


def evaluate(
    y_true: Sequence[int] | np.ndarray,
    proba: np.ndarray,
    class_names: Sequence[str],
    *,
    images: Sequence[Any] | None = None,
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
        What made the predictions, kept with the result.

    Raises
    ------
    ValueError
        If the arguments do not fit together; the message names the one that is off.
    """
    names = check_class_names(class_names)
    labels, values = check_labels(y_true, len(names)), check_proba(proba, len(names))
    check_same_length(y_true=labels, proba=values)
    if images is not None:
        check_same_length(y_true=labels, images=images)
    return Evaluation(labels, values, names, None if images is None else list(images), dict(about or {}))
