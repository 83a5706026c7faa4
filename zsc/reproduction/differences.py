"""Why two evaluations differ: what made them differs, or else which pictures they answer otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from zsc.evaluation import Evaluation, mcnemar, paired_bootstrap

# what can change a number, in the order in which it is worth looking at
MAKERS = (
    ("data_digest", "the pictures or labels"),
    ("dataset", "the data set"),
    ("prompts", "the prompts"),
    ("pooling", "the pooling rule"),
    ("normalisation", "the normalisation"),
    ("model", "the model"),
    ("weights_sha256", "the weights"),
    ("library", "the library"),
    ("engine", "the engine"),
    ("precision", "the precision"),
    ("device", "the device"),
    ("logit_scale", "the logit scale"),
    ("versions", "package versions"),
    ("hardware", "the hardware"),
)
SMALL = 1e-3  # probabilities nearer than this are the same but for rounding


def explain_differences(first: Evaluation, second: Evaluation) -> list[str]:
    """Say in sentences what differs between two evaluations, and between what made them.

    Parameters
    ----------
    first, second
        Two evaluations, such as `Evaluation.load` reads.

    Returns
    -------
    list
        Sentences: the accuracies first, then what made them, then the pictures that are answered otherwise.
    """
    lines = [
        f"accuracy {first.accuracy:.4f} ({first.correct} of {first.n}) and {second.accuracy:.4f} "
        f"({second.correct} of {second.n})."
    ]
    made = [
        f"{what} differ{'' if what.endswith('s') else 's'}: {_difference(first.about.get(key), second.about.get(key))}."
        for key, what in MAKERS
        if first.about.get(key) != second.about.get(key)
    ]
    lines += made or ["what made them is recorded as the same: model, weights, data, prompts, versions, hardware."]
    return lines + _pictures(first, second)


def _difference(first: Any, second: Any) -> str:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [k for k in {**first, **second} if first.get(k) != second.get(k)]
        return "; ".join(f"{k}: {first.get(k)} and {second.get(k)}" for k in keys)
    return f"{first} and {second}"


def _pictures(first: Evaluation, second: Evaluation) -> list[str]:
    if first.class_names != second.class_names:
        return [f"classes differ: {first.class_names} and {second.class_names}; pictures cannot be compared."]
    names = [_names(e) for e in (first, second)]
    shared = sorted(set(names[0]) & set(names[1]))
    if not shared:
        return ["the two have no picture in common, by name."]
    lines = [] if len(shared) == first.n == second.n else [f"{len(shared)} pictures are in both, by name."]
    rows = [np.array([index[name] for name in shared]) for index in names]
    labels = (first.y_true[rows[0]] != second.y_true[rows[1]]).sum()
    if labels:
        lines.append(f"{labels} labels differ.")
    apart = np.abs(first.proba[rows[0]] - second.proba[rows[1]]).max()
    other = np.flatnonzero(first.y_pred[rows[0]] != second.y_pred[rows[1]])
    if not len(other):
        return [*lines, f"every shared picture gets the same class; probabilities differ by at most {apart:.2g}."]
    examples = ", ".join(shared[i] for i in other[:5])
    lines.append(f"{len(other)} of {len(shared)} pictures get another class, such as {examples}.")
    right = first.right[rows[0]], second.right[rows[1]]
    low, high = paired_bootstrap(*right)
    by = right[0].mean() - right[1].mean()
    lines.append(
        f"on these pictures the accuracies differ by {by:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, exact McNemar "
        f"p = {mcnemar(*right):.3g})."
    )
    return [*lines, "probabilities differ by rounding only."] if apart < SMALL else lines


def _names(evaluation: Evaluation) -> dict[str, int]:
    """Give each picture's name with its row: the last two parts of its path, or its number where there are no names."""
    from zsc.images import describe

    if evaluation.images is None:
        return {str(i): i for i in range(evaluation.n)}
    return {
        "/".join(describe(image).replace("\\", "/").split("/")[-2:]): i for i, image in enumerate(evaluation.images)
    }
