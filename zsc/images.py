"""Open anything as an upright RGB picture.

Order of work: read the bytes, open, first frame, turn upright (EXIF), 16 bits to 8, alpha over white, RGB.
Resizing comes after that, in the model's own transform. Colour profiles are ignored, as OpenAI's CLIP ignores them.
Whatever is raised for a picture's sake, by a decoder or by the system, becomes one ImageError that names the picture.
"""

import base64
import contextlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterable, Mapping
from concurrent import futures
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from pyarrow import fs, parquet

from zsc.checks import as_list
from zsc.files import expanded, judged, printable, quiet_session, shown

# Path, URL, bytes, binary file, {"bytes", "path"}, PIL image, (H, W[, 3 or 4]) uint8, or a function that returns one;
# URLs begin with http, https, s3, gs or file, and may end with a row of a Parquet table.
ImageSource = Any
RULES = "open_image 2: upright, first frame, 16 bit by 257, alpha over white, no profile"  # in fingerprints
MAX_URL_BYTES = 100 * 2**20
MAX_FILE_BYTES = 2**30
TIMEOUT = 30.0  # seconds to fetch a URL
THUMBNAIL = 256
HEIC_ADVICE = "needs conversion to JPEG or PNG, or the package pillow-heif"
_POSSIBLE = 'pass a path, a URL, bytes, an open binary file, {"bytes", "path"}, a PIL image or a uint8 array'
_ORIENTATION = 0x0112  # EXIF
_ROW = re.compile(r"(.+)#group=(\d+),row=(\d+)", re.DOTALL)  # of a Parquet table
_MEMBER = re.compile(r"(.+?)#.*,offset=(\d+),size=(\d+)", re.DOTALL)  # of a tar file
_T = Image.Transpose
_TURNS = {2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE, 6: _T.ROTATE_270,
          7: _T.TRANSVERSE, 8: _T.ROTATE_90}  # fmt: skip
_FOREIGN = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"})  # known to Pillow, drawn by other programs
_JPEG_METADATA = frozenset({*range(0xE1, 0xF0), 0xFE} - {0xEE})  # Adobe's segment says what the colours mean
_quiet = threading.Lock()  # filters of warnings belong to the whole process


class ImageError(ValueError):
    """A picture that cannot be opened; the message names it and says what to do."""


class _Problem(Exception):
    """What is wrong with a picture and what to do; `_named` adds which picture it is."""


def open_image(source: ImageSource, *, timeout: float = TIMEOUT, name: str | None = None) -> Image.Image:
    """Open a picture as an upright 8-bit RGB PIL image: the first frame, turned as its EXIF orientation asks.

    `source` is a path, a URL, the file's bytes, an open binary file, a mapping with ``bytes`` or ``path``
    (as Hugging Face stores pictures), a PIL image, a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4), or a function
    without arguments that returns one of these. White shows through transparent pixels. `timeout` is the seconds that
    fetching a URL may take in all, `name` what messages call the picture. ImageError says what is wrong with it;
    nothing else is raised, whatever a decoder does.
    """
    content = None
    try:
        content = _read(source, timeout)
        return _to_rgb(*_decoded(content))
    except Exception as error:  # decoders raise whatever they like; a run over many pictures must go on
        raise _named(error, source, name, content) from error


def read_source(source: ImageSource) -> ImageSource:
    """Read the bytes of a path, URL, open file or mapping, or raise ImageError; what is in memory passes through."""
    try:
        return _read(source, TIMEOUT)
    except Exception as error:
        raise _named(error, source) from error


def as_sources(images: Any) -> list[ImageSource]:
    """List picture sources: a single one becomes a list of one; arrays, Series, generators and data sets unroll."""
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
    if isinstance(source, Mapping):
        return describe(source.get("path") or source.get("bytes") or b"")
    return as_utf8(str(getattr(source, "name", f"a {type(source).__name__}")))


def name_of(source: Any, number: int) -> str:
    """Name a picture by its path or URL, or as "picture 17" where it lies in memory."""
    file = source if isinstance(source, (str, os.PathLike)) else getattr(source, "filename", "")
    return describe(file) if file else f"picture {number}"


def is_url(source: ImageSource) -> bool:
    """Tell whether a picture source is a URL."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://", "s3://", "gs://", "file://"))


def open_url(url: str) -> Any:
    """Open an s3, gs or file URL to read it anywhere; its path is taken as it stands, with spaces and all."""
    scheme, _, path = url.partition("://")
    return _file_system(scheme.lower(), path.partition("/")[0]).open_input_file(path)


@cache
def _file_system(scheme: str, bucket: str) -> Any:
    return fs.FileSystem.from_uri(f"{scheme}://{bucket or '/'}")[0]


@lru_cache(maxsize=2)
def _rows(url: str, group: int) -> Any:
    """Read the pictures of a group of a table's rows, which are asked for one after the other."""
    with open_url(url) as file, parquet.ParquetFile(file) as table:
        return table.read_row_group(group, ["image" if "image" in table.schema_arrow.names else "bytes"])[0]


def _read_url(url: str) -> ImageSource:
    if found := _ROW.fullmatch(url):
        return _read(_rows(found[1], int(found[2]))[int(found[3])].as_py(), 0)
    member = _MEMBER.fullmatch(url)
    for _ in range(3):  # where an answer breaks off, pyarrow takes the file for a shorter or an empty one
        with open_url(member[1] if member else url) as file:
            size = min(int(member[3]) if member else file.size(), MAX_FILE_BYTES + 1)
            if size and len(content := file.read_at(size, int(member[2]) if member else 0)) == size:
                return _all_of([content], MAX_FILE_BYTES)
    raise _Problem("the file is empty, or the connection broke off three times; check both, and try again.")


def local_path(source: str | os.PathLike[str]) -> Path:
    """Find a path as the system knows it: ``~`` means the home folder, unless a file has that very name."""
    path = Path(os.fsdecode(source))
    return expanded(path) if str(path).startswith("~") and not path.exists() else path


def image_suffixes() -> frozenset[str]:
    """List the suffixes of what `open_image` opens, such as ".jpg", as this machine's Pillow has them."""
    formats = {*_formats(), "MPO"}  # which is opened as JPEG
    return frozenset(s for s, name in Image.registered_extensions().items() if name in formats)


def is_picture_by_content(path: str | Path) -> bool:
    """Tell whether a file holds a JPEG, PNG, GIF or WebP picture, whatever its name."""
    try:
        with Image.open(path, formats=("JPEG", "PNG", "GIF", "WEBP")):
            return True
    except Exception:  # whatever a decoder says of what is no picture
        return False


def as_utf8(text: str) -> str:
    """Make a text one that UTF-8 can hold: bytes of a file's name that are no UTF-8 become escapes."""
    return "".join(printable(c) if "\ud800" <= c <= "\udfff" else c for c in text)


def thumbnail(image: ImageSource, size: int = THUMBNAIL) -> np.ndarray | None:
    """Open a picture and cut its centre to (S, S, 3), uint8, S at most `size`; None where it cannot be opened."""
    picture = None
    if isinstance(image, (str, Path)) and not is_url(image) and Path(image).is_file():  # a FIFO would wait for ever
        with contextlib.suppress(Exception), Image.open(image) as opened:  # warnings of large pictures among them
            opened.draft("RGB", (2 * size, 2 * size))  # of a JPEG file an eighth, a quarter or a half of the pixels
            picture = open_image(opened, name=describe(image))
    try:
        picture = picture or open_image(image)
    except ImageError:
        return None
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    square.thumbnail((size, size))
    return np.asarray(square)


def picture_uri(image: ImageSource, size: int) -> str | None:
    """Make a `thumbnail` a data URI that holds a JPEG; None where the picture cannot be opened."""
    if (pixels := thumbnail(image, size)) is None:
        return None
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


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
        return _download(source, timeout) if source[:4].lower() == "http" else _read_url(source)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(source)
    if isinstance(source, Mapping):
        found = source.get("path") if source.get("bytes") is None else bytes(source["bytes"])
        if found is None:
            raise _Problem("a mapping without bytes and path is no picture; fill one of them in.")
        return _read(found, timeout)
    if isinstance(source, io.TextIOBase):
        raise _Problem("the file was opened as text; open it with mode 'rb'.")
    if hasattr(source, "read"):
        with contextlib.suppress(OSError, AttributeError):  # a pipe cannot go back
            source.seek(0)
        return _all_of(iter(lambda: source.read(2**20), b""), MAX_FILE_BYTES)
    if isinstance(source, (Image.Image, np.ndarray, bytes, bytearray, memoryview)):
        return source
    if callable(source):
        return _read(source(), timeout)
    raise _Problem(f"this is no picture; {_POSSIBLE}.")


def _read_path(source: str | os.PathLike[str]) -> bytes:
    if not os.fsdecode(source).strip():
        raise _Problem(f"an empty path is no picture; {_POSSIBLE}.")
    path = local_path(source)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise _Problem("no such file; check the path and its spelling.") from None
    if stat.S_ISDIR(mode):
        raise _Problem("this is a folder; pass a picture file, or load it with ImageDataset.from_folder.")
    if not stat.S_ISREG(mode):  # opening one may wait for ever, or never end
        raise _Problem("this is a device, pipe or socket; save the picture as a file and pass that.")
    with path.open("rb") as file:
        return _all_of(iter(lambda: file.read(2**20), b""), MAX_FILE_BYTES)


def _all_of(blocks: Iterable[bytes], limit: int) -> bytes:
    """Join what comes block by block: it may be far less, or more, than the limit."""
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > limit:
            raise _Problem(f"larger than {limit // 2**20} MB; make the picture smaller first.")
    if not content:
        raise _Problem("the file is empty; fetch or export it again, or leave it out.")
    return bytes(content)


def _download(url: str, timeout: float) -> bytes:
    """Fetch a picture in a thread, so that a server that sends a byte now and then cannot exceed the time."""
    answer = futures.Future[bytes]()

    def fetch() -> None:
        try:
            headers = {"User-Agent": "zsc", "Accept-Encoding": "identity"}
            with quiet_session() as session, session.get(url, headers=headers, stream=True, timeout=timeout) as reply:
                reply.raise_for_status()
                answer.set_result(_all_of(reply.iter_content(2**16), MAX_URL_BYTES))
        except Exception as error:  # the libraries raise many kinds for an address or an answer that makes no sense
            answer.set_exception(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        return answer.result(timeout)
    except _Problem:
        raise
    except Exception as error:
        why = "timed out" if isinstance(error, futures.TimeoutError) else judged(error)[0]
        raise _Problem(f"could not be fetched ({why}); check the address and the network, or pass a file.") from None


def _decoded(content: Any) -> tuple[Image.Image, int]:
    """Decode the first frame and find how it must be turned; what fails is tried again without metadata or warnings."""
    try:
        return _decoded_once(content)
    except (_Problem, MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return _decoded_once(_without_metadata(content))


def _decoded_once(content: Any) -> tuple[Image.Image, int]:
    if isinstance(content, Image.Image):
        content.load()
        return content.copy(), _orientation(content)  # a copy loses an orientation that was only set
    if isinstance(content, np.ndarray):
        shape = content.shape
        if content.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
            what = f"shape {shape} and type {content.dtype} is no picture"
            raise _Problem(f"{what}; pass uint8 of shape (H, W), (H, W, 3) or (H, W, 4).")
        return (Image.fromarray(content) if content.size else Image.new("RGB", (shape[1], shape[0]))), 1
    with Image.open(io.BytesIO(content), formats=_formats()) as image:
        image.seek(0)
        orientation = None
        if image.format == "TIFF":  # Pillow would turn it while loading, and stumble over texts of odd types
            orientation = _orientation(image)
            image.getexif().pop(_ORIENTATION, None)
        image.load()
        return image, orientation or _orientation(image)


def _without_metadata(content: Any) -> Any:
    """Drop a PNG's or JPEG's texts, profiles and previews; Pillow refuses a whole picture for one it cannot read."""
    if isinstance(content, (Image.Image, np.ndarray)):
        return content
    data, needed = bytes(content), bytearray()
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        place = 8
        while place + 8 <= len(data):  # chunk by chunk
            end = place + 12 + int.from_bytes(data[place : place + 4], "big")
            if data[place + 4 : place + 5].isupper() or data[place + 4 : place + 8] in (b"tRNS", b"eXIf"):
                needed += data[place:end]
            place = end
        return data[:8] + needed
    if data.startswith(b"\xff\xd8"):
        place = 2
        while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:  # up to the first scan
            end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            if data[place + 1] not in _JPEG_METADATA or data[place + 4 : place + 10] == b"Exif\0\0":
                needed += data[place:end]
            place = end
        return data[:2] + needed + data[place:]
    return data


def _orientation(image: Image.Image) -> int:
    """Find how a picture must be turned, 1 to 8; what else its EXIF block holds does not matter."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        return int(value[0] if isinstance(value, (tuple, list, bytes)) else value)
    except Warning:
        raise
    except Exception:  # a broken EXIF block is no reason to lose an intact picture
        return 1


def _to_rgb(image: Image.Image, orientation: int) -> Image.Image:
    if not image.width or not image.height:
        raise _Problem(f"a picture without pixels ({image.width} x {image.height}); leave it out.")
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.mode == "La":  # Pillow turns it into nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale a 16-bit, 32-bit or float grey picture to 8 bits: 0..65535 by 1/257, 0..1 by 255, 0..255 as it is."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        divisor = 1 / 255
    elif image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        divisor = 257.0
    elif low >= 0 and high <= 255:
        divisor = 1.0
    else:  # NaN, too
        ways = "save it with 8 bits, 16 bits or floats from 0 to 1"
        raise _Problem(f"grey values from {low:g} to {high:g} have no agreed brightness; {ways}.")
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 256):  # in blocks of rows: eight bytes per pixel for all of them would be much
        grey[start : start + 256] = np.round(values[start : start + 256].astype(np.float64) / divisor)
    return Image.fromarray(grey)


def _named(error: Exception, source: ImageSource, name: str | None = None, content: Any = None) -> ImageError:
    """Say which picture cannot be opened, why, and what to do; without a login, a signature or control characters."""
    name = name or describe(source)
    name = printable(shown(name) if is_url(name) else name)
    words = printable(" ".join(str(error).split()))[:200] or type(error).__name__
    if isinstance(error, _Problem):
        why = str(error)
    elif isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        why = f"the picture is too large to open safely ({words}); make it smaller first."
    elif isinstance(error, MemoryError):
        why = "the picture needs more memory than there is; make it smaller first."
    elif isinstance(error, UnidentifiedImageError):
        why = _why_unidentified(bytes(content[:64]))
    elif content is None or (isinstance(error, OSError) and error.errno is not None):
        why = f"cannot be read ({getattr(error, 'strerror', None) or words}); check the file and its rights."
    elif isinstance(content, Image.Image):
        why = f"the PIL image cannot be used ({words}); open it again, or leave it out."
    else:
        why = f"the file is damaged or cut short ({words}); fetch or export it again, or leave it out."
    return ImageError(f"{name}: {why}" if name.strip() else why)


def _why_unidentified(head: bytes) -> str:
    start = head.lstrip().lower()
    if head[4:8] == b"ftyp":
        return f"a HEIC or AVIF picture; it {HEIC_ADVICE}."
    if start.startswith((b"<!doctype", b"<html")):
        return "this is a web page, not a picture; fetch the picture itself."
    if start.startswith((b"<svg", b"<?xml", b"%!ps", b"%pdf")):
        return "this is a vector drawing or document; export it as PNG first."
    return "not a picture that Pillow can read; convert it to JPEG, PNG, WebP, GIF, BMP or TIFF."
