"""The demonstration behind `zsc demo`: the sample photographs classified, and what other prompts change."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from zsc.classifier import ZeroShotClassifier
from zsc.datasets import load_dataset
from zsc.embeddings import embed_images
from zsc.evaluation import Evaluation
from zsc.models import auto_model, load_model
from zsc.prompts import DEFAULT_TEMPLATE, ClassPrompts

TEMPLATES = ("{}", DEFAULT_TEMPLATE)  # what the demonstration compares


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demonstration found.

    Attributes
    ----------
    model, why
        The model, and why this one.
    library
        The package that holds it.
    results
        The table of `predict` with the template "a photo of a {}".
    evaluations
        Template -> its evaluation.
    """

    model: str
    why: str
    library: str
    results: pd.DataFrame
    evaluations: dict[str, Evaluation]

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation with "a photo of a {}"."""
        return self.evaluations[DEFAULT_TEMPLATE]


def run_demo(model: str = "auto") -> Demo:
    """Classify the samples with each template; for "auto" with a model that needs no download."""
    name, why = auto_model() if model == "auto" else (model, "asked for")
    encoder = load_model(name)
    embeddings = embed_images(encoder, load_dataset("samples"), progress=False)
    classifiers = {
        t: ZeroShotClassifier(ClassPrompts.from_names(embeddings.class_names, t, name=t), encoder) for t in TEMPLATES
    }
    return Demo(
        model=encoder.name,
        why=why,
        library=encoder.info.library,
        results=classifiers[DEFAULT_TEMPLATE].predict(embeddings),
        evaluations={t: clf.evaluate(embeddings) for t, clf in classifiers.items()},
    )
