"""compare_prompts: candidates on the same pictures, each against a reference, with what can be told and what not.

Interval and p-value of a row belong together: the interval of the difference holds 0 just where p is not below 0.05.
The adjusted p-value, which the verdict goes by, also counts how many were compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from zsc.checks import check_choice, check_count, check_fraction, check_labels, check_same_length, check_unique, short
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import Evaluation, holm, mcnemar, paired_interval, wilson_interval
from zsc.prompts import ClassPrompts, as_prompts
from zsc.prompts.prompts import load_many
from zsc.prompts.templates import template_set_names
from zsc.statistics import as_right

if TYPE_CHECKING:
    from zsc.models import Encoder

ALPHA = 0.05
NO_BETTER = "not shown to be better than always naming the most frequent class"


def compare_prompts(
    embeddings: ImageEmbeddings,
    candidates: Mapping[str, Candidate],
    *,
    model: Encoder | str,
    reference: str | None = None,
    pooling: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge candidate prompts on the same pictures, and test each against a reference.

    The p-values speak of prompts that were fixed before these pictures were looked at; to choose the best one and
    report it, take `choose_prompts`.

    Parameters
    ----------
    embeddings
        Labelled pictures, embedded by `model`.
    candidates
        Name -> prompts in any form (see `zsc.selection.as_candidates`).
    model
        The encoder that made the embeddings, or its name.
    reference
        The candidate that the others are tested against; None takes the first.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    seed
        Decides nothing: no number of the table is drawn. It stays so that calls with it go on.

    Returns
    -------
    pd.DataFrame
        One row per candidate, in the given order: n, correct, accuracy, low and high (95 % Wilson), macro_recall,
        baseline (the accuracy of always naming the most frequent class), difference (to the reference) with its 95 %
        interval difference_low and difference_high (`paired_interval`), won and lost (pictures that only this one,
        only the reference gets right), p_value (exact McNemar), p_adjusted (Holm, over all), verdict in words: against
        the reference, and against the baseline where `low` is not above it. NaN in the reference's own row. `attrs`
        says model, data set, reference, how many pictures could not be opened (left_out), and how each candidate's
        classes were matched (matched_by).
    """
    judged = evaluations(embeddings, candidates, model, pooling)
    right = {name: e.right for name, e in judged.items()}
    table = compare_right(right, reference=reference, seed=seed)
    table.insert(5, "macro_recall", [e.macro_recall for e in judged.values()])
    table.insert(6, "baseline", [e.majority_baseline for e in judged.values()])
    columns = zip(table["verdict"], table["low"], table["baseline"], strict=True)
    table["verdict"] = [f"{v}; {NO_BETTER} ({base:.3f})" if low <= base else v for v, low, base in columns]
    about = next(iter(judged.values())).about
    names = ("model", "fingerprint", "dataset", "left_out")
    table.attrs |= {key: about[key] for key in names if key in about}
    table.attrs["matched_by"] = {name: e.about.get("matched_by", "name") for name, e in judged.items()}
    table.attrs["prompts"] = {name: e.about["prompts"] for name, e in judged.items()}
    table.attrs["pooling"] = {name: e.about["pooling"] for name, e in judged.items()}
    return table


def compare_right(right: Mapping[str, np.ndarray], *, reference: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare classifiers of any kind by which of the same N pictures they get right.

    Parameters
    ----------
    right
        Name -> which predictions are right: N bools, the same pictures in the same order for all.
    reference
        The one that the others are tested against; None takes the first.
    seed
        Decides nothing, as in `compare_prompts`.

    Returns
    -------
    pd.DataFrame
        The table of `compare_prompts`, without macro_recall and baseline.
    """
    check_count(seed, "seed", low=0)
    arrays = as_rights(right)
    base = next(iter(arrays)) if reference is None else check_choice(reference, list(arrays), "reference")
    table = pd.DataFrame([_row(name, array, arrays[base], name == base) for name, array in arrays.items()])
    table = table.set_index("candidate")
    table["p_adjusted"] = holm(table["p_value"].to_numpy())
    table["verdict"] = [_verdict(row, base, len(arrays) - 1) for _, row in table.iterrows()]
    table.attrs["reference"] = base
    return table


def _row(name: str, right: np.ndarray, base: np.ndarray, is_reference: bool) -> dict[str, Any]:
    low, high = wilson_interval(int(right.sum()), len(right))
    row: dict[str, Any] = {
        "candidate": name, "n": len(right), "correct": int(right.sum()), "accuracy": float(right.mean()),
        "low": low, "high": high,
    }  # fmt: skip
    blank = dict.fromkeys(("difference", "difference_low", "difference_high", "won", "lost", "p_value"), np.nan)
    if is_reference:
        return row | blank
    bounds = paired_interval(right, base)
    return row | {
        "difference": float(right.mean() - base.mean()),
        "difference_low": bounds[0],
        "difference_high": bounds[1],
        "won": int((right & ~base).sum()),
        "lost": int((~right & base).sum()),
        "p_value": mcnemar(right, base),
    }


def _verdict(row: pd.Series, base: str, tests: int) -> str:
    if np.isnan(row["p_value"]):
        return "reference"
    if row["p_adjusted"] < ALPHA:
        return f"{'better' if row['difference'] > 0 else 'worse'} than {base}"
    counted = f" after {tests} comparisons" if row["p_value"] < ALPHA else ""  # alone they could: says why not
    return f"{int(row['n'])} images cannot tell it from {base}{counted}"


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and how good it is on pictures that had no say.

    Attributes
    ----------
    name, prompts
        The chosen candidate: the best of the choosing part; of repeated splits, the one chosen most often.
    evaluation
        With one split, the chosen candidate on the part that had no say. None with several (`repeats` above 1, or
        `cross_fit`): there every picture had a say in which candidate is chosen most often, and none is held out.
    splits
        One row per split and choosing part: repeat, part (which half chose), chosen, chosen_accuracy (on the part that
        chose), held_out_accuracy (of the same candidate on the other part), optimism (their difference), n_chosen,
        n_held_out.
    """

    name: str
    prompts: ClassPrompts
    evaluation: Evaluation | None
    splits: pd.DataFrame

    @property
    def chosen_accuracy(self) -> float:
        """The mean accuracy of the choice on the part that chose: too high to quote."""
        return float(self.splits["chosen_accuracy"].mean())

    @property
    def held_out_accuracy(self) -> float:
        """The mean accuracy of each split's own choice on its other part: with several, of this way of choosing."""
        return float(self.splits["held_out_accuracy"].mean())

    @property
    def optimism(self) -> float:
        """What choosing adds to the accuracy on the part that chose: chosen less held-out."""
        return self.chosen_accuracy - self.held_out_accuracy

    def summary(self) -> str:
        """Say the choice, its held-out accuracy and the optimism, and what there is no interval for."""
        often = (self.splits["chosen"] == self.name).sum()
        how, interval, end = f"in {often} of {len(self.splits)} splits", "", ""
        if self.evaluation is None:
            end = f" Over {len(self.splits)} splits every picture had a say in the name, so no evaluation is held out."
        else:
            low, high = self.evaluation.interval
            how, interval = "on one part", f" (95 % interval {low:.3f} to {high:.3f})"
        return (
            f"chosen {how}: {self.name}; accuracy where it was chosen {self.chosen_accuracy:.3f}, on pictures that had "
            f"no say {self.held_out_accuracy:.3f}{interval}; optimism {self.optimism:+.3f}.{end}"
        )

    def __repr__(self) -> str:
        return f"Choice({self.summary()})"


def choose_prompts(
    embeddings: ImageEmbeddings,
    candidates: Mapping[str, Candidate],
    *,
    model: Encoder | str,
    share: float = 0.5,
    repeats: int = 1,
    cross_fit: bool = False,
    pooling: str | None = None,
    seed: int = 0,
) -> Choice:
    """Choose prompts on one part of the pictures and report them on the other.

    Parameters
    ----------
    embeddings
        Labelled pictures, embedded by `model`.
    candidates
        Name -> prompts in any form (see `zsc.selection.as_candidates`).
    model
        The encoder that made the embeddings, or its name.
    share
        The share of the pictures that chooses; the classes keep their shares in both parts.
    repeats
        How many splits; more than one tells how much the choice depends on the split.
    cross_fit
        Let each part of a split choose for the other; with `share` 0.5 every picture is held out once a split.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    seed
        For the splits.

    Returns
    -------
    Choice
        With one split its `evaluation` is on held-out pictures; with several it has none, and its `held_out_accuracy`
        is that of this way of choosing.
    """
    _check_splits(share, repeats, seed)
    judged = evaluations(embeddings, candidates, model, pooling)
    first = next(iter(judged.values()))
    right = {name: e.right for name, e in judged.items()}
    splits, held_out = _split_and_choose(
        right, first.y_true, share=share, repeats=repeats, cross_fit=cross_fit, seed=seed
    )
    votes = splits["chosen"].value_counts()
    most = votes.max()
    name = next(n for n in right if votes.get(n, 0) == most)
    prompts = as_candidates(candidates, embeddings.class_names)[name]
    evaluation = _part(judged[name], held_out) if len(splits) == 1 else None
    return Choice(name, replace(prompts, name=name), evaluation, splits)


def choose_repeatedly(
    right: Mapping[str, np.ndarray],
    y_true: np.ndarray,
    *,
    share: float = 0.5,
    repeats: int = 1,
    cross_fit: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose among classifiers of any kind by which pictures they get right.

    Parameters
    ----------
    right
        Name -> which of the N predictions are right: N bools.
    y_true
        Labels, shape (N,), so that both parts have the same shares of the classes.
    share, repeats, cross_fit, seed
        As in `choose_prompts`.

    Returns
    -------
    pd.DataFrame
        The table `splits` of `Choice`. Of equal candidates the first in order is chosen.
    """
    return _split_and_choose(right, check_labels(y_true), share=share, repeats=repeats, cross_fit=cross_fit, seed=seed)[
        0
    ]


def _split_and_choose(
    right: Mapping[str, np.ndarray], y_true: np.ndarray, *, share: float, repeats: int, cross_fit: bool, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Give the table of splits, and the held-out rows of the first of them."""
    _check_splits(share, repeats, seed)
    arrays = as_rights(right)
    check_same_length(y_true=y_true, right=next(iter(arrays.values())))
    names, table = list(arrays), np.stack(list(arrays.values()))  # (C, N)
    splits = [_stratified(y_true, share, seed + repeat) for repeat in range(repeats)]
    rows = []
    for repeat, parts in enumerate(splits):
        for part, (choosing, held_out) in enumerate([parts, parts[::-1]] if cross_fit else [parts]):
            best = int(table[:, choosing].mean(axis=1).argmax())
            accuracies = float(table[best, choosing].mean()), float(table[best, held_out].mean())
            sizes = len(choosing), len(held_out)
            rows.append((repeat, part, names[best], *accuracies, accuracies[0] - accuracies[1], *sizes))
    columns = ("repeat", "part", "chosen", "chosen_accuracy", "held_out_accuracy", "optimism", "n_chosen", "n_held_out")
    return pd.DataFrame(rows, columns=list(columns)), splits[0][1]


def as_rights(right: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Take several classifiers by which of the same pictures they get right: name -> (N,), bool, at least one name."""
    if not isinstance(right, Mapping) or not right:
        raise ValueError(f"right is {short(right)}; pass a mapping of name to which predictions are right.")
    check_unique([str(name) for name in right], "right")
    arrays = {str(name): as_right(values, f"right[{name!r}]") for name, values in right.items()}
    (first, n), *rest = ((name, len(array)) for name, array in arrays.items())
    for name, other in rest:
        if other != n:
            raise ValueError(f"right[{first!r}] holds {n} and right[{name!r}] {other}; pass the same pictures for all.")
    return arrays


def _check_splits(share: float, repeats: int, seed: int) -> None:
    check_fraction(share, "share")
    check_count(repeats, "repeats")
    check_count(seed, "seed", low=0, high=2**32 - 1 - repeats)  # scikit-learn's splits take no larger one


def _stratified(y_true: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers in two, each class by the share; a class of one picture goes to either side."""
    rare = np.bincount(y_true)[y_true] < 2
    strata = np.where(rare, -1, y_true)
    if (strata == -1).sum() == 1:
        strata = np.where(rare, strata.max(), strata)
    try:
        parts = train_test_split(np.arange(len(y_true)), train_size=share, stratify=strata, random_state=seed)
    except ValueError as error:
        raise ValueError(
            f"share={share}: {len(y_true)} pictures cannot be split so that both parts hold every class; take more "
            "pictures, or another share."
        ) from error
    return np.sort(parts[0]), np.sort(parts[1])


def _part(evaluation: Evaluation, rows: np.ndarray) -> Evaluation:
    images = None if evaluation.images is None else [evaluation.images[int(i)] for i in rows]
    about = {**evaluation.about, "part": f"held out: {len(rows)} of {evaluation.n} pictures"}
    return Evaluation(evaluation.y_true[rows], evaluation.proba[rows], evaluation.class_names, images, about)


Candidate = ClassPrompts | Mapping[str, str | Sequence[str]] | str | Sequence[str]


def as_candidates(candidates: Mapping[str, Candidate], class_names: Sequence[str]) -> dict[str, ClassPrompts]:
    """Take candidates as they are given.

    Parameters
    ----------
    candidates
        Name -> a `ClassPrompts`, a mapping of class to prompts, a template or a template set's name, a list of
        templates, or a text for each class in order.
    class_names
        The K classes, for templates.

    Raises
    ------
    ValueError
        If there are none, two have one name, or one is something else; the message names it.
    """
    if not isinstance(candidates, Mapping) or not candidates:
        raise ValueError("candidates is empty or no mapping; pass {name: prompts, ...}, such as {'bare': '{}'}.")
    check_unique([str(name) for name in candidates], "candidates")
    return {str(name): _one(str(name), given, class_names) for name, given in candidates.items()}


def load_candidates(path: str | Path) -> dict[str, ClassPrompts]:
    """Read candidates from a YAML or JSON file: under each name what a prompts file holds."""
    return load_many(path)


def evaluations(
    embeddings: ImageEmbeddings, candidates: Mapping[str, Candidate], model: Encoder | str, pooling: str | None = None
) -> dict[str, Evaluation]:
    """Judge every candidate on the same pictures; nothing is embedded again.

    Parameters
    ----------
    embeddings
        Labelled pictures; those that failed are left out.
    candidates
        As `as_candidates` takes them.
    model
        The encoder that made the embeddings, or its name.
    pooling
        One rule for all; None takes each candidate's own, else "mean".
    """
    names = class_names_of(embeddings)
    encoder = _encoder(model)
    return {
        name: ZeroShotClassifier(replace(prompts, name=name), encoder, pooling=pooling).evaluate(embeddings)
        for name, prompts in as_candidates(candidates, names).items()
    }


def class_names_of(embeddings: ImageEmbeddings, name: str = "embeddings") -> list[str]:
    """Give the class names of embedded pictures; anything else than embeddings is refused."""
    if not isinstance(embeddings, ImageEmbeddings):
        raise TypeError(f"{name} is a {type(embeddings).__name__}; pass embeddings: zsc.embed_images(model, dataset).")
    return embeddings.class_names


def _one(name: str, given: Any, class_names: Sequence[str]) -> ClassPrompts:
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    templates = [given] if isinstance(given, str) else list(given) if is_list else []
    try:
        if isinstance(given, str) and given in template_set_names():
            return ClassPrompts.from_names(class_names, given, name=name)
        if templates and all(isinstance(t, str) and "{}" in t for t in templates):
            return ClassPrompts.from_names(class_names, templates, name=name)
        if is_list:
            if len(templates) != len(class_names):
                raise ValueError(f"{len(templates)} texts for {len(class_names)} classes")
            return ClassPrompts.from_texts(dict(zip(class_names, templates, strict=True)), name=name)
        return as_prompts(given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"candidate {name!r}: {str(error).removesuffix('.')}; a candidate must be ClassPrompts, a mapping of class "
            "to prompts, templates with {}, a template set's name, or a text for each class."
        ) from error


def _encoder(model: Encoder | str) -> Encoder:
    if isinstance(model, str):
        from zsc.models import load_model

        return load_model(model)
    return model
