"""The explorer's second tab: one picture of the reader's own, and its bars for the prompts in the boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from zsc.explorer import html
from zsc.explorer.session import Answer, ExplorerSession
from zsc.images import ImageError

LARGE = 256


class OwnPicture:
    """A file upload, the picture, and a bar a class.

    Parameters
    ----------
    widgets
        The ipywidgets module.
    session
        Embeds the picture.
    """

    def __init__(self, widgets: Any, session: ExplorerSession) -> None:
        self.session = session
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="a picture")
        self.picture, self.bars = widgets.HTML(), widgets.HTML(html.own_hint())
        shown = widgets.HBox([self.picture, self.bars], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([self.upload, shown])
        self.embedded: np.ndarray | None = None
        self.answer: Answer | None = None
        self.upload.observe(self._on_upload, "value")

    def show(self, answer: Answer) -> None:
        """Draw the bars of an answer, where there is a picture."""
        self.answer = answer
        if self.embedded is not None:
            self.bars.value = html.own_bars(self.session.picture_proba(answer, self.embedded))

    def take(self, content: bytes, name: str) -> None:
        """Embed a picture and show it, or the sentence that says why it cannot be opened."""
        try:
            self.embedded = self.session.embed_picture(content)
        except ImageError as error:
            self.embedded, self.picture.value = None, ""
            self.bars.value = html.problem(str(error).replace(f"{len(content)} bytes in memory", name))
            return
        self.picture.value = html.own_picture(content, name, LARGE)
        if self.answer is not None:
            self.show(self.answer)

    def _on_upload(self, change: Any) -> None:
        for file in change["new"]:
            self.take(bytes(file["content"]), str(file["name"]))
