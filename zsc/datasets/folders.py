"""Read class folders: sorted, without hidden files, whatever the case of names and suffixes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zsc.images import IMAGE_SUFFIXES

_NO_CLASSES = frozenset({"__MACOSX"})


def image_files(folder: Path) -> list[Path]:
    """List the pictures in a folder and the folders below it, sorted; hidden files and other kinds are passed over."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if _visible(f))
        found += [os.path.join(parent, f) for f in files if _visible(f) and _suffix(f) in IMAGE_SUFFIXES]
    return [Path(f) for f in sorted(found)]


def class_folders(folder: Path) -> list[Path]:
    """List the visible sub-folders of a folder, sorted by name."""
    return sorted(Path(e.path) for e in os.scandir(folder) if e.is_dir() and _visible(e.name))


def read_classes(folder: Path, names: Sequence[str], how_to_get: str) -> tuple[list[Path], np.ndarray]:
    """Read the pictures of published class folders.

    Parameters
    ----------
    folder
        Holds a folder a class; the case of their names does not matter.
    names
        The K folder names, in the order of the labels.
    how_to_get
        One sentence for the error: how to get the data set.

    Returns
    -------
    tuple
        N paths, class by class, each class sorted by name; their labels, shape (N,).

    Raises
    ------
    FileNotFoundError
        If a folder is missing or holds no picture.
    """
    present = {f.name.lower(): f for f in class_folders(folder)} if folder.is_dir() else {}
    missing = [n for n in names if n.lower() not in present]
    if missing:
        some = f", missing {', '.join(missing)}" if len(missing) < len(names) else ""
        raise FileNotFoundError(f"no images under {folder}; expected folders {', '.join(names)}{some}. {how_to_get}")
    paths, labels = [], []
    for label, name in enumerate(names):
        files = image_files(present[name.lower()])
        if not files:
            raise FileNotFoundError(f"no images under {present[name.lower()]}; the class is empty. {how_to_get}")
        paths += files
        labels += [label] * len(files)
    return paths, np.array(labels, dtype=np.int64)


def first_existing(candidates: Sequence[Path], marker: str) -> Path | None:
    """Give the first folder that holds `marker`, or None."""
    return next((c for c in candidates if (c / marker).exists()), None)


def check_split(split: str | None, accepted: Sequence[str], default: str) -> str:
    """Give the split, or the default for None; refuse a name that was not published."""
    if split is not None and split not in accepted:
        raise ValueError(f"split={split!r}; accepted are {', '.join(accepted)}.")
    return split or default


def _visible(name: str) -> bool:
    return not name.startswith(".") and name not in _NO_CLASSES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
