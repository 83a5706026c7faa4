"""The tokenizers behind one face: count the tokens, show where a text would be cut at `limit` tokens, and tokenize.

The literals `<|startoftext|>` and `<|endoftext|>` inside a text are the start and the end token, as in OpenAI's clip:
what follows an end is not seen.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from open_clip import tokenizer as open_clip_tokenizer

MULTILINGUAL = 100_000  # tokens: a vocabulary of one language has a third of them (CLIP 49,408), of many twice as many
ONE_AT_A_TIME = threading.Lock()  # a fast tokenizer of transformers keeps padding and truncation as its own state
CLEANING: dict[str, Callable[[str], str]] = {  # open_clip's: mended letters, no HTML, and what each name says
    name: open_clip_tokenizer.get_clean_fn(name) for name in ("canonicalize", "lower", "whitespace")
} | {"": str}
PLAIN = re.compile("[ -%'-~]*")  # printable ASCII without "&": there is nothing to mend, and no HTML


class BytePairTokenizer:
    """OpenAI's byte-pair tokens: start, text, end, zeros up to the limit (77 in every published CLIP).

    `codec` is a SimpleTokenizer, which encodes a text to ids and decodes ids to a text; `encoder` is its vocabulary.
    """

    def __init__(self, codec: Any, limit: int) -> None:
        self.codec, self.limit = codec, limit
        self.start, self.end = len(codec.encoder) - 2, len(codec.encoder) - 1
        self.vocabulary = len(codec.encoder)
        self._ids: dict[str, list[int]] = {}  # of each word that was met

    def __repr__(self) -> str:
        cleaning = next(name for name, clean in CLEANING.items() if clean == self.codec.clean_fn)
        return f"{len(self.codec.encoder)} byte pairs, {self.limit} per text, zeros after them, cleaning {cleaning}"

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize M texts as they are, start and end included: not padded, and not cut at the limit."""
        return [[self.start, *self._encoded(text), self.end] for text in texts]

    def _encoded(self, text: str) -> list[int]:
        """Return what `codec.encode` does; each word is looked up once, as a template repeats it a thousand times."""
        found, clean = list[int](), self.codec.clean_fn
        if clean == CLEANING["lower"] and PLAIN.fullmatch(text):
            clean = str.lower  # all that it does there, and 20 times as fast
        for word in self.codec.pat.findall(clean(text)):
            if word not in self._ids:
                letters = "".join(self.codec.byte_encoder[byte] for byte in word.encode())
                self._ids[word] = [self.codec.encoder[part] for part in self.codec.bpe(letters).split(" ")]
            found += self._ids[word]
        return found

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self._encoded(text)) + 2

    def kept(self, text: str) -> str:
        """Return the beginning of a text that fits the limit."""
        return str(self.codec.decode(self._encoded(text)[: self.limit - 2])).strip()

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Tokenize M texts to ids (M, limit)."""
        tokens = torch.zeros(len(texts), self.limit, dtype=torch.long)
        for row, text in zip(tokens, texts, strict=True):
            ids = [self.start, *self._encoded(text)[: self.limit - 2], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return tokens


def openai_codec() -> Any:
    """Build open_clip's SimpleTokenizer, with the two literals that OpenAI's has in the place of its own."""
    codec = open_clip_tokenizer.SimpleTokenizer()
    for theirs, openais in {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.items():
        codec.encoder[openais] = codec.encoder.pop(theirs)
        codec.decoder[codec.encoder[openais]] = openais
        codec.cache[openais] = codec.cache.pop(theirs).replace(theirs, openais)
        pattern = codec.pat.pattern.replace(theirs, re.escape(openais))
        codec.pat = open_clip_tokenizer.re.compile(pattern, open_clip_tokenizer.re.IGNORECASE)
    return codec


class LibraryTokenizer:
    """A tokenizer of transformers; a text is cleaned (a name in `CLEANING`) before the tokenizer sees it.

    Texts are padded to the longest of the batch, or all to the limit (`pad_to_limit`), as SigLIP was trained.
    """

    def __init__(self, tokenizer: Any, limit: int, *, pad_to_limit: bool = False, cleaning: str = "") -> None:
        self.tokenizer, self.limit, self.cleaning = tokenizer, limit, cleaning
        self.padding = "max_length" if pad_to_limit else True
        self.vocabulary = len(tokenizer)

    def __repr__(self) -> str:
        kind, cleaning = type(self.tokenizer).__name__, self.cleaning or "none"
        padded = "padded to this" if self.padding == "max_length" else "padded to the longest"
        return f"{kind} of {self.vocabulary} tokens, {self.limit} per text, {padded}, cleaning {cleaning}"

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize M texts as they are, start and end included: not padded, and not cut at the limit."""
        return list(self._tokens(texts, truncation=False, verbose=False)["input_ids"]) if len(texts) else []

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self.ids([text])[0])

    def kept(self, text: str) -> str:
        """Return the beginning of a text that fits the limit."""
        ids = self._tokens([text], truncation=True, max_length=self.limit)["input_ids"][0]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def __call__(self, texts: Sequence[str]) -> Any:
        """Tokenize M texts: tensors (M, length) by name."""
        return self._tokens(texts, padding=self.padding, truncation=True, max_length=self.limit, return_tensors="pt")

    def _tokens(self, texts: Sequence[str], **options: Any) -> Any:
        with ONE_AT_A_TIME:
            return self.tokenizer([CLEANING[self.cleaning](text) for text in texts], **options)
