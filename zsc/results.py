"""The table of predictions: the Glasses tutorial's columns, then one probability per class; any format can hold it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from zsc.checks import check_same_length
from zsc.datasets.base import UNLABELLED
from zsc.images import describe
from zsc.prompts import ClassPrompts
from zsc.scoring import cosine_scores

COLUMNS = ("image", "y_true", "y_pred", "y_pred_token", "proba")


def result_table(images: Sequence[Any], y_true: np.ndarray, proba: np.ndarray, tokens: np.ndarray,
                 class_names: Sequence[str]) -> pd.DataFrame:  # fmt: skip
    """Lay out N predictions.

    Parameters
    ----------
    images
        N picture sources; paths and URLs become texts.
    y_true
        N labels; -1 becomes <NA>, and so does the prediction of a picture that failed.
    proba
        Probabilities, shape (N, K); NaN in the rows of pictures that failed.
    tokens
        For each picture the prompt that decided, shape (N,).
    class_names
        K names.

    Returns
    -------
    pd.DataFrame
        Columns image, y_true, y_pred, y_pred_token, proba, and proba_<class> for each class.
    """
    check_same_length(images=images, y_true=y_true, proba=proba, tokens=tokens)
    failed = np.isnan(proba).any(axis=1)
    y_pred = np.where(failed, UNLABELLED, proba.argmax(axis=1))
    values = (
        as_cells(images),
        _nullable(y_true),
        _nullable(y_pred),
        pd.Series(tokens, dtype=object).mask(failed, None),
        proba[np.arange(len(proba)), y_pred],
    )
    columns = [*COLUMNS, *(f"proba_{name}" for name in class_names)]
    table = pd.DataFrame(dict(enumerate([*values, *np.asarray(proba).T])))
    return table.set_axis(pd.Index(columns, dtype=object), axis=1)  # a name may hold bytes that are no UTF-8


def as_cells(images: Iterable[Any]) -> pd.Series:
    """Give picture sources as a column: paths and URLs as texts that every file format can hold, the rest as it is."""
    cells = [describe(one) if isinstance(one, (str, os.PathLike)) else one for one in images]
    return pd.Series(cells, dtype=object)


def best_prompts(
    image_embeddings: np.ndarray, text_embeddings: np.ndarray, prompts: ClassPrompts, y_pred: np.ndarray
) -> np.ndarray:
    """Find for each picture the prompt of its predicted class that is nearest to it, shape (N,)."""
    cosines = cosine_scores(image_embeddings, text_embeddings)  # (N, M)
    cosines[np.asarray(prompts.owners)[None, :] != y_pred[:, None]] = -np.inf
    return np.array(prompts.prompts, dtype=object)[cosines.argmax(axis=1)]


def _nullable(labels: np.ndarray) -> pd.Series:
    """Give labels as a column: int64, or Int64 with <NA> where pictures have no label."""
    missing = labels == UNLABELLED
    return pd.Series(labels, dtype="Int64").mask(missing) if missing.any() else pd.Series(labels)
