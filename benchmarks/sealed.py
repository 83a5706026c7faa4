"""Simulate typing: how much better does the best of many tries look than it is, and what does the sealed half say?

Usage: python -m benchmarks.sealed [RUNS]. Each of RUNS (200) readers has other drawings, tries TRIES pairs of sentences
on the open half, keeps the best and opens the sealed half; the truth is the accuracy on all other drawings.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

import zsc
from zsc.explorer import ExplorerSession

TRIES = 40
POPULATION, SAMPLES = 3000, (100, 200, 400)  # drawings; of a reader
KINDS = (
    "a photo of {}",
    "{}",
    "a picture of {}",
    "a drawing of {}",
    "a portrait of {}",
    "an image of {}",
    "{}, a photo",
)
PAIRS = (
    ("a face with glasses", "a face"), ("a person wearing glasses", "a person"), ("glasses", "no glasses"),
    ("somebody with glasses", "somebody"), ("spectacles", "eyes"), ("a face with spectacles", "a bare face"),
)  # fmt: skip


def main() -> None:
    """Print one line for each number of drawings."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    model = zsc.load_model("toy")
    drawings = zsc.embed_images(model, zsc.load_dataset("drawn-glasses", n=POPULATION, seed=5))
    print(
        f"{'drawings':>8}{'tries':>7}  looks better by: open half, sealed half; the sealed interval holds the truth in"
    )
    for n in SAMPLES:
        found = np.array([type_and_look(drawings, model, n, TRIES, seed) for seed in range(runs)])
        better, held = found[:, :2].mean(axis=0), found[:, 2].mean()
        error = found[:, 1].std() / runs**0.5
        print(
            f"{n:8}{TRIES:7}  {better[0]:+.4f}, {better[1]:+.4f} (standard error {error:.4f}); {held:.3f}", flush=True
        )


def type_and_look(
    drawings: zsc.ImageEmbeddings, model: zsc.Encoder, n: int, tries: int, seed: int
) -> tuple[float, float, bool]:
    """Return how much better the best try looks than it is on both halves, and whether the sealed interval held."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(drawings))
    ways = [
        {"no glasses": kind.format(bare), "glasses": kind.format(glasses)}
        for kind, (glasses, bare) in itertools.product(KINDS, PAIRS)
    ]
    session = ExplorerSession(drawings.select(rows[:n]), model, ways[0], sealed=0.5)
    asked = [ways[i] for i in rng.permutation(len(ways))[:tries]]
    best = max((session.ask(texts) for texts in asked), key=lambda answer: answer.evaluation.accuracy)
    sealed = session.unseal(best)
    truth = best.classifier.evaluate(drawings.select(rows[n:])).accuracy
    low, high = sealed.interval
    return best.evaluation.accuracy - truth, sealed.accuracy - truth, low <= truth <= high


if __name__ == "__main__":
    main()
