"""zsc as scikit-learn estimators: embed pictures, and classify by prompts and labels, in a pipeline or grid search."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from zsc.checks import short
from zsc.classifier import ZeroShotClassifier
from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.embeddings import embed_images
from zsc.images import as_sources
from zsc.models import as_encoder
from zsc.probes.labelled import check_numbers
from zsc.scoring import to_proba
from zsc.selection import as_candidates

_loaded = lru_cache(maxsize=1)(as_encoder)  # a model by its name is loaded once for all clones


class ImageEmbedder(TransformerMixin, BaseEstimator):
    """Turn N pictures, any that `zsc.open_image` opens, into embeddings, shape (N, D); nothing is learnt.

    `model` is best a name: scikit-learn copies an encoder for each clone; `store` is as in `zsc.embed_images`.
    """

    def __init__(self, model: Any = "auto", *, store: str | Path | None = None) -> None:
        self.model, self.store = model, store

    def fit(self, X: Any, y: Any = None) -> "ImageEmbedder":
        """Return the embedder as it is."""
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed N pictures: shape (N, D), unit rows."""
        sources = as_sources(np.ravel(X).tolist() if hasattr(X, "__array__") else X)
        dataset = ImageDataset(sources, np.full(len(sources), UNLABELLED), [], name="pictures")
        return np.array(embed_images(_loaded(self.model), dataset, self.store, progress=False).values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit, tags.input_tags.two_d_array, tags.input_tags.string = False, False, True
        return tags


class TextPriorClassifier(ClassifierMixin, BaseEstimator):
    """Classify embeddings by prompts, the prior, and labels, the evidence.

    A logistic regression whose penalty, `strength` times, is the squared distance from the zero-shot head (without
    prompts, from 0), so that with few labels the prompts decide, and with many the labels.
    `prompts` has any form of `zsc.selection.as_candidates`; given by class, it may name classes without a label. Labels
    are its class names, or numbers, as `cross_val_predict` makes them, for a list of texts in order or sorted classes.
    """

    def __init__(self, prompts: Any = None, model: Any = "auto", *, strength: float = 0.1) -> None:
        self.prompts, self.model, self.strength = prompts, model, strength

    def fit(self, X: Any, y: Any) -> "TextPriorClassifier":
        """Learn from embeddings (N, D), rows of `ImageEmbedder`, and N labels: texts or numbers."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        (strength,) = check_numbers([self.strength], "strength", above=True)
        self.classes_ = np.unique(y)
        prior = self._prior(X.shape[1])  # (K, D); may add classes
        rows = np.column_stack([X, np.ones(len(X))])  # (N, D + 1), for the intercept
        start = np.column_stack([prior, np.zeros(len(prior))])
        truth = np.eye(len(self.classes_))[np.searchsorted(self.classes_, y)]  # (N, K)

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            away = flat.reshape(start.shape)
            logs = log_softmax(rows @ (start + away).T, axis=1)
            slope = (np.exp(logs) - truth).T @ rows + strength * away
            return -(truth * logs).sum() + strength / 2 * (away**2).sum(), slope.ravel()

        found = minimize(loss, np.zeros(start.size), jac=True, method="L-BFGS-B", tol=1e-10)
        weights = start + found.x.reshape(start.shape)
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]
        return self

    def _prior(self, dim: int) -> NDArray[np.float64]:
        """Return the weights of the prompts alone, shape (K, D), in the order of the classes, which may become more."""
        if self.prompts is None:
            return np.zeros((len(self.classes_), dim))
        names, is_text = [str(name) for name in self.classes_], self.classes_.dtype.kind in "OUS"
        prompts = as_candidates({"prompts": self.prompts}, names)["prompts"]
        known, told = list(prompts.class_names), f"y holds {short(names)}, but prompts are for "
        vague = isinstance(self.prompts, str) or "{}" in str(self.prompts)  # a template names no class
        if is_text and not set(names) <= set(known):
            raise ValueError(f"{told}{short(known)}; rename one of them.")
        if is_text:
            self.classes_ = np.array(sorted(known), dtype=self.classes_.dtype if len(known) == len(names) else object)
        elif vague or len(known) != len(names) or known not in (names, sorted(known)):
            raise ValueError(f"{told}{short(known)}; pass one text per number, in their order, or sort the classes.")
        clf = ZeroShotClassifier(prompts, _loaded(self.model))
        order = [known.index(name) for name in (self.classes_ if is_text else known)]
        if clf.class_weights.shape[1] != dim:
            raise ValueError(f"X has {dim} numbers per row, {clf.model.name} others; embed with the same model.")
        return clf.class_weights[order].astype(np.float64) * clf.model.logit_scale

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute probabilities, shape (N, K), in the order of `classes_`."""
        check_is_fitted(self)
        return to_proba(validate_data(self, X, reset=False, dtype=np.float64) @ self.coef_.T + self.intercept_, 1.0)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row."""
        best = self.predict_proba(X).argmax(axis=1)  # before classes_, which an unfitted one lacks
        return np.asarray(self.classes_[best])
