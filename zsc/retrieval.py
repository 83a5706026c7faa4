"""Retrieval, `search`: the pictures nearest to a text or to a picture, among kept embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from zsc.checks import check_count, short
from zsc.datasets.base import class_texts
from zsc.embeddings import ImageEmbeddings, check_made_by, class_names_of, embed_texts
from zsc.images import ImageSource
from zsc.models import Encoder, as_encoder

CHUNK_ROWS = 4096  # rows whose products are held at a time
_ASK = "pass a text, a row number, or one picture, as text=, row= or image="


def search(
    embeddings: ImageEmbeddings, query: str | int | ImageSource | None = None, k: int = 12, *,
    text: str | None = None, image: ImageSource | None = None, row: int | None = None,
    model: Encoder | str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Find the k pictures nearest to a text, to a picture, or to one of their own.

    The table has the nearest first, equal ones by index, and the columns index, image, class (where there is a label),
    cosine, which between a text and a picture is small even for a good match (the modality gap).

    Ask for one of `text`, words; `image`, anything that `zsc.open_image` opens; or `row`, the number of a row of
    `embeddings`, which is left out of the answer and needs no model. As `query`, a str is taken as `text`, a whole
    number as `row`, anything else as `image`. `model` is the encoder that made the embeddings, or its name; None loads
    the model that they name.

    Examples
    --------
    >>> pictures = ImageEmbeddings([[1, 0], [0, 1], [0.8, 0.6]], ["a", "b", "c"], [-1, -1, -1], [])
    >>> search(pictures, row=0, k=2)["image"].tolist()
    ['c', 'b']
    """
    names = class_names_of(embeddings)
    check_count(k, "k")
    ways = {"query": query, "text": text, "image": image, "row": row}
    asked: dict[str, Any] = {way: value for way, value in ways.items() if value is not None}
    if len(asked) != 1:
        raise TypeError(f"{_ASK}; got {', '.join(asked) or 'none of them'}.")
    name, wanted = asked.popitem()
    kind = _kind_of(wanted) if name == "query" else name
    usable = ~embeddings.failed
    if kind == "row":
        check_count(wanted, name, low=0, high=len(embeddings) - 1)
        if not usable[wanted]:
            raise ValueError(f"{name}={wanted}; this picture failed and has no embedding.")
        direction, usable[wanted] = embeddings.values[wanted], False
    else:
        direction = _encoded(embeddings, wanted, kind == "text", model)
    rows = np.flatnonzero(usable)
    cosines = _cosines(embeddings.values, rows, direction)
    nearest = np.argsort(-cosines, kind="stable")[:k]
    found = rows[nearest]
    classes = class_texts(embeddings.labels[found], names)
    images = pd.Series([embeddings.paths[i] for i in found], dtype=object)
    return pd.DataFrame({"index": found, "image": images, "class": classes, "cosine": cosines[nearest]})


def _cosines(values: np.ndarray, rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Compute the cosines of some rows to one direction, shape (len(rows),); each as if it were alone."""
    unit = direction.astype(np.float64) / np.linalg.norm(direction.astype(np.float64))
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = values[rows[start : start + CHUNK_ROWS]].astype(np.float64)  # (n, D)
        products = (chunk * unit).sum(axis=1) / np.sqrt((chunk * chunk).sum(axis=1))
        cosines[start : start + CHUNK_ROWS] = np.clip(products, -1, 1)
    return cosines


def _kind_of(query: Any) -> str:
    """Tell what a query without a name asks for: "row", "text" or "image"."""
    if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
        return "row"
    if isinstance(query, str):
        if Path(query).suffix and Path(query).is_file():
            raise ValueError(f"query={query!r} is a file, and a str is read as a text; pass image={query!r}.")
        return "text"
    if isinstance(query, (Path, bytes, bytearray, memoryview, Image.Image, np.ndarray)) or hasattr(query, "read"):
        return "image"
    raise TypeError(f"{_ASK}; got query={short(query)}.")


def _encoded(embeddings: ImageEmbeddings, wanted: Any, is_text: bool, model: Encoder | str | None) -> np.ndarray:
    if is_text and not (isinstance(wanted, str) and wanted.strip()):
        raise ValueError(f"the text is {short(wanted)}; say in words what to look for.")
    if model is None and not embeddings.model:
        raise ValueError("the embeddings name no model; pass model=, the encoder that made them.")
    encoder = as_encoder(embeddings.model if model is None else model)
    check_made_by(embeddings, encoder)
    return np.asarray((embed_texts(encoder, wanted) if is_text else encoder.encode_images([wanted]))[0])
