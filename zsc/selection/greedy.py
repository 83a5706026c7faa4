"""Greedy forward selection of templates, as OpenAI's notebook on prompt engineering found 7 of its 80."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zsc.checks import check_labels
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.prompts import ClassPrompts
from zsc.prompts.templates import as_templates
from zsc.scoring import cosine_scores

if TYPE_CHECKING:
    from zsc.models import Encoder


def greedy_templates(
    embeddings: ImageEmbeddings,
    templates: str | Sequence[str],
    *,
    model: Encoder | str,
    held_out: ImageEmbeddings | None = None,
    max_templates: int | None = None,
    class_names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Add, step by step, the template that helps the ensemble most.

    Parameters
    ----------
    embeddings
        Labelled pictures that choose, embedded by `model`.
    templates
        T templates, or the name of a set such as "imagenet-80".
    model
        The encoder that made the embeddings, or its name.
    held_out
        Other labelled pictures of the same classes, which have no say; the accuracy to quote is theirs.
    max_templates
        How many steps; None takes all T. The table shows where to stop.
    class_names
        K names for the prompts, in the order of the data set's; None takes those.

    Returns
    -------
    pd.DataFrame
        A row a step: template, accuracy (on the choosing part, with all templates so far), and held_out_accuracy
        where there is a held-out part. Of equal templates the first in order is taken.
    """
    names = embeddings.class_names
    spoken = names if class_names is None else list(class_names)
    if held_out is not None and held_out.class_names != names:
        raise ValueError(f"held_out has the classes {held_out.class_names}; accepted are {names}, in this order.")
    words = as_templates(templates)
    clf = ZeroShotClassifier(ClassPrompts.from_names(spoken, words), model)
    pictures = _labelled(clf.embed(embeddings), "embeddings")
    others = None if held_out is None else _labelled(clf.embed(held_out), "held_out")
    texts = clf.text_embeddings.reshape(len(names), len(words), -1).swapaxes(0, 1)  # (T, K, D)
    steps = len(texts) if max_templates is None else max_templates
    if not 1 <= steps <= len(texts):
        raise ValueError(f"max_templates={max_templates}; with {len(texts)} templates accepted are 1 to {len(texts)}.")
    rows, total, left = [], np.zeros_like(texts[0]), list(range(len(texts)))
    for _ in range(steps):
        accuracies = [_accuracy(pictures, total + texts[t]) for t in left]
        best = left.pop(int(np.argmax(accuracies)))
        total = total + texts[best]
        row = {"template": words[best], "accuracy": max(accuracies)}
        rows.append(row if others is None else row | {"held_out_accuracy": _accuracy(others, total)})
    return pd.DataFrame(rows)


def _labelled(embeddings: ImageEmbeddings, name: str) -> ImageEmbeddings:
    kept = embeddings.without_failed()
    check_labels(kept.labels, len(embeddings.class_names), f"{name}.labels")
    return kept


def _accuracy(embeddings: ImageEmbeddings, total: np.ndarray) -> float:
    weights = total / np.linalg.norm(total, axis=1, keepdims=True)  # (K, D): the mean's direction
    predicted = cosine_scores(embeddings.values, weights).argmax(axis=1)
    return float((predicted == embeddings.labels).mean())
