"""`zsc demo`, `zsc classify`, `zsc evaluate`: pictures in, results out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from zsc.classifier import ZeroShotClassifier
from zsc.cli import parts
from zsc.cli.outputs import add_output, write_all
from zsc.cli.printing import (
    print_json,
    records,
    say,
    say_advice,
    say_left_out,
    say_predictions,
    say_rows,
    say_table,
    with_names,
)
from zsc.datasets import ImageDataset
from zsc.embeddings import embed_images
from zsc.evaluation import Evaluation
from zsc.matching import match_by
from zsc.prompts import as_prompts, default_prompts

CHECKOUT = Path(__file__).resolve().parents[2]  # of the project, where this is run from one
MANY_CLASSES = 50


def add_to(commands: Any) -> None:
    """Add the three commands to the parser."""
    one = parts.add_command(commands, "demo", demo)
    parts.add_model(one)
    add_output(one, "--output", "picture", default=Path("zsc-demo.png"), help="where to write the picture")
    one = parts.add_command(commands, "classify", classify)
    one.add_argument("images", nargs="+", metavar="IMAGE", help="files or URLs; a pattern such as '*.jpg' works, too")
    which = parts.add_model_and_prompts(one)
    which.add_argument("--prompts", nargs="+", metavar="TEXT", help="one text per class, used as it is")
    parts.add_on_error(one, default=None, note="; left out: it is named, the others go on, exit code 1")
    one = parts.add_command(commands, "evaluate", evaluate)
    parts.add_dataset(one)
    parts.add_store(one)
    parts.add_model_and_prompts(one)
    parts.add_on_error(one)
    add_output(one, "--save", help="keep the evaluation as JSON")
    add_output(one, "--figure", "picture", help="draw the confusion")
    add_output(one, "--html", "page", help="write a report: one page with everything in it")


def demo(arguments: argparse.Namespace) -> None:
    """Classify the sample photographs and show what the prompts change."""
    from zsc import plots
    from zsc.demo import run_demo

    found = run_demo(arguments.model)
    picture = plots.save(plots.gallery(found.results), arguments.output)
    if arguments.json:
        by_template = {t: e.to_dict() for t, e in found.evaluations.items()}
        content = {"model": found.model, "why": found.why, "evaluations": by_template, "picture": picture}
        print_json(arguments.out, content)
        return
    say(
        f"Model     {found.model} ({found.library}): {found.why}.",
        f"Data set  samples, {len(found.results)} photographs of scikit-image and scikit-learn, one of each class.",
        'Prompts   "a photo of a {}" with each class name.',
        "",
    )
    say_predictions(found.results, {})
    say("", "What the prompts change:")
    for template, evaluation in found.evaluations.items():
        say(f"  {template!r:18} {evaluation.summary().partition(';')[0]}")
    say("", f"Picture   {picture.resolve()}", *_what_next(found.model))


def classify(arguments: argparse.Namespace) -> int:
    """Classify pictures with the given prompts."""
    prompts = parts.chosen_prompts(arguments) or arguments.prompts
    if not prompts:
        raise ValueError("no prompts given; add --prompts 'a cat' 'a dog', or --prompts-file FILE.")
    prompts = as_prompts(prompts)
    _refuse_pictures_among(arguments.prompts or [])
    sources = parts.chosen_pictures(arguments.images)
    on_error = arguments.on_error or ("raise" if len(sources) == 1 else "record")
    clf = ZeroShotClassifier(prompts, parts.model_name(arguments), pooling=arguments.pooling)
    dataset = ImageDataset(sources, np.full(len(sources), -1), [], name="pictures")
    progress = parts.show_progress(arguments)
    embeddings = embed_images(clf.model, dataset, on_error=on_error, progress=progress)
    if not len(embeddings):
        raise ValueError(f"none of the {len(sources)} pictures can be opened; first: {embeddings.failures['error'][0]}")
    failures = embeddings.failures
    table, advice = clf.predict(embeddings), parts.advice_on(clf.model, prompts)
    reasons = dict(zip(failures["index"], failures["error"], strict=True)) if on_error == "record" else {}
    if arguments.json:
        about = {str(k): v for k, v in table.attrs.items() if k != "prompts"}
        rows = [{**row, "error": reasons.get(i)} for i, row in enumerate(records(table))]
        print_json(arguments.out, {**about, "results": rows, "failures": records(failures), "advice": records(advice)})
        return 1 if reasons else 0
    say(f"Model     {clf.model.name} ({clf.model.info.library})")
    say_predictions(table, reasons)
    say("Probabilities are relative to these prompts: they sum to 1 whatever a picture shows.")
    say_advice(advice)
    if reasons:
        say(f"{len(reasons)} of {len(table)} pictures cannot be opened.")
        return 1
    say_left_out(failures, len(sources))
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Classify a labelled data set and judge the result."""
    from zsc import plots, report

    dataset = parts.chosen_dataset(arguments)
    prompts = parts.chosen_prompts(arguments) or default_prompts(dataset.class_names, dataset.name)
    match_by(dataset.class_names, prompts.class_names)  # before the model is loaded
    clf = ZeroShotClassifier(prompts, parts.model_name(arguments), pooling=arguments.pooling)
    embeddings = parts.embedded(arguments, clf.model, dataset)
    evaluation = clf.evaluate(embeddings)
    writers = {
        "save": evaluation.save,
        "figure": lambda path: plots.save(plots.confusion(evaluation.confusion), path),
        "html": lambda path: report.write_report(evaluation, path),
    }
    problems = write_all(arguments, writers)
    advice = parts.advice_on(clf.model, prompts)
    if arguments.json:
        more = {
            "verdict": _verdict(evaluation),
            "errors": records(evaluation.errors),
            "failures": records(embeddings.failures),
            "notes": dataset.notes,
            "advice": records(advice),
            "written": arguments.written,
        }
        print_json(arguments.out, {**evaluation.to_dict(), **more})
    else:
        _say_evaluation(evaluation, clf, dataset)
        say_left_out(embeddings.failures, len(dataset))
        say_advice(advice)
        _say_tables(evaluation)
        names = {"save": "Evaluation", "figure": "Picture", "html": "Report"}
        say_rows({names[option]: str(path.resolve()) for option, path in arguments.written.items()})
    if problems:
        raise ValueError("; ".join(problems))
    return 0


def _say_evaluation(evaluation: Evaluation, clf: ZeroShotClassifier, dataset: ImageDataset) -> None:
    low, high = evaluation.interval
    by_position = ", classes matched by position" if evaluation.about["matched_by"] == "position" else ""
    rows = {
        "Model": f"{clf.model.name} ({clf.model.info.library}, {clf.model.info.precision})",
        "Data set": f"{dataset.name} {dataset.split_name}".strip() + f", {len(dataset)} pictures",
        "Prompts": f"{clf.prompts.name or 'given'}: {len(clf.prompts)} for {len(clf.class_names)} classes, "
        f"pooling {clf.pooling}" + by_position,
        "Accuracy": f"{evaluation.accuracy:.3f} ({evaluation.correct} of {evaluation.n}), "
        f"95 % interval {low:.3f} to {high:.3f}",
        "Macro recall": f"{evaluation.macro_recall:.3f}",
        "Baseline": f"{evaluation.majority_baseline:.3f} by always naming the most frequent class",
        "Verdict": _verdict(evaluation),
        "Calibration": f"log loss {evaluation.log_loss:.3f}, Brier {evaluation.brier:.3f}, expected calibration error "
        f"{evaluation.calibration_error:.3f}",
        "Labels": dataset.notes.get("labels", ""),
        "Note": _note(evaluation, clf, dataset),
    }
    say_rows({name: text for name, text in rows.items() if text})


def _say_tables(evaluation: Evaluation) -> None:
    say("")
    say_table(evaluation.report.round(3))
    if len(evaluation.class_names) <= MANY_CLASSES:
        say("", "Confusion (rows: true, columns: predicted)")
        say_table(evaluation.confusion)
    else:
        say("", f"The confusion of {len(evaluation.class_names)} classes is in --json, --save and --html.")
    if len(evaluation.errors):
        say("", "Most confident errors")
        say_table(with_names(evaluation.errors.head(10)).drop(columns="index").round(3), index=False)


def _verdict(evaluation: Evaluation) -> str:
    """Say so where the accuracy is not shown to be above that of naming one class; empty where it is."""
    (low, high), floor = evaluation.interval, evaluation.majority_baseline
    if low > floor or floor == 1:  # pictures of one class tell nothing
        return ""
    if high < floor:
        return f"worse than always naming the most frequent class ({floor:.3f})"
    return f"not shown to be better than always naming the most frequent class: the interval holds {floor:.3f}"


def _note(evaluation: Evaluation, clf: ZeroShotClassifier, dataset: ImageDataset) -> str:
    absent = [name for name, support in evaluation.report["support"].items() if not support]
    notes = []
    if absent:
        notes.append(f"no pictures of {', '.join(map(str, absent))} here: the accuracy says nothing of them")
    if clf.model.name == "toy" and not dataset.name.startswith("drawn-"):
        notes.append("the model toy knows only the drawings of this project; on anything else it guesses")
    return "; ".join(notes)


def _refuse_pictures_among(texts: list[str]) -> None:
    """Refuse a picture after --prompts, which takes every word that follows."""
    files = [text for text in texts if Path(text).suffix and Path(text).is_file()]
    if files:
        raise ValueError(f"--prompts holds {files[0]!r}, which is a file; name the pictures before --prompts.")


def _what_next(model: str) -> list[str]:
    zsc, folder = parts.command(), CHECKOUT / "notebooks"
    lines = [f"Next      {zsc} classify PICTURE --prompts 'a cat' 'a dog'", "            your own picture"]
    if folder.is_dir():
        lines += ["          make lab", "            the notebooks, beginning with 01_first_prediction"]
    else:
        lines += ["          the notebooks come with the project's source, in its folder notebooks/; this is an",
                  "            installed package, which does not hold them"]  # fmt: skip
    if model != "conse":
        return lines
    note = "Note      conse is the method of the years before CLIP: it sees what ImageNet has classes for."
    return [note, *lines, f"          {zsc} demo --model ViT-B/32",
            "            real CLIP; its weights are fetched once"]  # fmt: skip
