"""Measure a store of 10^4 to 10^7 vectors of 512 numbers: what each question costs in time and memory.

Vectors are stubs whose classes are known; each measure runs in a process of its own, whose peak memory is told. A store
is made in small parts and compacted, so the page cache of the system is warm as far as it reaches. `--kills` stops
writing and compacting twenty times at random moments instead, and counts what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from zsc.scoring import nearest
from zsc.statistics import wilson_interval
from zsc.store import EmbeddingStore

DIM, CLASSES, FINGERPRINT = 512, 10, "0123456789abcdef"
ABOUT = {"name": "stub", "embed_dim": DIM}
MEASURES = ("open", "lookup", "neighbours", "scan", "top 10", "evaluate", "1,000 classes", "100,000 classes")
LIMITS = {"1,000 classes": 1_000_000, "100,000 classes": 10_000}  # rows; beyond, the product is all that is measured


def main() -> None:
    """Make the stores one after the other, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="sizes of the stores")
    parser.add_argument("--ten-million", action="store_true", help="10^7 rows, too, in float16: 10 GB of disk")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16"), help="of the vectors")
    parser.add_argument("--folder", type=Path, help="where the stores are made, and removed; default: a temporary one")
    parser.add_argument("--output", type=Path, default=Path("scale.json"), help="default: scale.json")
    parser.add_argument("--kills", type=int, nargs="?", const=20, help="only this: kills while writing and compacting")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, folder, rows = arguments.child
        print(json.dumps(CHILDREN[what](Path(folder), int(rows)) if what in CHILDREN else measure(what, Path(folder))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        if arguments.kills:
            kill(Path(place), arguments.kills)
            return
        sizes = [(n, arguments.dtype) for n in arguments.rows] + [(10**7, "float16")] * arguments.ten_million
        found = []
        for rows, dtype in sizes:
            folder = Path(place) / f"{rows}-{dtype}"
            for what in (f"write {dtype}", f"compact {dtype}", *MEASURES):
                if rows <= LIMITS.get(what, rows):
                    found.append({"rows": rows, "dtype": dtype, "what": what, **child(what, folder, rows)})
                    line = found[-1]
                    note = f"  {line['note']}" if line["note"] else ""
                    print(f"{rows:>10} {dtype}  {what:16} {line['s']:9.3f} s {line['MB']:8.0f} MB{note}", flush=True)
            shutil.rmtree(folder)
            arguments.output.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(f"saved {arguments.output}")


def child(what: str, folder: Path, rows: int) -> dict[str, Any]:
    """Measure one thing in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--child", what, str(folder), str(rows)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])


def digests_of(first: int, n: int) -> list[bytes]:
    """Make the digests of n stub pictures."""
    return [hashlib.sha256(i.to_bytes(8, "little")).digest() for i in range(first, first + n)]


def directions(k: int) -> np.ndarray:
    """Make k unit rows, (k, DIM), that stand for classes."""
    rows = np.random.default_rng(k).standard_normal((k, DIM), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def label_of(digest: bytes) -> int:
    """Tell the class of a stub picture."""
    return digest[0] % CLASSES


def vectors_of(digests: list[bytes], seed: int) -> np.ndarray:
    """Make stub vectors: the direction of the class, and noise."""
    rows = np.random.default_rng(seed).standard_normal((len(digests), DIM), np.float32) / np.float32(DIM**0.5)
    rows += 0.1 * directions(CLASSES)[[label_of(d) for d in digests]]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def opened(folder: Path) -> EmbeddingStore:
    """Open a store of stubs."""
    return EmbeddingStore(folder, FINGERPRINT, DIM, ABOUT)


def timed(start: float, note: str = "") -> dict[str, Any]:
    """Tell the seconds since `start`, and this process's peak memory in MB."""
    peak = int(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) / 1024
    return {"s": time.perf_counter() - start, "MB": peak, "note": note}


def write(folder: Path, rows: int, dtype: str) -> dict[str, Any]:
    """Write a store in parts of 512 rows, as `embed_images` does, compacted each 2^20 rows; only `add` is timed."""
    store, seconds = opened(folder), 0.0
    for first in range(0, rows, 512):
        if first and not first % (2048 * 512):
            store.compact(dtype)
        digests = digests_of(first, min(512, rows - first))
        values = vectors_of(digests, first)
        start = time.perf_counter()
        store.add(digests, values)
        seconds += time.perf_counter() - start
    (folder / "first.json").write_text(json.dumps([d.hex() for d in digests_of(0, 10_000)]), encoding="utf-8")
    some = random.Random(0).sample(range(rows), 10_000)
    (folder / "some.json").write_text(json.dumps([digests_of(i, 1)[0].hex() for i in some]), encoding="utf-8")
    return timed(time.perf_counter() - seconds)


def compact(folder: Path, dtype: str) -> dict[str, Any]:
    """Compact what was not compacted while it was written."""
    store, start = opened(folder), time.perf_counter()
    parts = len(store.compact(dtype))
    return timed(start, f"{parts} parts")


CHILDREN: dict[str, Any] = {
    "write float32": lambda folder, rows: write(folder, rows, "float32"),
    "write float16": lambda folder, rows: write(folder, rows, "float16"),
    "compact float32": lambda folder, rows: compact(folder, "float32"),
    "compact float16": lambda folder, rows: compact(folder, "float16"),
}


def measure(what: str, folder: Path) -> dict[str, Any]:
    """Open the store and ask one question."""
    names = {"lookup": "some.json", "neighbours": "first.json"}
    asked = [bytes.fromhex(d) for d in json.loads((folder / names.get(what, "some.json")).read_text(encoding="utf-8"))]
    heads = {"evaluate": CLASSES, "1,000 classes": 1000, "100,000 classes": 100_000}
    head = directions(heads.get(what, 1))
    head = head.astype(np.float16) if len(head) > 10_000 else head
    start = time.perf_counter()
    store = opened(folder)
    if what == "open":
        return timed(start, f"{len(store)} rows")
    if what in names:
        _, found = store.get(asked)
        assert found.all()
        return timed(start, f"{len(asked)} digests")
    if what == "scan":
        total = sum(float(values.sum()) for _, values in store.scan())
        assert np.isfinite(total)
        return timed(start)
    if what == "top 10":
        best, names_of = np.empty((1, 0), np.float32), list[bytes]()
        for digests, values in store.scan():
            index, cosines = nearest(head, values, 10)
            best, names_of = np.hstack([best, cosines]), names_of + [digests[i] for i in index[0]]
            order = np.argsort(-best[0], kind="stable")[:10]
            best, names_of = best[:, order], [names_of[i] for i in order]
        return timed(start)
    confusion = np.zeros((CLASSES, len(head)), int)
    for digests, values in store.scan():
        np.add.at(confusion, ([label_of(d) for d in digests], nearest(values, head)[0][:, 0]), 1)
    if what != "evaluate":
        return timed(start, f"{confusion.sum() / (time.perf_counter() - start):.0f} rows/s")
    right, n = int(confusion.trace()), int(confusion.sum())
    low, high = wilson_interval(right, n)
    return timed(start, f"accuracy {right / n:.4f} ({low:.4f} to {high:.4f})")


def kill(folder: Path, times: int) -> None:
    """Kill a process that writes and one that compacts, again and again; then count what is there, bit for bit."""
    clock, told = random.Random(0), folder / "told"
    told.touch()
    for number in range(times):
        names = (("adding", number), ("compacting", number))
        both = [subprocess.Popen([sys.executable, "-m", "benchmarks.scale", "--child", what, str(folder), str(n)])
                for what, n in names]  # fmt: skip
        before = told.stat().st_size
        while told.stat().st_size < before + 6 and all(process.poll() is None for process in both):
            time.sleep(0.01)
        time.sleep(clock.uniform(0, 1))
        for process in both:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    numbers = [int(n) for n in told.read_text(encoding="utf-8").split()]
    lost, wrong, store = 0, 0, opened(folder)
    for n in numbers:
        digests = digests_of(n * 300, 300)
        values, found = store.get(digests)
        lost += int((~found).sum())
        wrong += int((values[found] != vectors_of(digests, n)[found]).any(axis=1).sum())
    scanned = [d for digests, _ in store.scan() for d in digests]
    doubled = len(scanned) - len(set(scanned))
    problems = sum(bool(check.problem) for check in store.verify())
    kept = f"{times} kills, {300 * len(numbers)} rows told as kept: {lost} lost, {doubled} doubled"
    print(f"{kept}, {wrong} not bit-equal, {problems} damaged parts")


def adding(folder: Path, number: int) -> None:
    """Add 300 rows at a time until the end, and tell each time."""
    for n in range(number * 10_000, number * 10_000 + 10_000):
        digests = digests_of(n * 300, 300)
        opened(folder).add(digests, vectors_of(digests, n))
        with (folder / "told").open("a", encoding="utf-8") as file:
            file.write(f"{n}\n")


def compacting(folder: Path, number: int) -> None:
    """Compact, again and again, until the end."""
    del number
    while True:
        opened(folder).compact()


CHILDREN |= {"adding": adding, "compacting": compacting}

if __name__ == "__main__":
    main()
