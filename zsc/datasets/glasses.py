"""Glasses or No Glasses (Jeff Heaton, Kaggle): 5000 GAN-made faces, 4500 of them labelled; CC BY-SA 4.0.

Layout: `train.csv`, `test.csv`, `faces-spring-2020/[faces-spring-2020/]face-<n>.png`, n from 1 without padding. Order
is that of the ids as numbers, so that "the first 100" are ids 1 to 100. Some labels are wrong: see `notes`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from zsc.checks import short
from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.datasets.folders import check_split, first_existing
from zsc.datasets.own import check_present, read_columns

CLASS_NAMES = ("no glasses", "glasses")
FACES = "faces-spring-2020"
N_FACES = 5000
KAGGLE_INPUT = Path("/kaggle/input")  # where Kaggle's own notebooks mount data sets
SLUG = "glasses-or-no-glasses"
NOTES = {
    "source": "Kaggle jeffheaton/glasses-or-no-glasses; the faces are made by a GAN",
    "licence": "CC BY-SA 4.0",
    "labels": "one team removed 523 of the 4500 labels as doubtful, 8 of them among ids 1 to 100",
}


def load_glasses(root: Path, split: str | None = None, *, drop_suspects: bool = False) -> ImageDataset:
    """Load Glasses-or-No-Glasses from `<root>/glasses`, or from a Kaggle mount.

    Parameters
    ----------
    root
        The folder that holds `glasses/` (or `glasses-or-no-glasses/`).
    split
        "train" (4500 pictures, labelled; the default) or "test" (500, without labels).
    drop_suspects
        Leave out the 523 pictures whose labels one team took for doubtful (see `suspect_ids`).

    Raises
    ------
    ValueError
        If the split was not published, or the CSV file has other columns, ids or labels.
    FileNotFoundError
        If the CSV file or a picture is not there; the message says how to get them.
    """
    split = check_split(split, ("train", "test"), default="train")
    candidates = [base / slug for base in (root, KAGGLE_INPUT) for slug in _folders()]
    folder = first_existing(candidates, f"{split}.csv") or candidates[0]
    return read(folder, split, drop_suspects=drop_suspects)


def read(folder: Path, split: str, *, drop_suspects: bool = False) -> ImageDataset:
    """Read a split from the data set's own folder."""
    csv = folder / f"{split}.csv"
    if not csv.is_file():
        raise FileNotFoundError(
            f"no {split}.csv under {folder}; expected {split}.csv and {FACES}/. Run 'zsc download glasses', or see "
            "data/glasses.md."
        )
    frame = _read_table(csv, labelled=split == "train")
    if drop_suspects:
        frame = frame[~frame["id"].isin(suspect_ids())]
    paths = [faces_folder(folder) / f"face-{i}.png" for i in frame["id"]]
    check_present(paths, f"named in {csv}")
    is_thinned = drop_suspects and split == "train"
    notes = NOTES | ({"left out": "the 523 suspect ids of one team's list"} if is_thinned else {})
    return ImageDataset(
        paths, frame["glasses"].to_numpy(), list(CLASS_NAMES), name="glasses", split_name=split, notes=notes
    )


def read_ids(csv: Path) -> list[int]:
    """Read the ids that a CSV file of the data set names, in their order as numbers."""
    return [int(i) for i in _read_table(csv, labelled=False)["id"]]


@cache
def suspect_ids() -> frozenset[int]:
    """Give the 523 ids whose labels one team took for doubtful (matteolimoncini/glasses_or_no_glasses, 2021).

    One team's opinion, not the truth: they removed these by hand, and a network's test accuracy rose from .885 to .990
    on the rest.
    """
    text = resources.files("zsc.datasets").joinpath("glasses_suspects.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["ids"])


def faces_folder(folder: Path) -> Path:
    """Give the folder of the faces: the archive doubles it, some copies do not."""
    doubled = folder / FACES / FACES
    return doubled if doubled.is_dir() else folder / FACES


def _folders() -> list[str]:
    return ["glasses", SLUG, f"datasets/jeffheaton/{SLUG}"]


def _read_table(csv: Path, *, labelled: bool) -> pd.DataFrame:
    """Read id and label of each face, in the order of the ids; the 512 latent columns are passed over."""
    lines, columns = read_columns(csv, ["id", "glasses"] if labelled else ["id"])
    where = [f"{csv}: line {line}" for line in lines]
    ids = [_whole(value, place, "id", (1, N_FACES)) for place, value in zip(where, columns[0], strict=True)]
    first: dict[int, int] = {}
    for line, number in zip(lines, ids, strict=True):
        if first.setdefault(number, line) != line:
            raise ValueError(f"{csv}: id {number} stands in the lines {first[number]} and {line}; keep one of the two.")
    labels = [UNLABELLED] * len(ids)
    if labelled:
        labels = [_whole(value, place, "glasses", (0, 1)) for place, value in zip(where, columns[1], strict=True)]
    return pd.DataFrame({"id": ids, "glasses": labels}, dtype=np.int64).sort_values("id", ignore_index=True)


def _whole(value: str, where: str, column: str, limits: tuple[int, int]) -> int:
    """Read a whole number; "7.0" is one, as pandas writes them."""
    number = re.fullmatch(r"([0-9]{1,9})(\.0*)?", value)
    low, high = limits
    if number is None or not low <= int(number[1]) <= high:
        raise ValueError(
            f"{where} holds {short(value)} in column {column}; it must be a whole number from {low} to {high}."
        )
    return int(number[1])
