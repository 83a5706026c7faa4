"""Pooling and softmax against naive loops, with hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from zsc.prompts import ClassPrompts
from zsc.scoring import class_weights, cosine_scores, pooled_scores, to_proba, top_classes


def unit(rng, n, d=6):
    rows = rng.normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


cases = st.tuples(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(0, 10_000))


def build(case):
    counts, seed = case
    rng = np.random.default_rng(seed)
    prompts = ClassPrompts.from_texts({f"c{k}": [f"c{k} p{i}" for i in range(n)] for k, n in enumerate(counts)})
    return unit(rng, 7), unit(rng, sum(counts)), prompts


@settings(max_examples=50, deadline=None)
@given(cases, st.floats(1, 100))
def test_every_pooling_is_its_naive_loop(case, scale):
    images, texts, prompts = build(case)
    owners = np.array(prompts.owners)
    for i, image in enumerate(images.astype(np.float64)):
        cosines = texts.astype(np.float64) @ image
        all_prompts = softmax(scale * cosines)
        naive = {"mean": [], "max": [], "sum": []}
        for k in range(len(prompts.class_names)):
            mean = texts[owners == k].astype(np.float64).mean(axis=0)
            naive["mean"].append(mean @ image / np.linalg.norm(mean))
            naive["max"].append(cosines[owners == k].max())
            naive["sum"].append(all_prompts[owners == k].sum())
        parents, best = [], []  # CHiLS in probabilities: softmax over sub-classes times softmax over parents
        for k in range(len(prompts.class_names)):
            own = cosines[owners == k]
            parents.append(own[0])
            best.append(own[1:].max() if len(own) > 1 else own[0])
        weighed = np.exp(scale * np.array(best)) * softmax(scale * np.array(parents))
        chils = to_proba(pooled_scores(images, texts, prompts, pooling="chils", logit_scale=scale), scale)[i]
        np.testing.assert_allclose(chils, weighed / weighed.sum(), atol=1e-3)
        for pooling in ("mean", "max", "sum"):
            scores = pooled_scores(images, texts, prompts, pooling=pooling, logit_scale=scale)
            expected = naive["sum"] if pooling == "sum" else softmax(scale * np.array(naive[pooling]))
            np.testing.assert_allclose(to_proba(scores, scale)[i], expected, atol=1e-3)
            if pooling != "sum":
                np.testing.assert_allclose(scores[i], naive[pooling], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(cases)
def test_max_is_the_arg_max_over_all_prompts(case):
    images, texts, prompts = build(case)
    best_prompt = (images @ texts.T).argmax(axis=1)
    scores = pooled_scores(images, texts, prompts, pooling="max", logit_scale=10.0)
    assert (scores.argmax(axis=1) == np.array(prompts.owners)[best_prompt]).all()


def test_one_prompt_a_class_makes_all_poolings_equal():
    images, texts, prompts = build(([1, 1, 1], 5))
    plain = softmax(14.3 * (images.astype(np.float64) @ texts.T), axis=1)
    for pooling in ("mean", "max", "sum"):
        scores = pooled_scores(images, texts, prompts, pooling=pooling, logit_scale=14.3)
        np.testing.assert_allclose(to_proba(scores, 14.3), plain, atol=1e-5)


def test_class_weights_are_unit_rows():
    _, texts, prompts = build(([3, 1, 2], 0))
    np.testing.assert_allclose(np.linalg.norm(class_weights(texts, prompts), axis=1), 1, atol=1e-6)


def test_scores_in_blocks_are_the_matrix_product(monkeypatch):
    rng = np.random.default_rng(0)
    images, weights = unit(rng, 1000), unit(rng, 7)
    monkeypatch.setattr("zsc.scoring.CHUNK_ROWS", 64)
    np.testing.assert_allclose(cosine_scores(images, weights), images @ weights.T, atol=1e-6)


def test_an_unknown_pooling():
    images, texts, prompts = build(([1, 1], 0))
    with pytest.raises(ValueError, match="pooling='median'; accepted are mean, max, sum"):
        pooled_scores(images, texts, prompts, pooling="median", logit_scale=1.0)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_top_classes_are_those_of_the_whole_matrix(k, monkeypatch):
    rng = np.random.default_rng(0)
    images, weights = unit(rng, 500), unit(rng, 7)
    weights[5] = weights[2]  # a tie: the lower index first
    monkeypatch.setattr("zsc.scoring.SMALL_CHUNK", 64)
    classes, cosines = top_classes(images, weights, k)
    scores = images @ weights.T
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_allclose(cosines, np.take_along_axis(scores, expected, axis=1), atol=1e-6)
    ranks = (classes == expected) | (
        scores[np.arange(500)[:, None], classes] == scores[np.arange(500)[:, None], expected]
    )
    assert ranks.all() and (classes[:, 0] == scores.argmax(axis=1)).all()
    with pytest.raises(ValueError, match="k=8; k must be a whole number from 1 to 7"):
        top_classes(images, weights, 8)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
def test_of_equal_classes_the_lowest_indices(k):
    rng = np.random.default_rng(k)
    for _ in range(100):  # few values, so that many are equal, also where the k-th stands
        scores = rng.integers(0, 3, (20, 8)).astype(np.float32)
        rows = np.eye(8, dtype=np.float32)
        classes, cosines = top_classes(scores, rows, k)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(classes, expected)
        np.testing.assert_array_equal(cosines, np.take_along_axis(scores, expected, axis=1))


class TestWrongInput:
    @pytest.mark.parametrize("opposite", [-1.0, -1.0 + 1e-7])
    def test_prompts_that_cancel(self, opposite):
        prompts = ClassPrompts.from_texts({"fine": "x", "odd": ["a", "b"]})
        texts = np.array([[1, 0], [0, 1], [0, opposite]], np.float32)
        for call in (class_weights, lambda t, p: pooled_scores(t, t, p, pooling="mean", logit_scale=1.0)):
            with pytest.raises(ValueError, match="the 2 prompts of the class 'odd' cancel each other out"):
                call(texts, prompts)

    def test_shapes_and_scales(self):
        images, texts, prompts = build(([1, 1], 0))
        for a, b in ((images[:, :3], texts), (images[0], texts), (images, texts[0])):
            for call in (cosine_scores, top_classes):
                with pytest.raises(
                    ValueError, match=r"embeddings of shapes .* pass \(N, D\) and \(K, D\) of one model"
                ):
                    call(a, b)
        with pytest.raises(ValueError, match="text_embeddings holds 1 and prompts holds 2"):
            class_weights(texts[:1], prompts)
        for scale in (0, -1, float("nan"), float("inf"), "14", True):
            with pytest.raises(ValueError, match="logit_scale must be a number above 0"):
                to_proba(np.zeros((1, 2)), scale)
        for k in (0, 2.0, True, "1"):
            with pytest.raises(ValueError, match="k must be a whole number from 1 to 2"):
                top_classes(images, texts, k)
