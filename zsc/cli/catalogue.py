"""`zsc models`, `zsc datasets`, `zsc download`: what there is, what is here, and how to get the rest."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from zsc.cli import parts
from zsc.cli.printing import print_json, records, say, say_table
from zsc.datasets import check_dataset, dataset_names, download_dataset, load_dataset
from zsc.datasets.check import DatasetCheck
from zsc.datasets.drawn import CLASS_NAMES, draw_dataset
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
    one.set_defaults(keeps="what was fetched is kept, run it again to go on.")


def models(arguments: argparse.Namespace) -> None:
    """List the models."""
    table = model_table()
    if arguments.json:
        print_json(arguments.out, records(table))
        return
    say_table(table, index=False)
    say("imagenet_published: zero-shot accuracy on ImageNet with 80 templates by LAION's open_clip; not measured here.")
    say("Also: open_clip:ARCH/TAG, hf:ID, or the path of a checkpoint in OpenAI's format.")


def datasets(arguments: argparse.Namespace) -> int:
    """List the data sets and which of them are on disk; 'check NAME' looks through one."""
    if arguments.action == "check":
        return _check(arguments)
    rows = [_state(name, options, arguments) for name in dataset_names() for options in _forms(name)]
    if arguments.json:
        print_json(arguments.out, rows)
        return 0
    for row in rows:
        found = f"{row['pictures']} pictures, {row['classes']} classes, split {row['split'] or 'all'}"
        say(f"{row['dataset']:17} " + (row.get("missing") or found))
    return 0


def download(arguments: argparse.Namespace) -> None:
    """Download a data set, check it, and put it in place when it is whole."""
    folder = download_dataset(
        arguments.name,
        arguments.data_root,
        source=arguments.source,
        from_file=arguments.from_file,
        report=say,
        progress=parts.show_progress(arguments),
        **parts.form_options(arguments),
    )
    dataset = load_dataset(arguments.name, arguments.data_root, **parts.form_options(arguments))
    if arguments.json:
        print_json(arguments.out, {"dataset": dataset.name, "folder": folder, "pictures": len(dataset)})
        return
    classes = len(dataset.class_names)
    say(f"{dataset.name} {dataset.split_name}: {len(dataset)} pictures, {classes} classes, in {folder}")
    say(*(f"  {key}: {note}" for key, note in dataset.notes.items()))
    say(f"Next: {parts.command()} evaluate --dataset {arguments.name}")


def _forms(name: str) -> list[dict[str, Any]]:
    """Give the options of each published form of a data set; none of them where it is not published."""
    return [dict(form.options) for form in PUBLISHED.values() if form.dataset == name] or [{}]


def _state(name: str, options: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    label = " ".join([name, *(str(v) for v in options.values())])
    if name in CLASS_NAMES:  # drawn when it is asked for
        n = inspect.signature(draw_dataset).parameters["n"].default
        return {"dataset": label, "pictures": n, "classes": len(CLASS_NAMES[name]), "split": "test, drawn on the spot"}
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
        print_json(arguments.out, found.to_dict())
    else:
        _say_check(found)
    return 1 if found.problems else 0


def _say_check(found: DatasetCheck) -> None:
    pictures = int(found.counts["found"].sum())
    say(f"{found.folder}: {pictures} pictures, {found.bytes / 1e6:.1f} MB")
    say_table(found.counts, index=False)
    say("")
    say(*(f"unreadable: {error}" for error in found.unreadable["error"].head(10)))
    say(*(f"equal files: {', '.join(images)}" for images in found.duplicates["images"].head(10)))
    if not found.problems:
        say("Nothing is missing, damaged or shared between splits.")
    say(*(f"problem: {problem}" for problem in found.problems))
