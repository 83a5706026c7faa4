"""What the explorer asks and remembers, without widgets: texts in boxes -> prompts -> an answer on kept embeddings.

Each text is encoded once; an answer encodes only the prompts that are new. Answers are those of ZeroShotClassifier.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.classifier import ZeroShotClassifier
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.explorer.memory import TextMemory
from zsc.explorer.notes import notes_on
from zsc.files import printable
from zsc.images import ImageSource
from zsc.prompts import DEFAULT_TEMPLATE, ClassPrompts, as_prompts, default_prompts

if TYPE_CHECKING:
    from zsc.models import Encoder

CARDS = 12
HISTORY_COLUMNS = ("accuracy", "low", "high", "macro_recall", "pooling", "changed", "prompts")


@dataclass(frozen=True)
class Card:
    """One picture of an answer's gallery: its source, true class (None: no label), predicted class, probability."""

    image: Any
    true: str | None
    predicted: str
    proba: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What prompts do on the kept embeddings. Made by `ExplorerSession.ask`.

    Attributes
    ----------
    classifier
        The classifier of these prompts.
    evaluation
        Its judgement on the labelled pictures; None where there are no labels.
    counts
        How many pictures each class is given to, indexed by class name.
    cards
        The most confident mistakes; without labels, the least sure pictures.
    notes
        Warnings by class name; those of no class under "".
    milliseconds
        How long the answer took.
    """

    classifier: ZeroShotClassifier
    evaluation: Evaluation | None
    counts: pd.Series
    cards: list[Card]
    notes: dict[str, list[str]]
    milliseconds: float

    @property
    def prompts(self) -> ClassPrompts:
        """The prompts, with their pooling rule."""
        return replace(self.classifier.prompts, pooling=self.classifier.pooling)


class ExplorerSession:
    """Ask what prompts do, again and again, on the same embeddings.

    Parameters
    ----------
    embeddings
        Of N pictures; rows of pictures that failed are left out. Without labels there is no accuracy.
    model
        The encoder that made them, or its name.
    prompts
        What to begin with: as `ZeroShotClassifier` takes them. None: the tutorial's first ones for this data set, else
        "a photo of a {}" with the class names.

    Raises
    ------
    ValueError
        If the embeddings are of another model, or have no class names and no prompts are given.
    """

    def __init__(
        self,
        embeddings: ImageEmbeddings,
        model: Encoder | str,
        prompts: ClassPrompts | Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
    ) -> None:
        self.embeddings = embeddings.without_failed()
        if not len(self.embeddings):
            raise ValueError("the embeddings hold no picture; embed some with zsc.embed_images.")
        if prompts is None and len(embeddings.class_names) < 2:
            raise ValueError(
                "the embeddings have no class names; pass prompts={class name: prompt, ...} to begin with."
            )
        self.first = first_prompts(self.embeddings) if prompts is None else as_prompts(prompts)
        self.class_names = list(self.first.class_names)
        self.model = TextMemory(_load(model))
        self._tried: dict[str, Answer] = {}

    @cached_property
    def labelled(self) -> ImageEmbeddings | None:
        """The pictures that have a label, or None where none has."""
        known = np.flatnonzero(self.embeddings.labels != UNLABELLED)
        return self.embeddings.select(known) if len(known) else None

    @property
    def start(self) -> tuple[dict[str, str], str]:
        """What the boxes and the templates begin with."""
        if self.first.texts == {name: [DEFAULT_TEMPLATE.replace("{}", name)] for name in self.class_names}:
            return {name: as_lines([name]) for name in self.class_names}, DEFAULT_TEMPLATE
        return {name: as_lines(texts) for name, texts in self.first.texts.items()}, ""

    def ask(self, texts: Mapping[str, str], templates: str = "", pooling: str | None = None) -> Answer:
        """Judge prompts.

        Parameters
        ----------
        texts
            For each class the text of its box, one prompt per line, as `as_lines` writes them.
        templates
            One template per line, each with one ``{}`` that every line of the boxes goes into; empty: lines are
            prompts.
        pooling
            As in `ZeroShotClassifier`.

        Raises
        ------
        ValueError
            If a box is empty or a template has not exactly one ``{}``; a sentence for the reader.
        """
        begin = time.perf_counter()
        prompts = fill(texts, templates)
        model: Any = self.model
        classifier = ZeroShotClassifier(prompts, model, pooling=pooling, truncate=True)
        evaluation = classifier.evaluate(self.labelled) if self.labelled is not None else None
        if evaluation is not None:
            predicted, cards = evaluation.y_pred, _mistakes(evaluation)
        else:
            proba = classifier.predict_proba(self.embeddings)
            predicted, cards = proba.argmax(axis=1), _least_sure(self.embeddings, proba, self.class_names)
        names = pd.Index(classifier.class_names, dtype=object, name="predicted")  # object: any text can be a name
        counts = pd.Series(np.bincount(predicted, minlength=len(names)), names)
        milliseconds = 1000 * (time.perf_counter() - begin)
        return Answer(classifier, evaluation, counts, cards, notes_on(prompts, self.model), milliseconds)

    def remember(self, answer: Answer) -> None:
        """Write an answer into the history, once for the same prompts and pooling."""
        self._tried.setdefault(repr((answer.prompts.texts, answer.classifier.pooling)), answer)

    @property
    def tried(self) -> list[Answer]:
        """The answers in the history, oldest first."""
        return list(self._tried.values())

    @property
    def history(self) -> pd.DataFrame:
        """A row a try: accuracy, low, high, macro_recall (NaN without labels), pooling, changed, prompts.

        Counted from 1; `changed` holds the prompts that the try before did not have.
        """
        befores = [None, *self.tried[:-1]]
        rows = [_history_row(answer, before) for answer, before in zip(self.tried, befores, strict=True)]
        index = pd.RangeIndex(1, len(rows) + 1, name="try")
        table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), index=index, dtype=object)  # any text can be a name
        return table.astype(dict.fromkeys(HISTORY_COLUMNS[:4], float))

    def embed_picture(self, image: ImageSource) -> np.ndarray:
        """Embed one picture of the reader's, shape (1, D)."""
        embedded: np.ndarray = self.model.encode_images([image])
        return embedded

    def picture_proba(self, answer: Answer, embedded: np.ndarray) -> dict[str, float]:
        """Give the probability of each class for a picture of `embed_picture`, with an answer's prompts."""
        one = replace(self.embeddings, values=embedded, paths=["picture"], labels=np.array([UNLABELLED]), digests=None)
        return dict(zip(self.class_names, map(float, answer.classifier.predict_proba(one)[0]), strict=True))


def first_prompts(embeddings: ImageEmbeddings) -> ClassPrompts:
    """Choose what to begin with: the tutorial's prompts for the data set, else the default template."""
    return default_prompts(embeddings.class_names, embeddings.dataset.partition(" ")[0])


def fill(texts: Mapping[str, str], templates: str = "") -> ClassPrompts:
    """Turn boxes into prompts: lines as they are, or every line in every template."""
    chosen = from_lines(templates)
    if chosen:
        ClassPrompts.from_names(["a", "b"], chosen)  # refuses a template without {}
    prompts = {}
    for name, text in texts.items():
        lines = from_lines(text)
        prompts[name] = [t.replace("{}", line) for line in lines for t in chosen] if chosen else lines
    return ClassPrompts.from_texts(prompts)


def as_lines(texts: Sequence[str]) -> str:
    r"""Write texts one per line, so that `from_lines` gives back the same ones.

    What would end a line, cannot be seen, or would be stripped is written as in Python: ``\n``, ``\x20``, ``\\``.

    Examples
    --------
    >>> as_lines(["a cat", "two\nlines"])
    'a cat\ntwo\\nlines'
    """
    return "\n".join(map(_as_line, texts))


def from_lines(text: str) -> list[str]:
    r"""Read texts, one per line; empty lines and spaces around a line do not count."""
    return [_ESCAPE.sub(_unescape, line.strip()) for line in text.splitlines() if line.strip()]


_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")


def _as_line(text: str) -> str:
    inside = text.strip()
    start = text.index(inside)  # what stands before it, and after it, is white
    return "".join(
        _escaped(c) if c == "\\" or c != printable(c) or not start <= k < start + len(inside) else c
        for k, c in enumerate(text)
    )


def _escaped(character: str) -> str:
    escape = character.encode("unicode_escape").decode()
    return escape if escape.startswith("\\") else f"\\x{ord(character):02x}"


def _unescape(found: re.Match[str]) -> str:
    return found[0].encode().decode("unicode_escape")


def _mistakes(evaluation: Evaluation) -> list[Card]:
    shown = evaluation.errors.head(CARDS)
    images = [
        evaluation.images[k] if evaluation.images else None for k in shown["index"]
    ]  # a table has their names only
    columns = (shown[name] for name in ("true", "predicted", "proba"))
    return [Card(*values) for values in zip(images, *columns, strict=True)]


def _least_sure(embeddings: ImageEmbeddings, proba: np.ndarray, class_names: Sequence[str]) -> list[Card]:
    top = proba.max(axis=1)
    order = np.argsort(top, kind="stable")[:CARDS]
    return [Card(embeddings.paths[i], None, class_names[int(proba[i].argmax())], float(top[i])) for i in order]


def _history_row(answer: Answer, before: Answer | None) -> tuple[float, float, float, float, str, str, str]:
    found, texts = answer.evaluation, answer.prompts.texts
    scores = (found.accuracy, *found.interval, found.macro_recall) if found else (float("nan"),) * 4
    old = before.prompts.texts if before else {}
    changed = {name: prompts for name, prompts in texts.items() if prompts != old.get(name)}
    return (*scores, answer.classifier.pooling, _in_words(changed) or "pooling", _in_words(texts))


def _in_words(texts: Mapping[str, Sequence[str]]) -> str:
    return " | ".join(f"{name}: {', '.join(prompts)}" for name, prompts in texts.items())


def _load(model: Encoder | str) -> Encoder:
    if isinstance(model, str):
        from zsc.models import load_model

        return load_model(model)
    return model
