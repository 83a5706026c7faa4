"""Measure how fast pictures are opened, by Pillow and by what else is installed: `python -m benchmarks.decoding`.

The photographs of `samples` as JPEG files of 500 x 375 and 4000 x 3000 and as PNG files of 1024 x 1024. For each
decoder: pictures per second of one core (processor time, so that other work on the machine counts little), and how far
the pixels that CLIP would see, 224 a side, are from Pillow's: 0 is equal to the bit. simplejpeg, torchvision and
pyvips are compared where they can be imported; none of them is needed by zsc.
"""

from __future__ import annotations

import importlib
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

import zsc
from zsc.embeddings import memory_kept
from zsc.models.transforms import ImageTransform

KINDS = {"JPEG 500 x 375": ("JPEG", (500, 375)), "JPEG 4000 x 3000": ("JPEG", (4000, 3000)),
         "PNG 1024 x 1024": ("PNG", (1024, 1024))}  # fmt: skip
SECONDS = 4.0  # of processor time for each line
TRANSFORM = ImageTransform(224)


def main() -> None:
    """Print a table for each kind of file; freed memory is kept, as `embed_images` does."""
    with memory_kept():
        _measure()


def _measure() -> None:
    photographs = [zsc.open_image(path) for path in zsc.load_dataset("samples").paths[:8]]
    for kind, (form, size) in KINDS.items():
        files = [encoded(photograph.resize(size, Image.Resampling.LANCZOS), form) for photograph in photographs]
        print(f"\n{kind}, {np.mean([len(f) for f in files]) / 1000:.0f} kB each; pictures/s of one core")
        whole = [zsc.open_image(file) for file in files]
        expected = [TRANSFORM.pixels(image).astype(int) for image in whole]
        for name, decode in decoders(form):
            opened = [Image.fromarray(np.asarray(decode(file))) for file in files]
            off = [
                np.abs(TRANSFORM.pixels(image).astype(int) - true) for image, true in zip(opened, expected, strict=True)
            ]
            told = f"pixels off by {np.max(off):3d} at most, {np.mean(off):.3f} in the mean"
            print(f"  {name:36} {rate(decode, files):8.1f}   {told}", flush=True)
        print(f"  {'resize, crop and normalise (zsc)':36} {rate(TRANSFORM, whole):8.1f}")


def encoded(image: Image.Image, form: str) -> bytes:
    """Write a picture as a file in memory."""
    image.save(buffer := io.BytesIO(), form, **({"quality": 90} if form == "JPEG" else {}))
    return buffer.getvalue()


def rate(work: Callable[[Any], object], items: list[Any]) -> float:
    """Return how many items are done in a second of processor time."""
    begun, n = time.process_time(), 0
    while (took := time.process_time() - begun) < SECONDS:
        for item in items:
            work(item)
        n += len(items)
    return n / took


def decoders(form: str) -> Iterator[tuple[str, Callable[[bytes], Any]]]:
    """List decoders to RGB that can be imported; "scaled" ones let JPEG itself leave 448 pixels a side or more."""
    yield "zsc.open_image (Pillow)", zsc.open_image
    yield "Pillow alone", lambda data: Image.open(io.BytesIO(data)).convert("RGB")
    if form == "JPEG":
        yield "Pillow, scaled (draft)", _drafted
    if (simple := _module("simplejpeg")) and form == "JPEG":
        yield "simplejpeg", partial(simple.decode_jpeg, colorspace="RGB")
        yield "simplejpeg, fast", partial(simple.decode_jpeg, colorspace="RGB", fastdct=True, fastupsample=True)
        smallest = {"min_height": 448, "min_width": 448, "min_factor": 2}
        yield "simplejpeg, scaled", partial(simple.decode_jpeg, colorspace="RGB", **smallest)
    if vision := _module("torchvision.io"):
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        yield "torchvision.io", lambda data: vision.decode_image(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), vision.ImageReadMode.RGB
        ).permute(1, 2, 0).numpy()  # fmt: skip
    if vips := _module("pyvips"):
        vips.cache_set_max(0)
        yield "pyvips", lambda data: vips.Image.new_from_buffer(data, "").numpy()[..., :3]
        yield "pyvips thumbnail 448", lambda data: vips.Image.thumbnail_buffer(data, 448, size="down").numpy()[..., :3]


def _drafted(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (448, 448))
    return image.convert("RGB")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return None


if __name__ == "__main__":
    main()
