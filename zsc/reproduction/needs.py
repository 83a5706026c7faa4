"""What a tutorial needs, whether it is on this machine, and how to get it where it is not. Downloads nothing."""

from __future__ import annotations

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
    """

    item: str
    tutorials: tuple[str, ...]
    size: str
    check: str
    place: Path
    source: str
    state: str

    @property
    def is_here(self) -> bool:
        """Whether nothing has to be done."""
        return self.state == "here"


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
    state = "missing" if not path.is_file() else "here" if digest_of(path) == sha256 else "there, with another sha256"
    return Need(f"weights of {name}", names, SIZES.get(name, ""), f"sha256 {sha256}", path, weights_url(name), state)


def _dataset(tutorial: Tutorial, root: Path) -> Need:
    form = find_published(tutorial.dataset)
    split = "val" if "val" in form.counts else "train"
    counts = form.counts[split]
    check = f"{sum(counts.values())} pictures in {split}: " + ", ".join(f"{n} {c}" for c, n in counts.items())
    source = " or ".join(dict.fromkeys(s.url for s in form.sources))
    state = _state(tutorial.dataset, root, form.options, sum(counts.values()))
    size = SIZES.get(tutorial.dataset, "size not published")
    return Need(f"data set {tutorial.dataset}", (tutorial.name,), size, check, root / form.folder, source, state)


def _state(name: str, root: Path, options: Mapping[str, Any], expected: int) -> str:
    try:
        found = len(load_dataset(name, root, **options))
    except FileNotFoundError:
        return "missing"
    except ValueError as error:
        return f"there, but {error}"
    return "here" if found >= expected else f"there, with {found} of {expected} pictures"
