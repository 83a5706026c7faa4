"""Judge predictions: metrics with intervals, paired tests, errors, abstention; arrays in, numbers and tables out."""

from zsc.evaluation.arrays import evaluate
from zsc.evaluation.result import Evaluation
from zsc.evaluation.statistics import holm, images_needed, mcnemar, paired_bootstrap, paired_interval, wilson_interval

__all__ = [
    "Evaluation",
    "evaluate",
    "holm",
    "images_needed",
    "mcnemar",
    "paired_bootstrap",
    "paired_interval",
    "wilson_interval",
]
