"""Search over prompts: greedy selection of templates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from zsc.checks import check_class_names, check_count, short
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings, class_names_of
from zsc.models.base import Encoder
from zsc.probes.labelled import LabelledRows, as_rows, tell_shared
from zsc.prompts.prompts import ClassPrompts, as_templates
from zsc.scoring import cosine_scores


def greedy_templates(
    embeddings: ImageEmbeddings, templates: str | Sequence[str], *,
    model: Encoder | str, held_out: ImageEmbeddings | None = None, max_templates: int | None = None,
    class_names: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Add, step by step, the template that helps the ensemble most, as OpenAI's notebook found 7 of its 80.

    The table has one row per step: template, accuracy (on the choosing part, with all templates so far), and
    held_out_accuracy where there is a held-out part. Of equal templates the first in order is taken.

    `embeddings` are of labelled pictures that choose, by `model`; `templates` T templates, or the name of a set such as
    "imagenet-80", of which `max_templates`, or all, are added. `held_out` are other labelled pictures of the same
    classes, which have no say; the accuracy to quote is theirs, and a warning says where pictures are in both.
    `class_names` are K names for the prompts, in the order of the data set's; None takes those.
    """
    names = class_names_of(embeddings)
    spoken = names if class_names is None else check_class_names(class_names, len(names))
    if held_out is not None and class_names_of(held_out, "held_out") != names:
        told = f"held_out has the classes {short(held_out.class_names)}"
        raise ValueError(f"{told}; they must be {short(names)}, in this order.")
    words = as_templates(templates)
    clf = ZeroShotClassifier(ClassPrompts.from_names(spoken, words), model)
    pictures = as_rows(clf.embed(embeddings), "embeddings")
    others = None if held_out is None else as_rows(clf.embed(held_out), "held_out")
    if others is not None:
        tell_shared(others, pictures, "held_out", "embeddings", depth=3)
    texts = clf.text_embeddings.reshape(len(names), len(words), -1).swapaxes(0, 1)  # (T, K, D)
    steps = len(texts) if max_templates is None else check_count(max_templates, "max_templates", high=len(texts))
    rows, total, left = [], np.zeros_like(texts[0]), list(range(len(texts)))
    for _ in range(steps):
        accuracies = [_accuracy(pictures, total + texts[t]) for t in left]
        best = left.pop(int(np.argmax(accuracies)))
        total = total + texts[best]
        row = {"template": words[best], "accuracy": max(accuracies)}
        rows.append(row if others is None else row | {"held_out_accuracy": _accuracy(others, total)})
    return pd.DataFrame(rows)


def _accuracy(rows: LabelledRows, total: np.ndarray) -> float:
    weights = total / np.linalg.norm(total, axis=1, keepdims=True)  # (K, D): the mean's direction
    predicted = cosine_scores(rows.values, weights).argmax(axis=1)
    return float((predicted == rows.labels).mean())
