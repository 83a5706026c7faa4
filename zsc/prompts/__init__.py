"""Prompts: which sentences stand for which class; the tutorials' prompts by name; files in and out."""

from zsc.prompts.base import DEFAULT_TEMPLATE, POOLINGS, ClassPrompts, as_prompts, check_pooling
from zsc.prompts.published import default_prompts, prompt_set, prompt_set_names

__all__ = [
    "DEFAULT_TEMPLATE",
    "POOLINGS",
    "ClassPrompts",
    "as_prompts",
    "check_pooling",
    "default_prompts",
    "prompt_set",
    "prompt_set_names",
]
