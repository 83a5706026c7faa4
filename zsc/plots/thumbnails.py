"""Small squares of pictures, read at about the size they are shown: a photograph of 12 megapixels costs no more.

A picture that cannot be opened gives None, so that one lost file spoils no figure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zsc.images import ImageError, describe, is_url, open_image

THUMBNAIL = 256


def thumbnail(image: Any, size: int = THUMBNAIL) -> np.ndarray | None:
    """Open a picture and cut its centre to a square of at most `size` pixels.

    Parameters
    ----------
    image
        Anything that `zsc.open_image` opens.
    size
        Pixels a side at most; a smaller picture stays as it is.

    Returns
    -------
    np.ndarray or None
        Shape (S, S, 3), uint8; None where the picture cannot be opened.
    """
    try:
        picture = _open_small(image, size)
    except (ImageError, MemoryError):
        return None
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    square.thumbnail((size, size))
    return np.asarray(square)


def _open_small(image: Any, size: int) -> Image.Image:
    """Open a picture; of a JPEG file decode only an eighth, a quarter or a half of the pixels, where that is enough."""
    if not isinstance(image, (str, Path)) or is_url(image) or not Path(image).is_file():  # a FIFO would wait for ever
        return open_image(image)
    try:
        with Image.open(image) as opened:
            opened.draft("RGB", (2 * size, 2 * size))
            return open_image(opened, name=describe(image))
    except Exception:  # Pillow raises many kinds, warnings of large pictures among them
        return open_image(image)  # a clear error, or a path that only open_image understands
