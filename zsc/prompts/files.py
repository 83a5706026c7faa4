"""Prompts as YAML or JSON files.

Either a line a class, `cat: a photo of a cat` (or a list of prompts); or the same under `classes:`, beside `name:` and
`pooling:`. Under `classes:` there may also be a list of names, beside `templates:`. Nothing unknown is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from zsc.prompts.base import DEFAULT_TEMPLATE, ClassPrompts

_Made = TypeVar("_Made")
_KEYS = ("classes", "templates", "pooling", "name", "dataset", "source")


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that is given twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = [key for key in keys if keys.count(key) > 1]
        if doubled:
            raise ValueError(f"{doubled[0]!r} is given twice; put all its prompts into one list")
        return super().construct_mapping(node, deep)


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

    def candidates(content: Mapping[str, Any]) -> dict[str, ClassPrompts]:
        found = {}
        for name, inner in content.items():
            if not isinstance(inner, Mapping):
                raise TypeError(f"{name!r} holds {inner!r}; write its prompts under it, 'class: prompt' a line")
            try:
                found[str(name)] = from_content(
                    {"name": str(name), **inner} if "classes" in inner else inner, str(name)
                )
            except (TypeError, ValueError) as error:
                raise ValueError(f"candidate {name!r}: {error}") from error
        return found

    return _read(Path(path), candidates)


def save(prompts: ClassPrompts, path: str | Path) -> Path:
    """Write prompts in the form that `load` reads: JSON where the name ends in .json, else YAML."""
    path = Path(path)
    content = {"name": prompts.name, "pooling": prompts.pooling, "classes": prompts.texts}
    if path.suffix == ".json":
        text = json.dumps(content, ensure_ascii=False, indent=2)
    else:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def _read(path: Path, make: Callable[[Mapping[str, Any]], _Made]) -> _Made:
    """Read a file and make something of it; every error names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such prompts file; pass a YAML file with a line 'class: prompt' a class.")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        if not isinstance(content, dict) or not content:
            raise ValueError("holds no prompts; write a line 'class: prompt' a class")
        return make(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a YAML or JSON file ({' '.join(str(error).split())}); mend it.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {str(error).removesuffix('.')}.") from error


def from_content(content: Mapping[str, Any], default_name: str) -> ClassPrompts:
    """Make prompts of what a file holds."""
    if not any(key in content for key in _KEYS):
        return ClassPrompts.from_texts(content, name=default_name)
    unknown = [str(key) for key in content if key not in _KEYS]
    if unknown or "classes" not in content:
        what = f"unknown: {', '.join(unknown)}" if unknown else "no classes: in it"
        raise ValueError(f"{what}; accepted beside classes: are {', '.join(_KEYS[1:])}")
    classes, name, pooling = content["classes"], str(content.get("name") or default_name), content.get("pooling")
    if isinstance(classes, Mapping):
        if "templates" in content:
            raise ValueError("templates: goes with a list of class names under classes:, not with prompts")
        return ClassPrompts.from_texts(classes, pooling=pooling, name=name)
    if not isinstance(classes, list):
        raise TypeError(f"classes: holds {classes!r}; write 'class: prompt' lines or a list of names under it")
    named = ClassPrompts.from_names(classes, content.get("templates") or DEFAULT_TEMPLATE)
    return ClassPrompts.from_texts(named.texts, pooling=pooling, name=name)
