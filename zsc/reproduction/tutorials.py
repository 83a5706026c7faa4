"""What the tutorials published, read from `data/reference/tutorials.yaml` of the checkout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
FILE = "data/reference/tutorials.yaml"


@dataclass(frozen=True)
class Result:
    """One result of a tutorial's notebook, and what was published of it.

    Attributes
    ----------
    file
        The evaluation that the notebook saves.
    claim
        What it is of, in words.
    published
        Metric ("accuracy", "recall of wild", ...) -> the number as it was printed, as a text; empty where none was.
    reason
        What is known to make a difference.
    """

    file: str
    claim: str
    published: dict[str, str]
    reason: str = ""


@dataclass(frozen=True)
class Tutorial:
    """One tutorial: `name` as the command takes it, its title, model and data set, the notebook that follows it."""

    name: str
    title: str
    model: str
    dataset: str
    notebook: Path
    results: tuple[Result, ...]


def tutorials(names: Sequence[str] = ("all",)) -> list[Tutorial]:
    """Read tutorials by name, "all" for every one, in the order of the file.

    Raises
    ------
    ValueError
        If there is none of a name.
    FileNotFoundError
        If this is no checkout of the project: the notebooks and published numbers are not in the installed package.
    """
    path = CHECKOUT / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not there; reproducing needs a checkout of the project, with its notebooks.")
    content: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    unknown = [name for name in names if name not in content and name != "all"]
    if unknown:
        raise ValueError(f"no tutorial {unknown[0]!r}; accepted are {', '.join(content)} and all.")
    return [_tutorial(name, given) for name, given in content.items() if "all" in names or name in names]


def _tutorial(name: str, given: dict[str, Any]) -> Tutorial:
    results = tuple(
        Result(r["file"], r["claim"], _flat(r["published"]), r.get("if it differs", "")) for r in given["results"]
    )
    notebook = CHECKOUT / "notebooks" / given["notebook"]
    return Tutorial(name, given["title"], given["model"], given["dataset"], notebook, results)


def _flat(published: dict[str, Any]) -> dict[str, str]:
    """Turn {"wild": {"recall": "0.58"}} into {"recall of wild": "0.58"}."""
    flat: dict[str, str] = {}
    for key, value in published.items():
        flat |= {f"{m} of {key}": n for m, n in value.items()} if isinstance(value, dict) else {key: value}
    return flat
