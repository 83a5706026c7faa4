"""Linear probe: a logistic regression on kept embeddings, its regularisation chosen on a validation part.

The yardstick for zero-shot results: what labelled pictures would have bought. scikit-learn fits it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from zsc.evaluation import Evaluation
from zsc.probes.heads import Head, LinearHead
from zsc.probes.parts import LabelledRows, Part, like, training_parts

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)
STRENGTH = 0.01  # on unit rows: light, as 16 pictures a class already fix a probe
MAX_ITER = 5000


@dataclass(frozen=True, eq=False)
class LinearProbe(LinearHead):
    """A linear head learned from labelled embeddings. Made by `linear_probe`.

    Attributes
    ----------
    strength
        The penalty that was chosen, or given.
    validation
        What the choice rests on, a row a strength: strength, accuracy, log_loss; None without a validation part.
    evaluation
        The judgement on the test part, or None.
    """

    strength: float = STRENGTH
    validation: pd.DataFrame | None = None
    evaluation: Evaluation | None = None


def linear_probe(
    train: Part,
    test: Part | None = None,
    *,
    validation: Part | float | None = 0.2,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> LinearProbe:
    """Learn a linear classifier on embeddings.

    Parameters
    ----------
    train
        Labelled embeddings, an `ImageEmbeddings` or a pair (embeddings, labels); every class must occur.
    test
        Other labelled embeddings, to judge the probe on.
    validation
        Where the strength with the lowest log loss is chosen: a fraction of `train`, held out of each class (the probe
        is then fitted again on all of `train`), or a part of its own. None with a single strength.
    strengths
        Candidates for the penalty on the squared weights; scikit-learn's C is 1 / strength.
    seed
        Decides the fraction.

    Returns
    -------
    LinearProbe
        The head, with the table of its choice and its `evaluation`. The accuracy of the chosen row on the validation
        part is too good by the choice; the test part's is not.

    Raises
    ------
    ValueError
        If a part is wrong, a class is empty, or there are several strengths and nothing to choose them on.
    """
    _check_strengths(strengths, validation)
    rows, fitting, choosing = training_parts(train, validation, seed=seed)
    judged = None if test is None else like(test, "test", rows)
    best, table = choose(
        [{"strength": float(s)} for s in strengths], lambda settings: fit_head(fitting, **settings), choosing
    )
    head = fit_head(rows, **best)
    evaluation = None if judged is None else head.judge(judged, method="linear probe", **best)
    return LinearProbe(head.weights, head.intercepts, head.class_names, 1.0, best["strength"], table, evaluation)


def fit_head(rows: LabelledRows, strength: float) -> LinearHead:
    """Fit a logistic regression to checked rows."""
    model = LogisticRegression(C=1 / strength, max_iter=MAX_ITER).fit(rows.values.astype(np.float64), rows.labels)
    weights, intercepts = model.coef_, model.intercept_
    if len(rows.class_names) == 2:  # scikit-learn gives one row; half of it each way has the same probabilities
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return LinearHead(weights.astype(np.float32), intercepts.astype(np.float64), rows.class_names)


def choose(
    candidates: Sequence[dict[str, float]],
    build: Callable[[dict[str, float]], Head],
    rows: LabelledRows | None,
    *,
    by_accuracy: bool = False,
) -> tuple[dict[str, float], pd.DataFrame | None]:
    """Choose the settings of a head on a validation part.

    Parameters
    ----------
    candidates
        The settings to compare.
    build
        Makes a head from settings.
    rows
        The validation part; None takes the first candidate.
    by_accuracy
        Prefer the highest accuracy, and of these the lowest log loss; for scores that make no good probabilities. The
        log loss alone is the steadier judge: few pictures give many equal accuracies.

    Returns
    -------
    tuple
        The best settings, and the table of all.
    """
    if rows is None:
        return candidates[0], None
    grades: list[dict[str, Any]] = [build(c).grade(rows) for c in candidates]
    table = pd.DataFrame([c | g for c, g in zip(candidates, grades, strict=True)])
    best = min(range(len(candidates)), key=lambda i: (-grades[i]["accuracy"] * by_accuracy, grades[i]["log_loss"]))
    return candidates[best], table


def _check_strengths(strengths: Sequence[float], validation: Part | float | None) -> None:
    if not len(strengths) or not all(0 < s < np.inf for s in strengths):
        raise ValueError(f"strengths={list(strengths)}; accepted are one or more numbers above 0.")
    if validation is None and len(strengths) > 1:
        raise ValueError(
            f"strengths holds {len(strengths)} candidates and validation is None; pass a fraction or a part to choose "
            "on, or a single strength."
        )
