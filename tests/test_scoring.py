"""Pooling and softmax against naive loops, with hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from zsc.prompts import ClassPrompts
from zsc.scoring import class_weights, cosine_scores, nearest, score_classes, to_proba


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
        chils = to_proba(score_classes(images, texts, prompts, pooling="chils", logit_scale=scale)[0], scale)[i]
        np.testing.assert_allclose(chils, weighed / weighed.sum(), atol=1e-3)
        for pooling in ("mean", "max", "sum"):
            scores = score_classes(images, texts, prompts, pooling=pooling, logit_scale=scale)[0]
            expected = naive["sum"] if pooling == "sum" else softmax(scale * np.array(naive[pooling]))
            np.testing.assert_allclose(to_proba(scores, scale)[i], expected, atol=1e-3)
            if pooling != "sum":
                np.testing.assert_allclose(scores[i], naive[pooling], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(cases)
def test_max_is_the_arg_max_over_all_prompts(case):
    images, texts, prompts = build(case)
    best_prompt = (images @ texts.T).argmax(axis=1)
    scores = score_classes(images, texts, prompts, pooling="max", logit_scale=10.0)[0]
    assert (scores.argmax(axis=1) == np.array(prompts.owners)[best_prompt]).all()


def test_one_prompt_a_class_makes_all_poolings_equal():
    images, texts, prompts = build(([1, 1, 1], 5))
    plain = softmax(14.3 * (images.astype(np.float64) @ texts.T), axis=1)
    for pooling in ("mean", "max", "sum"):
        scores = score_classes(images, texts, prompts, pooling=pooling, logit_scale=14.3)[0]
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
    with pytest.raises(ValueError, match="pooling='median'; pooling must be one of mean, max, sum"):
        score_classes(images, texts, prompts, pooling="median", logit_scale=1.0)[0]


@settings(max_examples=50, deadline=None)
@given(cases, st.sampled_from(["mean", "max", "sum", "chils"]))
def test_the_deciding_prompt_is_the_nearest_one_of_the_best_class(case, pooling):
    images, texts, prompts = build(case)
    scores, deciding = score_classes(images, texts, prompts, pooling=pooling, logit_scale=10.0)
    for image, row, prompt in zip(images, scores, deciding, strict=True):
        own = np.flatnonzero(np.array(prompts.owners) == row.argmax())
        assert prompt == own[(texts[own] @ image).argmax()]


@pytest.mark.parametrize("pooling", ["max", "sum", "chils"])
def test_scores_come_in_blocks_whose_size_changes_nothing(pooling, monkeypatch):
    images, texts, prompts = build(([2, 3, 1], 3))
    whole = score_classes(images, texts, prompts, pooling=pooling, logit_scale=10.0)
    monkeypatch.setattr("zsc.scoring.CELLS", 13)
    for a, b in zip(whole, score_classes(images, texts, prompts, pooling=pooling, logit_scale=10.0), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_pictures_have_no_scores():
    images, texts, prompts = build(([2, 1], 0))
    for pooling in ("mean", "max"):
        scores, deciding = score_classes(images[:0], texts, prompts, pooling=pooling, logit_scale=1.0)
        assert scores.shape == (0, 2) and deciding.shape == (0,)


class TestWrongInput:
    @pytest.mark.parametrize("opposite", [-1.0, -1.0 + 1e-7])
    def test_prompts_that_cancel(self, opposite):
        prompts = ClassPrompts.from_texts({"fine": "x", "odd": ["a", "b"]})
        texts = np.array([[1, 0], [0, 1], [0, opposite]], np.float32)
        for call in (class_weights, lambda t, p: score_classes(t, t, p, pooling="mean", logit_scale=1.0)[0]):
            with pytest.raises(ValueError, match="the 2 prompts of the class 'odd' cancel each other out"):
                call(texts, prompts)

    def test_shapes_and_scales(self):
        images, texts, prompts = build(([1, 1], 0))
        for a, b in ((images[:, :3], texts), (images[0], texts), (images, texts[0])):
            with pytest.raises(ValueError, match=r"embeddings of shapes .* pass \(N, D\) and \(K, D\) of one model"):
                cosine_scores(a, b)
        with pytest.raises(ValueError, match="text_embeddings holds 1 and prompts holds 2"):
            class_weights(texts[:1], prompts)
        for scale in (0, -1, float("nan"), float("inf"), "14", True):
            with pytest.raises(ValueError, match="logit_scale must be a number above 0"):
                to_proba(np.zeros((1, 2)), scale)


class TestNearest:
    """The k largest cosines of each row, against sorting all of them; of equal ones the first."""

    @pytest.mark.parametrize("k", [1, 3, 50])
    @pytest.mark.parametrize("cells", [8, 300, 10**6])  # blocks of one row, of some, and one block
    def test_against_sorting(self, k, cells, monkeypatch):
        monkeypatch.setattr("zsc.scoring.CELLS", cells)
        rng = np.random.default_rng(0)
        rows, others = unit(rng, 7), unit(rng, 31)
        others[20:25] = others[3]  # equal ones
        index, cosines = nearest(rows, others, k)
        every = rows @ others.T
        order = np.lexsort((np.broadcast_to(np.arange(31), every.shape), -every), axis=1)[:, :k]
        every = np.take_along_axis(every, order, axis=1)
        np.testing.assert_allclose(cosines, every, atol=1e-6)
        assert index.shape == (7, min(k, 31)) and (np.diff(cosines, axis=1) <= 1e-6).all()
        ties = [set(row[c >= v - 1e-6]) for row, c, v in zip(index, cosines, cosines.min(axis=1), strict=True)]
        assert all(ties) and (k > 1 or (index[:, 0] == order[:, 0]).all())

    def test_equal_ones_keep_their_order(self):
        rows = np.eye(3, dtype=np.float32)
        index, cosines = nearest(rows[:1], rows[[1, 0, 2, 0, 0]], 4)
        assert index.tolist() == [[1, 3, 4, 0]] and cosines.tolist() == [[1, 1, 1, 0]]
        assert nearest(rows, rows[[0, 0, 1, 2]])[0][:, 0].tolist() == [0, 2, 3]

    def test_half_precision_and_nothing(self):
        rng = np.random.default_rng(1)
        rows, others = unit(rng, 5), unit(rng, 40)
        half = nearest(rows, others.astype(np.float16), 2)
        np.testing.assert_allclose(half[1], nearest(rows, others, 2)[1], atol=2e-3)
        assert half[1].dtype == np.float32 and nearest(rows[:0], others, 3)[0].shape == (0, 3)
        with pytest.raises(ValueError, match="pass"):
            nearest(rows, others[:, :3])
