"""`zsc audit`: what breaks a classifier's answers on a labelled data set."""

from argparse import Namespace

from zsc.auditing import COLUMNS, audit
from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options, evaluate
from zsc.cli._printing import Outcome, table_lines

OPTIONS = (
    *evaluate.OPTIONS,
    _options.option("--by", metavar="ATTRIBUTE", help="compare drawings with this attribute to those without it"),
    _options.option("--causes", nargs="+", default=[], metavar="ATTRIBUTE", help="draw all with it and without it"),
)


def run(arguments: Namespace) -> Outcome:
    """Look for what breaks a classifier: changed pictures, groups of pictures, causes."""
    from zsc import plots, report

    dataset, prompts = _options.labelled_data(arguments)
    model, store = _options.chosen_model(arguments), arguments.store
    clf = ZeroShotClassifier(prompts, model, pooling=arguments.pooling, store=store)
    options = {"store": store, "on_error": arguments.on_error, "progress": arguments.progress}
    found = audit(clf, dataset, arguments.by, causes=arguments.causes, **options)
    judged, text = found.evaluation, evaluate.headlines(found.evaluation, clf, dataset)
    for kind, rows in found.table.groupby("kind", sort=False):  # a narrow window loses differences first
        shown = rows[COLUMNS[1:8] + COLUMNS[12:] + COLUMNS[8:12]].dropna(axis="columns", how="all")
        text += ["", *table_lines(shown.rename(columns={"name": kind}))]
    data = {**judged.to_dict(), "table": found.table, "published": found.published, "examples": found.examples}
    writers = {
        "save": judged.save,
        "figure": lambda path: plots.save(plots.audit(found), path),
        "html": lambda path: report.write_report(judged, path, audit=found),
    }
    return Outcome(data, text, 0, dataset, found.failures, clf.advice, writers)
