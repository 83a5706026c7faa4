"""Measure speed and memory in one run, on the same pictures and the same random full-size weights.

Loops run in turn, round by round, after one warm-up round; the table shows medians. Weights are random: speeds are
real, answers are not. `--threads 1` gives every encoder one core; zsc then opens pictures on the other cores, which the
other loops do not: compare zsc only with its own encoder alone there, not with them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zsc
from benchmarks.checkpoints import CACHE, random_checkpoint
from benchmarks.loops import LOOPS, PROMPTS
from benchmarks.models import measure_models
from benchmarks.pictures import copies, make_pictures
from zsc.evaluation import environment
from zsc.store import EmbeddingStore, PathIndex, file_key

KEPT = 3925  # Imagenette's validation set


def main() -> None:
    """Measure, print the tables, and save everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=96, help="pictures per loop and round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that are measured")
    parser.add_argument("--output", type=Path, help="default: benchmark.json, or benchmark-part.json for a partial run")
    parser.add_argument("--quick", action="store_true", help="one round of 32 pictures, no memory rows: a smoke test")
    parser.add_argument("--threads", type=int, help="cores for each encoder; default: all")
    parser.add_argument("--first-pass", action="store_true", help="only the first pass, not what comes after it")
    parser.add_argument("--models", action="store_true", help="only models beyond OpenAI's format, and precisions")
    parser.add_argument("--photographs", type=Path, help="folder of JPEGs for the cosines; default: samples")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images, rounds = (32, 1) if arguments.quick else (arguments.images, arguments.rounds)
    result = environment() | {"torch threads": torch.get_num_threads(), "images": images, "rounds": rounds}
    kinds = {"500 x 375 JPEG": {}, "1024 x 1024 PNG": {"size": (1024, 1024), "suffix": ".png"}}
    if arguments.models:
        jpegs = make_pictures(CACHE / "bench-500x375JPEG", images)
        result["models"] = measure_models(jpegs, rounds, arguments.photographs)
    for kind, options in () if arguments.models else list(kinds.items())[: 1 if arguments.quick else 2]:
        paths = make_pictures(CACHE / f"bench-{kind.replace(' ', '')}", images, **options)
        for name in ("RN50", "ViT-B-32"):
            print(f"\n{name}, {kind}, {images} pictures, {rounds} rounds: images per second, median")
            result[f"{name}, {kind}"] = first_pass(name, paths, rounds)
    if not arguments.first_pass and not arguments.models:
        measure_the_rest(result, make_pictures(CACHE / "bench-500x375JPEG", images), with_memory=not arguments.quick)
    is_part = arguments.models or arguments.first_pass or arguments.threads or arguments.quick
    output = arguments.output or Path("benchmark-part.json" if is_part else "benchmark.json")
    output.write_text(json.dumps(result, indent=2), encoding="utf-8")
    print(f"\nsaved {output}")


def measure_the_rest(result: dict[str, Any], jpegs: list[Path], *, with_memory: bool) -> None:
    """Measure what comes after the first pass, add it to the result, and print it."""
    result["second question"] = second_question(result, jpegs)
    result["start"] = {"import zsc, s": import_time(), "load 5000 stored, s": open_kept(jpegs)}
    if with_memory:
        result["peak memory"] = peak_memory(jpegs)
    for part in ("second question", "start", "peak memory"):
        if part in result:
            print(f"\n{part}")
            for key, value in result[part].items():
                print(f"  {key:50} {value:10.4g}")


def first_pass(name: str, paths: list[Path], rounds: int) -> dict[str, float]:
    """Run every loop that supports the checkpoint, in turn, and return images per second."""
    checkpoint = random_checkpoint(name)
    loops = {label: make(checkpoint) for label, (make, names) in LOOPS.items() if name in names}
    seconds: dict[str, list[float]] = {label: [] for label in loops}
    for number in range(rounds + 1):
        for label, loop in loops.items():
            start = time.perf_counter()
            loop(paths)
            if number:  # the first round is a warm-up
                seconds[label].append(time.perf_counter() - start)
    rates = {label: len(paths) / statistics.median(s) for label, s in seconds.items()}
    base = rates["Glasses tutorial's loop (clip, one by one)"]
    for label, rate in rates.items():
        print(f"  {label:50} {rate:7.1f}   {rate / base:5.2f} x the tutorial's loop")
    for engine in ("torch", "openvino"):
        alone, ours = rates[f"encoder alone, {engine}"], rates[f"zsc, {engine}"]
        text = f"  {engine}: {ours / alone:.2f} of its encoder alone"
        if torch.get_num_threads() == os.cpu_count():  # otherwise opening and encoder have cores of their own
            both = 1 / (1 / rates["opening alone, every core"] + 1 / alone)
            rates[f"opening and encoder, one after the other, {engine}"] = both
            text += f", {ours / both:.2f} of both one after the other"
        print(text)
    return rates


def second_question(result: dict[str, Any], jpegs: list[Path]) -> dict[str, float]:
    """Time another set of prompts on stored embeddings, against the tutorial's loop over as many pictures."""
    model = zsc.load_model(random_checkpoint("ViT-B-32"), device="cpu")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(KEPT, model.embed_dim)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    embeddings = zsc.ImageEmbeddings(
        values, [jpegs[0]] * KEPT, rng.integers(0, 2, KEPT), ["a", "b"], fingerprint=model.fingerprint
    )
    times = []
    for number in range(12):
        prompts = {"a": f"question {number} without", "b": f"question {number} with"}
        start = time.perf_counter()
        zsc.ZeroShotClassifier(prompts, model).evaluate(embeddings)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[2:])
    loop = KEPT / result["ViT-B-32, 500 x 375 JPEG"]["Glasses tutorial's loop (clip, one by one)"]
    return {
        f"{len(PROMPTS)} prompts on {KEPT} stored pictures, s": seconds,
        "tutorial's loop, s": loop,
        "times faster": loop / seconds,
    }


def import_time() -> float:
    """Time `import zsc` in fresh processes, minus an empty process."""

    def once(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    return statistics.median(once("import zsc") for _ in range(5)) - statistics.median(once("") for _ in range(5))


def open_kept(jpegs: list[Path]) -> float:
    """Time loading the embeddings of 5000 stored pictures: no picture is read."""
    paths = copies(jpegs, CACHE / "bench-copies", 5000)
    model = zsc.load_model(random_checkpoint("ViT-B-32"), device="cpu")
    with tempfile.TemporaryDirectory() as place:
        store, index = EmbeddingStore(place, model.fingerprint, 512), PathIndex(place)
        digests = [i.to_bytes(32, "little") for i in range(5000)]
        values = np.random.default_rng(0).normal(size=(5000, 512)).astype(np.float32)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        for start in range(0, 5000, 512):
            store.add(digests[start : start + 512], values[start : start + 512])
        keys = [file_key(p) for p in paths]
        index.add([(key, digest) for key, digest in zip(keys, digests, strict=True) if key])
        dataset = zsc.ImageDataset(paths, np.zeros(5000, int), ["a", "b"])
        start_time = time.perf_counter()
        embeddings = zsc.embed_images(model, dataset, place, progress=False)
        seconds = time.perf_counter() - start_time
    assert not embeddings.failed.any()
    return seconds


def peak_memory(jpegs: list[Path]) -> dict[str, float]:
    """Measure the peak memory of embedding 1,000 and 10,000 different pictures, each in a process of its own."""
    copies(jpegs, CACHE / "bench-many", 10_000)
    peaks = {}
    for n in (1000, 10_000):
        command = [sys.executable, "-m", "benchmarks.memory", str(CACHE / "bench-many"), str(n)]
        peaks[f"{n} pictures, MB"] = float(subprocess.run(command, capture_output=True, check=True).stdout.split()[-1])
    return peaks | {"growth, MB": peaks["10000 pictures, MB"] - peaks["1000 pictures, MB"]}


if __name__ == "__main__":
    main()
