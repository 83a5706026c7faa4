"""A model's preprocessing as data: a picklable, printable function from an RGB picture to (3, S, S) float32.

Bit-equal to torchvision's Resize, CenterCrop, ToTensor and Normalize on PIL pictures; needs no torch. Of a very thin
picture only what the crop keeps is computed, so that memory does not grow with a picture's shape.
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
_REACH = {"bicubic": 2.0, "bilinear": 1.0}  # pixels on each side that a filter weighs
_BITS = 22  # of a weight, as Pillow rounds them
_DIRECT = 2**22  # pixels: what Pillow may compute at once
_THINNEST = 100  # sides of a picture that a library's own transform may still get, one to the other


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop the centre, scale, normalise."""

    size: int  # pixels per side of the result
    resize: int | None = None  # of the short side before the crop; None: `size`
    mode: str = "shortest"  # side becomes `resize`, and the centre is cropped; or "squash": both become `size`
    interpolation: str = "bicubic"  # or "bilinear"
    mean: tuple[float, float, float] = CLIP_MEAN  # of each channel, subtracted after the division by `divisor`
    std: tuple[float, float, float] = CLIP_STD
    divisor: float = 255.0  # of the 8-bit values

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
        kind, bound = _FILTERS[self.interpolation], max(_DIRECT, image.width * image.height)
        width = height = self.size
        if self.mode == "shortest":  # torchvision cuts the long side's fraction off
            short, side = self.resize or self.size, min(image.size)
            width, height = int(short * image.width / side), int(short * image.height / side)
        if width * height > bound and self.mode == "shortest":
            image = self._resize_thin(image.convert("RGB"), width, height)
        else:
            if width * image.height > bound:  # the height first: Pillow before 12 would widen every row
                image = image.resize((image.width, height), kind)
            image = image.resize((width, height), kind)
        left, top = round((image.width - self.size) / 2), round((image.height - self.size) / 2)  # half to even
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)).convert("RGB"))

    def _resize_thin(self, image: Image.Image, width: int, height: int) -> Image.Image:
        """Enlarge a thin picture to (width, height), only the centre of the long side: Pillow's to the last bit."""
        kind, is_tall = _FILTERS[self.interpolation], height >= width
        n_in, n_out = (image.height, height) if is_tall else (image.width, width)
        rows = range(first := round((n_out - self.size) / 2), first + self.size)
        weighed = [_weights(n_in, n_out, row, self.interpolation) for row in rows]
        low, high = weighed[0][0], weighed[-1][0] + len(weighed[-1][1])
        if is_tall:  # Pillow enlarges the width first
            strip = image.crop((0, low, image.width, high)).resize((width, high - low), kind)
            return Image.fromarray(_weigh(np.asarray(strip), low, weighed))
        strip = image.crop((low, 0, high, image.height))
        middle = _weigh(np.asarray(strip).transpose(1, 0, 2), low, weighed).transpose(1, 0, 2)
        return Image.fromarray(np.ascontiguousarray(middle)).resize((self.size, height), kind)


def _weigh(strip: np.ndarray, low: int, weighed: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """Mix the rows of a strip (R, W, 3) that begins at row `low`, in whole numbers as Pillow does; (S, W, 3) uint8."""
    mixed = [np.tensordot(weights, strip[start - low : start - low + len(weights)], 1) for start, weights in weighed]
    return np.clip((np.stack(mixed) + (1 << (_BITS - 1))) >> _BITS, 0, 255).astype(np.uint8)


def _weights(n_in: int, n_out: int, row: int, interpolation: str) -> tuple[int, np.ndarray]:
    """Return the first row that an enlarged row is mixed of, and the weight of each, as Pillow computes them."""
    scale = float(np.float32(n_in)) / n_out  # Pillow keeps the size in single precision
    centre, reach = (row + 0.5) * scale, _REACH[interpolation]
    start, stop = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n_in)
    x = np.abs(np.arange(start, stop) - centre + 0.5)
    values = np.where(x < 1.0, 1.0 - x, 0.0)
    if interpolation == "bicubic":
        near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
        values = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
    values = values / np.cumsum(values)[-1]  # added one after the other
    return start, np.trunc(values * (1 << _BITS) + np.where(values < 0, -0.5, 0.5)).astype(np.int64)


@dataclass(frozen=True)
class LibraryTransform:
    """A library's own transform, from a PIL picture to (3, S, S), where it cannot be said as an `ImageTransform`."""

    function: Callable[[Image.Image], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32; a very thin one is refused, since its cost has no bound."""
        if max(image.size) > _THINNEST * min(image.size):
            limit = f"too thin for this model's own preprocessing, which takes up to {_THINNEST} to 1; crop it first"
            raise ImageError(f"a picture of {image.width} x {image.height} pixels is {limit}.")
        return np.asarray(self.function(image), dtype=np.float32)
