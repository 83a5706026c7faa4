"""Pictures with labels: the published data sets from disk in their published layouts, samples, and your own."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zsc.datasets.base import ImageDataset
from zsc.datasets.download import DatasetCheck, Published, Report, Source, check_published, download_published
from zsc.datasets.glasses import Glasses
from zsc.datasets.listing import check_split
from zsc.datasets.packaged import draw_dataset, load_samples
from zsc.files import read_yaml
from zsc.images import local_path
from zsc.progress import Progress
from zsc.published import published

__all__ = ["ImageDataset", "check_dataset", "dataset_names", "download_dataset", "find_published", "load_dataset",
           "published"]  # fmt: skip

_READERS = {"glasses": Glasses}  # of layouts that are not SPLIT/CLASS
PUBLISHED: dict[str, Published] = {
    name: _READERS.get(name, Published)(**form | {"sources": [Source(**source) for source in form["sources"]]})
    for name, form in read_yaml(__file__, "published.yaml").items()
}
_MADE: dict[str, tuple[Callable[..., ImageDataset], Sequence[str]]] = {  # needs no files: what makes it, its options
    "samples": (load_samples, ()),
    "drawn-glasses": (partial(draw_dataset, "drawn-glasses"), ("n", "seed", "attributes", "change")),
    "drawn-animals": (partial(draw_dataset, "drawn-animals"), ("n", "seed", "attributes", "change")),
}


def dataset_names(*, published: bool = False) -> list[str]:
    """List the names that `load_dataset` takes; or only those of the published data sets, which can be downloaded."""
    names = list(dict.fromkeys(form.dataset for form in PUBLISHED.values()))
    first, *others = _MADE
    return names if published else [first, *names, *others]


def load_dataset(
    name: str, root: str | Path = "data", split: str | None = None, *, download: bool = False, **options: Any
) -> ImageDataset:
    """Load a data set by name.

    Parameters
    ----------
    name, root, download
        One of `dataset_names`; the folder that holds the published data sets; and whether to fetch one that is missing.
    split, options
        As published; None takes the split that is evaluated, which is named first. glasses: "train", "test";
        ``drop_suspects``. afhq: "val" (version 2: "test"), "train"; ``version`` 1 or 2. imagenette: "val", "train";
        ``size`` "320px", "160px" or "full". The drawn ones: "test", "train"; ``n`` pictures from ``seed``;
        ``attributes`` for several classes per picture, such as hat and beard.

    ValueError says that the name, the split or an option is unknown, and FileNotFoundError how to get the files.
    """
    if name in _MADE:
        make, known = _MADE[name]
        _check_options(name, options, known)
        return make(split=split, **options)
    if name not in dataset_names():
        raise ValueError(f"no data set {name!r}; it must be one of {', '.join(dataset_names())}.")
    form = find_published(name, **options)
    split = check_split(split, list(form.counts))  # before the work of fetching it
    if download:
        download_dataset(name, root, **options)
    extras = {key: options[key] for key in form.extras if key in options}
    return form.read(form.find(local_path(root)), split, **extras)


def find_published(name: str, **options: Any) -> Published:
    """Find what was published of a data set, by the name and options of `load_dataset`; an option may be None."""
    forms = [form for form in PUBLISHED.values() if form.dataset == name]
    if not forms:
        names = ", ".join(dataset_names(published=True))
        raise ValueError(f"{name!r} cannot be downloaded; the data set must be one of {names}.")
    options = {key: value for key, value in options.items() if value is not None}
    _check_options(name, options, [*forms[0].options, *forms[0].extras])
    for key in forms[0].options.keys() & options.keys():
        possible = [form.options[key] for form in forms]
        if options[key] not in possible:
            raise ValueError(f"{key}={options[key]!r}; {key} must be one of {', '.join(map(str, possible))}.")
        forms = [form for form in forms if form.options[key] == options[key]]
    return forms[0]


def download_dataset(
    name: str, root: str | Path = "data", *,
    source: str | None = None, from_file: str | Path | None = None, report: Report | None = None,
    progress: Progress = True, **options: Any,
) -> Path:  # fmt: skip
    """Download and unpack a published data set, unless it is there already; return its folder.

    Name, root and options are those of `load_dataset`; an option that is left out is the first that was published.
    `source` is the only one to try (None: all, in their order), and `from_file` an archive that was fetched by hand.
    `report` is called with a line for each attempt, and if another process is at it; None logs them.

    DownloadError says what was tried, and three ways on; ArchiveError what is wrong with `from_file`.
    """
    form = find_published(name, **options)
    archive = None if from_file is None else Path(from_file)
    return download_published(form, local_path(root), source, archive, report=report, progress=progress)


def check_dataset(name: str, root: str | Path = "data", *, progress: Progress = True, **options: Any) -> DatasetCheck:
    """Look through a published data set on disk: how many pictures there are, which do not open, which are equal."""
    return check_published(find_published(name, **options), local_path(root), progress=progress)


def _check_options(name: str, options: dict[str, Any], known: Sequence[str]) -> None:
    for key in options:
        if key not in known:
            has = f"it must be one of {', '.join(known)}" if known else "it has none"
            raise ValueError(f"data set {name!r} has no option {key}; {has}.")
