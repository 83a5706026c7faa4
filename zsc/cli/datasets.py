"""`zsc datasets`: what there is, what is on disk, and whether that is whole."""

import inspect
from argparse import Namespace
from typing import Any

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, table_lines
from zsc.datasets import PUBLISHED, check_dataset, dataset_names, load_dataset
from zsc.datasets.packaged import CLASS_NAMES, draw_dataset

OPTIONS = (
    option("action", nargs="?", choices=["check"], help="check: look through one data set on disk"),
    option("name", nargs="?", help=f"the data set to check: {', '.join(dataset_names(published=True))}"),
    *_options.FORM,
)


def run(arguments: Namespace) -> Outcome:
    """List the data sets and which of them are on disk; 'check NAME' looks through one."""
    if arguments.action == "check":
        return _check(arguments)
    forms = [(form.dataset, dict(form.options)) for form in PUBLISHED.values()]
    rows = [_state(name, options, arguments)
            for name in dataset_names() for options in [o for n, o in forms if n == name] or [{}]]  # fmt: skip
    text = []
    for row in rows:
        found = f"{row['pictures']} pictures, {row['classes']} classes, split {row['split'] or 'all'}"
        text.append(f"{row['dataset']:17} {row.get('missing') or found}")
    return Outcome(rows, text)


def _state(name: str, options: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    state: dict[str, Any] = {"dataset": " ".join([name, *map(str, options.values())])}
    if name in CLASS_NAMES:  # drawn when it is asked for
        n = inspect.signature(draw_dataset).parameters["n"].default
        return state | {"pictures": n, "classes": len(CLASS_NAMES[name]), "split": "test, drawn on the spot"}
    try:
        found = load_dataset(name, arguments.data_root, **options)
    except (FileNotFoundError, ValueError) as error:
        return state | {"pictures": 0, "classes": None, "split": "", "missing": str(error)}
    state |= {"pictures": len(found), "classes": len(found.class_names), "split": found.split_name}
    return state | {"notes": dict(found.notes)}


def _check(arguments: Namespace) -> Outcome:
    if not arguments.name:
        raise ValueError("no data set named; write 'zsc datasets check glasses' (or afhq, or imagenette).")
    options = _options.form_options(arguments) | {"progress": arguments.progress}
    found = check_dataset(arguments.name, arguments.data_root, **options)
    data = {**vars(found), "problems": found.problems, "pictures": int(found.counts["found"].sum())}
    text = [
        f"{found.folder}: {data['pictures']} pictures, {found.bytes / 1e6:.1f} MB",
        *table_lines(found.counts),
        "",
        *(f"unreadable: {error}" for error in found.unreadable["error"].head(10)),
        *(f"equal files: {', '.join(images)}" for images in found.duplicates["images"].head(10)),
        *([] if found.problems else ["Nothing is missing, damaged or shared between splits."]),
        *(f"problem: {problem}" for problem in found.problems),
    ]
    return Outcome(data, text, 1 if found.problems else 0)
