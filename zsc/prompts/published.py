"""The tutorials' prompts by name, read from published.yaml."""

from __future__ import annotations

from collections.abc import Sequence

from zsc.checks import short
from zsc.prompts.prompts import ClassPrompts, from_content
from zsc.prompts.templates import DEFAULT_TEMPLATE, packaged


def prompt_set_names() -> list[str]:
    """List the named prompt sets that come with the package, in the order of the file."""
    return list(packaged("published"))


def prompt_set(name: str) -> ClassPrompts:
    """Look a published prompt set up by its name, such as "glasses-1" or "afhq-b" (see `prompt_set_names`)."""
    published = packaged("published")
    if not isinstance(name, str) or name not in published:
        raise ValueError(f"no prompt set {short(name)}; there are {', '.join(published)}.")
    return from_content(published[name], name)


def default_prompts(class_names: Sequence[str], dataset_name: str = "") -> ClassPrompts:
    """Choose the prompts to begin with: the tutorial's first ones for its data set, else "a photo of a {}".

    A published set is chosen only if its classes are those of the data set, in any order; a version of a data set
    ("afhq_v2") counts as the data set.
    """
    for name, content in packaged("published").items():
        same_dataset = content["dataset"] == dataset_name.partition("_v")[0]
        if same_dataset and set(content["classes"]) == set(class_names):
            return prompt_set(name)
    return ClassPrompts.from_names(class_names, name=DEFAULT_TEMPLATE)
