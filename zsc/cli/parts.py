"""What the commands share: options, prompts and models as asked for, and how results are printed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.datasets import ImageDataset, load_dataset
from zsc.models import auto_model
from zsc.prompts import POOLINGS, ClassPrompts, prompt_set

Command = Callable[[argparse.Namespace], int | None]


def add_command(commands: Any, name: str, run: Command) -> argparse.ArgumentParser:
    """Add a command: its help is the first line of the docstring of the function that runs it."""
    line = (run.__doc__ or "").partition("\n")[0]
    parser: argparse.ArgumentParser = commands.add_parser(name, help=line, description=line)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)
    return parser


def add_model_and_prompts(parser: argparse.ArgumentParser) -> Any:
    """Add the options that choose model, prompts and pooling; give the group of which one may be used."""
    parser.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: class: prompt or prompts")
    which.add_argument("--prompt-set", metavar="NAME", help="published prompts, such as afhq-b")
    parser.add_argument("--pooling", choices=POOLINGS, help="how several prompts of a class count")
    return which


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a data set, or a folder of one's own, and a part of it."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="a data set's name; 'zsc datasets' lists them")
    source.add_argument("--folder", type=Path, help="your own pictures: a folder with one sub-folder a class")
    parser.add_argument("--split", help="as published; left out: the one that is evaluated")
    parser.add_argument(
        "--drop-suspects", action="store_true", help="glasses: leave out the labels that one team doubts"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    add_dataset_options(parser)


def chosen_dataset(arguments: argparse.Namespace) -> ImageDataset:
    """Load the data set, or the part of it, that the options name."""
    if arguments.folder:
        given = [k for k in ("split", "version", "size", "drop_suspects") if getattr(arguments, k)]
        if given:
            raise ValueError(f"--folder takes no --{given[0].replace('_', '-')}; leave it out, or name a --dataset.")
        dataset = ImageDataset.from_folder(arguments.folder)
    else:
        options = form_options(arguments) | ({"drop_suspects": True} if arguments.drop_suspects else {})
        dataset = load_dataset(arguments.dataset, arguments.data_root, arguments.split, **options)
    return dataset.head(arguments.limit) if arguments.limit else dataset


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a data set is and which form of it."""
    parser.add_argument(
        "--data-root", "--root", type=Path, default=Path("data"), help="the folder that holds the data sets"
    )
    parser.add_argument("--version", type=int, help="afhq: 1 or 2")
    parser.add_argument("--size", help="imagenette: full, 320px or 160px")


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def chosen_prompts(arguments: argparse.Namespace) -> ClassPrompts | None:
    """Give the prompts that --prompt-set or --prompts-file names; None for neither."""
    if arguments.prompt_set:
        return prompt_set(arguments.prompt_set)
    return ClassPrompts.load(arguments.prompts_file) if arguments.prompts_file else None


def model_name(arguments: argparse.Namespace) -> str:
    """Give the model's name, with "auto" resolved to one that needs no download."""
    return auto_model()[0] if arguments.model == "auto" else str(arguments.model)


def form_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give --version and --size, where they were given."""
    return {k: v for k in ("version", "size") if (v := getattr(arguments, k)) is not None}


def show_progress(arguments: argparse.Namespace) -> bool:
    """Tell whether a person is there to see a progress bar."""
    return not arguments.json and sys.stderr.isatty()


def command() -> str:
    """Name this program as the person can type it here."""
    beside = Path(sys.executable).with_name("zsc")
    if shutil.which("zsc") or not beside.exists():
        return "zsc"
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)


def print_json(content: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(content, indent=2, ensure_ascii=False, default=str))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table as a list of plain rows that JSON can hold."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", default_handler=str))
    return rows


def result_lines(table: pd.DataFrame) -> str:
    """Word a table of `predict`: picture, predicted class, probability, and right or wrong where that is known."""
    names = table.attrs["class_names"]
    lines = []
    for row in table.to_dict("records"):
        mark = "" if pd.isna(row["y_true"]) else "right" if row["y_true"] == row["y_pred"] else "wrong"
        picture = Path(str(row["image"])).name
        lines.append({"picture": picture, "predicted": names[row["y_pred"]], "proba": f"{row['proba']:.2f}", "": mark})
    shown = pd.DataFrame(lines)
    if not shown[""].any():
        shown = shown.drop(columns="")
    return shown.to_string(index=False)
