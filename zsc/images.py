"""Open anything as an upright RGB picture.

Order of work: open, first frame, turn upright (EXIF), 16 bit to 8, alpha over a stated colour, RGB. Resizing comes
after that, in the model's own transform. Colour profiles are ignored, as OpenAI's CLIP ignores them.
"""

from __future__ import annotations

import http.client
import io
import string
import struct
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

ImageSource = Any  # a path, a URL, bytes, an open binary file, a PIL image or an (H, W[, 3 or 4]) uint8 array

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
MAX_URL_BYTES = 100 * 2**20
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, KeyError, IndexError)


class ImageError(ValueError):
    """A picture that cannot be opened; the message names it and says what to do."""


def open_image(
    source: ImageSource, *, background: str = "white", timeout: float = 30.0, name: str | None = None
) -> Image.Image:
    """Open a picture as an upright 8-bit RGB PIL image.

    Parameters
    ----------
    source
        A path, an ``http(s)`` URL, the file's bytes, an open binary file, a PIL image, or a uint8 array of shape
        (H, W), (H, W, 3) or (H, W, 4).
    background
        The colour that shows through transparent pixels, as Pillow names colours.
    timeout
        Seconds to wait for a URL.
    name
        What messages call the picture; its path, URL or kind where None.

    Returns
    -------
    Image.Image
        Mode RGB, turned as its EXIF orientation asks, the first frame of a moving picture.

    Raises
    ------
    ImageError
        If the picture is missing, damaged, cut short, too large or no picture; one sentence that names it.
    """
    name = name or describe(source)
    fill = _colour(background)
    try:
        source = read_source(source, timeout=timeout)
        with _open(source) as image:
            if not image.width or not image.height:
                raise ImageError(f"{name}: a picture without pixels ({image.width} x {image.height}).")
            image.seek(0)
            image.load()
            return _to_rgb(_upright(image), fill, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: the picture is too large to open safely ({error}); make it smaller first."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_why_unreadable(source)}") from error
    except _DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"{name}: cannot be read ({error.strerror}); check the file and its rights.") from error
        raise ImageError(
            f"{name}: the file is damaged or cut short ({error}); fetch or export it again, or leave it out."
        ) from error


def read_source(source: ImageSource, *, timeout: float = 30.0) -> ImageSource:
    """Read the bytes of a path or URL; what is in memory already passes through.

    Raises
    ------
    ImageError
        If it is missing, a folder, empty, or cannot be fetched.
    """
    if is_url(source):
        return _download(source, timeout)
    return _read_path(source) if isinstance(source, (str, Path)) else source


def as_sources(images: Any) -> list[ImageSource]:
    """Give pictures as a list: a single one becomes a list of one; arrays, Series, generators and data sets unroll."""
    if hasattr(images, "paths"):
        return list(images.paths)
    if isinstance(images, np.ndarray):
        is_single = images.dtype == np.uint8 and images.ndim in (2, 3)
        return [images] if is_single else list(images)
    one = (str, Path, bytes, bytearray, memoryview, Image.Image)
    if isinstance(images, one) or hasattr(images, "read") or not isinstance(images, Iterable):
        return [images]
    return list(images)


def describe(source: ImageSource) -> str:
    """Name a picture source for a message or a table: its path or URL, else its kind."""
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or f"PIL image {source.width}x{source.height}")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"{len(source)} bytes in memory"
    return str(getattr(source, "name", f"a {type(source).__name__}"))


def is_url(source: ImageSource) -> bool:
    """Tell whether a picture source is an http(s) URL."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def _colour(background: str) -> str:
    try:
        ImageColor.getrgb(background)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"background={background!r} is no colour; accepted are names and #rrggbb.") from error
    return background


def _open(source: ImageSource) -> Image.Image:
    if isinstance(source, Image.Image):
        return source.copy()
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Image.open(io.BytesIO(source))
    if hasattr(source, "read"):
        return Image.open(source)
    raise ImageError(
        f"a {type(source).__name__} is no picture; pass a path, a URL, bytes, a PIL image or a uint8 array."
    )


def _read_path(source: str | Path) -> bytes:
    name, path = str(source), Path(source).expanduser()
    if not name.strip():
        raise ImageError("an empty path is no picture; pass a path, a URL, bytes, a PIL image or a uint8 array.")
    if path.is_dir():
        raise ImageError(f"{name}: this is a folder; pass a picture file, or load it with ImageDataset.from_folder.")
    if not path.exists():
        raise ImageError(f"{name}: no such file; check the path and its spelling.")
    data = path.read_bytes()
    if not data:
        raise ImageError(f"{name}: the file is empty; fetch or export it again, or leave it out.")
    return data


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture; "
            "pass uint8 of shape (H, W), (H, W, 3) or (H, W, 4)."
        )
    return Image.fromarray(array)


def _download(url: str, timeout: float) -> bytes:
    quoted = urllib.parse.quote(url, safe=string.printable.replace(" ", ""))
    try:
        request = urllib.request.Request(quoted, headers={"User-Agent": "zsc"})
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            data: bytes = reply.read(MAX_URL_BYTES + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise ImageError(
            f"{url}: could not be fetched ({error}); check the address and the network, or pass a file."
        ) from error
    if len(data) > MAX_URL_BYTES:
        raise ImageError(f"{url}: larger than {MAX_URL_BYTES // 2**20} MB; save it to a file and pass its path.")
    return data


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DECODE_ERRORS:  # a broken EXIF block is no reason to lose an intact picture
        return image


def _to_rgb(image: Image.Image, background: str, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image, name)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, background), rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    """Scale a 16-bit, 32-bit or float grey picture to 8 bits: 0..65535 by 1/257, 0..1 by 255, 0..255 as it is."""
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        values = values * 255
    elif image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        values = values / 257
    elif not (low >= 0 and high <= 255):  # also refuses NaN
        raise ImageError(
            f"{name}: grey values from {low:g} to {high:g} have no agreed brightness; "
            "save it with 8 bits, 16 bits or floats from 0 to 1."
        )
    return Image.fromarray(np.round(values).astype(np.uint8))


def _why_unreadable(source: ImageSource) -> str:
    head = _head(source)
    if head[4:8] == b"ftyp":
        return "HEIC and AVIF pictures need conversion to JPEG or PNG first (or the package pillow-heif)."
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "this is a web page, not a picture; fetch the picture itself."
    if head.lstrip().lower().startswith((b"<svg", b"<?xml")):
        return "this is a vector drawing or XML; export it as PNG first."
    return "not a picture that Pillow can read; accepted are JPEG, PNG, WebP, GIF, BMP, TIFF and others: convert it."


def _head(source: ImageSource) -> bytes:
    return bytes(source[:64]) if isinstance(source, (bytes, bytearray, memoryview)) else b""
