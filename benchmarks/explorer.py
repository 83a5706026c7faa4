"""Measure how long the prompt explorer takes to answer, in milliseconds: `python -m benchmarks.explorer`.

The stored embeddings of 4,000 pictures are made up (unit rows of noise around ten centres), and so are the weights of
the text encoder, a full-size ViT-B/32: times are real, accuracies mean nothing. An answer is complete when the panel
shows it, including the gallery; transfer to the browser is not measured. Other work on the machine slows it many times
over.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import zsc
from benchmarks.checkpoints import CACHE, random_checkpoint
from benchmarks.pictures import make_pictures
from zsc.explorer import PromptExplorer

CLASSES = [f"kind number {i}" for i in range(10)]
LIMIT = 200  # milliseconds: anything slower is noticeable


def main() -> None:
    """Measure, print one line per case, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000, help="stored pictures")
    parser.add_argument("--answers", type=int, default=30, help="answers per case")
    parser.add_argument("--classes", type=int, default=len(CLASSES), choices=range(2, 11), metavar="2..10")
    parser.add_argument("--output", type=Path, help="write the numbers as JSON")
    arguments = parser.parse_args()
    model = zsc.load_model(random_checkpoint("ViT-B-32"), device="cpu")
    embeddings = made_up(model, arguments.images, CLASSES[: arguments.classes])
    explorer = PromptExplorer(embeddings, model)
    print(f"{arguments.images} stored pictures, {arguments.classes} classes, random ViT-B/32 text encoder: ms")
    result = {name: measure(explorer, change, arguments.answers) for name, change in CASES.items()}
    for name, row in result.items():
        verdict = "under" if row["median"] < LIMIT else "OVER"
        print(f"  {name:42} median {row['median']:6.0f}   slowest {row['slowest']:6.0f}   {verdict} {LIMIT}")
    if arguments.output:
        about = {"images": arguments.images, "classes": arguments.classes, "answers": arguments.answers}
        arguments.output.write_text(json.dumps({**about, "milliseconds": result}, indent=2), encoding="utf-8")


def made_up(model: Any, n: int, class_names: list[str]) -> zsc.ImageEmbeddings:
    """Make up stored embeddings of n pictures; their files are a few noise images, repeated."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(class_names), n)
    values = rng.normal(size=(len(class_names), model.embed_dim))[labels] + 2 * rng.normal(size=(n, model.embed_dim))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    files = make_pictures(CACHE / "bench-500x375JPEG", 32)
    paths = [files[i % len(files)] for i in range(n)]
    return zsc.ImageEmbeddings(values, paths, labels, class_names, model.name, model.fingerprint, "made up")


def one_prompt(explorer: PromptExplorer, number: int) -> None:
    """Type a new prompt."""
    explorer.boxes[CLASSES[0]].value = f"another thing, number {number}"


def known_prompt(explorer: PromptExplorer, number: int) -> None:
    """Switch between two known prompts."""
    explorer.boxes[CLASSES[0]].value = ("one thing", "another thing")[number % 2]


def pooling(explorer: PromptExplorer, number: int) -> None:
    """Choose another pooling."""
    explorer.pooling.value = ("max", "sum", "mean")[number % 3]


def template(explorer: PromptExplorer, number: int) -> None:
    """Type a new template: a new prompt for every class."""
    explorer.templates.value = f"a photo of a {{}}, number {number}"


CASES = {
    "a new prompt (one text encoded)": one_prompt,
    "a known prompt": known_prompt,
    "another pooling": pooling,
    "a new template (one text per class encoded)": template,
}


def measure(explorer: PromptExplorer, change: Any, answers: int) -> dict[str, float]:
    """Time answers one after the other; the first two are warm-up."""
    times = []
    for number in range(answers + 2):
        start = time.perf_counter()
        change(explorer, number)
        times.append(1000 * (time.perf_counter() - start))
    return {"median": statistics.median(times[2:]), "slowest": max(times[2:])}


if __name__ == "__main__":
    main()
