"""Template sets by name, read from templates.yaml; and "a" or "an" before what is put into a template."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

import yaml

from zsc.checks import as_list, short

DEFAULT_TEMPLATE = "a photo of a {}"
# Beginnings that are written with a vowel and spoken with a consonant, and the other way round.
_SPOKEN_CONSONANT = re.compile(r"(uni[^mn]|use|usu|ut[ei]|eu|ewe|one\b|once\b|ur[ai]n|u\b)", re.IGNORECASE)
_SPOKEN_VOWEL = re.compile(r"([aeiou]|hour|honest|honou?r|heir)", re.IGNORECASE)
_ARTICLE = re.compile(r"\ba( +)\{\}")


def template_set_names() -> list[str]:
    """List the named template sets, in the order of the file."""
    return list(packaged("templates"))


def template_set(name: str) -> tuple[str, ...]:
    """Look the templates of a set up by its name, such as "imagenet-80" (see `template_set_names`)."""
    published = packaged("templates")
    if not isinstance(name, str) or name not in published:
        raise ValueError(f"no template set {short(name)}; there are {', '.join(published)}.")
    return tuple(published[name]["templates"])


def as_templates(templates: str | Iterable[str]) -> tuple[str, ...]:
    """Take templates as they are given: one, several, or the name of a set; each must have exactly one ``{}``."""
    if isinstance(templates, str):
        templates = template_set(templates) if templates in packaged("templates") else [templates]
    found = tuple(as_list(templates, "templates", "texts with {}"))
    if not found:
        raise ValueError(f"no templates given; pass at least one, such as {DEFAULT_TEMPLATE!r}.")
    for text in found:
        if not isinstance(text, str) or text.count("{}") != 1:
            wanted = f"a text with exactly one {{}}, such as {DEFAULT_TEMPLATE!r}"
            raise ValueError(f"template {short(text)} must be {wanted}.")
    return found


def fill(template: str, class_name: str, *, articles: bool = False) -> str:
    """Put a class name into a template with one ``{}``; `articles` writes "an {}" where it begins like a spoken vowel.

    Examples
    --------
    >>> fill("a photo of a {}", "English springer", articles=True)
    'a photo of an English springer'
    """
    start = class_name.strip()
    if articles and _SPOKEN_VOWEL.match(start) and not _SPOKEN_CONSONANT.match(start):
        template = _ARTICLE.sub(r"an\1{}", template)
    return template.replace("{}", class_name)


@cache
def packaged(name: str) -> dict[str, dict[str, Any]]:
    """Read a YAML file of this package: "templates" or "published"."""
    return yaml.safe_load(resources.files("zsc.prompts").joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
