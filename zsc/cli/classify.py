"""`zsc classify`: pictures, or folders of them, and prompts in, classes out."""

from argparse import Namespace

import numpy as np
import pandas as pd

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, table_lines
from zsc.datasets.base import class_texts
from zsc.spreadsheet import NONE, write_answers

MOST = 40  # pictures that get a line each; of more, each class gets one
OPTIONS = (
    *_options.ASKED,
    option("--csv", writes="table", help="write one row per picture, to a .csv or .parquet file"),
    option("--sep", default=",", help="between the columns of the CSV: , ; | or a tab"),
    option("--decimal", default=".", help="before the fraction of a number in the CSV: . or ,"),
    _options.NONE_OF_THESE,
    *_options.KEPT,
    _options.on_error(default=None, note="; left out: it is named, the others go on, exit code 1"),
)


def run(arguments: Namespace) -> Outcome:
    """Classify pictures with the given prompts."""
    prompts, pictures = _options.given_prompts(arguments), _options.unlabelled(arguments)
    arguments.on_error = arguments.on_error or ("raise" if len(pictures) == 1 else "record")
    clf = ZeroShotClassifier(prompts, _options.chosen_model(arguments), pooling=arguments.pooling)
    limit = _options.none_of_these(arguments, clf, arguments.store)
    embeddings = _options.embedded(arguments, clf.model, pictures)
    answer, failures = clf.answer(embeddings), embeddings.failures
    reasons = dict(zip(failures["index"], failures["error"], strict=True)) if arguments.on_error == "record" else {}
    strange = clf.is_strange(embeddings, limit)
    names = pd.Series(class_texts(answer.y_pred, answer.class_names), dtype=object).mask(strange, NONE)
    shown = pd.DataFrame({"image": answer.table["image"], "predicted": names, "proba": answer.table["proba"]})
    if answer.n > MOST:
        counts = np.bincount(answer.y_pred[~answer.failed & ~strange], minlength=len(answer.class_names))
        shown = pd.DataFrame({"class": answer.class_names, "pictures": counts})
    text = [
        f"Model     {clf.model.name} ({clf.model.info.library})",
        *table_lines(shown),
        "Probabilities are relative to these prompts: they sum to 1 whatever a picture shows.",
        *_options.kept_line(arguments.store),
    ]
    results = answer.table.assign(error=pd.Series(reasons, dtype=object))
    if limit:
        text.append(f"{strange.sum()} of {answer.n} pictures are none of these: {limit[0]} below {limit[1]:.6g}.")
        results["none_of_these"] = strange
    about = {key: value for key, value in answer.made_by.to_dict().items() if key != "prompts"}
    data = {**about, "class_names": answer.class_names, "results": results}
    form = arguments.sep.replace("\\t", "\t"), arguments.decimal
    writers = {"csv": lambda path: write_answers(answer, path, *form, reasons, strange=strange)}
    return Outcome(data, text, 1 if reasons else 0, pictures.paths, failures, clf.advice, writers)
