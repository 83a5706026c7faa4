"""Scores (N, K) and probabilities from embeddings: cosines, pooling of several prompts a class, softmax.

Every pooling rule gives scores on the cosine's scale, so that `softmax(logit_scale * scores)` is its probability.
Probabilities are relative to the given prompts: they sum to one whatever the picture shows.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, softmax

from zsc.prompts import ClassPrompts, check_pooling

CHUNK_ROWS = 65_536


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
        softmax over all prompts; a class with more prompts starts with more.
    logit_scale
        The model's own; only "sum" depends on it.

    Returns
    -------
    np.ndarray
        Shape (N, K), float32.
    """
    check_pooling(pooling)
    if pooling == "mean":
        return cosine_scores(image_embeddings, class_weights(text_embeddings, prompts))
    cosines = cosine_scores(image_embeddings, text_embeddings)  # (N, M)
    if pooling == "max":
        return np.maximum.reduceat(cosines, prompts.starts, axis=1)
    columns = np.split(cosines * logit_scale, prompts.starts[1:], axis=1)
    return np.stack([logsumexp(c, axis=1) for c in columns], axis=1).astype(np.float32) / np.float32(logit_scale)


def class_weights(text_embeddings: np.ndarray, prompts: ClassPrompts) -> np.ndarray:
    """Average the unit text embeddings (M, D) of each class and normalise again: (K, D), unit rows."""
    counts = np.bincount(prompts.owners)[:, None]
    mean = np.add.reduceat(text_embeddings, prompts.starts, axis=0) / counts
    return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)


def cosine_scores(image_embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Multiply unit rows (N, D) with unit rows (K, D) into cosines (N, K), a block of rows at a time."""
    scores = np.empty((len(image_embeddings), len(weights)), np.float32)
    for start in range(0, len(scores), CHUNK_ROWS):
        block = slice(start, start + CHUNK_ROWS)
        np.matmul(image_embeddings[block], weights.T, out=scores[block])
    return scores


def to_proba(scores: np.ndarray, logit_scale: float) -> np.ndarray:
    """Turn scores (N, K) into probabilities (N, K): the softmax over classes of `logit_scale` x score, float64."""
    return np.asarray(softmax(scores.astype(np.float64) * logit_scale, axis=1))
