"""Embed a folder with the model of known geometry, slowly, writing down what is encoded: a process to be killed.

Usage: python embed_slowly.py FOLDER STORE LOG [FIRST LAST | --hang]

With --hang, reading the sixth picture never ends.
"""

import hashlib
import sys
import threading
import time
from pathlib import Path

import numpy as np
from conftest import ColourEncoder

import zsc
from zsc import embeddings


def mark(pixels):
    """Name transformed pixels by their content."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


class SlowEncoder(ColourEncoder):
    """Takes its time, and notes each picture that it encodes."""

    def encode_pixels(self, pixels):
        time.sleep(0.01)
        with Path(sys.argv[3]).open("a", encoding="utf-8") as log:
            log.writelines(f"{mark(p)}\n" for p in pixels)
        return super().encode_pixels(pixels)


def hang_at(path):
    """Let the reading of one picture wait for ever, as a share that went away does."""
    read = embeddings.read_source
    embeddings.read_source = lambda source: threading.Event().wait() if source == path else read(source)


if __name__ == "__main__":
    embeddings.PART_ROWS = 16
    dataset = zsc.ImageDataset.from_folder(sys.argv[1])
    if sys.argv[4:] == ["--hang"]:
        hang_at(dataset.paths[5])
    elif len(sys.argv) > 4:
        dataset = dataset[int(sys.argv[4]) : int(sys.argv[5])]
    zsc.embed_images(SlowEncoder(), dataset, sys.argv[2], batch_size=4, progress=False)
