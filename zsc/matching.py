"""Match the classes of a data set with those of a classifier, so that their order never decides a result."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_NEGATION = re.compile(r"\b(no|not|without|never)\b|n't\b")


class ClassMismatchError(ValueError):
    """Classes of a data set and of a classifier that do not stand for each other."""


def match_classes(dataset_names: Sequence[str], classifier_names: Sequence[str]) -> np.ndarray:
    """Find the classifier's index of each class of a data set.

    The same names in any order are matched by name (upper and lower case count as equal). Otherwise, as in the Glasses
    tutorial, K texts stand for the K classes in their order: class 0 of the data set is text 0 of the classifier,
    unless a text names another class than the one it would stand for.

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
    ClassMismatchError
        If the numbers differ, if only some names are equal, or if the texts name the classes in another order.

    Examples
    --------
    >>> match_classes(["cat", "dog"], ["dog", "cat"])
    array([1, 0])
    >>> match_classes(["no glasses", "glasses"], ["face without glasses", "face with glasses"])
    array([0, 1])
    """
    ours, theirs = _comparable(dataset_names), _comparable(classifier_names)
    known = {name: i for i, name in enumerate(theirs)}
    if set(ours) <= set(theirs):
        return np.array([known[n] for n in ours], dtype=np.int64)
    if len(ours) != len(theirs) or set(ours) & set(theirs):
        raise ClassMismatchError(
            f"the data set's classes {list(dataset_names)} are not the classifier's {list(classifier_names)}; give the "
            "classifier the same names: ClassPrompts.from_texts({class name: prompt, ...})."
        )
    for position, name in enumerate(ours):
        mentions = [i for i, text in enumerate(theirs) if _mentions(text, name, ours)]
        if len(mentions) == 1 and mentions[0] != position:
            raise ClassMismatchError(
                f"{classifier_names[mentions[0]]!r} would stand for the class {dataset_names[mentions[0]]!r} but names "
                f"{dataset_names[position]!r}; tie prompts to classes: ClassPrompts.from_texts({{class: prompt, ...}})."
            )
    return np.arange(len(ours))


def _mentions(text: str, name: str, names: Sequence[str]) -> bool:
    """Tell whether a text names a class; "no X" is named by X with a negation, X beside it by X without one."""
    thing = name.removeprefix("no ")
    if not re.search(rf"\b{re.escape(thing)}\b", text):
        return False
    is_denied = bool(_NEGATION.search(text))
    if name != thing:
        return is_denied
    return not (is_denied and f"no {name}" in names)


def _comparable(names: Sequence[str]) -> list[str]:
    """Fold case and spaces away, unless that makes two names equal."""
    folded = [" ".join(name.lower().split()) for name in names]
    return folded if len(set(folded)) == len(folded) else list(names)
