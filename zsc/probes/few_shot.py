"""Few-shot curves: how many labelled pictures a class it takes to beat the classifier that saw none.

Shots are drawn anew for each seed, and for one seed fewer shots are a part of more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from zsc.checks import check_choice
from zsc.probes.heads import SHARES, Head, LinearHead, mix_weights
from zsc.probes.linear import STRENGTH, STRENGTHS, choose, fit_head
from zsc.probes.parts import LabelledRows, Part, draw_shots, like, training_parts
from zsc.probes.tip import ALPHA, ALPHAS, BETA, BETAS, with_shots

METHODS = ("probe", "tip-adapter", "mix")
SHARE = 0.5
SHOTS = (1, 2, 4, 8, 16)


def few_shot_curve(
    train: Part,
    test: Part,
    zero_shot: LinearHead,
    *,
    shots: Sequence[int] = SHOTS,
    seeds: int | Sequence[int] = 5,
    method: str = "probe",
    validation: Part | float | None = None,
) -> pd.DataFrame:
    """Judge a method with more and more shots, beside zero-shot.

    Parameters
    ----------
    train
        The labelled embeddings that shots are drawn from.
    test
        Other labelled embeddings, that every row is judged on.
    zero_shot
        The head from `zero_shot_head`.
    shots
        Pictures of each class, 0 or more; 0 is zero-shot.
    seeds
        The seeds of the draws, or how many (0, 1, ...).
    method
        "probe": the linear probe; "tip-adapter"; "mix": the probe mixed with the zero-shot weights.
    validation
        Labelled embeddings that settings are chosen on, anew for each row: a part of its own, or a fraction of `train`
        that no shot is drawn from. They count as labelled pictures too, beside the shots. None takes fixed settings
        (strength 0.01; alpha 1, beta 5.5; share 0.5).

    Returns
    -------
    pd.DataFrame
        A row a number of shots and seed: method, shots, seed, accuracy, macro_recall, zero_shot (the accuracy without
        any picture, the same in all rows: the horizontal line of the figure), and the settings. The spread over seeds
        is that of the draws; all rows share the test pictures.

    Raises
    ------
    ValueError
        If a part is wrong, or a class has fewer pictures than shots.
    """
    check_choice(method, METHODS, "method")
    seeds = _as_seeds(seeds)
    if not len(shots) or not all(isinstance(s, (int, np.integer)) and s >= 0 for s in shots):
        raise ValueError(f"shots={list(shots)}; accepted are whole numbers, 0 or more.")
    _, pool, choosing = training_parts(train, validation, seed=0)
    judged = like(test, "test", pool)
    start = zero_shot.reorder(pool.class_names)
    line = start.judge(judged)
    rows = []
    for n, seed in ((int(n), seed) for n in shots for seed in seeds):
        head, settings = _fit(method, start, draw_shots(pool, n, seed=seed), choosing)
        result = head.judge(judged)
        row = {"method": method, "shots": n, "seed": seed, "accuracy": result.accuracy}
        rows.append(row | {"macro_recall": result.macro_recall, "zero_shot": line.accuracy} | settings)
    return pd.DataFrame(rows)


def _fit(
    method: str, zero_shot: LinearHead, rows: LabelledRows, choosing: LabelledRows | None
) -> tuple[Head, dict[str, float]]:
    """Fit a method to shots; without a validation part each setting is a fixed one."""
    if not len(rows):
        return zero_shot, {}
    if method == "tip-adapter":
        alphas, betas = (ALPHAS, BETAS) if choosing else ((ALPHA,), (BETA,))
        grid = [{"alpha": a, "beta": b} for a in alphas for b in betas]
        best, _ = choose(grid, lambda settings: with_shots(zero_shot, rows, **settings), choosing, by_accuracy=True)
        return with_shots(zero_shot, rows, **best), best
    strengths = [{"strength": s} for s in (STRENGTHS if choosing else (STRENGTH,))]
    best, _ = choose(strengths, lambda settings: fit_head(rows, **settings), choosing)
    probe = fit_head(rows, **best)
    if method == "probe":
        return probe, best
    shares = [{"share": s} for s in (SHARES if choosing else (SHARE,))]
    share, _ = choose(shares, lambda settings: mix_weights(zero_shot, probe, **settings), choosing)
    return mix_weights(zero_shot, probe, **share), best | share


def _as_seeds(seeds: int | Sequence[int]) -> list[int]:
    listed = list(range(seeds)) if isinstance(seeds, (int, np.integer)) else [int(s) for s in seeds]
    if not listed or min(listed) < 0:
        raise ValueError(f"seeds={seeds!r}; accepted is a number of 1 or more, or a list of seeds of 0 or more.")
    return listed
