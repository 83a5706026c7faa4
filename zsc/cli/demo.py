"""`zsc demo`: the sample photographs classified, and what other prompts change."""

from argparse import Namespace
from pathlib import Path

import numpy as np

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, table_lines
from zsc.cli.reproduce import CHECKOUT
from zsc.datasets import load_dataset
from zsc.datasets.base import class_texts
from zsc.embeddings import embed_images
from zsc.models import auto_model
from zsc.prompts import DEFAULT_TEMPLATE, ClassPrompts

PICTURE = Path("zsc-demo.png")
OPTIONS = (_options.MODEL, option("--output", writes="picture", default=PICTURE, help="where to write the picture"))


def run(arguments: Namespace) -> Outcome:
    """Classify the sample photographs and show what the prompts change."""
    from zsc import plots

    model, why = _options.chosen_model(arguments), auto_model()[1] if arguments.model == "auto" else "asked for"
    embeddings = embed_images(model, load_dataset("samples"), progress=False)
    prompts = [ClassPrompts.from_names(embeddings.class_names, text, name=text) for text in ("{}", DEFAULT_TEMPLATE)]
    found = {each.name: ZeroShotClassifier(each, model).evaluate(embeddings) for each in prompts}
    shown = found[DEFAULT_TEMPLATE]
    table = shown.table[["image", "proba"]].assign(**{"": np.where(shown.right, "right", "wrong")})
    table.insert(1, "predicted", class_texts(shown.y_pred, shown.class_names))
    program, notebooks = _options.program(), "the notebooks come with the project's source, not with this package"
    if (CHECKOUT / "notebooks").is_dir():
        notebooks = "make lab  (the notebooks, beginning with 01_first_prediction)"
    text = [
        f"Model     {model.name} ({model.info.library}): {why}.",
        f"Data set  samples, {shown.n} photographs of scikit-image and scikit-learn, one of each class.",
        f'Prompts   "{DEFAULT_TEMPLATE}" with each class name.',
        "",
        *table_lines(table),
        "",
        "What the prompts change:",
        *(f"  {template!r}: {one.summary().partition(';')[0]}" for template, one in found.items()),
        "",
        f"Next      {program} classify PICTURE --prompts 'a cat' 'a dog'  (your own picture)",
        f"          {notebooks}",
    ]
    if model.name == "conse":
        text += [
            f"          {program} demo --model ViT-B/32  (real CLIP; its weights are fetched once)",
            "Note      conse is the method of the years before CLIP: it sees what ImageNet has classes for.",
        ]
    evaluations = {template: one.to_dict() for template, one in found.items()}
    data = {"model": model.name, "why": why, "evaluations": evaluations, "picture": arguments.output}
    return Outcome(data, [*text, ""], writers={"output": lambda path: plots.save(plots.gallery(shown), path)})
