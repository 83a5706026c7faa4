"""Mark the maps of `zsc.explain` against a truth that was drawn: do they point at the glasses, at the animal?

Usage: python -m benchmarks.explain [N]. N (200) drawings of each kind that the toy model has not seen. The true class
is explained against the best of the others. Chance is the share of the picture that the part covers; the edge map is
the smoothed gradient of the picture, which knows nothing of the model; weights are shuffled within each tensor.
"""

from __future__ import annotations

import copy
import sys

import numpy as np
import torch
from scipy.ndimage import binary_fill_holes, gaussian_filter
from scipy.stats import spearmanr

import zsc
from zsc.drawings import Drawing, draw
from zsc.explanation import Explanation, iou, pointing_game
from zsc.statistics import wilson_interval

PROMPTS = {
    "faces": {"no glasses": "a face without glasses", "glasses": "a face with glasses"},
    "animals": {
        "cat": "a photo of a cat",
        "dog": "a photo of a dog",
        "wild": [f"a photo of a {name}" for name in ("lion", "tiger", "leopard", "fox", "wolf")],
    },
}


def main() -> None:
    """Print how often each map points at the part, its IoU, how it is marked, and what it resembles."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    model, shuffled = zsc.load_model("toy"), shuffled_toy()
    for kind, prompts in PROMPTS.items():
        drawings = [d for d in (draw(kind, i) for i in range(2 * n + 100)) if kind == "animals" or d.label][:n]
        masks = [truth(kind, drawing) for drawing in drawings]
        clf, other = (zsc.ZeroShotClassifier(prompts, encoder) for encoder in (model, shuffled))
        found = [explained(clf, drawing) for drawing in drawings]
        print(f"\n{kind}, {n} drawings, {np.mean([e.predicted == e.of for e in found]):.3f} answered right")
        maps = {
            "mean of both covers": [e.map for e in found],
            "grey": [e.maps["grey"] for e in found],
            "blurred": [e.maps["blurred"] for e in found],
            "edges": [gaussian_filter(np.hypot(*np.gradient(e.picture.mean(axis=2))), 64 / 24) for e in found],
            "shuffled weights": [explained(other, drawing).map for drawing in drawings],
        }
        for name, drawn in maps.items():
            points = [pointing_game(m, mask) for m, mask in zip(drawn, masks, strict=True)]
            hits = round(sum(points))
            low, high = wilson_interval(hits, n)
            overlap = np.mean([iou(m, mask) for m, mask in zip(drawn, masks, strict=True)])
            print(f"  {name:20} points at it {hits / n:.3f} [{low:.3f}, {high:.3f}]   IoU {overlap:.3f}")
        share = np.mean(masks)
        print(f"  {'chance':20} points at it {share:.3f}                  IoU {share / (2 - share):.3f}")
        print(f"  better than random: {np.mean([e.is_better_than_random for e in found]):.3f} of the maps")
        against_shuffled = likeness(maps["mean of both covers"], maps["shuffled weights"])
        print(f"  rank correlation: with shuffled weights {against_shuffled:.3f}", end="")
        swapped = [zsc.explain(clf, d.picture, of=e.against).map for d, e in zip(drawings, found, strict=True)]
        covers = likeness(maps["grey"], maps["blurred"])
        print(f", of the other class {likeness(maps['mean of both covers'], swapped):.3f}, of both covers {covers:.3f}")


def truth(kind: str, drawing: Drawing) -> np.ndarray:
    """Return the part at the toy's 64 pixels: glasses with what is seen through them, or all that is no background."""
    mask = binary_fill_holes(drawing.parts["glasses"]) if kind == "faces" else ~drawing.parts["background"]
    return np.asarray(mask.reshape(64, 2, 64, 2).mean(axis=(1, 3)) >= 0.5)


def explained(clf: zsc.ZeroShotClassifier, drawing: Drawing) -> Explanation:
    """Explain the true class."""
    found = zsc.explain(clf, drawing.picture, of=drawing.label)
    assert isinstance(found, Explanation)
    return found


def likeness(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Return the median rank correlation of pairs of maps."""
    return float(np.median([spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(some, others, strict=True)]))


def shuffled_toy() -> zsc.Encoder:
    """Load the toy model and shuffle the weights of its image encoder."""
    model = zsc.load_model("toy")
    model.image_encoder = tower = copy.deepcopy(model.image_encoder)
    generator = torch.Generator().manual_seed(0)
    for weight in tower.parameters():  # type: ignore[attr-defined]
        weight.data = weight.data.flatten()[torch.randperm(weight.numel(), generator=generator)].reshape(weight.shape)
    return model


if __name__ == "__main__":
    main()
