"""Linear probe: a logistic regression on kept embeddings, its regularisation chosen on a validation part.

The yardstick for zero-shot results: what labelled pictures would have bought. scikit-learn fits it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from zsc.evaluation import Evaluation
from zsc.probes.heads import Head, LinearHead
from zsc.probes.parts import LabelledRows, Part, check_numbers, judging_part, training_parts

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001, 1e-5, 1e-6)
STRENGTH = 0.01  # on unit rows: light, as 16 pictures per class already fix a probe
TOLERANCE = 1e-12  # of the gradient, which on unit rows is 0.003 at the start: scikit-learn's 1e-4 ends far too early
NEAR_ENOUGH = 1e-8  # of the gradient: a line search that ends here has met the limits of float64
MAX_ITER = 300  # Newton's steps; 10 to 20 are usual


@dataclass(frozen=True, eq=False)
class LinearProbe(LinearHead):
    """A linear head learned from labelled embeddings. Made by `linear_probe`.

    Attributes
    ----------
    strength
        The penalty that was chosen, or given.
    validation
        What the choice rests on, one row per strength: strength, accuracy, log_loss; None without a validation part.
    evaluation
        The judgement on the test part, or None.
    note
        What to know of the choice, such as that the chosen strength is the end of what was offered; or empty.
    """

    strength: float = STRENGTH
    validation: pd.DataFrame | None = None
    evaluation: Evaluation | None = None
    note: str = ""


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
        Candidates for the penalty on the squared weights; scikit-learn's C is 1 / strength. Where the heaviest or the
        lightest is chosen, `note` says so.
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
    strengths = _check_strengths(strengths, validation)
    rows, fitting, choosing = training_parts(train, validation, seed=seed)
    judged, shared = (None, "") if test is None else judging_part(test, rows, choosing)
    candidates = [{"strength": s} for s in strengths]
    best, table = choose(candidates, lambda settings: fit_head(fitting, **settings), choosing)
    note = " ".join(filter(None, (shared, at_the_end(best, candidates))))
    head = fit_head(rows, **best)
    about = best | ({"note": note} if note else {})
    evaluation = None if judged is None else head.judge(judged, method="linear probe", **about)
    return LinearProbe(
        head.weights,
        head.intercepts,
        head.class_names,
        1.0,
        head.fingerprint,
        best["strength"],
        table,
        evaluation,
        note,
    )


def fit_head(rows: LabelledRows, strength: float) -> LinearHead:
    """Fit a logistic regression to checked rows, to its optimum; a warning says where that was not reached.

    The rows are centred for the fit, which changes nothing but the intercept, and that is not penalised: embeddings lie
    in a narrow cone, and what they have in common makes the problem badly conditioned.
    """
    values = rows.values.astype(np.float64)
    centre = values.mean(axis=0)
    values -= centre
    model = LogisticRegression(C=1 / strength, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of steps and line searches; the gradient tells more
        model.fit(values, rows.labels)
    slope = _gradient(model, values, rows.labels)
    if slope > NEAR_ENOUGH:
        warnings.warn(
            f"the probe of strength {strength:g} is not at its optimum after {MAX_ITER} steps (gradient {slope:.1g}), "
            "so its probabilities may be off; take a larger strength.",
            stacklevel=2,
        )
    weights, intercepts = model.coef_, model.intercept_ - model.coef_ @ centre
    if len(rows.class_names) == 2:  # scikit-learn gives one row; half of it each way has the same probabilities
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return LinearHead(weights, intercepts, rows.class_names, 1.0, rows.fingerprint)


def _gradient(model: LogisticRegression, values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Give the largest slope of the mean loss that scikit-learn minimises; 0 at its optimum."""
    errors = model.predict_proba(values)
    errors[np.arange(len(labels)), labels] -= 1
    errors = errors[:, -len(model.coef_) :]  # two classes: scikit-learn's one row is that of the second
    slopes = errors.T @ values + model.coef_ / model.C
    return float(max(np.abs(slopes).max(), np.abs(errors.sum(axis=0)).max()) / len(values))


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


def at_the_end(best: dict[str, float], candidates: Sequence[dict[str, float]], *, natural: float = np.nan) -> str:
    """Say which of the chosen settings is the end of its grid, so that one beyond might do better; or nothing.

    Parameters
    ----------
    best, candidates
        As `choose` gives and takes them.
    natural
        An end that nothing lies beyond.
    """
    notes = []
    for name, value in best.items():
        grid = sorted({c[name] for c in candidates})
        if len(grid) > 1 and value in (grid[0], grid[-1]) and value != natural:
            end = "smallest" if value == grid[0] else "largest"
            notes.append(f"{name} {value:g} is the {end} of those offered; one beyond it might do better.")
    return " ".join(notes)


def _check_strengths(strengths: Sequence[float], validation: Part | float | None) -> list[float]:
    strengths = check_numbers(strengths, "strengths", above=True)
    if validation is None and len(strengths) > 1:
        raise ValueError(
            f"strengths holds {len(strengths)} candidates and validation is None; pass a fraction or a part to choose "
            "on, or a single strength."
        )
    return strengths
