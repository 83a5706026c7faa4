"""Pictures with labels: the published data sets from disk in their published layouts, samples, and your own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsc.datasets.afhq import load_afhq
from zsc.datasets.base import ImageDataset
from zsc.datasets.drawn import load_drawn_animals, load_drawn_glasses
from zsc.datasets.glasses import load_glasses
from zsc.datasets.imagenette import load_imagenette
from zsc.datasets.samples import load_samples
from zsc.images import local_path

if TYPE_CHECKING:
    from zsc.datasets.acquire import download_dataset
    from zsc.datasets.check import check_dataset

__all__ = ["ImageDataset", "check_dataset", "dataset_names", "download_dataset", "load_dataset"]

_LOADERS: dict[str, Callable[..., ImageDataset]] = {
    "samples": load_samples,
    "glasses": load_glasses,
    "afhq": load_afhq,
    "imagenette": load_imagenette,
    "drawn-glasses": load_drawn_glasses,
    "drawn-animals": load_drawn_animals,
}
_PUBLISHED = ("glasses", "afhq", "imagenette")


def dataset_names() -> list[str]:
    """List the names that `load_dataset` takes."""
    return list(_LOADERS)


def load_dataset(
    name: str, root: str | Path = "data", split: str | None = None, *, download: bool = False, **options: Any
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name
        "samples" (photographs that scikit-image and scikit-learn carry; needs no files), "glasses", "afhq",
        "imagenette", or "drawn-glasses" and "drawn-animals" (drawn on the spot; no files either).
    root
        The folder that holds the data sets, each in its published layout (see ``data/README.md``).
    split
        As published; None takes the one that is evaluated: glasses "train", afhq "val" (version 2: "test"),
        imagenette "val", the drawn ones "test".
    download
        Fetch the data set first where it is missing (see `download_dataset`).
    options
        glasses: ``drop_suspects``. afhq: ``version`` 1 or 2. imagenette: ``size`` "full", "320px" or "160px".
        The drawn ones: ``n`` pictures from ``seed``.

    Raises
    ------
    ValueError
        If the name, the split or an option is unknown.
    FileNotFoundError
        If the files are not there; the message says how to get them.
    """
    if name not in _LOADERS:
        raise ValueError(f"no data set {name!r}; it must be one of {', '.join(_LOADERS)}.")
    root = local_path(root)
    if download and name in _PUBLISHED:
        from zsc.datasets.acquire import download_dataset
        from zsc.datasets.folders import check_split
        from zsc.datasets.published import find_published

        version, size = options.get("version"), options.get("size")
        splits = tuple(find_published(name, version=version, size=size).counts)
        check_split(split, splits, default=splits[0])  # before the work of fetching it
        download_dataset(name, root, version=version, size=size)
    try:
        return _LOADERS[name](root=root, split=split, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"data set {name!r}: {str(error).split('() ')[-1]}.") from error


def __getattr__(name: str) -> Any:
    """Import what needs the network, or a long look, on first use."""
    if name == "download_dataset":
        from zsc.datasets.acquire import download_dataset

        return download_dataset
    if name == "check_dataset":
        from zsc.datasets.check import check_dataset

        return check_dataset
    raise AttributeError(f"module 'zsc.datasets' has no attribute {name!r}")
