"""What breaks a classifier's answers: changed pictures, groups of pictures, and causes.

P-values are corrected for having looked at many (Holm), over all rows of a kind. An accuracy of a group does not say
why; pictures with and without a cause differ in nothing else.
"""

from __future__ import annotations

import io
import math
import operator
from collections.abc import Callable, Mapping, Sequence
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
from zsc.evaluation import Provenance
from zsc.images import open_image
from zsc.published import published
from zsc.statistics import CONFIDENCE, holm, mcnemar, paired_interval, unpaired_interval, wilson_interval

ALPHA = 1 - CONFIDENCE
FEWEST, WIDEST = 30, 0.3  # a group of fewer pictures, or with a wider interval, cannot be judged
EXAMPLES = 5  # of each change
COLUMNS = ["kind", "name", "n", "value", "low", "high", "before", "after", "difference", "difference_low",
           "difference_high", "p_value", "p_adjusted", "verdict"]  # fmt: skip


def _write(picture: Image.Image, rng: np.random.Generator, word: str) -> Image.Image:
    """Write a word on a white label across the lower part, in Pillow's own font, which has Latin letters."""
    (width, height), painter = picture.size, ImageDraw.Draw(picture)
    painter.rectangle((0, 0.76 * height, width, 0.94 * height), fill="white")
    *_, wide, tall = ImageFont.load_default(100).getbbox(word or "x")
    font = ImageFont.load_default(max(1.0, min(90 * width / wide, 15 * height / tall)))
    painter.text((width / 2, 0.85 * height), word, "black", font, anchor="mm")
    return picture


def _compress(picture: Image.Image, *_: Any) -> Image.Image:
    picture.save(file := io.BytesIO(), "JPEG", quality=10)
    return Image.open(file)


def _add_noise(picture: Image.Image, rng: np.random.Generator, word: str) -> Image.Image:
    """Add uniform noise, up to 10 % of white, in grains of a 224th of a side: finer ones are gone in preprocessing."""
    grain = max(1.0, min(picture.size) / 224)
    noise = rng.uniform(-25.5, 25.5, [math.ceil(side / grain) for side in reversed(picture.size)]).astype(np.float32)
    noise = np.asarray(Image.fromarray(noise).resize(picture.size, Image.Resampling.NEAREST))[..., None]
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).round().astype(np.uint8))


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator, str], Image.Image]] = {
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
RESEMBLE = pd.DataFrame(
    [
        ("grey", "colour", "cr", "bw"), ("blur", "low-pass", "0", "3"), ("noise 10 %", "uniform-noise", "0.0", "0.1"),
        ("contrast 30 %", "contrast", "c100", "c30"),
    ],
    columns=["name", "set", "before", "after"],
).melt(["name", "set"], var_name="when", value_name="condition")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` found.

    `table` has one row per kind (change, group, gap, cause) and name: n, value with low and high, before and after (two
    accuracies), difference, difference_low, difference_high and p_value (McNemar's, exact), p_adjusted, verdict. The
    value of a change or cause is the share of answers that flip, of a group its accuracy, with Wilson's interval; a
    cause's before and after are shares of one answer, a group's the accuracies of `against` and of the classifier. The
    value of a gap is the best group's accuracy less the worst's; its interval (Newcombe's) and p_value (Fisher's) count
    all pairs of groups. `examples` are the pictures whose margin (probability of the first answer less the best other)
    fell most: change, index, image, changed (a function that opens it), before, after (answers), fell.
    """

    table: pd.DataFrame
    examples: pd.DataFrame
    made_by: Provenance

    @property
    def published(self) -> pd.DataFrame:
        """Decisions of CLIP, a ResNet-50 and people, before and after what resembles a change; see `zsc.published`.

        Of 16 classes of photographs; blur, noise and contrast are of grey ones, noise at 30 % of their contrast.
        """
        resemble = RESEMBLE[RESEMBLE["name"].isin(self.table["name"])]
        return resemble.merge(published("clip_decisions_counts")).sort_values("name", kind="stable")


def audit(
    classifier: Any, dataset: ImageDataset | ImageEmbeddings, by: Any = None, *,
    changes: Sequence[str] | Mapping[str, Callable[[Image.Image], Image.Image]] = tuple(CHANGES),
    causes: Sequence[str] | Mapping[str, tuple[Any, Any]] = (), against: Any = None, model: Any = None,
    seed: int = 0, **options: Any,
) -> Audit:  # fmt: skip
    """Look for what breaks a classifier: changes of the pictures, groups of pictures, and causes.

    Parameters
    ----------
    classifier, against
        A `ZeroShotClassifier`, a probe, or what else has `class_names`, `predict_proba` and `evaluate` for embeddings;
        and another one of the same `model`, which must be passed where the classifier has none.
    dataset, options
        Pictures, or their embeddings; without labels only flips are counted. Options are those of `embed_images`.
    by
        N values; or a mapping of names to such columns; or of drawings an attribute, such as "hat". None, NaN and ""
        belong to no group, and groups under 30 pictures, or with intervals wider than 0.3, are not judged.
    changes
        Some of `CHANGES`, or a mapping of names to functions of an RGB picture; () for none. The `seed` decides which
        wrong name is written, and the noise.
    causes
        A mapping of names to pairs of data sets or embeddings, which show the same without and with the cause; or of
        drawings attributes that can be changed alone (see `zsc.drawings.draw`). Of two classes the second is tested.
    """
    if model is None and (model := getattr(classifier, "model", None)) is None:
        told = f"a {type(classifier).__name__} judges embeddings and has no model that makes them"
        raise TypeError(f"{told}; pass model=, such as audit(probe, dataset, model='RN50').")
    names, columns, pairs = list(classifier.class_names), _columns(by, dataset), _pairs(causes, dataset)
    embed = partial(_embed, model, options)
    whole, rows, examples = embed(dataset), [], []
    lost = whole.failed if len(whole) == len(dataset) else np.isin(range(len(dataset)), whole.failures["index"])
    embeddings = whole.without_failed()
    start = classifier.predict_proba(embeddings)
    first = truth = start.argmax(axis=1)
    made_by = Provenance(model=whole.model, fingerprint=whole.fingerprint, dataset=whole.dataset)
    if is_labelled := bool((embeddings.labels != UNLABELLED).any()):
        judged = classifier.evaluate(embeddings)
        judged.check_one_label()
        truth, made_by = judged.y_true, judged.made_by
    right = first == truth
    rng = np.random.default_rng(check_count(seed, "seed", low=0))
    words = [names[k] for k in (truth + rng.integers(1, len(names), len(truth))) % len(names)]
    for name, change in _changes(changes).items():
        paths = enumerate(zip(embeddings.paths, words, strict=True))
        sources = [partial(_changed, path, change, (seed, i), word) for i, (path, word) in paths]
        end = classifier.predict_proba(embed(ImageDataset(sources, embeddings.labels * 0, ["any"], name=name)))
        second = end.argmax(axis=1)
        tested = (right, second == truth) if is_labelled else ()
        rows.append(_row("change", name, int((first != second).sum()), len(first), *tested))
        for i, fell in _worst(start, end):
            examples.append((name, i, embeddings.paths[i], sources[i], names[first[i]], names[second[i]], fell))
    other = None if against is None else against.evaluate(embeddings).right
    for column, values in columns.items():
        if not is_labelled:
            raise ValueError(f"groups by {column} are compared by their accuracies; pass pictures with labels.")
        rows += _groups(column, pd.Series(values, dtype=object)[~lost], right, other)
    for cause, pair in pairs.items():
        off, on = (classifier.predict_proba(embed(pictures)).argmax(axis=1) for pictures in pair)
        for k in range(len(names) == 2, len(names)):
            rows.append(
                _row(
                    "cause", f"{cause} → {names[k]}", int(np.sum((off == k) != (on == k))), len(off), off == k, on == k
                )
            )
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_adjusted"] = table.groupby("kind")["p_value"].transform(lambda p: holm(p.to_numpy(float)))
    told = np.where(table["p_adjusted"] < ALPHA, "told apart", "not told apart")
    table["verdict"] = table["verdict"].where(table["p_value"].isna(), told)
    shown = pd.DataFrame(examples, columns=["change", "index", "image", "changed", "before", "after", "fell"])
    return Audit(table, shown, made_by)


def _embed(model: Any, options: Mapping[str, Any], pictures: Any) -> ImageEmbeddings:
    return pictures if isinstance(pictures, ImageEmbeddings) else embed_images(model, pictures, **options)


def _changed(source: Any, change: Any, seed: tuple[int, int], word: str) -> Image.Image:
    return change(open_image(source), np.random.default_rng(seed), word)


def _changes(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {name: lambda picture, *_, own=own: own(picture) for name, own in given.items()}
    return {name: CHANGES[check_choice(name, list(CHANGES), "changes")] for name in as_list(given, "changes", "names")}


def _columns(by: Any, dataset: Any) -> Mapping[str, Any]:
    if isinstance(by, str):
        drawn = _redrawn(dataset, attributes=True)
        by = {by: drawn.labels[:, drawn.class_names.index(check_choice(by, drawn.class_names, "by"))] == 1}
    columns = {} if by is None else by if isinstance(by, Mapping) else {"group": by}
    for name, values in columns.items():
        check_same_length(dataset=dataset, **{str(name): values})
    return columns


def _pairs(causes: Any, dataset: Any) -> Mapping[str, tuple[Any, Any]]:
    if isinstance(causes, Mapping):
        return causes
    names = as_list(causes, "causes", "attributes")
    return {name: (_redrawn(dataset, change={name: False}), _redrawn(dataset, change={name: True})) for name in names}


def _redrawn(dataset: Any, **options: Any) -> ImageDataset:
    """Draw the pictures of a drawn data set again, with other options; any other pictures are refused."""
    if seed := getattr(dataset, "notes", {}).get("seed"):
        same = {"split": dataset.split_name, "n": len(dataset), "seed": int(seed)}
        drawn = load_dataset(dataset.name, **same)
        if all(map(operator.eq, drawn.paths, dataset.paths)):
            return load_dataset(dataset.name, **same, **options)
    told = "attributes are known of drawings only, all and in the order of load_dataset"
    raise ValueError(f"{told}; pass a column of values as by, and pairs of data sets as causes.")


def _row(kind: str, name: str, k: int, n: int, *tested: NDArray[np.bool_]) -> dict[str, Any]:
    """Lay out a share, k of n, and where there are two answers to each picture, right or not, their paired test."""
    row = [kind, name, n, k / n, *wilson_interval(k, n)]
    if tested:
        before, after = tested
        change = after.mean() - before.mean()
        row += [before.mean(), after.mean(), change, *paired_interval(after, before), mcnemar(before, after)]
    return dict(zip(COLUMNS, row, strict=False))


def _worst(start: NDArray[np.float64], end: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Find the pictures whose margin of the first answer over the best other class fell most, and how far."""
    own = np.eye(start.shape[1], dtype=bool)[start.argmax(axis=1)]
    before, after = (proba[own] - np.where(own, -np.inf, proba).max(axis=1) for proba in (start, end))
    fell = pd.Series(before - after).nlargest(EXAMPLES)
    return list(fell[fell > 0].items())


def _groups(column: str, values: pd.Series, right: NDArray[np.bool_], other: Any) -> list[dict[str, Any]]:
    """Count the right answers of each group, and test the widest gap of those that can be judged."""
    keys = [None if pd.isna(value) or value == "" else str(value) for value in values]
    rows, judged = [], []
    for key, members in pd.Series(range(len(keys))).groupby(pd.Series(keys, dtype=object)):
        n, k = len(members), int(right[members].sum())
        rows.append(_row("group", f"{column} = {key}", k, n))
        if n < FEWEST or rows[-1]["high"] - rows[-1]["low"] > WIDEST:
            rows[-1]["verdict"] = f"cannot be judged: under {FEWEST} pictures, or an interval wider than {WIDEST}"
            continue
        judged.append((k / n, k, n, key))
        if other is not None:
            rows[-1] = _row("group", f"{column} = {key}", k, n, other[members], right[members])
    if len(judged) < 2:
        return [*rows, {"kind": "gap", "name": column, "n": 0, "verdict": "fewer than two groups can be judged"}]
    (best, k, n, top), (worst, j, m, last), pairs = max(judged), min(judged), math.comb(len(judged), 2)
    low, high = unpaired_interval(k, n, j, m, 1 - ALPHA / pairs)
    p_value = min(1.0, pairs * float(fisher_exact([[k, n - k], [j, m - j]]).pvalue))
    gap = {"kind": "gap", "name": f"{column}: {top} less {last}", "n": n + m, "value": best - worst, "low": low}
    return [*rows, gap | {"high": high, "p_value": p_value}]
