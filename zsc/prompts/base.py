"""Class names x templates -> ClassPrompts: which sentences stand for which class.

Knows no model and no picture. Templates are strings with exactly one `{}`. A class name is put in as it is, as the
tutorials have it ("a photo of a English springer"), unless `articles=True`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zsc.prompts.templates import as_templates, fill

POOLINGS = ("mean", "max", "sum", "chils")
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
        The pooling rule these prompts were published with (see `zsc.scoring`), or None to leave it open.
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
        cls,
        class_names: Sequence[str],
        templates: Sequence[str] | str = (DEFAULT_TEMPLATE,),
        *,
        articles: bool = False,
        name: str = "",
    ) -> ClassPrompts:
        """Fill every template with every class name.

        Parameters
        ----------
        class_names
            K names that fit the templates, such as "cat" or "golf ball".
        templates
            One template or several, each with exactly one ``{}``; or the name of a set, such as "imagenet-80" (see
            `zsc.prompts.template_set_names`).
        articles
            Write "an {}" for "a {}" where the name asks for it; the tutorials do not.
        name
            A name for tables and files.

        Raises
        ------
        ValueError
            If a name is empty or given twice, or a template has not exactly one ``{}``.
        """
        templates = as_templates(templates)
        if not templates:
            raise ValueError(f"no templates given; pass at least one, such as {DEFAULT_TEMPLATE!r}.")
        for template in templates:
            _check_template(template)
        _check_classes(class_names)
        texts = {c: [fill(t, c, articles=articles) for t in templates] for c in class_names}
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
        lists = [_as_list(class_name, value) for class_name, value in texts.items()]
        owners = tuple(k for k, prompts in enumerate(lists) for _ in prompts)
        return cls(tuple(texts), tuple(p for ps in lists for p in ps), owners, pooling, name)

    @classmethod
    def load(cls, path: str | Path) -> ClassPrompts:
        """Read prompts from a YAML or JSON file; see `zsc.prompts.files.load`."""
        from zsc.prompts.files import load

        return load(path)

    def save(self, path: str | Path) -> Path:
        """Write the prompts as YAML, or as JSON where the name ends in .json; see `zsc.prompts.files.save`."""
        from zsc.prompts.files import save

        return save(self, path)

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


def as_prompts(prompts: ClassPrompts | Iterable[str] | Mapping[str, str | Sequence[str]]) -> ClassPrompts:
    """Take prompts as they are given: a `ClassPrompts`, a mapping of class to prompts, or a text a class."""
    if isinstance(prompts, ClassPrompts):
        return prompts
    if isinstance(prompts, Mapping):
        return ClassPrompts.from_texts(prompts)
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    if isinstance(prompts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            f"prompts is {prompts!r}; pass a list of texts, a mapping of class to prompts, or ClassPrompts."
        )
    if len(set(texts)) != len(texts):
        raise ValueError(f"prompts {texts} hold a text twice; each class needs its own.")
    return ClassPrompts.from_texts({text: text for text in texts})


def check_pooling(pooling: str | None, *, optional: bool = False) -> None:
    """Refuse a pooling rule that does not exist (None passes where `optional`)."""
    if pooling not in POOLINGS and not (optional and pooling is None):
        raise ValueError(f"pooling={pooling!r}; accepted are {', '.join(POOLINGS)}.")


def _as_list(class_name: object, value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Sequence):
        raise TypeError(f"class {class_name!r} has the prompt {value!r}; pass a text or a list of texts.")
    if not value:
        raise ValueError(f"class {class_name!r} has no prompt; give it at least one.")
    return list(value)


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
