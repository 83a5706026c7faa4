"""Encoder: one face for every model that puts pictures and texts into the same space.

Rows out are unit vectors, float32, NumPy. A model says what it is: name, library, device, precision, fingerprint.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from zsc.checks import as_list, check_count, short
from zsc.images import RULES, ImageSource, as_sources, open_image

Transform = Callable[[Image.Image], np.ndarray]  # an RGB picture -> (3, S, S) float32


class Tokenizer(Protocol):
    """Turn texts into what a text encoder takes, and say how long a text is."""

    limit: int

    def count(self, text: str) -> int:
        """Count the tokens of a text, start and end included."""

    def kept(self, text: str) -> str:
        """Give the beginning of a text that fits the limit."""

    def __call__(self, texts: Sequence[str]) -> Any:
        """Tokenize M texts, cutting what is over the limit; a tensor (M, limit), or several of them in a dict."""


class TextTooLongError(ValueError):
    """A text over the model's limit; the message gives the count, the limit and where it would be cut."""


@dataclass(frozen=True)
class EncoderInfo:
    """What a model is, for result files and fingerprints.

    Attributes
    ----------
    name
        As `load_model` was asked for it.
    library
        The package that holds the architecture, such as "clip" or "open_clip".
    embed_dim, image_size, context_length
        D; pixels a side; tokens a text at most.
    logit_scale
        What cosines are multiplied by before the softmax: the model's own learned value.
    weights_sha256
        Checksum of the weights: of the file where there is one, else of the tensors.
    device, precision, engine
        Where and how it computes: "cpu", "float32", "torch".
    architecture
        What is computed with the weights, as far as they do not say it: heads, activation, or the library's own
        configuration as a digest.
    """

    name: str
    library: str
    embed_dim: int
    image_size: int
    context_length: int
    logit_scale: float
    weights_sha256: str
    device: str = "cpu"
    precision: str = "float32"
    engine: str = "torch"
    architecture: str = ""


class ExactFloat32:
    """While it is entered, no GPU rounds float32 to TF32; the user's own setting is back when the last thread leaves.

    torch rounds float32 convolutions by default. On an H100 with random weights that moves embeddings of RN50 by .017.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, (False, False)

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
                torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._before


EXACT_FLOAT32 = ExactFloat32()


class Encoder(ABC):
    """A model that embeds pictures and texts. Made by `zsc.load_model`.

    Attributes
    ----------
    info
        What the model is (`EncoderInfo`); `name`, `embed_dim`, `image_size`, `logit_scale` are short for its fields.
    transform
        The model's own preprocessing of an upright RGB picture, picklable.
    tokenizer
        The model's own tokenizer.
    """

    info: EncoderInfo
    transform: Transform
    tokenizer: Tokenizer

    @abstractmethod
    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed transformed pictures (N, 3, S, S) as (N, D), on the model's device, of any length."""

    @abstractmethod
    def embed_tokens(self, tokens: Any) -> torch.Tensor:
        """Embed what the tokenizer gave as (M, D), on the model's device, of any length."""

    @property
    def name(self) -> str:
        """The name `load_model` was asked for."""
        return self.info.name

    @property
    def embed_dim(self) -> int:
        """D, the length of an embedding."""
        return self.info.embed_dim

    @property
    def image_size(self) -> int:
        """Pixels a side that the image encoder takes."""
        return self.info.image_size

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before the softmax, as the model learned it."""
        return self.info.logit_scale

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with everything that changes an image embedding.

        Weights, architecture (activation and heads included), how pictures are opened and transformed, library,
        precision and engine are in it. The device is not, nor is what only texts go through, such as the tokenizer.
        """
        info = self.info
        transform = re.sub(r" at 0x[0-9a-f]+", "", repr(self.transform))  # functions show where they lie in memory
        parts = (
            info.weights_sha256,
            info.architecture,
            transform,
            RULES,
            info.library,
            info.precision,
            info.engine,
        )
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]

    def encode_images(
        self, images: Sequence[ImageSource] | ImageSource, *, batch_size: int = 32, progress: bool = False
    ) -> np.ndarray:
        """Embed pictures.

        Parameters
        ----------
        images
            N picture sources, as `zsc.open_image` takes them (a single one counts as N = 1).
        batch_size
            Pictures that go through the encoder at once.
        progress
            Show a bar.

        Returns
        -------
        np.ndarray
            Shape (N, D), float32, unit rows.

        Raises
        ------
        ImageError
            If a picture cannot be opened; the message names it.
        """
        sources = as_sources(images)
        batches = _batches(sources, batch_size, "images", progress)
        return self._collect([self.encode_pixels([self.transform(open_image(s)) for s in batch]) for batch in batches])

    def encode_pixels(self, pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Embed pictures that went through `transform`, (N, 3, S, S), as one batch (N, D), unit rows."""
        if not len(pixels):
            return np.empty((0, self.embed_dim), np.float32)
        batch = torch.from_numpy(np.stack(list(pixels))).to(self.info.device)
        with torch.inference_mode(), EXACT_FLOAT32:
            return _unit_rows(self.embed_pixels(batch), self.name)

    def encode_texts(
        self, texts: Sequence[str] | str, *, truncate: bool = False, batch_size: int = 256, progress: bool = False
    ) -> np.ndarray:
        """Embed texts.

        Parameters
        ----------
        texts
            M texts (a single one counts as M = 1).
        truncate
            Cut texts that are longer than the model can read, instead of refusing them.
        batch_size
            Texts that go through the encoder at once.
        progress
            Show a bar.

        Returns
        -------
        np.ndarray
            Shape (M, D), float32, unit rows.

        Raises
        ------
        TextTooLongError
            If a text has more tokens than the model reads and `truncate` is False.
        """
        texts = [texts] if isinstance(texts, str) else as_list(texts, "texts", "texts")
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {number} is the {type(text).__name__} {short(text)}; pass a list of texts.")
            if not _is_utf8(text):
                raise ValueError(f"text {number}, {short(text)}, cannot be written as UTF-8; pass it without halves.")
            if not truncate:
                self._check_length(text)
        return self._collect([self._encode_text_batch(b) for b in _batches(texts, batch_size, "texts", progress)])

    def _encode_text_batch(self, texts: Sequence[str]) -> np.ndarray:
        with torch.inference_mode(), EXACT_FLOAT32:
            return _unit_rows(self.embed_tokens(self.tokenizer(texts)), self.name)

    def _check_length(self, text: str) -> None:
        count, limit = self.tokenizer.count(text), self.tokenizer.limit
        if count > limit:
            kept = self.tokenizer.kept(text)
            raise TextTooLongError(
                f"text {text[:40] + '...'!r}: {count} tokens, limit {limit} (start and end included), cut after "
                f"'...{kept[-30:]}'; shorten it, or pass truncate=True."
            )

    def _collect(self, batches: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(batches) if batches else np.empty((0, self.embed_dim), np.float32)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain bytes: multiprocessing would share tensors by file handles, and hand one out twice."""
        return _restored, (type(self), pickle.dumps(self.__dict__, protocol=5))

    def __copy__(self) -> Encoder:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __repr__(self) -> str:
        i = self.info
        return f"Encoder({i.name}: {i.library}, D={i.embed_dim}, {i.image_size} px, {i.precision} on {i.device})"


def _restored(kind: type[Encoder], state: bytes) -> Encoder:
    encoder = kind.__new__(kind)
    encoder.__dict__.update(pickle.loads(state))
    return encoder


def _is_utf8(text: str) -> bool:
    try:
        return bool(text.encode()) or not text
    except UnicodeEncodeError:
        return False


def _batches(items: Sequence[Any], size: int, what: str, progress: bool) -> Iterator[Sequence[Any]]:
    check_count(size, "batch_size")
    with tqdm(total=len(items), unit=what, disable=not progress) as bar:
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            yield batch
            bar.update(len(batch))


def _unit_rows(embeddings: torch.Tensor, name: str) -> np.ndarray:
    """Divide each row by its length; float32 before the division, so that half precision loses nothing here."""
    values = embeddings.float()
    values = values / values.norm(dim=1, keepdim=True)  # as OpenAI's CLIP.forward does
    rows = values.cpu().numpy()
    if not np.isfinite(rows).all():
        raise FloatingPointError(f"{name} gave embeddings that are no numbers; try precision='float32'.")
    return rows
