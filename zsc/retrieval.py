"""Retrieval, `search`: the pictures nearest a text, or nearest a picture, among kept embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zsc.embeddings import ImageEmbeddings
from zsc.images import ImageSource
from zsc.scoring import cosine_scores

if TYPE_CHECKING:
    from zsc.models import Encoder


def search(
    embeddings: ImageEmbeddings,
    query: str | int | ImageSource,
    k: int = 12,
    *,
    model: Encoder | str | None = None,
) -> pd.DataFrame:
    """Find the k pictures nearest a text, a picture, or one of their own.

    Parameters
    ----------
    embeddings
        Where to look.
    query
        A text; a row number of `embeddings`, which is left out of the answer; or a picture: a `pathlib.Path`, bytes or
        a PIL image (a str is always read as a text).
    k
        How many; at most N.
    model
        The encoder that made the embeddings, or its name; None loads the model that the embeddings name. A row number
        needs none.

    Returns
    -------
    pd.DataFrame
        Nearest first: index, image, class (where the picture has a label), cosine. A cosine between a text and a
        picture is small even for a good match (the modality gap): compare, do not take it for a probability.

    Raises
    ------
    ValueError
        If k or the row is out of range, the text is empty, or the model is not the one that made the embeddings.

    Examples
    --------
    >>> pictures = ImageEmbeddings([[1, 0], [0, 1], [0.8, 0.6]], ["a", "b", "c"], [-1, -1, -1], [])
    >>> search(pictures, 0, k=2)["image"].tolist()
    ['c', 'b']
    """
    usable = ~embeddings.failed
    if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
        direction = _own(embeddings, int(query))
        usable[int(query)] = False
    else:
        direction = _encoded(embeddings, query, model)
    rows = np.flatnonzero(usable)
    if not k >= 1 or isinstance(k, bool):
        raise ValueError(f"k={k}; ask for at least one picture.")
    cosines = cosine_scores(embeddings.values[rows], direction[None])[:, 0]
    nearest = np.argsort(-cosines, kind="stable")[:k]
    found = rows[nearest]
    labels, names = embeddings.labels[found], embeddings.class_names
    return pd.DataFrame(
        {
            "index": found,
            "image": pd.Series([embeddings.paths[int(i)] for i in found], dtype=object),
            "class": [names[label] if label >= 0 else None for label in labels],
            "cosine": cosines[nearest],
        }
    )


def _own(embeddings: ImageEmbeddings, row: int) -> np.ndarray:
    if not 0 <= row < len(embeddings):
        raise ValueError(f"query={row}; rows run from 0 to {len(embeddings) - 1}.")
    direction: np.ndarray = embeddings.values[row]
    if np.isnan(direction).any():
        raise ValueError(f"query={row}; this picture failed and has no embedding.")
    return direction


def _encoded(embeddings: ImageEmbeddings, query: Any, model: Encoder | str | None) -> np.ndarray:
    from zsc.models import load_model

    name = embeddings.model if model is None else model
    encoder = load_model(name) if isinstance(name, str) else name
    if encoder.fingerprint != embeddings.fingerprint:
        raise ValueError(
            f"the embeddings were made by {embeddings.model} ({embeddings.fingerprint}), not by {encoder.name} "
            f"({encoder.fingerprint}); pass model=, the encoder that made them."
        )
    if isinstance(query, str):
        if Path(query).suffix and Path(query).is_file():
            raise ValueError(f"query={query!r} is a file, and a str is read as a text; pass Path({query!r}).")
        if not query.strip():
            raise ValueError("query is an empty text; say in words what to look for.")
        return np.asarray(encoder.encode_texts([query])[0])
    return np.asarray(encoder.encode_images([query])[0])
