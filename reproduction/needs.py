"""What a tutorial needs, whether it is on this machine, and how to get it if not. Downloads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduction.tutorials import Tutorial
from zsc.datasets import find_published, load_dataset
from zsc.files import digest_of
from zsc.models.weights import OPENAI_WEIGHTS, weights_path, weights_url

# Download sizes, as shown by OpenAI's `clip` for the weights, and by fast.ai's page for Imagenette.
SIZES = {"RN50": "244 MB", "ViT-B/32": "338 MB", "imagenette": "326 MB"}


@dataclass(frozen=True)
class Need:
    """One thing that tutorials need."""

    item: str
    tutorials: tuple[str, ...]  # that need it
    size: str  # of the download
    check: str  # the checksum or the counts to expect
    place: Path  # where to put it
    source: str  # where it comes from
    state: str  # "here", "missing", or what is wrong with what is there
    is_archive: bool = False  # to be unpacked at `place`

    @property
    def is_here(self) -> bool:
        """Whether it is complete, so that nothing has to be done."""
        return self.state == "here"

    @property
    def is_missing(self) -> bool:
        """Whether nothing is there, so that it can be downloaded; something wrong is never replaced."""
        return self.state == "missing"


def needs(wanted: Sequence[Tutorial], root: str | Path = "data") -> list[Need]:
    """List what tutorials need, each item once, weights before data sets; `root` is the folder of the data sets."""
    models = {t.model: tuple(o.name for o in wanted if o.model == t.model) for t in wanted}
    return [_weights(name, names) for name, names in models.items()] + [_dataset(t, Path(root)) for t in wanted]


def _weights(name: str, names: tuple[str, ...]) -> Need:
    path, sha256 = weights_path(name), OPENAI_WEIGHTS[name].sha256
    if not path.exists():
        state = "missing"
    elif not path.is_file():
        state = "there, but not a file"
    else:
        state = "here" if digest_of(path) == sha256 else "there, with another sha256"
    return Need(f"weights of {name}", names, SIZES.get(name, ""), f"sha256 {sha256}", path, weights_url(name), state)


def _dataset(tutorial: Tutorial, root: Path) -> Need:
    form = find_published(tutorial.dataset)
    counts = form.counts[tutorial.split]
    check = f"{sum(counts.values())} pictures in {tutorial.split}: " + ", ".join(f"{n} {c}" for c, n in counts.items())
    rest = [f"{sum(other.values())} in {split}" for split, other in form.counts.items() if split != tutorial.split]
    check += f" (the archive also holds {', '.join(rest)})" if rest else ""
    return Need(
        item=f"data set {tutorial.dataset}",
        tutorials=(tutorial.name,),
        size=SIZES.get(tutorial.dataset, "size not published"),
        check=check,
        place=root / form.folder,
        source=" or ".join(dict.fromkeys(s.url for s in form.sources)),
        state=_state(tutorial, root),
        is_archive=True,
    )


def _state(tutorial: Tutorial, root: Path) -> str:
    form = find_published(tutorial.dataset)
    folder, expected = root / form.folder, form.counts[tutorial.split]
    try:
        dataset = load_dataset(tutorial.dataset, root, tutorial.split, **dict[str, Any](form.options))
    except (FileNotFoundError, ValueError) as error:
        is_there = folder.exists() or folder.is_symlink() or not isinstance(error, FileNotFoundError)
        return f"there, but {str(error).removesuffix('.')}" if is_there else "missing"
    names = Counter(dataset.class_names[int(k)] if "all" not in expected else "all" for k in dataset.labels)
    if len(dataset) < sum(expected.values()):
        return f"there, with {len(dataset)} of {sum(expected.values())} pictures"
    wrong = [name for name in {**expected, **names} if names[name] != expected.get(name, 0)]
    words = "; ".join(f"{names[name]} {name}, not {expected.get(name, 0)}" for name in wrong)
    return f"there, with other pictures than published: {words}" if wrong else "here"
