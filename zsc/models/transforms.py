"""A model's preprocessing as data: a picklable, printable function from an RGB picture to (3, S, S) float32.

Bit-equal to torchvision's Resize, CenterCrop, ToTensor and Normalize on PIL pictures; needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # openai/CLIP, clip/clip.py
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class ImageTransform:
    """Resize, crop the centre, scale, normalise.

    Attributes
    ----------
    size
        S, pixels a side of the result.
    resize
        Length of the short side before the crop; `size` where None.
    mode
        "shortest": the short side becomes `resize`, then the centre is cropped. "squash": both sides become `size`.
    interpolation
        "bicubic" or "bilinear".
    mean, std
        Of each channel, subtracted and divided by after the division by `divisor`.
    divisor
        What the 8-bit values are divided by first.
    """

    size: int
    resize: int | None = None
    mode: str = "shortest"
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    divisor: float = 255.0

    def __post_init__(self) -> None:
        if self.mode not in ("shortest", "squash") or self.interpolation not in _FILTERS:
            raise ValueError(f"{self}: accepted are mode shortest or squash, interpolation bicubic or bilinear.")

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32."""
        return self.normalise(self.pixels(image)[None])[0]

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Resize and crop an RGB picture to (S, S, 3) uint8."""
        resized = image.resize(self._resized_size(*image.size), _FILTERS[self.interpolation])
        return np.asarray(_crop_centre(resized, self.size).convert("RGB"))

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """Scale and normalise (N, S, S, 3) uint8 to (N, 3, S, S) float32."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values: np.ndarray = (pixels.astype(np.float32) / np.float32(self.divisor) - mean) / std
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def _resized_size(self, width: int, height: int) -> tuple[int, int]:
        if self.mode == "squash":
            return self.size, self.size
        short = self.resize or self.size
        if width <= height:
            return short, int(short * height / width)  # torchvision cuts the long side's fraction off
        return int(short * width / height), short


@dataclass(frozen=True)
class LibraryTransform:
    """A library's own transform of a picture, where it cannot be said as an `ImageTransform`.

    Attributes
    ----------
    function
        From a PIL picture to a tensor or array (3, S, S).
    """

    function: Callable[[Image.Image], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32."""
        return np.asarray(self.function(image), dtype=np.float32)


def _crop_centre(image: Image.Image, size: int) -> Image.Image:
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)  # rounds half to even, as torchvision
    return image.crop((left, top, left + size, top + size))
