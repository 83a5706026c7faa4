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

from zsc.datasets import ImageDataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.evaluation import Evaluation, evaluate
from zsc.images import ImageSource, as_sources
from zsc.matching import ClassMismatchError, match_classes
from zsc.prompts import ClassPrompts, as_prompts, check_pooling
from zsc.provenance import environment
from zsc.results import COLUMNS, best_prompts, result_table
from zsc.scoring import class_weights, cosine_scores, pooled_scores, to_proba

if TYPE_CHECKING:
    from zsc.models import Encoder

Pictures = ImageDataset | ImageEmbeddings | Sequence[ImageSource]


class ZeroShotClassifier:
    """Classify pictures by how near they are to sentences.

    Parameters
    ----------
    prompts
        A `ClassPrompts`; or K texts, each a class and its only prompt, used as they are; or a mapping of class name to
        prompt or prompts.
    model
        An encoder, or a name for `load_model`.
    pooling
        How several prompts of a class count together: "mean", "max", "sum" or "chils" (see `zsc.scoring`). None takes
        the rule the prompts were published with, else "mean".
    truncate
        Cut prompts that are longer than the model can read, instead of refusing them.

    Attributes
    ----------
    class_names
        K names: the order of all columns and of the indices `y_true` and `y_pred`.
    text_embeddings
        Shape (M, D), one row a prompt.

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
        model: Encoder | str = "ViT-B/32",
        *,
        pooling: str | None = None,
        truncate: bool = False,
    ) -> None:
        self.prompts = as_prompts(prompts)
        check_pooling(pooling, optional=True)
        self.pooling = pooling or self.prompts.pooling or "mean"
        self.model = _load(model)
        self.class_names = list(self.prompts.class_names)
        self.text_embeddings = self.model.encode_texts(self.prompts.prompts, truncate=truncate)

    @cached_property
    def class_weights(self) -> np.ndarray:
        """The mean text embedding of each class, normalised again: shape (K, D)."""
        return class_weights(self.text_embeddings, self.prompts)

    def embed(self, pictures: Pictures, *, batch_size: int = 32, progress: bool = False) -> ImageEmbeddings:
        """Embed pictures with the classifier's model; embeddings of the same model pass through."""
        if not isinstance(pictures, ImageEmbeddings):
            dataset = pictures if isinstance(pictures, ImageDataset) else _unlabelled(pictures)
            return embed_images(self.model, dataset, batch_size=batch_size, progress=progress)
        if pictures.fingerprint != self.model.fingerprint:
            raise ValueError(
                f"the embeddings were made by {pictures.model} ({pictures.fingerprint}), the classifier uses "
                f"{self.model.name} ({self.model.fingerprint}); embed the pictures with the same model."
            )
        return pictures

    def predict_scores(self, pictures: Pictures) -> np.ndarray:
        """Score pictures: pooled cosines, shape (N, K)."""
        return self._scores(self.embed(pictures))

    def predict_proba(self, pictures: Pictures) -> np.ndarray:
        """Give probabilities, shape (N, K): relative to these prompts, rows sum to 1."""
        return to_proba(self.predict_scores(pictures), self.model.logit_scale)

    def classify(self, image: ImageSource, y_true: int | None = None) -> pd.DataFrame:
        """Classify one picture.

        Parameters
        ----------
        image
            Anything that `zsc.open_image` opens.
        y_true
            Its label, where it is known.

        Returns
        -------
        pd.DataFrame
            One row: image, y_true, y_pred (index of the class), y_pred_token (its best prompt), proba.
        """
        label = UNLABELLED if y_true is None else y_true
        one = ImageDataset([image], np.array([label]), self.class_names, name="picture")
        return self.predict(one)[list(COLUMNS)]

    def predict(self, pictures: Pictures, *, batch_size: int = 32, progress: bool = False) -> pd.DataFrame:
        """Classify many pictures.

        Returns
        -------
        pd.DataFrame
            A row a picture: the columns of `classify`, then proba_<class> for each class. `y_true` and `y_pred` are
            indices into this classifier's `class_names`, whatever order the data set has them in; `y_true` is <NA>
            where a picture has no label, or the data set has other classes. A picture that failed keeps its row, with
            <NA> for its prediction. `attrs` says what made the table.
        """
        embeddings = self.embed(pictures, batch_size=batch_size, progress=progress)
        proba = to_proba(self._scores(embeddings), self.model.logit_scale)
        tokens = best_prompts(embeddings.values, self.text_embeddings, self.prompts, proba.argmax(axis=1))
        try:
            y_true = self._labels(embeddings)
        except ClassMismatchError:
            y_true = np.full(len(embeddings), UNLABELLED)
        table = result_table(embeddings.paths, y_true, proba, tokens, self.class_names)
        table.attrs |= self._about(embeddings) | {"class_names": self.class_names}
        return table

    def validate(
        self, dataset: ImageDataset | ImageEmbeddings, max_images: int | None = None, *, batch_size: int = 32
    ) -> tuple[float, pd.DataFrame]:
        """Classify the first pictures of a labelled data set, with a progress bar, as the Glasses tutorial does.

        Parameters
        ----------
        dataset
            Labelled pictures; its class names must be the classifier's, in any order, or stand for them one by one.
        max_images
            How many of the first pictures; None takes all.
        batch_size
            Pictures that go through the encoder at once.

        Returns
        -------
        tuple
            The accuracy in [0, 1], and the table of `predict`.
        """
        self._check_labelled(dataset)
        part = dataset if max_images is None else dataset.head(max_images)
        table = self.predict(self.embed(part, batch_size=batch_size, progress=True).without_failed())
        return float((table["y_true"] == table["y_pred"]).mean()), table

    def evaluate(
        self, pictures: ImageDataset | ImageEmbeddings, *, batch_size: int = 32, progress: bool = False
    ) -> Evaluation:
        """Classify labelled pictures and judge the result."""
        self._check_labelled(pictures)
        embeddings = self.embed(pictures, batch_size=batch_size, progress=progress).without_failed()
        proba = to_proba(self._scores(embeddings), self.model.logit_scale)
        about = self._about(embeddings) | {"data_digest": embeddings.data_digest} | environment()
        return evaluate(self._labels(embeddings), proba, self.class_names, images=embeddings.paths, about=about)

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

    def _check_labelled(self, pictures: ImageDataset | ImageEmbeddings) -> None:
        """Refuse what cannot be judged, before the work of embedding it."""
        if not isinstance(pictures, (ImageDataset, ImageEmbeddings)):
            raise TypeError(f"a {type(pictures).__name__} has no labels; pass an ImageDataset, or use predict.")
        missing = int((np.asarray(pictures.labels) == UNLABELLED).sum())
        if missing or not len(pictures):
            raise ValueError(f"{missing} of {len(pictures)} pictures have no label; use predict for them.")
        self._labels(pictures)

    def _labels(self, pictures: ImageDataset | ImageEmbeddings) -> np.ndarray:
        """Give the labels as indices into this classifier's class names, shape (N,); -1 stays -1."""
        if (pictures.labels == UNLABELLED).all():
            return pictures.labels
        position = match_classes(pictures.class_names, self.class_names)  # (K,)
        return np.where(pictures.labels == UNLABELLED, UNLABELLED, position[pictures.labels])

    def _about(self, embeddings: ImageEmbeddings) -> dict[str, Any]:
        info = self.model.info
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
        }

    def __repr__(self) -> str:
        return f"ZeroShotClassifier({len(self.class_names)} classes, {len(self.prompts)} prompts, {self.model.name})"


def _load(model: Encoder | str) -> Encoder:
    if isinstance(model, str):
        from zsc.models import load_model

        return load_model(model)
    return model


def _unlabelled(pictures: Any) -> ImageDataset:
    sources = as_sources(pictures)
    return ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
