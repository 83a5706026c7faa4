"""The command line: `zsc ...` or `python -m zsc ...`. The only module that prints.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 bad usage. `--json` prints the result as data.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

Command = Callable[[argparse.Namespace], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The words after the program's name; those of the process where None.

    Returns
    -------
    int
        The exit code: 0, or 1 where the command failed. Bad usage exits with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stdout = None  # type: ignore[assignment]
    except (ValueError, TypeError, OSError, ImportError, NotImplementedError) as error:
        print(f"zsc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("zsc: stopped.", file=sys.stderr)
        return 1
    return 0


def demo(arguments: argparse.Namespace) -> None:
    """Classify the sample photographs and show what the prompts change."""
    from zsc import plots
    from zsc.demo import run_demo

    found = run_demo(arguments.model)
    picture = plots.save(plots.gallery(found.results), arguments.output)
    if arguments.json:
        by_template = {t: e.to_dict() for t, e in found.evaluations.items()}
        _print_json({"model": found.model, "why": found.why, "evaluations": by_template, "picture": str(picture)})
        return
    print(f"Model     {found.model} ({found.library}): {found.why}.")
    print(f"Data set  samples, {len(found.results)} photographs of scikit-image and scikit-learn, one of each class.")
    print('Prompts   "a photo of a {}" with each class name.\n')
    print(_result_lines(found.results), end="\n\n")
    print("What the prompts change:")
    for template, evaluation in found.evaluations.items():
        print(f"  {template!r:18} {evaluation.summary()}")
    print(f"\nPicture   {picture.resolve()}")
    print(_what_next(found.model))


def classify(arguments: argparse.Namespace) -> None:
    """Classify pictures with the given prompts."""
    from zsc.classifier import ZeroShotClassifier

    prompts = _prompts(arguments) or arguments.prompts
    if not prompts:
        raise ValueError("no prompts given; add --prompts 'a cat' 'a dog', or --prompts-file FILE.")
    clf = ZeroShotClassifier(prompts, _model_name(arguments), pooling=arguments.pooling)
    table = clf.predict(list(arguments.images))
    if arguments.json:
        _print_json({**_about(table), "results": _records(table)})
        return
    print(f"Model     {clf.model.name} ({clf.model.info.library})")
    print(_result_lines(table))
    print("Probabilities are relative to these prompts: they sum to 1 whatever a picture shows.")


def evaluate(arguments: argparse.Namespace) -> None:
    """Classify a labelled data set and judge the result."""
    from zsc.classifier import ZeroShotClassifier
    from zsc.datasets import ImageDataset, load_dataset
    from zsc.prompts import default_prompts

    if arguments.folder:
        dataset = ImageDataset.from_folder(arguments.folder)
    else:
        dataset = load_dataset(arguments.dataset, arguments.data_root, arguments.split, **_options(arguments))
    dataset = dataset.head(arguments.limit) if arguments.limit else dataset
    prompts = _prompts(arguments) or default_prompts(dataset.class_names, dataset.name)
    clf = ZeroShotClassifier(prompts, _model_name(arguments), pooling=arguments.pooling)
    evaluation = clf.evaluate(dataset, progress=not arguments.json and sys.stderr.isatty())
    if arguments.json:
        _print_json({**evaluation.to_dict(), "errors": _records(evaluation.errors)})
        return
    low, high = evaluation.interval
    print(f"Model         {clf.model.name} ({clf.model.info.library}, {clf.model.info.precision})")
    print(f"Data set      {dataset.name} {dataset.split_name}".rstrip() + f", {len(dataset)} pictures")
    print(f"Prompts       {clf.prompts.name or 'given'}: {len(clf.prompts)} for {len(clf.class_names)} classes, "
          f"pooling {clf.pooling}")  # fmt: skip
    print(f"Accuracy      {evaluation.accuracy:.3f} ({evaluation.correct} of {evaluation.n}), "
          f"95 % interval {low:.3f} to {high:.3f}")  # fmt: skip
    print(f"Macro recall  {evaluation.macro_recall:.3f}\n")
    print(evaluation.report.round(3).to_string(), end="\n\n")
    print("Confusion (rows: true, columns: predicted)")
    print(evaluation.confusion.to_string())
    if len(evaluation.errors):
        print("\nMost confident errors")
        print(evaluation.errors.head(10).drop(columns="index").round(3).to_string(index=False))


def models(arguments: argparse.Namespace) -> None:
    """List the models."""
    from zsc.models import model_table

    table = model_table()
    if arguments.json:
        _print_json(_records(table))
        return
    print(table.to_string(index=False, na_rep="-"))
    print("imagenet_published: OpenAI's zero-shot accuracy on ImageNet with 80 templates, not measured here.")
    print("Also: open_clip:ARCH/TAG, hf:ID, or the path of a checkpoint in OpenAI's format.")


def datasets(arguments: argparse.Namespace) -> None:
    """List the data sets and which of them are on disk."""
    from zsc.datasets import dataset_names, load_dataset

    rows: list[dict[str, Any]] = []
    for name in dataset_names():
        try:
            found = load_dataset(name, arguments.data_root)
            state = {"pictures": len(found), "classes": len(found.class_names), "split": found.split_name}
        except FileNotFoundError as error:
            state = {"pictures": 0, "classes": None, "split": "", "missing": str(error)}
        rows.append({"dataset": name, **state})
    if arguments.json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['dataset']:11} " + (row.get("missing") or f"{row['pictures']} pictures, {row['classes']} classes"))


def _prompts(arguments: argparse.Namespace) -> Any:
    from zsc.prompts import ClassPrompts, prompt_set

    if arguments.prompt_set:
        return prompt_set(arguments.prompt_set)
    return ClassPrompts.load(arguments.prompts_file) if arguments.prompts_file else None


def _model_name(arguments: argparse.Namespace) -> str:
    from zsc.models import auto_model

    return auto_model()[0] if arguments.model == "auto" else str(arguments.model)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {k: v for k in ("version", "size") if (v := getattr(arguments, k)) is not None}


def _result_lines(table: pd.DataFrame) -> str:
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


def _what_next(model: str) -> str:
    lines = [
        "Next      zsc classify PICTURE --prompts 'a cat' 'a dog'     your own picture",
        "          make lab                                         notebooks, beginning with 01_first_prediction",
    ]
    if model == "conse":
        lines.insert(
            0, "Note      conse is the method of the years before CLIP: it sees what ImageNet has classes for."
        )
        lines.append("          zsc demo --model ViT-B/32                        real CLIP (fetches its weights once)")
    return "\n".join(lines)


def _about(table: pd.DataFrame) -> dict[str, Any]:
    return {str(k): v for k, v in table.attrs.items() if k != "prompts"}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records", default_handler=str))
    return records


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False, default=str))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zsc", description="Zero-shot image classification with CLIP.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    one = _add(commands, "demo", demo)
    one.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    one.add_argument("--output", type=Path, default=Path("zsc-demo.png"), help="where to write the picture")
    one = _add(commands, "classify", classify)
    one.add_argument("images", nargs="+", metavar="IMAGE", help="files or URLs")
    one.add_argument("--prompts", nargs="+", metavar="TEXT", help="a text a class, used as it is")
    _add_choices(one)
    one = _add(commands, "evaluate", evaluate)
    source = one.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="a data set's name; 'zsc datasets' lists them")
    source.add_argument("--folder", type=Path, help="your own pictures: a folder with one sub-folder a class")
    one.add_argument("--data-root", type=Path, default=Path("data"), help="the folder that holds the data sets")
    one.add_argument("--split", help="as published; left out: the one that is evaluated")
    one.add_argument("--version", type=int, help="afhq: 1 or 2")
    one.add_argument("--size", help="imagenette: full, 320px or 160px")
    one.add_argument("--limit", type=int, metavar="N", help="only the first N pictures")
    _add_choices(one)
    _add(commands, "models", models)
    one = _add(commands, "datasets", datasets)
    one.add_argument("--data-root", type=Path, default=Path("data"), help="the folder that holds the data sets")
    return parser


def _add(commands: Any, name: str, run: Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: class: prompt or prompts")
    which.add_argument("--prompt-set", metavar="NAME", help="published prompts, such as afhq-b")
    parser.add_argument("--pooling", choices=("mean", "max", "sum"), help="how several prompts of a class count")
