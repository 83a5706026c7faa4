"""Simulate labelling: does the interval hold the accuracy as often as it says, and how many labels does it save?

Usage: python -m benchmarks.labelling [RUNS]. Drawings judged by toy and by conse, and drawn models of known kinds; each
is labelled RUNS (1,000) times, from another seed each time, until the interval is as narrow as asked for. Prints the
coverage there and at fixed numbers of labels, the bias, and the labels that Wilson's interval of a simple random sample
needs at the same looks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from scipy.special import softmax

import zsc
from zsc.labels import FIRST, STEP, Sample
from zsc.statistics import wilson_interval

WIDTHS, FIXED = (0.1, 0.15, 0.2), (30, 50, 100, 200)


def main() -> None:
    """Simulate every population and print one table each."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for name, proba, right in populations():
        simulate(name, proba, right, runs)


def populations() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield names, probabilities (N, K) and which predictions are right (N,)."""
    drawings = zsc.load_dataset("drawn-animals", n=2000, seed=1)
    for name, n in (("toy", 2000), ("conse", 1000)):
        clf = zsc.ZeroShotClassifier(drawings.class_names, zsc.load_model(name))
        found = clf.evaluate(zsc.embed_images(clf.model, drawings.head(n), progress=False))
        yield f"{name} on {n} drawings", found.proba, found.right
    for name, strength, k, sharp in (
        ("calibrated", 1.5, 5, 1.5),
        ("overconfident", 3, 10, 7.5),
        ("blind", 2.5, 2, 1.5),
    ):
        rng = np.random.default_rng(1)
        truth, logits = rng.integers(0, k, 3000), rng.normal(size=(3000, k))
        logits[np.arange(3000), truth] += strength
        proba = softmax(sharp * logits, axis=1)
        right = proba.argmax(axis=1) == truth
        yield f"{name}, {k} classes, 3000 pictures", proba, rng.permutation(right) if name == "blind" else right


def simulate(name: str, proba: np.ndarray, right: np.ndarray, runs: int) -> None:
    """Label again and again; print what came of it."""
    n, true = len(right), right.mean()
    fixed: dict[int, list[tuple[float, ...]]] = {count: [] for count in FIXED}
    stops: dict[float, list[tuple[float, ...]]] = {width: [] for width in WIDTHS}
    for seed in range(runs):
        sample, rows = Sample(proba, seed=seed), np.random.default_rng(seed).permutation(n)
        looks, plain = {}, {}
        for count in range(FIRST, n + 1, STEP):
            chosen = sample.order[:count]
            looks[count] = sample.estimate(chosen, right[chosen])
            plain[count] = wilson_interval(int(right[rows[:count]].sum()), count)
            if count >= max(FIXED) and np.ptp(looks[count][1:3]) <= min(WIDTHS) >= np.ptp(plain[count]):
                break
        for count in FIXED:
            found = looks[count]
            fixed[count].append((found.low <= true <= found.high, found.accuracy - true, found.high - found.low))
        for width in WIDTHS:
            ours = next(c for c, found in looks.items() if found.high - found.low <= width)
            theirs = next(c for c, ends in plain.items() if np.ptp(ends) <= width)
            low, high = plain[theirs]
            held = looks[ours].low <= true <= looks[ours].high
            stops[width].append((ours, held, theirs, low <= true <= high))
    print(f"{name}: accuracy {true:.3f}, {runs} runs")
    for count, found in fixed.items():
        covered, bias, width = np.mean(found, axis=0)
        print(f"  {count:4} labels: covered {covered:.3f}, bias {bias:+.4f}, width {width:.3f}")
    for width, found in stops.items():
        ours, held, theirs, holds = np.mean(found, axis=0)
        print(
            f"  until {width}: {ours:.0f} labels, covered {held:.3f}; Wilson {theirs:.0f}, covered {holds:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
