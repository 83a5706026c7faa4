"""The tutorials' prompts by name, read from published.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

from zsc.checks import short
from zsc.prompts.base import DEFAULT_TEMPLATE, ClassPrompts
from zsc.prompts.files import from_content


def prompt_set_names() -> list[str]:
    """List the named prompt sets that come with the package, in the order of the file."""
    return list(_published())


def prompt_set(name: str) -> ClassPrompts:
    """Give a published prompt set by name, such as "glasses-1" or "afhq-b" (see `prompt_set_names`)."""
    published = _published()
    if not isinstance(name, str) or name not in published:
        raise ValueError(f"no prompt set {short(name)}; there are {', '.join(published)}.")
    return from_content(published[name], default_name=name)


def default_prompts(class_names: Sequence[str], dataset_name: str = "") -> ClassPrompts:
    """Choose the prompts to begin with: the tutorial's first ones for its data set, else "a photo of a {}".

    A published set is taken only where its classes are those of the data set, in any order; versions of a data set
    ("afhq_v2") count as the data set.
    """
    for name, content in _published().items():
        same_dataset = content["dataset"] == dataset_name.partition("_v")[0]
        if same_dataset and set(content["classes"]) == set(class_names):
            return prompt_set(name)
    return ClassPrompts.from_names(class_names, name=DEFAULT_TEMPLATE)


@cache
def _published() -> dict[str, dict[str, Any]]:
    text = resources.files("zsc.prompts").joinpath("published.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content
