"""Mark the maps of `zsc.explain` against a truth that was drawn: do they point at the glasses, at the animal?

Usage: python -m benchmarks.explain [N]. N (200) drawings of each kind that the toy model has not seen. The true class
is explained against the best of the others. Chance is the share of the picture that the part covers; the edge map is
the smoothed gradient of the picture, which knows nothing of the model; weights are shuffled within each tensor. Animals
fill their pictures, so two of different classes are also put beside each other, and the map must choose the right one.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter
from scipy.stats import spearmanr

import zsc
from zsc.drawings import Drawing, draw
from zsc.explanation import Explanation, iou, pointing_game
from zsc.statistics import wilson_interval

PROMPTS: dict[str, dict[str, Any]] = {
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
        found = [explained(clf, d.picture, d.label) for d in drawings]
        print(f"\n{kind}, {n} drawings, {np.mean([e.predicted == e.of for e in found]):.3f} answered right")
        maps = {
            "mean of both covers": [e.map for e in found],
            "grey": [e.maps["grey"] for e in found],
            "blurred": [e.maps["blurred"] for e in found],
            "edges": [edges(e) for e in found],
            "shuffled weights": [explained(other, d.picture, d.label).map for d in drawings],
        }
        tell(maps, masks)
        marks(found)
        against_shuffled = likeness(maps["mean of both covers"], maps["shuffled weights"])
        print(f"  rank correlation: with shuffled weights {against_shuffled:.3f}", end="")
        third = [next((k for k in clf.class_names if k not in (e.of, e.against)), e.against) for e in found]
        others = [explained(clf, d.picture, k).map for d, k in zip(drawings, third, strict=True)]
        covers = likeness(maps["grey"], maps["blurred"])
        print(f", of another class {likeness(maps['mean of both covers'], others):.3f}, of both covers {covers:.3f}")
    shares = np.mean(masks, axis=(1, 2))
    for rows in np.array_split(np.argsort(shares), 4):  # animals from the smallest to the largest
        print(f"animals of {shares[rows].min():.2f} to {shares[rows].max():.2f} of the picture")
        kept = {name: [maps[name][i] for i in rows] for name in ("mean of both covers", "edges")}
        tell(kept, [masks[i] for i in rows])
    for is_whole in (False, True):
        size = "whole drawings at half the size" if is_whole else "the middle halves of two drawings"
        shown = [pair(i, is_whole=is_whole) for i in range(n)]
        found = [explained(clf, picture, of, against) for picture, _, of, against in shown]
        print(f"\ntwo animals beside each other, {size}: which is the one asked for?")
        maps = {"mean of both covers": [e.map for e in found], "edges": [edges(e) for e in found]}
        tell(maps, [mask for _, mask, *_ in shown])
        marks(found)


def tell(maps: dict[str, list[np.ndarray]], masks: list[np.ndarray]) -> None:
    """Print how often maps point at their part, with Wilson's interval, and the mean IoU; beside chance."""
    n, share = len(masks), np.mean(masks)
    for name, drawn in maps.items():
        hits = round(sum(pointing_game(m, mask) for m, mask in zip(drawn, masks, strict=True)))
        low, high = wilson_interval(hits, n)
        overlap = np.mean([iou(m, mask) for m, mask in zip(drawn, masks, strict=True)])
        print(f"  {name:20} points at it {hits / n:.3f} [{low:.3f}, {high:.3f}]   IoU {overlap:.3f}")
    print(f"  {'chance':20} points at it {share:.3f}                  IoU {share / (2 - share):.3f}", flush=True)


def marks(found: list[Explanation]) -> None:
    """Print how many maps do better than when they are moved, and than the edges, by deletion and insertion."""
    ahead = sum(e.score["gain"]["map"] > e.score["gain"]["edges"] for e in found)
    low, high = wilson_interval(ahead, len(found))
    print(f"  better than random: {np.mean([e.is_better_than_random for e in found]):.3f} of the maps", end="; ")
    print(f"gain above the edges' {ahead / len(found):.3f} [{low:.3f}, {high:.3f}]", flush=True)


def edges(explanation: Explanation) -> np.ndarray:
    """Map the edges of a picture, as the mark does."""
    return gaussian_filter(np.hypot(*np.gradient(explanation.picture.mean(axis=2))), 64 / 24)


def pair(i: int, *, is_whole: bool) -> tuple[Image.Image, np.ndarray, int, int]:
    """Put two animals beside each other, by chance left or right: picture, where the first is, the classes of both."""
    asked = draw("animals", 1000 + 10 * i)
    other = next(d for d in (draw("animals", 1000 + 10 * i + j) for j in range(1, 100)) if d.label != asked.label)
    picture, mask, left = Image.new("RGB", (128, 128), "#808080"), np.zeros((128, 128), bool), i % 2
    for drawing, x in ((asked, 64 * left), (other, 64 - 64 * left)):
        if is_whole:
            part, y = drawing.picture.resize((64, 64), Image.Resampling.BOX), 32
            is_animal = ~drawing.parts["background"][::2, ::2]
        else:
            part, y = drawing.picture.crop((32, 0, 96, 128)), 0
            is_animal = ~drawing.parts["background"][:, 32:96]
        picture.paste(part, (x, y))
        if drawing is asked:
            mask[y : y + part.height, x : x + 64] = is_animal
    return picture, at_64(mask), asked.label, other.label


def truth(kind: str, drawing: Drawing) -> np.ndarray:
    """Return the part at the toy's 64 pixels: glasses with what is seen through them, or all that is no background."""
    mask = binary_fill_holes(drawing.parts["glasses"]) if kind == "faces" else ~drawing.parts["background"]
    return at_64(mask)


def at_64(mask: np.ndarray) -> np.ndarray:
    """Shrink a mask of a drawing, 128 x 128, to the toy's 64 pixels."""
    return np.asarray(mask.reshape(64, 2, 64, 2).mean(axis=(1, 3)) >= 0.5)


def explained(
    clf: zsc.ZeroShotClassifier, picture: Image.Image, of: int | str, against: int | None = None
) -> Explanation:
    """Explain a class."""
    found = zsc.explain(clf, picture, against, of=of)
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
