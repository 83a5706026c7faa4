"""The tokenizers behind one face: count the tokens, show where a text would be cut, and tokenize.

`BytePairTokenizer` wraps the SimpleTokenizer of OpenAI's clip or of open_clip; `LibraryTokenizer` one of transformers.
The literals `<|startoftext|>` and `<|endoftext|>` inside a text are read as OpenAI's clip reads them: as the start and
the end token, so that what follows an end is not seen.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

_LITERALS = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}  # open_clip's, and OpenAI's
ONE_AT_A_TIME = threading.Lock()  # a fast tokenizer of transformers keeps padding and truncation as its own state


class BytePairTokenizer:
    """OpenAI's byte-pair tokens: start, text, end, zeros up to the limit (77 in every published CLIP).

    Parameters
    ----------
    codec
        A SimpleTokenizer: `encode` a text to ids, `decode` ids to a text, and `encoder`, its vocabulary.
    limit
        The longest sequence, start and end included.
    """

    def __init__(self, codec: Any, limit: int) -> None:
        self.codec = codec
        self.limit = limit
        self.start, self.end = len(codec.encoder) - 2, len(codec.encoder) - 1

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self.codec.encode(text)) + 2

    def kept(self, text: str) -> str:
        """Give the beginning of a text that fits the limit."""
        return str(self.codec.decode(self.codec.encode(text)[: self.limit - 2])).strip()

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Tokenize M texts to ids (M, limit), cutting what is over the limit."""
        tokens = torch.zeros(len(texts), self.limit, dtype=torch.long)
        for row, text in enumerate(texts):
            ids = [self.start, *self.codec.encode(text)[: self.limit - 2], self.end]
            tokens[row, : len(ids)] = torch.tensor(ids)
        return tokens


def openai_codec(library: str) -> Any:
    """Give the SimpleTokenizer of a library, "clip" or "open_clip", as OpenAI's reads texts."""
    if library == "clip":
        return importlib.import_module("clip.simple_tokenizer").SimpleTokenizer()
    open_clip = importlib.import_module("open_clip.tokenizer")
    codec = open_clip.SimpleTokenizer()
    for theirs, openais in _LITERALS.items():
        number = codec.encoder[openais] = codec.encoder.pop(theirs)
        codec.decoder[number] = openais
        codec.cache = {**codec.cache, openais: openais}
        codec.pat = open_clip.re.compile(codec.pat.pattern.replace(theirs, re.escape(openais)), open_clip.re.IGNORECASE)
        del codec.cache[theirs]
    return codec


def clean_as_openai(text: str) -> str:
    """Clean a text as CLIP's own tokenizer does first: letters mended, HTML undone, white space, lower case."""
    cleaned: str = importlib.import_module("open_clip.tokenizer").get_clean_fn("lower")(text)
    return cleaned


class LibraryTokenizer:
    """A tokenizer of transformers.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    limit
        The longest sequence that the text encoder takes.
    pad_to_limit
        Pad every text to the limit, as SigLIP was trained; else to the longest of the batch.
    clean
        What is done to a text before the tokenizer sees it; None leaves it to the tokenizer alone.
    """

    def __init__(
        self, tokenizer: Any, limit: int, *, pad_to_limit: bool = False, clean: Callable[[str], str] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        self.padding = "max_length" if pad_to_limit else True
        self.clean = clean

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self._tokens([text], truncation=False, verbose=False)["input_ids"][0])

    def kept(self, text: str) -> str:
        """Give the beginning of a text that fits the limit."""
        ids = self._tokens([text], truncation=True, max_length=self.limit)["input_ids"][0]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def __call__(self, texts: Sequence[str]) -> Any:
        """Tokenize M texts, cutting what is over the limit; tensors (M, length) by name."""
        return dict(
            self._tokens(texts, padding=self.padding, truncation=True, max_length=self.limit, return_tensors="pt")
        )

    def _tokens(self, texts: Sequence[str], **options: Any) -> Any:
        cleaned = [self.clean(text) if self.clean else text for text in texts]
        with ONE_AT_A_TIME:
            return self.tokenizer(cleaned, **options)
