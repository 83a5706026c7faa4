"""Glasses or No Glasses (Jeff Heaton, Kaggle): 5000 GAN-made faces, 4500 of them labelled; CC BY-SA 4.0.

Layout: `train.csv`, `test.csv`, `faces-spring-2020/[faces-spring-2020/]face-<n>.png`, n from 1 without padding. Order
is that of the ids as numbers, so that "the first 100" are ids 1 to 100. Some labels are wrong: see the notes.
"""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from zsc.checks import short
from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.datasets.download import Published
from zsc.datasets.listing import check_present, list_pictures, read_columns

FACES = "faces-spring-2020"


class Glasses(Published):
    """The faces, and the tables that label them."""

    def read(self, folder: Path, split: str, *, drop_suspects: bool = False) -> ImageDataset:
        """Read a split; `drop_suspects` leaves out the pictures whose labels one team doubted (see `suspect_ids`)."""
        csv = folder / f"{split}.csv"
        if not csv.is_file():
            expected = f"expected {csv.name} and {FACES}/"
            raise FileNotFoundError(f"no {csv.name} under {folder}; {expected}. {self.how_to_get}")
        frame = _read_table(csv, labelled=split == "train")
        if drop_suspects:
            frame = frame[~frame["id"].isin(suspect_ids())]
        paths = [_faces_folder(folder) / f"face-{i}.png" for i in frame["id"]]
        check_present(paths, f"named in {csv}")
        left_out = "the 523 suspect ids of one team's list" if drop_suspects and split == "train" else ""
        return self.dataset_of(paths, frame["glasses"].to_numpy(), split, {"left out": left_out})

    def look(self, folder: Path) -> tuple[list[tuple[str, str, Path]], list[str]]:
        """List the faces that are there, and the tables, and faces that these name, that are not."""
        present = {Path(path).name: Path(path) for path, _ in list_pictures(_faces_folder(folder), [])}
        rows, missing = [], list[str]()
        for split in self.counts:
            csv = folder / f"{split}.csv"
            if not csv.is_file():
                missing.append(str(csv))
                continue
            faces = [f"face-{i}.png" for i in _read_table(csv, labelled=False)["id"]]
            rows += [(split, "all", present[face]) for face in faces if face in present]
            missing += [face for face in faces if face not in present]
        return rows, missing


@cache
def suspect_ids() -> frozenset[int]:
    """Read the 523 ids whose labels one team took for doubtful (matteolimoncini/glasses_or_no_glasses, 2021).

    Their opinion, not the truth; without these a network's test accuracy rose from .885 to .990.
    """
    text = Path(__file__).with_name("glasses_suspects.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["ids"])


def _faces_folder(folder: Path) -> Path:
    """Find the folder of the faces: the archive doubles it, some copies do not."""
    doubled = folder / FACES / FACES
    return doubled if doubled.is_dir() else folder / FACES


def _read_table(csv: Path, *, labelled: bool) -> pd.DataFrame:
    """Read id and label of each face, in the order of the ids; the 512 latent columns are passed over."""
    lines, columns = read_columns(csv, ["id", "glasses"] if labelled else ["id"])
    where = [f"{csv}: line {line}" for line in lines]
    ids = [_whole(value, place, "id", 1, 5000) for place, value in zip(where, columns[0], strict=True)]
    first: dict[int, int] = {}
    for line, number in zip(lines, ids, strict=True):
        if first.setdefault(number, line) != line:
            raise ValueError(f"{csv}: id {number} stands in the lines {first[number]} and {line}; keep one of the two.")
    labels = [_whole(*cell, "glasses", 0, 1) for column in columns[1:] for cell in zip(column, where, strict=True)]
    table = pd.DataFrame({"id": ids, "glasses": labels or UNLABELLED}, dtype=np.int64)
    return table.sort_values("id", ignore_index=True)


def _whole(value: str, where: str, column: str, low: int, high: int) -> int:
    """Read a whole number; "7.0" is one, as pandas writes them."""
    number = re.fullmatch(r"([0-9]{1,9})(\.0*)?", value)
    if number is None or not low <= int(number[1]) <= high:
        limits = f"it must be a whole number from {low} to {high}"
        raise ValueError(f"{where} holds {short(value)} in column {column}; {limits}.")
    return int(number[1])
