"""ZeroShotClassifier: class names or prompts in, predictions out, without training.

The text is encoded once, when the classifier is made; pictures go through in batches. Results carry the tutorial's
columns: image, y_true, y_pred, y_pred_token, proba.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.checks import check_choice, frozen
from zsc.datasets import ImageDataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.embeddings.embedded import ON_ERROR
from zsc.evaluation import Evaluation, evaluate
from zsc.images import ImageSource, as_sources
from zsc.matching import ClassMismatchError, Match, match_by
from zsc.prompts import ClassPrompts, as_prompts, check_pooling, check_prompts
from zsc.provenance import environment
from zsc.results import COLUMNS, best_prompts, result_table
from zsc.scoring import class_weights, cosine_scores, pooled_scores, to_proba

if TYPE_CHECKING:
    from zsc.models import Encoder

Pictures = ImageDataset | ImageEmbeddings | Sequence[ImageSource]
EXAMPLES = 3  # of pictures that were left out, with the reason


class ZeroShotClassifier:
    """Classify pictures by how near they are to sentences.

    Parameters
    ----------
    prompts
        A `ClassPrompts`; or K texts, each a class and its only prompt, used as they are; or a mapping of class name to
        prompt or prompts. `advice` says what is known to go wrong with them.
    model
        An encoder, or a name for `load_model`; "auto" takes what is on this machine and downloads nothing.
    pooling
        How several prompts of a class count together: "mean", "max", "sum" or "chils" (see `zsc.scoring`). None takes
        the rule the prompts were published with, else "mean".
    truncate
        Cut prompts that are longer than the model can read, instead of refusing them.

    Attributes
    ----------
    text_embeddings
        Shape (M, D), one row per prompt, read-only.

    Examples
    --------
    >>> clf = ZeroShotClassifier(["a cat", "a cup of coffee"], model="conse")
    >>> from zsc import load_dataset
    >>> cat = dict(zip(load_dataset("samples").class_names, load_dataset("samples").paths))["cat"]
    >>> clf.classify(cat)["y_pred_token"][0]
    'a cat'
    """

    def __init__(
        self,
        prompts: ClassPrompts | Iterable[str] | Mapping[str, str | Sequence[str]],
        model: Encoder | str = "auto",
        *,
        pooling: str | None = None,
        truncate: bool = False,
    ) -> None:
        self.prompts = as_prompts(prompts)
        check_pooling(pooling, optional=True)
        self.pooling = pooling or self.prompts.pooling or "mean"
        self.model = _load(model)
        self.text_embeddings = frozen(self.model.encode_texts(self.prompts.prompts, truncate=truncate))
        if self.pooling == "mean":
            self.class_weights  # noqa: B018  # prompts that cancel each other out are refused here

    @property
    def class_names(self) -> list[str]:
        """The K names: the order of all columns and of the indices `y_true` and `y_pred`."""
        return list(self.prompts.class_names)

    @cached_property
    def class_weights(self) -> np.ndarray:
        """The mean text embedding of each class, normalised again: shape (K, D), read-only."""
        return frozen(class_weights(self.text_embeddings, self.prompts))

    @property
    def advice(self) -> pd.DataFrame:
        """What is known to go wrong with these prompts and this model, one row per warning; see `check_prompts`."""
        return self._advice.copy()

    @cached_property
    def _advice(self) -> pd.DataFrame:
        tokenizer = getattr(self.model, "tokenizer", None)
        options = {"count_tokens": tokenizer.count, "limit": tokenizer.limit} if tokenizer is not None else {}
        return check_prompts(self.prompts, **options)

    def embed(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: bool = False
    ) -> ImageEmbeddings:
        """Embed pictures with the classifier's model; embeddings of the same model pass through.

        Parameters
        ----------
        pictures
            A data set, embeddings, or any pictures that `zsc.open_image` opens.
        batch_size
            Pictures that go through the encoder at once.
        on_error
            What a picture that cannot be opened does: "raise" ends the run, "skip" leaves it out, "record" keeps its
            row, without an answer. The result says how many there are.
        progress
            Show a bar with the rate and the time left.
        """
        check_choice(on_error, ON_ERROR, "on_error")
        if not isinstance(pictures, ImageEmbeddings):
            dataset = pictures if isinstance(pictures, ImageDataset) else _unlabelled(pictures)
            return embed_images(self.model, dataset, batch_size=batch_size, on_error=on_error, progress=progress)
        if pictures.fingerprint != self.model.fingerprint:
            raise ValueError(
                f"the embeddings were made by {pictures.model} ({pictures.fingerprint}), the classifier uses "
                f"{self.model.name} ({self.model.fingerprint}); embed the pictures with the same model."
            )
        return pictures.without_failed() if on_error == "skip" else pictures

    def predict_scores(self, pictures: Pictures) -> np.ndarray:
        """Score pictures: pooled cosines, shape (N, K)."""
        return self._scores(self.embed(pictures))

    def predict_proba(self, pictures: Pictures) -> np.ndarray:
        """Give probabilities, shape (N, K): relative to these prompts, rows sum to 1."""
        return to_proba(self.predict_scores(pictures), self.model.logit_scale)

    def classify(self, image: ImageSource, y_true: int | None = None, *, on_error: str = "raise") -> pd.DataFrame:
        """Classify one picture.

        Parameters
        ----------
        image
            Anything that `zsc.open_image` opens.
        y_true
            Its label, where it is known.
        on_error
            As in `embed`.

        Returns
        -------
        pd.DataFrame
            One row: image, y_true, y_pred (index of the class), y_pred_token (its best prompt), proba.
        """
        label = UNLABELLED if y_true is None else y_true
        one = ImageDataset([image], np.array([label]), self.class_names, name="picture")
        return self.predict(one, on_error=on_error)[list(COLUMNS)]

    def predict(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Classify many pictures.

        Parameters
        ----------
        pictures, batch_size, on_error, progress
            As in `embed`.

        Returns
        -------
        pd.DataFrame
            One row per picture: the columns of `classify`, then proba_<class> for each class. `y_true` and `y_pred` are
            indices into this classifier's `class_names`, whatever order the data set has them in; `y_true` is <NA>
            where a picture has no label, or the data set has other classes. A picture that failed and was recorded
            keeps its row, with <NA> for its prediction. `attrs` says what made the table, how many pictures have no
            answer (left_out) and how the classes were matched (matched_by: "name", "position", or why not).
        """
        embeddings = self.embed(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        proba = to_proba(self._scores(embeddings), self.model.logit_scale)
        tokens = best_prompts(embeddings.values, self.text_embeddings, self.prompts, proba.argmax(axis=1))
        labels, matched_by = embeddings.labels, ""
        if (labels != UNLABELLED).any():
            try:
                match = self._match(embeddings)
                labels, matched_by = _translated(labels, match), match.by
                match.tell()
            except ClassMismatchError as error:
                labels, matched_by = np.full(len(embeddings), UNLABELLED), f"not at all: {error}"
        table = result_table(embeddings.paths, labels, proba, tokens, self.class_names)
        table.attrs |= self._about(embeddings) | {"class_names": self.class_names, "matched_by": matched_by}
        return table

    def validate(
        self,
        dataset: ImageDataset | ImageEmbeddings,
        max_images: int | None = None,
        *,
        batch_size: int = 32,
        on_error: str = "raise",
    ) -> tuple[float, pd.DataFrame]:
        """Classify the first pictures of a labelled data set, with a progress bar, as the Glasses tutorial does.

        Parameters
        ----------
        dataset
            Labelled pictures; its class names must be the classifier's, in any order, or stand for them one by one.
        max_images
            How many of the first pictures; None takes all.
        batch_size, on_error
            As in `embed`; the accuracy is that of the pictures that could be opened.

        Returns
        -------
        tuple
            The accuracy in [0, 1], and the table of `predict`.
        """
        self._check_labelled(dataset)
        part = dataset if max_images is None else dataset.head(max_images)
        embeddings = self.embed(part, batch_size=batch_size, on_error=on_error, progress=True)
        _refuse_nothing(embeddings)
        table = self.predict(embeddings)
        known = table["y_pred"].notna()
        return float((table["y_true"] == table["y_pred"])[known].mean()), table

    def evaluate(
        self,
        pictures: ImageDataset | ImageEmbeddings,
        *,
        batch_size: int = 32,
        on_error: str = "raise",
        progress: bool = False,
    ) -> Evaluation:
        """Classify labelled pictures and judge the result.

        Parameters
        ----------
        pictures
            Labelled pictures; their class names must be the classifier's, in any order and spelling, or stand for them
            one by one.
        batch_size, on_error, progress
            As in `embed`. Pictures that cannot be opened are not judged: "skip" and "record" leave them out, and
            `about` and `summary` of the result say how many.

        Raises
        ------
        ClassMismatchError
            If it is not clear which class is which.
        ValueError
            If a picture has no label, or none can be opened.
        """
        match = self._check_labelled(pictures)
        embeddings = self.embed(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        _refuse_nothing(embeddings)
        match.tell()
        about = self._about(embeddings) | {"matched_by": match.by, "data_digest": embeddings.data_digest}
        kept = embeddings.without_failed()
        proba = to_proba(self._scores(kept), self.model.logit_scale)
        labels = _translated(kept.labels, match)
        return evaluate(labels, proba, self.class_names, images=kept.paths, about=about | environment())

    def _scores(self, embeddings: ImageEmbeddings) -> np.ndarray:
        if self.pooling == "mean":
            return cosine_scores(embeddings.values, self.class_weights)
        return pooled_scores(
            embeddings.values,
            self.text_embeddings,
            self.prompts,
            pooling=self.pooling,
            logit_scale=self.model.logit_scale,
        )

    def _check_labelled(self, pictures: ImageDataset | ImageEmbeddings) -> Match:
        """Refuse what cannot be judged, before the work of embedding it; say which class is which."""
        if not isinstance(pictures, (ImageDataset, ImageEmbeddings)):
            raise TypeError(f"a {type(pictures).__name__} has no labels; pass an ImageDataset, or use predict.")
        if not len(pictures):
            raise ValueError("there are no pictures to judge; pass at least one with its label.")
        missing = int((np.asarray(pictures.labels) == UNLABELLED).sum())
        if missing:
            raise ValueError(f"{missing} of {len(pictures)} pictures have no label; use predict for them.")
        return self._match(pictures)

    def _match(self, pictures: ImageDataset | ImageEmbeddings) -> Match:
        return match_by(pictures.class_names, self.class_names)

    def _about(self, embeddings: ImageEmbeddings) -> dict[str, Any]:
        info, left_out = self.model.info, _left_out(embeddings)
        examples = {"left_out_examples": embeddings.failures["error"].head(EXAMPLES).tolist()} if left_out else {}
        return {
            "model": info.name,
            "library": info.library,
            "precision": info.precision,
            "device": info.device,
            "fingerprint": self.model.fingerprint,
            "engine": info.engine,
            "logit_scale": self.model.logit_scale,
            "weights_sha256": info.weights_sha256,
            "dataset": embeddings.dataset,
            "prompts": self.prompts.texts,
            "prompts_name": self.prompts.name,
            "pooling": self.pooling,
            "left_out": left_out,
            **examples,
        }

    def __repr__(self) -> str:
        return f"ZeroShotClassifier({len(self.class_names)} classes, {len(self.prompts)} prompts, {self.model.name})"


def _translated(labels: np.ndarray, match: Match) -> np.ndarray:
    """Give a data set's labels as indices into the classifier's class names, shape (N,); -1 stays -1."""
    return np.where(labels == UNLABELLED, UNLABELLED, match.index[labels])


def _left_out(embeddings: ImageEmbeddings) -> int:
    """Count the pictures that have no embedding: those whose rows are empty, or those that were skipped."""
    return int(embeddings.failed.sum()) or len(embeddings.failures)


def _refuse_nothing(embeddings: ImageEmbeddings) -> None:
    if embeddings.failed.all():
        reasons = [f"; first: {text}" for text in embeddings.failures["error"].head(1)]
        raise ValueError(f"none of the {_left_out(embeddings)} pictures can be opened{''.join(reasons)}")


def _load(model: Encoder | str) -> Encoder:
    if isinstance(model, str):
        from zsc.models import load_model

        return load_model(model)
    return model


def _unlabelled(pictures: Any) -> ImageDataset:
    sources = as_sources(pictures)
    return ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
