"""Why two evaluations differ: what made them differs, or is not known, or else which pictures they answer otherwise.

What neither has recorded is said to be unknown. Pictures are paired only by what tells them apart: by their names where
each is unique, by row where data digest, labels and names of every row are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zsc.checks import short
from zsc.evaluation import Evaluation, mcnemar, paired_interval
from zsc.files import printable
from zsc.images import describe

# what can change a number, in the order in which it is worth looking at
MAKERS = (
    ("data_digest", "the pictures or labels"),
    ("dataset", "the data set"),
    ("prompts", "the prompts"),
    ("pooling", "the pooling rule"),
    ("normalisation", "the normalisation"),
    ("threshold", "the threshold"),
    ("model", "the model"),
    ("weights_sha256", "the weights"),
    ("fingerprint", "the fingerprint"),
    ("library", "the library"),
    ("engine", "the engine"),
    ("precision", "the precision"),
    ("device", "the device"),
    ("logit_scale", "the logit scale"),
    ("versions", "package versions"),
    ("hardware", "the hardware"),
)
OPTIONAL = ("normalisation", "threshold")  # recorded only where they are not the usual ones
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
    return [*lines, *_makers(first.about, second.about), *_pictures(first, second)]


def _makers(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Say of what made two evaluations what differs, what is the same, and what is not known."""
    lines, same, unknown = [], [], []
    for key, what in MAKERS:
        pair = first.get(key), second.get(key)
        known = [value not in (None, "") for value in pair]
        if not any(known):
            unknown += [what] if key not in OPTIONAL else []
        elif pair[0] == pair[1]:
            same.append(what)
        elif all(known) or key in OPTIONAL:
            lines.append(f"{what} differ{'' if what.endswith('s') else 's'}: {_difference(*pair)}.")
        else:
            lines.append(
                f"{what}: recorded in the {'first' if known[0] else 'second'} only, so not known to be the same."
            )
    if same:
        lines.append(f"recorded as the same: {', '.join(same)}.")
    if unknown:
        lines.append(f"recorded in neither, so not known to be the same: {', '.join(unknown)}.")
    return lines


def _difference(first: Any, second: Any) -> str:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = [k for k in {**first, **second} if first.get(k) != second.get(k)]
        more = f"; and {len(keys) - _MOST} more" if len(keys) > _MOST else ""
        return (
            "; ".join(f"{printable(k)}: {_shown(first.get(k))} and {_shown(second.get(k))}" for k in keys[:_MOST])
            + more
        )
    return f"{_shown(first)} and {_shown(second)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) and len(value) <= 80 else short(value))


_MOST = 10  # keys of a mapping in one sentence


def _pictures(first: Evaluation, second: Evaluation) -> list[str]:
    lines = []
    if list(first.class_names) != list(second.class_names):
        if sorted(first.class_names) != sorted(second.class_names):
            names = [short(list(e.class_names)) for e in (first, second)]
            return [f"classes differ: {names[0]} and {names[1]}; pictures cannot be compared."]
        lines.append("the order of the classes differs; they are compared by name.")
        second = _in_order(second, first.class_names)
    rows, how = _paired(first, second)
    if not len(rows[0]):
        return [*lines, how]
    lines += [how] if how else []
    labels = (first.y_true[rows[0]] != second.y_true[rows[1]]).sum()
    if labels:
        lines.append(f"{labels} labels differ.")
    apart = np.abs(first.proba[rows[0]] - second.proba[rows[1]]).max()
    other = np.flatnonzero(first.y_pred[rows[0]] != second.y_pred[rows[1]])
    if not len(other):
        return [*lines, f"every shared picture gets the same class; probabilities differ by at most {apart:.2g}."]
    shown = [_name(first, int(rows[0][i]), 2) for i in other[:5]]
    lines.append(f"{len(other)} of {len(rows[0])} pictures get another class, such as {printable(', '.join(shown))}.")
    right = first.right[rows[0]], second.right[rows[1]]
    low, high = paired_interval(*right)
    by = right[0].mean() - right[1].mean()
    lines.append(
        f"on these pictures the accuracies differ by {by:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, exact McNemar "
        f"p = {mcnemar(*right):.3g})."
    )
    return [*lines, "probabilities differ by rounding only."] if apart < SMALL else lines


def _in_order(evaluation: Evaluation, class_names: Sequence[str]) -> Evaluation:
    """Give an evaluation with its classes in another order."""
    place = {name: k for k, name in enumerate(class_names)}
    to = np.array([place[name] for name in evaluation.class_names])
    proba = evaluation.proba[:, np.argsort(to)]
    return replace(evaluation, y_true=to[evaluation.y_true], proba=proba, class_names=list(class_names))


def _paired(first: Evaluation, second: Evaluation) -> tuple[tuple[np.ndarray, np.ndarray], str]:
    """Pair the pictures of two evaluations: their rows, and what there is to say about that."""
    nothing = np.empty(0, np.int64), np.empty(0, np.int64)
    if _same_rows(first, second):
        return (np.arange(first.n), np.arange(first.n)), ""
    if first.images is None or second.images is None:
        return nothing, "pictures cannot be paired: they have no names, and the data digests are not known to be equal."
    index, depth, doubled = _by_name(first, second)
    shared = [name for name in index[0] if name in index[1]]
    left_out = f" {doubled} with a name that occurs more than once are left out." if doubled else ""
    if not shared:
        return nothing, f"the two have no picture in common, by name.{left_out}"
    pairs = tuple(np.array([one[name] for name in shared]) for one in index)
    words = [] if len(shared) == first.n == second.n else [f"{len(shared)} pictures are in both, by name.{left_out}"]
    if _differ(first, second, "data_digest") and _differ(first, second, "dataset"):
        words.append(
            f"the data sets differ: that the last {depth} parts of two paths are equal need not mean one picture."
        )
    return (pairs[0], pairs[1]), " ".join(words)


def _same_rows(first: Evaluation, second: Evaluation) -> bool:
    """Tell whether the pictures are the same row by row: the digest knows no order, so labels and names must agree."""
    digests = [e.about.get("data_digest") for e in (first, second)]
    if not digests[0] or digests[0] != digests[1] or any("threshold" in e.about for e in (first, second)):
        return False
    if first.n != second.n or (first.y_true != second.y_true).any():
        return False
    has_names = first.images is not None and second.images is not None
    return not has_names or all(_name(first, i, 2) == _name(second, i, 2) for i in range(first.n))


def _differ(first: Evaluation, second: Evaluation, key: str) -> bool:
    return bool(first.about.get(key) != second.about.get(key))


def _by_name(first: Evaluation, second: Evaluation) -> tuple[list[dict[str, int]], int, int]:
    """Index the pictures by the last parts of their paths, as few of them (two or more) as pair the most pictures.

    Gives the two indices without the names that occur twice, how many parts are used, and how many pictures fall out.
    """
    found = []
    for depth in range(2, 7):
        index, doubled = [], 0
        for evaluation in (first, second):
            names = [_name(evaluation, i, depth) for i in range(evaluation.n)]
            times = Counter(names)
            index.append({name: i for i, name in enumerate(names) if times[name] == 1})
            doubled += evaluation.n - len(index[-1])
        found.append((index, depth, doubled))
        if not doubled:
            break
    return max(found, key=lambda one: len(one[0][0].keys() & one[0][1].keys()))


def _name(evaluation: Evaluation, row: int, depth: int) -> str:
    """Name a picture by the last parts of its path, or by its row where it has no name."""
    if evaluation.images is None:
        return f"row {row}"
    return "/".join(describe(evaluation.images[row]).replace("\\", "/").split("/")[-depth:])
