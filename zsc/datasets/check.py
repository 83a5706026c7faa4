"""check_dataset: what of a published data set is on disk, against what was published.

Counts a split and class, opens every picture, and finds pictures that stand twice, also across splits.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from zsc.datasets import glasses
from zsc.datasets.folders import by_class, class_folders, image_files
from zsc.datasets.published import Published, find_published
from zsc.files import digest_of
from zsc.images import ImageError, local_path, open_image

WORKERS = 4


@dataclass(frozen=True, eq=False)
class DatasetCheck:
    """What was found of a data set.

    Attributes
    ----------
    folder
        Where it is.
    counts
        A row a split and class: found and published.
    missing
        Pictures that a CSV file names and that are not there.
    unreadable
        Columns image and error.
    duplicates
        A row a set of equal files: splits, classes and images.
    bytes
        Size of all pictures together.
    """

    folder: Path
    counts: pd.DataFrame
    missing: list[str]
    unreadable: pd.DataFrame
    duplicates: pd.DataFrame
    bytes: int

    @property
    def problems(self) -> list[str]:
        """What is wrong, a sentence each; duplicates within a split and class count as a note only."""
        found = [
            f"{row['split']} {row['class']}: {row['found']} of {row['published']} pictures"
            for row in self.counts.to_dict("records")
            if row["found"] < row["published"]
        ]
        if self.missing:
            found.append(f"{len(self.missing)} files are named but missing, such as {self.missing[0]}")
        if len(self.unreadable):
            found.append(f"{len(self.unreadable)} pictures cannot be opened, such as {self.unreadable['image'][0]}")
        for column, what in (("splits", "in two splits"), ("classes", "in two classes")):
            twice = [row["images"] for row in self.duplicates.to_dict("records") if len(row[column]) > 1]
            if twice:
                found.append(f"{len(twice)} pictures stand {what}, such as {' and '.join(twice[0][:2])}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain values that JSON can hold."""
        return {
            "folder": str(self.folder),
            "pictures": int(self.counts["found"].sum()),
            "bytes": self.bytes,
            "counts": self.counts.to_dict("records"),
            "missing": self.missing,
            "unreadable": self.unreadable.to_dict("records"),
            "duplicates": self.duplicates.to_dict("records"),
            "problems": self.problems,
        }


def check_dataset(
    name: str,
    root: str | Path = "data",
    *,
    version: int | None = None,
    size: str | None = None,
    progress: bool = True,
) -> DatasetCheck:
    """Look through a published data set on disk.

    Parameters
    ----------
    name
        "glasses", "afhq" or "imagenette".
    root
        The folder that holds the data sets.
    version, size
        afhq: 1 or 2. imagenette: "320px", "160px" or "full".
    progress
        Show bars.

    Raises
    ------
    FileNotFoundError
        If there is no folder of it at all.
    """
    form = find_published(name, version=version, size=size)
    folder = local_path(root) / form.folder
    if not folder.is_dir():
        raise FileNotFoundError(f"no {folder}; run 'zsc download {name}', or see data/{name}.md.")
    files, missing = _list_glasses(folder) if name == "glasses" else (_list_classes(form, folder), [])
    paths = [Path(p) for p in files["path"]]
    return DatasetCheck(
        folder,
        _count(files, form),
        missing,
        _find_unreadable(paths, progress),
        _find_duplicates(files, progress),
        sum(_size(p) or 0 for p in paths),
    )


def _list_classes(form: Published, folder: Path) -> pd.DataFrame:
    """List split, class and path of every picture in the published class folders, whatever else is there."""
    rows = []
    for split, counts in form.counts.items():
        folders = class_folders(folder / split) if (folder / split).is_dir() else []
        present = by_class(folders, _folder_names(form))
        for label, class_name in zip(_folder_names(form), counts, strict=True):
            files = image_files(present[label]) if label in present else []
            rows += [(split, class_name, str(path)) for path in files]
    return pd.DataFrame(rows, columns=["split", "class", "path"])


def _folder_names(form: Published) -> list[str]:
    from zsc.datasets import afhq, imagenette

    return list(imagenette.CLASS_NAMES if form.dataset == "imagenette" else afhq.CLASS_NAMES)


def _list_glasses(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """List the faces that are there, and those that a CSV file names and that are not."""
    rows, missing = [], []
    present = {p.name: p for p in image_files(glasses.faces_folder(folder))}
    for split in ("train", "test"):
        csv = folder / f"{split}.csv"
        if not csv.is_file():
            missing.append(str(csv))
            continue
        for number in glasses.read_ids(csv):
            face = f"face-{number}.png"
            if face in present:
                rows.append((split, "all", str(present[face])))
            else:
                missing.append(face)
    return pd.DataFrame(rows, columns=["split", "class", "path"]), missing


def _count(files: pd.DataFrame, form: Published) -> pd.DataFrame:
    found = files.groupby(["split", "class"]).size()
    rows = [
        {"split": split, "class": name, "found": int(found.get((split, name), 0)), "published": published}
        for split, counts in form.counts.items()
        for name, published in counts.items()
    ]
    return pd.DataFrame(rows)


def _find_unreadable(paths: list[Path], progress: bool) -> pd.DataFrame:
    with ThreadPoolExecutor(WORKERS) as pool:  # Pillow decodes without Python's lock
        errors = list(tqdm(pool.map(_why_not, paths), "opening", len(paths), unit="images", disable=not progress))
    rows = [(str(path), error) for path, error in zip(paths, errors, strict=True) if error]
    return pd.DataFrame(rows, columns=["image", "error"])


def _why_not(path: Path) -> str | None:
    try:
        open_image(path)
    except ImageError as error:
        return str(error)
    return None


def _find_duplicates(files: pd.DataFrame, progress: bool) -> pd.DataFrame:
    """Group equal files; only files of equal size are read, and none that cannot be: those are among the unreadable."""
    sized = files.assign(size=[_size(Path(p)) for p in files["path"]]).dropna(subset="size")
    twins = sized[sized.duplicated("size", keep=False)]
    bar = tqdm(twins["path"], "comparing", unit="images", disable=not progress)
    digests = twins.assign(digest=[_digest(Path(p)) for p in bar]).groupby("digest", sort=False)  # leaves out None
    rows = [
        (sorted(set(equal["split"])), sorted(set(equal["class"])), list(equal["path"]))
        for _, equal in digests
        if len(equal) > 1
    ]
    return pd.DataFrame(rows, columns=["splits", "classes", "images"])


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> str | None:
    try:
        return digest_of(path)
    except OSError:
        return None
