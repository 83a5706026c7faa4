"""Simulate strangers: how often do the intervals of `tell_strangers` hold the true AUROC and FPR?

Usage: python -m benchmarks.strangers [RUNS]. The largest cosines of known pictures and of strangers are drawn from four
pairs of distributions, RUNS (1,000) times for each of four pairs of numbers; the truth is that of a million of each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from zsc.calibration import tell_strangers

Draw = Callable[[np.random.Generator, int], np.ndarray]
SIZES = ((30, 300), (50, 50), (200, 40), (500, 500))
POPULATIONS: dict[str, tuple[Draw, Draw]] = {
    "near": (lambda rng, n: rng.normal(1, 1, n), lambda rng, n: rng.normal(0, 1, n)),
    "far": (lambda rng, n: rng.normal(3, 1, n), lambda rng, n: rng.normal(0, 1, n)),
    "wide strangers": (lambda rng, n: rng.normal(2, 1, n), lambda rng, n: rng.normal(0, 3, n)),
    "strangers of two kinds": (
        lambda rng, n: rng.normal(1, 0.3, n),
        lambda rng, n: np.where(rng.random(n) < 0.5, rng.normal(-3, 1, n), rng.normal(3, 1, n)),
    ),
}


def main() -> None:
    """Print one line for each population and pair of numbers."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{'population':24}{'known':>7}{'strangers':>11}{'AUROC':>8}{'FPR':>7}  held: AUROC, FPR")
    for name, draws in POPULATIONS.items():
        truth = judge(draws, 1_000_000, 1_000_000, seed=runs)
        for n, m in SIZES:
            held = np.zeros(2)
            for seed in range(runs):
                row = judge(draws, n, m, seed=seed)
                held += [row[f"{value}_low"] <= truth[value] <= row[f"{value}_high"] for value in ("auroc", "fpr")]
            shares = "{:.3f}, {:.3f}".format(*held / runs)
            print(f"{name:24}{n:7}{m:11}{truth['auroc']:8.3f}{truth['fpr']:7.3f}  {shares}", flush=True)


def judge(draws: tuple[Draw, Draw], n: int, m: int, *, seed: int) -> dict[str, float]:
    """Draw n known pictures and m strangers, two equal cosines each, and judge the score `cosine`."""
    rng = np.random.default_rng(seed)
    known, strangers = (
        np.repeat(draw(rng, size)[:, None], 2, axis=1) for draw, size in zip(draws, (n, m), strict=True)
    )
    return dict(tell_strangers(known, strangers, 1.0).loc["cosine"])


if __name__ == "__main__":
    main()
