"""What was published of each data set, as data: folders, addresses, checksums, counts. Sources are in `data/*.md`.

An address's base can be changed for mirrors: each base names the environment variable that does it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

KAGGLE = ("ZSC_KAGGLE_URL", "https://www.kaggle.com/api/v1/datasets/download")
AFHQ_AUTHORS = ("ZSC_AFHQ_URL", "https://www.dropbox.com/s")
FAST_AI = ("ZSC_IMAGENETTE_URL", "https://s3.amazonaws.com/fast-ai-imageclas")


@dataclass(frozen=True)
class Source:
    """One place that serves a data set's archive.

    Attributes
    ----------
    name
        What `--source` calls it.
    base
        The environment variable that changes the base address, and the address itself.
    path
        What comes after the base.
    login
        Send the user's Kaggle credentials; the source is passed over where there are none.
    """

    name: str
    base: tuple[str, str]
    path: str
    login: bool = False

    @property
    def archive(self) -> str:
        """A file name for the archive; sources with the same path serve the same file."""
        name = self.path.partition("?")[0].rpartition("/")[2]
        return name if "." in name else f"{name}.zip"

    @property
    def url(self) -> str:
        """The whole address, with the base as the environment has it."""
        variable, default = self.base
        return f"{(os.environ.get(variable, '').strip() or default).rstrip('/')}/{self.path}"


@dataclass(frozen=True)
class Published:
    """One published form of a data set.

    Attributes
    ----------
    dataset, options
        What `load_dataset` is given: the name, and the version or size.
    folder
        Its folder under the root.
    marker
        What lies right inside that folder; an archive is searched for the folder that holds it.
    sources
        Where to get it, in the order in which they are tried.
    counts
        Split -> class name -> number of pictures, as published.
    checksum
        Of the archive, as "md5:..."; None where none is published.
    """

    dataset: str
    folder: str
    marker: str
    sources: tuple[Source, ...]
    counts: Mapping[str, Mapping[str, int]]
    options: Mapping[str, object] = field(default_factory=dict)
    checksum: str | None = None


def _kaggle(slug: str) -> tuple[Source, Source]:
    """Give Kaggle's archive of a data set with the user's login, then without one (it is public)."""
    return Source("kaggle", KAGGLE, slug, login=True), Source("kaggle-public", KAGGLE, slug)


def _animals(cat: int, dog: int, wild: int) -> dict[str, int]:
    return {"cat": cat, "dog": dog, "wild": wild}


def _imagenette(size: str, folder: str, md5: str) -> Published:
    names = (
        "tench", "English springer", "cassette player", "chain saw", "church", "French horn", "garbage truck",
        "gas pump", "golf ball", "parachute",
    )  # fmt: skip
    train = (963, 955, 993, 858, 941, 956, 961, 931, 951, 960)
    val = (387, 395, 357, 386, 409, 394, 389, 419, 399, 390)
    counts = {"train": dict(zip(names, train, strict=True)), "val": dict(zip(names, val, strict=True))}
    sources = (Source("fast.ai", FAST_AI, f"{folder}.tgz"),)
    return Published("imagenette", folder, "val", sources, counts, {"size": size}, checksum=f"md5:{md5}")


PUBLISHED = {
    "glasses": Published(
        "glasses",
        "glasses",
        "train.csv",
        _kaggle("jeffheaton/glasses-or-no-glasses"),
        {"train": {"all": 4500}, "test": {"all": 500}},  # classes: 2856 or 2855 with glasses, as counted by others
    ),
    "afhq": Published(
        "afhq",
        "afhq",
        "val",
        (Source("authors", AFHQ_AUTHORS, "t9l9o3vsx2jai3z/afhq.zip?dl=1"), *_kaggle("andrewmvd/animal-faces")),
        {"train": _animals(5153, 4739, 4738), "val": _animals(500, 500, 500)},
        {"version": 1},
    ),
    "afhq_v2": Published(
        "afhq",
        "afhq_v2",
        "test",
        (Source("authors", AFHQ_AUTHORS, "vkzjokiwof5h8w6/afhq_v2.zip?dl=1"),),
        {"train": _animals(5065, 4678, 4593), "test": _animals(493, 491, 483)},
        {"version": 2},
    ),
    "imagenette-320px": _imagenette("320px", "imagenette2-320", "3df6f0d01a2c9592104656642f5e78a3"),
    "imagenette-160px": _imagenette("160px", "imagenette2-160", "e793b78cc4c9e9a4ccc0c1155377a412"),
    "imagenette-full": _imagenette("full", "imagenette2", "fe2fc210e6bb7c5664d602c3cd71e612"),
}


def find_published(dataset: str, *, version: int | None = None, size: str | None = None) -> Published:
    """Find a published form by the name and options of `load_dataset`.

    Raises
    ------
    ValueError
        If there is none such; the message names those there are.
    """
    options = {k: v for k, v in (("version", version), ("size", size)) if v is not None}
    forms = [p for p in PUBLISHED.values() if p.dataset == dataset]
    for form in forms:
        if all(form.options.get(k) == v for k, v in options.items()):
            return form
    names = list(dict.fromkeys(p.dataset for p in PUBLISHED.values()))
    if not forms:
        raise ValueError(f"{dataset!r} cannot be downloaded; the data set must be one of {', '.join(names)}.")
    accepted = [" ".join(f"{k}={v!r}" for k, v in p.options.items()) or "no option" for p in forms]
    given = ", ".join(f"{k}={v!r}" for k, v in options.items())
    raise ValueError(f"{dataset} with {given} was not published; it must be one of {'; '.join(accepted)}.")
