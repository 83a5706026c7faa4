"""Samples: seventeen photographs that scikit-image and scikit-learn carry, one per class; nothing to download.

Enough to try every step, far too few to rank models or prompts: with 17 pictures one more right is six points.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from zsc.datasets.base import ImageDataset
from zsc.datasets.listing import check_split

_PHOTOS = {  # file -> class name; first eight: the pictures of OpenAI's own CLIP notebook
    "skimage/data/page.png": "page of text",
    "skimage/data/chelsea.png": "cat",
    "skimage/data/astronaut.png": "astronaut",
    "skimage/data/rocket.jpg": "rocket",
    "skimage/data/motorcycle_left.png": "motorcycle",
    "skimage/data/camera.png": "photographer",
    "skimage/data/horse.png": "horse",
    "skimage/data/coffee.png": "cup of coffee",
    "skimage/data/clock_motion.png": "clock",
    "skimage/data/coins.png": "coins",
    "skimage/data/brick.png": "brick wall",
    "skimage/data/grass.png": "grass",
    "skimage/data/gravel.png": "gravel",
    "skimage/data/moon.png": "moon",
    "skimage/data/hubble_deep_field.jpg": "galaxies",
    "sklearn/datasets/images/china.jpg": "temple",
    "sklearn/datasets/images/flower.jpg": "flower",
}
NOTES = {
    "source": "the data folders of scikit-image and scikit-learn",
    "licence": "public domain or free licences; see the README.txt beside each package's pictures",
    "labels": "given by this project, one picture per class; the horse is a black silhouette",
}


def load_samples(split: str | None = None) -> ImageDataset:
    """Load the sample photographs from the installed packages."""
    check_split(split, ("all",))
    paths = [_locate(photo) for photo in _PHOTOS]
    return ImageDataset(paths, np.arange(len(paths)), list(_PHOTOS.values()), name="samples", notes=NOTES)


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
