"""What a tutorial needs, whether it is on this machine, and how to get it where it is not. Downloads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsc.datasets import load_dataset
from zsc.datasets.published import find_published
from zsc.files import digest_of
from zsc.models.weights import OPENAI_WEIGHTS, weights_path, weights_url
from zsc.reproduction.tutorials import Tutorial

# What a download takes: as OpenAI's `clip` shows it for the weights, and fast.ai's page for Imagenette.
SIZES = {"RN50": "244 MB", "ViT-B/32": "338 MB", "imagenette": "326 MB"}


@dataclass(frozen=True)
class Need:
    """One thing that is needed.

    Attributes
    ----------
    item, tutorials
        What, and for which tutorials.
    size, check
        How much there is to fetch; the checksum or the counts to expect.
    place, source
        Where to put it, and where it comes from.
    state
        "here", "missing", or what is wrong with what is there.
    is_archive
        Whether the source serves an archive, to be unpacked at the place.
    """

    item: str
    tutorials: tuple[str, ...]
    size: str
    check: str
    place: Path
    source: str
    state: str
    is_archive: bool = False

    @property
    def is_here(self) -> bool:
        """Whether nothing has to be done."""
        return self.state == "here"

    @property
    def is_missing(self) -> bool:
        """Whether nothing is there, so that it can be fetched; what is there but wrong is never replaced."""
        return self.state == "missing"


def needs(wanted: Sequence[Tutorial], root: str | Path = "data") -> list[Need]:
    """List what tutorials need: weights first, then data sets, each once.

    Parameters
    ----------
    wanted
        The tutorials.
    root
        The folder that holds the data sets.
    """
    models = {t.model: tuple(o.name for o in wanted if o.model == t.model) for t in wanted}
    return [_weights(name, names) for name, names in models.items()] + [_dataset(t, Path(root)) for t in wanted]


def _weights(name: str, names: tuple[str, ...]) -> Need:
    path, sha256 = weights_path(name), OPENAI_WEIGHTS[name].sha256
    if not path.exists():
        state = "missing"
    elif not path.is_file():
        state = "there, but no file"
    else:
        state = "here" if digest_of(path) == sha256 else "there, with another sha256"
    return Need(f"weights of {name}", names, SIZES.get(name, ""), f"sha256 {sha256}", path, weights_url(name), state)


def _dataset(tutorial: Tutorial, root: Path) -> Need:
    form = find_published(tutorial.dataset)
    counts = form.counts[tutorial.split]
    check = f"{sum(counts.values())} pictures in {tutorial.split}: " + ", ".join(f"{n} {c}" for c, n in counts.items())
    rest = [f"{sum(other.values())} in {split}" for split, other in form.counts.items() if split != tutorial.split]
    check += f" (the archive also holds {', '.join(rest)})" if any(form.counts.values()) and rest else ""
    source = " or ".join(dict.fromkeys(s.url for s in form.sources))
    state = _state(tutorial, root / form.folder, root, form.options)
    size = SIZES.get(tutorial.dataset, "size not published")
    item = f"data set {tutorial.dataset}"
    return Need(item, (tutorial.name,), size, check, root / form.folder, source, state, is_archive=True)


def _state(tutorial: Tutorial, folder: Path, root: Path, options: Mapping[str, Any]) -> str:
    try:
        dataset = load_dataset(tutorial.dataset, root, tutorial.split, **options)
    except (FileNotFoundError, ValueError) as error:
        is_there = folder.exists() or folder.is_symlink() or not isinstance(error, FileNotFoundError)
        return f"there, but {str(error).removesuffix('.')}" if is_there else "missing"
    expected = find_published(tutorial.dataset).counts[tutorial.split]
    names = Counter(dataset.class_names[int(k)] if "all" not in expected else "all" for k in dataset.labels)
    if len(dataset) < sum(expected.values()):
        return f"there, with {len(dataset)} of {sum(expected.values())} pictures"
    wrong = [
        f"{names[c]} {c}, not {expected.get(c, 0)}" for c in {**expected, **names} if names[c] != expected.get(c, 0)
    ]
    return f"there, with other pictures than published: {'; '.join(wrong)}" if wrong else "here"
