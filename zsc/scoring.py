"""Scores (N, K) and probabilities from embeddings: cosines, pooling of several prompts a class, softmax.

Every pooling rule gives scores on the cosine's scale ("chils": sums of two), so that `softmax(logit_scale * scores)` is
its probability. Probabilities are relative to the given prompts: they sum to one whatever the picture shows.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp, softmax

from zsc.checks import check_count, check_same_length, short
from zsc.prompts import ClassPrompts, check_pooling

CHUNK_ROWS = 65_536
NOWHERE = 1e-5  # a mean of unit rows that is shorter is what rounding leaves of opposite ones
SMALL_CHUNK = 4096  # rows whose scores fit the processor's cache: to look through them costs less than to make them


def pooled_scores(
    image_embeddings: np.ndarray,
    text_embeddings: np.ndarray,
    prompts: ClassPrompts,
    *,
    pooling: str,
    logit_scale: float,
) -> np.ndarray:
    """Score N pictures against K classes with several prompts each.

    Parameters
    ----------
    image_embeddings, text_embeddings
        Shapes (N, D) and (M, D), unit rows.
    prompts
        Which of the M prompts belong to which of the K classes.
    pooling
        "mean": cosine to the class's mean text embedding, normalised again (CLIP's ensemble). "max": the largest
        cosine of the class's prompts (arg-max over all prompts, then prompt -> class). "sum": the class's share of a
        softmax over all prompts; a class with more prompts starts with more. "chils": the first prompt of a class
        names the class, the others its sub-classes; the best sub-class counts, reweighted by its parent, as in CHiLS
        (Novack et al., ICML 2023); a class with one prompt is its own sub-class.
    logit_scale
        The model's own; only "sum" depends on it.

    Returns
    -------
    np.ndarray
        Shape (N, K), float32.
    """
    check_pooling(pooling)
    check_scale(logit_scale)
    check_same_length(text_embeddings=text_embeddings, prompts=prompts)
    if pooling == "mean":
        return cosine_scores(image_embeddings, class_weights(text_embeddings, prompts))
    cosines = cosine_scores(image_embeddings, text_embeddings)  # (N, M)
    if pooling == "max":
        return np.maximum.reduceat(cosines, prompts.starts, axis=1)
    if pooling == "chils":
        return _sub_class_scores(cosines, prompts)
    columns = np.split(cosines * logit_scale, prompts.starts[1:], axis=1)
    return np.stack([logsumexp(c, axis=1) for c in columns], axis=1).astype(np.float32) / np.float32(logit_scale)


def _sub_class_scores(cosines: np.ndarray, prompts: ClassPrompts) -> np.ndarray:
    """Give the cosine of the best sub-class plus that of its parent, shape (N, K).

    CHiLS multiplies softmax over sub-classes with softmax over parents: logits add up, and what both are divided by is
    the same for all classes.
    """
    parents = cosines[:, prompts.starts]
    several = np.bincount(prompts.owners) > 1
    below = cosines.copy()
    below[:, prompts.starts[several]] = -np.inf  # a parent that has sub-classes is none
    return np.maximum.reduceat(below, prompts.starts, axis=1) + parents


def class_weights(text_embeddings: np.ndarray, prompts: ClassPrompts) -> np.ndarray:
    """Average the unit text embeddings (M, D) of each class and normalise again: (K, D), unit rows.

    Raises
    ------
    ValueError
        If the prompts of a class cancel each other out, so that their mean points nowhere.
    """
    check_same_length(text_embeddings=text_embeddings, prompts=prompts)
    counts = np.bincount(prompts.owners)[:, None]
    mean = np.add.reduceat(text_embeddings, prompts.starts, axis=0) / counts
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    nowhere = np.flatnonzero(~(lengths[:, 0] > NOWHERE))  # NaN is nowhere, too
    if len(nowhere):
        raise ValueError(
            f"the {int(counts[nowhere[0], 0])} prompts of the class {short(prompts.class_names[nowhere[0]])} cancel "
            "each other out: their mean embedding has no direction; change one of them, or take pooling='max'."
        )
    return (mean / lengths).astype(np.float32)


def cosine_scores(image_embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Multiply unit rows (N, D) with unit rows (K, D) into cosines (N, K), a block of rows at a time."""
    _check_pair(image_embeddings, weights)
    scores = np.empty((len(image_embeddings), len(weights)), np.float32)
    for start in range(0, len(scores), CHUNK_ROWS):
        block = slice(start, start + CHUNK_ROWS)
        np.matmul(image_embeddings[block], weights.T, out=scores[block])
    return scores


def top_classes(image_embeddings: np.ndarray, weights: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest classes of each picture without ever holding all scores.

    Parameters
    ----------
    image_embeddings
        Shape (N, D), unit rows; may be a memory-mapped file.
    weights
        Shape (K, D), unit rows.
    k
        From 1 to K.

    Returns
    -------
    tuple
        Classes (N, k), int64, nearest first, and their cosines (N, k), float32; of equal ones the lower index.
    """
    _check_pair(image_embeddings, weights)
    k = check_count(k, "k", high=len(weights))
    classes = np.empty((len(image_embeddings), k), np.int64)
    cosines = np.empty((len(image_embeddings), k), np.float32)
    buffer = np.empty((min(SMALL_CHUNK, len(classes)), len(weights)), np.float32)
    for start in range(0, len(classes), SMALL_CHUNK):
        block = slice(start, min(start + SMALL_CHUNK, len(classes)))
        scores = np.matmul(image_embeddings[block], weights.T, out=buffer[: block.stop - start])
        best = scores.argmax(axis=1)[:, None] if k == 1 else _best(scores, k)
        found = np.take_along_axis(scores, best, axis=1)
        order = np.lexsort((best, -found), axis=1)
        classes[block], cosines[block] = (np.take_along_axis(a, order, axis=1) for a in (best, found))
    return classes, cosines


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Find the k highest of each row, in any order; where the last of them has equals outside, the lower indices."""
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    found = np.take_along_axis(scores, best, axis=1)
    last = found.min(axis=1, keepdims=True)
    tied = np.flatnonzero((scores == last).sum(axis=1) > (found == last).sum(axis=1))
    best[tied] = np.argsort(-scores[tied], axis=1, kind="stable")[:, :k]
    return best


def to_proba(scores: np.ndarray, logit_scale: float) -> np.ndarray:
    """Turn scores (N, K) into probabilities (N, K): the softmax over classes of `logit_scale` x score, float64."""
    check_scale(logit_scale)
    return np.asarray(softmax(np.asarray(scores, dtype=np.float64) * logit_scale, axis=1))


def check_scale(logit_scale: float) -> None:
    """Refuse a logit scale that is no positive, finite number."""
    if isinstance(logit_scale, (str, bool)) or not 0 < logit_scale < math.inf:
        raise ValueError(f"logit_scale={short(logit_scale)}; logit_scale must be a number above 0.")


def _check_pair(image_embeddings: np.ndarray, weights: np.ndarray) -> None:
    """Refuse embeddings of two models, before one of them is read as a whole; their rows are not looked at."""
    shapes = np.shape(image_embeddings), np.shape(weights)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"embeddings of shapes {shapes[0]} and {shapes[1]}; pass (N, D) and (K, D) of one model.")
