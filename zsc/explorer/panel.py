"""PromptExplorer: the session as an ipywidgets panel for JupyterLab 4 and Notebook 7.

ipywidgets is imported when a panel is made. Answers come a moment after the last key; a try goes into the history when
the reader has paused. Without a browser the panel works as well: set a box, read `texts`.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.explorer.session import Answer, ExplorerSession, as_lines
from zsc.files import expanded, printable
from zsc.images import ImageError, open_image, thumbnail
from zsc.plots.maps import confused_pairs
from zsc.plots.style import MOST_CELLS, RIGHT, WRONG
from zsc.prompts import POOLINGS, ClassPrompts
from zsc.report import PAGES

if TYPE_CHECKING:
    from zsc.models import Encoder

ANSWER_AFTER, REMEMBER_AFTER = 0.25, 1.5  # seconds without a key
PIXELS, LARGE = 96, 256  # a side of a card's picture, and of the reader's own
SUFFIXES = (".yaml", ".yml", ".json")
STILL = ("about", "accuracy", "recall", "confusion", "gallery", "history")  # shown where widgets do not live
WIDE, WRAP = {"width": "98%"}, {"flex_flow": "row wrap"}
_KNOWN = {"RIGHT": RIGHT, "WRONG": WRONG, "PIXELS": PIXELS, "MOST_CELLS": MOST_CELLS, "confused_pairs": confused_pairs}
html: Any = PAGES.get_template("explorer/panel.html.j2", globals=_KNOWN).module  # a macro for each place


class PromptExplorer:
    """Type prompts and see at once what they change on kept embeddings.

    Parameters
    ----------
    embeddings
        Of N pictures; with labels there is an accuracy, without there are the pictures a class gets.
    model
        The encoder that made them, or its name.
    prompts
        What the boxes begin with, as `ZeroShotClassifier` takes them; None: the tutorial's first prompts for this data
        set, else "a photo of a {}" with the class names.
    pooling
        The rule to begin with; None takes that of the prompts, else "mean".

    Attributes
    ----------
    session, answer
        What asks and remembers, with `session.history`, a table of what was tried; and the newest `Answer`.
    boxes, templates, pooling
        The widgets to type into, `boxes` by class name.
    back, code, copy, file, save, own
        The widgets of the history, the exports, and the reader's own picture.
    """

    def __init__(
        self,
        embeddings: ImageEmbeddings,
        model: Encoder | str,
        prompts: ClassPrompts | Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
        *,
        pooling: str | None = None,
    ) -> None:
        try:
            self._w: Any = importlib.import_module("ipywidgets")
        except ImportError as error:
            raise ImportError("the explorer needs ipywidgets: pip install 'ipywidgets>=8'.") from error
        self.session = ExplorerSession(embeddings, model, prompts)
        self._pictures: dict[int, tuple[Any, str | None]] = {}
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        texts, templates = self.session.start
        self._make_widgets(texts, templates, pooling or self.session.first.pooling or "mean")
        self._places = {name: self._w.HTML() for name in (*STILL, "message", *map(_notes_of, texts))}
        self._put("about", html.about(self.session))
        self.own = OwnPicture(self._w)
        self.answer = self._ask()  # a wrong model or wrong classes end here, not in a widget
        self._show(self.answer)
        self.remember()
        for widget in (*self.boxes.values(), self.templates, self.pooling):
            widget.observe(self._on_typing, "value")
        self.back.observe(self._on_back, "value")
        self.save.on_click(self._on_save)
        self.widget = self._lay_out()

    @property
    def texts(self) -> dict[str, str]:
        """The HTML that is shown, by place: about, accuracy, recall, ..., and "notes of <class>" for each class."""
        return {name: str(widget.value) for name, widget in self._places.items()}

    def update(self) -> None:
        """Ask for what stands in the boxes, and show the answer, or the sentence that says why it is missing."""
        try:
            self.answer = self._ask()
        except (TypeError, ValueError) as error:
            self._put("accuracy", html.problem(str(error)))
        else:
            self._show(self.answer)

    def remember(self) -> None:
        """Write the newest answer into the history."""
        self.session.remember(self.answer)
        self._put("history", html.history(self.session))
        tries = [(f"try {k}", k) for k in range(1, 1 + len(self.session.tried))]
        self.back.options = [("go back to ...", 0), *tries]

    def _ask(self) -> Answer:
        texts = {name: box.value for name, box in self.boxes.items()}
        return self.session.ask(texts, self.templates.value, self.pooling.value)

    def _put(self, place: str, shown: str) -> None:
        self._places[place].value = str(shown)

    def _show(self, answer: Answer) -> None:
        """Show the numbers first: the pictures of the gallery may have to be opened."""
        for place in ("accuracy", "recall", "confusion"):
            self._put(place, getattr(html, place)(answer))
        for name in self.boxes:
            self._put(_notes_of(name), html.notes(answer.notes.get(name, [])))
        self.code.value = as_code(answer)
        self.copy.value = str(html.copy_button(self.code.value))
        self.own.show(answer)
        self._put("gallery", html.cards(answer, self._open([card.image for card in answer.cards])))

    def _open(self, images: Sequence[Any]) -> list[str | None]:
        """Turn pictures into small data URIs, each opened once, side by side."""
        new = [image for image in images if id(image) not in self._pictures]
        with ThreadPoolExecutor(4) as pool:
            for image, uri in zip(new, pool.map(picture_uri, new), strict=True):
                self._pictures[id(image)] = (image, uri)  # the picture too, so that its id is not given to another
        return [self._pictures[id(image)][1] for image in images]

    def _make_widgets(self, texts: Mapping[str, str], templates: str, pooling: str) -> None:
        w, hint = self._w, "one prompt per line; \\n within one breaks it"
        self.boxes = {name: self._box(text, hint) for name, text in texts.items()}
        self.templates = self._box(templates, "empty: lines are prompts; or: a photo of a {}")
        self.pooling = w.Dropdown(options=POOLINGS, value=pooling, description="pooling", layout={"width": "180px"})
        self.back = w.Dropdown(options=[("go back to ...", 0)], layout={"width": "180px"})
        self.code = w.Textarea(rows=8, layout=WIDE)
        self.copy = w.HTML()
        self.file = w.Text(value="prompts.yaml", layout={"width": "220px"})
        self.save = w.Button(description="export to YAML", icon="save", layout={"width": "160px"})

    def _box(self, text: str, hint: str) -> Any:
        rows = min(6, max(1, len(text.splitlines())))
        return self._w.Textarea(value=text, placeholder=hint, rows=rows, continuous_update=True, layout=WIDE)

    def _on_typing(self, _: Any) -> None:
        self._later(ANSWER_AFTER, self.update)
        self._later(REMEMBER_AFTER, self.remember)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call when no key was pressed for so long; at once where no event loop runs (scripts and tests)."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            call()
            return
        if call in self._timers:
            self._timers[call].cancel()
        self._timers[call] = loop.call_later(seconds, call)

    def _on_back(self, change: Any) -> None:
        if not change["new"]:
            return
        answer = self.session.tried[change["new"] - 1]
        for name, texts in answer.prompts.texts.items():
            self.boxes[name].value = as_lines(texts)
        self.templates.value, self.pooling.value = "", answer.classifier.pooling
        self.back.value = 0

    def _on_save(self, _: Any) -> None:
        try:
            words = f"written: {save_prompts(self.answer, self.file.value)}"
        except (OSError, ValueError) as error:
            words = str(error)
        self._put("message", html.notes([words]))

    def _lay_out(self) -> Any:
        w, place = self._w, self._places
        stay = {"flex": "0 0 auto"}  # where the column is full it scrolls; boxes keep their height
        boxes = [
            w.VBox([w.HTML(str(html.label(name))), box, place[_notes_of(name)]], layout=stay)
            for name, box in self.boxes.items()
        ]
        for one in boxes:
            one.add_class("zsc-class")
        common = w.VBox([w.HTML(str(html.label("templates"))), self.templates, self.pooling], layout=stay)
        column = {"width": "36%", "min_width": "260px", "max_height": "520px", "overflow": "auto"}
        left = w.VBox([*boxes, common], layout=column)
        column = {"width": "63%", "min_width": "320px", "padding": "0 0 0 14px"}
        right = w.VBox([place["accuracy"], place["gallery"]], layout=column)
        top, tables = (w.HBox(pair, layout=WRAP) for pair in ([left, right], [place["recall"], place["confusion"]]))
        exports = w.HBox([self.back, self.copy, self.file, self.save], layout=WRAP)
        prompts = w.VBox([top, tables, place["history"], exports, place["message"], self.code])
        tabs = w.Tab(children=[prompts, self.own.widget], titles=["prompts", "your own picture"])
        return w.VBox([w.HTML(str(html.style())), place["about"], tabs])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Show the panel; where widgets do not live (GitHub), the newest answer as it stands."""
        shown: dict[str, Any] = dict(self.widget._repr_mimebundle_(**options) or {})
        page = "".join([str(html.style()), *(self.texts[name] for name in STILL)])
        return shown | {"text/plain": repr(self), "text/html": page}

    def __repr__(self) -> str:
        found = self.answer.evaluation
        result = in_short(found) if found else "no labels"
        return f"PromptExplorer({self.session.embeddings.dataset}, {self.session.model.name}: {result})"


class OwnPicture:
    """A file upload, the picture, and one bar per class; `widgets` is the ipywidgets module."""

    def __init__(self, widgets: Any) -> None:
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="a picture")
        self.picture, self.bars = widgets.HTML(), widgets.HTML(str(html.own_hint()))
        self.widget = widgets.VBox([self.upload, widgets.HBox([self.picture, self.bars], layout=WRAP)])
        self.embedded: ImageEmbeddings | None = None
        self.upload.observe(self._on_upload, "value")

    def show(self, answer: Answer) -> None:
        """Draw the bars of an answer, where there is a picture."""
        self.answer = answer
        if self.embedded is not None:
            proba = answer.classifier.predict_proba(self.embedded)[0]
            self.bars.value = str(html.own_bars(dict(zip(answer.classifier.class_names, proba, strict=True))))

    def take(self, content: bytes, name: str) -> None:
        """Embed a picture and show it, or the sentence that says why it cannot be opened."""
        try:
            picture = open_image(content, name=name)
        except ImageError as error:
            self.embedded, self.picture.value, self.bars.value = None, "", str(html.problem(str(error)))
            return
        self.embedded = self.answer.classifier.embed([picture])
        self.picture.value = str(html.own_picture(picture_uri(picture, LARGE), name))
        self.show(self.answer)

    def _on_upload(self, change: Any) -> None:
        for file in change["new"]:
            self.take(bytes(file["content"]), str(file["name"]))


def picture_uri(image: Any, size: int = PIXELS) -> str | None:
    """Make a small JPEG of a picture as a data URI; None where it cannot be opened."""
    pixels = thumbnail(image, size)
    if pixels is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def as_code(answer: Answer) -> str:
    """Write the Python lines that make the classifier of an answer again.

    Class names, prompts, models and data sets may hold any text: they become literals, or a comment of one line.
    """
    found, clf = answer.evaluation, answer.classifier
    about = f"{clf.model.name} on {found.made_by.dataset or 'pictures'}: {in_short(found)}" if found else ""
    options = f"model={_literal(clf.model.name)}, pooling={_literal(clf.pooling)}"
    if (clf.advice["warning"] == "too long").any():
        options += ", truncate=True"
    return "\n".join([
        "import zsc",
        "",
        *([f"# {printable(about)}"] if about else []),
        "prompts = zsc.ClassPrompts.from_texts({",
        *(f"    {_literal(name)}: {_literal(texts)}," for name, texts in answer.prompts.texts.items()),
        "})",
        f"clf = zsc.ZeroShotClassifier(prompts, {options})",
        "",
    ])  # fmt: skip


def _literal(value: str | Sequence[str]) -> str:
    """Write a text, or a list of texts, as Python reads it back; texts of other libraries become plain ones."""
    if isinstance(value, str):
        written = repr(str(value))
        return written if '"' in written else f'"{written[1:-1]}"'
    return f"[{', '.join(_literal(text) for text in value)}]"


def save_prompts(answer: Answer, path: str | Path) -> Path:
    """Write the prompts and their pooling to a new YAML or JSON file that `ClassPrompts.load` reads.

    Raises ValueError if the name has another ending, the folder is missing, or the file is there already.
    """
    path = expanded(str(path).strip())
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{printable(path.name) or 'no name'}: end the file's name with {', '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise ValueError(f"{printable(path)}: there is no folder {printable(path.parent)}; make it, or choose another.")
    if path.exists():
        raise ValueError(f"{printable(path)}: is there already; choose another name, or remove it first.")
    return answer.prompts.save(path)


def in_short(evaluation: Evaluation) -> str:
    """Say accuracy and interval."""
    low, high = evaluation.interval
    words = f"accuracy {evaluation.accuracy:.3f} ({evaluation.correct} of {evaluation.n})"
    return f"{words}, 95 % interval {low:.3f} to {high:.3f}"


def _notes_of(class_name: str) -> str:
    return f"notes of {class_name}"
