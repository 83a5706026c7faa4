"""The tokenizers behind one face: count the tokens, show where a text would be cut at `limit` tokens, and tokenize.

The literals `<|startoftext|>` and `<|endoftext|>` inside a text are the start and the end token, as in OpenAI's clip:
what follows an end is not seen.
"""

import html
import string
import threading
from collections.abc import Callable, Sequence
from typing import Any

import ftfy
import numpy as np
import regex

MULTILINGUAL = 100_000  # tokens: a vocabulary of one language has a third of them (CLIP 49,408), of many twice as many
ONE_AT_A_TIME = threading.Lock()  # a fast tokenizer of transformers keeps padding and truncation as its own state
PLAIN = regex.compile("[ -%'-~]*")  # printable ASCII without "&": there is nothing to mend, and no HTML
LITERALS = ("<|startoftext|>", "<|endoftext|>")  # OpenAI's names of the two ends; open_clip's are others
_UNPUNCTUATED = str.maketrans("", "", string.punctuation)


def mended(text: str) -> str:
    """Mend letters that were decoded wrongly, turn HTML's names into letters, and make every white space one blank."""
    text = text if PLAIN.fullmatch(text) else html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split())


CLEANING: dict[str, Callable[[str], str]] = {  # what is done to a text before it is tokenized, in open_clip's words
    "": str,
    "whitespace": mended,  # openai/CLIP, clip/simple_tokenizer.py, but for the capitals
    "lower": lambda text: mended(text).lower(),
    "canonicalize": lambda text: " ".join(mended(text).replace("_", " ").translate(_UNPUNCTUATED).lower().split()),
}


class Tokenizer:
    """What every tokenizer has: `limit` tokens of a text at most, `ids`, `kept`, and a call that makes tokens."""

    limit: int
    ids: Callable[[Sequence[str]], list[list[int]]]

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""
        return len(self.ids([text])[0])


class BytePairTokenizer(Tokenizer):
    """CLIP's byte-pair tokens (openai/CLIP): start, text, end, zeros up to the limit (77 in every published CLIP).

    `merges` are pairs of parts "a b" that become one, the most frequent first; the ids follow from them. `literals` are
    how a text may spell start and end.
    """

    def __init__(self, merges: Sequence[str], limit: int, cleaning: str = "lower", literals: Any = LITERALS) -> None:
        from tokenizers.models import BPE

        self.merges, self.limit, self.cleaning, self.literals = list(merges), limit, cleaning, tuple(literals)
        pairs = [(first, second) for first, second in map(str.split, self.merges)]
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that stand for themselves
        others = sorted(set(range(256)) - set(shown))
        self.letters = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(others)}
        parts = [part + end for end in ("", "</w>") for part in self.letters.values()]
        self.names = [*parts, *map("".join, pairs), *self.literals]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.bpe = BPE(self.numbers, pairs, end_of_word_suffix="</w>")
        self.vocabulary = len(self.names)
        self.start, self.end = self.vocabulary - 2, self.vocabulary - 1
        kinds = ["'s|'t|'re|'ve|'m|'ll|'d", r"[\p{L}]+", r"[\p{N}]", r"[^\s\p{L}\p{N}]+"]
        self.words = regex.compile("|".join([*map(regex.escape, self.literals), *kinds]), regex.IGNORECASE)
        self._ids: dict[str, list[int]] = {}  # of each word that was met

    def __repr__(self) -> str:
        return f"{self.vocabulary} byte pairs, {self.limit} per text, zeros after them, cleaning {self.cleaning}"

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize M texts as they are, start and end included: not padded, and not cut at the limit."""
        return [[self.start, *self._encoded(text), self.end] for text in texts]

    def _encoded(self, text: str) -> list[int]:
        """Tokenize a text; each word is merged once, as a template repeats it a thousand times."""
        found = list[int]()
        for word in self.words.findall(CLEANING[self.cleaning](text)):
            if word not in self._ids:
                merged = self.bpe.tokenize("".join(self.letters[byte] for byte in word.encode()))
                self._ids[word] = [self.numbers[word]] if word in self.literals else [part.id for part in merged]
            found += self._ids[word]
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, a blank after each word."""
        letters, bytes_of = "".join(self.names[i] for i in ids), {letter: byte for byte, letter in self.letters.items()}
        return bytes(bytes_of[letter] for letter in letters).decode(errors="replace").replace("</w>", " ")

    def kept(self, text: str) -> str:
        """Return the beginning of a text that fits the limit."""
        return self.decode(self._encoded(text)[: self.limit - 2]).strip()

    def padded(self, texts: Sequence[str]) -> np.ndarray:
        """Tokenize M texts to ids (M, limit), int64."""
        tokens = np.zeros((len(texts), self.limit), np.int64)
        for row, text in zip(tokens, texts, strict=True):
            ids = [self.start, *self._encoded(text)[: self.limit - 2], self.end]
            row[: len(ids)] = ids
        return tokens

    def __call__(self, texts: Sequence[str]) -> Any:
        """Tokenize M texts to a tensor of ids (M, limit)."""
        import torch

        return torch.from_numpy(self.padded(texts))


def as_byte_pairs(codec: Any, literals: Sequence[str] = ("<start_of_text>", "<end_of_text>")) -> BytePairTokenizer:
    """Take over a SimpleTokenizer of open_clip's, with the names of its ends."""
    cleaning = codec.clean_fn.__name__.removeprefix("_clean_")
    return BytePairTokenizer([" ".join(pair) for pair in codec.bpe_ranks], codec.context_length, cleaning, literals)


class LibraryTokenizer(Tokenizer):
    """A tokenizer of transformers, after a cleaning of `CLEANING`; pads to the longest text, or all to the limit."""

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
