"""`zsc demo`, `zsc classify`, `zsc evaluate`: pictures in, results out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from zsc.classifier import ZeroShotClassifier
from zsc.cli import parts
from zsc.datasets import ImageDataset
from zsc.embeddings import embed_images
from zsc.evaluation import Evaluation
from zsc.prompts import default_prompts


def add_to(commands: Any) -> None:
    """Add the three commands to the parser."""
    one = parts.add_command(commands, "demo", demo)
    one.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    one.add_argument("--output", type=Path, default=Path("zsc-demo.png"), help="where to write the picture")
    one = parts.add_command(commands, "classify", classify)
    one.add_argument("images", nargs="+", metavar="IMAGE", help="files or URLs")
    which = parts.add_model_and_prompts(one)
    which.add_argument("--prompts", nargs="+", metavar="TEXT", help="a text a class, used as it is")
    one = parts.add_command(commands, "evaluate", evaluate)
    parts.add_dataset(one)
    one.add_argument("--store", type=Path, help="keep the embeddings in this folder, or take them from it")
    parts.add_model_and_prompts(one)
    one.add_argument("--save", type=Path, metavar="FILE", help="keep the evaluation as JSON")
    one.add_argument("--figure", type=Path, metavar="FILE", help="draw the confusion")
    one.add_argument("--html", type=Path, metavar="FILE", help="write a report: one page with everything in it")


def demo(arguments: argparse.Namespace) -> None:
    """Classify the sample photographs and show what the prompts change."""
    from zsc import plots
    from zsc.demo import run_demo

    plots.check_picture_path(arguments.output)
    found = run_demo(arguments.model)
    picture = plots.save(plots.gallery(found.results), arguments.output)
    if arguments.json:
        by_template = {t: e.to_dict() for t, e in found.evaluations.items()}
        parts.print_json({"model": found.model, "why": found.why, "evaluations": by_template, "picture": str(picture)})
        return
    print(f"Model     {found.model} ({found.library}): {found.why}.")
    print(f"Data set  samples, {len(found.results)} photographs of scikit-image and scikit-learn, one of each class.")
    print('Prompts   "a photo of a {}" with each class name.\n')
    print(parts.result_lines(found.results), end="\n\n")
    print("What the prompts change:")
    for template, evaluation in found.evaluations.items():
        print(f"  {template!r:18} {evaluation.summary().partition(';')[0]}")
    print(f"\nPicture   {picture.resolve()}")
    print(_what_next(found.model))


def classify(arguments: argparse.Namespace) -> None:
    """Classify pictures with the given prompts."""
    prompts = parts.chosen_prompts(arguments) or arguments.prompts
    if not prompts:
        raise ValueError("no prompts given; add --prompts 'a cat' 'a dog', or --prompts-file FILE.")
    clf = ZeroShotClassifier(prompts, parts.model_name(arguments), pooling=arguments.pooling)
    table = clf.predict(list(arguments.images), progress=parts.show_progress(arguments))
    if arguments.json:
        about = {str(k): v for k, v in table.attrs.items() if k != "prompts"}
        parts.print_json({**about, "results": parts.records(table)})
        return
    print(f"Model     {clf.model.name} ({clf.model.info.library})")
    print(parts.result_lines(table))
    print("Probabilities are relative to these prompts: they sum to 1 whatever a picture shows.")


def evaluate(arguments: argparse.Namespace) -> None:
    """Classify a labelled data set and judge the result."""
    from zsc import plots, report

    if arguments.figure:
        plots.check_picture_path(arguments.figure)
    if arguments.html:
        report.check_report_path(arguments.html)
    dataset = parts.chosen_dataset(arguments)
    prompts = parts.chosen_prompts(arguments) or default_prompts(dataset.class_names, dataset.name)
    clf = ZeroShotClassifier(prompts, parts.model_name(arguments), pooling=arguments.pooling)
    embeddings = embed_images(clf.model, dataset, arguments.store, progress=parts.show_progress(arguments))
    evaluation = clf.evaluate(embeddings)
    written = _write(arguments, evaluation)
    if arguments.json:
        parts.print_json({**evaluation.to_dict(), "errors": parts.records(evaluation.errors)})
        return
    _print_evaluation(evaluation, clf, dataset)
    for what, path in written.items():
        print(f"{what:13} {path.resolve()}")


def _write(arguments: argparse.Namespace, evaluation: Evaluation) -> dict[str, Path]:
    """Write the files that were asked for; give what each is."""
    from zsc import plots, report

    written = {}
    if arguments.save:
        written["Evaluation"] = evaluation.save(arguments.save)
    if arguments.figure:
        written["Picture"] = plots.save(plots.confusion(evaluation.confusion), arguments.figure)
    if arguments.html:
        written["Report"] = report.write_report(evaluation, arguments.html)
    return written


def _print_evaluation(evaluation: Evaluation, clf: ZeroShotClassifier, dataset: ImageDataset) -> None:
    low, high = evaluation.interval
    rows = {
        "Model": f"{clf.model.name} ({clf.model.info.library}, {clf.model.info.precision})",
        "Data set": f"{dataset.name} {dataset.split_name}".strip() + f", {len(dataset)} pictures",
        "Prompts": f"{clf.prompts.name or 'given'}: {len(clf.prompts)} for {len(clf.class_names)} classes, "
        f"pooling {clf.pooling}",
        "Accuracy": f"{evaluation.accuracy:.3f} ({evaluation.correct} of {evaluation.n}), "
        f"95 % interval {low:.3f} to {high:.3f}",
        "Macro recall": f"{evaluation.macro_recall:.3f}",
        "Baseline": f"{evaluation.majority_baseline:.3f} by always naming the most frequent class",
        "Calibration": f"log loss {evaluation.log_loss:.3f}, Brier {evaluation.brier:.3f}, expected calibration error "
        f"{evaluation.calibration_error:.3f}",
    }
    for name, text in rows.items():
        print(f"{name:13} {text}")
    if "labels" in dataset.notes:
        print(f"{'Labels':13} {dataset.notes['labels']}")
    absent = [name for name, support in evaluation.report["support"].items() if not support]
    if absent:
        print(f"{'Note':13} no pictures of {', '.join(map(str, absent))} here: the accuracy says nothing of them")
    print(f"\n{evaluation.report.round(3).to_string()}\n")
    print(f"Confusion (rows: true, columns: predicted)\n{evaluation.confusion.to_string()}")
    if len(evaluation.errors):
        errors = evaluation.errors.head(10).drop(columns="index").round(3)
        print(f"\nMost confident errors\n{errors.to_string(index=False)}")


def _what_next(model: str) -> str:
    zsc = parts.command()
    lines = [
        f"Next      {zsc} classify PICTURE --prompts 'a cat' 'a dog'",
        "            your own picture",
        "          make lab",
        "            the notebooks, beginning with 01_first_prediction",
    ]
    if model == "conse":
        lines.insert(
            0, "Note      conse is the method of the years before CLIP: it sees what ImageNet has classes for."
        )
        lines += [f"          {zsc} demo --model ViT-B/32", "            real CLIP; its weights are fetched once"]
    return "\n".join(lines)
