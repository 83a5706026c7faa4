"""Retrieval, `search`: the pictures nearest a text, or nearest a picture, among kept embeddings.

Cosines are computed row by row in float64, not by a matrix product: equal pictures get equal cosines in any row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from zsc.checks import check_count, short
from zsc.embeddings import ImageEmbeddings
from zsc.embeddings.embedded import as_encoder
from zsc.images import ImageSource

if TYPE_CHECKING:
    from zsc.models import Encoder

CHUNK_ROWS = 4096  # rows whose products are held at a time
_PICTURES = (Path, bytes, bytearray, memoryview, Image.Image, np.ndarray)


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
        How many; where there are fewer, all.
    model
        The encoder that made the embeddings, or its name; None loads the model that the embeddings name. A row number
        needs none.

    Returns
    -------
    pd.DataFrame
        Nearest first, equal ones by index: index, image, class (where the picture has a label), cosine in [-1, 1]. A
        cosine between a text and a picture is small even for a good match (the modality gap): compare, do not take it
        for a probability.

    Raises
    ------
    TypeError
        If the query is neither a text, a row number nor a picture.
    ValueError
        If k or the row is out of range, the text is empty, or the model is not the one that made the embeddings.

    Examples
    --------
    >>> pictures = ImageEmbeddings([[1, 0], [0, 1], [0.8, 0.6]], ["a", "b", "c"], [-1, -1, -1], [])
    >>> search(pictures, 0, k=2)["image"].tolist()
    ['c', 'b']
    """
    if not isinstance(embeddings, ImageEmbeddings):
        raise TypeError(f"embeddings is a {type(embeddings).__name__}; pass the ImageEmbeddings to look in.")
    check_count(k, "k")
    usable = ~embeddings.failed
    if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
        direction = _own(embeddings, int(query))
        usable[int(query)] = False
    else:
        direction = _encoded(embeddings, query, model)
    rows = np.flatnonzero(usable)
    cosines = _cosines(embeddings.values, rows, direction)
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


def _cosines(values: np.ndarray, rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Give the cosines of some rows to one direction, shape (len(rows),), float32; each as if it were alone."""
    unit = direction.astype(np.float64) / np.linalg.norm(direction.astype(np.float64))
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = values[rows[start : start + CHUNK_ROWS]].astype(np.float64)  # (n, D)
        products = (chunk * unit).sum(axis=1) / np.sqrt((chunk * chunk).sum(axis=1))
        cosines[start : start + CHUNK_ROWS] = np.clip(products, -1, 1)
    return cosines


def _own(embeddings: ImageEmbeddings, row: int) -> np.ndarray:
    if not 0 <= row < len(embeddings):
        raise ValueError(f"query={row}; rows run from 0 to {len(embeddings) - 1}.")
    direction: np.ndarray = embeddings.values[row]
    if np.isnan(direction).any():
        raise ValueError(f"query={row}; this picture failed and has no embedding.")
    return direction


def _encoded(embeddings: ImageEmbeddings, query: Any, model: Encoder | str | None) -> np.ndarray:
    _check_query(query)
    if model is None and not embeddings.model:
        raise ValueError("the embeddings name no model; pass model=, the encoder that made them.")
    encoder = as_encoder(embeddings.model if model is None else model)
    if encoder.fingerprint != embeddings.fingerprint:
        raise ValueError(
            f"the embeddings were made by {embeddings.model} ({embeddings.fingerprint}), not by {encoder.name} "
            f"({encoder.fingerprint}); pass model=, the encoder that made them."
        )
    encode = encoder.encode_texts if isinstance(query, str) else encoder.encode_images
    return np.asarray(encode([query])[0])


def _check_query(query: Any) -> None:
    """Refuse what is no query before a model is loaded."""
    if not isinstance(query, str):
        if not isinstance(query, _PICTURES) and not hasattr(query, "read"):
            raise TypeError(
                f"query={short(query)}; pass a text, a row number, or one picture: a Path, bytes or an image."
            )
    elif Path(query).suffix and Path(query).is_file():
        raise ValueError(f"query={query!r} is a file, and a str is read as a text; pass Path({query!r}).")
    elif not query.strip():
        raise ValueError("query is an empty text; say in words what to look for.")
