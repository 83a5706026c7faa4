"""A model's preprocessing as data: a picklable, printable function from an RGB picture to (3, S, S) float32.

Bit-equal to torchvision's Resize, CenterCrop, ToTensor and Normalize on PIL pictures; needs no torch. Of a very thin
picture, whose enlarging would cost without bound, only the middle is computed where that is the same to the last bit;
elsewhere it is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from zsc.checks import check_choice
from zsc.images import ImageError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # openai/CLIP, clip/clip.py
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_THINNEST = 300  # the longer side of a picture to the shorter one


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
        width = height = self.size
        if self.mode == "squash":
            _refuse_thin(image)
        else:  # torchvision cuts the long side's fraction off
            short = self.resize or self.size
            image, side = _middle(image, short), min(image.size)
            width, height = int(short * image.width / side), int(short * image.height / side)
        image = image.resize((width, height), _FILTERS[self.interpolation])
        left, top = round((image.width - self.size) / 2), round((image.height - self.size) / 2)  # half to even
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)).convert("RGB"))


@dataclass(frozen=True)
class LibraryTransform:
    """A library's own transform, from a PIL picture to (3, S, S), where it cannot be said as an `ImageTransform`."""

    function: Callable[[Image.Image], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Transform an RGB picture into (3, S, S) float32."""
        _refuse_thin(image)
        return np.asarray(self.function(image), dtype=np.float32)


def _middle(image: Image.Image, short: int) -> Image.Image:
    """Cut off what the crop would leave of a very thin picture, where its long side becomes a whole multiple."""
    side, length = sorted(image.size)
    if length <= _THINNEST * side or short * length % side:
        _refuse_thin(image)
        return image
    cut = (length - 32 * side) // (4 * side) * 2 * side  # from either end; even, so that a half pixel rounds alike
    return ImageOps.crop(image, (cut, 0, cut, 0) if image.width > image.height else (0, cut, 0, cut))


def _refuse_thin(image: Image.Image) -> None:
    if max(image.size) > _THINNEST * min(image.size):
        limit = f"too thin for a model, which takes up to {_THINNEST} to 1; crop it first"
        raise ImageError(f"a picture of {image.width} x {image.height} pixels is {limit}.")
