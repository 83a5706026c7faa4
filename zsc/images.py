"""Open anything as an upright RGB picture.

Order of work: read the bytes, open, first frame, turn upright (EXIF), 16 bit to 8, alpha over a stated colour, RGB.
Resizing comes after that, in the model's own transform. Colour profiles are ignored, as OpenAI's CLIP ignores them.
Whatever a picture raises, from a decoder or from the system, becomes one ImageError that names it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import os
import socket
import stat
import string
import struct
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, UnidentifiedImageError

from zsc.checks import as_list
from zsc.files import printable, shown

ImageSource = Any  # a path, URL, bytes, open binary file, {"bytes", "path"}, PIL image or (H, W[, 3 or 4]) uint8 array

RULES = "open_image 2: upright, first frame, 16 bit by 257, alpha over white, no profile"  # in fingerprints
MAX_URL_BYTES = 100 * 2**20
MAX_FILE_BYTES = 2**30
HEIC_ADVICE = "needs conversion to JPEG or PNG, or the package pillow-heif"
_ORIENTATION = 0x0112  # EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FOREIGN = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"})  # known to Pillow, drawn by other programs
_JPEG_METADATA = frozenset({*range(0xE1, 0xF0), 0xFE} - {0xEE})  # Adobe's segment says what the colours mean
_quiet = threading.Lock()  # filters of warnings belong to the whole process
_POSSIBLE = 'pass a path, a URL, bytes, an open binary file, {"bytes", "path"}, a PIL image or a uint8 array'


class ImageError(ValueError):
    """A picture that cannot be opened; the message names it and says what to do."""


def open_image(
    source: ImageSource, *, background: str = "white", timeout: float = 30.0, name: str | None = None
) -> Image.Image:
    """Open a picture as an upright 8-bit RGB PIL image.

    Parameters
    ----------
    source
        A path, an ``http(s)`` URL, the file's bytes, an open binary file, a mapping with ``bytes`` or ``path`` (as
        Hugging Face stores pictures), a PIL image, or a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4).
    background
        The colour that shows through transparent pixels, as Pillow names colours.
    timeout
        Seconds that the fetching of a URL may take in all.
    name
        What messages call the picture; its path, URL or kind where None.

    Returns
    -------
    Image.Image
        Mode RGB, turned as its EXIF orientation asks, the first frame of a moving picture.

    Raises
    ------
    ImageError
        If the picture is missing, damaged, cut short, too large or no picture; one sentence that names it. Nothing else
        is raised for a picture's sake, whatever a decoder does.
    """
    fill = _colour(background)
    content = None
    try:
        content = read_source(source, timeout=timeout)
        image, orientation = _decoded(content)
        if not image.width or not image.height:
            raise _UnreadableError(f"a picture without pixels ({image.width} x {image.height}); leave it out.")
        return _to_rgb(_turned(image, orientation), fill)
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever they like; a run over many pictures must go on
        raise ImageError(f"{_shown_name(source, name)}: {_why(error, content)}") from error


def read_source(source: ImageSource, *, timeout: float = 30.0) -> ImageSource:
    """Read the bytes of a path, URL, open file or mapping; bytes, PIL images and arrays pass through.

    Raises
    ------
    ImageError
        If it is missing, a folder, a device, empty, too large, cannot be read or fetched, or is no picture at all.
    """
    try:
        return _read(source, timeout)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{_shown_name(source)}: {_why(error, None)}") from error


def as_sources(images: Any) -> list[ImageSource]:
    """Give pictures as a list: a single one becomes a list of one; arrays, Series, generators and data sets unroll.

    Raises
    ------
    TypeError
        If it is a set, which has no order.
    """
    if hasattr(images, "paths"):
        return list(images.paths)
    if isinstance(images, np.ndarray):
        is_single = images.dtype == np.uint8 and images.ndim in (2, 3)
        return [images] if is_single else list(images)
    one = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, Mapping)
    if isinstance(images, one) or hasattr(images, "read") or not hasattr(images, "__iter__"):
        return [images]
    return as_list(images, "images", "pictures")


def describe(source: ImageSource) -> str:
    """Name a picture source for a table: its path or URL, else its kind; always a text that UTF-8 can hold."""
    if isinstance(source, (str, os.PathLike)):
        return as_utf8(os.fsdecode(source))
    if isinstance(source, Image.Image):
        return as_utf8(str(getattr(source, "filename", "") or f"PIL image {source.width}x{source.height}"))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"{len(source)} bytes in memory"
    if isinstance(source, Mapping) and not hasattr(source, "name"):
        return describe(source.get("path") or source.get("bytes") or b"")
    return as_utf8(str(getattr(source, "name", f"a {type(source).__name__}")))


def is_url(source: ImageSource) -> bool:
    """Tell whether a picture source is an http(s) URL."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def local_path(source: str | os.PathLike[str]) -> Path:
    """Give a path as the system knows it: ``~`` means the home folder, unless a file has that very name."""
    path = Path(os.fsdecode(source))
    if not str(path).startswith("~") or path.exists():
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user, such as in "~$draft.png"
        return path


def image_suffixes() -> frozenset[str]:
    """List the suffixes of what `open_image` opens, such as ".jpg", as this machine's Pillow has them."""
    formats = {*_formats(), "MPO"}  # which is opened as JPEG
    return frozenset(s for s, name in Image.registered_extensions().items() if name in formats)


def is_picture_by_content(path: str | Path) -> bool:
    """Tell whether a file holds a JPEG, PNG, GIF or WebP picture, whatever its name."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return False
        with Image.open(path, formats=("JPEG", "PNG", "GIF", "WEBP")):
            return True
    except Exception:  # whatever a decoder says of what is no picture
        return False


def as_utf8(text: str) -> str:
    """Give a text that UTF-8 can hold: bytes of a file's name that are no UTF-8 become escapes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(printable(c) if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def _shown_name(source: ImageSource, name: str | None = None) -> str:
    """Name a picture in a message: no control characters, no login, no signature of a URL."""
    name = name or describe(source)
    if is_url(name):
        try:
            name = shown(name)
        except ValueError:  # an address that cannot be taken apart
            name = name.partition("?")[0].rpartition("@")[2]
    return printable(name)


def _colour(background: str) -> str:
    try:
        ImageColor.getrgb(background)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"background={background!r} is no colour; pass a name or #rrggbb.") from error
    return background


@cache
def _register_heif() -> None:
    with contextlib.suppress(ImportError):
        import pillow_heif  # type: ignore[import-not-found, unused-ignore]

        pillow_heif.register_heif_opener()


def _formats() -> tuple[str, ...]:
    """List the formats that Pillow decodes by itself; Ghostscript, for one, would run a file as a program."""
    _register_heif()
    Image.preinit()  # the usual formats first
    Image.init()
    return tuple(name for name in Image.ID if name not in _FOREIGN)


def _read(source: ImageSource, timeout: float) -> ImageSource:
    if is_url(source):
        return _download(source, timeout)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(source)
    if isinstance(source, Mapping):
        return _read_mapping(source)
    if hasattr(source, "read"):
        return _read_file(source)
    if isinstance(source, (Image.Image, np.ndarray, bytes, bytearray, memoryview)):
        return source
    raise ImageError(f"a {type(source).__name__} is no picture; {_POSSIBLE}.")


def _read_path(source: str | os.PathLike[str]) -> bytes:
    name, path = printable(describe(source)), local_path(source)
    if not name.strip():
        raise ImageError(f"an empty path is no picture; {_POSSIBLE}.")
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file; check the path and its spelling.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name}: this is a folder; pass a picture file, or load it with ImageDataset.from_folder.")
    if not stat.S_ISREG(status.st_mode):  # opening one may wait for ever, or never end
        raise ImageError(f"{name}: this is a device, pipe or socket; save the picture as a file and pass that.")
    with path.open("rb") as file:
        return _all_of(file, name, MAX_FILE_BYTES)


def _read_file(source: Any) -> bytes:
    name = printable(describe(source))
    if isinstance(source, io.TextIOBase):
        raise ImageError(f"{name}: the file was opened as text; open it with mode 'rb'.")
    with contextlib.suppress(OSError, AttributeError):  # a pipe cannot go back
        source.seek(0)
    return _all_of(source, name, MAX_FILE_BYTES)


def _read_mapping(source: Mapping[Any, Any]) -> Any:
    data = source.get("bytes")
    if data is not None:
        return bytes(data)
    path = source.get("path")
    if path is None:
        raise ImageError(f"{_shown_name(source)}: a mapping without bytes and path is no picture; fill one of them in.")
    return read_source(path)


def _all_of(file: Any, name: str, limit: int) -> bytes:
    """Read an open file to its end, block by block: what it holds may be far less, or more, than the limit."""
    blocks: list[bytes] = []
    size = 0
    while block := file.read(2**20):
        blocks.append(block)
        size += len(block)
        if size > limit:
            raise ImageError(f"{name}: larger than {limit // 2**20} MB; make the picture smaller first.")
    if not blocks:
        raise ImageError(f"{name}: the file is empty; fetch or export it again, or leave it out.")
    return b"".join(blocks)


def _download(url: str, timeout: float) -> bytes:
    name, end = _shown_name(url), time.monotonic() + timeout
    sockets: list[Any] = []
    watch = threading.Timer(timeout, _shut, [sockets])  # a slow server could keep each single wait short
    watch.daemon = True
    watch.start()
    try:
        request = _request(url)
        with _opener(sockets, end).open(request, timeout=timeout) as reply:
            data = _all_of(reply, name, MAX_URL_BYTES)
            reason = "timed out" if time.monotonic() >= end else "the connection broke off" if reply.length else ""
    except ImageError:
        if time.monotonic() < end:
            raise
        data, reason = b"", "timed out"
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        data, reason = b"", "timed out" if time.monotonic() >= end else _why_unfetched(error)
    finally:
        watch.cancel()
    if reason:
        raise ImageError(f"{name}: could not be fetched ({reason}); check the address and the network, or pass a file.")
    return data


def _request(url: str) -> urllib.request.Request:
    """Ask for a URL; a login in it goes to that host only, not to where it redirects."""
    parts = urllib.parse.urlsplit(urllib.parse.quote(url, safe=string.printable.replace(" ", "")))
    login, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers={"User-Agent": "zsc"})
    if login:
        encoded = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


def _opener(sockets: list[Any], end: float) -> urllib.request.OpenerDirector:
    """Give an opener that notes its sockets, so that they can be shut when the time is over."""

    def watched(kind: Any) -> Any:
        class Watched(kind):  # type: ignore[misc]
            def connect(self) -> None:
                self.timeout = max(end - time.monotonic(), 0.001)
                super().connect()
                sockets.append(self.sock)

        return Watched

    class Plain(urllib.request.HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(watched(http.client.HTTPConnection), request)

    class Secure(urllib.request.HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            context = getattr(self, "_context", None)
            return self.do_open(watched(http.client.HTTPSConnection), request, context=context)

    return urllib.request.build_opener(Plain, Secure)


def _shut(sockets: list[Any]) -> None:
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _why_unfetched(error: Exception) -> str:
    """Say in a few words why a URL could not be fetched; never with the address, which may be signed."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return "timed out"
    if isinstance(cause, (str, ValueError, http.client.InvalidURL)):
        return "the address makes no sense"
    return str(cause.strerror) if isinstance(cause, OSError) and cause.strerror else type(cause).__name__


def _decoded(content: Any) -> tuple[Image.Image, int]:
    """Decode the first frame, apart from what was read; and find out how it must be turned."""
    try:
        return _decoded_once(content)
    except Image.DecompressionBombWarning:
        raise
    except Warning:  # errors by the caller's own choice; what Pillow says of metadata is no reason to lose a picture
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded_once(content)


def _decoded_once(content: Any) -> tuple[Image.Image, int]:
    if isinstance(content, Image.Image):
        content.load()
        return content.copy(), _orientation(content)  # a copy loses an orientation that was only set
    if isinstance(content, np.ndarray):
        return _from_array(content), 1
    try:
        return _decoded_bytes(content)
    except Warning:
        raise
    except Exception:
        bare, orientation = _without_metadata(bytes(content))
        if bare is None:
            raise
        image, _ = _decoded_bytes(bare)  # nothing was wrong with the pixels
        return image, orientation


def _decoded_bytes(data: bytes) -> tuple[Image.Image, int]:
    with Image.open(io.BytesIO(data), formats=_formats()) as image:
        image.seek(0)
        turn = _orientation(image) if image.format == "TIFF" else 0
        if turn:  # Pillow would turn it while loading, and stumble over texts of odd types
            image.getexif().pop(_ORIENTATION, None)
        image.load()
        return image, turn or _orientation(image)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture; "
            "pass uint8 of shape (H, W), (H, W, 3) or (H, W, 4)."
        )
    if not array.size:
        raise _UnreadableError(f"a picture without pixels ({array.shape[1]} x {array.shape[0]}); leave it out.")
    return Image.fromarray(array)


def _without_metadata(data: bytes) -> tuple[bytes | None, int]:
    """Give a PNG or JPEG file without texts and profiles, and its orientation; None where there is nothing to drop.

    Pillow refuses a whole picture for a profile of over a megabyte, or for a text that it cannot read.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        chunks = list(_png_chunks(data))
        kept = [chunk for kind, chunk in chunks if kind[:1].isupper() or kind == b"tRNS"]
        start, n_parts = data[:8], len(chunks)
        exif = next((chunk[8:-4] for kind, chunk in chunks if kind == b"eXIf"), b"")
    elif data.startswith(b"\xff\xd8"):
        segments = list(_jpeg_segments(data))
        kept = [s for marker, s in segments if marker not in _JPEG_METADATA]
        start, n_parts = data[:2], len(segments)
        exif = next((s[4:] for marker, s in segments if marker == 0xE1 and s[4:10] == b"Exif\0\0"), b"")
    else:
        return None, 1
    return (start + b"".join(kept) if len(kept) < n_parts else None), _exif_orientation(exif)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place : place + 12 + length]
        place += 12 + length


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a JPEG file into segments; the last one holds all from the first scan on."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield data[place + 1], data[place : place + 2 + length]
        place += 2 + length
    yield 0xDA, data[place:]


def _orientation(image: Image.Image) -> int:
    """Find how a loaded picture must be turned, 1 to 8; what else its EXIF block holds does not matter."""
    try:
        found = _as_orientation(image.getexif().get(_ORIENTATION))
        if found:
            return found
    except Warning:
        raise
    except Exception:  # a broken EXIF block is no reason to lose an intact picture
        pass
    exif = image.info.get("exif")
    return _exif_orientation(exif) if isinstance(exif, bytes) else 1


def _exif_orientation(exif: bytes) -> int:
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHI4s", tiff, place)
            if tag == _ORIENTATION:
                code = {3: "H", 4: "I", 8: "h", 9: "i"}.get(kind, "B")
                return _as_orientation(struct.unpack_from(order + code, value)[0]) or 1
    return 1


def _as_orientation(value: Any) -> int:
    """Understand an orientation of any EXIF type; 0 where it is none."""
    if isinstance(value, (tuple, list, bytes)) and len(value):
        value = value[0]
    with contextlib.suppress(TypeError, ValueError, ArithmeticError):
        return int(value) if 1 <= int(value) <= 8 else 0
    return 0


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.mode == "La":  # Pillow turns it into nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, background), rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale a 16-bit, 32-bit or float grey picture to 8 bits: 0..65535 by 1/257, 0..1 by 255, 0..255 as it is."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        factor, divisor = 255.0, 1.0
    elif image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        factor, divisor = 1.0, 257.0
    elif low >= 0 and high <= 255:
        factor, divisor = 1.0, 1.0
    else:  # NaN, too
        raise _UnreadableError(
            f"grey values from {low:g} to {high:g} have no agreed brightness; "
            "save it with 8 bits, 16 bits or floats from 0 to 1."
        )
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 256):  # row by row: eight bytes a pixel of all of them would be much
        rows = values[start : start + 256].astype(np.float64)
        grey[start : start + 256] = np.round(rows * factor / divisor)
    return Image.fromarray(grey)


class _UnreadableError(Exception):
    """A picture that Pillow opens and that has no meaning here; holds the sentence without the picture's name."""


def _why(error: Exception, content: Any) -> str:
    """Say in one sentence why a picture cannot be opened, and what to do."""
    words = printable(" ".join(str(error).split()))[:200] or type(error).__name__
    if isinstance(error, _UnreadableError):
        return str(error)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"the picture is too large to open safely ({words}); make it smaller first."
    if isinstance(error, MemoryError):
        return "the picture needs more memory than there is; make it smaller first."
    if isinstance(error, UnidentifiedImageError):
        return _why_unreadable(content)
    if content is None or (isinstance(error, OSError) and error.errno is not None):
        return f"cannot be read ({getattr(error, 'strerror', None) or words}); check the file and its rights."
    if isinstance(content, Image.Image):
        return f"the PIL image cannot be used ({words}); open it again, or leave it out."
    return f"the file is damaged or cut short ({words}); fetch or export it again, or leave it out."


def _why_unreadable(content: Any) -> str:
    head = bytes(content[:64]) if isinstance(content, (bytes, bytearray, memoryview)) else b""
    start = head.lstrip().lower()
    if head[4:8] == b"ftyp":
        return f"a HEIC or AVIF picture; it {HEIC_ADVICE}."
    if start.startswith((b"<!doctype", b"<html")):
        return "this is a web page, not a picture; fetch the picture itself."
    if start.startswith((b"<svg", b"<?xml", b"%!ps", b"%pdf")):
        return "this is a vector drawing or document; export it as PNG first."
    return "not a picture that Pillow can read; possible are JPEG, PNG, WebP, GIF, BMP, TIFF and others: convert it."
