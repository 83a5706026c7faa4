"""Match the classes of a data set with those of a classifier, so that their order never decides a result."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def match_classes(dataset_names: Sequence[str], classifier_names: Sequence[str]) -> np.ndarray:
    """Find the classifier's index of each class of a data set.

    The same names in any order are matched by name (upper and lower case count as equal). Otherwise, as in the Glasses
    tutorial, K texts stand for the K classes in their order: class 0 of the data set is text 0 of the classifier.

    Parameters
    ----------
    dataset_names, classifier_names
        The two lists of names.

    Returns
    -------
    np.ndarray
        Shape (K,): for each class of the data set its index in the classifier.

    Raises
    ------
    ValueError
        If the numbers differ, if only some names are equal, or if the texts name the classes in another order.

    Examples
    --------
    >>> match_classes(["cat", "dog"], ["dog", "cat"])
    array([1, 0])
    >>> match_classes(["no glasses", "glasses"], ["face without glasses", "face with glasses"])
    array([0, 1])
    """
    ours, theirs = [_plain(n) for n in dataset_names], [_plain(n) for n in classifier_names]
    known = {name: i for i, name in enumerate(theirs)}
    if set(ours) <= set(theirs):
        return np.array([known[n] for n in ours], dtype=np.int64)
    if len(ours) != len(theirs) or set(ours) & set(theirs):
        raise ValueError(
            f"the data set's classes {list(dataset_names)} are not the classifier's {list(classifier_names)}; give the "
            "classifier the same names: ClassPrompts.from_texts({class name: prompt, ...})."
        )
    named = _order_by_mention(ours, theirs)
    if named is not None and named != list(range(len(ours))):
        raise ValueError(
            f"the prompts {list(classifier_names)} name the data set's classes {list(dataset_names)} in another order; "
            "tie them to the names: ClassPrompts.from_texts({class name: prompt, ...})."
        )
    return np.arange(len(ours))


def _order_by_mention(names: Sequence[str], texts: Sequence[str]) -> list[int] | None:
    """For each name the one text that mentions it as a word; None where that is not clear for all."""
    found = [[i for i, text in enumerate(texts) if re.search(rf"\b{re.escape(name)}\b", text)] for name in names]
    if any(len(f) != 1 for f in found) or len({f[0] for f in found}) != len(names):
        return None
    return [f[0] for f in found]


def _plain(name: str) -> str:
    return " ".join(name.lower().split())
