"""Probes on clusters of known separation: without shots they are zero-shot, with many they are Bayes.

The clusters are von Mises-Fisher with one concentration: the true posterior is softmax(kappa x cosine to the centres).
"""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import vonmises_fisher
from sklearn.linear_model import LogisticRegression

from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.matching import ClassMismatchError
from zsc.probes import few_shot_curve, linear_probe, mix_curve, mix_weights, tip, tip_adapter, zero_shot_head
from zsc.probes.parts import as_rows, draw_shots, split_rows
from zsc.scoring import cosine_scores, to_proba

K, D, KAPPA = 4, 16, 12.0
NAMES = ["cat", "dog", "fox", "owl"]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


CENTRES = unit(np.random.default_rng(0).normal(size=(K, D)))
TEXTS = unit(CENTRES + 0.3 * np.random.default_rng(5).normal(size=(K, D)))  # zero-shot: near the centres, but off


def clusters(n, seed, classes=K):
    """Draw n rows of each class, class by class."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([vonmises_fisher(c, KAPPA, seed=rng).rvs(n) for c in CENTRES[:classes]])
    return rows.astype(np.float32), np.repeat(np.arange(classes), n)


def embeddings(n, seed, **about):
    values, labels = clusters(n, seed)
    return ImageEmbeddings(values, [f"{seed}-{i}" for i in range(len(labels))], labels, list(NAMES), **about)


TRAIN, TEST, VALIDATION = clusters(600, 1), clusters(2000, 2), clusters(60, 3)
HEAD = zero_shot_head(TEXTS, KAPPA)
BAYES = float(((TEST[0] @ CENTRES.T).argmax(axis=1) == TEST[1]).mean())
ZERO_SHOT = float(((TEST[0] @ TEXTS.T).argmax(axis=1) == TEST[1]).mean())


def test_the_clusters_leave_something_to_learn():
    assert BAYES > ZERO_SHOT + 0.1 and 0.9 < BAYES < 0.99


class TestZeroShotHead:
    def test_it_is_the_classifier(self, colours):
        clf = ZeroShotClassifier({"red": ["red"], "blue": ["blue", "a blue thing"], "green": ["green"]}, colours)
        head = zero_shot_head(clf.class_weights, clf.model.logit_scale, clf.class_names)
        values = unit(np.random.default_rng(0).random((20, head.dim))).astype(np.float32)
        expected = to_proba(cosine_scores(values, clf.class_weights), clf.model.logit_scale)
        np.testing.assert_array_equal(head.predict_proba(values), expected)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((2 * TEXTS, 10.0), r"class_weights has a row of length 2 \(row 0\); accepted are unit rows"),
            ((TEXTS, 0.0), "logit_scale=0.0; accepted is a number above 0"),
            ((TEXTS, np.nan), "logit_scale=nan"),
            ((TEXTS, 10.0, ["a"]), "class_names holds 1; accepted are two or more"),
        ],
    )
    def test_wrong_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            zero_shot_head(*arguments)


class TestLinearProbe:
    @pytest.mark.parametrize("classes", [2, 3, 4])
    def test_it_is_scikit_learns(self, classes):
        train, test = clusters(40, 4, classes), clusters(50, 5, classes)
        probe = linear_probe(train, test, validation=None, strengths=[0.02])
        model = LogisticRegression(C=50, max_iter=5000).fit(train[0].astype(float), train[1])
        np.testing.assert_allclose(probe.predict_proba(test[0]), model.predict_proba(test[0].astype(float)), atol=1e-5)
        assert probe.evaluation.accuracy == pytest.approx(model.score(test[0].astype(float), test[1]))
        assert probe.validation is None and probe.strength == 0.02

    def test_many_pictures_are_bayes(self):
        probe = linear_probe(TRAIN, TEST, seed=0)
        assert probe.evaluation.accuracy == pytest.approx(BAYES, abs=0.01)
        truth = softmax(KAPPA * TEST[0] @ CENTRES.T, axis=1)
        assert np.abs(probe.predict_proba(TEST[0]) - truth).mean() < 0.02  # the posterior too, not the labels alone

    def test_labels_without_a_pattern_teach_nothing(self):
        shuffled = np.random.default_rng(0).permutation(TRAIN[1])
        assert linear_probe((TRAIN[0], shuffled), TEST).evaluation.accuracy == pytest.approx(1 / K, abs=0.12)

    def test_the_strength_is_chosen_on_the_validation_part(self):
        few = clusters(6, 7)
        probe = linear_probe(few, TEST, validation=VALIDATION)
        table = probe.validation
        best = table.loc[table["log_loss"].idxmin()]
        assert probe.strength == best["strength"] and list(table) == ["strength", "accuracy", "log_loss"]
        again = linear_probe(few, validation=None, strengths=[probe.strength])
        np.testing.assert_array_equal(probe.weights, again.weights)  # a part of its own is not trained on
        assert again.evaluation is None
        grade = again.evaluate(VALIDATION)
        assert grade.accuracy == pytest.approx(best["accuracy"])

    def test_a_fraction_is_fitted_again_on_everything_and_follows_the_seed(self):
        one, same, other = (linear_probe(clusters(10, 8), validation=0.3, seed=s) for s in (1, 1, 2))
        pd.testing.assert_frame_equal(one.validation, same.validation)
        assert not one.validation.equals(other.validation)
        whole = linear_probe(clusters(10, 8), validation=None, strengths=[one.strength])
        np.testing.assert_array_equal(one.weights, whole.weights)

    def test_the_order_of_classes_changes_nothing(self):
        train, test = embeddings(30, 10), embeddings(200, 11)
        order = np.array([2, 0, 3, 1])
        turned = ImageEmbeddings(test.values, test.paths, np.argsort(order)[test.labels], [NAMES[k] for k in order])
        one, two = linear_probe(train, test), linear_probe(train, turned)
        assert one.evaluation.accuracy == two.evaluation.accuracy > 0.8
        assert one.class_names == NAMES and one.evaluation.images == test.paths

    def test_failed_pictures_are_left_out(self):
        train = embeddings(30, 10)
        train.values[5] = np.nan
        whole = linear_probe(train.without_failed(), validation=None, strengths=[1])
        np.testing.assert_array_equal(linear_probe(train, validation=None, strengths=[1]).weights, whole.weights)

    @pytest.mark.parametrize(
        ("train", "options", "message"),
        [
            ((TRAIN[0], TRAIN[1][:-1]), {}, "train holds 2400 and train.labels holds 2399"),
            ((TRAIN[0] * 3, TRAIN[1]), {}, "train has a row of length 3"),
            ((np.where(np.arange(D) == 3, np.nan, TRAIN[0]), TRAIN[1]), {}, "train holds NaN or infinity in 2400 of"),
            ((TRAIN[0], TRAIN[1] - 1), {}, "train.labels runs from -1 to 2; accepted are 0 or more .-1 marks no label"),
            ((TRAIN[0], TRAIN[1] + 0.5), {}, "train.labels holds float64 values"),
            ((TRAIN[0], 2 * TRAIN[1]), {}, "train.labels holds no label of class 1; accepted is at least one of each"),
            ((TRAIN[0], 0 * TRAIN[1]), {}, "the classes of train holds 1; accepted are two or more"),
            (TRAIN, {"validation": 1.5}, "validation=1.5; accepted is a fraction"),
            (TRAIN, {"validation": None}, "strengths holds 6 candidates and validation is None"),
            (TRAIN, {"strengths": [0]}, r"strengths=\[0\]; accepted are one or more numbers above 0"),
            (TRAIN, {"strengths": []}, r"strengths=\[\]"),
            (TRAIN, {"test": (TEST[0][:, :3], TEST[1])}, "test has 3 numbers a row; accepted are 16"),
            (TRAIN, {"test": (TEST[0], TEST[1] + 1)}, "test.labels runs from 1 to 4; accepted are 0 to 3"),
            (clusters(1, 0), {}, "validation=0.2 cannot be cut from the 1 pictures of class 'class 0'"),
        ],
    )
    def test_wrong_input(self, train, options, message):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message) as caught:
            linear_probe(train, **options)
        assert "\n" not in str(caught.value)

    def test_wrong_kinds_other_models_and_other_classes(self):
        with pytest.raises(TypeError, match="train is a ndarray; pass an ImageEmbeddings, or a pair"):
            linear_probe(TRAIN[0], TEST)
        with pytest.raises(ValueError, match="test was made by b, not by a; embed both with one model"):
            linear_probe(embeddings(9, 1, fingerprint="a"), embeddings(9, 2, fingerprint="b"))
        other = embeddings(9, 2)
        other.class_names[0] = "cow"
        with pytest.raises(ClassMismatchError, match="the data set's classes"):
            linear_probe(embeddings(9, 1), other)


class TestMixWeights:
    PROBE = linear_probe(TRAIN, validation=None, strengths=[0.1])

    def test_its_ends_are_the_heads(self):
        nothing, everything = (mix_weights(HEAD, self.PROBE, share) for share in (0, 1))
        np.testing.assert_array_equal(nothing.predict_scores(TEST[0]), HEAD.predict_scores(TEST[0]))
        np.testing.assert_allclose(
            everything.predict_scores(TEST[0]), self.PROBE.predict_scores(TEST[0]), rtol=1e-4, atol=1e-4
        )

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
    def test_mixed_weights_are_mixed_scores(self, share):
        mixed = mix_weights(HEAD, self.PROBE, share).predict_scores(TEST[0])
        expected = (1 - share) * HEAD.predict_scores(TEST[0]) + share * self.PROBE.predict_scores(TEST[0])
        np.testing.assert_allclose(mixed, expected, atol=1e-4)
        again = mix_weights(mix_weights(HEAD, self.PROBE, share), self.PROBE, 0.5).predict_scores(TEST[0])
        np.testing.assert_allclose(again, (expected + self.PROBE.predict_scores(TEST[0])) / 2, atol=1e-4)

    def test_the_order_of_classes_changes_nothing(self):
        order = [3, 1, 0, 2]
        probe = linear_probe(embeddings(50, 1), validation=None, strengths=[0.1])
        one = mix_weights(zero_shot_head(TEXTS, KAPPA, NAMES), probe, 0.4)
        two = mix_weights(zero_shot_head(TEXTS[order], KAPPA, [NAMES[k] for k in order]), probe, 0.4)
        np.testing.assert_array_equal(one.weights, two.weights)

    def test_the_curve_runs_from_zero_shot_to_the_probe(self):
        curve = mix_curve(HEAD, self.PROBE, TEST)
        assert curve["share"].tolist() == [round(i / 10, 1) for i in range(11)]
        assert curve["accuracy"].iloc[0] == pytest.approx(ZERO_SHOT)
        assert curve["accuracy"].iloc[-1] == pytest.approx(self.PROBE.evaluate(TEST).accuracy)

    def test_some_of_both_beats_either_with_few_shots(self):
        """Text and one shot a class err independently, so that their mix is better than each alone (mean of 20)."""
        gains = []
        for seed in range(20):
            probe = linear_probe(clusters(2, 100 + seed), validation=None, strengths=[0.01])
            accuracy = mix_curve(HEAD, probe, TEST)["accuracy"]  # 8000 pictures: chance moves these by 0.003
            gains.append(accuracy.max() - max(accuracy.iloc[0], accuracy.iloc[-1]))
        assert np.mean(gains) > 0.02

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="share=1.5; accepted is a fraction, 0 to 1, ends included"):
            mix_weights(HEAD, self.PROBE, 1.5)
        short = zero_shot_head(unit(TEXTS[:, :5]), KAPPA)
        with pytest.raises(ValueError, match="zero_shot takes 5 numbers a row and probe 16; both must be of one model"):
            mix_weights(short, self.PROBE, 0.5)
        with pytest.raises(ValueError, match="zero_shot has the 3 classes .* the pictures have the 4 classes"):
            mix_weights(zero_shot_head(TEXTS[:3], KAPPA), self.PROBE, 0.5)


class TestTipAdapter:
    @pytest.mark.parametrize("cells", [1, 100, 2**24])
    def test_it_is_the_papers_formula(self, monkeypatch, cells):
        monkeypatch.setattr(tip, "CHUNK_CELLS", cells)
        shots, some = clusters(5, 1), TEST[0][::97]
        adapter = tip_adapter(shots, HEAD, alphas=[0.7], betas=[3.0])
        expected = KAPPA * some.astype(float) @ TEXTS.T
        for i, picture in enumerate(some.astype(float)):
            for key, label in zip(*shots, strict=True):
                expected[i, label] += 0.7 * np.exp(-3.0 * (1 - picture @ key))
        np.testing.assert_allclose(adapter.predict_scores(some), expected, rtol=1e-4)

    def test_the_defaults_are_the_papers(self):
        adapter = tip_adapter(clusters(2, 1), HEAD)
        assert (adapter.alpha, adapter.beta, adapter.validation) == (1.0, 5.5, None)

    def test_alpha_0_is_zero_shot_exactly(self):
        adapter = tip_adapter(TRAIN, HEAD, alphas=[0.0])
        np.testing.assert_array_equal(adapter.predict_scores(TEST[0]), HEAD.predict_scores(TEST[0]))

    def test_many_shots_are_bayes(self):
        """The votes of equal, round clusters rise with the cosine to their centre: their arg-max becomes Bayes'."""
        assert tip_adapter(TRAIN, HEAD, alphas=[100.0]).evaluate(TEST).accuracy == pytest.approx(BAYES, abs=0.01)

    def test_a_search_finds_out_that_wrong_shots_do_not_help(self):
        shuffled = (TRAIN[0], np.random.default_rng(0).permutation(TRAIN[1]))
        adapter = tip_adapter(shuffled, HEAD, validation=VALIDATION)
        assert adapter.evaluate(TEST).accuracy == pytest.approx(ZERO_SHOT, abs=0.03)
        assert tip_adapter(shuffled, HEAD, alphas=[10.0]).evaluate(TEST).accuracy < ZERO_SHOT - 0.1

    def test_a_search_on_the_shots_themselves(self):
        shots = clusters(16, 1)
        adapter = tip_adapter(shots, HEAD, validation=0.25, seed=3)
        assert len(adapter.keys) == len(shots[1])  # all are kept in the end
        best = adapter.validation.sort_values(["accuracy", "log_loss"], ascending=[False, True]).iloc[0]
        assert (adapter.alpha, adapter.beta) == (best["alpha"], best["beta"])
        assert len(adapter.validation) == len(tip.ALPHAS) * len(tip.BETAS)
        assert adapter.evaluate(TEST).accuracy > ZERO_SHOT

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"alphas": [-1.0]}, r"alphas=\[-1.0\]; accepted are one or more numbers of 0 or more"),
            ({"betas": [np.nan]}, r"betas=\[nan\]"),
            ({"betas": [1.0, 2.0]}, "betas holds 2 candidates and validation is None"),
            (
                {"zero_shot": zero_shot_head(unit(TEXTS[:, :5]), 1.0)},
                "zero_shot takes 5 numbers a row and train has 16",
            ),
        ],
    )
    def test_wrong_input(self, options, message):
        with pytest.raises(ValueError, match=message):
            tip_adapter(**{"train": TRAIN, "zero_shot": HEAD} | options)


class TestFewShotCurve:
    @pytest.mark.parametrize("method", ["probe", "tip-adapter", "mix"])
    def test_no_shots_are_zero_shot_and_many_are_bayes(self, method):
        options = {"shots": (0, 1, 16, 400), "seeds": 2, "validation": clusters(400, 3)}
        curve = few_shot_curve(TRAIN, TEST, HEAD, method=method, **options)
        assert (curve["zero_shot"] == curve["zero_shot"].iloc[0]).all()
        assert curve["zero_shot"].iloc[0] == pytest.approx(ZERO_SHOT)
        accuracy = curve.groupby("shots")["accuracy"].mean()
        assert (curve.loc[curve["shots"] == 0, "accuracy"] == curve["zero_shot"].iloc[0]).all()
        assert accuracy[400] == pytest.approx(BAYES, abs=0.01) and accuracy[16] > accuracy[1]
        assert accuracy.max() <= BAYES + 0.01  # nothing beats Bayes but by luck

    def test_a_row_is_what_the_parts_give(self):
        curve = few_shot_curve(TRAIN, TEST, HEAD, shots=(3,), seeds=[7])
        shots = draw_shots(as_rows(TRAIN, "train"), 3, seed=7)
        probe = linear_probe((shots.values, shots.labels), TEST, validation=None, strengths=[curve["strength"][0]])
        assert curve["accuracy"][0] == probe.evaluation.accuracy
        assert curve["macro_recall"][0] == probe.evaluation.macro_recall
        assert curve[["method", "shots", "seed"]].iloc[0].tolist() == ["probe", 3, 7]

    def test_seeds(self):
        one, two = (few_shot_curve(TRAIN, VALIDATION, HEAD, shots=(1, 2), seeds=s) for s in (3, [0, 1, 2]))
        pd.testing.assert_frame_equal(one, two)
        assert len(one) == 6 and one.groupby("shots")["accuracy"].nunique().max() > 1

    def test_a_fraction_is_kept_out_of_the_shots(self):
        with pytest.raises(ValueError, match="shots=10 asks for more than train has: 8 pictures"):
            few_shot_curve(clusters(10, 1), TEST, HEAD, shots=(10,), validation=0.2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "svm"}, "method='svm'; accepted are probe, tip-adapter, mix"),
            (
                {"shots": (1, 601)},
                re.escape("shots=601 asks for more than train has: 600 pictures of class 'class 0'."),
            ),
            ({"shots": (-1,)}, r"shots=\[-1\]; accepted are whole numbers, 0 or more"),
            ({"shots": ()}, r"shots=\[\]"),
            ({"seeds": 0}, "seeds=0; accepted is a number of 1 or more"),
            ({"seeds": [-1]}, r"seeds=\[-1\]"),
        ],
    )
    def test_wrong_input(self, options, message):
        with pytest.raises(ValueError, match=message):
            few_shot_curve(TRAIN, TEST, HEAD, **options)


class TestParts:
    ROWS = as_rows(embeddings(20, 1), "train")

    def test_fewer_shots_are_a_part_of_more(self):
        four, eight = (draw_shots(self.ROWS, n, seed=1) for n in (4, 8))
        assert set(four.images) < set(eight.images) and np.bincount(four.labels).tolist() == [4] * K
        assert set(four.images) != set(draw_shots(self.ROWS, 4, seed=2).images)

    @pytest.mark.parametrize("fraction", [0.01, 0.25, 0.99])
    def test_a_split_is_stratified_and_loses_nothing(self, fraction):
        rest, part = split_rows(self.ROWS, fraction, seed=0)
        assert sorted([*rest.images, *part.images]) == sorted(self.ROWS.images)
        expected = min(max(1, round(20 * fraction)), 19)
        assert np.bincount(part.labels).tolist() == [expected] * K
