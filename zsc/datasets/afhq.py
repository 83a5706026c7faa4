"""AFHQ (Animal Faces-HQ), versions 1 and 2: cat, dog and wild faces, CC BY-NC 4.0.

Layouts: `afhq/{train,val}/{cat,dog,wild}/*.jpg` and `{train,test}/{cat,dog,wild}/*.png` (clovaai/stargan-v2).
"""

from __future__ import annotations

from pathlib import Path

from zsc.datasets.base import ImageDataset
from zsc.datasets.folders import check_split, first_existing, read_classes

CLASS_NAMES = ("cat", "dog", "wild")
SPLITS = {1: ("val", "train"), 2: ("test", "train")}  # the split to evaluate first
KAGGLE_INPUT = Path("/kaggle/input")  # where Kaggle's own notebooks mount data sets
NOTES = {
    "source": "Choi et al., StarGAN v2 (CVPR 2020), clovaai/stargan-v2",
    "licence": "CC BY-NC 4.0",
    "labels": "'wild' holds fox, lion, tiger, wolf, leopard, cheetah and jaguar",
}


def load_afhq(root: Path, split: str | None = None, *, version: int = 1) -> ImageDataset:
    """Load AFHQ from `<root>/afhq` (version 2: `<root>/afhq_v2`), or from a Kaggle mount.

    Raises
    ------
    ValueError
        If the version or the split was not published.
    FileNotFoundError
        If the pictures are not there; the message says how to get them.
    """
    if version not in SPLITS:
        raise ValueError(f"version={version!r}; version must be 1 or 2.")
    split = check_split(split, SPLITS[version], default=SPLITS[version][0])
    folder = first_existing(_candidates(root, version), split) or _candidates(root, version)[0]
    bare = root / "afhq"  # version 2 as it unpacks; its split "test" tells it from version 1
    if version == 2 and not folder.exists() and (bare / "test").is_dir() and not (bare / "val").is_dir():
        folder = bare
    return read(folder, split, version=version)


def read(folder: Path, split: str, *, version: int = 1) -> ImageDataset:
    """Read a split from the data set's own folder."""
    how_to_get = f"Run 'zsc download afhq --version {version}', or see data/afhq.md."
    paths, labels, passed = read_classes(folder / split, CLASS_NAMES, how_to_get)
    name = "afhq" if version == 1 else "afhq_v2"
    return ImageDataset(paths, labels, list(CLASS_NAMES), name=name, split_name=split, notes=NOTES | passed)


def _candidates(root: Path, version: int) -> list[Path]:
    if version == 1:
        return [
            root / "afhq",
            root / "afhq" / "afhq",
            root / "animal-faces" / "afhq",
            KAGGLE_INPUT / "animal-faces/afhq",
        ]
    return [root / "afhq_v2", root / "afhq_v2" / "afhq", root / "afhq_v2" / "afhq_v2"]
