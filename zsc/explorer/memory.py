"""An encoder that encodes each text once: what makes the explorer's next answer quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zsc.models import Encoder


class TextMemory:
    """An encoder that encodes each text once, and is the given one in everything else.

    Parameters
    ----------
    model
        The encoder.
    """

    def __init__(self, model: Encoder) -> None:
        self.model = model
        self.known: dict[str, np.ndarray] = {}

    def __getattr__(self, name: str) -> Any:
        if "model" not in self.__dict__:  # copying and unpickling ask before there is one
            raise AttributeError(name)
        return getattr(self.model, name)

    def encode_texts(self, texts: Sequence[str], *, truncate: bool = False) -> np.ndarray:
        """Embed M texts as (M, D), taking the rows of known ones from memory."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            self.known |= dict(zip(new, self.model.encode_texts(new, truncate=truncate), strict=True))
        return np.stack([self.known[text] for text in texts])
