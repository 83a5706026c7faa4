"""Embed pictures in a stream: threads open and transform the next ones while the encoder works on these.

Threads, not processes: Pillow decodes and resizes without Python's lock, nothing is copied between processes, and a
killed run leaves none behind. Memory is bounded by two blocks of transformed pictures, however many there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zsc.images import ImageError, describe, open_image, read_source
from zsc.store.path_index import FileKey, file_key

if TYPE_CHECKING:
    from zsc.models import Encoder
    from zsc.models.base import Transform


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
        Path, size and time of change, taken before it was read; None for what is no file.
    pixels
        What the transform made of it, (3, S, S); None where its embedding is known, or it failed.
    error
        Why it failed; None where it did not.
    """

    index: int
    digest: bytes | None
    key: FileKey | None
    pixels: np.ndarray | None = None
    error: ImageError | None = None


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
) -> Iterator[Block]:
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
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; accepted is 1 or more.")
    workers = workers or min(os.cpu_count() or 1, 8)
    blocks = _blocks(indices, batch_size)
    with ThreadPoolExecutor(workers, thread_name_prefix="zsc-open", initializer=_give_way) as pool:
        waiting: deque[list[Future[Prepared]]] = deque()
        try:
            while blocks or waiting:
                while blocks and len(waiting) < 2:
                    waiting.append(
                        [pool.submit(prepare, i, sources[i], model.transform, known) for i in blocks.popleft()]
                    )
                yield encode_block(model, [future.result() for future in waiting.popleft()])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def prepare(index: int, source: Any, transform: Transform, known: Container[bytes]) -> Prepared:
    """Read, digest and transform one picture; an unreadable one comes back with its error."""
    key = file_key(source)
    digest = None
    try:
        content = read_source(source)
        digest = digest_of_content(content)
        if digest in known:
            return Prepared(index, digest, key)
        return Prepared(index, digest, key, transform(open_image(content, name=describe(source))))
    except (ImageError, OSError) as error:
        failure = (
            error if isinstance(error, ImageError) else ImageError(f"{describe(source)}: cannot be read ({error}).")
        )
        return Prepared(index, digest, key, error=failure)


def _give_way() -> None:
    """Let the encoder go first where cores are few: an encoder that waits for one of its threads waits with all."""
    if sys.platform == "linux":  # elsewhere this would slow the whole process down
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def digest_of_content(content: Any) -> bytes:
    """Compute the sha256 of a picture's content: of the file's bytes, or of the pixels of what is in memory."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return hashlib.sha256(content).digest()
    if isinstance(content, np.ndarray):
        head = f"array {content.shape} {content.dtype}"
        return hashlib.sha256(head.encode() + np.ascontiguousarray(content).tobytes()).digest()
    if isinstance(content, Image.Image):
        head = f"image {content.mode} {content.size} {content.getpalette()} {content.info.get('transparency')}"
        exif = content.getexif().tobytes()
        return hashlib.sha256(head.encode() + exif + content.tobytes()).digest()
    if hasattr(content, "read"):
        content.seek(0)
        return hashlib.sha256(content.read()).digest()
    raise ImageError(f"a {type(content).__name__} is no picture; pass a path, a URL, bytes, a PIL image or an array.")


def _blocks(indices: Iterable[int], batch_size: int) -> deque[list[int]]:
    blocks: dict[int, list[int]] = {}
    for index in indices:
        blocks.setdefault(int(index) // batch_size, []).append(int(index))
    return deque(blocks.values())


def encode_block(model: Encoder, pictures: list[Prepared]) -> Block:
    """Embed the new pictures of a block together; equal ones once."""
    new = {p.digest: p.pixels for p in pictures if p.digest is not None and p.pixels is not None}
    if not new:
        return Block(pictures, {})
    return Block(pictures, dict(zip(new, model.encode_pixels(list(new.values())), strict=True)))
