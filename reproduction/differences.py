"""Explain why two evaluations differ: in provenance, known or unknown, and in the pictures they classify differently.

What neither has recorded is reported as unknown. Pictures are paired only by what identifies them: by name if the names
are unique, by row if the data digest and the labels and names of every row are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zsc.checks import short
from zsc.evaluation import Evaluation
from zsc.files import printable
from zsc.images import describe
from zsc.statistics import mcnemar, paired_interval

MAKERS = {  # what can change a number, in the order in which it is worth checking
    "data_digest": "the pictures or labels",
    "dataset": "the data set",
    "prompts": "the prompts",
    "pooling": "the pooling rule",
    "normalisation": "the normalisation",
    "threshold": "the threshold",
    "model": "the model",
    "weights_sha256": "the weights",
    "fingerprint": "the fingerprint",
    "library": "the library",
    "engine": "the engine",
    "precision": "the precision",
    "device": "the device",
    "logit_scale": "the logit scale",
    "versions": "package versions",
    "hardware": "the hardware",
}
OPTIONAL = ("normalisation", "threshold")  # recorded only if they are not the defaults
SMALL = 1e-3  # probabilities closer than this differ by rounding only
MOST = 10  # at most so many keys of a mapping in one sentence


def explain_differences(first: Evaluation, second: Evaluation) -> list[str]:
    """Return sentences on what differs between two evaluations and their provenance.

    The accuracies come first, then the provenance, then the pictures that are classified differently.
    """
    accuracies = (f"{e.accuracy:.4f} ({e.correct} of {e.n})" for e in (first, second))
    made = (e.made_by.to_dict() for e in (first, second))
    return [f"accuracy {' and '.join(accuracies)}.", *_makers(*made), *_pictures(first, second)]


def _makers(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return what differs between two provenances, what is the same, and what is not known."""
    lines, same, unknown = [], [], []
    for key, what in MAKERS.items():
        pair = first.get(key), second.get(key)
        if pair == (None, None):
            unknown += [what] if key not in OPTIONAL else []
        elif pair[0] == pair[1]:
            same.append(what)
        elif None not in pair or key in OPTIONAL:
            lines.append(f"{what} differ{'' if what.endswith('s') else 's'}: {_difference(*pair)}.")
        else:
            one = "second" if pair[0] is None else "first"
            lines.append(f"{what}: recorded in the {one} only, so not known to be the same.")
    if same:
        lines.append(f"recorded as the same: {', '.join(same)}.")
    if unknown:
        lines.append(f"recorded in neither, so not known to be the same: {', '.join(unknown)}.")
    return lines


def _difference(first: Any, second: Any) -> str:
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        return f"{_shown(first)} and {_shown(second)}"
    keys = [k for k in {**first, **second} if first.get(k) != second.get(k)]
    words = [f"{printable(k)}: {_shown(first.get(k))} and {_shown(second.get(k))}" for k in keys[:MOST]]
    return "; ".join([*words, f"and {len(keys) - MOST} more"] if len(keys) > MOST else words)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return printable(value if isinstance(value, str) and len(value) <= 80 else short(value))


def _pictures(first: Evaluation, second: Evaluation) -> list[str]:
    lines = []
    if first.class_names != second.class_names:
        if sorted(first.class_names) != sorted(second.class_names):
            names = " and ".join(short(list(e.class_names)) for e in (first, second))
            return [f"classes differ: {names}; pictures cannot be compared."]
        lines.append("the order of the classes differs; they are compared by name.")
        place = np.array([first.class_names.index(name) for name in second.class_names])
        proba = second.proba[:, np.argsort(place)]
        second = replace(second, y_true=place[second.y_true], proba=proba, class_names=first.class_names)
    rows, how = _paired(first, second)
    lines += [how] if how else []
    if not len(rows[0]):
        return lines
    one, other = first.select(rows[0]), second.select(rows[1])
    if labels := int((one.y_true != other.y_true).sum()):
        lines.append(f"{labels} labels differ.")
    apart, changed = np.abs(one.proba - other.proba).max(), np.flatnonzero(one.y_pred != other.y_pred)
    if not len(changed):
        return [*lines, f"every shared picture gets the same class; probabilities differ by at most {apart:.2g}."]
    shown = ", ".join(_name(first, rows[0][i], 2) for i in changed[:5])
    low, high = paired_interval(one.right, other.right)
    lines += [
        f"{len(changed)} of {one.n} pictures get another class, such as {printable(shown)}.",
        f"on these pictures the accuracies differ by {one.accuracy - other.accuracy:+.4f} (95 % interval {low:+.4f} to "
        f"{high:+.4f}, exact McNemar p = {mcnemar(one.right, other.right):.3g}).",
    ]
    return [*lines, "probabilities differ by rounding only."] if apart < SMALL else lines


def _paired(first: Evaluation, second: Evaluation) -> tuple[list[list[int]], str]:
    """Pair the pictures of two evaluations; return the rows of each, and a remark on the pairing."""
    if _same_rows(first, second):
        return [list(range(first.n))] * 2, ""
    if first.images is None or second.images is None:
        return [
            [],
            [],
        ], "pictures cannot be paired: they have no names, and the data digests are not known to be equal."
    index, depth, doubled = _by_name(first, second)
    shared = [name for name in index[0] if name in index[1]]
    left_out = f" {doubled} with a name that occurs more than once are left out." if doubled else ""
    if not shared:
        return [[], []], f"the two have no picture in common, by name.{left_out}"
    words = [] if len(shared) == first.n == second.n else [f"{len(shared)} pictures are in both, by name.{left_out}"]
    if all(getattr(first.made_by, key) != getattr(second.made_by, key) for key in ("data_digest", "dataset")):
        words.append(
            f"the data sets differ: that the last {depth} parts of two paths are equal need not mean one picture."
        )
    return [[one[name] for name in shared] for one in index], " ".join(words)


def _same_rows(first: Evaluation, second: Evaluation) -> bool:
    """Whether the pictures are the same row by row: the digest ignores order, so labels and names must agree."""
    digests = {first.made_by.data_digest, second.made_by.data_digest}
    if len(digests) > 1 or digests == {""} or any("threshold" in e.made_by.other for e in (first, second)):
        return False
    if first.n != second.n or (first.y_true != second.y_true).any():
        return False
    has_names = first.images is not None and second.images is not None
    return not has_names or all(_name(first, i, 2) == _name(second, i, 2) for i in range(first.n))


def _by_name(first: Evaluation, second: Evaluation) -> tuple[list[dict[str, int]], int, int]:
    """Index the pictures by the last parts of their paths: the fewest parts (at least two) that pair the most pictures.

    Returns the two indices without duplicate names, the number of parts used, and the number of pictures left out.
    """
    found = []
    for depth in range(2, 7):
        index = []
        for evaluation in (first, second):
            names = [_name(evaluation, i, depth) for i in range(evaluation.n)]
            times = Counter(names)
            index.append({name: i for i, name in enumerate(names) if times[name] == 1})
        doubled = first.n + second.n - len(index[0]) - len(index[1])
        found.append((index, depth, doubled))
        if not doubled:
            break
    return max(found, key=lambda one: len(one[0][0].keys() & one[0][1].keys()))


def _name(evaluation: Evaluation, row: int, depth: int) -> str:
    """Return the last parts of a picture's path, or its row if it has no name."""
    if evaluation.images is None:
        return f"row {row}"
    return "/".join(describe(evaluation.images[row]).replace("\\", "/").split("/")[-depth:])
