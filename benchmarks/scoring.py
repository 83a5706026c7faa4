"""Score 1,000,000 stored embeddings from a memory-mapped file against 1,000 classes, compared with the matrix product.

Usage: python -m benchmarks.scoring [N D K]. Prints seconds (median of 3, in turn) and the peak memory of each method.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.memory import memory_mb
from zsc.scoring import CHUNK_ROWS, cosine_scores


def main() -> None:
    """Make the arrays once, then measure the methods in turn, each in a process of its own."""
    if sys.argv[1:2] == ["--once"]:
        once(sys.argv[2], Path(sys.argv[3]))
        return
    n, d, k = (int(word) for word in sys.argv[1:4]) if len(sys.argv) > 1 else (1_000_000, 512, 1000)
    with tempfile.TemporaryDirectory() as place:
        rng = np.random.default_rng(0)
        images = np.lib.format.open_memmap(Path(place) / "images.npy", "w+", np.float32, (n, d))
        for start in range(0, n, CHUNK_ROWS):
            block = rng.normal(size=(min(CHUNK_ROWS, n - start), d)).astype(np.float32)
            images[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
        images.flush()
        weights = rng.normal(size=(k, d)).astype(np.float32)
        np.save(Path(place) / "weights.npy", weights / np.linalg.norm(weights, axis=1, keepdims=True))
        print(f"{n} x {d} embeddings, {k} classes")
        found: dict[str, list[tuple[float, float]]] = {
            "matrix product in blocks": [],
            "cosine_scores in blocks": [],
        }
        for _ in range(3):
            for way, runs in found.items():
                command = [sys.executable, "-m", "benchmarks.scoring", "--once", way, place]
                words = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
                runs.append((float(words[0]), float(words[1])))
        for way, runs in found.items():
            seconds, memory = statistics.median(r[0] for r in runs), statistics.median(r[1] for r in runs)
            print(f"  {way:30} {seconds:7.2f} s   peak memory {memory:7.0f} MB")


def once(way: str, place: Path) -> None:
    """Score once; print seconds and the peak memory without the mapped file."""
    images, weights = np.load(place / "images.npy", mmap_mode="r"), np.load(place / "weights.npy")
    seen: list[float] = []
    threading.Thread(target=watch, args=(seen,), daemon=True).start()
    start = time.perf_counter()
    for row in range(0, len(images), CHUNK_ROWS):
        block = images[row : row + CHUNK_ROWS]
        (block @ weights.T if way.startswith("matrix") else cosine_scores(block, weights)).argmax(axis=1)
    seconds = time.perf_counter() - start
    print(seconds, max(seen))


def watch(seen: list[float]) -> None:
    """Record the memory without the mapped file, in MB, at short intervals."""
    while True:
        seen.append(memory_mb("RssAnon"))
        time.sleep(0.02)


if __name__ == "__main__":
    main()
