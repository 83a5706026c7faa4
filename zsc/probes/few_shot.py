"""Few-shot curves: how many labelled pictures per class it takes to beat the classifier that saw none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from zsc.checks import as_list, check_choice, check_count
from zsc.probes.fit import ALPHA, ALPHAS, BETA, BETAS, STRENGTH, STRENGTHS, fit_best, fit_head, grid, with_shots
from zsc.probes.heads import SHARES, Head, LinearHead, check_head, mix_weights
from zsc.probes.labelled import LabelledRows, Part, draw_shots, judging_part, training_parts


def few_shot_curve(
    train: Part,
    test: Part,
    zero_shot: LinearHead,
    *,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    seeds: int | Sequence[int] = 5,
    method: str = "probe",
    validation: Part | float | None = None,
) -> pd.DataFrame:
    """Judge a method ("probe", "tip-adapter", "mix": the probe with the zero-shot weights) with more and more shots.

    The table has one row per number of shots and seed: method, shots, seed, accuracy, macro_recall, the settings, and a
    note on their choice (may be empty). The same in all rows: zero_shot (the accuracy without any picture), n, baseline
    (the accuracy of always naming the most frequent class), model, fingerprint, dataset and left_out of `test`.

    `zero_shot` is the head from `zero_shot_head`, of the same model as `train`. `shots` are pictures per class, drawn
    from `train`, which must have as many; 0 is zero-shot. `seeds` are those of the draws, or how many (0, 1, ...). On
    `validation` settings are chosen anew for each row: a part of its own, or a fraction of `train` that no shot is
    drawn from. None takes fixed settings (strength 0.01; alpha 1, beta 5.5; share 0.5).
    """
    check_choice(method, ("probe", "tip-adapter", "mix"), "method")
    if isinstance(seeds, (int, float, np.number, np.bool_)):
        seeds = range(check_count(seeds, "seeds"))
    seeds = [check_count(seed, "seeds", low=0) for seed in as_list(seeds, "seeds", "numbers")]
    shots = [check_count(n, "shots", low=0) for n in as_list(shots, "shots", "numbers")]
    if not seeds or not shots:
        raise ValueError(f"{'shots' if seeds else 'seeds'} is empty; pass one or more whole numbers of 0 or more.")
    fingerprint = check_head(zero_shot, "zero_shot").fingerprint
    everything, pool, choosing = training_parts(train, validation, seed=0, fingerprint=fingerprint)
    judged, shared = judging_part(test, everything, choosing)
    start = zero_shot.reorder(pool.class_names)
    line = start.judge(judged)
    same = {"n": line.n, "baseline": line.majority_baseline}
    same |= {name: getattr(judged.made_by, name) for name in ("model", "fingerprint", "dataset", "left_out")}
    rows = []
    for n, seed in product(shots, seeds):
        head, settings, end = _fit(method, start, draw_shots(pool, n, seed=seed), choosing)
        found, note = head.judge(judged), " ".join(filter(None, (shared, end)))
        row = {"method": method, "shots": n, "seed": seed, "accuracy": found.accuracy}
        row |= {"macro_recall": found.macro_recall, "zero_shot": line.accuracy}
        rows.append(row | settings | same | {"note": note})
    return pd.DataFrame(rows)


def _fit(
    method: str, zero_shot: LinearHead, rows: LabelledRows, choosing: LabelledRows | None
) -> tuple[Head, dict[str, float], str]:
    """Fit a method to shots; return its settings (fixed without a part), and which are the end of their grid."""
    if not len(rows):
        return zero_shot, {}, ""
    parts = (rows, rows, choosing)
    if method == "tip-adapter":
        grids = {"alpha": ALPHAS, "beta": BETAS} if choosing else {"alpha": (ALPHA,), "beta": (BETA,)}
        build = partial(with_shots, zero_shot)
        adapter, best, _, end = fit_best(build, grid(choosing, **grids), parts, by_accuracy=True)
        return adapter, best, end
    strengths = grid(choosing, strength=STRENGTHS if choosing else (STRENGTH,))
    probe, best, _, end = fit_best(fit_head, strengths, parts)
    if method == "probe":
        return probe, best, end
    shares = grid(choosing, share=SHARES if choosing else (0.5,))
    mixed, share, _, _ = fit_best(lambda _, share: mix_weights(zero_shot, probe, share), shares, parts)
    return mixed, best | share, end
