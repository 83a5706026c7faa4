"""Compare and choose prompts honestly: paired tests on kept embeddings, choice on one part and report on the other."""

from zsc.selection.candidates import as_candidates, load_candidates
from zsc.selection.choose import Choice, choose_prompts, choose_repeatedly
from zsc.selection.compare import compare_prompts, compare_right
from zsc.selection.controls import random_words_control
from zsc.selection.greedy import greedy_templates

__all__ = [
    "Choice",
    "as_candidates",
    "choose_prompts",
    "choose_repeatedly",
    "compare_prompts",
    "compare_right",
    "greedy_templates",
    "load_candidates",
    "random_words_control",
]
