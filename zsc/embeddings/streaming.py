"""Embed pictures in a stream: threads open and transform the next ones while the encoder works on these.

Threads, not processes: Pillow decodes and resizes without Python's lock, nothing is copied between processes, and a
killed run leaves none behind. Memory is bounded by two blocks of transformed pictures, however many there are.
Whatever one picture raises, in opening or in the encoder, becomes that picture's error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zsc.checks import check_count
from zsc.files import printable, shown
from zsc.images import ImageError, describe, is_url, open_image, read_source
from zsc.store.path_index import FileKey, file_key

if TYPE_CHECKING:
    from zsc.models import Encoder
    from zsc.models.base import Transform

PATIENCE = 1.0  # seconds that a run that ends early waits for pictures that are being opened
_LOCKS = [threading.Lock() for _ in range(64)]  # what is in memory may stand in a data set twice, and is no thread's


@dataclass(frozen=True)
class Prepared:
    """One picture on its way to the encoder.

    Attributes
    ----------
    index
        Its place in the data set.
    digest
        sha256 of its content; None where it could not be read.
    key
        What changes with its file, taken before it was read; None for what is no file, or was changed just now.
    pixels
        What the transform made of it, (3, S, S); None where its embedding is known, or it failed.
    error
        Why it failed; None where it did not.
    name
        What messages call it.
    """

    index: int
    digest: bytes | None
    key: FileKey | None
    pixels: np.ndarray | None = None
    error: ImageError | None = None
    name: str = ""


@dataclass(frozen=True)
class Block:
    """Pictures that went through the encoder together, and the embeddings of those that were new, by digest."""

    pictures: list[Prepared]
    embeddings: dict[bytes, np.ndarray]


def stream_blocks(
    model: Encoder,
    sources: Sequence[Any],
    indices: Iterable[int],
    *,
    batch_size: int,
    workers: int | None = None,
    known: Container[bytes] = (),
) -> Generator[Block, None, None]:
    """Embed the pictures at `indices`, block by block.

    A block holds the wanted pictures among `batch_size` neighbours of the data set. A run that goes on after a stop so
    forms the same blocks as an undisturbed one, and gives the same numbers to the last bit.

    Parameters
    ----------
    model
        The encoder.
    sources
        The N pictures of the data set.
    indices
        Which of them to embed, ascending.
    batch_size
        Pictures a block at most.
    workers
        Threads that open pictures; None takes one a core, at most eight.
    known
        Digests that need no embedding; pictures of these are read but not decoded.
    """
    check_count(batch_size, "batch_size")
    workers = check_count(workers or min(os.cpu_count() or 1, 8), "workers")
    blocks = _blocks(indices, batch_size)
    waiting: deque[list[Future[Prepared]]] = deque()
    openers = _Openers(workers if blocks else 0)
    try:
        while blocks or waiting:
            while blocks and len(waiting) < 2:
                waiting.append(
                    [openers.submit(prepare, i, sources[i], model.transform, known) for i in blocks.popleft()]
                )
            prepared = [future.result() for future in waiting[0]]
            waiting.popleft()
            yield encode_block(model, prepared)
    finally:
        openers.close(future for block in waiting for future in block)


class _Openers:
    """Threads that open pictures, as an executor's; but one that hangs holds up no interrupt, nor the process's end."""

    def __init__(self, workers: int) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name="zsc-open", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.put((future, function, arguments))
        return future

    def close(self, futures: Iterable[Future[Any]]) -> None:
        for future in futures:
            future.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        _give_way()
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:  # the thread that waits for it raises it
                    future.set_exception(error)
            del task, future, arguments  # nothing of a picture stays while this waits for the next


def prepare(index: int, source: Any, transform: Transform, known: Container[bytes]) -> Prepared:
    """Read, digest and transform one picture; one that raises anything comes back with its error."""
    name, digest, key = name_of(source), None, None
    try:
        key = file_key(source)
        content = _content(source)
        digest = _digest(content)
        if digest in known:
            return Prepared(index, digest, key, name=name)
        image = content if isinstance(content, Image.Image) else open_image(content, name=name)
        return Prepared(index, digest, key, transform(image), name=name)
    except Exception as error:
        return Prepared(index, digest, key, error=_as_image_error(error, name), name=name)


def digest_of_content(content: Any) -> bytes:
    """Compute the sha256 of a picture's content: of a file's bytes; of what is in memory, the picture it opens as.

    Whatever pictures in memory are, two that open as different pictures have different digests.
    """
    return _digest(_content(content))


def _content(source: Any) -> bytes | bytearray | memoryview | Image.Image:
    """Give the bytes of a path, URL or open file, which stays where it was; else the upright RGB picture."""
    if isinstance(source, (str, os.PathLike, bytes)):
        return read_source(source)
    with _LOCKS[id(source) // 16 % len(_LOCKS)], _same_place(source):
        content = read_source(source)
        return content if isinstance(content, (bytes, bytearray, memoryview)) else open_image(content)


@contextlib.contextmanager
def _same_place(source: Any) -> Iterator[None]:
    """Leave an open file where it was before it was read."""
    is_file = hasattr(source, "read") and getattr(source, "seekable", lambda: hasattr(source, "seek"))()
    place = source.tell() if is_file else None
    try:
        yield
    finally:
        if place is not None:
            source.seek(place)


def _digest(content: bytes | bytearray | memoryview | Image.Image) -> bytes:
    if isinstance(content, Image.Image):
        head = f"opened {content.mode} {content.width}x{content.height}\n"
        return hashlib.sha256(head.encode() + content.tobytes()).digest()
    return hashlib.sha256(content).digest()


def name_of(source: Any) -> str:
    """Name a picture source, as `describe` does; a name that cannot be told is no reason to lose the picture."""
    try:
        return describe(source)
    except Exception:
        return f"a {type(source).__name__}"


def _as_image_error(error: Exception, name: str) -> ImageError:
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        reason = "needs more memory than there is; make it smaller, or leave it out"
    else:
        what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        reason = f"cannot be embedded ({printable(what)}); mend it, or leave it out"
    with contextlib.suppress(ValueError):  # an address that makes no sense has nothing to hide
        name = shown(name) if is_url(name) else name
    failure = ImageError(f"{printable(name)}: {reason}.")
    failure.__cause__ = error
    return failure


def _give_way() -> None:
    """Let the encoder go first where cores are few: an encoder that waits for one of its threads waits with all."""
    if sys.platform == "linux":  # elsewhere this would slow the whole process down
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _blocks(indices: Iterable[int], batch_size: int) -> deque[list[int]]:
    blocks: dict[int, list[int]] = {}
    for index in indices:
        blocks.setdefault(int(index) // batch_size, []).append(int(index))
    return deque(blocks.values())


def encode_block(model: Encoder, pictures: list[Prepared]) -> Block:
    """Embed the new pictures of a block together; equal ones once.

    Where the encoder fails, each picture goes through it alone, and those that fail again come back with their error.
    Where all do, for another reason than numbers that are none, it is the encoder that fails: its error is raised.
    """
    new = {p.digest: p.pixels for p in pictures if p.digest is not None and p.pixels is not None}
    if not new:
        return Block(pictures, {})
    try:
        return Block(pictures, dict(zip(new, model.encode_pixels(list(new.values())), strict=True)))
    except Exception as error:
        embeddings, errors = _encode_one_by_one(model, new)
        if not embeddings and len(new) > 1 and not isinstance(error, FloatingPointError):
            raise
        if not errors:
            warnings.warn(
                f"{model.name}: {len(new)} pictures failed together ({type(error).__name__}: {printable(error)}) and "
                "were embedded one by one; pass a smaller batch_size.", RuntimeWarning, stacklevel=2,
            )  # fmt: skip
    told = [replace(p, error=_as_image_error(errors[p.digest], p.name)) if p.digest in errors else p for p in pictures]
    return Block(told, embeddings)


def _encode_one_by_one(
    model: Encoder, new: dict[bytes, np.ndarray]
) -> tuple[dict[bytes, np.ndarray], dict[bytes | None, Exception]]:
    embeddings: dict[bytes, np.ndarray] = {}
    errors: dict[bytes | None, Exception] = {}
    for digest, pixels in new.items():
        try:
            embeddings[digest] = model.encode_pixels([pixels])[0]
        except Exception as error:
            errors[digest] = error
    return embeddings, errors
