"""`zsc sort`: a folder of pictures sorted into one folder per class, and put back."""

from argparse import Namespace
from pathlib import Path

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, labelled, table_lines
from zsc.files import printable
from zsc.sorting import WAYS, sort_folder, undo_sort

KEEPS = "the same command goes on, and zsc sort --into FOLDER --undo puts everything back."
OPTIONS = (
    option("folder", nargs="?", type=Path, metavar="FOLDER", help="the pictures; those of folders in it count"),
    _options.MODEL,
    *_options.TEXTS,
    option("--into", type=Path, metavar="FOLDER", required=True, help="where; outside the folder of pictures"),
    option("--how", choices=WAYS, default="link", help="links to the pictures (the default), copies, or the pictures"),
    option("--margin", type=float, default=0.0, metavar="M",
           help="'not sure' where the two highest probabilities differ by less, as .2"),
    option("--share", type=float, default=0.0, metavar="S", help="'not sure': this share, the least sure, as .1"),
    _options.NONE_OF_THESE,
    option("--dry-run", action="store_true", help="do nothing, say what would be done"),
    option("--undo", action="store_true", help="put everything back that was sorted into --into"),
    *_options.KEPT,
)  # fmt: skip


def run(arguments: Namespace) -> Outcome:
    """Sort the pictures of a folder into one folder per class; nothing is overwritten, and all can be undone."""
    where = printable(arguments.into)
    if arguments.undo:
        stays = undo_sort(arguments.into, progress=arguments.progress)
        text = stays or [f"Everything that was sorted into {where} is as it was before."]
        return Outcome({"stays": stays}, text, 1 if stays else 0)
    if arguments.folder is None:
        raise ValueError("name the folder of pictures before the options, or --undo.")
    prompts = _options.given_prompts(arguments)
    model, store = _options.chosen_model(arguments), _options.kept_in(arguments, arguments.folder)
    table = sort_folder(
        arguments.folder, prompts, arguments.into, model=model, how=arguments.how, margin=arguments.margin,
        share=arguments.share, store=store, dry_run=arguments.dry_run, progress=arguments.progress,
        none_of_these=_options.none_of_these(arguments, ZeroShotClassifier(prompts, model), store),
    )  # fmt: skip
    counts = table["folder"].value_counts().rename_axis("folder").to_frame("pictures").reset_index()
    lost = table[table["error"].notna()]
    done = {"link": "linked", "copy": "copied", "move": "moved"}[arguments.how]
    text = [
        labelled("Model", f"{model.name} ({model.info.library})"),
        *table_lines(counts),
        f"{counts['pictures'].sum()} pictures {'would be ' if arguments.dry_run else ''}{done} into {where}; "
        + ("nothing was done." if arguments.dry_run else f"undo: {_options.program()} sort --into {where} --undo"),
        *(labelled("Left", why) for why in lost["error"]),
        *_options.kept_line(store),
    ]  # fmt: skip
    return Outcome({"into": where, "pictures": table}, text, 1 if len(lost) else 0)
