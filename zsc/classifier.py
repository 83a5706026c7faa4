"""ZeroShotClassifier: class names or prompts in, predictions out, without training.

The text is encoded once, when the classifier is made; pictures go through in batches. Results carry the tutorial's
columns: image, y_true, y_pred, y_pred_token, proba.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.datasets import ImageDataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ImageEmbeddings, embed_images
from zsc.evaluation import Evaluation, evaluate
from zsc.images import ImageSource
from zsc.matching import match_classes
from zsc.prompts import ClassPrompts, check_pooling
from zsc.scoring import class_weights, cosine_scores, pooled_scores, to_proba

if TYPE_CHECKING:
    from zsc.models import Encoder

Pictures = ImageDataset | ImageEmbeddings | Sequence[ImageSource]


class ZeroShotClassifier:
    """Classify pictures by how near they are to sentences.

    Parameters
    ----------
    prompts
        A `ClassPrompts`; or K texts, each a class and its only prompt, used as they are.
    model
        An encoder, or a name for `load_model`.
    pooling
        How several prompts of a class count together: "mean", "max" or "sum" (see `zsc.scoring`). None takes the rule
        the prompts were published with, else "mean".
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
        prompts: ClassPrompts | Sequence[str],
        model: Encoder | str = "ViT-B/32",
        *,
        pooling: str | None = None,
        truncate: bool = False,
    ) -> None:
        if isinstance(prompts, str):
            raise TypeError(f"prompts is the one text {prompts!r}; pass a list of texts, or a ClassPrompts.")
        self.prompts = prompts if isinstance(prompts, ClassPrompts) else _one_text_a_class(prompts)
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
        if isinstance(pictures, ImageEmbeddings):
            if pictures.fingerprint != self.model.fingerprint:
                raise ValueError(
                    f"the embeddings were made by {pictures.model} ({pictures.fingerprint}), the classifier uses "
                    f"{self.model.name} ({self.model.fingerprint}); embed the pictures with the same model."
                )
            return pictures
        if not isinstance(pictures, ImageDataset):
            pictures = _unlabelled(pictures)
        return embed_images(self.model, pictures, batch_size=batch_size, progress=progress)

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
        return self._table(self.embed(one)).iloc[:, :5]

    def predict(self, pictures: Pictures, *, batch_size: int = 32, progress: bool = False) -> pd.DataFrame:
        """Classify many pictures.

        Returns
        -------
        pd.DataFrame
            A row a picture: the columns of `classify`, then proba_<class> for each class. `y_true` and `y_pred` are
            indices into this classifier's `class_names`, whatever order the data set has them in.
        """
        return self._table(self.embed(pictures, batch_size=batch_size, progress=progress))

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
        part = dataset if max_images is None else dataset.head(max_images)
        table = self.predict(part, batch_size=batch_size, progress=True)
        if table["y_true"].isna().any():
            raise ValueError("the data set has pictures without labels; use predict for them.")
        return float((table["y_true"] == table["y_pred"]).mean()), table

    def evaluate(
        self, pictures: ImageDataset | ImageEmbeddings, *, batch_size: int = 32, progress: bool = False
    ) -> Evaluation:
        """Classify labelled pictures and judge the result."""
        embeddings = self.embed(pictures, batch_size=batch_size, progress=progress)
        proba = to_proba(self._scores(embeddings), self.model.logit_scale)
        return evaluate(
            self._labels(embeddings), proba, self.class_names, images=embeddings.paths, about=self._about(embeddings)
        )

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

    def _labels(self, embeddings: ImageEmbeddings) -> np.ndarray:
        """Give the labels as indices into this classifier's class names, shape (N,); -1 stays -1."""
        if (embeddings.labels == UNLABELLED).all():
            return embeddings.labels
        position = match_classes(embeddings.class_names, self.class_names)  # (K,)
        return np.where(embeddings.labels == UNLABELLED, UNLABELLED, position[embeddings.labels])

    def _table(self, embeddings: ImageEmbeddings) -> pd.DataFrame:
        proba = to_proba(self._scores(embeddings), self.model.logit_scale)
        y_pred, y_true = proba.argmax(axis=1), self._labels(embeddings)
        columns = {
            "image": pd.Series(embeddings.paths, dtype=object),
            "y_true": _nullable(y_true),
            "y_pred": y_pred,
            "y_pred_token": self._best_prompts(embeddings, y_pred),
            "proba": proba[np.arange(len(proba)), y_pred],
        }
        table = pd.DataFrame(columns | {f"proba_{c}": proba[:, k] for k, c in enumerate(self.class_names)})
        table.attrs |= self._about(embeddings) | {"class_names": self.class_names}
        return table

    def _best_prompts(self, embeddings: ImageEmbeddings, y_pred: np.ndarray) -> np.ndarray:
        """For each picture the prompt of its predicted class that is nearest to it, shape (N,)."""
        cosines = cosine_scores(embeddings.values, self.text_embeddings)  # (N, M)
        cosines[np.asarray(self.prompts.owners)[None, :] != y_pred[:, None]] = -np.inf
        return np.array(self.prompts.prompts, dtype=object)[cosines.argmax(axis=1)]

    def _about(self, embeddings: ImageEmbeddings) -> dict[str, Any]:
        info = self.model.info
        return {
            "model": info.name,
            "library": info.library,
            "precision": info.precision,
            "device": info.device,
            "fingerprint": self.model.fingerprint,
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


def _nullable(labels: np.ndarray) -> pd.Series:
    """Give labels as a column: int64, or Int64 with <NA> where pictures have no label."""
    missing = labels == UNLABELLED
    return pd.Series(labels, dtype="Int64").mask(missing) if missing.any() else pd.Series(labels)


def _one_text_a_class(texts: Sequence[str]) -> ClassPrompts:
    if len(set(texts)) != len(texts):
        raise ValueError(f"prompts {list(texts)} hold a text twice; each class needs its own.")
    return ClassPrompts.from_texts({text: text for text in texts})


def _unlabelled(pictures: Any) -> ImageDataset:
    sources = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    return ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
