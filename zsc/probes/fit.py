"""Heads that learn from labelled embeddings: the linear probe, the yardstick for zero-shot results, and Tip-Adapter.

And few-shot curves: how many labelled pictures per class it takes to beat the classifier that saw none.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from zsc.checks import as_list, check_choice, check_count, frozen
from zsc.evaluation import Evaluation
from zsc.probes.heads import SHARES, Head, LinearHead, check_dim, check_head, mix_weights
from zsc.probes.labelled import LabelledRows, Part, check_numbers, draw_shots, judging_part, training_parts

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001, 1e-5, 1e-6)
STRENGTH = 0.01  # weak: on unit rows 16 pictures per class already determine the weights
TOLERANCE = 1e-12  # of the gradient, which on unit rows is 0.003 at the start: scikit-learn's 1e-4 ends far too early
NEAR_ENOUGH = 1e-8  # of the gradient: a line search that ends here has met the limits of float64
MAX_ITER = 300  # Newton's steps; 10 to 20 are usual
ALPHA, BETA = 1.0, 5.5  # the paper's settings for ImageNet
ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)  # 0 is zero-shot: the search may find that the shots do not help
BETAS = (1.0, 3.0, 5.5, 10.0, 30.0)
CHUNK_CELLS = 2**24  # affinities in memory at once: 64 MB
AnyHead = TypeVar("AnyHead", bound=Head)


@dataclass(frozen=True, eq=False)
class LinearProbe(LinearHead):
    """A linear head learned from labelled embeddings. Made by `linear_probe`."""

    strength: float = STRENGTH  # the penalty that was chosen, or passed
    validation: pd.DataFrame | None = None  # what the choice rests on: strength, accuracy, log_loss
    evaluation: Evaluation | None = None  # the judgement on the test part
    note: str = ""  # what to know of the choice, such as that the strength is the end of what was offered


def linear_probe(
    train: Part, test: Part | None = None, *,
    validation: Part | float | None = 0.2, strengths: Sequence[float] = STRENGTHS, seed: int = 0,
) -> LinearProbe:  # fmt: skip
    """Learn a linear classifier on `train`, in which every class must occur, and judge it on `test`.

    `strengths` are candidates for the penalty on the squared weights; scikit-learn's C is 1 / strength. On `validation`
    the one with the lowest log loss is chosen: a fraction of `train`, held out of each class as `seed` decides (the
    probe is then fitted again on all of `train`), or a part of its own; None with a single strength. Where the heaviest
    or the lightest is chosen, `note` says so.
    """
    candidates = grid(validation, strength=check_numbers(strengths, "strengths", above=True))
    parts = training_parts(train, validation, seed=seed)
    judged, shared = (None, "") if test is None else judging_part(test, parts[0], parts[2])
    head, best, table, end = fit_best(fit_head, candidates, parts)
    note = " ".join(filter(None, (shared, end)))
    about = {"method": "linear probe"} | best | ({"note": note} if note else {})
    evaluation = None if judged is None else head.judge(judged, **about)
    own = head.weights, head.intercepts, head.class_names, head.logit_scale, head.fingerprint
    return LinearProbe(*own, best["strength"], table, evaluation, note)


def fit_head(rows: LabelledRows, strength: float) -> LinearHead:
    """Fit a logistic regression to checked rows, to its optimum; a warning says where that was not reached.

    The rows are centred for the fit, which changes nothing but the intercept, and that is not penalised: embeddings lie
    in a narrow cone, and what they have in common makes the problem badly conditioned.
    """
    values = rows.values.astype(np.float64)
    centre = values.mean(axis=0)
    values -= centre
    model = LogisticRegression(C=1 / strength, solver="newton-cg", tol=TOLERANCE, max_iter=MAX_ITER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of steps and line searches; the gradient tells more
        model.fit(values, rows.labels)
    slope = _gradient(model, values, rows.labels)
    if slope > NEAR_ENOUGH:
        told = f"the probe of strength {strength:g} is not at its optimum after {MAX_ITER} steps (gradient {slope:.1g})"
        warnings.warn(f"{told}, so its probabilities may be off; take a larger strength.", stacklevel=2)
    weights, intercepts = model.coef_, model.intercept_ - model.coef_ @ centre
    if len(rows.class_names) == 2:  # scikit-learn gives one row; half of it each way has the same probabilities
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return LinearHead(weights, intercepts, rows.class_names, 1.0, rows.made_by.fingerprint)


def _gradient(model: LogisticRegression, values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Compute the largest slope of the mean loss that scikit-learn minimises; 0 at its optimum."""
    errors = model.predict_proba(values)
    errors[np.arange(len(labels)), labels] -= 1
    errors = errors[:, -len(model.coef_) :]  # two classes: scikit-learn's one row is that of the second
    slopes = errors.T @ values + model.coef_ / model.C
    return float(max(np.abs(slopes).max(), np.abs(errors.sum(axis=0)).max()) / len(values))


def grid(validation: object, **settings: Sequence[float]) -> list[dict[str, float]]:
    """List all combinations of settings; several candidates need something to choose on."""
    for name, values in settings.items():
        if len(values) > 1 and validation is None:
            told = f"{name}s holds {len(values)} candidates and validation is None"
            raise ValueError(f"{told}; pass a fraction or a part to choose on, or one candidate.")
    return [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]


def fit_best(
    build: Callable[..., AnyHead], candidates: Sequence[dict[str, float]],
    parts: tuple[LabelledRows, LabelledRows, LabelledRows | None], *, by_accuracy: bool = False,
) -> tuple[AnyHead, dict[str, float], pd.DataFrame | None, str]:  # fmt: skip
    """Choose settings by the lowest log loss on the validation part, and build a head with them from all rows.

    Returned are the head, its settings, the table of all candidates, and a note on settings at the end of their grid.
    Without a validation part the first candidate is taken. `by_accuracy` goes by accuracy, then by log loss.
    """
    rows, fitting, choosing = parts
    best, table = candidates[0], None
    if choosing is not None:
        table = pd.DataFrame([settings | build(fitting, **settings).grade(choosing) for settings in candidates])
        ranks = list(zip(-table["accuracy"] * by_accuracy, table["log_loss"], strict=True))
        best = candidates[ranks.index(min(ranks))]
    return build(rows, **best), best, table, _at_the_end(best, candidates)


def _at_the_end(best: dict[str, float], candidates: Sequence[dict[str, float]]) -> str:
    """Say which of the chosen settings is the end of its grid, so that one beyond might do better (none is below 0)."""
    notes = []
    for name, value in best.items():
        offered = sorted({candidate[name] for candidate in candidates})
        if len(offered) > 1 and value in (offered[0], offered[-1]) and value != 0:
            end = "smallest" if value == offered[0] else "largest"
            notes.append(f"{name} {value:g} is the {end} of those offered; one beyond it might do better.")
    return " ".join(notes)


@dataclass(frozen=True, eq=False)
class TipAdapter(Head):
    """Zero-shot logits plus the votes of kept shots. Made by `tip_adapter`."""

    zero_shot: LinearHead
    keys: NDArray[np.float32]  # the shots' embeddings, (M, D)
    labels: NDArray[np.int64]  # their classes, (M,)
    alpha: float = ALPHA  # the weight of the votes
    beta: float = BETA  # how sharply they fall with the distance
    validation: pd.DataFrame | None = None  # what the choice rests on: alpha, beta, accuracy, log_loss
    note: str = ""  # which of the chosen settings is the end of what was offered

    def __post_init__(self) -> None:
        head = check_head(self.zero_shot, "zero_shot")
        vars(self).update(class_names=head.class_names, dim=head.dim, fingerprint=head.fingerprint)
        vars(self).update(keys=frozen(self.keys), labels=frozen(self.labels))

    def logits(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the logits, shape (N, K), of checked embeddings (N, D)."""
        return self.zero_shot.logits(values) + self.alpha * self.votes(values)

    def votes(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add up the affinities of checked embeddings (N, D) to the shots of each class: (N, K)."""
        n, k = len(self.labels), len(self.class_names)
        shot_classes = csr_array((np.ones(n, np.float32), (self.labels, np.arange(n))), shape=(k, n))  # (K, M)
        votes = np.zeros((len(values), k), np.float32)
        step = max(1, CHUNK_CELLS // max(1, n))
        for start in range(0, len(values), step):
            block = slice(start, start + step)
            affinities = np.exp(-self.beta * (1 - values[block] @ self.keys.T))  # (n, M)
            votes[block] = (shot_classes @ affinities.T).T
        return votes


def tip_adapter(
    train: Part, zero_shot: LinearHead, *,
    validation: Part | float | None = None, alphas: Sequence[float] | None = None, betas: Sequence[float] | None = None,
    seed: int = 0,
) -> TipAdapter:  # fmt: skip
    """Make a Tip-Adapter (Zhang et al., ECCV 2022): a head with all of `train` as its shots, at least one per class.

    `zero_shot` is the head from `zero_shot_head`, of the same model. On `validation`, as in `linear_probe`, alpha and
    beta are chosen, by accuracy, then by log loss; None takes one of each. Without candidates (`alphas`, `betas`) they
    are the paper's 1 and 5.5, or with a validation part a grid around them; alpha 0 is zero-shot.
    """
    offered = ((ALPHA,), (BETA,)) if validation is None else (ALPHAS, BETAS)
    alphas, betas = (new if given is None else given for given, new in zip((alphas, betas), offered, strict=True))
    candidates = grid(validation, alpha=check_numbers(alphas, "alphas"), beta=check_numbers(betas, "betas"))
    fingerprint = check_head(zero_shot, "zero_shot").fingerprint
    parts = training_parts(train, validation, seed=seed, fingerprint=fingerprint)
    start = zero_shot.reorder(parts[0].class_names)
    head, _, table, note = fit_best(partial(with_shots, start), candidates, parts, by_accuracy=True)
    return replace(head, validation=table, note=note)


def with_shots(zero_shot: LinearHead, rows: LabelledRows, alpha: float, beta: float) -> TipAdapter:
    """Put checked rows beside a zero-shot head."""
    check_dim(zero_shot, rows.values.shape[1], "train")
    head = replace(zero_shot, fingerprint=zero_shot.fingerprint or rows.made_by.fingerprint)
    return TipAdapter(head, rows.values, rows.labels, alpha, beta)


def few_shot_curve(
    train: Part, test: Part, zero_shot: LinearHead, *,
    shots: Sequence[int] = (1, 2, 4, 8, 16), seeds: int | Sequence[int] = 5, method: str = "probe",
    validation: Part | float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Judge a method ("probe", "tip-adapter", "mix": the probe with the zero-shot weights) with more and more shots.

    The table has one row per number of shots and seed: method, shots, seed, accuracy, macro_recall, the settings, and a
    note on their choice (may be empty). The same in all rows: zero_shot (the accuracy without any picture), n, baseline
    (the accuracy of always naming the most frequent class), model, fingerprint, dataset and left_out of `test`.

    `zero_shot` is the head from `zero_shot_head`, of the same model as `train`. `shots` are pictures per class, drawn
    from `train`, which must have as many; 0 is zero-shot. `seeds` are those of the draws, or how many (0, 1, ...). On
    `validation` settings are chosen anew for each row: a part of its own, or a fraction of `train` that no shot is
    drawn from. None takes fixed settings (strength 0.01; alpha 1, beta 5.5; share 0.5).
    """
    check_choice(method, ("probe", "tip-adapter", "mix"), "method")
    if isinstance(seeds, (int, float, np.number, np.bool_)):
        seeds = range(check_count(seeds, "seeds"))
    seeds = [check_count(seed, "seeds", low=0) for seed in as_list(seeds, "seeds", "numbers")]
    shots = [check_count(n, "shots", low=0) for n in as_list(shots, "shots", "numbers")]
    if not seeds or not shots:
        raise ValueError(f"{'shots' if seeds else 'seeds'} is empty; pass one or more whole numbers of 0 or more.")
    fingerprint = check_head(zero_shot, "zero_shot").fingerprint
    everything, pool, choosing = training_parts(train, validation, seed=0, fingerprint=fingerprint)
    judged, shared = judging_part(test, everything, choosing)
    start = zero_shot.reorder(pool.class_names)
    line = start.judge(judged)
    same = {"n": line.n, "baseline": line.majority_baseline}
    same |= {name: getattr(judged.made_by, name) for name in ("model", "fingerprint", "dataset", "left_out")}
    rows = []
    for n, seed in product(shots, seeds):
        head, settings, end = _fit(method, start, draw_shots(pool, n, seed=seed), choosing)
        found, note = head.judge(judged), " ".join(filter(None, (shared, end)))
        row = {"method": method, "shots": n, "seed": seed, "accuracy": found.accuracy}
        row |= {"macro_recall": found.macro_recall, "zero_shot": line.accuracy}
        rows.append(row | settings | same | {"note": note})
    return pd.DataFrame(rows)


def _fit(
    method: str, zero_shot: LinearHead, rows: LabelledRows, choosing: LabelledRows | None
) -> tuple[Head, dict[str, float], str]:
    """Fit a method to shots; return its settings (fixed without a part), and which are the end of their grid."""
    if not len(rows):
        return zero_shot, {}, ""
    parts = (rows, rows, choosing)
    if method == "tip-adapter":
        grids = {"alpha": ALPHAS, "beta": BETAS} if choosing else {"alpha": (ALPHA,), "beta": (BETA,)}
        build = partial(with_shots, zero_shot)
        adapter, best, _, end = fit_best(build, grid(choosing, **grids), parts, by_accuracy=True)
        return adapter, best, end
    strengths = grid(choosing, strength=STRENGTHS if choosing else (STRENGTH,))
    probe, best, _, end = fit_best(fit_head, strengths, parts)
    if method == "probe":
        return probe, best, end
    shares = grid(choosing, share=SHARES if choosing else (0.5,))
    mixed, share, _, _ = fit_best(lambda _, share: mix_weights(zero_shot, probe, share), shares, parts)
    return mixed, best | share, end
