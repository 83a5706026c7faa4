"""Print the peak memory, in MB, of embedding N pictures, measured in a separate process.

Usage: python -m benchmarks.memory FOLDER N. The encoder is a tiny random CLIP, so that streaming is what is measured.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import benchmarks.checkpoints  # noqa: F401  (makes clip importable)
import zsc


def memory_mb(what: str = "VmHWM") -> float:
    """Return this process's memory, by default its peak; getrusage would return the parent's peak if that is higher."""
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split(f"{what}:")[1].split()[0]) / 1024


def main() -> None:
    """Embed the first N pictures of a folder, with a store, and print the peak."""
    from clip.model import CLIP, convert_weights

    folder, n = Path(sys.argv[1]), int(sys.argv[2])
    torch.manual_seed(0)
    tiny = CLIP(64, 224, 1, 64, 32, 77, 49408, 64, 1, 1)
    convert_weights(tiny)
    with tempfile.TemporaryDirectory() as place:
        checkpoint = Path(place) / "tiny.pt"
        torch.save(tiny.state_dict(), checkpoint)
        dataset = zsc.ImageDataset(sorted(folder.glob("*.jpg"))[:n], np.zeros(n, int), ["a", "b"])
        zsc.embed_images(zsc.load_model(checkpoint, device="cpu"), dataset, Path(place) / "store", progress=False)
    print(memory_mb())


if __name__ == "__main__":
    main()
