"""What the commands share: options, and the pictures, prompts and models that they name, looked at before any work."""

from __future__ import annotations

import argparse
import glob
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from zsc.cli.outputs import add_output
from zsc.cli.printing import say_rows
from zsc.datasets import ImageDataset, load_dataset
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.files import printable
from zsc.images import ImageError, ImageSource, is_url
from zsc.models import auto_model
from zsc.prompts import POOLINGS, ClassPrompts, check_prompts, prompt_set
from zsc.prompts.advice import COLUMNS

Command = Callable[[argparse.Namespace], int | None]
KNOWN_NOTES = ("source", "licence", "labels", "seed")  # the card of a data set; every other note is news to the user


class Parser(argparse.ArgumentParser):
    """A parser whose complaints show no control character of what was typed."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the usage, and exit with 2."""
        super().error(printable(message))


def add_command(commands: Any, name: str, run: Command) -> argparse.ArgumentParser:
    """Add a command: its help is the first line of the docstring of the function that runs it."""
    line = (run.__doc__ or "").partition("\n")[0]
    parser: argparse.ArgumentParser = commands.add_parser(name, help=line, description=line)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses a model."""
    parser.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")


def add_model_and_prompts(parser: argparse.ArgumentParser) -> Any:
    """Add the options that choose model, prompts and pooling; give the group of which one may be used."""
    add_model(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: class: prompt or prompts")
    which.add_argument("--prompt-set", metavar="NAME", help="published prompts, such as afhq-b")
    parser.add_argument("--pooling", choices=POOLINGS, help="how several prompts of a class count")
    return which


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that keeps embeddings."""
    add_output(parser, "--store", "store", help="keep the embeddings in this folder, or take them from it")


def add_on_error(parser: argparse.ArgumentParser, *more: str, default: str | None = "raise", note: str = "") -> None:
    """Add the option that says what a picture does that cannot be opened."""
    parser.add_argument(
        "--on-error",
        choices=("raise", "skip", *more),
        default=default,
        help=f"a picture that cannot be opened: raise stops, skip leaves it out and says so{note}",
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a data set, or a folder of one's own, and a part of it."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="a data set's name; 'zsc datasets' lists them")
    source.add_argument("--folder", type=Path, help="your own pictures: a folder with one sub-folder per class")
    parser.add_argument("--split", help="as published; left out: the one that is evaluated")
    parser.add_argument(
        "--drop-suspects", action="store_true", help="glasses: leave out the labels that one team doubts"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N pictures")
    add_dataset_options(parser)


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a data set is and which form of it."""
    parser.add_argument(
        "--data-root", "--root", type=Path, default=Path("data"), help="the folder that holds the data sets"
    )
    parser.add_argument("--version", type=int, help="afhq: 1 or 2")
    parser.add_argument("--size", help="imagenette: full, 320px or 160px")


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """Read a whole number from 0 on."""
    return _whole(text, 0)


def _whole(text: str, low: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text) or int(text) < low:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {low} or more")
    return int(text)


def chosen_dataset(arguments: argparse.Namespace) -> ImageDataset:
    """Load the data set, or the part of it, that the options name; say what was passed over."""
    if arguments.folder:
        given = [k for k in ("split", "version", "size", "drop_suspects") if getattr(arguments, k)]
        if given:
            raise ValueError(f"--folder takes no --{given[0].replace('_', '-')}; leave it out, or name a --dataset.")
        dataset = ImageDataset.from_folder(arguments.folder)
    else:
        options = form_options(arguments) | ({"drop_suspects": True} if arguments.drop_suspects else {})
        dataset = load_dataset(arguments.dataset, arguments.data_root, arguments.split, **options)
    say_notes(dataset)
    return dataset.head(arguments.limit) if arguments.limit else dataset


def say_notes(dataset: ImageDataset) -> None:
    """Print what a data set's reader has to say of the files it met."""
    say_rows({key.capitalize(): text for key, text in dataset.notes.items() if key not in KNOWN_NOTES})


def embedded(arguments: argparse.Namespace, model: Any, dataset: ImageDataset, **options: Any) -> ImageEmbeddings:
    """Embed a data set as the options say; refuse to go on with no picture at all."""
    embeddings = embed_images(
        model,
        dataset,
        arguments.store,
        on_error=arguments.on_error,
        progress=show_progress(arguments),
        **options,
    )
    if len(embeddings.failures) == len(dataset):
        raise ValueError(f"none of the {len(dataset)} pictures can be opened; first: {embeddings.failures['error'][0]}")
    return embeddings


def chosen_pictures(words: Sequence[str]) -> list[ImageSource]:
    """Take pictures as they were typed: URLs, files, and patterns that the shell left as they are.

    Raises
    ------
    ImageError
        If a pattern matches no file, or there is no picture at all; a few that are missing stay, as pictures that
        cannot be opened.
    """
    sources: list[ImageSource] = [source for word in words for source in _matching(word)]
    problems = [problem for source in sources if (problem := _problem(source))]
    if len(problems) == len(sources):
        raise ImageError(problems[0])
    return sources


def _matching(word: str) -> list[ImageSource]:
    """Give the files that a pattern with * or ? matches; a name that a file has, or a URL, is no pattern."""
    path = Path(word).expanduser() if word.startswith("~/") else Path(word)
    if is_url(word) or path.exists() or not re.search("[*?]", word):
        return [word if is_url(word) else path]
    pattern = str(path).replace("[", "[[]")
    found = sorted(glob.glob(pattern), key=_by_number)  # noqa: PTH207  # absolute or not, as it was typed
    if not found:
        raise ImageError(f"{word}: no file matches this pattern; check the folder and the spelling.")
    return [Path(file) for file in found]


def _by_number(text: str) -> list[tuple[int, int, str]]:
    """Sort the numbers in names as numbers: 2.png comes before 10.png."""
    pieces = re.split(r"(\d+)", text)
    return [(i % 2, int(piece) if i % 2 else 0, "" if i % 2 else piece) for i, piece in enumerate(pieces)]


def _problem(source: ImageSource) -> str:
    """Say why a path is no picture, as far as that shows without opening it; empty where it does not."""
    if is_url(source):
        return ""
    if source.is_dir():
        return (
            f"{source}: this is a folder; name its pictures ('{source}/*'), or judge a folder with one sub-folder per "
            "class: zsc evaluate --folder."
        )
    return "" if source.exists() else f"{source}: no such file; check the path and its spelling."


def chosen_prompts(arguments: argparse.Namespace) -> ClassPrompts | None:
    """Give the prompts that --prompt-set or --prompts-file names; None for neither."""
    if arguments.prompt_set:
        return prompt_set(arguments.prompt_set)
    return ClassPrompts.load(arguments.prompts_file) if arguments.prompts_file else None


def advice_on(model: Any, *prompts: ClassPrompts) -> pd.DataFrame:
    """Look prompts over for what is known to go wrong with this model; a row for each warning."""
    token = getattr(model, "tokenizer", None)
    options = {"count_tokens": token.count, "limit": token.limit} if token else {}
    found = [check_prompts(each, **options) for each in prompts] or [pd.DataFrame(columns=COLUMNS)]
    return pd.concat(found, ignore_index=True).drop_duplicates(["prompt", "warning"], ignore_index=True)


def model_name(arguments: argparse.Namespace) -> str:
    """Give the model's name, with "auto" resolved to one that needs no download."""
    return auto_model()[0] if arguments.model == "auto" else str(arguments.model)


def form_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give --version and --size, where they were given."""
    return {k: v for k in ("version", "size") if (v := getattr(arguments, k)) is not None}


def show_progress(arguments: argparse.Namespace) -> bool:
    """Tell whether a person is there to see a progress bar."""
    return not arguments.json and sys.stderr.isatty()


def is_asked(question: str) -> bool:
    """Ask a person a question on the terminal; without one the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def stopped(arguments: argparse.Namespace) -> str:
    """Say what an interrupted command leaves behind: what was written, and what a second run need not do again."""
    text = "stopped"
    if getattr(arguments, "written", None):
        text += f"; written: {', '.join(map(str, arguments.written.values()))}"
    keeps = getattr(arguments, "keeps", None)
    if keeps:
        return f"{text}; {keeps}"
    if not hasattr(arguments, "store") or getattr(arguments, "action", None):
        return f"{text}."
    if arguments.store is None:
        return f"{text}; no embedding is kept (with --store FOLDER they would be)."
    if any(arguments.store.glob("*/part-*.parquet")):
        return f"{text}; what was embedded is kept in {arguments.store}, run the same command again to go on."
    return f"{text}; nothing was embedded yet."


def command() -> str:
    """Name this program as the person can type it here."""
    beside = Path(sys.executable).with_name("zsc")
    if shutil.which("zsc") or not beside.exists():
        return "zsc"
    return str(beside.relative_to(Path.cwd())) if beside.is_relative_to(Path.cwd()) else str(beside)
