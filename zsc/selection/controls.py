"""Controls: random words in the place of a clever description, to see whether the description says anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zsc.checks import check_class_names, check_count, check_texts
from zsc.embeddings import ImageEmbeddings
from zsc.prompts import ClassPrompts
from zsc.prompts.templates import fill
from zsc.selection.candidates import class_names_of, evaluations

if TYPE_CHECKING:
    from zsc.models import Encoder

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def random_words_control(
    embeddings: ImageEmbeddings,
    *,
    model: Encoder | str,
    class_names: Sequence[str] | None = None,
    template: str = "a photo of a {}, which has {}.",
    words: Sequence[str] = (),
    draws: int = 20,
    per_class: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure prompts whose descriptions are random, in the manner of WaffleCLIP (Roth et al., ICCV 2023).

    Descriptions written by hand or by a language model are worth something only where they beat these.

    Parameters
    ----------
    embeddings
        Labelled pictures, embedded by `model`.
    model
        The encoder that made the embeddings, or its name.
    class_names
        K names for the prompts, in the order of the data set's; None takes those.
    template
        A text with two ``{}``: the first for the class, the second for random words.
    words
        Words to draw from; none draws strings of random letters, as long as common words.
    draws
        How many random ensembles.
    per_class
        How many random descriptions each has; all classes get the same ones.
    seed
        For the draws.

    Returns
    -------
    pd.DataFrame
        One row per draw: description (the first), accuracy, macro_recall.
    """
    if not isinstance(template, str) or template.count("{}") != 2:
        raise ValueError(
            f"template={template!r}; it must be a text with two {{}}: one for the class, then one for the words."
        )
    check_count(per_class, "per_class")
    names = class_names_of(embeddings)
    spoken = names if class_names is None else check_class_names(class_names, len(names))
    words = check_texts(words, "words")
    rng = np.random.default_rng(check_count(seed, "seed", low=0))
    candidates, first = {}, []
    head, _, tail = template.rpartition("{}")
    for draw in range(check_count(draws, "draws")):
        descriptions = [_description(rng, words) for _ in range(per_class)]
        first.append(descriptions[0])
        texts = {n: [fill(head + d + tail, s) for d in descriptions] for n, s in zip(names, spoken, strict=True)}
        candidates[str(draw)] = ClassPrompts.from_texts(texts)
    judged = evaluations(embeddings, candidates, model, "mean").values()
    rows = [(text, e.accuracy, e.macro_recall) for text, e in zip(first, judged, strict=True)]
    return pd.DataFrame(rows, columns=["description", "accuracy", "macro_recall"])


def _description(rng: np.random.Generator, words: Sequence[str]) -> str:
    """Draw two words, or two strings of three to eight letters."""
    if len(words):
        return " ".join(str(w) for w in rng.choice(np.array(words, dtype=object), size=2))
    return " ".join("".join(rng.choice(list(_LETTERS), size=rng.integers(3, 9))) for _ in range(2))
