"""ZeroShotClassifier: class names or prompts in, predictions out, without training.

The text is encoded once, when the classifier is made; pictures go through in batches. `answer` is the one way through;
`predict`, `classify`, `validate` and `evaluate` show parts of its `Evaluation`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zsc.calibration import choose_threshold, familiarity
from zsc.checks import check_choice, check_class_names, check_count, check_fraction, check_thresholds, frozen, short
from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.embeddings import ON_ERROR, ImageEmbeddings, check_made_by, embed_images, embed_texts
from zsc.evaluation import COLUMNS, Evaluation, Provenance, environment
from zsc.images import ImageSource, as_sources
from zsc.models import Encoder, as_encoder
from zsc.progress import Progress
from zsc.prompts import POOLINGS, ClassPrompts, advice_on, as_prompts
from zsc.scoring import TIE, ClassMismatchError, Match, class_weights, match_by, score_classes, to_proba

Labelled = ImageDataset | ImageEmbeddings
Pictures = Labelled | Sequence[ImageSource]
_tell = cache(logging.getLogger("zsc").warning)  # each sentence once


class ZeroShotClassifier:
    """Classify pictures by how near they are to sentences.

    Parameters
    ----------
    prompts
        A `ClassPrompts`; or K texts, each a class and its only prompt, used as they are; or a mapping of class name to
        prompt or prompts. `advice` says what is known to go wrong with them.
    model
        An encoder, or a name for `load_model`; "auto" chooses what is on this machine and downloads nothing.
    pooling
        "mean", "max", "sum" or "chils" (see `zsc.scoring`); None: the prompts' own rule, else "mean".
    truncate, store
        Whether to cut prompts longer than the model can read, else refused; a folder that keeps their embeddings.
    multi_label
        Whether a picture may show several of the classes, or none: each is a yes or a no by itself, also a class alone.
    thresholds
        With `multi_label`: the scores from which on the answer is yes; one number, or K, or what `fit_thresholds`
        returned. Scores are a sigmoid head's probabilities (None: 0.5), else cosines (None: call `fit_thresholds`).

    Examples
    --------
    >>> clf = ZeroShotClassifier(["a cat", "a cup of coffee"], model="conse")
    >>> from zsc import load_dataset
    >>> cat = dict(zip(load_dataset("samples").class_names, load_dataset("samples").paths))["cat"]
    >>> clf.classify(cat)["y_pred_token"][0]
    'a cat'
    """

    def __init__(
        self, prompts: ClassPrompts | Iterable[str] | Mapping[str, str | Sequence[str]], model: Encoder | str = "auto",
        *,
        pooling: str | None = None, truncate: bool = False, multi_label: bool = False,
        thresholds: Evaluation | float | Sequence[float] | None = None, store: str | Path | None = None,
    ) -> None:  # fmt: skip
        self.prompts = as_prompts(prompts)
        self.multi_label = multi_label
        check_class_names(self.prompts.class_names, low=1 if multi_label else 2)
        self.pooling = check_choice(self.prompts.pooling or "mean" if pooling is None else pooling, POOLINGS, "pooling")
        self.model = as_encoder(model)
        self.text_embeddings = frozen(embed_texts(self.model, self.prompts.prompts, store, truncate=truncate))
        if self.pooling == "mean":
            self.class_weights  # noqa: B018  # prompts that cancel each other out are refused here
        self.thresholds = self._as_thresholds(thresholds)

    def _as_thresholds(self, given: Any) -> NDArray[np.float64] | None:
        """Return one threshold per class, shape (K,); those that were chosen for another model are refused."""
        if given is not None and not self.multi_label:
            raise ValueError("thresholds are for classes that do not exclude each other; pass multi_label=True, too.")
        if isinstance(given, Evaluation):
            its, own = given.made_by, (self.model.fingerprint, list(self.prompts.texts.items()), self.pooling)
            if (its.fingerprint, list(its.prompts.items()), its.pooling) != own:
                told = f"the thresholds were chosen for {its.model} ({its.fingerprint}), its prompts and pooling"
                raise ValueError(f"{told}, not for these of {self.model.name} ({own[0]}); call fit_thresholds again.")
            given = given.thresholds
        if given is None and self.multi_label and self.model.info.head == "sigmoid":
            given = 0.5
        return None if given is None else check_thresholds(given, len(self.class_names))

    @property
    def class_names(self) -> list[str]:
        """The K names: the order of all columns and of the indices `y_true` and `y_pred`."""
        return list(self.prompts.class_names)

    @cached_property
    def class_weights(self) -> NDArray[np.float32]:
        """The mean text embedding of each class, normalised again: shape (K, D), read-only."""
        return frozen(class_weights(self.text_embeddings, self.prompts))

    @property
    def advice(self) -> pd.DataFrame:
        """What is known to go wrong with these prompts and this model, one row per warning; see `check_prompts`."""
        return self._advice.copy()

    @cached_property
    def _advice(self) -> pd.DataFrame:
        return advice_on(self.prompts, self.model)

    def embed(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: Progress = False
    ) -> ImageEmbeddings:
        """Embed pictures with the classifier's model; embeddings of the same model pass through.

        `pictures` is a data set, embeddings, or a list for `zsc.open_image`; the rest is as in `zsc.embed_images`.
        """
        check_choice(on_error, ON_ERROR, "on_error")
        if not isinstance(pictures, ImageEmbeddings):
            if not isinstance(pictures, ImageDataset):
                sources = as_sources(pictures)
                pictures = ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
            return embed_images(self.model, pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        check_made_by(pictures, self.model)
        return pictures.without_failed() if on_error == "skip" else pictures

    def _scores(self, embeddings: ImageEmbeddings) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        texts, scale = self.text_embeddings, self.model.logit_scale
        return score_classes(embeddings.values, texts, self.prompts, pooling=self.pooling, logit_scale=scale)

    def predict_scores(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures: pooled cosines, before the logit scale, shape (N, K)."""
        return self._scores(self.embed(pictures))[0]

    def predict_logits(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures: `predict_scores` times the model's logit scale, shape (N, K)."""
        return self.predict_scores(pictures) * np.float32(self.model.logit_scale)

    def familiarity(self, pictures: Pictures) -> pd.DataFrame:
        """Score how near pictures are to any of the classes, low for strangers: see `zsc.calibration.familiarity`."""
        self._check_cosines("familiarity")
        return familiarity(self.predict_scores(pictures), self.model.logit_scale)

    def is_strange(self, pictures: Pictures, limit: Sequence[Any] | None) -> NDArray[np.bool_]:
        """Tell whose score of `familiarity` is below a limit, such as ("mcm", 0.35), shape (N,); nobody's without."""
        return self.familiarity(pictures)[limit[0]].to_numpy() < limit[1] if limit else np.zeros(len(pictures), bool)

    def predict_proba(self, pictures: Pictures, kind: str | None = None) -> NDArray[np.float64]:
        """Compute probabilities, shape (N, K).

        "softmax": relative to these prompts. "sigmoid": of each class by itself; a model that was not trained so is
        refused. None: "sigmoid" with `multi_label`, else "softmax".
        """
        kind = check_choice(kind or ("sigmoid" if self.multi_label else "softmax"), ("softmax", "sigmoid"), "kind")
        if kind == "softmax":
            check_class_names(self.class_names)  # of one class it is 1 whatever the picture shows
            return to_proba(self.predict_scores(pictures), self.model.logit_scale)
        if self.model.info.logit_bias is None:
            ways = "use kind='softmax', or ZeroShotClassifier(..., multi_label=True) and fit_thresholds"
            raise ValueError(f"{self.model.name} was trained with a softmax, not with sigmoids; {ways}.")
        self._check_cosines("a sigmoid")
        return to_proba(self.predict_scores(pictures), self.model.logit_scale, self.model.info.logit_bias)

    def _check_cosines(self, what: str) -> None:
        if self.pooling not in ("mean", "max"):
            raise ValueError(f"pooling={self.pooling!r} gives no cosines for {what}; use pooling='mean' or 'max'.")

    def answer(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: Progress = False
    ) -> Evaluation:
        """Classify pictures, with or without labels; the arguments are those of `embed`.

        Labels become indices into this classifier's `class_names`, whatever order the data set has them in, and -1
        where it has other classes; `made_by.matched_by` says how they were matched.
        """
        self._check_thresholds()
        embeddings = self.embed(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        shape = (len(embeddings), len(self.class_names))[: 1 + self.multi_label]
        labels, matched_by = np.full(shape, UNLABELLED), ""
        if (embeddings.labels != UNLABELLED).any():
            try:
                labels, match = self._tied(embeddings.labels, embeddings.class_names)
                match.tell()
                matched_by = match.by
            except ClassMismatchError as error:
                matched_by = f"not at all: {error}"
        about = self.class_names, embeddings.paths, self._made_by(embeddings, matched_by)
        if self.multi_label:
            return Evaluation(labels, self._yes_scores(embeddings), *about, thresholds=self.thresholds)
        scores, deciding = self._scores(embeddings)
        tokens = np.array(self.prompts.prompts, dtype=object)[deciding]
        return Evaluation(labels, to_proba(scores, self.model.logit_scale), *about, tokens)

    def _check_thresholds(self) -> None:
        if self.multi_label and self.thresholds is None:
            ways = "call fit_thresholds with labelled pictures, or pass thresholds"
            raise ValueError(f"{self.model.name} gives cosines, of which none means yes by itself; {ways}.")

    def _yes_scores(self, embeddings: ImageEmbeddings) -> NDArray[Any]:
        """Score each class by itself, (N, K): by sigmoids where the model was trained with them, else by cosines."""
        is_sigmoid = self.model.info.head == "sigmoid"
        return self.predict_proba(embeddings) if is_sigmoid else self.predict_scores(embeddings)

    def _tied(self, labels: NDArray[Any], names: Sequence[str]) -> tuple[NDArray[Any], Match]:
        """Tie labels to this classifier's classes; with `multi_label` the data set may have more of them."""
        if self.multi_label:
            try:
                match = match_by(self.class_names, names)
            except ClassMismatchError:
                theirs = f"the data set's {short(list(names))}; give it the same names: {TIE}"
                told = f"the classifier's classes {short(self.class_names)} are not among {theirs}."
                raise ClassMismatchError(told) from None
            if labels.ndim == 2:
                return labels[:, match.index], match
            labels = labels[:, None]
            return np.where(labels == UNLABELLED, UNLABELLED, labels == match.index), match
        if labels.ndim == 2:
            ways = "make the classifier with multi_label=True, or give each picture one label"
            raise ClassMismatchError(f"a picture may have several of the classes {short(list(names))}; {ways}.")
        match = match_by(names, self.class_names)
        return np.where(labels == UNLABELLED, UNLABELLED, match.index[labels]), match

    def fit_thresholds(
        self, pictures: Labelled, precision: float = 0.9, *, confidence: float = 0.95, share: float = 0.5, seed: int = 0
    ) -> Evaluation:
        """Choose `thresholds` on one part of labelled pictures, and judge them on the other.

        Each class gets the lowest threshold whose yeses are right as often as `precision` says, or an infinite one: see
        `zsc.calibration.choose_threshold`. `share` of the pictures choose; the result is that of the others.
        """
        if not self.multi_label:
            raise ValueError("thresholds are for classes that do not exclude each other; pass multi_label=True.")
        embeddings = self._labelled(pictures).without_failed()
        labels, _ = self._tied(embeddings.labels, embeddings.class_names)
        n, scores = len(embeddings), self._yes_scores(embeddings)
        order = np.random.default_rng(check_count(seed, "seed", low=0)).permutation(n)
        chosen, held_out = np.split(order, [round(n * check_fraction(share, "share"))])
        if not len(chosen) or not len(held_out):
            raise ValueError(f"{n} pictures leave no part to choose on, or none to judge; pass more labelled pictures.")
        columns = zip(labels[chosen].T, scores[chosen].T, strict=True)
        self.thresholds = self._as_thresholds([choose_threshold(*c, precision, confidence=confidence) for c in columns])
        judged, part = self.answer(embeddings.select(np.sort(held_out))), f"held out: {len(held_out)} of {n} pictures"
        other = {**judged.made_by.other, "wished_precision": precision, "confidence": confidence}
        return replace(judged, made_by=replace(judged.made_by, part=part, other=other))

    def classify(self, image: ImageSource, y_true: int | None = None, *, on_error: str = "raise") -> pd.DataFrame:
        """Classify one picture, whose label may be known: a row of image, y_true, y_pred, y_pred_token, proba."""
        label = np.array([UNLABELLED if y_true is None else y_true])
        one = ImageDataset([image], label, self.class_names, name="picture")
        table = self.predict(one, on_error=on_error)
        return table if self.multi_label else table[list(COLUMNS)]

    def predict(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: Progress = False
    ) -> pd.DataFrame:
        """Classify pictures, as `answer` does, and return its `Evaluation.table`: one row per picture."""
        return self.answer(pictures, batch_size=batch_size, on_error=on_error, progress=progress).table

    def validate(
        self, dataset: Labelled, max_images: int | None = None, *, batch_size: int = 32, on_error: str = "raise"
    ) -> tuple[float, pd.DataFrame]:
        """Classify the first `max_images` labelled pictures, or all, with a bar, as the Glasses tutorial does.

        Returns the accuracy, in [0, 1], of those that could be opened, and the table of `predict`.
        """
        answer = self._answer_labelled(dataset, max_images, batch_size=batch_size, on_error=on_error, progress=True)
        return answer.select(~answer.failed).accuracy, answer.table

    def evaluate(
        self, pictures: Labelled, *, batch_size: int = 32, on_error: str = "raise", progress: Progress = False
    ) -> Evaluation:
        """Classify labelled pictures and judge the result.

        The class names of the pictures must be the classifier's, in any order and spelling, or stand for them one by
        one. With `on_error` "skip" or "record" those that cannot be opened are left out, and the result says how many.
        ClassMismatchError says that it is not clear which class is which, ValueError that a picture has no label.
        """
        answer = self._answer_labelled(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        return answer.select(~answer.failed)

    def _answer_labelled(self, pictures: Any, max_images: int | None = None, **options: Any) -> Evaluation:
        self._check_thresholds()  # before the work
        return self.answer(self._labelled(pictures, max_images, **options))

    def _labelled(self, pictures: Any, max_images: int | None = None, **options: Any) -> ImageEmbeddings:
        """Embed the first pictures; refuse what cannot be judged, before the work of embedding it."""
        if not isinstance(pictures, (ImageDataset, ImageEmbeddings)):
            raise TypeError(f"a {type(pictures).__name__} has no labels; pass an ImageDataset, or use predict.")
        if not len(pictures):
            raise ValueError("there are no pictures to judge; pass at least one with its label.")
        if missing := int((pictures.labels == UNLABELLED).reshape(len(pictures), -1).any(axis=1).sum()):
            raise ValueError(f"{missing} of {len(pictures)} pictures have no label; use predict for them.")
        self._tied(pictures.labels, pictures.class_names)
        embeddings = self.embed(pictures if max_images is None else pictures.head(max_images), **options)
        if embeddings.failed.all():
            reason = "".join(f"; first: {text}" for text in embeddings.failures["error"].head(1))
            raise ValueError(f"none of the {_left_out(embeddings)} pictures can be opened{reason}")
        return embeddings

    def _made_by(self, embeddings: ImageEmbeddings, matched_by: str) -> Provenance:
        left_out, info = _left_out(embeddings), self.model.info
        is_file = isinstance(next(iter(embeddings.paths), None), (str, Path))
        if info.name == "toy" and is_file and not embeddings.dataset.startswith("drawn-"):
            _tell("the model toy knows only the drawings of this project; on anything else it guesses")
        other: dict[str, Any] = {"left_out_examples": embeddings.failures["error"].head(3).tolist()} if left_out else {}
        if self.multi_label:
            other["scores"] = "cosine" if info.logit_bias is None else "sigmoid"
        same = {name: getattr(info, name) for name in ("library", "device", "engine", "weights_sha256", "logit_scale")}
        same |= {name: getattr(embeddings, name) for name in ("dataset", "data_digest")}
        return Provenance(
            model=info.name,
            precision=", ".join(filter(None, (info.precision, info.loss))),
            fingerprint=self.model.fingerprint,
            prompts=self.prompts.texts,
            prompts_name=self.prompts.name,
            pooling=self.pooling,
            matched_by=matched_by,
            left_out=left_out,
            advice=self._advice["advice"].tolist(),
            other=other,
            **same,
            **environment(),
        )

    def export(self, path: str | Path) -> Path:
        """Write an ONNX file from pixels to probabilities, with these classes baked in; see `zsc.models.export`."""
        from zsc.models.export import export_classifier

        return export_classifier(self, path)

    def __repr__(self) -> str:
        return f"ZeroShotClassifier({len(self.class_names)} classes, {len(self.prompts)} prompts, {self.model.name})"


def _left_out(embeddings: ImageEmbeddings) -> int:
    """Count the pictures that have no embedding: those whose rows are empty, or those that were skipped."""
    return int(embeddings.failed.sum()) or len(embeddings.failures)
