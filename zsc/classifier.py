"""ZeroShotClassifier: class names or prompts in, predictions out, without training.

The text is encoded once, when the classifier is made; pictures go through in batches. `answer` is the one way through;
`predict`, `classify`, `validate` and `evaluate` show parts of its `Evaluation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zsc.checks import check_choice, check_same_length, frozen
from zsc.datasets import ImageDataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import ON_ERROR, ImageEmbeddings, check_made_by, embed_images
from zsc.evaluation import COLUMNS, Evaluation, Provenance, environment
from zsc.images import ImageSource, as_sources
from zsc.models import as_encoder
from zsc.prompts import ClassPrompts, as_prompts, check_pooling, check_prompts
from zsc.scoring import ClassMismatchError, class_weights, match_by, score_classes, to_proba

if TYPE_CHECKING:
    from zsc.models import Encoder

Pictures = ImageDataset | ImageEmbeddings | Sequence[ImageSource]


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
        How several prompts of a class count together: "mean", "max", "sum" or "chils" (see `zsc.scoring`). None means
        the rule that the prompts were published with, else "mean".
    truncate
        Cut prompts that are longer than the model can read, instead of refusing them.
    text_embeddings
        Shape (M, D), one row per prompt, where they are known already; the attribute of this name is read-only.

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
        text_embeddings: NDArray[np.float32] | None = None,
    ) -> None:
        self.prompts = as_prompts(prompts)
        check_pooling(pooling, optional=True)
        self.pooling = pooling or self.prompts.pooling or "mean"
        self.model = as_encoder(model)
        if text_embeddings is None:
            text_embeddings = self.model.encode_texts(self.prompts.prompts, truncate=truncate)
        self.text_embeddings = frozen(text_embeddings)
        check_same_length(text_embeddings=self.text_embeddings, prompts=self.prompts)
        if self.pooling == "mean":
            self.class_weights  # noqa: B018  # prompts that cancel each other out are refused here

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
            How many pictures go through the encoder at once.
        on_error
            What to do with a picture that cannot be opened: "raise" ends the run, "skip" leaves it out, "record" keeps
            its row, without an answer. The result says how many there are.
        progress
            Show a bar with the rate and the time left.
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
        scale = self.model.logit_scale
        return score_classes(
            embeddings.values, self.text_embeddings, self.prompts, pooling=self.pooling, logit_scale=scale
        )

    def predict_scores(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures: pooled cosines, before the logit scale, shape (N, K)."""
        return self._scores(self.embed(pictures))[0]

    def predict_logits(self, pictures: Pictures) -> NDArray[np.float32]:
        """Score pictures: `predict_scores` times the model's logit scale, shape (N, K)."""
        return self.predict_scores(pictures) * np.float32(self.model.logit_scale)

    def predict_proba(self, pictures: Pictures) -> NDArray[np.float64]:
        """Compute probabilities, shape (N, K): relative to these prompts, rows sum to 1."""
        return to_proba(self.predict_scores(pictures), self.model.logit_scale)

    def answer(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: bool = False
    ) -> Evaluation:
        """Classify pictures, with or without labels; the arguments are those of `embed`.

        The result has one row per picture. Labels are indices into this classifier's `class_names`, whatever order the
        data set has them in, and -1 where it has other classes; `made_by.matched_by` says how they were matched.
        """
        embeddings = self.embed(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        labels, matched_by = embeddings.labels, ""
        if (labels != UNLABELLED).any():
            try:
                match = match_by(embeddings.class_names, self.class_names)
                match.tell()
                labels, matched_by = np.where(labels == UNLABELLED, UNLABELLED, match.index[labels]), match.by
            except ClassMismatchError as error:
                labels, matched_by = np.full(len(embeddings), UNLABELLED), f"not at all: {error}"
        scores, deciding = self._scores(embeddings)
        tokens = np.array(self.prompts.prompts, dtype=object)[deciding]
        proba, made_by = to_proba(scores, self.model.logit_scale), self._made_by(embeddings, matched_by)
        return Evaluation(labels, proba, self.class_names, embeddings.paths, made_by, tokens)

    def classify(self, image: ImageSource, y_true: int | None = None, *, on_error: str = "raise") -> pd.DataFrame:
        """Classify one picture, whose label is `y_true` if it is known.

        The table has one row: image, y_true, y_pred (index of the class), y_pred_token (its best prompt), proba.
        """
        label = np.array([UNLABELLED if y_true is None else y_true])
        one = ImageDataset([image], label, self.class_names, name="picture")
        return self.predict(one, on_error=on_error)[list(COLUMNS)]

    def predict(
        self, pictures: Pictures, *, batch_size: int = 32, on_error: str = "raise", progress: bool = False
    ) -> pd.DataFrame:
        """Classify pictures, as `answer` does, and return its `table`: one row per picture.

        Columns image, y_true, y_pred, y_pred_token, proba, and proba_<class> for each class; see `Evaluation.table`.
        """
        return self.answer(pictures, batch_size=batch_size, on_error=on_error, progress=progress).table

    def validate(
        self,
        dataset: ImageDataset | ImageEmbeddings,
        max_images: int | None = None,
        *,
        batch_size: int = 32,
        on_error: str = "raise",
    ) -> tuple[float, pd.DataFrame]:
        """Classify the first pictures of a labelled data set, with a progress bar, as the Glasses tutorial does.

        Returns the accuracy, in [0, 1], of those pictures that could be opened, and the table of `predict`. The
        pictures are those of `evaluate`, all where `max_images` is None; the other arguments are those of `embed`.
        """
        answer = self._answer_labelled(dataset, max_images, batch_size=batch_size, on_error=on_error, progress=True)
        return answer.select(~answer.failed).accuracy, answer.table

    def evaluate(
        self,
        pictures: ImageDataset | ImageEmbeddings,
        *,
        batch_size: int = 32,
        on_error: str = "raise",
        progress: bool = False,
    ) -> Evaluation:
        """Classify labelled pictures and judge the result.

        The class names of the pictures must be the classifier's, in any order and spelling, or stand for them one by
        one. The other arguments are those of `embed`; "skip" and "record" both leave out the pictures that cannot be
        opened, and `made_by` and `summary` of the result say how many.

        Raises ClassMismatchError if it is not clear which class is which, and ValueError if a picture has no label, or
        no picture can be opened.
        """
        answer = self._answer_labelled(pictures, batch_size=batch_size, on_error=on_error, progress=progress)
        return answer.select(~answer.failed)

    def _answer_labelled(self, pictures: Any, max_images: int | None = None, **options: Any) -> Evaluation:
        """Classify the first pictures; refuse what cannot be judged, before the work of embedding it."""
        if not isinstance(pictures, (ImageDataset, ImageEmbeddings)):
            raise TypeError(f"a {type(pictures).__name__} has no labels; pass an ImageDataset, or use predict.")
        if not len(pictures):
            raise ValueError("there are no pictures to judge; pass at least one with its label.")
        if missing := int((np.asarray(pictures.labels) == UNLABELLED).sum()):
            raise ValueError(f"{missing} of {len(pictures)} pictures have no label; use predict for them.")
        match_by(pictures.class_names, self.class_names)
        embeddings = self.embed(pictures if max_images is None else pictures.head(max_images), **options)
        if embeddings.failed.all():
            reason = "".join(f"; first: {text}" for text in embeddings.failures["error"].head(1))
            raise ValueError(f"none of the {_left_out(embeddings)} pictures can be opened{reason}")
        return self.answer(embeddings)

    def _made_by(self, embeddings: ImageEmbeddings, matched_by: str) -> Provenance:
        left_out, info = _left_out(embeddings), self.model.info
        return Provenance(
            model=info.name,
            library=info.library,
            precision=", ".join(filter(None, (info.precision, info.loss))),
            device=info.device,
            engine=info.engine,
            fingerprint=self.model.fingerprint,
            weights_sha256=info.weights_sha256,
            logit_scale=self.model.logit_scale,
            dataset=embeddings.dataset,
            data_digest=embeddings.data_digest,
            prompts=self.prompts.texts,
            prompts_name=self.prompts.name,
            pooling=self.pooling,
            matched_by=matched_by,
            left_out=left_out,
            advice=self._advice["advice"].tolist(),
            other={"left_out_examples": embeddings.failures["error"].head(3).tolist()} if left_out else {},
            **environment(),
        )

    def __repr__(self) -> str:
        return f"ZeroShotClassifier({len(self.class_names)} classes, {len(self.prompts)} prompts, {self.model.name})"


def _left_out(embeddings: ImageEmbeddings) -> int:
    """Count the pictures that have no embedding: those whose rows are empty, or those that were skipped."""
    return int(embeddings.failed.sum()) or len(embeddings.failures)
