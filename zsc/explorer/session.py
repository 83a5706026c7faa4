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
from zsc.embeddings import ImageEmbeddings, embed_texts
from zsc.evaluation import Evaluation
from zsc.files import printable
from zsc.models import as_encoder
from zsc.prompts import DEFAULT_TEMPLATE, ClassPrompts, as_prompts, default_prompts

if TYPE_CHECKING:
    from zsc.models import Encoder

HISTORY_COLUMNS = ("accuracy", "low", "high", "macro_recall", "pooling", "changed", "prompts")
_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Card:
    """One picture of an answer's gallery: its source, true class (None: no label), predicted class, probability."""

    image: Any
    true: str | None
    predicted: str
    proba: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What prompts do on the kept embeddings. Made by `ExplorerSession.ask`."""

    classifier: ZeroShotClassifier
    evaluation: Evaluation | None  # on the labelled pictures; None where there are no labels
    counts: pd.Series  # how many pictures each class is given to, indexed by class name
    cards: list[Card]  # the most confident mistakes; without labels, the least sure pictures
    notes: dict[str, list[str]]  # warnings by class name
    milliseconds: float  # how long the answer took

    @property
    def prompts(self) -> ClassPrompts:
        """The prompts, with their pooling rule."""
        return replace(self.classifier.prompts, pooling=self.classifier.pooling)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Accuracy, low and high end of its interval, macro recall; NaN without labels."""
        found = self.evaluation
        return (found.accuracy, *found.interval, found.macro_recall) if found else (float("nan"),) * 4


class ExplorerSession:
    """Ask what prompts do, again and again, on the same embeddings; the arguments are those of `PromptExplorer`.

    Rows of pictures that failed are left out. Raises ValueError if the embeddings hold no picture, or have no class
    names and no prompts are given.
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
            raise ValueError("the embeddings have no class names; pass prompts={class name: prompt, ...}.")
        if prompts is None:
            prompts = default_prompts(embeddings.class_names, embeddings.dataset.partition(" ")[0])
        self.first = as_prompts(prompts)
        self.class_names = list(self.first.class_names)
        self.model = as_encoder(model)
        self._encoded: dict[str, np.ndarray] = {}
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
        """Judge prompts; `pooling` is that of `ZeroShotClassifier`.

        `texts` holds for each class the text of its box, one prompt per line, as `as_lines` writes them; `templates`
        one template per line, each with one ``{}`` that each line of the boxes goes into. Without templates lines are
        prompts. Raises ValueError if a box is empty or a template has not exactly one ``{}``.
        """
        begin = time.perf_counter()
        prompts = fill(texts, templates)
        known = self._encode(prompts.prompts)
        classifier = ZeroShotClassifier(prompts, self.model, pooling=pooling, text_embeddings=known)
        has_labels = self.labelled is not None
        result = classifier.answer(self.embeddings) if self.labelled is None else classifier.evaluate(self.labelled)
        names = pd.Index(classifier.class_names, dtype=object, name="predicted")  # object: any text can be a name
        counts = pd.Series(np.bincount(result.y_pred, minlength=len(names)), names)
        cards, notes = _cards(result, has_labels), _notes(classifier)
        milliseconds = 1000 * (time.perf_counter() - begin)
        return Answer(classifier, result if has_labels else None, counts, cards, notes, milliseconds)

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed M texts as (M, D), cut where the model cannot read more; only those that are new are encoded."""
        new = [text for text in dict.fromkeys(texts) if text not in self._encoded]
        if new:
            self._encoded |= dict(zip(new, embed_texts(self.model, new, truncate=True), strict=True))
        return np.stack([self._encoded[text] for text in texts])

    def remember(self, answer: Answer) -> None:
        """Write an answer into the history, once for the same prompts and pooling."""
        self._tried.setdefault(repr((answer.prompts.texts, answer.classifier.pooling)), answer)

    @property
    def tried(self) -> list[Answer]:
        """The answers in the history, oldest first."""
        return list(self._tried.values())

    @property
    def history(self) -> pd.DataFrame:
        """One row per try: accuracy, low, high, macro_recall (NaN without labels), pooling, changed, prompts.

        Counted from 1; `changed` holds the prompts that the try before did not have.
        """
        before: dict[str, list[str]] = {}
        rows = []
        for answer in self.tried:
            texts = answer.prompts.texts
            changed = {name: prompts for name, prompts in texts.items() if prompts != before.get(name)}
            rows.append((*answer.scores, answer.classifier.pooling, _in_words(changed) or "pooling", _in_words(texts)))
            before = texts
        index = pd.RangeIndex(1, len(rows) + 1, name="try")
        table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), index=index, dtype=object)  # any text can be a name
        return table.astype(dict.fromkeys(HISTORY_COLUMNS[:4], float))


def fill(texts: Mapping[str, str], templates: str = "") -> ClassPrompts:
    """Turn boxes into prompts: lines as they are, or every line in every template."""
    chosen = from_lines(templates) or ["{}"]
    ClassPrompts.from_names(["a", "b"], chosen)  # refuses a template without {}
    return ClassPrompts.from_texts(
        {name: [t.replace("{}", line) for line in from_lines(text) for t in chosen] for name, text in texts.items()}
    )


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


def _as_line(text: str) -> str:
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    return "".join(
        _escaped(c) if c == "\\" or c != printable(c) or not start <= k < end else c for k, c in enumerate(text)
    )


def _escaped(character: str) -> str:
    escape = character.encode("unicode_escape").decode()
    return escape if escape.startswith("\\") else f"\\x{ord(character):02x}"


def _unescape(found: re.Match[str]) -> str:
    return found[0].encode().decode("unicode_escape")


def _cards(result: Evaluation, has_labels: bool) -> list[Card]:
    """Choose the most confident mistakes; without labels, the least sure pictures."""
    top, names, images = result.proba.max(axis=1), result.class_names, result.images or []
    rows = np.flatnonzero(~result.right) if has_labels else np.arange(result.n)
    rows = rows[np.argsort(-top[rows] if has_labels else top, kind="stable")][:12].tolist()
    true = [names[result.y_true[i]] if has_labels else None for i in rows]
    return [Card(images[i], name, names[result.y_pred[i]], float(top[i])) for i, name in zip(rows, true, strict=True)]


def _in_words(texts: Mapping[str, Sequence[str]]) -> str:
    return " | ".join(f"{name}: {', '.join(prompts)}" for name, prompts in texts.items())


def _notes(classifier: ZeroShotClassifier) -> dict[str, list[str]]:
    """Collect the warnings of each class that has some."""
    found: dict[str, list[str]] = {}
    for row in classifier.advice.itertuples(index=False):
        prompt = row.prompt if len(row.prompt) <= 50 else f"{row.prompt[:47]}..."
        found.setdefault(row.class_name, []).append(f"{row.warning}, “{prompt}”: {row.advice}")
    return found
