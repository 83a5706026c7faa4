"""What the explorer asks and remembers, without widgets: texts in boxes -> prompts -> an answer on kept embeddings.

Each text is encoded once; an answer encodes only the prompts that are new. Answers are those of ZeroShotClassifier. A
try is what was typed: it can be kept in a file and asked again.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from zsc.checks import check_fraction, from_json, short, to_json
from zsc.classifier import ZeroShotClassifier
from zsc.datasets.base import UNLABELLED, ImageDataset, class_texts
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.explorer.page import export_page
from zsc.files import UNPRINTABLE, printable, write_whole
from zsc.models import Encoder, as_encoder
from zsc.prompts import DEFAULT_TEMPLATE, ClassPrompts, as_prompts, default_prompts
from zsc.report import PAGES
from zsc.scoring import match_by

AnyPrompts: TypeAlias = "ClassPrompts | Mapping[str, str | Sequence[str]] | Sequence[str] | None"
HISTORY_COLUMNS = ("accuracy", "low", "high", "macro_recall", "n", "moved", "pooling", "changed", "prompts")
KIND, TYPED = "zsc tries", ("texts", "templates", "pooling", "of")  # of a file, and what a try in it holds
ANY, WRONG_CLASS = -1, -2  # in place of the index of a class
_ARTICLES = re.compile(r"\b(an?|the)\s+(an?|the)\b", re.IGNORECASE)  # of a template, and of what is put into it
_ODD = re.compile(rf"\\|^\s+|\s+\Z|{UNPRINTABLE.pattern}")  # in a line of a box
_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")


@dataclass(frozen=True, eq=False)
class Answer:
    """What prompts do on the kept embeddings. Made by `ExplorerSession.ask`."""

    classifier: ZeroShotClassifier
    result: Evaluation  # of all pictures that were asked about
    index: np.ndarray  # which pictures of the session these are
    evaluation: Evaluation | None  # the same where there are labels, else None
    texts: Mapping[str, str]  # the boxes as they were typed
    templates: str

    @cached_property
    def prompts(self) -> ClassPrompts:
        """The prompts, with their pooling rule."""
        return replace(self.classifier.prompts, pooling=self.classifier.pooling)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Accuracy, low and high end of its interval, macro recall; NaN without labels."""
        found = self.evaluation
        return (found.accuracy, *found.interval, found.macro_recall) if found else (float("nan"),) * 4

    @property
    def in_short(self) -> str:
        """Say accuracy and interval, or that there are no labels."""
        found, (accuracy, low, high, _) = self.evaluation, self.scores
        if found is None:
            return f"{self.result.n} pictures, no labels"
        return f"accuracy {accuracy:.3f} ({found.correct} of {found.n}), 95 % interval {low:.3f} to {high:.3f}"

    @cached_property
    def notes(self) -> dict[str, list[str]]:
        """The warnings of each class that has some."""
        found: dict[str, list[str]] = {}
        for name, prompt, warning, advice in self.classifier.advice.itertuples(index=False):
            said = advice.replace("shorten it, or pass truncate=True to cut it", "the rest is not read, shorten it")
            found.setdefault(name, []).append(f"{warning}, {short(prompt)}: {said}")
        for name, text in self.texts.items():
            for line, template in itertools.product(from_lines(text), from_lines(self.templates)):
                filled, own = template.replace("{}", line), ".+".join(map(re.escape, template.split("{}")))
                if (template != "{}" and re.fullmatch(own, line)) or _ARTICLES.search(filled):
                    advice = "leave only what stands for {}, or empty the templates."
                    found.setdefault(name, []).append(f"a template within a template, {short(filled)}: {advice}")
        return found

    @cached_property
    def given(self) -> np.ndarray:
        """The name of the class that each picture is given, shape (N,)."""
        return np.array(class_texts(self.result.y_pred, self.result.class_names), dtype=object)

    @cached_property
    def counts(self) -> pd.Series:
        """How many pictures each class is given to, indexed by class name."""
        names = pd.Index(self.result.class_names, dtype=object)  # any text can be a name
        return pd.Series(np.bincount(self.result.y_pred, minlength=len(names)), names)

    @property
    def cards(self) -> pd.DataFrame:
        """The twelve most confident mistakes; without labels, the least sure pictures."""
        return self.show(self.rows(said=WRONG_CLASS if self.evaluation else ANY, unsure=not self.evaluation)[:12])

    def rows(self, true: int = ANY, said: int = ANY, *, unsure: bool = False) -> list[int]:
        """Choose pictures by the indices of their true and predicted class, the most (or the least) confident first."""
        found, top = self.result, self.result.proba.max(axis=1)
        chosen = (found.y_true == true) | (true == ANY)
        chosen &= (found.y_pred != found.y_true) if said == WRONG_CLASS else (found.y_pred == said) | (said == ANY)
        order = np.argsort(top if unsure else -top, kind="stable")
        return order[chosen[order]].tolist()

    def show(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return a table of some pictures: row (in the embeddings), true (None: no label), predicted, proba."""
        found = self.result.select(rows)
        true, predicted = (class_texts(y, found.class_names) for y in (found.y_true, found.y_pred))
        columns = {"row": self.index[rows], "true": true, "predicted": predicted, "proba": found.proba.max(axis=1)}
        return pd.DataFrame(columns, dtype=object)  # any text can be a name


class ExplorerSession:
    """Ask what prompts do, again and again, on the same embeddings; the arguments are those of `PromptExplorer`.

    Pictures that failed are left out. ValueError: no picture is left, or there are neither class names nor prompts.
    """

    export = export_page

    def __init__(
        self, embeddings: ImageEmbeddings, model: Encoder | str, prompts: AnyPrompts = None, *,
        sealed: float | None = None,
    ) -> None:  # fmt: skip
        self.embeddings, self.sealed, self.looks = embeddings.without_failed(), None, 0
        names = embeddings.class_names
        if sealed is not None:  # divided by class, always in the same way
            rows = range(len(self.embeddings))
            parts = ImageDataset(rows, self.embeddings.labels, names).split(check_fraction(sealed, "sealed"))
            if not all(len(part) and (part.labels != UNLABELLED).all() for part in parts):
                raise ValueError("sealed needs labelled pictures in both parts; leave it out, or pass more of them.")
            self.sealed, self.embeddings = (self.embeddings.select(list(part.paths)) for part in parts)
        if not len(self.embeddings):
            raise ValueError("the embeddings hold no picture; embed some with zsc.embed_images.")
        if self.embeddings.labels.ndim == 2:
            raise ValueError("the explorer is for one label per picture; these may have several: use multi_label=True.")
        if prompts is None and len(names) < 2:
            raise ValueError("the embeddings have no class names; pass prompts={class name: prompt, ...}.")
        given = default_prompts(names, embeddings.dataset.partition(" ")[0]) if prompts is None else prompts
        self.first, self.model = as_prompts(given), as_encoder(model)
        self.tried: list[Answer] = []  # the history, oldest first
        self.labels: dict[str, int] = {}  # name of a class -> its label in the data set
        self._unlabelled = replace(self.embeddings, labels=np.full(len(self.embeddings), UNLABELLED), class_names=[])
        if (self.embeddings.labels != UNLABELLED).any():
            match = match_by(names, self.first.class_names)
            match.tell()
            self.labels = {self.first.class_names[k]: label for label, k in enumerate(match.index.tolist())}
            self._same: dict[str, Any] = {"matched_by": match.by, "data_digest": self.embeddings.data_digest}

    @property
    def start(self) -> tuple[dict[str, str], str]:
        """What the boxes and the templates begin with."""
        if self.first.texts == {name: [DEFAULT_TEMPLATE.replace("{}", name)] for name in self.first.class_names}:
            return {name: as_lines([name]) for name in self.first.class_names}, DEFAULT_TEMPLATE
        return {name: as_lines(texts) for name, texts in self.first.texts.items()}, ""

    def ask(self, texts: Mapping[str, str], templates: str = "", pooling: str | None = None) -> Answer:
        """Judge prompts; `pooling` is that of `ZeroShotClassifier`.

        `texts` holds for each class its prompts, one per line, as `as_lines` writes them; `templates` one template per
        line, with one ``{}`` for each line of the boxes; "": none. ValueError: an empty box, or a wrong template.
        """
        classifier = ZeroShotClassifier(fill(texts, templates), self.model, pooling=pooling, truncate=True)
        result, index, evaluation = classifier.answer(self._unlabelled), np.arange(len(self.embeddings)), None
        if self.labels:
            column = {self.labels[name]: k for k, name in enumerate(classifier.class_names) if name in self.labels}
            y_true = np.array([column.get(label, UNLABELLED) for label in self.embeddings.labels.tolist()])
            index = np.flatnonzero(y_true != UNLABELLED)
            if not len(index):
                raise ValueError("no picture is of one of these classes; add a class of the data set again.")
            made_by = replace(result.made_by, **self._same)
            result = evaluation = replace(result, y_true=y_true, made_by=made_by).select(index)
        return Answer(classifier, result, index, evaluation, dict(texts), templates)

    def unseal(self, answer: Answer) -> Evaluation:
        """Judge an answer on the sealed pictures; `made_by` says how much better it looked on the others, and when."""
        if self.sealed is None:
            raise ValueError("nothing is sealed; pass sealed=0.5 when the explorer is made.")
        session, self.looks = ExplorerSession(self.sealed, self.model, self.first), self.looks + 1
        session.labels = self.labels
        found = session.ask(answer.texts, answer.templates, answer.classifier.pooling).result
        better = answer.scores[0] - found.accuracy
        other = {"open_accuracy": answer.scores[0], "optimism": better, "tries": len(self.tried), "looks": self.looks}
        return replace(found, made_by=replace(found.made_by, part=f"sealed: {found.n} pictures", other=other))

    def rename(self, old: str, new: str) -> None:
        """Let a class be called otherwise; ValueError where another one is called so."""
        if self.labels.get(new, self.labels.get(old)) != self.labels.get(old):
            raise ValueError(f"{short(new)} is the name of another class of the data set; choose another name.")
        if old in self.labels:
            self.labels[new] = self.labels[old]

    def remember(self, answer: Answer) -> None:
        """Write an answer into the history, once for the same prompts and pooling."""
        if answer.prompts not in [one.prompts for one in self.tried]:
            self.tried.append(answer)

    @property
    def history(self) -> pd.DataFrame:
        """One row per try, counted from 1; accuracy, low, high and macro_recall are NaN without labels.

        `n` counts the pictures, `moved` those that the try before gave to another class, `changed` holds new prompts.
        """
        rows: list[tuple[Any, ...]] = []
        known: dict[str, str] = {}
        for before, answer in zip(self.tried[:1] + self.tried, self.tried, strict=False):
            words = {name: f"{name}: {', '.join(prompts)}" for name, prompts in answer.prompts.texts.items()}
            changed = [text for name, text in words.items() if text != known.get(name)]
            changed += [f"without {name}" for name in known if name not in words]
            _, new, old = np.intersect1d(answer.index, before.index, assume_unique=True, return_indices=True)
            moved = (answer.given[new] != before.given[old]).sum() if rows else float("nan")
            told = (answer.classifier.pooling, " | ".join(changed) or "pooling", " | ".join(words.values()))
            rows.append((*answer.scores, answer.result.n, moved, *told))
            known = words
        index = pd.RangeIndex(1, len(rows) + 1, name="try")
        table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), index=index, dtype=object)  # any text can be a name
        return table.astype(dict.fromkeys((*HISTORY_COLUMNS[:4], "moved"), float) | {"n": int})

    def tries_in(self, path: str | Path) -> list[dict[str, Any]]:
        """Read what `save` wrote of these pictures; an empty list where there is no file."""
        try:
            content = from_json(Path(path).read_text(encoding="utf-8"))
            tries = [{key: one[key] for key in TYPED} for one in content["tries"]]
            for one in tries:
                fill(one["texts"], one["templates"])
            classes = sorted({name for one in tries for name in one["of"].values()} - {*self.embeddings.class_names})
            if (content["kind"], content["dataset"], classes) != (KIND, self.embeddings.dataset, []):
                told = f"it holds {short(content['kind'])} of {short(content['dataset'])}"
                raise ValueError(f"{told}, other classes: {short(classes) if classes else 'none'}")
            return tries
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = f"{printable(path)}: holds no tries of these pictures; remove it, or pass another file as keep="
            raise ValueError(f"{told} ({error})") from error

    def save(self, path: str | Path) -> Path:
        """Add the tries to a file, whole or not at all; those that it holds already stay."""
        kept, names = self.tries_in(path), self.embeddings.class_names
        for answer in self.tried:
            of = {name: names[self.labels[name]] for name in answer.texts if name in self.labels}
            pooling = answer.classifier.pooling
            one = {"texts": dict(answer.texts), "templates": answer.templates, "pooling": pooling, "of": of}
            kept += [] if one in kept else [one]
        return write_whole(path, to_json({"kind": KIND, "dataset": self.embeddings.dataset, "tries": kept}, 1) + "\n")

    def load(self, path: str | Path) -> Answer | None:
        """Ask the tries of a file again, and return the last one (None: no file); ValueError: they are of others."""
        answer, names = None, self.embeddings.class_names
        for one in self.tries_in(path):
            self.labels = {name: names.index(of) for name, of in one["of"].items() if self.labels} | self.labels
            answer = self.ask(one["texts"], one["templates"], one["pooling"])
            self.remember(answer)
        return answer


def fill(texts: Mapping[str, str], templates: str = "") -> ClassPrompts:
    """Turn boxes into prompts: lines as they are, or every line in every template; a ValueError's `box` is at fault."""
    chosen, made, box = from_lines(templates) or ["{}"], {}, ""
    try:
        ClassPrompts.from_names(["a"], chosen)  # refuses a template without {}
        for box, text in texts.items():
            made[box] = [t.replace("{}", line) for line in from_lines(text) for t in chosen]
            ClassPrompts.from_texts({box: made[box]})
    except ValueError as error:
        error.box = box  # type: ignore[attr-defined]
        raise
    return ClassPrompts.from_texts(made)


def as_lines(texts: Sequence[str]) -> str:
    r"""Write texts one per line for `from_lines`; what ends a line, cannot be seen or is stripped, as Python does.

    Examples
    --------
    >>> as_lines(["a cat", "two\nlines"])
    'a cat\ntwo\\nlines'
    """

    def escape(odd: re.Match[str]) -> str:
        return odd[0].encode("unicode_escape").decode().replace(" ", r"\x20")

    return "\n".join(_ODD.sub(escape, text) for text in texts)


def from_lines(text: str) -> list[str]:
    r"""Read texts, one per line; empty lines and spaces around a line do not count."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [_ESCAPE.sub(lambda found: found[0].encode().decode("unicode_escape"), line) for line in lines]


def as_code(answer: Answer) -> str:
    """Write the Python lines that make the classifier of an answer again.

    Class names, prompts, models and data sets may hold any text: they become literals, or a comment of one line.
    """
    return PAGES.get_template("explorer/code.py.j2").render(answer=answer, clf=answer.classifier, literal=to_json)
