"""`zsc embed`, `zsc store`: embed a data set once, and look after what is kept."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from zsc.cli import parts
from zsc.cli.outputs import add_output
from zsc.cli.printing import print_json, records, say, say_left_out
from zsc.datasets import ImageDataset
from zsc.models import load_model
from zsc.store import EmbeddingStore, clear, stores

STORE = Path("data/embeddings")


def add_to(commands: Any) -> None:
    """Add the two commands to the parser."""
    one = parts.add_command(commands, "embed", embed)
    parts.add_dataset(one)
    parts.add_model(one)
    one.add_argument("--engine", default="torch", help="torch, or openvino (on the CPU)")
    add_output(one, "--store", "folder", default=STORE, help="the folder that keeps embeddings")
    one.add_argument("--batch-size", type=parts.positive, default=32, metavar="N")
    one.add_argument("--workers", type=parts.positive, metavar="N", help="threads that open pictures")
    one.add_argument("--cluster", nargs="?", const="local", metavar="ADDRESS", help="on a Ray cluster; alone: here")
    parts.add_on_error(one, "record", default=None, note=", record keeps its row; left out: raise, on a cluster record")
    one = parts.add_command(commands, "store", store)
    one.add_argument("action", choices=("info", "verify", "clear"), help="what is kept, whether it is sound, or away")
    one.add_argument("--store", type=Path, default=STORE, metavar="FOLDER", help="the folder that keeps embeddings")
    one.add_argument("--fingerprint", help="only this model's")
    one.add_argument("--yes", action="store_true", help="clear: do not ask")


def embed(arguments: argparse.Namespace) -> None:
    """Embed a data set and keep the result; what is kept already costs nothing."""
    if arguments.cluster and (arguments.engine != "torch" or arguments.on_error not in (None, "record")):
        raise ValueError("--cluster embeds with --engine torch and --on-error record only; leave the other out.")
    dataset = parts.chosen_dataset(arguments)
    if arguments.cluster:
        _embed_on_cluster(arguments, dataset)
        return
    arguments.on_error = arguments.on_error or "raise"
    model = load_model(parts.model_name(arguments), engine=arguments.engine)
    start = time.perf_counter()
    embeddings = parts.embedded(arguments, model, dataset, batch_size=arguments.batch_size, workers=arguments.workers)
    seconds = time.perf_counter() - start
    if arguments.json:
        about = {
            "model": model.name,
            "fingerprint": model.fingerprint,
            "dataset": embeddings.dataset,
            "pictures": len(dataset),
            "failures": records(embeddings.failures),
            "notes": dataset.notes,
            "store": arguments.store,
            "seconds": round(seconds, 3),
        }
        print_json(arguments.out, about)
        return
    say(f"{embeddings.dataset}: {len(dataset)} pictures by {model.name} in {seconds:.1f} s")
    say(f"kept in {arguments.store}")
    say_left_out(embeddings.failures, len(dataset))


def _embed_on_cluster(arguments: argparse.Namespace, dataset: ImageDataset) -> None:
    from zsc.cluster import embed_on_cluster

    if not all(isinstance(path, (str, Path)) for path in dataset.paths):
        raise ValueError(
            f"the pictures of {dataset.name} lie in memory, where no cluster can read them; leave --cluster."
        )
    embeddings = embed_on_cluster(
        [str(Path(path).resolve()) for path in dataset.paths],
        model=parts.model_name(arguments),
        output=arguments.store,
        address=None if arguments.cluster == "local" else arguments.cluster,
        batch_size=arguments.batch_size,
        actors=arguments.workers or 2,
    )
    failures = embeddings.failures
    if arguments.json:
        content = {"pictures": len(embeddings), "failures": records(failures), "store": arguments.store}
        print_json(arguments.out, content | {"notes": dataset.notes})
        return
    say(f"{len(embeddings)} pictures by {embeddings.model} on Ray, {len(failures)} failed")
    say_left_out(failures, len(dataset))


def store(arguments: argparse.Namespace) -> int:
    """Look after kept embeddings: info, verify or clear."""
    found = [
        (folder, about) for folder, about in stores(arguments.store) if arguments.fingerprint in (None, folder.name)
    ]
    if not found:
        which = f" of {arguments.fingerprint}" if arguments.fingerprint else ""
        raise ValueError(f"{arguments.store}: no kept embeddings{which}; 'zsc embed' makes some.")
    if arguments.action == "clear":
        return _clear(arguments, [str(about["name"]) for _, about in found])
    rows = [_state(folder, about, verify=arguments.action == "verify") for folder, about in found]
    if arguments.json:
        print_json(arguments.out, rows)
    for row in [] if arguments.json else rows:
        say(f"{row['fingerprint']}  {row['model']}: {row['embeddings']} embeddings, {row['bytes'] / 1e6:.1f} MB")
        say(*(f"  problem: {problem}" for problem in row.get("problems", [])))
    if arguments.action == "verify":
        is_sound = not any(row["problems"] for row in rows)
        say("sound" if is_sound else "damaged parts are set aside by the next zsc embed")
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


def _clear(arguments: argparse.Namespace, models: list[str]) -> int:
    """Remove what zsc wrote, once a person has agreed; say what went, what stayed, and why."""
    question = f"Remove the kept embeddings of {', '.join(models)} from {arguments.store}?"
    if not (arguments.yes or parts.is_asked(question)):
        raise ValueError(f"nothing was removed from {arguments.store}; answer y on a terminal, or add --yes.")
    done = clear(arguments.store, arguments.fingerprint)
    if arguments.json:
        left = [{"path": path, "reason": reason} for path, reason in done.left]
        print_json(arguments.out, {"removed": done.removed, "left": left})
    else:
        say(*(f"removed {folder}" for folder in done.removed))
        say(*(f"left {path}: {reason}" for path, reason in done.left))
    return 0 if done.removed else 1
