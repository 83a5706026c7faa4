"""Batches of drawings and captions as arrays: pixels as the model takes them, and tokens cut to the longest caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from zsc.toy.drawings import KINDS, Drawing, draw

IMAGE_SIZE = 64


def draw_batch(step: int, size: int, *, split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the batch of a step, faces and animals in turn.

    Returns
    -------
    tuple
        Pixels (N, 64, 64, 3), uint8; token ids (N, L), int64, L tokens in the longest caption.
    """
    pairs = draw_pairs(size, first=step * size, split=split, seed=seed)
    return to_pixels([p.picture for p in pairs]), to_tokens([p.caption for p in pairs])


def draw_pairs(n: int, *, first: int = 0, split: str = "test", seed: int = 0) -> list[Drawing]:
    """Draw N pairs, faces and animals in turn, from number `first` of the series on."""
    numbers = range(first, first + n)
    return [draw(KINDS[i % 2], i // 2, split=split, seed=seed) for i in numbers]


def to_pixels(pictures: Sequence[Image.Image]) -> np.ndarray:
    """Shrink N square pictures to (N, 64, 64, 3), uint8, as the toy model's own transform does."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.stack([np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in pictures])


def to_tokens(texts: Sequence[str]) -> np.ndarray:
    """Tokenize N texts to (N, L), int64, with OpenAI's tokens; L is the length of the longest."""
    from open_clip import tokenize  # brings torch

    tokens: np.ndarray = tokenize(list(texts)).numpy()
    return tokens[:, : int(tokens.argmax(axis=1).max()) + 1]
