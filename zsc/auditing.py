"""What breaks a classifier's answers: changed pictures, groups of pictures, and causes.

P-values are corrected for having looked at many (Holm), over all rows of a kind. A group's accuracy does not say why;
pictures with and without a cause differ in nothing else.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from scipy.stats import fisher_exact

from zsc.checks import as_list, check_choice, check_count, check_same_length
from zsc.datasets import ImageDataset, load_dataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.evaluation import Evaluation
from zsc.images import open_image
from zsc.published import published
from zsc.statistics import CONFIDENCE, holm, mcnemar, paired_interval, wilson_interval

ALPHA = 1 - CONFIDENCE
FEWEST, WIDEST = 30, 0.3  # a group of fewer pictures, or with a wider interval, cannot be judged
EXAMPLES = 5  # of each change
COLUMNS = ["kind", "name", "n", "value", "low", "high", "before", "after", "difference", "difference_low",
           "difference_high", "p_value", "p_adjusted", "verdict"]  # fmt: skip
Change = Callable[[Image.Image, np.random.Generator, str], Image.Image]


def _write(picture: Image.Image, rng: np.random.Generator, word: str) -> Image.Image:
    """Write a word on a white label across the lower part, in Pillow's own font, which has Latin letters."""
    (width, height), painter = picture.size, ImageDraw.Draw(picture)
    painter.rectangle((0, 0.76 * height, width, 0.94 * height), fill="white")
    font = ImageFont.load_default(max(1.0, min(0.15 * height, 1.5 * width / max(1, len(word)))))
    painter.text((width / 2, 0.85 * height), word, "black", font, anchor="mm")
    return picture


def _compress(picture: Image.Image, *_: Any) -> Image.Image:
    picture.save(file := io.BytesIO(), "JPEG", quality=10)
    return Image.open(file)


def _add_noise(picture: Image.Image, rng: np.random.Generator, word: str) -> Image.Image:
    """Add uniform noise, up to 10 % of white, in 224 x 224 grains: finer ones are gone before a model sees them."""
    noise = Image.fromarray(rng.uniform(-25.5, 25.5, (224, 224)).astype(np.float32)).resize(picture.size, 0)
    return Image.fromarray((np.asarray(picture) + np.asarray(noise)[..., None]).clip(0, 255).round().astype(np.uint8))


CHANGES: dict[str, Change] = {
    "wrong name": _write,  # of a class: the typographic attack
    "white label": lambda p, rng, _: _write(p, rng, ""),  # what the label does without the name
    "crop 70 %": lambda p, *_: ImageOps.crop(p, round(0.15 * min(p.size))),
    "scale 25 %": lambda p, *_: p.reduce(4).resize(p.size),
    "JPEG 10": _compress,
    "blur": lambda p, *_: p.filter(ImageFilter.GaussianBlur(3 / 224 * min(p.size))),
    "grey": lambda p, *_: p.convert("L"),
    "mirror": lambda p, *_: ImageOps.mirror(p),
    "noise 10 %": _add_noise,
    "contrast 30 %": lambda p, *_: Image.blend(Image.new("RGB", p.size, "#808080"), p, 0.3),
    "brightness 50 %": lambda p, *_: ImageEnhance.Brightness(p).enhance(0.5),
}
SIMILAR = {  # a change: the set of published decisions that is like it, and its conditions before and after
    "blur": ("low-pass", "0", "3"), "grey": ("colour", "cr", "bw"), "noise 10 %": ("uniform-noise", "0.0", "0.1"),
    "contrast 30 %": ("contrast", "c100", "c30"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` found: `evaluation` of the pictures as they are, and two tables.

    `table`: kind (change, group, gap, cause), name; n; value, low, high; before, after, difference, difference_low,
    difference_high, p_value (McNemar's, exact); p_adjusted, verdict. The value is the share of answers that a change or
    cause flips, or a group's accuracy (Wilson); before and after are accuracies, of a cause shares of one answer, of a
    group those of `against` and of the classifier. A gap is the best group's accuracy less the worst's (Newcombe 1998),
    tested by Fisher; both count all pairs of groups. `examples`: of each change the pictures whose first answer lost
    most of its probability: change, index, image, changed (what opens it), before, after, lost. `failures`: what was
    left out, as of `ImageEmbeddings`.
    """

    table: pd.DataFrame
    examples: pd.DataFrame
    evaluation: Evaluation
    failures: pd.DataFrame

    @property
    def published(self) -> pd.DataFrame:
        """What CLIP, a ResNet-50 and people decided before and after similar changes: see `zsc.datasets.published`."""
        keys = [(name, of, which) for name, (of, *two) in SIMILAR.items() for which in two]
        found = pd.DataFrame(keys, columns=["name", "set", "condition"]).merge(published("clip_decisions_counts"))
        return found[found["name"].isin(self.table["name"])]


def audit(
    classifier: Any, dataset: ImageDataset | ImageEmbeddings, by: Any = None, *, changes: Any = tuple(CHANGES),
    causes: Any = (), against: Any = None, model: Any = None, seed: int = 0, **options: Any,
) -> Audit:  # fmt: skip
    """Look for what breaks a classifier: changes of the pictures, groups of pictures, and causes.

    `classifier` is a `ZeroShotClassifier`, a probe, or what else has `class_names`, `predict_proba` and `evaluate` for
    embeddings (without labels `answer`); where it has no model, `model` embeds the pictures, with the `options` of
    `embed_images`. `dataset` may be embeddings, too; without labels only flips are counted.

    `changes` are names of `CHANGES`, or a mapping of names to such functions: of an RGB picture, a random generator (as
    `seed` and the picture's number decide) and a wrong class's name. `by` is N values, a mapping of names to such
    columns, or of drawings an attribute, such as "hat"; None, NaN and "" belong to no group, and groups under 30
    pictures, or with intervals wider than 0.3, are not judged. `against` is another classifier, to which each group is
    compared. `causes` is a mapping of names to two data sets, or embeddings, each: the same pictures without and with
    it; or of drawings attributes that `zsc.drawings.draw` can change. Of two classes the second is tested.
    """
    model = getattr(classifier, "model", None) if model is None else model

    def embed(pictures: Any) -> ImageEmbeddings:
        return pictures if isinstance(pictures, ImageEmbeddings) else embed_images(model, pictures, **options)

    if not isinstance(changes, Mapping):
        changes = {name: CHANGES[check_choice(name, list(CHANGES), "changes")] for name in as_list(changes, "changes")}
    if not isinstance(causes, Mapping) and (asked := as_list(causes, "causes")):
        draw = _drawer(dataset)
        causes = {cause: [draw(change={cause: state}) for state in (False, True)] for cause in asked}
    columns, rng = _columns(by, dataset), np.random.default_rng(check_count(seed, "seed", low=0))
    whole, rows, examples = embed(dataset), [], []
    lost = whole.failed if len(whole) == len(dataset) else np.isin(range(len(dataset)), whole.failures["index"])
    embeddings, names, options["on_error"] = whole.without_failed(), list(classifier.class_names), "raise"
    is_labelled, answer = bool((embeddings.labels != UNLABELLED).any()), classifier.evaluate
    judged = (answer if is_labelled else getattr(classifier, "answer", answer))(embeddings)
    judged.check_one_label()
    right: Any = judged.right if is_labelled or columns else None
    start, first, truth = judged.proba, judged.y_pred, judged.y_true if is_labelled else judged.y_pred
    wrong = truth + rng.integers(1, len(names), len(first))
    for name, change in changes.items():
        given = enumerate(zip(embeddings.paths, wrong % len(names), strict=True))
        sources = [partial(_changed, path, change, (seed, i), names[k]) for i, (path, k) in given]
        end = classifier.predict_proba(embed(ImageDataset(sources, embeddings.labels * 0, ["any"], name=name)))
        second, fell = end.argmax(axis=1), start.max(axis=1) - end[np.arange(len(end)), first]
        rows.append(_row("change", name, first != second, *(() if right is None else (right, second == truth))))
        for i in np.argsort(-fell, kind="stable")[:EXAMPLES]:
            place = np.flatnonzero(~lost)[i]  # in the data set
            examples.append((name, place, embeddings.paths[i], sources[i], names[first[i]], names[second[i]], fell[i]))
    other = None if against is None else against.evaluate(embeddings).right
    for column, values in columns.items():
        rows += _groups(column, pd.Series(values, dtype=object)[~lost], right, other)
    for cause, pair in dict(causes).items():
        off, on = (classifier.predict_proba(embed(pictures)).argmax(axis=1) for pictures in pair)
        for k in range(len(names) == 2, len(names)):
            rows.append(_row("cause", f"{cause} → {names[k]}", (off == k) != (on == k), off == k, on == k))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_adjusted"] = table.groupby("kind")["p_value"].transform(lambda p: holm(p.to_numpy(float)))
    told = table["p_adjusted"].map(lambda p: "told apart" if p < ALPHA else "not told apart", na_action="ignore")
    table["verdict"] = table["verdict"].where(table["verdict"].notna(), told)
    shown = pd.DataFrame(examples, columns=["change", "index", "image", "changed", "before", "after", "lost"])
    return Audit(table, shown, judged, whole.failures)


def _changed(source: Any, change: Change, seed: tuple[int, int], word: str) -> Image.Image:
    return change(open_image(source), np.random.default_rng(seed), word)


def _columns(by: Any, dataset: Any) -> Mapping[str, Any]:
    if isinstance(by, str):
        drawn = _drawer(dataset)(attributes=True)
        by = {by: drawn.labels[:, drawn.class_names.index(check_choice(by, drawn.class_names, "by"))] == 1}
    columns = {} if by is None else by if isinstance(by, Mapping) else {"group": by}
    for name, values in columns.items():
        check_same_length(dataset=dataset, **{str(name): values})
    return columns


def _drawer(dataset: Any) -> Callable[..., ImageDataset]:
    """Return what draws the pictures of a drawn data set again, with other options; refuse any other pictures."""
    if seed := getattr(dataset, "notes", {}).get("seed"):
        draw = partial(load_dataset, dataset.name, split=dataset.split_name, n=len(dataset), seed=int(seed))
        if list(draw().paths) == list(dataset.paths):
            return draw
    told = "attributes are known of drawings only, all and in the order of load_dataset"
    raise ValueError(f"{told}; pass a column of values as by, and pairs of data sets as causes.")


def _row(kind: str, name: str, counted: NDArray[np.bool_], *tested: NDArray[np.bool_]) -> dict[str, Any]:
    """Lay out the share of pictures that count and, of two answers to each that are right or not, the paired test."""
    row = [kind, name, len(counted), counted.mean(), *wilson_interval(int(counted.sum()), len(counted))]
    if tested:
        before, after = tested
        change = after.mean() - before.mean()
        row += [before.mean(), after.mean(), change, *paired_interval(after, before), mcnemar(before, after)]
    return dict(zip(COLUMNS, row, strict=False))


def _groups(column: str, values: pd.Series, right: NDArray[np.bool_], other: Any) -> list[dict[str, Any]]:
    """Count the right answers of each group, and test the widest gap of those that can be judged."""
    keys = pd.Series([None if pd.isna(value) or value == "" else str(value) for value in values], dtype=object)
    rows, judged = [], []
    for key, members in keys.groupby(keys).groups.items():
        answers = right[members]
        row = _row("group", f"{column} = {key}", answers, *(() if other is None else (other[members], answers)))
        if len(answers) < FEWEST or row["high"] - row["low"] > WIDEST:
            row["verdict"] = "too few to be judged"
        else:
            judged.append((answers.mean(), int(answers.sum()), len(answers), key))
        rows.append(row)
    if len(judged) < 2:
        return [*rows, {"kind": "gap", "name": column, "n": 0, "verdict": "too few groups to be judged"}]
    (best, k, n, top), (worst, j, m, last), pairs = max(judged), min(judged), math.comb(len(judged), 2)
    (low, high), (below, above) = (wilson_interval(*of, 1 - ALPHA / pairs) for of in ((k, n), (j, m)))
    gap = best - worst
    ends = gap - math.hypot(best - low, above - worst), gap + math.hypot(high - best, worst - below)  # Newcombe's
    row = dict(zip(COLUMNS, ("gap", f"{column}: {top} less {last}", n + m, gap, *ends), strict=False))
    return [*rows, row | {"p_value": min(1.0, pairs * float(fisher_exact([[k, n - k], [j, m - j]]).pvalue))}]
