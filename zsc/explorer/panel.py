"""PromptExplorer: the session as an ipywidgets panel for JupyterLab 4 and Notebook 7.

Answers come a moment after the last key; a try goes into the history, and into a file, when the reader has paused. What
is shown and what can be pressed follows from the newest answer and from what is at fault, in `_show`. Without a browser
the panel works as well: set a box, read `texts`.
"""

import asyncio
import importlib
import itertools
import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.checks import check_class_names, needed_for
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation
from zsc.explorer.session import ANY, WRONG_CLASS, Answer, AnyPrompts, ExplorerSession, as_code
from zsc.files import check_path, expanded, printable
from zsc.images import describe, open_image, picture_uri
from zsc.models.base import Encoder
from zsc.plots.maps import confused_pairs
from zsc.prompts import DEFAULT_TEMPLATE, POOLINGS
from zsc.report import PAGES

ANSWER_AFTER, REMEMBER_AFTER = 0.15, 1.5  # seconds without a key
PIXELS, LARGE = 96, 256  # a side of a card's picture, and of the reader's own
PAGE, MANY = 12, 12  # pictures of a page; so many classes get lists in place of a map
LIMIT = 10  # MB: what a Jupyter server takes in one message; a larger one is lost without a word
BESIDE = "beside the notebook"  # for `keep`
_NUMBER = itertools.count(1)


def bars_of(answer: Answer) -> pd.DataFrame:
    """Return a row for each class that has a bar, its place in `k`; of many classes the most telling first."""
    names, found = answer.result.class_names, answer.evaluation
    if found is None:
        table = answer.counts.sort_values(ascending=False, kind="stable").to_frame("n")
    else:  # the lowest recall first
        table = found.by_class.loc[lambda rows: rows["n"] > 0]
    table = table.assign(k=[names.index(name) for name in table.index])
    return table if len(table) > MANY else table.sort_values("k")


_KNOWN: dict[str, Any] = {"PIXELS": PIXELS, "MANY": MANY, "WRONG_CLASS": WRONG_CLASS}
_KNOWN |= {"confused_pairs": confused_pairs, "bars_of": bars_of}
html: Any = PAGES.get_template("explorer/panel.html.j2", globals=_KNOWN).module  # a macro for each place


class PromptExplorer:
    """Type prompts and see at once what they change on kept embeddings.

    With labels there is an accuracy, without there are the pictures that a class gets. `model` is the encoder that made
    the embeddings, or its name. `prompts` are what the boxes begin with, as `ZeroShotClassifier` takes them; None: the
    tutorial's first prompts for this data set, else "a photo of a {}" with the class names. `pooling` is the rule to
    begin with; None takes that of the prompts, else "mean".

    `keep` is a file for the tries; those that it holds are asked again, and the boxes begin with the last one unless
    prompts are given. By default, in a notebook, a file in its folder, whose tries a button brings back; None keeps
    nothing. `sealed` is the share of the pictures, such as 0.5, that judge only when a button is pressed; each look is
    counted, and `sealed` then holds the `Evaluation` of the last one.

    `session.history` is a table of what was tried, `answer` the newest answer; `fault` says why what is typed has none:
    the class at fault (None: no box in particular, "": the templates) and a sentence. `boxes` (by class name),
    `templates` and `pooling` are what to type into.
    """

    def __init__(
        self, embeddings: ImageEmbeddings, model: Encoder | str, prompts: AnyPrompts = None, *,
        pooling: str | None = None, keep: str | Path | None = BESIDE, sealed: float | None = None,
    ) -> None:  # fmt: skip
        with needed_for("the explorer", "widgets"):
            self._w: Any = importlib.import_module("ipywidgets")
        if int(self._w.__version__.partition(".")[0]) < 8:
            advice = "pip install 'ipywidgets>=8', then restart the kernel and load the page again."
            raise ImportError(f"the explorer needs ipywidgets>=8, this is {self._w.__version__}: {advice}")
        self.session = ExplorerSession(embeddings, model, prompts, sealed=sealed)
        if is_offered := keep == BESIDE:  # a script, or a test, keeps nothing
            about = self.session.model.fingerprint, embeddings.data_digest, len(embeddings), embeddings.class_names
            name = re.sub(r"[^A-Za-z0-9]+", "-", embeddings.dataset).strip("-")[:60] or "pictures"
            keep = f"{name}-{zlib.crc32(repr(about).encode()):08x}.tries.json" if asyncio._get_running_loop() else None
        self.keep = None if keep is None else expanded(keep)
        self._uri_of = cache(lambda row: picture_uri(self.session.embeddings.paths[row], PIXELS))
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._shown: list[Any] = []
        self.boxes: dict[str, Any] = {}
        self._is_busy, self._page, self._hidden = False, 0, f"zsc-still-{next(_NUMBER)}"
        self.answer = self.session.ask(*self.session.start, pooling or self.session.first.pooling)
        self.fault: tuple[str | None, str] | None = None
        self.sealed: Evaluation | None = None
        if self.keep and not is_offered and (last := self.session.load(self.keep)) and prompts is None:
            self.answer = last
        self._html: dict[str, Any] = defaultdict(self._w.HTML)  # by place; the notes of "" are those of the templates
        self._put("about", html.about(self.session))
        self.own = OwnPicture(self._w)
        self._make_widgets()
        self._restore(self.answer)
        self.remember()
        self._on(self.pooling, self._on_typing)
        for widget in (self.true, self.said, self.order):
            self._on(widget, lambda: self._turn(-self._page))
        self._on(self.back, lambda: self._restore([self.answer, *self.session.tried][self.back.value]))

    @property
    def texts(self) -> dict[str, str]:
        """The HTML that is shown, by place: about, accuracy, recall, ..., and "notes of <class>" for each class."""
        return {place: str(widget.value) for place, widget in self._html.items()}

    def update(self) -> None:
        """Ask for what stands in the boxes, and show the answer, or the sentence that says why it is missing."""
        if waiting := self._timers.pop(self.update, None):
            waiting.cancel()
        try:
            self.answer, self.fault = self.session.ask(self._typed(), self.templates.value, self.pooling.value), None
        except Exception as error:  # whatever a model raises: the old answer must not stand for the new one
            self.fault = getattr(error, "box", None), _sentence(error)
        self._show()

    def remember(self) -> None:
        """Write the newest answer into the history, keep the tries, and bring the displayed still form up to date."""
        self.session.remember(self.answer)
        kept = f"The tries are kept in {printable(self.keep)}." if self.keep else ""
        if self.keep and len(self.session.tried) > 1:
            try:
                self.session.save(self.keep)
            except (OSError, ValueError) as error:
                kept = f"The tries are not kept: {error}"
        self._put("history", html.history(self.session, kept))
        self._show_place()
        for shown in self._shown:
            shown.update(self._still(), raw=True)

    def add_class(self, name: str, text: str = "") -> None:
        """Add a class with a box; without a text it begins with the name, as the first boxes did."""
        text = text or (name if self.templates.value else DEFAULT_TEMPLATE.replace("{}", name))
        self._set_classes([*self._typed().items(), (name, text)])

    def leave_out(self, name: str) -> None:
        """Take a class away; with labels, its pictures do not count until it is added again."""
        self._set_classes([(one, text) for one, text in self._typed().items() if one != name])

    def rename(self, name: str, new: str) -> None:
        """Call a class otherwise; its text and its pictures stay."""
        self._set_classes([(new if one == name else one, text) for one, text in self._typed().items()], name, new)

    def export(self, path: str | Path, **options: Any) -> Path:
        """Write the panel as one HTML page that begins with the newest answer; see `ExplorerSession.export`."""
        return self.session.export(path, self.answer, **options)

    def _typed(self) -> dict[str, str]:
        return {name: box.value for name, box in self.boxes.items()}

    def _set_classes(self, classes: Sequence[tuple[str, str]], *renamed: str) -> None:
        check_class_names([name for name, _ in classes], name="the list of classes")
        if renamed:
            self.session.rename(*renamed)
        self._set_boxes(dict(classes))
        self.update()
        self.remember()

    def _restore(self, answer: Answer) -> None:
        """Put what was typed for an answer into the boxes again."""
        self._set_boxes(answer.texts)
        self._set(self.templates, value=answer.templates)
        self._set(self.pooling, value=answer.classifier.pooling)
        self.answer, self.fault = answer, None
        self._show()

    def _set_boxes(self, texts: Mapping[str, str]) -> None:
        """Show one box per class; those that are there already stay the same ones."""
        for name in self.boxes.keys() - texts.keys():
            del self._html[f"notes of {name}"]
        self.boxes = {name: self.boxes.get(name) or self._box(text, name) for name, text in texts.items()}
        for name, text in texts.items():
            self._set(self.boxes[name], value=text)
        pairs = [(box, self._html[f"notes of {name}"]) for name, box in self.boxes.items()]
        self._column.children = [self._w.VBox(pair).add_class("zsc-class") for pair in pairs]
        self._set(self.which, options=[(printable(name), name) for name in self.boxes], value=next(iter(self.boxes)))

    def _set(self, widget: Any, **traits: Any) -> None:
        """Change a widget without acting on it."""
        self._is_busy = True
        for name, value in traits.items():
            setattr(widget, name, value)
        self._is_busy = False

    def _on(self, widget: Any, call: Callable[[], None]) -> None:
        """Call when the reader has changed a widget's value."""
        widget.observe(lambda _: None if self._is_busy else self._safely(call), "value")

    def _put(self, place: str, shown: object) -> None:
        self._html[place].value = str(shown)

    def _show(self) -> None:
        """Show the answer, or what is at fault and the answer before; the pictures last, as they have to be opened."""
        answer, (at_fault, sentence) = self.answer, self.fault or (None, "")
        is_old = self.fault is not None
        self._put("accuracy", html.accuracy(answer, sentence))
        self._put("recall", html.recall(answer, is_old))
        self._put("confusion", html.confusion(answer, is_old))
        for name, box in {**self.boxes, "": self.templates}.items():
            is_wrong = is_old and name == at_fault
            notes = [sentence] if is_wrong else [] if is_old else answer.notes.get(name)
            self._put(f"notes of {name}", html.notes(notes))
            (box.add_class if is_wrong else box.remove_class)("zsc-wrong")
        self.code.value = "" if is_old else as_code(answer)
        self.copy.value = str(html.copy_button(self.code.value))
        self.save.disabled = self.unseal.disabled = is_old
        self._put("message", html.message(""))
        self._show_place()
        self.own.show(answer, is_old)
        classes = [(printable(name), k) for k, name in enumerate(answer.result.class_names)]
        wrong = [("a wrong class", WRONG_CLASS)] if answer.evaluation else []
        for one, first in ((self.true, []), (self.said, wrong)):
            self._set(one, options=[*first, ("any class", ANY), *classes])  # other ones choose the first of them
        self._show_gallery()

    def _show_place(self) -> None:
        """Say in the list of tries which one is looked at."""
        tries = [(f"try {k}: {one.in_short}", k) for k, one in enumerate(self.session.tried, 1)]
        places = {one.prompts: k for k, one in enumerate(self.session.tried, 1)}
        place = 0 if self.fault else places.get(self.answer.prompts, 0)
        self._set(self.back, options=[("what is typed", 0), *tries], value=place)

    def _show_gallery(self) -> None:
        rows = self.answer.rows(self.true.value, self.said.value, unsure=self.order.value)
        last = max(0, len(rows) - 1) // PAGE
        self._page = min(max(self._page, 0), last)
        first = self._page * PAGE
        cards = self._open(self.answer.show(rows[first : first + PAGE]))
        self._put("gallery", html.gallery(self, first, len(rows), cards))
        self.earlier.disabled, self.later.disabled = self._page == 0, self._page == last

    def _open(self, cards: pd.DataFrame) -> list[tuple[Any, str | None]]:
        """Put beside each row of cards its picture as a small data URI, each opened once, side by side."""
        with ThreadPoolExecutor(4) as pool:
            return [*zip(cards.itertuples(), pool.map(self._uri_of, cards["row"]), strict=True)]

    def _make_widgets(self) -> None:
        w, place, has_labels = self._w, self._html, bool(self.session.labels)
        kept = [] if self.session.tried or not self.keep else self.session.tries_in(self.keep)
        self.templates = self._box("", "templates")
        self.pooling = w.Dropdown(options=POOLINGS, description="pooling")
        self.back, self.which = w.Dropdown(description="go back to"), w.Dropdown(description="class")
        self.reload = self._button(f"bring back {len(kept)} kept tries", self._bring_back, bool(kept))
        self.code = w.Textarea(rows=8, disabled=True, description="code").add_class("zsc-box")
        self.copy = w.HTML()
        self.file = w.Text(value="prompts.yaml", description="file")
        self.save = self._button("export to YAML", self._on_save)
        self.unseal = self._button("open the sealed pictures", self._on_unseal, bool(self.session.sealed))
        self.true = w.Dropdown(options=[("any class", ANY)], description="pictures of").add_class("zsc-true")
        self.true.layout.display = "" if has_labels else "none"
        self.said = w.Dropdown(options=[("any class", ANY)], description="said to be").add_class("zsc-said")
        orders = [("most sure first", False), ("least sure first", True)]
        self.order = w.Dropdown(options=orders, value=not has_labels, description="order")
        self.earlier = self._button("earlier", lambda: self._turn(-1))
        self.later = self._button("more", lambda: self._turn(1))
        self.name = w.Text(description="name", placeholder="of a new class, or a new name")
        self._changes = [
            self._button("add", lambda: self.add_class(self.name.value.strip())),
            self._button("rename", lambda: self.rename(self.which.value, self.name.value.strip())),
            self._button("leave out", lambda: self.leave_out(self.which.value)),
        ]
        self._column = w.VBox().add_class("zsc-boxes")
        change = w.HBox([self.which, self.name, *self._changes])
        hint = w.HTML(str(html.hint()))
        left = w.VBox([self._column, self.templates, place["notes of "], hint, self.pooling, change])
        lists = w.HBox([self.true, self.said, self.order, self.earlier, self.later])
        right = w.VBox([place["accuracy"], lists, place["gallery"]])
        top = w.HBox([left.add_class("zsc-left"), right.add_class("zsc-right")])
        tables = w.HBox([place["recall"], place["confusion"]])
        exports = w.HBox([self.back, self.reload, self.copy, self.file, self.save, self.unseal])
        prompts = w.VBox([top, tables, place["history"], exports, place["message"], self.code])
        tabs = w.Tab(children=[prompts, self.own.widget], titles=["prompts", "your own picture"])
        self.widget = w.VBox([w.HTML(str(html.style(self._hidden))), place["about"], tabs]).add_class("zsc-panel")

    def _button(self, words: str, call: Callable[[], None], is_shown: bool = True) -> Any:
        button = self._w.Button(description=words, layout={"display": "" if is_shown else "none"})
        button.on_click(lambda _: self._press(button, call))
        return button

    def _press(self, button: Any, call: Callable[[], None]) -> None:
        """Answer what was typed a moment ago, then act, unless there is a fault: the click may have been on its way."""
        if self.update in self._timers:
            self.update()
        if not button.disabled:
            self._safely(call)

    def _box(self, text: str, name: str) -> Any:
        rows, shown = min(6, max(1, len(text.splitlines()))), printable(name)
        hint = {"placeholder": "one prompt per line; \\n within one breaks it", "tooltip": shown}
        box = self._w.Textarea(value=text, description=shown, rows=rows, **hint)
        self._on(box, self._on_typing)
        return box.add_class("zsc-box")

    def _on_typing(self) -> None:
        """Answer and remember when no key was pressed for so long; at once without an event loop (scripts, tests)."""
        loop = asyncio._get_running_loop()  # None in a script
        for seconds, call in ((ANSWER_AFTER, self.update), (REMEMBER_AFTER, self.remember)):
            if call in self._timers:
                self._timers.pop(call).cancel()
            if loop:
                self._timers[call] = loop.call_later(seconds, self._safely, call)
            else:
                self._safely(call)

    def _safely(self, call: Callable[[], None]) -> None:
        """Call what a reader asked for; whatever goes wrong becomes one sentence."""
        try:
            call()
        except Exception as error:
            self._put("message", html.message(_sentence(error), True))

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._show_gallery()

    def _bring_back(self) -> None:
        self._restore((self.keep and self.session.load(self.keep)) or self.answer)
        self.reload.layout.display = "none"
        self.remember()

    def _on_save(self) -> None:
        path = check_path(self.file.value.strip(), (".yaml", ".yml", ".json"), "a file of prompts")
        if path.exists():
            raise ValueError(f"{printable(path)}: is there already; choose another name, or remove it first.")
        self._put("message", html.message(f"written: {self.answer.prompts.save(path).resolve()}"))

    def _on_unseal(self) -> None:
        self.remember()
        self.sealed = found = self.session.unseal(self.answer)
        self._put("message", html.sealed(found, **found.made_by.other))

    def _still(self) -> dict[str, str]:
        """Write down the newest answer as it stands, for where widgets do not live."""
        page = html.still(self.session, self.answer, self._open(self.answer.cards[: PAGE // 2]), self._hidden)
        return {"text/html": str(page), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Show the panel, and beside it the still form: it hides while the panel lives, and is kept up to date."""
        display = importlib.import_module("IPython.display").display
        display(self.widget._repr_mimebundle_() | {"text/plain": repr(self)}, raw=True)
        if handle := display(self._still(), raw=True, display_id=True):
            self._shown.append(handle)

    def __repr__(self) -> str:
        return f"PromptExplorer({self.session.embeddings.dataset}, {self.session.model.name}: {self.answer.in_short})"


class OwnPicture:
    """An upload, a box for a path or URL, the picture, and one bar per class; `widgets` is the ipywidgets module."""

    def __init__(self, widgets: Any) -> None:
        self._w = widgets
        self.path = widgets.Text(description="or a path or URL", continuous_update=False)
        self.again = widgets.Button(description="nothing happened?")
        self.shown, self._row = widgets.HTML(), widgets.HBox()
        self.widget = widgets.VBox([widgets.HTML(str(html.own_hint(LIMIT))), self._row, self.shown])
        self.renew()
        self.path.observe(lambda change: self.take(change["new"].strip()), "value")
        self.again.on_click(lambda _: self.renew(str(html.too_large(LIMIT))))

    def renew(self, said: str = "") -> None:
        """Make a new upload button: one whose message was too large for the server waits for ever."""
        self.embedded: ImageEmbeddings | None = None
        self.shown.value = said
        self.upload = self._w.FileUpload(accept="image/*", multiple=False, description="a picture", tooltip="a picture")
        self.upload.observe(self._on_upload, "value")
        self._row.children = [self.upload, self.path, self.again]

    def show(self, answer: Answer, is_old: bool = False) -> None:
        """Show the picture, where there is one, with the bars of an answer."""
        self.answer = answer
        if self.embedded is not None:
            proba = answer.classifier.predict_proba(self.embedded)[0].tolist()
            classes = dict(zip(answer.classifier.class_names, proba, strict=True))
            self.shown.value = str(html.own(*self._picture, classes, is_old))

    def take(self, source: Any, name: str = "") -> None:
        """Embed a picture (bytes, a path, a URL) and show it, or the sentence that says why it cannot be opened."""
        if source == "":  # the box was emptied
            return
        name = name or describe(source)
        self.embedded, self.shown.value = None, ""
        try:
            picture = open_image(source, name=name)
            self._picture = name, picture_uri(picture, LARGE)
            self.embedded = self.answer.classifier.embed([picture])
            self.show(self.answer)
        except Exception as error:  # what a decoder or a model raises
            self.shown.value = str(html.message(_sentence(error), True))

    def _on_upload(self, change: Any) -> None:
        for file in change["new"]:
            self.take(bytes(file["content"]), str(file["name"]))


def _sentence(error: Exception) -> str:
    """Say what went wrong; the trace of what zsc did not foresee goes to the log."""
    if isinstance(error, (ValueError, OSError)) and str(error):
        return str(error)
    logging.getLogger("zsc").error("the explorer", exc_info=error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
