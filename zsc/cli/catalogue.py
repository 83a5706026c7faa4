"""`zsc models`, `zsc datasets`, `zsc download`: what there is, what is here, and how to get the rest."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from zsc.cli import parts
from zsc.datasets import check_dataset, download_dataset, load_dataset
from zsc.datasets.check import DatasetCheck
from zsc.datasets.published import PUBLISHED
from zsc.models import model_table


def add_to(commands: Any) -> None:
    """Add the three commands to the parser."""
    parts.add_command(commands, "models", models)
    one = parts.add_command(commands, "datasets", datasets)
    one.add_argument("action", nargs="?", choices=["check"], help="check: look through one data set on disk")
    one.add_argument("name", nargs="?", help="the data set to check: glasses, afhq or imagenette")
    parts.add_dataset_options(one)
    one = parts.add_command(commands, "download", download)
    one.add_argument("name", help="glasses, afhq or imagenette")
    one.add_argument("--source", help="only this source; left out: all, in their order")
    one.add_argument("--from", dest="from_file", metavar="FILE", help="an archive that you fetched by hand")
    parts.add_dataset_options(one)


def models(arguments: argparse.Namespace) -> None:
    """List the models."""
    table = model_table()
    if arguments.json:
        parts.print_json(parts.records(table))
        return
    print(table.to_string(index=False, na_rep="-"))
    print("imagenet_published: OpenAI's zero-shot accuracy on ImageNet with 80 templates, not measured here.")
    print("Also: open_clip:ARCH/TAG, hf:ID, or the path of a checkpoint in OpenAI's format.")


def datasets(arguments: argparse.Namespace) -> int:
    """List the data sets and which of them are on disk; 'check NAME' looks through one."""
    if arguments.action == "check":
        return _check(arguments)
    forms = [("samples", {}), *((form.dataset, dict(form.options)) for form in PUBLISHED.values())]
    rows = [_state(name, options, arguments) for name, options in forms]
    if arguments.json:
        parts.print_json(rows)
        return 0
    for row in rows:
        found = f"{row['pictures']} pictures, {row['classes']} classes, split {row['split'] or 'all'}"
        print(f"{row['dataset']:17} " + (row.get("missing") or found))
    return 0


def download(arguments: argparse.Namespace) -> None:
    """Download a data set, check it, and put it in place when it is whole."""
    stream = sys.stderr if arguments.json else sys.stdout
    folder = download_dataset(
        arguments.name,
        arguments.data_root,
        source=arguments.source,
        from_file=arguments.from_file,
        report=lambda line: print(line, file=stream, flush=True),
        progress=parts.show_progress(arguments),
        **parts.form_options(arguments),
    )
    dataset = load_dataset(arguments.name, arguments.data_root, **parts.form_options(arguments))
    if arguments.json:
        parts.print_json({"dataset": dataset.name, "folder": str(folder), "pictures": len(dataset)})
        return
    print(
        f"{dataset.name} {dataset.split_name}: {len(dataset)} pictures, {len(dataset.class_names)} classes, in {folder}"
    )
    for key, note in dataset.notes.items():
        print(f"  {key}: {note}")
    print(f"Next: {parts.command()} evaluate --dataset {arguments.name}")


def _state(name: str, options: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    label = " ".join([name, *(str(v) for v in options.values())])
    try:
        found = load_dataset(name, arguments.data_root, **options)
    except (FileNotFoundError, ValueError) as error:
        return {"dataset": label, "pictures": 0, "classes": None, "split": "", "missing": str(error)}
    state = {"pictures": len(found), "classes": len(found.class_names), "split": found.split_name}
    return {"dataset": label, **state, "notes": dict(found.notes)}


def _check(arguments: argparse.Namespace) -> int:
    if not arguments.name:
        raise ValueError("no data set named; write 'zsc datasets check glasses' (or afhq, or imagenette).")
    options = parts.form_options(arguments)
    found = check_dataset(arguments.name, arguments.data_root, progress=parts.show_progress(arguments), **options)
    if arguments.json:
        parts.print_json(found.to_dict())
    else:
        _print_check(found)
    return 1 if found.problems else 0


def _print_check(found: DatasetCheck) -> None:
    pictures = int(found.counts["found"].sum())
    print(f"{found.folder}: {pictures} pictures, {found.bytes / 1e6:.1f} MB")
    print(found.counts.to_string(index=False), end="\n\n")
    for error in found.unreadable["error"].head(10):
        print(f"unreadable: {error}")
    for images in found.duplicates["images"].head(10):
        print(f"equal files: {', '.join(images)}")
    if not found.problems:
        print("Nothing is missing, damaged or shared between splits.")
    for problem in found.problems:
        print(f"problem: {problem}")
