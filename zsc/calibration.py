"""Calibration: do probabilities mean what they say? A temperature, a reliability table, sets and thresholds that hold.

Also scores that tell strangers, pictures that show none of the classes, from known ones (`tell_strangers`).
Everything here is fitted on one part of the pictures and holds for pictures drawn in the same way; on other pictures,
or after prompts were chosen on the same part, nothing is promised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax
from scipy.stats import binom, norm, rankdata

from zsc import checks
from zsc.checks import Floats
from zsc.statistics import CONFIDENCE, shares

Labels = Sequence[int] | NDArray[np.int64]
FAMILIARITY = ("msp", "mcm", "cosine")


def fit_temperature(scores: Any, y_true: Labels) -> float:
    """Fit the temperature T with which softmax(scores / T) has the lowest log loss.

    `zsc.scoring.to_proba(scores, 1 / T)` applies it; the predicted classes stay the same (Guo et al., ICML 2017).
    `scores`, shape (N, K), are cosines (`predict_scores`), where 1 / T takes the place of the logit scale, or logits
    (`predict_logits`), where T is 1 if they are calibrated; their N pictures should be used for nothing else. Raises
    ValueError if no T is best: every label has the highest score, or scores say no more of them than chance.
    """
    values = checks.check_scores(scores)
    labels = checks.check_labels(y_true, values.shape[1])
    rows = np.arange(checks.check_same_length(scores=values, y_true=labels))
    given = values[rows, labels]
    if (given - values.mean(axis=1)).mean() <= 0:
        accuracy = (values.argmax(axis=1) == labels).mean()
        told = f"the scores know nothing of these labels (accuracy {accuracy:.3f} with {values.shape[1]} classes)"
        ways = "use another model, other prompts, or conformal_sets; or put the classes of both in the same order"
        raise ValueError(f"{told}, so no temperature beats chance; {ways}.")
    if (given >= values.max(axis=1)).all():
        told = "scores put the label of every picture first, so the log loss falls for ever with the temperature"
        raise ValueError(f"{told}; pass more pictures, some of them misclassified.")
    centre = -np.log(values.std(axis=1).mean())

    def loss(log_inverse: float) -> float:  # falls, then rises: the log loss is convex in 1 / T
        return float(-log_softmax(values * np.exp(log_inverse), axis=1)[rows, labels].mean())

    bounds = (centre - 20.0, centre + 20.0)  # T within e^-20 to e^20 of the scores' own spread
    return float(np.exp(-minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x))


def reliability_table(y_true: Labels, proba: Any, *, bins: int = 10) -> pd.DataFrame:
    """Compare confidence, the highest probability of each row of `proba` (N, K), with accuracy, in bins of equal width.

    The table has one row per bin: low, high, n (the confidences above low, up to and including high), confidence
    (mean), accuracy, gap (accuracy - confidence: below 0 is overconfident); NaN in the last three where n is 0.
    """
    values = checks.check_proba(proba)
    labels = checks.check_labels(y_true, values.shape[1])
    checks.check_same_length(y_true=labels, proba=values)
    edges = np.linspace(0, 1, checks.check_count(bins, "bins") + 1)
    confidence = values.max(axis=1)
    position = np.digitize(confidence, edges[1:-1], right=True)  # (N,), 0 to bins - 1
    n = np.bincount(position, minlength=bins)
    sums = np.stack([np.bincount(position, w, bins) for w in (confidence, values.argmax(axis=1) == labels)])
    means = np.divide(sums, n, out=np.full(sums.shape, np.nan), where=n > 0)
    columns = {"low": edges[:-1], "high": edges[1:], "n": n, "confidence": means[0], "accuracy": means[1]}
    return pd.DataFrame(columns | {"gap": means[1] - means[0]})


def expected_calibration_error(y_true: Labels, proba: Any, *, bins: int = 10) -> float:
    """Average the gap of `reliability_table` over its pictures, in [0, 1]; chance alone keeps it above 0."""
    table = reliability_table(y_true, proba, bins=bins)
    return float((table["n"] * table["gap"].abs()).sum() / table["n"].sum())


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """A set of classes for each of N pictures. Made by `conformal_sets`."""

    sets: NDArray[np.bool_]  # which classes are in the picture's set, shape (N, K)
    threshold: float  # the highest nonconformity of a class; infinite (all classes) if too few pictures calibrate
    coverage: float  # as stated
    method: str  # "lac" or "aps"
    n_calibration: int  # how many pictures the threshold rests on

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many classes each set holds, shape (N,)."""
        return self.sets.sum(axis=1).astype(np.int64)

    @property
    def mean_size(self) -> float:
        """The mean of `sizes`: the smaller, the more the sets say."""
        return float(self.sizes.mean())

    def empirical_coverage(self, y_true: Labels) -> float:
        """Count how often the sets hold the label, in [0, 1]."""
        labels = checks.check_labels(y_true, self.sets.shape[1])
        return float(self.sets[np.arange(checks.check_same_length(sets=self.sets, y_true=labels)), labels].mean())


def conformal_sets(
    calibration_proba: Any, y_cal: Labels, proba: Any, *,
    coverage: float = 0.9, method: str = "lac", seed: int | None = None,
) -> ConformalSets:  # fmt: skip
    """Find for each picture a set of classes that holds its label as often as stated (split-conformal prediction).

    That holds on average over pictures and over draws of the calibration part, for whatever probabilities: wrong ones
    make large sets, not wrong sets. It does not hold class by class, nor for pictures from elsewhere. See Sadinle et
    al., JASA 2019 (LAC), and Romano et al., NeurIPS 2020 (APS).

    `calibration_proba`, (n, K), and `y_cal` are of pictures that chose and fitted nothing; `proba`, (N, K), of those to
    find sets for. `method` "lac": classes whose probability is high enough; the smallest sets on average, some empty.
    "aps": the most probable classes until enough probability has gone before; larger sets for harder pictures; there
    `seed` draws how much of a class's own probability counts, so that the coverage is just as stated; with None every
    set holds the most probable class, and may cover more.
    """
    checks.check_choice(method, ("lac", "aps"), "method")
    checks.check_fraction(coverage, "coverage")
    known = checks.check_proba(calibration_proba, name="calibration_proba")
    labels = checks.check_labels(y_cal, known.shape[1], "y_cal")
    n = checks.check_same_length(calibration_proba=known, y_cal=labels)
    new = checks.check_proba(proba, known.shape[1])
    rng = None if seed is None else np.random.default_rng(checks.check_count(seed, "seed", low=0))
    nonconformity = _nonconformity(known, method, rng)[np.arange(n), labels]
    rank = max(1, int(np.ceil((n + 1) * coverage - 1e-9)))  # 1-based; 1e-9 keeps rounding from adding one
    threshold = float(np.sort(nonconformity)[rank - 1]) if rank <= n else np.inf
    return ConformalSets(_nonconformity(new, method, rng) <= threshold, threshold, float(coverage), method, n)


def _nonconformity(proba: Floats, method: str, rng: np.random.Generator | None) -> Floats:
    """Compute how little each class fits each picture: (N, K)."""
    if method == "lac":
        return 1 - proba
    order = np.argsort(-proba, axis=1, kind="stable")
    before = np.cumsum(np.take_along_axis(proba, order, axis=1), axis=1)
    np.put_along_axis(before, order, before.copy(), axis=1)  # of each class, with those that come first
    return before - proba * (1 if rng is None else 1 - rng.random((len(proba), 1)))


def choose_threshold(y_true: Labels, scores: Any, precision: float = 0.9, *, confidence: float = 0.95) -> float:
    """Choose the lowest threshold at which a yes is right as often as wished, on new pictures drawn in the same way.

    That fails with a probability of at most 1 - `confidence`. Exact binomial tests go down from the highest threshold
    to the first that fails, from the fewest yeses that could pass, twice as many and so on, which share the risk
    (multi-start fixed-sequence testing: Angelopoulos et al., Learn then test, 2021). Infinite where none passes: too
    few pictures (for .9 at least 29 yeses, all right), or a model that does not tell the class. `y_true` holds N labels
    (1 or True where the class applies), `scores` N scores, on which nothing else was chosen.
    """
    labels = checks.check_labels(np.asarray(y_true) + 0 if np.asarray(y_true).dtype == bool else y_true, 2)
    values = checks.check_scores(np.reshape(scores, (-1, 1)), 1)[:, 0]
    n = checks.check_same_length(y_true=labels, scores=values)
    risk, precision = 1 - checks.check_fraction(confidence, "confidence"), checks.check_fraction(precision, "precision")
    begins = int(max(1, 1 + np.log2(n * np.log(precision) / np.log(risk))))  # each doubles the yeses, up to all
    fewest = int(np.ceil(np.log(risk / begins) / np.log(precision)))  # yeses, all of them right, that pass
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(fewest, n)
    below = values[order][ranks]  # the next score: given it, how many of those above it are right is binomial
    above = np.searchsorted(-values[order], -below)  # fewer than the rank where scores are equal
    right = np.r_[0, np.cumsum(labels[order])][above]
    fails = np.flatnonzero(binom.sf(right - 1, above, precision) > risk / begins)
    starts = fewest * 2 ** np.arange(begins) - fewest
    starts = starts[starts < len(ranks)]
    ends = np.append(fails, len(ranks))[np.searchsorted(fails, starts)]  # the first failure from each start on
    lowest = ends[ends > starts].max(initial=0) - 1
    return float(np.nextafter(below[lowest], np.inf)) if lowest >= 0 else np.inf


def familiarity(scores: Any, logit_scale: float) -> pd.DataFrame:
    """Score how near each of N pictures is to any of the classes: low for strangers, which show none of them.

    From pooled cosines (N, K), as `predict_scores` returns them: "msp", the maximum of softmax(logit_scale x cosines)
    with the model's own scale (Hendrycks and Gimpel, ICLR 2017); "mcm", maximum concept matching, that of
    softmax(cosines), so at temperature 1 (Ming et al., NeurIPS 2022); "cosine", the largest. One column each.
    """
    cosines = checks.check_scores(scores, partial=True)
    columns = (softmax(logit_scale * cosines, axis=1), softmax(cosines, axis=1), cosines)
    return pd.DataFrame({name: values.max(axis=1) for name, values in zip(FAMILIARITY, columns, strict=True)})


def threshold_keeping(known: Any, keep: float = 0.95) -> float:
    """Return the highest threshold that at least the share `keep` of N known pictures reach with their scores."""
    values = np.sort(checks.check_scores(np.reshape(known, (-1, 1)), 1, "known")[:, 0])
    return float(values[int((1 - checks.check_fraction(keep, "keep")) * len(values) + 1e-9)])


def tell_strangers(
    known: Any, strangers: Any, logit_scale: float, *, keep: float = 0.95, share: float = 0.5, seed: int = 0
) -> pd.DataFrame:
    """Measure how well each score of `familiarity` tells known pictures from strangers: one row per score.

    `known`, (N, K), and `strangers`, (M, K), are pooled cosines by the same prompts and model. Columns auroc (how often
    a known picture has the higher score; ties count half) and fpr (the share of strangers that reach the threshold
    which `keep` of all known pictures reach: FPR at 95 % TPR). Then a threshold which `keep` of a random `share` of the
    known ones reach, and of the others the shares that do: kept, of the known ones, and let_in, of the strangers. Each
    has a 95 % interval, such as auroc_low and auroc_high: DeLong's on the logit scale (Biometrics 1988), for fpr draws
    of the threshold and of the share beyond it, Wilson's for kept and let_in. Near an auroc of 1 or with 30 known
    pictures those of auroc and fpr hold in 86 to 93 % of samples.
    """
    first = familiarity(checks.check_scores(known, name="known"), logit_scale)
    other = familiarity(checks.check_scores(strangers, np.shape(known)[1], "strangers"), logit_scale)
    n, m = len(first), len(other)
    if min(n, m) < 2:
        raise ValueError(f"there are {n} known pictures and {m} strangers; pass two or more of each.")
    rng = np.random.default_rng(checks.check_count(seed, "seed", low=0))
    few = min(max(round(n * checks.check_fraction(share, "share")), 1), n - 1)
    has_say = np.isin(np.arange(n), rng.permutation(n)[:few])
    rows = []
    for ours, theirs in ((first[name].to_numpy(), other[name].to_numpy()) for name in FAMILIARITY):
        threshold = threshold_keeping(ours[has_say], keep)
        reached = np.array([(ours[~has_say] >= threshold).sum(), (theirs >= threshold).sum()])
        judged = shares(reached, np.array([(~has_say).sum(), m]))
        rows.append((*_auroc(ours, theirs), *_fpr(ours, theirs, keep, rng), threshold, *judged.ravel()))
    names = ["auroc", "fpr", "threshold", "kept", "let_in"]
    columns = [f"{name}{end}" for name in names for end in ("", "_low", "_high")[: 1 if name == "threshold" else 3]]
    return pd.DataFrame(rows, index=pd.Index(FAMILIARITY, name="score"), columns=columns)


def _auroc(ours: Floats, theirs: Floats) -> tuple[float, float, float]:
    """Compute the area under the ROC curve and its 95 % interval, by the ranks of both groups."""
    n, m, ranks = len(ours), len(theirs), rankdata([*ours, *theirs])
    beats, is_beaten = (ranks[:n] - rankdata(ours)) / m, 1 - (ranks[n:] - rankdata(theirs)) / n
    area, few = float(beats.mean()), min(n, m)
    inner, variance = area, beats.var(ddof=1) / n + is_beaten.var(ddof=1) / m
    if variance == 0:  # nothing overlaps: as if half of a picture did
        inner = float(np.clip(area, 0.5 / few, 1 - 0.5 / few))
        variance = inner * (1 - inner) / few
    low, high = expit(logit(inner) + norm.interval(CONFIDENCE, scale=np.sqrt(variance) / (inner * (1 - inner))))
    return area, min(float(low), area), max(float(high), area)


def _fpr(ours: Floats, theirs: Floats, keep: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Compute the share of strangers beyond the threshold and its 95 % interval, drawn without resampling pictures."""
    n, m, ranked = len(ours), len(theirs), np.sort(theirs)
    found = float((theirs >= threshold_keeping(ours, keep)).mean())
    rank = int((1 - keep) * n + 1e-9)  # that of a resample is, in the original's ranks, beta-distributed
    drawn = np.sort(ours)[(n * rng.beta(rank + 1, n - rank, 4000)).astype(int)]
    beyond = m - np.searchsorted(ranked, drawn)
    low, high = np.quantile(rng.beta(beyond + 0.5, m - beyond + 0.5), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return found, min(float(low), found), max(float(high), found)
