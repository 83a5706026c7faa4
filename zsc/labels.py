"""Labels: which look wrong (`suspect_labels`), and pictures labelled by hand, a sample or corrections (`LabelSession`).

A suspicion is no verdict: a model that is bad at a class suspects its right labels, and its probabilities must come
from a model that did not learn these labels; zero-shot ones do. An estimated accuracy holds for these pictures, and for
labels that are right: a stratified random sample, by predicted class and margin, in an order fixed before the first.
"""

import csv
import importlib
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import escape
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score

from zsc import checks
from zsc.evaluation import Evaluation, as_cells
from zsc.files import expanded, printable, write_whole
from zsc.images import picture_uri

FIRST, STEP = 30, 10  # labels before the first interval, and between two
QUARTERS, LEAST = 4, 1 / 12  # strata by margin; a class has its own in each where it is given to so many pictures
STEADY, DOUBT, Z = 0.25, 8, 1.959964  # least spread of a stratum; mistakes imagined that say nothing for it; of 95 %
COLUMNS = ["image", "label", "kind", "proposed"]  # of the file; kind: class, none (of these) or skip
KINDS = {"n": "none", "s": "skip"}


def suspect_labels(y_true: Any, proba: Any = None, *, images: Iterable[Any] | None = None) -> pd.DataFrame:
    """Rank pictures by how doubtful their labels are.

    The table has the most doubtful first, and the columns rank (from 1), index (in the input), image (where known),
    y_true, y_pred, proba_given (the label's probability), margin (in [-1, 1]), quality (in [0, 1], low is doubtful),
    suspect (another class is more probable). The margin is the label's probability minus the highest other one.

    `y_true` is an `Evaluation` in which every picture has a label; or N labels, beside `proba`, shape (N, K), and
    perhaps N `images`. The same probabilities serve cleanlab's confident learning: see docs/scikit-learn.md.
    """
    if isinstance(y_true, Evaluation):
        y_true.check_one_label()
        images = y_true.images if images is None else images
        y_true, proba = y_true.y_true, y_true.proba
    elif proba is None:
        raise TypeError("proba is missing; pass it beside y_true, or pass an Evaluation alone.")
    values = checks.check_proba(proba)
    labels = checks.check_labels(y_true, values.shape[1])
    n = checks.check_same_length(y_true=labels, proba=values)
    given = values[np.arange(n), labels]
    others = values.copy()
    others[np.arange(n), labels] = -1
    margin = given - others.max(axis=1)
    columns: dict[str, Any] = {"rank": 0, "index": np.arange(n)}
    if images is not None:
        columns["image"] = as_cells(sources := checks.as_list(images, "images", "pictures"))
        checks.check_same_length(y_true=labels, images=sources)
    columns |= {"y_true": labels, "y_pred": values.argmax(axis=1), "proba_given": given, "margin": margin}
    table = pd.DataFrame(columns | {"quality": (margin + 1) / 2, "suspect": margin < 0})
    return table.sort_values("margin", kind="stable", ignore_index=True).assign(rank=np.arange(1, n + 1))


def match_known(
    ranking: pd.DataFrame, known_ids: Iterable[Any], *,
    at: int | Iterable[int] | None = None, ids: Iterable[Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Measure how well a ranking finds labels that someone holds for wrong.

    The table has one row per number: at, found, known (in the ranking), precision (found / at), recall (found / known),
    chance (the precision of a random order), p_value (how often a random order finds as many or more), and
    average_precision (over the whole ranking, the same in every row).

    `ranking` is a table of `suspect_labels`, `known_ids` the list, in any order, such as that of
    `zsc.datasets.glasses.suspect_ids()`; at least one must be in the ranking. `at` is how far down one looks, one or
    several numbers; None: as many as `known_ids` has there. `ids` are those of the pictures, in the order of the labels
    that `suspect_labels` was given; None: the id is the index.
    """
    names = None if ids is None else checks.as_list(ids, "ids", "ids, one for each picture")
    if not isinstance(ranking, pd.DataFrame) or "index" not in ranking or not len(ranking):
        raise TypeError(f"ranking is {checks.short(ranking)}; pass a table of suspect_labels.")
    n = len(ranking) if names is None else checks.check_same_length(ids=names, ranking=ranking)
    index = checks.check_labels(ranking["index"], None if names is None else n, "the column index of ranking").tolist()
    checks.check_unique(index, "the column index of ranking")
    if isinstance(known_ids, (str, bytes, Mapping)):
        given = f"the {type(known_ids).__name__} {checks.short(known_ids)}"
        raise TypeError(f"known_ids is {given}; pass a list or a set of ids.")
    wanted = set(known_ids)
    hit = np.array([(i if names is None else names[i]) in wanted for i in index], dtype=bool)
    known = int(hit.sum())
    if not known:
        found = f"known_ids holds {len(wanted)} ids and none of the {n} pictures in ranking"
        raise ValueError(f"{found}; pass indices, or the ids of all pictures as ids=.")
    numbers = checks.as_list(at, "at", "whole numbers") if isinstance(at, Iterable) else [known if at is None else at]
    if not numbers:
        raise ValueError(f"at is empty; pass whole numbers from 1 to {n}.")
    depths = np.array([checks.check_count(number, "at", high=n) for number in numbers])
    found = hit.cumsum()[depths - 1]
    table = pd.DataFrame({"at": depths, "found": found, "known": known})
    table = table.assign(precision=found / depths, recall=found / known, chance=known / n)
    table["p_value"] = hypergeom.sf(found - 1, n, known, depths)
    return table.assign(average_precision=float(average_precision_score(hit, -np.arange(n))))


class Estimate(NamedTuple):
    """An accuracy, its 95 % interval, how many labels it is from, and the weight of the model's own scores in it."""

    accuracy: float
    low: float
    high: float
    n: int
    weight: float


class Sample:
    """The order in which N pictures are labelled, (N,): each beginning of it is a stratified random sample.

    A stratum is a quarter of the margins, or a frequent class in it. It is drawn from by its size times how much its
    answers should vary by the model's own probabilities, but at most twice as much as any other: they may be wrong.
    """

    def __init__(self, proba: ArrayLike, *, seed: int = 0) -> None:
        values = checks.check_proba(proba)
        n, rng = len(values), np.random.default_rng(checks.check_count(seed, "seed", low=0))
        y_pred, two = values.argmax(axis=1), np.sort(values, axis=1)[:, -2:]
        quarter = np.empty(n, dtype=np.int64)
        quarter[np.lexsort((y_pred, two[:, 1] - two[:, 0]))] = np.arange(n) * QUARTERS // n
        cells = quarter * values.shape[1] + y_pred
        rare = np.bincount(cells)[cells] < LEAST * n
        self.strata = np.unique(np.where(rare, -1 - quarter, cells), return_inverse=True)[1]
        self._size, self._sure = np.bincount(self.strata), two[:, 1]
        turn = np.empty(n)
        for stratum, size in enumerate(self._size):
            rows = rng.permutation(np.flatnonzero(self.strata == stratum))
            share = self._sure[rows].mean()
            turn[rows] = (np.arange(size) + 0.5) / (size * max(math.sqrt(share * (1 - share)), STEADY))
        self.order = np.argsort(turn, kind="stable")

    def estimate(self, rows: ArrayLike, right: ArrayLike) -> Estimate:
        """Estimate the accuracy on the N pictures from those that are labelled: `rows`, and whether each is right.

        The stratified difference estimator, as in prediction-powered inference (Angelopoulos et al., 2023), with power
        tuning. The interval is Wilson's, of as many pictures of a simple random sample as would tell as much; how many
        that is, is believed as far as there are mistakes to show it.
        """
        chosen = checks.check_labels(rows, len(self.strata), "rows")
        y = np.asarray(checks.as_list(right, "right", "bools"), float)
        n, seen, own = checks.check_same_length(rows=chosen, right=y), self.strata[chosen], self._sure[chosen]
        of, share = np.bincount(seen, minlength=len(self._size)), self._size / len(self.strata)
        told = np.maximum(of, 1)

        def means(v: NDArray[np.float64]) -> NDArray[np.float64]:  # of each stratum; where none is labelled, of all
            found = np.bincount(seen, v, len(of)) / told
            return np.where(of > 0, found, share[of > 0] @ found[of > 0] / share[of > 0].sum())

        cost = share**2 * (1 - of / self._size) / told  # of a variance of 1 in a stratum, in that of the estimate
        each, dy, df = (cost / told)[seen], y - means(y)[seen], own - means(own)[seen]
        weight = float(np.clip((each * dy * df).sum() / max((each * df**2).sum(), 1e-12), 0, 1))
        accuracy = float(np.clip(share @ means(y - weight * own) + weight * self._sure.mean(), 0, 1))
        if not cost.sum():  # all are labelled
            return Estimate(accuracy, accuracy, accuracy, n, weight)
        squares = np.bincount(seen, (dy - weight * df) ** 2, len(of))
        pooled = squares.sum() / max(n - (of > 0).sum() - 1, 1)
        plain, few = accuracy * (1 - accuracy) * n / max(n - 1, 1), min(y.sum(), n - y.sum())
        gain = cost @ ((squares + pooled) / told) / (plain * cost.sum()) if plain else 1.0
        alike = (few + DOUBT) / (few * gain + DOUBT) / cost.sum()
        half = Z * math.sqrt(accuracy * (1 - accuracy) / alike + Z**2 / (4 * alike**2))
        low, high = ((accuracy + Z**2 / (2 * alike) + side) / (1 + Z**2 / alike) for side in (-half, half))
        return Estimate(accuracy, float(max(low, 0)), float(min(high, 1)), n, weight)


class LabelSession:
    """Ask for the classes of some pictures of an answer, one after another, until the accuracy is known well enough.

    The CSV file `path` keeps one row per picture (image as in `answer.table`, label, kind, proposed), whole after each
    key; where it is there, it is gone on with, or ValueError says that it is of other pictures, prompts or seed.
    """

    keeps_skipped = False

    def __init__(self, answer: Evaluation, path: str | Path, *, seed: int = 0) -> None:
        answer.check_one_label()
        self.answer, self.path = answer.select(~answer.failed), expanded(path)
        if not self.answer.n:
            raise ValueError("there are no pictures to label; pass an answer with one or more that can be opened.")
        self.sample = Sample(self.answer.proba, seed=seed)
        self._begin(self.sample.order, self.answer.y_pred)

    def _begin(self, order: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        """Take the rows (M,) that are asked for, in their order, and the labels (N,) that are proposed."""
        cells = enumerate(self.answer.table["image"])
        self.names = [one if isinstance(one, str) else f"picture {row}" for row, one in cells]
        self.order, self.proposed = order, [str(self.answer.class_names[k]) for k in labels]
        self.rows = self._read()

    def _read(self) -> list[list[str]]:
        text = self.path.read_bytes().decode(errors="replace") if self.path.exists() else ",".join(COLUMNS)
        first, *rows = csv.reader(io.StringIO(text or "\n", newline=""))
        ours = [[self.names[row], self.proposed[row]] for row in self.order[: len(rows)]]
        labels = ("", *self.answer.class_names)
        if first != COLUMNS or [r[::3] for r in rows] != ours or any(len(r) != 4 or r[1] not in labels for r in rows):
            told = f"{printable(self.path)}: holds labels of another sample, or something else"
            raise ValueError(f"{told}; go on with its pictures, prompts and seed, or name another file.")
        return rows

    @property
    def row(self) -> int | None:
        """The row of the picture that is asked for; None where all have been."""
        return int(self.order[len(self.rows)]) if len(self.rows) < len(self.order) else None

    def question(self, row: int) -> str:
        """Say which picture is asked for, and which class is proposed."""
        return f"{printable(self.names[row])}: {self.proposed[row]}?"

    def press(self, key: str) -> None:
        """Take a class's number (from 1) or name, nothing for the proposed one, n (none), s (skip), u (undo)."""
        key, names, row, rows = key.strip(), self.answer.class_names, self.row, self.rows[:-1]
        if key != "u" or not self.rows:
            labels = dict(zip(names, names, strict=True)) | {str(k): name for k, name in enumerate(names, 1)}
            proposed = "" if row is None else self.proposed[row]
            labels |= {"": proposed, "n": "", "s": proposed if self.keeps_skipped else ""}
            if row is None or key not in labels:
                ways = f"type a number from 1 to {len(names)}, n, s or u; nothing takes the class that is proposed"
                told = f"{checks.short(key)}: {ways}." if row is not None else "all are labelled; u takes one back."
                raise ValueError(told)
            rows = [*self.rows, [self.names[row], labels[key], KINDS.get(key, "class"), self.proposed[row]]]
        if self.rows != self._read():
            raise ValueError(f"{printable(self.path)}: another program has changed it; begin again to read it anew.")
        csv.writer(text := io.StringIO(newline=""), lineterminator="\n").writerows([COLUMNS, *rows])
        write_whole(self.path, text.getvalue())
        self.rows = rows

    @property
    def estimate(self) -> Estimate | None:
        """The accuracy at the last look: after 30 labels, then after every 10, and after the last; else None."""
        told = [(k, row[1] == row[3]) for k, row in enumerate(self.rows) if row[2] != "skip"]
        n = len(told) if self.row is None else len(told) - (len(told) - FIRST) % STEP
        if not told or (n < FIRST and self.row is not None):
            return None
        return self.sample.estimate(self.order[[k for k, _ in told[:n]]], [right for _, right in told[:n]])

    def summary(self) -> str:
        """Say how accurate the model is on these pictures, how sure that is, and what was skipped."""
        kinds, found, of = [row[2] for row in self.rows], self.estimate, self.answer.n
        text = f"{len(kinds) - kinds.count('skip')} labels; the first interval comes after {FIRST}"
        if found:
            told = "accuracy {:.3f}, 95 % interval {:.3f} to {:.3f}, from {} labels".format(*found)
            text = f"{told} of {of} pictures"
        return f"{text}; {kinds.count('none')} of none of these classes, {kinds.count('skip')} skipped."

    def widget(self) -> Any:
        """Make a panel for a notebook: the picture, a button per class, and a box that takes the same keys."""
        with checks.needed_for("a panel of labels", "widgets"):
            w = importlib.import_module("ipywidgets")
        shown, said, box = w.HTML(), w.HTML(), w.Text(description="key", placeholder="number, n, s, u, or Enter")

        def press(key: str | None = None) -> None:
            text = ""
            try:
                self.press(key) if key is not None else None
            except (ValueError, OSError) as error:
                text = str(error)
            box.value, row = "", self.row
            uri = None if row is None or not self.answer.images else picture_uri(self.answer.images[row], 320)
            words = "all are labelled" if row is None else self.question(row)
            picture = f'<img src="{uri}" alt="the picture to label">' if uri else ""
            shown.value = f"{picture}<div>{escape(words)}</div>"
            said.value = f'<div role="status">{escape(text or self.summary())}</div>'

        names = enumerate(map(printable, self.answer.class_names), 1)
        keys = [*names, ("n", "none of these"), ("s", "skip"), ("u", "undo")]
        buttons = [w.Button(description=f"{key} {words}", layout={"width": "auto"}) for key, words in keys]
        for button in buttons:
            button.on_click(lambda pressed: press(pressed.description.partition(" ")[0]))
        box.on_submit(lambda _: press(box.value))
        press()
        return w.VBox([shown, w.HBox(buttons, layout={"flex_flow": "row wrap"}), box, said])


class CorrectionSession(LabelSession):
    """Ask about the labels of an evaluation that look wrong, the most doubtful first; Enter and s leave one as it is.

    Those are the suspects of `suspect_labels`, or the `rows` of the evaluation that are given. `ImageDataset.corrected`
    takes the CSV file, which is as that of a `LabelSession`; u takes a correction back.
    """

    keeps_skipped = True
    estimate = None  # they are no sample

    def __init__(self, evaluation: Evaluation, path: str | Path, *, rows: ArrayLike | None = None) -> None:
        evaluation.check_one_label()
        known = ~evaluation.failed & (evaluation.y_true >= 0)
        chosen = np.arange(evaluation.n) if rows is None else checks.as_indices(rows, evaluation.n, "rows")
        if rows is None and known.any():
            ranking = suspect_labels(evaluation.select(known))
            chosen = np.flatnonzero(known)[ranking.loc[ranking["suspect"], "index"]]
        if not len(chosen) or not known[chosen].all():
            raise ValueError("there is no label to correct; pass rows of pictures that have a label and can be opened.")
        if not evaluation.table["image"][chosen].map(type).eq(str).all():
            raise ValueError("a picture in memory has no name that a file could keep; save it as a file first.")
        self.answer, self.path = evaluation, expanded(path)
        self._begin(chosen, evaluation.y_true)

    def question(self, row: int) -> str:
        """Say which picture is asked for, its label, and what the model says."""
        said = self.answer.class_names[self.answer.y_pred[row]]
        return f"{printable(self.names[row])}: labelled {self.proposed[row]} (Enter keeps it), predicted {said}"

    def summary(self) -> str:
        """Say how many labels were looked at and changed."""
        changed = sum(label != given for _, label, _, given in self.rows)
        return f"{len(self.rows)} of {len(self.order)} labels looked at, {changed} changed."
