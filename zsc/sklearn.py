"""zsc as scikit-learn estimators: embed pictures, and classify by prompts and labels, in any pipeline or grid search.

The prompts are the prior, the labels the evidence: without labels of a class its prompts decide, with many the labels.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from zsc.checks import short
from zsc.classifier import ZeroShotClassifier
from zsc.datasets import ImageDataset
from zsc.datasets.base import UNLABELLED
from zsc.embeddings import embed_images
from zsc.images import as_sources
from zsc.models import as_encoder
from zsc.probes.labelled import check_numbers
from zsc.scoring import to_proba
from zsc.selection import Candidate, as_candidates

if TYPE_CHECKING:
    from zsc.models import Encoder

_loaded = lru_cache(maxsize=1)(as_encoder)


class _Shared(BaseEstimator):
    """An estimator whose clones share its encoder, which scikit-learn would copy with all its weights."""

    def __sklearn_clone__(self) -> Any:
        return type(self)(**self.get_params(deep=False))


class ImageEmbedder(TransformerMixin, _Shared):
    """Turn N pictures into embeddings, shape (N, D); nothing is learnt, so `fit` only checks.

    Parameters
    ----------
    model
        An encoder, or a name for `zsc.load_model`; the last one named stays in memory, for clones too.
    store, batch_size
        As in `zsc.embed_images`; with a store a grid search embeds each picture once.
    """

    def __init__(self, model: Encoder | str = "auto", *, store: str | Path | None = None, batch_size: int = 32) -> None:
        self.model = model
        self.store = store
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> ImageEmbedder:  # noqa: N803
        """Check that X holds pictures: paths, URLs or PIL images."""
        _pictures(X)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Embed N pictures, any that `zsc.open_image` opens: shape (N, D), unit rows."""
        sources = _pictures(X)
        dataset = ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
        model = _loaded(self.model)
        return np.array(embed_images(model, dataset, self.store, batch_size=self.batch_size, progress=False).values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


class TextPriorClassifier(ClassifierMixin, _Shared):
    """Classify embeddings by prompts, the prior, and labels, the evidence.

    A multinomial logistic regression whose penalty pulls the weights towards the class weights of the prompts times the
    model's logit scale, and not towards 0: the most probable weights under a normal prior there. Without prompts the
    prior is at 0.

    Parameters
    ----------
    prompts
        Any form of `zsc.selection.as_candidates`, such as "a photo of a {}". Labels that are texts are matched with the
        class names exactly, and prompts given by class may name classes that have no label yet. Numbers, which
        scikit-learn makes of texts in `cross_val_predict`, stand for a list of texts in order, or for sorted classes.
    model
        The encoder of the embeddings, or its name; it reads the prompts.
    strength
        How firmly the weights are held at the prior: the penalty of their squared distance, beside the summed log loss.
    """

    def __init__(
        self, prompts: Candidate | None = None, model: Encoder | str = "auto", *, strength: float = 0.1
    ) -> None:
        self.prompts = prompts
        self.model = model
        self.strength = strength

    def fit(self, X: Any, y: Any) -> TextPriorClassifier:  # noqa: N803
        """Learn from embeddings (N, D), rows of `ImageEmbedder`, and N labels: texts or numbers."""
        X, y = validate_data(self, X, y, dtype=np.float64)  # noqa: N806
        check_classification_targets(y)
        (strength,) = check_numbers([self.strength], "strength", above=True)
        self.classes_ = np.unique(y)
        prior = self._prior(X.shape[1])  # (K, D); may add classes
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class, {self.classes_[0]}; pass labels of two or more classes.")
        shape, centre = (len(self.classes_), X.shape[1] + 1), X.mean(axis=0) * (self.prompts is None)
        rows = np.column_stack([X - centre, np.ones(len(X))])  # (N, D + 1), for the intercept
        start = np.column_stack([prior, np.zeros(len(prior))])
        truth = np.eye(len(self.classes_))[np.searchsorted(self.classes_, y)]  # (N, K)

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            away = flat.reshape(shape)
            logs = log_softmax(rows @ (start + away).T, axis=1)
            slope = (np.exp(logs) - truth).T @ rows + strength * away
            return -(truth * logs).sum() + strength / 2 * (away**2).sum(), slope.ravel()

        options = {"maxiter": 1000, "gtol": 1e-6}
        weights = start + minimize(loss, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options).x.reshape(
            shape
        )
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1] - weights[:, :-1] @ centre
        return self

    def _prior(self, dim: int) -> NDArray[np.float64]:
        """Return the weights of the prompts alone, shape (K, D), in the order of the classes, which may become more."""
        if self.prompts is None:
            return np.zeros((len(self.classes_), dim))
        names, is_text = [str(name) for name in self.classes_], self.classes_.dtype.kind in "OUS"
        prompts = as_candidates({"prompts": self.prompts}, names)["prompts"]
        known = list(prompts.class_names)
        if is_text and (strange := sorted(set(names) - set(known))):
            raise ValueError(f"y holds {short(strange[0])}, but prompts are for {short(known)}; rename one of them.")
        if is_text:
            self.classes_ = np.array(sorted(known), dtype=self.classes_.dtype if len(known) == len(names) else object)
        elif len(known) != len(names):
            raise ValueError(f"y holds {len(names)} classes and prompts are for {len(known)}; pass prompts for each.")
        elif isinstance(self.prompts, str) or "{}" in str(self.prompts) or known not in (names, sorted(known)):
            told = "y holds numbers, and prompts do not say which is which"
            raise ValueError(f"{told}; pass a list of texts in the order of the numbers, or sort the classes by name.")
        clf = ZeroShotClassifier(prompts, _loaded(self.model))
        order = [known.index(name) for name in (self.classes_ if is_text else known)]
        if clf.class_weights.shape[1] != dim:
            told = f"X has {dim} numbers per row and {clf.model.name} makes {clf.class_weights.shape[1]}"
            raise ValueError(f"{told}; pass embeddings of the same model.")
        return clf.class_weights[order].astype(np.float64) * clf.model.logit_scale

    def _logits(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, reset=False, dtype=np.float64) @ self.coef_.T + self.intercept_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Compute probabilities, shape (N, K), in the order of `classes_`."""
        return to_proba(self._logits(X), 1.0)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class of each row."""
        best = self._logits(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


def _pictures(X: Any) -> list[Any]:  # noqa: N803
    """Check that X holds one or more pictures, as scikit-learn hands them over: a list, a column or an array."""
    sources = as_sources(np.ravel(X).tolist() if hasattr(X, "__array__") else X)
    strange = [source for source in sources if not isinstance(source, (str, os.PathLike, Image.Image))]
    if strange or not sources:
        raise TypeError(f"X holds {short(strange[0]) if strange else 'no picture'}; pass paths, URLs or PIL images.")
    return sources
