"""Class names x templates -> ClassPrompts: which sentences stand for which class.

Knows no model and no picture. Templates are strings with exactly one `{}`. A class name is put in as it is:
`a photo of a {}` with "English springer" reads "a photo of a English springer", as the tutorials have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

POOLINGS = ("mean", "max", "sum")
DEFAULT_TEMPLATE = "a photo of a {}"


@dataclass(frozen=True)
class ClassPrompts:
    """The prompts of K classes: M filled templates, each owned by one class.

    Attributes
    ----------
    class_names
        The K classes, in the order of the columns of every score.
    prompts
        The M prompts; those of a class stand together, in the order of `class_names`.
    owners
        For each prompt the index of its class, shape (M,).
    pooling
        The pooling rule these prompts were published with ("mean", "max", "sum"), or None to leave it open.
    name
        A name for tables and files; may be empty.

    Examples
    --------
    >>> prompts = ClassPrompts.from_names(["cat", "dog"], templates=["a photo of a {}", "a drawing of a {}"])
    >>> prompts.prompts
    ('a photo of a cat', 'a drawing of a cat', 'a photo of a dog', 'a drawing of a dog')
    >>> prompts.owners
    (0, 0, 1, 1)
    """

    class_names: tuple[str, ...]
    prompts: tuple[str, ...]
    owners: tuple[int, ...]
    pooling: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_classes(self.class_names)
        if len(self.prompts) != len(self.owners):
            raise ValueError(f"{len(self.prompts)} prompts for {len(self.owners)} owners; pass one owner a prompt.")
        if list(self.owners) != sorted(self.owners) or set(self.owners) != set(range(len(self.class_names))):
            raise ValueError(
                "every class needs at least one prompt, and the prompts must stand in the order of the classes; "
                "ClassPrompts.from_texts does that for you."
            )
        check_pooling(self.pooling, optional=True)
        for prompt in self.prompts:
            _check_text(prompt, "prompt")

    @classmethod
    def from_names(
        cls, class_names: Sequence[str], templates: Sequence[str] | str = (DEFAULT_TEMPLATE,), *, name: str = ""
    ) -> ClassPrompts:
        """Fill every template with every class name.

        Parameters
        ----------
        class_names
            K names that fit the templates, such as "cat" or "golf ball".
        templates
            One template or several, each with exactly one ``{}``.
        name
            A name for tables and files.

        Raises
        ------
        ValueError
            If a name is empty or given twice, or a template has not exactly one ``{}``.
        """
        templates = [templates] if isinstance(templates, str) else list(templates)
        if not templates:
            raise ValueError(f"no templates given; pass at least one, such as {DEFAULT_TEMPLATE!r}.")
        for template in templates:
            _check_template(template)
        _check_classes(class_names)
        texts = {c: [t.replace("{}", c) for t in templates] for c in class_names}
        return cls.from_texts(texts, name=name)

    @classmethod
    def from_texts(
        cls, texts: Mapping[str, str | Sequence[str]], *, pooling: str | None = None, name: str = ""
    ) -> ClassPrompts:
        """Take the prompts of each class as they are.

        Parameters
        ----------
        texts
            Class name -> its prompt, or its several prompts.
        pooling
            The rule the prompts are meant for, if they are meant for one.
        name
            A name for tables and files.

        Examples
        --------
        >>> ClassPrompts.from_texts({"cat": "a cat", "wild": ["a lion", "a tiger"]}).owners
        (0, 1, 1)
        """
        if not isinstance(texts, Mapping):
            raise TypeError(f"texts is a {type(texts).__name__}; pass a mapping of class name to prompt or prompts.")
        lists = [[value] if isinstance(value, str) else list(value or []) for value in texts.values()]
        for class_name, prompts in zip(texts, lists, strict=True):
            if not prompts:
                raise ValueError(f"class {class_name!r} has no prompt; give it at least one.")
        owners = tuple(k for k, prompts in enumerate(lists) for _ in prompts)
        return cls(tuple(texts), tuple(p for ps in lists for p in ps), owners, pooling, name)

    @classmethod
    def load(cls, path: str | Path) -> ClassPrompts:
        """Read prompts from a YAML or JSON file.

        The file maps each class to its prompt or list of prompts, either directly or under ``classes:`` beside
        ``pooling:`` and ``name:``.

        Raises
        ------
        ValueError
            If the file is missing or holds something else; one sentence that names it.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path}: no such prompts file; pass a YAML file with a line 'class: prompt' a class.")
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a YAML or JSON file ({' '.join(str(error).split())}); mend it.") from error
        if not isinstance(content, dict) or not content:
            raise ValueError(f"{path}: holds no prompts; write a line 'class: prompt' a class.")
        try:
            return _from_content(content, default_name=path.stem)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> Path:
        """Write the prompts as YAML (or JSON, where the name ends in .json), in the form that `load` reads."""
        path = Path(path)
        content = {"name": self.name, "pooling": self.pooling, "classes": self.texts}
        text = (
            json.dumps(content, ensure_ascii=False, indent=2)
            if path.suffix == ".json"
            else yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        )
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def texts(self) -> dict[str, list[str]]:
        """The prompts of each class, as `from_texts` takes them."""
        return {
            c: [p for p, k in zip(self.prompts, self.owners, strict=True) if k == i]
            for i, c in enumerate(self.class_names)
        }

    @property
    def starts(self) -> np.ndarray:
        """Where each class's prompts begin in `prompts`, shape (K,)."""
        return np.searchsorted(np.asarray(self.owners), np.arange(len(self.class_names)))

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.prompts)


def prompt_set_names() -> list[str]:
    """List the named prompt sets that come with the package, in the order of the file."""
    return list(_published())


def prompt_set(name: str) -> ClassPrompts:
    """Give a published prompt set by name, such as "glasses-1" or "afhq-b" (see `prompt_set_names`)."""
    published = _published()
    if name not in published:
        raise ValueError(f"no prompt set {name!r}; there are {', '.join(published)}.")
    return _from_content(published[name], default_name=name)


def default_prompts(class_names: Sequence[str], dataset_name: str = "") -> ClassPrompts:
    """Choose the prompts to begin with: the tutorial's first ones for its data set, else "a photo of a {}".

    A published set is taken only where its classes are those of the data set; order does not matter.
    """
    for name, content in _published().items():
        if content["dataset"] == dataset_name and set(content["classes"]) == set(class_names):
            return prompt_set(name)
    return ClassPrompts.from_names(class_names, name=DEFAULT_TEMPLATE)


def check_pooling(pooling: str | None, *, optional: bool = False) -> None:
    """Refuse a pooling rule that does not exist (None passes where `optional`)."""
    if pooling not in POOLINGS and not (optional and pooling is None):
        raise ValueError(f"pooling={pooling!r}; accepted are {', '.join(POOLINGS)}.")


@cache
def _published() -> dict[str, dict[str, Any]]:
    text = resources.files("zsc").joinpath("prompt_sets.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content


def _from_content(content: Mapping[str, Any], default_name: str) -> ClassPrompts:
    if isinstance(content.get("classes"), Mapping):
        name = str(content.get("name") or default_name)
        return ClassPrompts.from_texts(content["classes"], pooling=content.get("pooling"), name=name)
    return ClassPrompts.from_texts(content, name=default_name)


def _check_classes(class_names: Sequence[str]) -> None:
    if isinstance(class_names, str):
        raise TypeError(f"class_names is the text {class_names!r}; pass a list of names, such as ['cat', 'dog'].")
    if len(class_names) < 2:
        raise ValueError(f"{len(class_names)} class given; a classifier needs at least two to choose between.")
    for name in class_names:
        _check_text(name, "class name")
    doubled = sorted({str(c) for c in class_names if list(class_names).count(c) > 1})
    if doubled:
        raise ValueError(f"class name given twice: {', '.join(doubled)}; give each class its own name.")


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{what} {text!r} is empty or no text; write it in words (in YAML, in quotes).")


def _check_template(template: object) -> None:
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(f"template {template!r} must be a text with exactly one {{}}, such as {DEFAULT_TEMPLATE!r}.")
