"""`zsc classify`: pictures and prompts in, classes out."""

from argparse import Namespace
from pathlib import Path

from zsc.checks import check_class_names
from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, plain, prediction_lines
from zsc.prompts import as_prompts

OPTIONS = (
    option("images", nargs="+", metavar="IMAGE", help="files or URLs; a pattern such as '*.jpg' works, too"),
    _options.MODEL,
    *_options.PROMPTS,
    option("--prompts", group="prompts", nargs="+", metavar="TEXT", help="one text per class, used as it is"),
    _options.on_error(default=None, note="; left out: it is named, the others go on, exit code 1"),
)


def run(arguments: Namespace) -> Outcome:
    """Classify pictures with the given prompts."""
    prompts = _options.chosen_prompts(arguments) or arguments.prompts
    if not prompts:
        raise ValueError("no prompts given; add --prompts 'a cat' 'a dog', or --prompts-file FILE.")
    prompts = as_prompts(prompts)
    check_class_names(prompts.class_names)
    for text in arguments.prompts or []:  # the option takes every word that follows
        if Path(text).suffix and Path(text).is_file():
            raise ValueError(f"--prompts holds {text!r}, which is a file; name the pictures before --prompts.")
    sources = _options.chosen_pictures(arguments.images)
    on_error = arguments.on_error or ("raise" if len(sources) == 1 else "record")
    clf = ZeroShotClassifier(prompts, _options.chosen_model(arguments), pooling=arguments.pooling)
    embeddings = clf.embed(sources, on_error=on_error, progress=_options.show_progress(arguments))
    failures = embeddings.failures
    if not len(embeddings):
        raise ValueError(f"none of the {len(sources)} pictures can be opened; first: {failures['error'][0]}")
    answer = clf.answer(embeddings)
    reasons = dict(zip(failures["index"], failures["error"], strict=True)) if on_error == "record" else {}
    rows = [{**row, "error": reasons.get(i)} for i, row in enumerate(plain(answer.table))]
    text = [
        f"Model     {clf.model.name} ({clf.model.info.library})",
        *prediction_lines(answer, reasons),
        "Probabilities are relative to these prompts: they sum to 1 whatever a picture shows.",
    ]
    if reasons:
        text.append(f"{len(reasons)} of {answer.n} pictures cannot be opened.")
    about = {key: value for key, value in answer.made_by.to_dict().items() if key != "prompts"}
    data = {**about, "class_names": answer.class_names, "results": rows, "failures": failures}
    skipped = None if reasons else failures
    return Outcome(data, text, 1 if reasons else 0, sources, skipped, clf.advice)
