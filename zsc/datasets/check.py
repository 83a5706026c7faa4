"""What of a published data set is on disk, against what was published.

Counts the pictures of each split and class, opens every one, and finds equal files, also across splits.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pandas as pd

from zsc.datasets.download import Published
from zsc.files import printable
from zsc.images import ImageError, describe, open_image, read_source
from zsc.progress import Progress, each


@dataclass(frozen=True, eq=False)
class DatasetCheck:
    """What was found of a data set."""

    folder: Path
    counts: pd.DataFrame  # one row per split and class: found and published
    missing: list[str]  # tables, and what they name, that are not there
    unreadable: pd.DataFrame  # one row per picture that cannot be opened: image and error
    duplicates: pd.DataFrame  # one row per set of equal files: splits, classes and images
    bytes: int  # of all pictures together

    @property
    def problems(self) -> list[str]:
        """What is wrong, one sentence each; equal files within a split and class are no problem."""
        rows = self.counts.itertuples(index=False)
        found = [f"{split} {name}: {n} of {published} pictures" for split, name, n, published in rows if n < published]
        if self.missing:
            found.append(f"{len(self.missing)} files are named but missing, such as {self.missing[0]}")
        if len(self.unreadable):
            found.append(f"{len(self.unreadable)} pictures cannot be opened, such as {self.unreadable['image'][0]}")
        for column, what in (("splits", "in two splits"), ("classes", "in two classes")):
            twice = [row["images"] for row in self.duplicates.to_dict("records") if len(row[column]) > 1]
            if twice:
                found.append(f"{len(twice)} pictures are {what}, such as {' and '.join(twice[0][:2])}")
        return found


def check_published(form: Published, root: Path, *, progress: Progress = True) -> DatasetCheck:
    """Look through a published data set on disk; see `zsc.datasets.check_dataset`."""
    folder = root / form.folder
    if not folder.is_dir():
        raise FileNotFoundError(f"no {printable(folder)}. {form.how_to_get}")
    rows, missing = form.look(folder)
    files = pd.DataFrame(rows, columns=["split", "class", "image"])
    with ThreadPoolExecutor(4) as pool:  # Pillow decodes without Python's lock
        answers = pool.map(_examine, files["image"])
        found = list(each(answers, progress, "images", len(files), desc="opening"))
    files["image"] = files["image"].map(str)
    files[["bytes", "digest", "error"]] = pd.DataFrame(found, columns=["bytes", "digest", "error"], dtype=object)
    unreadable = files.loc[files["error"].notna(), ["image", "error"]].reset_index(drop=True)
    equal = files[files.duplicated("digest", keep=False)].groupby("digest", sort=False)
    duplicates = [(sorted({*same["split"]}), sorted({*same["class"]}), [*same["image"]]) for _, same in equal]
    there = files.groupby(["split", "class"]).size()
    expected = [(split, name, n) for split, classes in form.counts.items() for name, n in classes.items()]
    counts = pd.DataFrame(expected, columns=["split", "class", "published"])
    counts.insert(2, "found", [int(there.get(cell[:2], 0)) for cell in expected])
    equal_files = pd.DataFrame(duplicates, columns=["splits", "classes", "images"])
    return DatasetCheck(folder, counts, missing, unreadable, equal_files, int(files["bytes"].sum()))


def _examine(path: Path) -> tuple[int, str | None, str | None]:
    """Find a picture's size, its digest (None for a file that cannot be read), and why it cannot be opened."""
    content, problem = b"", None
    try:
        content = read_source(path)
        open_image(content, name=describe(path))
    except ImageError as error:
        problem = str(error)
    return len(content), sha256(content).hexdigest() if content else None, problem
