"""Compare prompts or models on the same pictures; choose prompts honestly: on other pictures than they are reported on.

Interval and p-value of a row belong together: the interval of the difference holds 0 just where p is not below 0.05.
The adjusted p-value, which the verdict goes by, also counts how many were compared.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from zsc.checks import as_list, check_choice, check_count, check_fraction, check_same_length, check_unique, short
from zsc.classifier import ZeroShotClassifier
from zsc.datasets import ImageDataset
from zsc.embeddings import ImageEmbeddings, class_names_of, embed_images, embed_texts
from zsc.evaluation import Evaluation
from zsc.models import Encoder, as_encoder, find_route
from zsc.models.table import record_speed
from zsc.progress import Progress, each
from zsc.prompts import ClassPrompts, as_prompts
from zsc.statistics import as_right, holm, mcnemar, paired_interval, wilson_interval

Candidate = ClassPrompts | Mapping[str, str | Sequence[str]] | str | Sequence[str]
ALPHA = 0.05
_WORD = re.compile(r"[^\W\d_]+")
_AGAINST = ("difference", "difference_low", "difference_high", "won", "lost", "p_value")


def compare_prompts(
    embeddings: ImageEmbeddings, candidates: Mapping[str, Candidate], *,
    model: Encoder | str, reference: str | None = None, pooling: str | None = None, store: str | Path | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Judge candidate prompts on the same pictures, and test each against a reference.

    The p-values are for prompts that were fixed before these pictures were looked at; else use `choose_prompts`.

    The table has one row per candidate, in the given order: n, correct, accuracy, low and high (95 % Wilson),
    macro_recall, baseline (the accuracy of always naming the most frequent class), difference (to the reference; NaN in
    its own row) with its 95 % interval difference_low and difference_high (`paired_interval`), won and lost (pictures
    that only this one, only the reference gets right), p_value (exact McNemar), p_adjusted (Holm, over all), verdict in
    words, against the reference and the baseline; then, as in `Provenance`, what made the row.

    `embeddings` are of labelled pictures, by `model`, an encoder or its name; `candidates` maps names to prompts in any
    form (see `as_candidates`), of which `reference`, or the first, is what the others are tested against. `pooling` is
    one rule for all (None: each candidate's own, else "mean"), `store` a folder that keeps the prompts' embeddings.
    """
    judged = evaluations(embeddings, candidates, model, pooling, store)
    table = compare_right({name: e.right for name, e in judged.items()}, reference=reference)
    table.insert(5, "macro_recall", [e.macro_recall for e in judged.values()])
    table.insert(6, "baseline", [e.majority_baseline for e in judged.values()])
    table["verdict"] += [f"; {e.verdict} ({e.majority_baseline:.3f})" if e.verdict else "" for e in judged.values()]
    for name in ("model", "fingerprint", "dataset", "left_out", "matched_by", "pooling", "prompts"):
        table[name] = [getattr(e.made_by, name) for e in judged.values()]
    return table


def compare_models(
    dataset: ImageDataset, prompts: Any, models: Sequence[Encoder | str], *,
    store: str | Path | None = None, pooling: str | None = None, on_error: str = "raise", progress: Progress = False,
) -> pd.DataFrame:  # fmt: skip
    """Judge models on the same labelled pictures and prompts: a leaderboard that admits ties.

    `models` are two or more encoders, or names for `load_model`; one after the other is in memory. `store`, `on_error`
    and `progress` are as in `zsc.embed_images`, `prompts` and `pooling` as in `ZeroShotClassifier`.

    One row per model, the highest accuracy first, with the columns of `compare_right` against that one; but p_adjusted
    is Holm's over all pairs of models, so that the best may be chosen on these pictures. `is_tied` marks those that
    cannot be told from the best. Then images_per_s, of opening, preparing and encoding up to 32 of the pictures on this
    machine, and baseline, dataset, left_out and prompts as in `compare_prompts`.
    """
    given = as_list(models, "models", "models")
    if len(given) < 2:
        raise ValueError(f"{len(given)} model given; name two or more that are to be compared.")
    names = [model if isinstance(model, str) else as_encoder(model).name for model in given]
    check_unique(names, "models")
    for model in given:
        if isinstance(model, str):
            find_route(model)  # an unknown name is told before any work
    judged, rates, failed = {}, {}, {}
    for name, model in zip(names, given, strict=True):
        encoder = as_encoder(model)
        embeddings = embed_images(encoder, dataset, store, on_error=on_error, progress=progress)
        failed[name] = list(embeddings.failures["index"])
        if failed[name] != failed[names[0]]:
            raise ValueError(f"{name} cannot embed the same pictures as {names[0]}; see zsc embed with each of them.")
        judged[name] = ZeroShotClassifier(prompts, encoder, pooling=pooling).evaluate(embeddings)
        for sample in (dataset.head(4), dataset.head(32)):  # the first calls set things up
            start = time.perf_counter()
            embed_images(encoder, sample, on_error="record", progress=False)
            rates[name] = len(sample) / (time.perf_counter() - start)
        record_speed(name, rates[name])
    order = sorted(names, key=lambda name: -judged[name].accuracy)
    right = {name: judged[name].right for name in order}
    table = compare_right(right).drop(columns="reference")
    pairs = list(combinations(order, 2))  # those with the best come first
    adjusted = holm([mcnemar(right[one], right[other]) for one, other in pairs])[: len(order) - 1]
    table["p_adjusted"] = [np.nan, *adjusted]
    table["verdict"] = ["best", *(_verdict(row, order[0], len(pairs)) for _, row in table.iloc[1:].iterrows())]
    table["is_tied"] = [True, *(adjusted >= ALPHA)]
    table["images_per_s"] = pd.Series(rates)
    table["baseline"] = [judged[name].majority_baseline for name in order]
    for column in ("dataset", "left_out", "prompts"):
        table[column] = [getattr(judged[name].made_by, column) for name in order]
    return table.rename_axis("model")


def compare_right(right: Mapping[str, np.ndarray], *, reference: str | None = None) -> pd.DataFrame:
    """Compare classifiers of any kind by which of the same N pictures they get right.

    `right` holds N bools under each name, for the same pictures in the same order. The table is that of
    `compare_prompts` up to the column reference, without macro_recall and baseline.
    """
    if not isinstance(right, Mapping) or not right:
        raise ValueError(f"right is {short(right)}; pass a mapping of name to which predictions are right.")
    check_unique([str(name) for name in right], "right")
    arrays = {str(name): as_right(values, f"right[{name!r}]") for name, values in right.items()}
    check_same_length(**{f"right[{name!r}]": array for name, array in arrays.items()})
    base = next(iter(arrays)) if reference is None else check_choice(reference, list(arrays), "reference")
    table = pd.DataFrame([_row(name, array, arrays[base], name == base) for name, array in arrays.items()])
    table = table.set_index("candidate")
    table["p_adjusted"] = holm(table["p_value"].to_numpy())
    table["verdict"] = [_verdict(row, base, len(arrays) - 1) for _, row in table.iterrows()]
    return table.assign(reference=base)


def _row(name: str, right: np.ndarray, base: np.ndarray, is_reference: bool) -> dict[str, Any]:
    n, correct = len(right), int(right.sum())
    low, high = wilson_interval(correct, n)
    row = {"candidate": name, "n": n, "correct": correct, "accuracy": correct / n, "low": low, "high": high}
    if is_reference:
        return row | dict.fromkeys(_AGAINST, np.nan)
    won, lost = int((right & ~base).sum()), int((~right & base).sum())
    against = (float(right.mean() - base.mean()), *paired_interval(right, base), won, lost, mcnemar(right, base))
    return row | dict(zip(_AGAINST, against, strict=True))


def _verdict(row: pd.Series, base: str, tests: int) -> str:
    if np.isnan(row["p_value"]):
        return "reference"
    if row["p_adjusted"] < ALPHA:
        return f"{'better' if row['difference'] > 0 else 'worse'} than {base!r}"
    counted = f" after {tests} comparisons" if row["p_value"] < ALPHA else ""  # it could if it were the only one
    return f"{int(row['n'])} images cannot tell it from {base!r}{counted}"


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and how good it is on pictures that had no say.

    `splits` has one row per split and choosing part: repeat, part (which half chose), chosen, chosen_accuracy (there),
    held_out_accuracy (on the other part), optimism (their difference), n_chosen, n_held_out.
    """

    name: str  # the best of the choosing part; of several splits, the one chosen most often
    prompts: ClassPrompts
    evaluation: Evaluation | None  # on the part that had no say; None with several splits, where every picture had one
    splits: pd.DataFrame

    @property
    def chosen_accuracy(self) -> float:
        """The mean accuracy of the choice on the part that chose: too high to quote."""
        return float(self.splits["chosen_accuracy"].mean())

    @property
    def held_out_accuracy(self) -> float:
        """The mean held-out accuracy over splits; if they choose different candidates, it rates the way of choosing."""
        return float(self.splits["held_out_accuracy"].mean())

    @property
    def optimism(self) -> float:
        """What choosing adds to the accuracy on the part that chose: chosen less held-out."""
        return self.chosen_accuracy - self.held_out_accuracy

    def summary(self) -> str:
        """Describe the choice, its held-out accuracy and the optimism, and say where no evaluation is held out."""
        n, how, interval, end = len(self.splits), "on one part", "", ""
        if self.evaluation is None:
            how = f"in {(self.splits['chosen'] == self.name).sum()} of {n} splits"
            end = f" Over {n} splits every picture had a say in the name, so no evaluation is held out."
        else:
            interval = " (95 % interval {:.3f} to {:.3f})".format(*self.evaluation.interval)
        told = f"chosen {how}: {self.name}; accuracy where it was chosen {self.chosen_accuracy:.3f}, on pictures"
        return f"{told} that had no say {self.held_out_accuracy:.3f}{interval}; optimism {self.optimism:+.3f}.{end}"

    def __repr__(self) -> str:
        return f"Choice({self.summary()})"


def choose_prompts(
    embeddings: ImageEmbeddings, candidates: Mapping[str, Candidate], *,
    model: Encoder | str, share: float = 0.5, repeats: int = 1, cross_fit: bool = False, pooling: str | None = None,
    seed: int = 0, store: str | Path | None = None,
) -> Choice:  # fmt: skip
    """Choose prompts on one part of the pictures and report them on the other.

    `share` of the pictures choose; the classes keep their shares in both parts. Several splits, `repeats`, tell how
    much the choice depends on the split. `cross_fit` lets each part choose for the other; with `share` 0.5 every
    picture is held out once per split. The other arguments are those of `compare_prompts`.
    """
    judged = evaluations(embeddings, candidates, model, pooling, store)
    right, y_true = {name: e.right for name, e in judged.items()}, next(iter(judged.values())).y_true
    splits = splits_of(right, y_true, share=share, repeats=repeats, cross_fit=cross_fit, seed=seed)
    name = max(right, key=list(splits["chosen"]).count)  # of equal ones the first
    evaluation = None
    if len(splits) == 1:
        held_out = judged[name].select(_stratified(y_true, share, seed)[1])
        part = f"held out: {held_out.n} of {len(y_true)} pictures"
        evaluation = replace(held_out, made_by=replace(held_out.made_by, part=part))
    prompts = as_candidates(candidates, embeddings.class_names)[name]
    return Choice(name, replace(prompts, name=name), evaluation, splits)


def splits_of(
    right: Mapping[str, np.ndarray], y_true: np.ndarray, *, share: float, repeats: int, cross_fit: bool, seed: int
) -> pd.DataFrame:
    """Choose by which of N pictures candidates get right, of equal ones the first: the table `splits` of `Choice`."""
    check_fraction(share, "share")
    check_count(repeats, "repeats")
    check_count(seed, "seed", low=0, high=2**32 - 1 - repeats)  # scikit-learn's splits take no larger one
    names, table = list(right), np.stack(list(right.values()))  # (C, N)
    rows = []
    for repeat in range(repeats):
        parts = _stratified(y_true, share, seed + repeat)
        for part, (choosing, held_out) in enumerate([parts, parts[::-1]] if cross_fit else [parts]):
            best = int(table[:, choosing].mean(axis=1).argmax())
            first, second = float(table[best, choosing].mean()), float(table[best, held_out].mean())
            rows.append((repeat, part, names[best], first, second, first - second, len(choosing), len(held_out)))
    columns = ("repeat", "part", "chosen", "chosen_accuracy", "held_out_accuracy", "optimism", "n_chosen", "n_held_out")
    return pd.DataFrame(rows, columns=list(columns))


def _stratified(y_true: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers in two, each class by the share; a class of one picture goes to either side."""
    rare = np.bincount(y_true)[y_true] < 2
    strata = np.where(rare, -1 if rare.sum() > 1 else y_true[~rare].max(initial=-1), y_true)
    try:
        parts = train_test_split(np.arange(len(y_true)), train_size=share, stratify=strata, random_state=seed)
    except ValueError as error:
        told = f"{len(y_true)} pictures cannot be split so that both parts hold every class"
        raise ValueError(f"share={share}: {told}; take more pictures, or another share.") from error
    return np.sort(parts[0]), np.sort(parts[1])


def evaluations(
    embeddings: ImageEmbeddings, candidates: Mapping[str, Candidate], model: Encoder | str,
    pooling: str | None = None, store: str | Path | None = None,
) -> dict[str, Evaluation]:  # fmt: skip
    """Judge every candidate on the same pictures, as `compare_prompts` does; no picture is embedded again."""
    asked, encoder = as_candidates(candidates, class_names_of(embeddings)), as_encoder(model)
    embed_texts(encoder, [text for prompts in asked.values() for text in prompts], store)  # all at once; it remembers
    clfs = {name: ZeroShotClassifier(replace(p, name=name), encoder, pooling=pooling) for name, p in asked.items()}
    return {name: clf.evaluate(embeddings) for name, clf in clfs.items()}


def descriptions_control(
    embeddings: ImageEmbeddings, prompts: ClassPrompts, *, model: Encoder | str, pooling: str | None = None,
    draws: int = 99, seed: int = 0, progress: Progress = False,
) -> list[float]:  # fmt: skip
    """Judge descriptions beside random words of equal number and length: what the words themselves add.

    In each draw every word but class names, and words that all prompts share, is replaced by one of as many letters,
    drawn from all the words of these prompts. Returned are the accuracies, the descriptions' own first.
    """
    encoder, rng = as_encoder(model), np.random.default_rng(check_count(seed, "seed", low=0))
    draws, names = check_count(draws, "draws"), [f"({re.escape(prompts.class_names[k])})" for k in prompts.owners]
    parts = [re.split(name, text, flags=re.IGNORECASE) for name, text in zip(names, prompts.prompts, strict=True)]
    words = [_WORD.findall(" ".join(one[::2])) for one in parts]  # class names stand at odd places
    shared = set.intersection(*map(set, words))
    pool = pd.Series([*chain(*words)], dtype=object)
    same = {length: list(group) for length, group in pool.groupby(pool.str.len())}

    def other(word: re.Match[str]) -> str:
        return word[0] if word[0] in shared else str(rng.choice(same[len(word[0])]))

    found = []
    for draw in each(range(draws + 1), progress, "draws", desc="random words", leave=False):
        texts = ["".join(_WORD.sub(other, x) if i % 2 == 0 and draw else x for i, x in enumerate(p)) for p in parts]
        clf = ZeroShotClassifier(replace(prompts, prompts=tuple(texts)), encoder, pooling=pooling, truncate=draw > 0)
        found.append(clf.evaluate(embeddings).accuracy)
    return found


def random_words_verdict(accuracy: Sequence[float]) -> tuple[float, str]:
    """Return p = (1 + b) / (1 + B), b of B draws no worse than the descriptions, the first, and the verdict."""
    own, drawn, p = accuracy[0], accuracy[1:], float(np.mean(np.array(accuracy) >= accuracy[0]))  # itself is the 1 +
    ends = f"p = {p:.2g} ({own:.3f}; {len(drawn)} draws: mean {np.mean(drawn):.3f}, best {max(drawn):.3f})"
    return p, f"{'beats' if p < ALPHA else 'does not beat'} random words of equal number and length, {ends}"


def as_candidates(candidates: Mapping[str, Candidate], class_names: Sequence[str]) -> dict[str, ClassPrompts]:
    """Read candidates: name -> prompts in any form.

    A form is a `ClassPrompts`, a mapping of class to prompts, a template or a template set's name, a list of templates,
    or a list with one text for each of the K classes in order.
    """
    if not isinstance(candidates, Mapping) or not candidates:
        raise ValueError("candidates is empty or no mapping; pass {name: prompts, ...}, such as {'bare': '{}'}.")
    check_unique([str(name) for name in candidates], "candidates")
    return {str(name): _as_candidate(str(name), given, class_names) for name, given in candidates.items()}


def _as_candidate(name: str, given: Any, class_names: Sequence[str]) -> ClassPrompts:
    try:
        if not isinstance(given, Sequence):
            return as_prompts(given)
        if isinstance(given, str) or (given and all("{}" in str(text) for text in given)):
            return ClassPrompts.from_names(class_names, given, name=name)
        if len(given) != len(class_names):
            raise ValueError(f"{len(given)} texts for {len(class_names)} classes")
        return ClassPrompts.from_texts(dict(zip(class_names, given, strict=True)), name=name)
    except (TypeError, ValueError) as error:
        forms = "ClassPrompts, a mapping of class to prompts, templates with {}, a template set's name, or K texts"
        raise ValueError(f"candidate {name!r}: {str(error).removesuffix('.')}; a candidate must be {forms}.") from error
