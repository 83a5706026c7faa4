"""Read the splits of a published data set: under a root as `load_dataset` finds it, or from its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zsc.datasets import afhq, glasses, imagenette
from zsc.datasets.base import ImageDataset
from zsc.datasets.published import Published

_MODULES: dict[str, Any] = {"glasses": glasses, "afhq": afhq, "imagenette": imagenette}


def read_splits(form: Published, folder: Path) -> list[ImageDataset]:
    """Read every published split from the data set's own folder, such as `data/afhq`.

    Raises
    ------
    FileNotFoundError
        If a split, a class or a picture is missing.
    """
    read = _MODULES[form.dataset].read
    return [read(folder, split, **form.options) for split in form.counts]


def load_splits(form: Published, root: Path) -> list[ImageDataset]:
    """Load every published split from under a root, in any layout that `load_dataset` knows.

    Raises
    ------
    FileNotFoundError
        If a split, a class or a picture is missing.
    """
    load = getattr(_MODULES[form.dataset], f"load_{form.dataset}")
    return [load(root, split, **form.options) for split in form.counts]
