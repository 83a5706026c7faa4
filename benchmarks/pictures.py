"""Synthetic pictures for benchmarks: noise and shapes, sized and compressed like photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter


def make_pictures(folder: Path, n: int, *, size: tuple[int, int] = (500, 375), suffix: str = ".jpg") -> list[Path]:
    """Write n different pictures, unless they exist; 500 x 375 JPEGs have about 60 kB."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{i:05}{suffix}" for i in range(n)]
    for path in paths:
        if not path.exists():
            rough = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
            smooth = Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
            grain = np.asarray(smooth, np.int16) + rng.integers(-12, 13, (size[1], size[0], 3))
            Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def copies(paths: list[Path], folder: Path, n: int) -> list[Path]:
    """Write n files with different content quickly, from a few pictures: decoders ignore bytes after a JPEG's end."""
    folder.mkdir(parents=True, exist_ok=True)
    bodies = [path.read_bytes() for path in paths]
    out = [folder / f"{i:05}.jpg" for i in range(n)]
    for i, path in enumerate(out):
        if not path.exists():
            path.write_bytes(bodies[i % len(bodies)] + i.to_bytes(4, "little"))
    return out
