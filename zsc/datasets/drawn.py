"""Drawn data sets, made on the spot from a seed: faces with and without glasses; cats, dogs and wild animals.

They stand in for no photographs: what a model does on drawings says nothing about Glasses or AFHQ.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zsc.checks import check_count
from zsc.datasets import afhq, glasses
from zsc.datasets.base import ImageDataset
from zsc.datasets.listing import check_split
from zsc.drawings import SPLITS, draw

CLASS_NAMES = {"drawn-glasses": glasses.CLASS_NAMES, "drawn-animals": afhq.CLASS_NAMES}
NOTES = {
    "source": "drawn by this project (zsc.drawings.draw)",
    "licence": "MIT, as the project",
    "labels": "right by construction",
}


def draw_dataset(
    name: str, split: str | None = None, *, n: int = 1000, seed: int = 1, attributes: bool = False,
    change: Mapping[str, bool] | None = None,
) -> ImageDataset:  # fmt: skip
    """Draw N pictures in memory, RGB, 128 pixels a side; the labels are drawn too, so that classes are about equal.

    With `attributes` classes are what pictures show, such as hat and beard, of which a picture has several, or none.
    The split is "test" (the default), or "train": what the toy model learned from, where the seed is 0. The first
    hundred pictures of a thousand are those of a hundred; another seed, other pictures; `change` as in `draw` the same.
    """
    split = check_split(split, SPLITS)
    check_count(n, "n")
    check_count(seed, "seed", low=0)
    kind = "faces" if name == "drawn-glasses" else "animals"
    drawings = [draw(kind, number, split=split, seed=seed, change=change) for number in range(n)]
    notes = NOTES | {"seed": str(seed)} | ({"changed": str(dict(change))} if change else {})
    if kind == "animals":
        notes["labels"] += "; 'wild' holds lion, tiger, leopard, fox and wolf"
    names = list(drawings[0].attributes if attributes else CLASS_NAMES[name])
    labels = np.array([list(d.attributes.values()) if attributes else d.label for d in drawings])
    return ImageDataset([d.picture for d in drawings], labels, names, name=name, split_name=split, notes=notes)
