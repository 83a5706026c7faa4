"""Probes on clusters of known separation: without shots they are zero-shot, with many they are Bayes.

The clusters are von Mises-Fisher with one concentration: the true posterior is softmax(kappa x cosine to the centres).
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import vonmises_fisher
from sklearn.linear_model import LogisticRegression

from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import evaluate
from zsc.probes import (
    LinearHead,
    few_shot_curve,
    fit,
    linear_probe,
    mix_curve,
    mix_weights,
    tip_adapter,
    zero_shot_head,
)
from zsc.probes.labelled import as_rows, draw_shots, split_rows
from zsc.scoring import ClassMismatchError, cosine_scores, to_proba

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


def head_of(weights, scale, names=None, fingerprint=""):
    """Make a zero-shot head of class weights alone."""
    names = [f"class {k}" for k in range(len(weights))] if names is None else names
    return LinearHead(weights, np.zeros(len(weights)), names, scale, fingerprint)


TRAIN, TEST, VALIDATION = clusters(600, 1), clusters(2000, 2), clusters(60, 3)
HEAD = head_of(TEXTS, KAPPA)
BAYES = float(((TEST[0] @ CENTRES.T).argmax(axis=1) == TEST[1]).mean())
ZERO_SHOT = float(((TEST[0] @ TEXTS.T).argmax(axis=1) == TEST[1]).mean())


def test_the_clusters_leave_something_to_learn():
    assert BAYES > ZERO_SHOT + 0.1 and 0.9 < BAYES < 0.99


class TestZeroShotHead:
    def test_it_is_the_classifier(self, colours):
        clf = ZeroShotClassifier({"red": ["red"], "blue": ["blue", "a blue thing"], "green": ["green"]}, colours)
        head = zero_shot_head(clf)
        values = unit(np.random.default_rng(0).random((20, head.dim))).astype(np.float32)
        expected = to_proba(cosine_scores(values, clf.class_weights), clf.model.logit_scale)
        np.testing.assert_array_equal(head.predict_proba(values), expected)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((TEXTS, 0.0), r"logit_scale=\[0.0\]; pass one or more numbers above 0"),
            ((TEXTS, np.nan), r"logit_scale=\[nan\]"),
            ((TEXTS, "ten"), r"logit_scale=\['ten'\]"),
            ((TEXTS, 10.0, ["a"]), "class_names holds 1"),
            ((TEXTS, 10.0, set(NAMES)), "class_names is a set, where order decides"),
        ],
    )
    def test_wrong_input(self, arguments, message):
        with pytest.raises((ValueError, TypeError), match=message):
            head_of(*arguments)

    def test_a_classifier_brings_all_the_rest(self, colours):
        texts = {"red": ["red"], "blue": ["blue", "a blue thing"], "green": ["green"]}
        clf = ZeroShotClassifier(texts, colours)
        head = zero_shot_head(clf)
        by_hand = head_of(clf.class_weights, colours.logit_scale, clf.class_names)
        np.testing.assert_array_equal(head.weights, by_hand.weights)
        assert (head.class_names, head.logit_scale) == (by_hand.class_names, by_hand.logit_scale)
        assert head.fingerprint == colours.fingerprint
        with pytest.raises(ValueError, match="the classifier pools by 'max', which no linear head can do"):
            zero_shot_head(ZeroShotClassifier(texts, colours, pooling="max"))
        assert zero_shot_head(ZeroShotClassifier(["red", "blue"], colours, pooling="max")).class_names == [
            "red",
            "blue",
        ]

    def test_what_is_passed_in_and_given_out_changes_nothing(self):
        weights = TEXTS.copy()
        head = head_of(weights, KAPPA)
        weights[:] = 0
        np.testing.assert_allclose(head.weights, TEXTS, atol=1e-6)
        with pytest.raises(ValueError, match="read-only"):
            head.weights[0] = 0

    def test_there_is_one_log_loss(self):
        """A confident mistake costs what it costs: 60 and 0 nats, and 150 where a floor of 1e-15 would say 35."""
        values, labels = np.eye(2, dtype="f4"), np.array([1, 1])
        for scale, expected in ((60.0, 30.0), (300.0, 150.0)):
            head = head_of(values, scale, ["a", "b"])
            grade = head.grade(as_rows((values, labels), "x", class_names=["a", "b"]))
            assert grade["log_loss"] == head.evaluate((values, labels)).log_loss == pytest.approx(expected)
        rare = evaluate([1], [[1 - 1e-20, 1e-20]], ["a", "b"])
        assert rare.log_loss == pytest.approx(20 * np.log(10))
        assert evaluate([0], [[1.0, 0.0]], ["a", "b"]).log_loss == 0


class TestLinearProbe:
    @pytest.mark.parametrize("classes", [2, 3, 4])
    def test_it_is_scikit_learns(self, classes):
        train, test = clusters(40, 4, classes), clusters(50, 5, classes)
        probe = linear_probe(train, test, validation=None, strengths=[0.02])
        model = LogisticRegression(C=50, max_iter=5000, tol=1e-10).fit(train[0].astype(float), train[1])
        np.testing.assert_allclose(probe.predict_proba(test[0]), model.predict_proba(test[0].astype(float)), atol=1e-5)
        assert probe.evaluation.accuracy == pytest.approx(model.score(test[0].astype(float), test[1]))
        assert probe.validation is None and probe.strength == 0.02

    @pytest.mark.parametrize(("classes", "dim", "shots"), [(2, 256, 8), (10, 256, 2), (10, 64, 40), (40, 128, 3)])
    def test_it_reaches_its_optimum_at_every_strength(self, classes, dim, shots):
        """Embeddings in a narrow cone, as CLIP's are: against lbfgs that goes on to the end, C from 1e-3 to 1e6."""
        rng = np.random.default_rng(7)
        middles, common = unit(rng.normal(size=(classes, dim))), unit(rng.normal(size=(1, dim)))

        def draw(n):
            labels = np.tile(np.arange(classes), n)
            noise = rng.normal(size=(len(labels), dim)) / dim**0.5
            return unit(0.9 * common + 0.3 * middles[labels] + noise).astype(np.float32), labels

        train, test = draw(shots), draw(20)
        values, others = train[0].astype(float), test[0].astype(float)
        for strength in (1e3, 1.0, 1e-2, 1e-4, 1e-6):
            probe = linear_probe(train, test, validation=None, strengths=[strength])
            centre = values.mean(axis=0)  # for lbfgs's sake: the minimum is the same
            tight = LogisticRegression(C=1 / strength, tol=1e-13, max_iter=20_000).fit(values - centre, train[1])
            np.testing.assert_allclose(
                probe.predict_proba(test[0]), tight.predict_proba(others - centre), atol=1e-3, err_msg=str(strength)
            )
            assert probe.evaluation.accuracy == pytest.approx(tight.score(others - centre, test[1]), abs=1e-3)

    def test_a_fit_that_is_cut_short_says_so_in_one_sentence(self, monkeypatch):
        monkeypatch.setattr(fit, "MAX_ITER", 1)
        with pytest.warns(
            UserWarning, match="the probe of strength 1e-05 is not at its optimum after 1 steps"
        ) as caught:
            linear_probe(clusters(6, 7), validation=None, strengths=[1e-5])
        assert len(caught) == 1

    @pytest.mark.parametrize(
        ("strengths", "said"),
        [
            ((100.0, 10.0), "strength 10 is the smallest of those offered; one beyond it might do better."),
            ((1e-5, 1e-6), "strength 1e-05 is the largest of those offered; one beyond it might do better."),
            ((1e3, 0.1, 1e-6), ""),
            ((0.1,), ""),
        ],
    )
    def test_the_end_of_the_grid_is_told(self, strengths, said):
        train = clusters(60, 7)
        probe = linear_probe(train, TEST, validation=VALIDATION, strengths=strengths)
        assert probe.note == probe.evaluation.made_by.to_dict().get("note", "") == said

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
        assert one.class_names == NAMES and list(one.evaluation.images) == list(test.paths)

    def test_failed_pictures_are_left_out(self):
        whole = embeddings(30, 10)
        values = whole.values.copy()
        values[5] = np.nan
        train = replace(whole, values=values)
        whole = linear_probe(train.without_failed(), validation=None, strengths=[1])
        np.testing.assert_array_equal(linear_probe(train, validation=None, strengths=[1]).weights, whole.weights)

    @pytest.mark.parametrize(
        ("train", "options", "message"),
        [
            ((TRAIN[0], TRAIN[1][:-1]), {}, "train holds 2400 and train.labels holds 2399"),
            ((TRAIN[0] * 3, TRAIN[1]), {}, "train has a row of length 3"),
            ((np.where(np.arange(D) == 3, np.nan, TRAIN[0]), TRAIN[1]), {}, "train holds NaN or infinity in 2400 of"),
            (
                (TRAIN[0], TRAIN[1] - 1),
                {},
                "train.labels runs from -1 to 2; labels must be 0 or more .-1 marks no label",
            ),
            ((TRAIN[0], TRAIN[1] + 0.5), {}, "train.labels holds float64 values"),
            (
                (TRAIN[0], 2 * TRAIN[1]),
                {},
                "train.labels holds no label of class 1; each of the . classes must have one",
            ),
            ((TRAIN[0], 0 * TRAIN[1]), {}, "the classes of train holds 1"),
            (TRAIN, {"validation": 1.5}, "validation=1.5; validation must be a fraction"),
            (TRAIN, {"validation": None}, "strengths holds 8 candidates and validation is None"),
            (TRAIN, {"strengths": [0]}, r"strengths=\[0\]; pass one or more numbers above 0"),
            (TRAIN, {"strengths": []}, r"strengths=\[\]"),
            (TRAIN, {"strengths": ["1"]}, r"strengths=\['1'\]; pass one or more numbers above 0"),
            (TRAIN, {"strengths": [np.inf]}, r"strengths=\[inf\]"),
            (TRAIN, {"seed": "q"}, "seed='q'; seed must be a whole number of 0 or more"),
            (TRAIN, {"seed": 1.5, "validation": None, "strengths": [1]}, "seed=1.5; seed must be"),
            (TRAIN, {"test": (TEST[0][:, :3], TEST[1])}, "test has 3 .*16"),
            (TRAIN, {"test": (TEST[0], TEST[1] + 1)}, "test.labels runs from 1 to 4; labels must lie in 0 to 3"),
            (clusters(1, 0), {}, "validation=0.2 cannot be cut from the 1 pictures of class 'class 0'"),
        ],
    )
    def test_wrong_input(self, train, options, message):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message) as caught:
            linear_probe(train, **options)
        assert "\n" not in str(caught.value)

    def test_wrong_containers(self):
        for options, message in (({"strengths": 0.1}, "strengths is the float 0.1"), ({"strengths": {0.1}}, "a set")):
            with pytest.raises(TypeError, match=message):
                linear_probe(TRAIN, **options)

    def test_wrong_kinds_other_models_and_other_classes(self):
        with pytest.raises(TypeError, match="train is a ndarray; pass an ImageEmbeddings, or a pair"):
            linear_probe(TRAIN[0], TEST)
        with pytest.raises(ValueError, match="test was made by b, not by a; embed both with one model"):
            linear_probe(embeddings(9, 1, fingerprint="a"), embeddings(9, 2, fingerprint="b"))
        other = replace(embeddings(9, 2), class_names=["cow", *NAMES[1:]])
        with pytest.raises(ClassMismatchError, match="the data set's classes"):
            linear_probe(embeddings(9, 1), other)


class TestModels:
    """ViT-B/32, ViT-B/16 and RN101 all have 512 numbers per row: only the fingerprint tells them apart."""

    ONE, OTHER = embeddings(9, 1, fingerprint="one"), embeddings(9, 2, fingerprint="other")
    PROBE = linear_probe(embeddings(30, 3, fingerprint="one"), validation=None, strengths=[0.1])
    START = head_of(TEXTS, KAPPA, NAMES, fingerprint="one")

    @pytest.mark.parametrize(
        "head",
        [PROBE, START, mix_weights(head_of(TEXTS, KAPPA, NAMES), PROBE, 0.5), tip_adapter(ONE, HEAD)],
        ids=["probe", "zero-shot", "mix", "tip-adapter"],
    )
    @pytest.mark.parametrize("ask", ["evaluate", "predict_proba", "predict_logits"])
    def test_every_head_refuses_another_models_embeddings(self, head, ask):
        assert head.fingerprint == "one"
        getattr(head, ask)(self.ONE)
        getattr(head, ask)(embeddings(9, 2))  # where the model is not known, nothing can be said
        with pytest.raises(ValueError, match="was made by other, not by one; embed both with one model"):
            getattr(head, ask)(self.OTHER)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda other, start, probe: tip_adapter(other, start),
            lambda other, start, probe: few_shot_curve(other, embeddings(9, 4), start, shots=[1]),
            lambda other, start, probe: few_shot_curve(embeddings(9, 4), other, start, shots=[0]),
            lambda other, start, probe: tip_adapter(embeddings(9, 4), start, validation=other),
            lambda other, start, probe: linear_probe(
                clusters(9, 4), embeddings(5, 1, fingerprint="x"), validation=other
            ),
            lambda other, start, probe: mix_curve(start, probe, other),
            lambda other, start, probe: mix_weights(head_of(TEXTS, 1, NAMES, fingerprint="other"), probe, 0.5),
        ],
    )
    def test_heads_of_two_models_are_never_mixed(self, ask):
        with pytest.raises(ValueError, match="was made by .*; embed both with one model"):
            ask(self.OTHER, self.START, self.PROBE)

    def test_results_say_their_model_and_data(self):
        named = {"model": "toy", "fingerprint": "one", "dataset": "drawn test"}
        train, test = embeddings(20, 1, **named), embeddings(20, 2, **named)
        curve = few_shot_curve(train, test, self.START, shots=(0, 1), seeds=2)
        assert all((curve[key] == value).all() for key, value in named.items())
        assert (curve["baseline"] == 0.25).all() and (curve["note"] == "").all()
        about = linear_probe(train, test).evaluation.made_by.to_dict()
        assert {key: about[key] for key in named} == named and about["method"] == "linear probe"

    def test_failed_pictures_are_counted_in_the_result(self):
        test = embeddings(20, 2)
        values = test.values.copy()
        values[[3, 7]] = np.nan
        failures = pd.DataFrame({"index": [3, 7], "image": "x", "error": "broken"})
        test = replace(test, values=values, failures=failures)
        probe = linear_probe(embeddings(20, 1), test)
        assert probe.evaluation.n == 78 and probe.evaluation.made_by.left_out == 2
        assert few_shot_curve(embeddings(20, 1), test, HEAD, shots=[0], seeds=1)["left_out"].tolist() == [2]

    def test_classes_in_another_spelling_are_matched_by_name(self):
        test = embeddings(20, 2)
        order = [2, 0, 3, 1]
        spelt = ImageEmbeddings(test.values, test.paths, np.argsort(order)[test.labels], ["Fox", "CAT", "owl ", "Dog"])
        probe = linear_probe(embeddings(20, 1), spelt, validation=None, strengths=[0.1])
        assert probe.evaluation.accuracy > 0.8 and "matched_by" not in probe.evaluation.made_by.to_dict()


class TestSharedPictures:
    ONE = embeddings(12, 1)

    @pytest.mark.parametrize(
        ("ask", "said"),
        [
            (lambda a: linear_probe(a, a), "48 of 48 pictures of test are in train as well"),
            (lambda a: linear_probe(a, validation=a), "48 of 48 pictures of validation are in train"),
            (lambda a: linear_probe(a, a.select(range(40, 48)), validation=None, strengths=[1]), "8 of 8 pictures of"),
            (
                lambda a: linear_probe((a.values, a.labels), (a.values[::-1], a.labels[::-1])),
                "48 of 48 pictures of test",
            ),
            (lambda a: few_shot_curve(a, a, HEAD, shots=[1]), "48 of 48 pictures of test are in train as well"),
            (lambda a: few_shot_curve(a, a, HEAD, shots=[1], validation=0.25), "48 of 48 pictures of test"),
            (lambda a: tip_adapter(a, HEAD, validation=a), "48 of 48 pictures of validation"),
            (lambda a: linear_probe(embeddings(5, 9), a, validation=a), "48 of 48 pictures of test are in validation"),
        ],
    )
    def test_learning_and_judging_on_the_same_ones_is_told(self, ask, said):
        with pytest.warns(UserWarning, match=said) as caught:
            ask(self.ONE)
        assert caught[0].filename == __file__

    def test_by_digest_by_source_and_by_value(self):
        digests = [bytes([i]) for i in range(48)]
        moved = np.roll(self.ONE.values, 1, axis=1)  # other rows altogether
        one, two = (replace(e, digests=digests) for e in (self.ONE, replace(self.ONE, values=moved)))
        with pytest.warns(UserWarning, match="48 of 48"):
            linear_probe(one, two, validation=None, strengths=[1])
        with pytest.warns(UserWarning, match="48 of 48"):  # in other batches the last digits change
            near = unit(self.ONE.values + 1e-6).astype(np.float32)
            linear_probe(self.ONE, replace(self.ONE, values=near), validation=None, strengths=[1])
        linear_probe(self.ONE, replace(self.ONE, values=moved), validation=None, strengths=[1])  # names alone: not told
        probe = None
        with pytest.warns(UserWarning, match="48 of 48"):
            probe = linear_probe(self.ONE, self.ONE)
        assert "too good for new pictures" in probe.note and probe.evaluation.made_by.to_dict()["note"] == probe.note

    def test_a_fraction_that_is_cut_off_shares_nothing(self):
        linear_probe(self.ONE, embeddings(5, 2), validation=0.25)


class TestMixWeights:
    PROBE = linear_probe(TRAIN, validation=None, strengths=[0.1])

    def test_its_ends_are_the_heads(self):
        nothing, everything = (mix_weights(HEAD, self.PROBE, share) for share in (0, 1))
        np.testing.assert_array_equal(nothing.predict_logits(TEST[0]), HEAD.predict_logits(TEST[0]))
        np.testing.assert_allclose(
            everything.predict_logits(TEST[0]), self.PROBE.predict_logits(TEST[0]), rtol=1e-4, atol=1e-4
        )

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
    def test_mixed_weights_are_mixed_scores(self, share):
        mixed = mix_weights(HEAD, self.PROBE, share).predict_logits(TEST[0])
        expected = (1 - share) * HEAD.predict_logits(TEST[0]) + share * self.PROBE.predict_logits(TEST[0])
        np.testing.assert_allclose(mixed, expected, atol=1e-4)
        again = mix_weights(mix_weights(HEAD, self.PROBE, share), self.PROBE, 0.5).predict_logits(TEST[0])
        np.testing.assert_allclose(again, (expected + self.PROBE.predict_logits(TEST[0])) / 2, atol=1e-4)

    def test_the_order_of_classes_changes_nothing(self):
        order = [3, 1, 0, 2]
        probe = linear_probe(embeddings(50, 1), validation=None, strengths=[0.1])
        one = mix_weights(head_of(TEXTS, KAPPA, NAMES), probe, 0.4)
        two = mix_weights(head_of(TEXTS[order], KAPPA, [NAMES[k] for k in order]), probe, 0.4)
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
        with pytest.raises(ValueError, match="share=1.5; share must be a fraction, from 0 to 1, ends included"):
            mix_weights(HEAD, self.PROBE, 1.5)
        short = head_of(unit(TEXTS[:, :5]), KAPPA)
        with pytest.raises(
            ValueError, match="zero_shot takes 5 numbers per row and probe 16; both must be of one model"
        ):
            mix_weights(short, self.PROBE, 0.5)
        with pytest.raises(ValueError, match="zero_shot has the 3 classes .* the pictures have the 4 classes"):
            mix_weights(head_of(TEXTS[:3], KAPPA), self.PROBE, 0.5)


class TestTipAdapter:
    @pytest.mark.parametrize("cells", [1, 100, 2**24])
    def test_it_is_the_papers_formula(self, monkeypatch, cells):
        monkeypatch.setattr(fit, "CHUNK_CELLS", cells)
        shots, some = clusters(5, 1), TEST[0][::97]
        adapter = tip_adapter(shots, HEAD, alphas=[0.7], betas=[3.0])
        expected = KAPPA * some.astype(float) @ TEXTS.T
        for i, picture in enumerate(some.astype(float)):
            for key, label in zip(*shots, strict=True):
                expected[i, label] += 0.7 * np.exp(-3.0 * (1 - picture @ key))
        np.testing.assert_allclose(adapter.predict_logits(some), expected, rtol=1e-4)

    def test_the_defaults_are_the_papers(self):
        adapter = tip_adapter(clusters(2, 1), HEAD)
        assert (adapter.alpha, adapter.beta, adapter.validation) == (1.0, 5.5, None)

    def test_alpha_0_is_zero_shot_exactly(self):
        adapter = tip_adapter(TRAIN, HEAD, alphas=[0.0])
        np.testing.assert_array_equal(adapter.predict_logits(TEST[0]), HEAD.predict_logits(TEST[0]))

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
        assert len(adapter.validation) == len(fit.ALPHAS) * len(fit.BETAS)
        assert adapter.evaluate(TEST).accuracy > ZERO_SHOT

    def test_the_end_of_the_grid_is_told(self):
        adapter = tip_adapter(TRAIN, HEAD, validation=VALIDATION, alphas=[0.1, 10.0], betas=[1.0, 3.0, 5.5])
        assert "alpha 0.1 is the smallest of those offered" in adapter.note and "beta 1 is" in adapter.note
        shuffled = (TRAIN[0], np.random.default_rng(0).permutation(TRAIN[1]))
        adapter = tip_adapter(shuffled, HEAD, validation=VALIDATION, alphas=[0.0, 10.0], betas=[5.5])
        assert (adapter.alpha, adapter.note) == (0.0, "")  # nothing lies beyond 0

    def test_the_votes_of_many_classes_are_counted_class_by_class(self):
        """3,000 classes of one shot each, some of none: no table of classes by classes is made."""
        rng = np.random.default_rng(0)
        weights = unit(rng.normal(size=(3000, 8))).astype(np.float32)
        shots = rng.choice(3000, 50, replace=False)
        adapter = fit.TipAdapter(head_of(weights, 1.0), weights[shots], shots)
        votes = adapter.votes(weights[:5])
        expected = np.exp(-5.5 * (1 - weights[:5] @ weights[shots].T))
        np.testing.assert_allclose(votes[:, shots], expected, rtol=1e-5)
        assert np.count_nonzero(votes) == 250

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"alphas": [-1.0]}, r"alphas=\[-1.0\]; pass one or more numbers of 0 or more"),
            ({"betas": ["5.5"]}, r"betas=\['5.5'\]"),
            ({"zero_shot": "toy"}, "zero_shot is the str 'toy'; pass a head: zero_shot_head"),
            ({"seed": -1}, "seed=-1; seed must be"),
            ({"betas": [np.nan]}, r"betas=\[nan\]"),
            ({"betas": [1.0, 2.0]}, "betas holds 2 candidates and validation is None"),
            (
                {"zero_shot": head_of(unit(TEXTS[:, :5]), 1.0)},
                "zero_shot takes 5 numbers per row and train 16",
            ),
        ],
    )
    def test_wrong_input(self, options, message):
        with pytest.raises((ValueError, TypeError), match=message):
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
            ({"method": "svm"}, "method='svm'; method must be one of probe, tip-adapter, mix"),
            (
                {"shots": (1, 601)},
                re.escape("shots=601 asks for more than train has: 600 pictures of class 'class 0'."),
            ),
            ({"shots": (-1,)}, "shots=-1; shots must be a whole number of 0 or more"),
            ({"shots": (1.5,)}, "shots=1.5; shots must be"),
            ({"shots": ()}, "shots is empty"),
            ({"shots": 5}, "shots is the int 5; pass a list of numbers"),
            ({"shots": {1, 2}}, "shots is a set, where order decides"),
            ({"seeds": 0}, "seeds=0; seeds must be a whole number of 1 or more"),
            ({"seeds": [-1]}, "seeds=-1; seeds must be a whole number of 0 or more"),
            ({"seeds": [0.5]}, "seeds=0.5; seeds must be"),
            ({"seeds": True}, "seeds=True; seeds must be"),
            ({"seeds": []}, "seeds is empty"),
            ({"zero_shot": BAYES}, "zero_shot is the float .*; pass a head: zero_shot_head"),
        ],
    )
    def test_wrong_input(self, options, message):
        with pytest.raises((ValueError, TypeError), match=message):
            few_shot_curve(**{"train": TRAIN, "test": TEST, "zero_shot": HEAD} | options)


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

    def test_draws_are_those_of_a_loop_over_classes(self):
        rows, rng = self.ROWS.select(np.random.default_rng(1).permutation(80)), np.random.default_rng(4)
        by_hand = [rng.permutation(np.flatnonzero(rows.labels == k))[:3] for k in range(K)]
        assert draw_shots(rows, 3, seed=4).images == [rows.images[i] for part in by_hand for i in part]
