"""Candidates: prompts to choose between, by name, given in any form that a person would write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsc.checks import check_unique
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.prompts import ClassPrompts, as_prompts
from zsc.prompts.files import load_many
from zsc.prompts.templates import template_set_names

if TYPE_CHECKING:
    from zsc.models import Encoder

Candidate = ClassPrompts | Mapping[str, str | Sequence[str]] | str | Sequence[str]


def as_candidates(candidates: Mapping[str, Candidate], class_names: Sequence[str]) -> dict[str, ClassPrompts]:
    """Take candidates as they are given.

    Parameters
    ----------
    candidates
        Name -> a `ClassPrompts`, a mapping of class to prompts, a template or a template set's name, a list of
        templates, or a text for each class in order.
    class_names
        The K classes, for templates.

    Raises
    ------
    ValueError
        If there are none, two have one name, or one is something else; the message names it.
    """
    if not isinstance(candidates, Mapping) or not candidates:
        raise ValueError("candidates is empty or no mapping; pass {name: prompts, ...}, such as {'bare': '{}'}.")
    check_unique([str(name) for name in candidates], "candidates")
    return {str(name): _one(str(name), given, class_names) for name, given in candidates.items()}


def load_candidates(path: str | Path) -> dict[str, ClassPrompts]:
    """Read candidates from a YAML or JSON file: under each name what a prompts file holds."""
    return load_many(path)


def evaluations(
    embeddings: ImageEmbeddings, candidates: Mapping[str, Candidate], model: Encoder | str, pooling: str | None = None
) -> dict[str, Evaluation]:
    """Judge every candidate on the same pictures; nothing is embedded again.

    Parameters
    ----------
    embeddings
        Labelled pictures; those that failed are left out.
    candidates
        As `as_candidates` takes them.
    model
        The encoder that made the embeddings, or its name.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    """
    names = class_names_of(embeddings)
    encoder = _encoder(model)
    return {
        name: ZeroShotClassifier(replace(prompts, name=name), encoder, pooling=pooling).evaluate(embeddings)
        for name, prompts in as_candidates(candidates, names).items()
    }


def class_names_of(embeddings: ImageEmbeddings, name: str = "embeddings") -> list[str]:
    """Give the class names of embedded pictures; anything else than embeddings is refused."""
    if not isinstance(embeddings, ImageEmbeddings):
        raise TypeError(f"{name} is a {type(embeddings).__name__}; pass embeddings: zsc.embed_images(model, dataset).")
    return embeddings.class_names


def _one(name: str, given: Any, class_names: Sequence[str]) -> ClassPrompts:
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    templates = [given] if isinstance(given, str) else list(given) if is_list else []
    try:
        if isinstance(given, str) and given in template_set_names():
            return ClassPrompts.from_names(class_names, given, name=name)
        if templates and all(isinstance(t, str) and "{}" in t for t in templates):
            return ClassPrompts.from_names(class_names, templates, name=name)
        if is_list:
            if len(templates) != len(class_names):
                raise ValueError(f"{len(templates)} texts for {len(class_names)} classes")
            return ClassPrompts.from_texts(dict(zip(class_names, templates, strict=True)), name=name)
        return as_prompts(given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"candidate {name!r}: {str(error).removesuffix('.')}; a candidate must be ClassPrompts, a mapping of class "
            "to prompts, templates with {}, a template set's name, or a text for each class."
        ) from error


def _encoder(model: Encoder | str) -> Encoder:
    if isinstance(model, str):
        from zsc.models import load_model

        return load_model(model)
    return model
