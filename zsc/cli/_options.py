"""What the commands share: options, and the pictures, prompts and models that they name, looked at before any work."""

import glob
import os
import re
import shutil
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import shtab

from zsc.calibration import FAMILIARITY, threshold_keeping
from zsc.checks import check_class_names
from zsc.classifier import ZeroShotClassifier
from zsc.cli._printing import labelled, say
from zsc.datasets import ImageDataset, load_dataset
from zsc.datasets.listing import natural_key
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.files import expanded, printable
from zsc.images import ImageError, ImageSource, is_url, local_path
from zsc.models import load_model
from zsc.prompts import POOLINGS, ClassPrompts, as_prompts, default_prompts, prompt_set
from zsc.prompts import advice_on as prompts_advice
from zsc.scoring import match_by

CARD = ("source", "licence", "labels", "seed")  # notes that a data set always has; every other is news to the user
STORE = Path("data/embeddings")
FOLDERS = ("folder", "store")  # kinds of what is written
Option = tuple[tuple[str, ...], str, str, dict[str, Any]]  # flags, group, what it writes, settings


class Parser(ArgumentParser):
    """A parser whose complaints show no control character of what was typed."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the usage, and exit with 2."""
        super().error(printable(message))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what a command does not know beside the usage of that command: argparse shows that of `zsc`."""
        found, unknown = super().parse_known_args(args, namespace)
        return self.error(f"unrecognized arguments: {' '.join(unknown)}") if unknown else (found, unknown)

    def add_options(self, options: Iterable[Option]) -> None:
        """Add options; `outputs` of the arguments then says of what kind are those that name what is written."""
        groups: dict[str, Any] = {"": self}
        outputs: dict[str, str] = {}
        for flags, group, kind, settings in options:
            if group not in groups:
                groups[group] = self.add_mutually_exclusive_group(required=group == "pictures")
            added = groups[group].add_argument(*flags, **settings)
            outputs |= {added.dest: kind} if kind else {}
            if kind or settings.get("type") is Path or added.dest == "images":
                added.complete = shtab.DIRECTORY if kind in FOLDERS else shtab.FILE  # type: ignore[attr-defined]
        self.set_defaults(outputs=outputs)


def option(*flags: str, group: str = "", writes: str = "", **settings: Any) -> Option:
    """Describe an option as `add_argument` takes it; of those with the same `group` only one may be used.

    One that names what a command writes says of what kind that is, so that it is looked at before any work: "file",
    "picture", "page", "table", "folder", or "store": a folder that may also be read only.
    """
    path = {"type": Path, "metavar": "FOLDER" if writes in FOLDERS else "FILE"} if writes else {}
    return flags, group, writes, path | settings


def whole(low: int) -> Callable[[str], int]:
    """Return what reads an option's whole number of `low` or more."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or int(text) < low:
            raise ArgumentTypeError(f"must be a whole number of {low} or more; got {text!r}")
        return int(text)

    return read


def on_error(*more: str, default: str | None = "raise", note: str = "") -> Option:
    """Describe the option that says what to do with a picture that cannot be opened."""
    text = f"a picture that cannot be opened: raise stops, skip leaves it out and says so{note}"
    return option("--on-error", choices=("raise", "skip", *more), default=default, help=text)


MODEL = option("--model", default="auto", help="a model's name; auto: one that needs no download")
PROMPTS = (
    option("--prompts-file", group="prompts", type=Path, metavar="FILE", help="YAML or JSON: class: prompt or prompts"),
    option("--prompt-set", group="prompts", metavar="NAME", help="published prompts, such as afhq-b"),
    option("--pooling", choices=POOLINGS, help="how several prompts of a class count"),
)
TEXTS = (*PROMPTS, option("--prompts", group="prompts", nargs="+", metavar="TEXT", help="one text per class, as it is"))
ASKED = (
    option("images", nargs="+", metavar="IMAGE", help="files, URLs, folders; a pattern such as '*.jpg' works, too"),
    MODEL,
    *TEXTS,
)
ROOT = option("--data-root", "--root", type=Path, default=Path("data"), help="the folder that holds the data sets")
FORM = (
    ROOT,
    option("--version", type=int, help="afhq: 1 or 2"),
    option("--size", help="imagenette: full, 320px or 160px"),
)
DATASET = (
    option("--dataset", group="pictures", help="a data set's name; 'zsc datasets' lists them"),
    option("--folder", group="pictures", type=Path, help="your own pictures: a folder with one sub-folder per class"),
    option("--split", help="as published; left out: the one that is evaluated"),
    option("--drop-suspects", action="store_true", default=None, help="glasses: leave out labels that one team doubts"),
    option("--limit", type=whole(1), metavar="N", help="only the first N pictures"),
    *FORM,
)
EMBEDDED = (  # a data set, and what embeds it
    *DATASET,
    MODEL,
    option("--store", writes="store", help="keep the embeddings in this folder, or take them from it"),
    on_error(),
)
KEPT = (  # of a folder of one's own
    option("--store", writes="store", help="keep the embeddings here; left out: in this user's cache, for a folder"),
    option("--no-store", action="store_true", help="keep no embedding of a folder"),
)
NONE_OF_THESE = option(
    "--none-of-these", metavar="SCORE:LIMIT",
    help="for strangers: SCORE is msp, mcm or cosine, LIMIT a number or a folder of the classes: 95 %% reach it",
)  # fmt: skip


def none_of_these(arguments: Namespace, clf: ZeroShotClassifier, store: Path | None) -> tuple[str, float] | None:
    """Return the score and the threshold that --none-of-these gives, as a number or by the pictures of a folder."""
    if arguments.none_of_these is None:
        return None
    score, _, limit = arguments.none_of_these.partition(":")
    if score not in FAMILIARITY or not limit or limit.lower() == "nan":
        wanted = f"SCORE:NUMBER or SCORE:FOLDER, where SCORE is one of {', '.join(FAMILIARITY)}"
        raise ValueError(f"--none-of-these {arguments.none_of_these!r}; it must be {wanted}.")
    with suppress(ValueError):
        return score, float(limit)
    pictures = ImageDataset.from_pictures(limit)
    known = embed_images(clf.model, pictures, store, on_error="skip", progress=arguments.progress)
    threshold = threshold_keeping(clf.familiarity(known)[score])
    say(labelled("Limit", f"{score} {threshold:.6g}, which 95 % of {len(known)} pictures of {printable(limit)} reach"))
    return score, threshold


def kept_in(arguments: Namespace, *words: str | Path) -> Path | None:
    """Set and return where embeddings are kept, by default those of a folder: whoever stops the command is told."""
    if arguments.no_store:
        arguments.store = None
    elif arguments.store is None and any(local_path(word).is_dir() for word in words):
        cache = os.environ.get("XDG_CACHE_HOME") or expanded("~/.cache")
        arguments.store = Path(cache) / "zsc" / "embeddings"
    return arguments.store


def kept_line(store: Path | None) -> list[str]:
    """Tell where embeddings were kept."""
    return [labelled("Kept", f"embeddings, in {printable(store)}; the next question takes seconds")] if store else []


def given_prompts(arguments: Namespace) -> ClassPrompts:
    """Return the prompts that were typed, or that --prompts-file or --prompt-set names; there must be some."""
    if not (prompts := chosen_prompts(arguments) or arguments.prompts):
        raise ValueError("no prompts given; add --prompts 'a cat' 'a dog', or --prompts-file FILE.")
    prompts = as_prompts(prompts)
    check_class_names(prompts.class_names)
    for text in arguments.prompts or []:  # the option takes every word that follows
        if Path(text).suffix and Path(text).is_file():
            raise ValueError(f"--prompts holds {text!r}, which is a file; name the pictures before --prompts.")
    return prompts


def chosen_dataset(arguments: Namespace) -> ImageDataset:
    """Load the data set, or the part of it, that the options name; say at once what was passed over."""
    options = form_options(arguments, "split", "drop_suspects")
    if arguments.folder:
        if options:
            given = next(iter(options)).replace("_", "-")
            raise ValueError(f"--folder takes no --{given}; leave it out, or name a --dataset.")
        dataset = ImageDataset.from_folder(arguments.folder)
    else:
        dataset = load_dataset(arguments.dataset, arguments.data_root, **options)
    say_notes(dataset)
    return dataset.head(arguments.limit) if arguments.limit else dataset


def labelled_data(arguments: Namespace) -> tuple[ImageDataset, ClassPrompts]:
    """Load the data set, and the prompts that are named or its own; refuse those of other classes before any model."""
    dataset = chosen_dataset(arguments)
    prompts = chosen_prompts(arguments) or default_prompts(dataset.class_names, dataset.name)
    match_by(dataset.class_names, prompts.class_names)
    return dataset, prompts


def form_options(arguments: Namespace, *more: str) -> dict[str, Any]:
    """Return --version and --size, and `more` options, where the command has them and they were given."""
    return {k: v for k in (*more, "version", "size") if (v := getattr(arguments, k, None)) is not None}


def chosen_pictures(words: Sequence[str]) -> list[ImageSource]:
    """Take pictures as they were typed: URLs, files, folders, and patterns that the shell left as they are.

    An ImageError says where a pattern matches no file, or there is no picture at all; a few that are missing stay, as
    pictures that cannot be opened.
    """
    sources: list[ImageSource] = []
    for word in words:
        path = local_path(word)
        if is_url(word) or path.exists() or not re.search("[*?]", word):
            sources.append(word if is_url(word) else path)
            continue
        if not (found := glob.glob(str(path).replace("[", "[[]"))):  # noqa: PTH207  # absolute or not, as it was typed
            raise ImageError(f"{word}: no file matches this pattern; check the folder and the spelling.")
        sources += map(Path, sorted(found, key=natural_key))
    if all(isinstance(source, Path) and not source.exists() for source in sources):
        raise ImageError(f"{sources[0]}: no such file; check the path and its spelling.")
    folders = {s: ImageDataset.from_pictures(s) for s in sources if isinstance(s, Path) and s.is_dir()}
    for dataset in folders.values():
        say_notes(dataset)
    return [picture for s in sources for picture in (folders[s].paths if s in folders else [s])]


def say_notes(dataset: ImageDataset) -> None:
    """Tell the notes of a data set that are news to the user."""
    say(*(labelled(key.capitalize(), text) for key, text in dataset.notes.items() if key not in CARD))


def unlabelled(arguments: Namespace) -> ImageDataset:
    """Take the pictures that were typed as a data set without labels, and choose where their embeddings are kept."""
    kept_in(arguments, *arguments.images)
    return ImageDataset(chosen_pictures(arguments.images), None, [], name="pictures")  # type: ignore[arg-type]


def chosen_prompts(arguments: Namespace) -> ClassPrompts | None:
    """Load the prompts that --prompt-set or --prompts-file names; None for neither."""
    if arguments.prompt_set:
        return prompt_set(arguments.prompt_set)
    return ClassPrompts.load(arguments.prompts_file) if arguments.prompts_file else None


def advice_on(model: Any, *prompts: ClassPrompts) -> pd.DataFrame:
    """Look prompts over for what is known to go wrong with this model: one row per warning."""
    found = pd.concat([prompts_advice(each, model) for each in prompts])
    return found.drop_duplicates(["prompt", "warning"], ignore_index=True)


def chosen_model(arguments: Namespace, **options: Any) -> Any:
    """Load the model that --model names."""
    return load_model(arguments.model, **options)


def embedded(arguments: Namespace, model: Any, dataset: ImageDataset, **options: Any) -> ImageEmbeddings:
    """Embed a data set as the options say; refuse to go on with no picture at all."""
    options |= {"on_error": arguments.on_error, "progress": arguments.progress}
    embeddings = embed_images(model, dataset, arguments.store, **options)
    if len(embeddings.failures) == len(dataset):
        raise ValueError(f"none of the {len(dataset)} pictures can be opened; first: {embeddings.failures['error'][0]}")
    return embeddings


def program() -> str:
    """Return how this program can be called here."""
    return "zsc" if shutil.which("zsc") else f"{sys.executable} -m zsc"
