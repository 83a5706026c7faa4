"""A model's preprocessing as data: a picklable, printable function from an RGB picture to (3, S, S) float32.

Bit-equal to torchvision's Resize, CenterCrop, ToTensor and Normalize on PIL pictures; needs no torch. Of a picture some
eighty times as long as wide only what the crop keeps is computed, so that memory does not grow with its shape; there,
about one value in a thousand is one of 255 levels off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from zsc.checks import check_choice
from zsc.images import ImageError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # openai/CLIP, clip/clip.py
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_DIRECT = 2**22  # pixels: what Pillow may compute at once
_THINNEST = 100  # sides of a picture that a library's own transform may still get, one to the other


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop the centre, scale, normalise.

    The result has `size` pixels per side. With the mode "shortest" the short side becomes `resize` (or `size`) first,
    and the centre is cropped; with "squash" both sides become `size`. The interpolation is "bicubic" or "bilinear". The
    8-bit values are divided by `divisor`; then each channel's mean is subtracted, and its std divided by.
    """

    size: int
    resize: int | None = None
    mode: str = "shortest"
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    divisor: float = 255.0

    def __post_init__(self) -> None:
        check_choice(self.mode, ("shortest", "squash"), "mode")
        check_choice(self.interpolation, tuple(_FILTERS), "interpolation")

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = (self.pixels(image).astype(np.float32) / np.float32(self.divisor) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Resize and crop an RGB picture to (S, S, 3) uint8."""
        width, height = self._resized_size(*image.size)
        kind, bound = _FILTERS[self.interpolation], max(_DIRECT, image.width * image.height)
        if width * height > bound:
            image = self._centre_of_thin(image.convert("RGB"), width, height)
        else:
            if width * image.height > bound:  # the height first: Pillow before 12 would widen every row
                image = image.resize((image.width, height), kind)
            image = image.resize((width, height), kind)
        left, top = round((image.width - self.size) / 2), round((image.height - self.size) / 2)  # half to even
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)).convert("RGB"))

    def _resized_size(self, width: int, height: int) -> tuple[int, int]:
        if self.mode == "squash":
            return self.size, self.size
        short = self.resize or self.size
        if width <= height:
            return short, int(short * height / width)  # torchvision cuts the long side's fraction off
        return int(short * width / height), short

    def _centre_of_thin(self, image: Image.Image, width: int, height: int) -> Image.Image:
        """Enlarge to (width, height), of the long side only its centre, from the few pixels that it is mixed of."""
        kind, is_tall = _FILTERS[self.interpolation], height >= width
        n_in, n_out = (image.height, height) if is_tall else (image.width, width)
        first = round((n_out - self.size) / 2)  # where the crop of the whole would begin
        start, stop = first * n_in / n_out, (first + self.size) * n_in / n_out
        low, high = max(int(start) - 3, 0), min(int(stop) + 4, n_in)  # a filter weighs two pixels on each side
        if is_tall:
            strip = image.crop((0, low, image.width, high))
            return strip.resize((width, self.size), kind, (0, start - low, image.width, stop - low))
        strip = image.crop((low, 0, high, image.height))
        return strip.resize((self.size, height), kind, (start - low, 0, stop - low, image.height))


@dataclass(frozen=True)
class LibraryTransform:
    """A library's own transform, from a PIL picture to (3, S, S), where it cannot be said as an `ImageTransform`."""

    function: Callable[[Image.Image], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32; a very thin one is refused, since its cost has no bound."""
        if max(image.size) > _THINNEST * min(image.size):
            raise ImageError(
                f"a picture of {image.width} x {image.height} pixels is too thin for this model's own preprocessing, "
                f"which takes up to {_THINNEST} to 1; crop it first."
            )
        return np.asarray(self.function(image), dtype=np.float32)
