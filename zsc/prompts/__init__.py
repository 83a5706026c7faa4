"""Prompts: which sentences stand for which class; the tutorials' prompts by name; files in and out."""

from zsc.prompts.prompts import (
    DEFAULT_TEMPLATE,
    POOLINGS,
    ClassPrompts,
    advice_on,
    as_prompts,
    check_prompts,
    default_prompts,
    prompt_set,
    prompt_set_names,
    template_set,
    template_set_names,
)

__all__ = ["DEFAULT_TEMPLATE", "POOLINGS", "ClassPrompts", "advice_on", "as_prompts", "check_prompts",
           "default_prompts", "prompt_set", "prompt_set_names", "template_set", "template_set_names"]  # fmt: skip
