"""Drawn data sets, made on the spot from a seed: faces with and without glasses; cats, dogs and wild animals.

They stand in for no photographs: what a model does on drawings says nothing about Glasses or AFHQ. `write_drawings`
lays them out on disk as those two were published, so that the loaders can be tried.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from zsc.checks import check_count
from zsc.datasets import afhq, glasses
from zsc.datasets.base import ImageDataset
from zsc.datasets.folders import check_split
from zsc.images import local_path
from zsc.toy.drawings import SPLITS, Drawing, draw

KINDS = {"drawn-glasses": "faces", "drawn-animals": "animals"}
CLASS_NAMES = {"drawn-glasses": glasses.CLASS_NAMES, "drawn-animals": afhq.CLASS_NAMES}
NOTES = {
    "source": "drawn by this project (zsc.toy.drawings)",
    "licence": "MIT, as the project",
    "labels": "right by construction",
}
WILD = {"labels": f"{NOTES['labels']}; 'wild' holds lion, tiger, leopard, fox and wolf"}


def load_drawn_glasses(
    root: Path | None = None, split: str | None = None, *, n: int = 1000, seed: int = 1
) -> ImageDataset:
    """Draw faces with and without glasses; see `draw_dataset`. `root` is not used."""
    return draw_dataset("drawn-glasses", split, n=n, seed=seed)


def load_drawn_animals(
    root: Path | None = None, split: str | None = None, *, n: int = 1000, seed: int = 1
) -> ImageDataset:
    """Draw cats, dogs and wild animals; see `draw_dataset`. `root` is not used."""
    return draw_dataset("drawn-animals", split, n=n, seed=seed)


def draw_dataset(name: str, split: str | None = None, *, n: int = 1000, seed: int = 1) -> ImageDataset:
    """Draw a data set.

    Parameters
    ----------
    name
        "drawn-glasses" or "drawn-animals".
    split
        "test" (the default), or "train": what the toy model learned from, where the seed is 0.
    n
        N, the number of pictures; the first hundred of a thousand are those of a hundred.
    seed
        Another seed, other pictures.

    Returns
    -------
    ImageDataset
        N pictures in memory, RGB, 128 pixels a side. Labels are drawn by chance: the classes are about equally large.

    Raises
    ------
    ValueError
        If the split is none of the two, or N is not positive.
    """
    split = check_split(split, SPLITS, default=SPLITS[0])
    drawings = _draw(name, n, split=split, seed=seed)
    labels = np.array([d.label for d in drawings])
    notes = NOTES | (WILD if name == "drawn-animals" else {}) | {"seed": str(seed)}
    pictures = [d.picture for d in drawings]
    return ImageDataset(pictures, labels, list(CLASS_NAMES[name]), name=name, split_name=split, notes=notes)


def write_drawings(name: str, root: str | Path, *, n: int = 100, seed: int = 1, version: int = 1) -> Path:
    """Write drawings as PNGs in the layout of the published data set that they look like.

    Parameters
    ----------
    name
        "drawn-glasses" (as Glasses: two CSV files and a doubled folder of faces; the 512 latent columns are left out),
        or "drawn-animals" (as AFHQ: one folder per split, in it one per class).
    root
        The folder that gets `glasses/`, or `afhq/` (version 2: `afhq_v2/`).
    n
        Pictures in the split that is evaluated; the other one gets a fifth of it. All are drawings of the split
        "test", which no training sees.
    seed
        Another seed, other pictures.
    version
        Of AFHQ: 1 or 2.

    Returns
    -------
    Path
        The data set's own folder; `load_dataset("glasses", root)` or `load_dataset("afhq", root)` reads it.

    Raises
    ------
    ValueError
        If the name, the version or N is none of the accepted ones.
    FileExistsError
        If the folder is there already and not empty.
    """
    _check(name, n, seed)
    if version not in afhq.SPLITS:
        raise ValueError(f"version={version!r}; version must be 1 or 2.")
    afhq_folder = "afhq" if version == 1 else "afhq_v2"
    folder = local_path(root) / ("glasses" if name == "drawn-glasses" else afhq_folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; nothing was written. Name another root, or remove it.")
    drawings = _draw(name, n + max(1, n // 5), split="test", seed=seed)
    if name == "drawn-glasses":
        _write_glasses(folder, drawings, n)
    else:
        evaluated, other = afhq.SPLITS[version]
        _write_animals(folder / evaluated, drawings[:n])
        _write_animals(folder / other, drawings[n:])
    return folder


def _check(name: str, n: int, seed: int) -> None:
    if name not in KINDS:
        raise ValueError(f"no drawn data set {name!r}; it must be one of {', '.join(KINDS)}.")
    check_count(n, "n")
    check_count(seed, "seed", low=0)


def _draw(name: str, n: int, *, split: str, seed: int) -> list[Drawing]:
    _check(name, n, seed)
    return [draw(KINDS[name], number, split=split, seed=seed) for number in range(n)]


def _write_glasses(folder: Path, drawings: list[Drawing], labelled: int) -> None:
    """Write faces numbered from 1; the first `labelled` go into train.csv, the rest into test.csv."""
    faces = folder / glasses.FACES / glasses.FACES
    faces.mkdir(parents=True)
    for number, drawing in enumerate(drawings, start=1):
        drawing.picture.save(faces / f"face-{number}.png")
    frame = pd.DataFrame({"id": range(1, len(drawings) + 1), "glasses": [d.label for d in drawings]})
    frame.head(labelled).to_csv(folder / "train.csv", index=False)
    frame.iloc[labelled:][["id"]].to_csv(folder / "test.csv", index=False)


def _write_animals(folder: Path, drawings: list[Drawing]) -> None:
    for name in afhq.CLASS_NAMES:
        (folder / name).mkdir(parents=True)
    for number, drawing in enumerate(drawings, start=1):
        name = afhq.CLASS_NAMES[drawing.label]
        drawing.picture.save(folder / name / f"drawn_{name}_{number:06}.png")
