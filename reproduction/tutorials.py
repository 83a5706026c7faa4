"""What the tutorials published, read from `data/reference/tutorials.yaml` and checked while reading."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zsc.checks import short
from zsc.datasets import find_published
from zsc.models.weights import OPENAI_WEIGHTS
from zsc.prompts import prompt_set_names

CHECKOUT = Path(__file__).resolve().parents[1]
FILE = "data/reference/tutorials.yaml"
METRICS = ("precision", "recall", "f1")
_TUTORIAL = {"title": str, "model": str, "dataset": str, "split": str, "notebook": str, "results": list}
_RESULT = {"file": str, "claim": str, "prompts": str, "pictures": int, "published": dict}
_OPTIONAL = {"if it differs": str, "normalisation": str}
_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping"}


@dataclass(frozen=True)
class Result:
    """One result of a tutorial's notebook, and the published numbers for it."""

    file: str  # the evaluation that the notebook saves
    claim: str  # what it measures, in words
    prompts: str  # name of the prompt set
    pictures: int  # how many pictures
    published: dict[str, str]  # metric ("accuracy", "recall of wild", ...) -> the number as printed
    reason: str = ""  # known reason for a difference
    normalisation: str | None = None  # of the label embeddings, if it is not row by row


@dataclass(frozen=True)
class Tutorial:
    """One tutorial: `name` as the command takes it, title, model, data set, split, and the notebook that follows it."""

    name: str
    title: str
    model: str
    dataset: str
    split: str
    notebook: Path
    results: tuple[Result, ...]


def tutorials(names: Sequence[str] = ("all",)) -> list[Tutorial]:
    """Read tutorials by name ("all" for every one), in the order of the file.

    Raises
    ------
    ValueError
        If a name is unknown or the file is invalid; the message names the file, the tutorial and the key.
    """
    path = CHECKOUT / FILE
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        every = {name: _tutorial(name, given) for name, given in _mapping(content, "the file").items()}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())}); fix it.") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if unknown := [name for name in names if name not in every and name != "all"]:
        raise ValueError(f"no tutorial {short(unknown[0])}; there are {', '.join(every)}, and all.")
    return [tutorial for name, tutorial in every.items() if "all" in names or name in names]


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which YAML would keep only the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := [key for key in keys if keys.count(key) > 1]:
            line = node.start_mark.line + 1
            raise ValueError(f"{doubled[0]}: is given twice in the mapping that begins on line {line}; remove one.")
        return super().construct_mapping(node, deep)


def _tutorial(name: Any, given: Any) -> Tutorial:
    where = f"tutorial {name}"
    if not isinstance(name, str):
        raise ValueError(f"{where}: its name must be a text; write it in quotes.")  # noqa: TRY004  # a file's fault
    _fields(given, where, _TUTORIAL)
    _one_of(given["model"], OPENAI_WEIGHTS, f"{where}, model")
    try:
        counts = find_published(given["dataset"]).counts
    except ValueError as error:
        raise ValueError(f"{where}, dataset: {error}") from error
    _one_of(given["split"], counts, f"{where}, split")
    _plain_name(given["notebook"], ".ipynb", f"{where}, notebook")
    classes = [c for c in counts[given["split"]] if c != "all"]
    results = tuple(_result(r, f"{where}, result {k}", classes) for k, r in enumerate(given["results"], 1))
    files = [result.file for result in results]
    if twice := [file for file in files if files.count(file) > 1]:
        raise ValueError(f"{where}, file: {twice[0]} is given twice; each result needs its own.")
    notebook = CHECKOUT / "notebooks" / given["notebook"]
    return Tutorial(name, given["title"], given["model"], given["dataset"], given["split"], notebook, results)


def _result(given: Any, where: str, classes: Sequence[str]) -> Result:
    _fields(given, where, _RESULT, _OPTIONAL)
    _plain_name(given["file"], ".json", f"{where}, file")
    _one_of(given["prompts"], prompt_set_names(), f"{where}, prompts")
    if given["pictures"] < 1:
        raise ValueError(f"{where}, pictures: is {given['pictures']}; write 1 or more.")
    published = dict(_numbers(given["published"], f"{where}, published", classes))
    more = given.get("if it differs", ""), given.get("normalisation")
    return Result(given["file"], given["claim"], given["prompts"], given["pictures"], published, *more)


def _numbers(published: Mapping[Any, Any], where: str, classes: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield {"accuracy": "0.86", "wild": {"recall": "0.58"}} as "accuracy" and "recall of wild", with their numbers."""
    for key, value in published.items():
        _one_of(key, ["accuracy", *classes], f"{where}, {key}")
        if key == "accuracy":
            yield key, _number(value, f"{where}, {key}")
            continue
        for metric, number in _mapping(value, f"{where}, {key}").items():
            _one_of(metric, METRICS, f"{where}, {key}, {metric}")
            yield f"{metric} of {key}", _number(number, f"{where}, {key}, {metric}")


def _fields(given: Any, where: str, needed: Mapping[str, type], optional: Mapping[str, type] | None = None) -> None:
    """Check the keys of a mapping and the types of their values."""
    known = {**needed, **(optional or {})}
    for key in [*_mapping(given, where), *needed]:
        _one_of(key, known, f"{where}, {key}")
        if key not in given:
            raise ValueError(f"{where}, {key}: is missing; write {_KINDS[known[key]]}.")
        if type(given[key]) is not known[key] or given[key] == "":
            raise ValueError(f"{where}, {key}: is {short(given[key])}; write {_KINDS[known[key]]}.")


def _mapping(given: Any, where: str) -> dict[Any, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: is {short(given)}; write a mapping, 'key: value' on each line.")  # noqa: TRY004
    return given


def _one_of(value: Any, known: Iterable[str], where: str) -> None:
    if value not in (names := list(known)):
        raise ValueError(f"{where}: {short(value)} is unknown; it must be one of {', '.join(names)}.")


def _plain_name(value: str, suffix: str, where: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*", value) or not value.endswith(suffix):
        raise ValueError(f"{where}: is {short(value)}; write a file name that ends in {suffix}, without a folder.")


def _number(value: Any, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"0\.[0-9]{2,}|1\.0{2,}", value):
        raise ValueError(f'{where}: is {short(value)}; write the share as printed, in quotes, such as "0.58".')
    return value
