"""`zsc embed`, `zsc store`: embed a data set once, and look after what is kept."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from zsc.cli import parts
from zsc.datasets import ImageDataset
from zsc.embeddings import embed_images
from zsc.models import load_model
from zsc.store import EmbeddingStore, stores


def add_to(commands: Any) -> None:
    """Add the two commands to the parser."""
    one = parts.add_command(commands, "embed", embed)
    parts.add_dataset(one)
    one.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    one.add_argument("--engine", default="torch", help="torch, or openvino (on the CPU)")
    one.add_argument("--store", type=Path, default=Path("data/embeddings"), help="the folder that keeps embeddings")
    one.add_argument("--batch-size", type=parts.positive, default=32, metavar="N")
    one.add_argument("--workers", type=parts.positive, metavar="N", help="threads that open pictures")
    one.add_argument("--cluster", nargs="?", const="local", metavar="ADDRESS", help="on a Ray cluster; alone: here")
    one.add_argument("--on-error", choices=("raise", "skip", "record"), default="raise")
    one = parts.add_command(commands, "store", store)
    one.add_argument("action", choices=("info", "verify", "clear"), help="what is kept, whether it is sound, or away")
    one.add_argument("--store", type=Path, default=Path("data/embeddings"), help="the folder that keeps embeddings")
    one.add_argument("--fingerprint", help="only this model's")


def embed(arguments: argparse.Namespace) -> int:
    """Embed a data set and keep the result; what is kept already costs nothing."""
    dataset = parts.chosen_dataset(arguments)
    if arguments.cluster:
        return _embed_on_cluster(arguments, dataset)
    model = load_model(parts.model_name(arguments), engine=arguments.engine)
    start = time.perf_counter()
    embeddings = embed_images(
        model,
        dataset,
        arguments.store,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        on_error=arguments.on_error,
        progress=parts.show_progress(arguments),
    )
    seconds = time.perf_counter() - start
    about = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "dataset": embeddings.dataset,
        "pictures": len(dataset),
        "failures": parts.records(embeddings.failures),
        "store": str(arguments.store),
        "seconds": round(seconds, 3),
    }
    if arguments.json:
        parts.print_json(about)
    else:
        print(f"{embeddings.dataset}: {len(dataset)} pictures by {model.name} in {seconds:.1f} s")
        print(f"kept in {arguments.store}")
        for error in embeddings.failures["error"].head(10):
            print(f"failed: {error}")
    return 0


def _embed_on_cluster(arguments: argparse.Namespace, dataset: ImageDataset) -> int:
    from zsc.cluster import embed_on_cluster

    embeddings = embed_on_cluster(
        [str(Path(path).resolve()) for path in dataset.paths],
        model=parts.model_name(arguments),
        output=arguments.store,
        address=None if arguments.cluster == "local" else arguments.cluster,
        batch_size=arguments.batch_size,
        actors=arguments.workers or 2,
    )
    failures = parts.records(embeddings.failures)
    if arguments.json:
        parts.print_json({"pictures": len(embeddings), "failures": failures, "store": str(arguments.store)})
    else:
        print(f"{len(embeddings)} pictures by {embeddings.model} on Ray, {len(failures)} failed")
    return 0


def store(arguments: argparse.Namespace) -> int:
    """Look after kept embeddings: info, verify or clear."""
    found = [
        (folder, about) for folder, about in stores(arguments.store) if arguments.fingerprint in (None, folder.name)
    ]
    if not found:
        which = f" of {arguments.fingerprint}" if arguments.fingerprint else ""
        raise ValueError(f"{arguments.store}: no kept embeddings{which}; 'zsc embed' makes some.")
    if arguments.action == "clear":
        return _clear(arguments, [folder for folder, _ in found])
    rows = [_state(folder, about, verify=arguments.action == "verify") for folder, about in found]
    if arguments.json:
        parts.print_json(rows)
    for row in [] if arguments.json else rows:
        print(f"{row['fingerprint']}  {row['model']}: {row['embeddings']} embeddings, {row['bytes'] / 1e6:.1f} MB")
        for problem in row.get("problems", []):
            print(f"  problem: {problem}")
    if arguments.action == "verify" and not arguments.json:
        print(
            "sound" if not any(row["problems"] for row in rows) else "damaged parts are set aside by the next zsc embed"
        )
    return 1 if any(row.get("problems") for row in rows) else 0


def _state(folder: Path, about: dict[str, Any], *, verify: bool) -> dict[str, Any]:
    kept = EmbeddingStore(folder.parent, folder.name, int(about["embed_dim"]))
    state = {
        "fingerprint": folder.name,
        "model": about["name"],
        "embeddings": len(kept),
        "bytes": sum(f.stat().st_size for f in folder.iterdir()),
    }
    if verify:
        state["problems"] = [f"{check.path.name}: {check.problem}" for check in kept.verify() if check.problem]
        state["problems"] += [f"{aside.name}: set aside" for aside in sorted(folder.glob("*.damaged"))]
    return state


def _clear(arguments: argparse.Namespace, folders: list[Path]) -> int:
    for folder in folders:
        shutil.rmtree(folder)
        print(f"removed {folder}", file=sys.stderr if arguments.json else sys.stdout)
    if not arguments.fingerprint:
        shutil.rmtree(arguments.store / "paths", ignore_errors=True)
    if arguments.json:
        parts.print_json({"removed": [str(folder) for folder in folders]})
    return 0
