"""`zsc evaluate`: a labelled data set classified, and judged."""

from argparse import Namespace

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._printing import Outcome, labelled, table_lines, width
from zsc.datasets import ImageDataset
from zsc.evaluation import Evaluation

MOST_ROWS = 20  # of classes and of confusions, in a terminal
OPTIONS = (
    *_options.EMBEDDED,
    *_options.PROMPTS,
    _options.option("--save", writes="file", help="keep the evaluation as JSON"),
    _options.option("--figure", writes="picture", help="draw the confusion; of an audit, what it found"),
    _options.option("--html", writes="page", help="write a report: one page with everything in it"),
)


def run(arguments: Namespace) -> Outcome:
    """Classify a labelled data set and judge the result."""
    from zsc import plots, report

    dataset, prompts = _options.labelled_data(arguments)
    model = _options.chosen_model(arguments)
    clf = ZeroShotClassifier(prompts, model, pooling=arguments.pooling, store=arguments.store)
    embeddings = _options.embedded(arguments, clf.model, dataset)
    evaluation = clf.evaluate(embeddings)
    writers = {
        "save": evaluation.save,
        "figure": lambda path: plots.save(plots.confusion(evaluation), path),
        "html": lambda path: report.write_report(evaluation, path),
    }
    data = {**evaluation.to_dict(), "verdict": evaluation.verdict, "errors": evaluation.errors}
    text = [*headlines(evaluation, clf, dataset), *_tables(evaluation)]
    return Outcome(data, text, 0, dataset, embeddings.failures, clf.advice, writers)


def headlines(evaluation: Evaluation, clf: ZeroShotClassifier, dataset: ImageDataset) -> list[str]:
    """Say what was judged, and how good it is."""
    by_position = ", classes matched by position" if evaluation.made_by.matched_by == "position" else ""
    absent = ", ".join(name for name, support in evaluation.report["support"].items() if not support)
    rows = {
        "Model": f"{clf.model.name} ({clf.model.info.library}, {clf.model.info.precision})",
        "Data set": f"{evaluation.made_by.dataset}, {len(dataset)} pictures",
        "Prompts": f"{clf.prompts.name or 'given'}: {len(clf.prompts)} for {len(clf.class_names)} classes, "
        f"pooling {clf.pooling}{by_position}",
        "Accuracy": evaluation.summary().partition(", macro")[0].removeprefix("accuracy "),
        "Macro recall": f"{evaluation.macro_recall:.3f}",
        "Baseline": f"{evaluation.majority_baseline:.3f} by always naming the most frequent class",
        "Verdict": evaluation.verdict,
        "Calibration": f"log loss {evaluation.log_loss:.3f}, Brier {evaluation.brier:.3f}, expected calibration error "
        f"{evaluation.calibration_error:.3f}",
        "Labels": dataset.notes.get("labels", ""),
        "Note": f"no pictures of {absent} here: the accuracy says nothing of them" if absent else "",
    }
    return [labelled(name, text) for name, text in rows.items() if text]


def _tables(evaluation: Evaluation) -> list[str]:
    from zsc.plots import confused_pairs

    by_class = evaluation.by_class[["n", "recall", "low", "high", "right", "precision", "f1"]]
    lines = ["", *table_lines(by_class, most=MOST_ROWS), ""]
    pairs, digits = confused_pairs(evaluation), len(str(evaluation.n))
    names = [2 + max(digits, len(name)) for name in evaluation.class_names]
    if max(names) + sum(names) <= width():
        lines += ["Confusion (rows: true, columns: predicted)", *table_lines(evaluation.confusion)]
    elif len(pairs):
        lines += ["Most frequent confusions", *table_lines(pairs, most=MOST_ROWS)]
    if len(errors := evaluation.errors):
        worst = errors.head(10)
        lines += ["", f"Most confident errors ({len(worst)} of {len(errors)})", *table_lines(worst)]
    return lines
