"""`zsc models`: what there is and is on this machine; whether one computes right; which is best on your pictures."""

from argparse import Namespace

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, labelled, table_lines
from zsc.files import printable
from zsc.models import model_table

ACTIONS = {
    "list": "all models, filtered (the default)",
    "check": "NAME beside its publisher's own code and published numbers",
    "export": "NAME as ONNX graphs into a new --into folder, which --model onnx:FOLDER computes without torch",
    "compare": "several --models on your pictures: a FOLDER with one sub-folder per class, or a --dataset",
}
SHOWN = {"model": "model", "here": "*", "imagenet_published": "top-1", "mean_38_published": "mean", "params_m": "M",
         "image_size": "px", "images_per_s": "img/s"}  # fmt: skip
RECORD = ("pixels", "text", "activation", "head", "languages")
COMPARED = ("accuracy", "low", "high", "difference", "p_adjusted", "images_per_s")
NOTES = (
    "top-1: zero-shot accuracy on ImageNet, and mean: over 38 data sets, as measured by LAION's open_clip "
    "(docs/openclip_results.csv); not measured here. M: million parameters; px: pixels per side; *: needs no download; "
    "img/s: images per second here, once 'zsc models compare' has run it. Everything: --json.",
    "Also open_clip:ARCH/TAG, hf:ID, or the path of a checkpoint in OpenAI's format.",
)
OPTIONS = (
    option("action", nargs="?", choices=[*ACTIONS], default="list", help="; ".join(map(": ".join, ACTIONS.items()))),
    option("name", nargs="?", help="check, export: the model; compare: the folder of pictures"),
    option("--size", dest="max_size", type=float, metavar="M", help="list: at most so many million parameters"),
    option("--accuracy", type=float, metavar="A", help="list: published ImageNet accuracy of at least this, as .7"),
    option("--family", metavar="TEXT", help="list: names that hold this, such as siglip"),
    option("--training", metavar="TEXT", help="list: training data that are described with this, such as yfcc"),
    option("--here", action="store_true", help="list: those that need no download"),
    option("--coco", metavar="FILE", help="check: the picture of the published logits, a path or URL"),
    option("--checkpoint", default="", metavar="ID", help="check: the name under which its numbers were published"),
    option("--into", metavar="FOLDER", help="export: where; it must not exist"),
    option("--models", nargs="+", default=[], metavar="NAME", help="compare: two or more"),
    option("--dataset", help="compare: a data set's name; 'zsc datasets' lists them"),
    option("--split", help="compare: as published; left out: the one that is evaluated"),
    option("--limit", type=_options.whole(1), metavar="N", help="compare: only the first N pictures"),
    _options.ROOT,
    option("--store", writes="store", help="compare: keep the embeddings in this folder, or take them from it"),
    _options.on_error(),
    *_options.PROMPTS,
)


def run(arguments: Namespace) -> Outcome:
    """List models, check one, or compare several."""
    return {"list": _list, "check": _check, "export": _export, "compare": _compare}[arguments.action](arguments)


def _list(arguments: Namespace) -> Outcome:
    table = model_table(everything=True)
    limits = {"params_m <= @limit": arguments.max_size, "imagenet_published >= @limit": arguments.accuracy}
    limits |= {"weights != @limit": "to download" if arguments.here else None}
    for condition, limit in limits.items():
        table = table if limit is None else table.query(condition)
    for column, text in (("model", arguments.family), ("training_data", arguments.training)):
        table = table[table[column].str.contains(text or "", case=False, regex=False)]
    if table.empty:
        raise ValueError("no model is listed that fits all of these filters; loosen one, or see 'zsc models'.")
    shown = table.assign(here=["*" if where != "to download" else "" for where in table["weights"]])
    shown["params_m"] = shown["params_m"].round().astype("Int64")
    shown = shown[list(SHOWN)].dropna(axis="columns", how="all").rename(columns=SHOWN)
    return Outcome(table, [*table_lines(shown), *NOTES])


def _check(arguments: Namespace) -> Outcome:
    from zsc.models import check

    if not arguments.name:
        raise ValueError("no model named; write 'zsc models check NAME', such as 'zsc models check conse'.")
    card = check(arguments.name, coco=arguments.coco, checkpoint=arguments.checkpoint)
    shown = card.table[["what", "verdict", "largest", "limit", "n", "beside"]].copy()
    shown["largest"], shown["limit"] = shown["largest"].map("{:.2g}".format), shown["limit"].map("{:g}".format)
    text = [labelled("Model", arguments.name), labelled("Verdict", card.summary()), ""]
    text += [*table_lines(shown.replace("nan", "-")), ""]
    text += [labelled(key.capitalize(), getattr(card.info, key)) for key in RECORD]
    text += [labelled(key.capitalize(), value) for key, value in card.known.items()]
    return Outcome(card.to_dict(), text, 0 if card.verdict == "agrees" else 1)


def _export(arguments: Namespace) -> Outcome:
    from zsc.models import export_model

    if not (arguments.name and arguments.into):
        raise ValueError("name a model and a new folder: 'zsc models export NAME --into FOLDER'.")
    folder = export_model(arguments.name, arguments.into)
    size, place = sum(path.stat().st_size for path in folder.iterdir()), printable(folder)
    text = [f"{arguments.name} is in {place} ({size / 1e6:.0f} MB), compared with torch."]
    text += [f"Use it: zsc classify PICTURE --prompts ... --model onnx:{place}"]
    return Outcome({"folder": str(folder), "bytes": size}, text)


def _compare(arguments: Namespace) -> Outcome:
    from zsc.selection import compare_models

    if (arguments.name is None) == (arguments.dataset is None):
        raise ValueError("name a folder with one sub-folder per class, or a --dataset; one of the two.")
    dataset, prompts = _options.labelled_data(Namespace(**vars(arguments), folder=arguments.name))
    table = compare_models(
        dataset, prompts, arguments.models, store=arguments.store, pooling=arguments.pooling,
        on_error=arguments.on_error, progress=arguments.progress,
    )  # fmt: skip
    best, tied = table.index[0], list(table.index[table["is_tied"]])[1:]
    row = table.iloc[0]
    others = f"{', '.join(tied)} cannot be told from it" if tied else "every other model is worse"
    text = [
        f"{best} has the highest accuracy, {row['accuracy']:.3f} (95 % interval {row['low']:.3f} to "
        f"{row['high']:.3f}); on these {row['n']} pictures {others}.",
        "",
        *table_lines(table[list(COMPARED)]),
        "",
        labelled("Data set", f"{dataset.name}, {row['n']} pictures"),
        labelled("Prompts", prompts.name or "given"),
        *([labelled("Left out", f"{row['left_out']} pictures that cannot be opened")] if row["left_out"] else []),
        labelled("Baseline", f"{row['baseline']:.3f} by always naming the most frequent class"),
        labelled("Tested", f"{best} against each: exact McNemar, adjusted by Holm over all pairs of models"),
    ]
    return Outcome({"best": best, "tied": tied, "comparison": table.reset_index()}, text, 0, dataset)
