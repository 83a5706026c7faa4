"""The data sets that come with the package: sample photographs, drawn faces and animals; nothing to download.

The samples are seventeen photographs that scikit-image and scikit-learn carry, one per class: enough to try every step,
far too few to rank models or prompts (one more right is six points). The drawn ones are made on the spot from a seed,
and stand in for no photographs: what a model does on drawings says nothing about Glasses or AFHQ.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zsc.checks import check_count
from zsc.datasets.base import ImageDataset
from zsc.datasets.listing import check_split
from zsc.drawings import SPLITS, draw
from zsc.files import read_yaml

_SAMPLES, _DRAWN = read_yaml(__file__, "packaged.yaml").values()
CLASS_NAMES = {name: about["class_names"] for name, about in _DRAWN.items()}


def load_samples(split: str | None = None) -> ImageDataset:
    """Load the sample photographs from the installed packages."""
    check_split(split, ("all",))
    paths, names = [_locate(photo) for photo in _SAMPLES["photos"]], list(_SAMPLES["photos"].values())
    return ImageDataset(paths, np.arange(len(paths)), names, name="samples", notes=_SAMPLES["notes"])


def _locate(photo: str) -> Path:
    package, _, inside = photo.partition("/")
    spec = importlib.util.find_spec(package)  # does not import the package
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0] if folders else "", inside)
    if not path.is_file():
        name = package.replace("sk", "scikit-")
        line = "'zsc-clip[samples]'" if spec is None else f"--force-reinstall {name}"
        raise FileNotFoundError(f"no {inside} in {package}, the package {name}: pip install {line}.")
    return path


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
    kind, notes = _DRAWN[name]["kind"], _DRAWN[name]["notes"] | {"seed": str(seed)}
    drawings = [draw(kind, number, split=split, seed=seed, change=change) for number in range(n)]
    notes |= {"changed": str(dict(change))} if change else {}
    names = list(drawings[0].attributes if attributes else CLASS_NAMES[name])
    labels = np.array([list(d.attributes.values()) if attributes else d.label for d in drawings])
    return ImageDataset([d.picture for d in drawings], labels, names, name=name, split_name=split, notes=notes)
