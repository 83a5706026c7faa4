"""Imagenette v2: ten easily classified ImageNet classes in three sizes (fast.ai; labels Apache-2.0).

Layout: `imagenette2[-320|-160]/{train,val}/<wnid>/*.JPEG`. Class names are the published ones, one name a class.
"""

from __future__ import annotations

from pathlib import Path

from zsc.datasets.base import ImageDataset
from zsc.datasets.folders import check_split, first_existing, read_classes

FOLDERS = {"320px": "imagenette2-320", "160px": "imagenette2-160", "full": "imagenette2"}
CLASS_NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
NOTES = {
    "source": "fast.ai, github.com/fastai/imagenette",
    "licence": "labels Apache-2.0; the pictures are ImageNet's",
    "labels": "a few pictures show two of the ten things, or none of them clearly",
}


def load_imagenette(root: Path, split: str | None = None, *, size: str = "320px") -> ImageDataset:
    """Load Imagenette from `<root>/imagenette2-320` (or `-160`, or `imagenette2` for the full size).

    Raises
    ------
    ValueError
        If the size or the split was not published.
    FileNotFoundError
        If the pictures are not there; the message says how to get them.
    """
    if size not in FOLDERS:
        raise ValueError(f"size={size!r}; size must be one of {', '.join(FOLDERS)}.")
    split = check_split(split, ("val", "train"), default="val")
    candidates = [root / FOLDERS[size], root / "imagenette" / FOLDERS[size]]
    return read(first_existing(candidates, split) or candidates[0], split, size=size)


def read(folder: Path, split: str, *, size: str = "320px") -> ImageDataset:
    """Read a split from the data set's own folder."""
    how_to_get = f"Run 'zsc download imagenette --size {size}', or see data/imagenette.md."
    paths, labels, passed = read_classes(folder / split, list(CLASS_NAMES), how_to_get)
    notes = NOTES | {"size": size} | passed
    return ImageDataset(paths, labels, list(CLASS_NAMES.values()), name="imagenette", split_name=split, notes=notes)
