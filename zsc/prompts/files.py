"""Prompts as YAML or JSON files.

Either a line for each class, `cat: a photo of a cat` (or a list of prompts); or the same under `classes:`, beside
`name:` and `pooling:`, which is what `save` writes. Under `classes:` there may also be a list of names, beside
`templates:`. A file without `classes:`, or with a prompt there, is of the first kind if any of its keys is none of
these words. Nothing unknown is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from zsc.checks import from_json, short, to_json
from zsc.files import printable, write_whole
from zsc.prompts.base import DEFAULT_TEMPLATE, ClassPrompts

_Made = TypeVar("_Made")
_KEYS = ("classes", "templates", "pooling", "name", "dataset", "source")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses what YAML would do in silence: the last of equal keys, aliases, merged keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"*{self.peek_event().anchor} is an alias; write out what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                raise ValueError("<<: merges keys, which is not read; write the prompts out")
            name = self.construct_object(key, deep=True)
            if name is None:
                raise ValueError("a key is empty; put each name in quotes")
            if isinstance(name, Hashable) and name in seen:
                raise ValueError(f"{short(name)} is given twice; put all its prompts into one list")
            seen.add(name if isinstance(name, Hashable) else None)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """A safe dumper that writes texts with odd characters in double quotes, where each has an escape."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent)


def load(path: str | Path) -> ClassPrompts:
    """Read prompts from a YAML or JSON file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else; one sentence that names the file.
    """
    return _read(Path(path), lambda content: from_content(content, default_name=Path(path).stem))


def load_many(path: str | Path) -> dict[str, ClassPrompts]:
    """Read several sets of prompts from one YAML or JSON file: under each name what `load` reads.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else; one sentence that names the file.
    """
    return _read(Path(path), _candidates)


def save(prompts: ClassPrompts, path: str | Path) -> Path:
    """Write prompts in the form that `load` reads, whole or not at all: JSON if it ends in .json, else YAML."""
    content = {"name": prompts.name, "pooling": prompts.pooling, "classes": prompts.texts}
    if _is_json(Path(path)):
        return write_whole(path, to_json(content, indent=2) + "\n")
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
    return write_whole(path, text)


def from_content(content: Mapping[str, Any], default_name: str) -> ClassPrompts:
    """Make prompts of what a file holds."""
    classes = content.get("classes")
    unknown = [str(key) for key in content if key not in _KEYS]
    if not isinstance(classes, (Mapping, list)) and unknown:
        return ClassPrompts.from_texts(content, name=default_name)
    if unknown or classes is None:
        what = f"unknown: {', '.join(printable(key)[:40] for key in unknown[:5])}" if unknown else "no classes: in it"
        raise ValueError(f"{what}; accepted beside classes: are {', '.join(_KEYS[1:])}; a class of such a name goes, "
                         "with the others, as 'class: prompt' under classes:")  # fmt: skip
    name, pooling = content.get("name", default_name), content.get("pooling")
    name = default_name if name is None else name
    if not isinstance(name, str):
        raise TypeError(f"name: holds {short(name)}; put it in quotes")
    if isinstance(classes, Mapping):
        if "templates" in content:
            raise ValueError("templates: goes with a list of class names under classes:, not with prompts")
        return ClassPrompts.from_texts(classes, pooling=pooling, name=name)
    if not isinstance(classes, list):
        raise TypeError(f"classes: holds {short(classes)}; write 'class: prompt' lines or a list of names under it")
    named = ClassPrompts.from_names(classes, content.get("templates", DEFAULT_TEMPLATE))
    return ClassPrompts.from_texts(named.texts, pooling=pooling, name=name)


def _candidates(content: Mapping[Any, Any]) -> dict[str, ClassPrompts]:
    found: dict[str, ClassPrompts] = {}
    for key, inner in content.items():
        if isinstance(key, bool) or not isinstance(key, (str, int, float)) or str(key) in found:
            what = "given twice" if str(key) in found else "no text"
            raise ValueError(f"the name {short(key)} is {what}; give each set of prompts a name of its own, in quotes")
        if not isinstance(inner, Mapping):
            raise TypeError(
                f"{short(key)} holds {short(inner)}; write its prompts under it, one 'class: prompt' a line"
            )
        try:
            found[str(key)] = from_content(inner, str(key))
        except (TypeError, ValueError) as error:
            raise ValueError(f"candidate {short(key)}: {error}") from error
    return found


def _read(path: Path, make: Callable[[Mapping[str, Any]], _Made]) -> _Made:
    """Read a file and make something of it; every error names the file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such prompts file; pass a YAML file with one line 'class: prompt' per class."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = from_json(text) if _is_json(path) else yaml.load(text, _Loader)
        if not isinstance(content, dict) or not content:
            raise ValueError("holds no prompts; write one line 'class: prompt' per class")
        return make(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a YAML or JSON file ({' '.join(str(error).split())}); mend it.") from error
    except RecursionError as error:
        raise ValueError(f"{path}: is nested too deeply; write one line 'class: prompt' per class.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {str(error).removesuffix('.')}.") from error


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"
