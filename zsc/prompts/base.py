"""Class names x templates -> ClassPrompts: which sentences stand for which class.

Knows no model and no picture. Templates are strings with exactly one `{}`. A class name is put in as it is, as the
tutorials have it ("a photo of a English springer"), unless `articles=True`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zsc.checks import as_list, check_labels, short
from zsc.files import printable
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
        names, prompts = check_classes(self.class_names), tuple(as_list(self.prompts, "prompts", "texts"))
        owners = check_labels(self.owners, len(names), "owners")
        if len(prompts) != len(owners):
            raise ValueError(f"{len(prompts)} prompts for {len(owners)} owners; pass one owner for each prompt.")
        if (np.diff(owners) < 0).any() or len(np.unique(owners)) < len(names):
            raise ValueError(
                "every class needs at least one prompt, and the prompts must stand in the order of the classes; "
                "ClassPrompts.from_texts does that for you."
            )
        check_pooling(self.pooling, optional=True)
        if not isinstance(self.name, str):
            raise TypeError(f"name is {short(self.name)}; pass a text.")
        for prompt in prompts:
            _check_prompt(prompt)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "prompts", tuple(map(str, prompts)))
        object.__setattr__(self, "owners", tuple(owners.tolist()))

    @classmethod
    def from_names(
        cls,
        class_names: Iterable[str],
        templates: Iterable[str] | str = (DEFAULT_TEMPLATE,),
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
        names = check_classes(class_names)
        texts = {c: [fill(t, c, articles=articles) for t in templates] for c in names}
        return cls.from_texts(texts, name=name)

    @classmethod
    def from_texts(
        cls, texts: Mapping[str, str | Iterable[str]], *, pooling: str | None = None, name: str = ""
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
        lists = [_as_prompts(class_name, value) for class_name, value in texts.items()]
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
        bounds = [*self.starts, len(self.prompts)]
        return {c: list(self.prompts[bounds[k] : bounds[k + 1]]) for k, c in enumerate(self.class_names)}

    @property
    def starts(self) -> np.ndarray:
        """Where each class's prompts begin in `prompts`, shape (K,)."""
        return np.searchsorted(np.asarray(self.owners), np.arange(len(self.class_names)))

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.prompts)


def as_prompts(prompts: ClassPrompts | Iterable[str] | Mapping[str, str | Iterable[str]]) -> ClassPrompts:
    """Take prompts as they are given: a `ClassPrompts`, a mapping of class to prompts, or one text per class."""
    if isinstance(prompts, ClassPrompts):
        return prompts
    if isinstance(prompts, Mapping):
        return ClassPrompts.from_texts(prompts)
    possible = "pass a list of texts, a mapping of class to prompts, or ClassPrompts"
    try:
        texts = as_list(prompts, "prompts", "texts")
    except TypeError as error:
        raise TypeError(f"{str(error).partition(';')[0]}; {possible}.") from error
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"prompts is {short(texts)}; {possible}.")
    doubled = _first_double(texts)
    if doubled is not None:
        raise ValueError(f"prompts hold a text twice, {short(doubled)}; each class needs its own.")
    return ClassPrompts.from_texts({text: text for text in texts})


def check_pooling(pooling: str | None, *, optional: bool = False) -> None:
    """Refuse a pooling rule that does not exist (None passes where `optional`)."""
    if not (isinstance(pooling, str) and pooling in POOLINGS) and not (optional and pooling is None):
        raise ValueError(f"pooling={short(pooling)}; accepted are {', '.join(POOLINGS)}.")


def check_classes(class_names: Iterable[str]) -> tuple[str, ...]:
    """Check the names of a classifier's classes: two or more, non-empty, no two alike."""
    names = as_list(class_names, "class_names", "names, such as ['cat', 'dog']")
    if len(names) < 2:
        raise ValueError(f"{len(names)} class given; a classifier needs at least two to choose between.")
    for name in names:
        _check_text(name, "class name")
    doubled = _first_double(names)
    if doubled is not None:
        raise ValueError(f"class name given twice: {printable(doubled)[:80]}; give each class its own name.")
    return tuple(map(str, names))


def _as_prompts(class_name: object, value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    try:
        prompts = as_list(value, "prompt", "texts")
    except TypeError as error:
        raise TypeError(
            f"class {short(class_name)} has the prompt {short(value)}; pass a text or a list of texts."
        ) from error
    if not prompts:
        raise ValueError(f"class {short(class_name)} has no prompt; give it at least one.")
    return prompts


def _first_double(texts: Sequence[str]) -> str | None:
    return next((text for text, times in Counter(texts).items() if times > 1), None)


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{what} {short(text)} is empty or no text; write it in words (in YAML, in quotes).")


def _check_prompt(text: object) -> None:
    _check_text(text, "prompt")
    try:
        str(text).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"prompt {printable(short(text))} holds half a character or a byte that is no UTF-8, which no model can "
            "read; write it anew."
        ) from error


def _check_template(template: object) -> None:
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(
            f"template {short(template)} must be a text with exactly one {{}}, such as {DEFAULT_TEMPLATE!r}."
        )
