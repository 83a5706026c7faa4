"""The tokenizers behind one face: count the tokens, show where a text would be cut, and tokenize.

`BytePairTokenizer` wraps the SimpleTokenizer of OpenAI's clip or of open_clip; `LibraryTokenizer` one of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


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
    """

    def __init__(self, tokenizer: Any, limit: int, *, pad_to_limit: bool = False) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        self.padding = "max_length" if pad_to_limit else True

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self.tokenizer(text, truncation=False, verbose=False)["input_ids"])

    def kept(self, text: str) -> str:
        """Give the beginning of a text that fits the limit."""
        ids = self.tokenizer(text, truncation=True, max_length=self.limit)["input_ids"]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Tokenize M texts, cutting what is over the limit; tensors (M, length) by name."""
        return dict(
            self.tokenizer(
                list(texts), padding=self.padding, truncation=True, max_length=self.limit, return_tensors="pt"
            )
        )
