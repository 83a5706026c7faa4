"""PromptExplorer: the session as an ipywidgets panel for JupyterLab 4 and Notebook 7.

ipywidgets is imported when a panel is made. Answers come a moment after the last key; a try goes into the history when
the reader has paused. Without a browser the panel works as well: set a box, read the session.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from zsc.embeddings import ImageEmbeddings
from zsc.explorer import html
from zsc.explorer.export import as_code, in_short, save_prompts
from zsc.explorer.own import OwnPicture
from zsc.explorer.session import Answer, ExplorerSession, as_lines
from zsc.prompts import POOLINGS, ClassPrompts

if TYPE_CHECKING:
    from zsc.models import Encoder

ANSWER_AFTER, REMEMBER_AFTER = 0.25, 1.5  # seconds without a key
WIDE, WRAP = {"width": "98%"}, {"flex_flow": "row wrap"}


class PromptExplorer:
    """Type prompts and see at once what they change on kept embeddings.

    Parameters
    ----------
    embeddings
        Of N pictures; with labels there is an accuracy, without there are the pictures a class gets.
    model
        The encoder that made them, or its name.
    prompts
        What the boxes begin with; None: the tutorial's first prompts for this data set, else "a photo of a {}".
    pooling
        The rule to begin with; None takes that of the prompts, else "mean".

    Attributes
    ----------
    session
        Asks and remembers; `session.history` is a table of what was tried.
    answer
        The newest `Answer`: its `evaluation`, its `prompts`.
    boxes, templates, pooling
        The widgets to type into, `boxes` by class name.

    Raises
    ------
    ImportError
        If ipywidgets is not installed.
    ValueError
        If embeddings, model and prompts do not fit together.
    """

    def __init__(
        self,
        embeddings: ImageEmbeddings,
        model: Encoder | str,
        prompts: ClassPrompts | Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
        *,
        pooling: str | None = None,
    ) -> None:
        self._w = load_ipywidgets()
        self.session = ExplorerSession(embeddings, model, prompts)
        self._pictures: dict[int, tuple[Any, str | None]] = {}
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        texts, templates = self.session.start
        self._make_inputs(texts, templates, pooling or self.session.first.pooling or "mean")
        self._outputs = {
            name: self._w.HTML() for name in ("accuracy", "recall", "confusion", "gallery", "history", "message")
        }
        self._make_exports()
        self.own = OwnPicture(self._w, self.session)
        self.answer = self._ask()  # a wrong model or wrong classes end here, not in a widget
        self._show(self.answer)
        self.remember()
        self._listen()
        self.widget = self._lay_out()

    def update(self) -> None:
        """Ask for what stands in the boxes, and show the answer, or the sentence that says why there is none."""
        try:
            self.answer = self._ask()
        except (TypeError, ValueError) as error:
            self._outputs["accuracy"].value = html.problem(str(error))
            return
        self._show(self.answer)

    def remember(self) -> None:
        """Write the newest answer into the history."""
        self.session.remember(self.answer)
        self._outputs["history"].value = html.history(self.session.history)
        tries = [(f"try {k}", k) for k in range(1, 1 + len(self.session.tried))]
        self.back.options = [("go back to ...", 0), *tries]

    def _ask(self) -> Answer:
        texts = {name: box.value for name, box in self.boxes.items()}
        return self.session.ask(texts, self.templates.value, self.pooling.value)

    def _show(self, answer: Answer) -> None:
        """Show the numbers first: the pictures of the gallery may have to be opened."""
        out = self._outputs
        out["accuracy"].value = html.accuracy(answer)
        out["recall"].value, out["confusion"].value = html.recalls(answer), html.confusion(answer)
        for name, line in self._notes.items():
            line.value = html.notes(answer.notes.get(name, []))
        self.code.value = as_code(answer)
        self.copy.value = html.copy_button(self.code.value)
        self.own.show(answer)
        out["gallery"].value = html.cards(answer, self._open([card.image for card in answer.cards]))

    def _open(self, images: Sequence[Any]) -> list[str | None]:
        """Give pictures as small data URIs, each opened once, side by side."""
        new = [image for image in images if id(image) not in self._pictures]
        with ThreadPoolExecutor(4) as pool:
            for image, uri in zip(new, pool.map(html.picture_uri, new), strict=True):
                self._pictures[id(image)] = (image, uri)  # the picture too: so its id is not given to another
        return [self._pictures[id(image)][1] for image in images]

    def _make_inputs(self, texts: Mapping[str, str], templates: str, pooling: str) -> None:
        w = self._w
        self.boxes = {
            name: self._box(text, "one prompt per line; \\n within one breaks it") for name, text in texts.items()
        }
        self.templates = self._box(templates, "empty: lines are prompts; or: a photo of a {}")
        self.pooling = w.Dropdown(options=POOLINGS, value=pooling, description="pooling", layout={"width": "180px"})
        self._notes = {name: w.HTML() for name in texts}
        self.back = w.Dropdown(options=[("go back to ...", 0)], layout={"width": "180px"})

    def _box(self, text: str, hint: str) -> Any:
        rows = min(6, max(1, len(text.splitlines())))
        return self._w.Textarea(value=text, placeholder=hint, rows=rows, continuous_update=True, layout=WIDE)

    def _make_exports(self) -> None:
        w = self._w
        self.code = w.Textarea(rows=8, layout=WIDE)
        self.copy = w.HTML()
        self.file = w.Text(value="prompts.yaml", layout={"width": "220px"})
        self.save = w.Button(description="export to YAML", icon="save", layout={"width": "160px"})

    def _listen(self) -> None:
        for widget in (*self.boxes.values(), self.templates, self.pooling):
            widget.observe(self._on_typing, "value")
        self.back.observe(self._on_back, "value")
        self.save.on_click(self._on_save)

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
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a ~user whom nobody knows
            words = str(error)
        self._outputs["message"].value = html.notes([words])

    def _lay_out(self) -> Any:
        w, out = self._w, self._outputs
        about = w.HTML(html.STYLE + html.about(self.session))
        rows = [(html.label(name), box, self._notes[name]) for name, box in self.boxes.items()]
        stay = {"flex": "0 0 auto"}  # where the column is full it scrolls; boxes keep their height
        boxes = [w.VBox([w.HTML(name), box, notes], layout=stay) for name, box, notes in rows]
        for one in boxes:
            one.add_class("zsc-class")
        common = w.VBox([w.HTML(html.label("templates")), self.templates, self.pooling], layout=stay)
        left = w.VBox([*boxes, common], layout={"width": "36%", "min_width": "260px", "max_height": "520px"})
        left.layout.overflow = "auto"
        right = w.VBox([out["accuracy"], out["gallery"]], layout={"width": "63%", "min_width": "320px"})
        right.layout.padding = "0 0 0 14px"
        top, tables = (w.HBox(pair, layout=WRAP) for pair in ([left, right], [out["recall"], out["confusion"]]))
        exports = w.HBox([self.back, self.copy, self.file, self.save], layout=WRAP)
        prompts = w.VBox([top, tables, out["history"], exports, out["message"], self.code])
        tabs = w.Tab(children=[prompts, self.own.widget], titles=["prompts", "your own picture"])
        return w.VBox([about, tabs])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Show the panel; where widgets do not live (GitHub), the newest answer as it stands."""
        shown: dict[str, Any] = dict(self.widget._repr_mimebundle_(**options) or {})
        still = ("accuracy", "recall", "confusion", "gallery", "history")
        page = html.STYLE + html.about(self.session) + "".join(self._outputs[name].value for name in still)
        return shown | {"text/plain": repr(self), "text/html": page}

    def __repr__(self) -> str:
        found = self.answer.evaluation
        result = in_short(found) if found else "no labels"
        return f"PromptExplorer({self.session.embeddings.dataset}, {self.session.model.name}: {result})"


def load_ipywidgets() -> Any:
    """Import ipywidgets.

    Raises
    ------
    ImportError
        If it is missing; one sentence that says how to get it.
    """
    try:
        return importlib.import_module("ipywidgets")
    except ImportError as error:
        raise ImportError("the explorer needs ipywidgets: pip install 'ipywidgets>=8'.") from error
