"""Few-shot curves: how many labelled pictures per class it takes to beat the classifier that saw none.

Shots are drawn anew for each seed, and for one seed fewer shots are a part of more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from zsc.checks import as_list, check_choice, check_count
from zsc.probes.heads import SHARES, Head, LinearHead, check_head, mix_weights
from zsc.probes.linear import STRENGTH, STRENGTHS, at_the_end, choose, fit_head
from zsc.probes.parts import LabelledRows, Part, draw_shots, judging_part, training_parts
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
        The head from `zero_shot_head`; of the same model as `train`.
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
        One row per number of shots and seed: method, shots, seed, accuracy, macro_recall, zero_shot (the accuracy
        without any picture, the same in all rows: the horizontal line of the figure), and the settings. The spread over
        seeds is that of the draws; all rows share the test pictures. `attrs` says model, fingerprint and data set of
        `test`, as far as they are known, its `baseline` (the accuracy of always naming the most frequent class), and
        as `note` what to know of the choices.

    Raises
    ------
    ValueError
        If a part is wrong, or a class has fewer pictures than shots.
    """
    check_choice(method, METHODS, "method")
    seeds, shots = _as_seeds(seeds), [check_count(n, "shots", low=0) for n in as_list(shots, "shots", "numbers")]
    if not shots:
        raise ValueError("shots is empty; pass one or more whole numbers of 0 or more.")
    fingerprint = check_head(zero_shot, "zero_shot").fingerprint
    everything, pool, choosing = training_parts(train, validation, seed=0, fingerprint=fingerprint)
    judged, note = judging_part(test, everything, choosing)
    start = zero_shot.reorder(pool.class_names)
    line = start.judge(judged)
    rows, notes = [], [note]
    for n, seed in ((n, seed) for n in shots for seed in seeds):
        head, settings, end = _fit(method, start, draw_shots(pool, n, seed=seed), choosing)
        result = head.judge(judged)
        row = {"method": method, "shots": n, "seed": seed, "accuracy": result.accuracy}
        rows.append(row | {"macro_recall": result.macro_recall, "zero_shot": line.accuracy} | settings)
        notes.append(end and f"{n} shots, seed {seed}: {end}")
    table = pd.DataFrame(rows)
    table.attrs |= judged.about | {"baseline": line.majority_baseline, "note": " ".join(filter(None, notes))}
    return table


def _fit(
    method: str, zero_shot: LinearHead, rows: LabelledRows, choosing: LabelledRows | None
) -> tuple[Head, dict[str, float], str]:
    """Fit a method to shots, say its settings and which are the end of their grid; without a choice they are fixed."""
    if not len(rows):
        return zero_shot, {}, ""
    if method == "tip-adapter":
        alphas, betas = (ALPHAS, BETAS) if choosing else ((ALPHA,), (BETA,))
        grid = [{"alpha": a, "beta": b} for a in alphas for b in betas]
        best, _ = choose(grid, lambda settings: with_shots(zero_shot, rows, **settings), choosing, by_accuracy=True)
        return with_shots(zero_shot, rows, **best), best, at_the_end(best, grid, natural=0.0)
    strengths = [{"strength": s} for s in (STRENGTHS if choosing else (STRENGTH,))]
    best, _ = choose(strengths, lambda settings: fit_head(rows, **settings), choosing)
    probe, end = fit_head(rows, **best), at_the_end(best, strengths)
    if method == "probe":
        return probe, best, end
    shares = [{"share": s} for s in (SHARES if choosing else (SHARE,))]
    share, _ = choose(shares, lambda settings: mix_weights(zero_shot, probe, **settings), choosing)
    return mix_weights(zero_shot, probe, **share), best | share, end


def _as_seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, (int, float, np.number, np.bool_)):
        return list(range(check_count(seeds, "seeds")))
    listed = [check_count(seed, "seeds", low=0) for seed in as_list(seeds, "seeds", "numbers")]
    if not listed:
        raise ValueError("seeds is empty; pass how many, 1 or more, or a list of seeds of 0 or more.")
    return listed
