"""zsc.sklearn: scikit-learn's own checks, the two ends of the prior, and grid search over prompts."""

import warnings

import numpy as np
import pytest
from conftest import COLOURS, ColourEncoder, colour_picture
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import zsc
import zsc.sklearn
from zsc.sklearn import ImageEmbedder, TextPriorClassifier

RGB = ["blue", "green", "red"]
EXPECTED = {}  # no check fails: neither estimator has one to excuse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # says that pictures are no 2D array, so that checks which pass arrays are left out
    on_embedder = parametrize_with_checks([ImageEmbedder("conse")], expected_failed_checks=lambda _: EXPECTED)


@parametrize_with_checks([TextPriorClassifier()], expected_failed_checks=lambda _: EXPECTED)
def test_classifier_is_an_estimator(estimator, check):
    check(estimator)


@on_embedder
def test_embedder_is_an_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def model():
    return ColourEncoder()


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    y = np.array(RGB)[np.arange(60) % 3]
    return [colour_picture(np.clip(np.array(COLOURS[c]) + rng.uniform(0, 0.45, 3), 0, 1)) for c in y], y


@pytest.fixture(scope="module")
def rows(model, pictures):
    return ImageEmbedder(model).fit_transform(pictures[0])


class TestEmbedder:
    def test_rows_are_those_of_embed_images(self, model, pictures, rows, tmp_path):
        assert np.array_equal(rows, model.encode_images(pictures[0]))
        path = tmp_path / "a b.png"
        pictures[0][0].save(path)
        for given in ([path], [str(path)], np.array([str(path)]), np.array([[str(path)]])):
            assert np.array_equal(ImageEmbedder(model).transform(given), rows[:1])

    @pytest.mark.parametrize(
        ("given", "reason"), [(np.zeros((3, 2)), "a float: this is no picture"), ([None], "None"), (["a.png"], "a.png")]
    )
    def test_what_is_no_picture_is_refused(self, model, given, reason):
        with pytest.raises((TypeError, ValueError, OSError), match=reason):
            ImageEmbedder(model).transform(given)

    def test_a_model_by_name_is_loaded_once(self, pictures):
        first, second = (ImageEmbedder("toy") for _ in range(2))
        assert np.array_equal(first.transform(pictures[0][:2]), clone(second).transform(pictures[0][:2]))
        assert zsc.sklearn._loaded.cache_info().hits


class TestPrior:
    def test_a_firm_prior_is_the_zero_shot_classifier(self, model, pictures, rows):
        clf = TextPriorClassifier("a {}", model, strength=1e9).fit(rows, pictures[1])
        expected = zsc.ZeroShotClassifier(zsc.ClassPrompts.from_names(RGB, "a {}"), model).predict_proba(pictures[0])
        assert np.abs(clf.predict_proba(rows) - expected).max() < 1e-5

    @pytest.mark.parametrize("classes", [2, 3])
    def test_without_prompts_it_is_logistic_regression(self, classes):
        rng = np.random.default_rng(1)
        X, y = rng.normal(size=(80, 5)), rng.integers(0, classes, 80)
        ours = TextPriorClassifier(strength=0.5).fit(X, y).predict_proba(X)
        # ours penalises the intercept too; scikit-learn's two classes have one row of weights, the difference of ours
        ones = np.column_stack([X, np.ones(80)])
        theirs = LogisticRegression(C=2 if classes == 3 else 4, fit_intercept=False, tol=1e-8, max_iter=1000)
        assert np.abs(ours - theirs.fit(ones, y).predict_proba(ones)).max() < 1e-4

    def test_labels_overrule_wrong_prompts_and_only_with_many(self, model, pictures, rows):
        wrong = {"red": "green", "green": "blue", "blue": "red"}
        few = TextPriorClassifier(wrong, model, strength=100.0).fit(rows[:3], pictures[1][:3])
        many = TextPriorClassifier(wrong, model, strength=0.01).fit(rows, pictures[1])
        assert few.score(rows, pictures[1]) < 0.1 and many.score(rows, pictures[1]) == 1

    def test_a_class_without_labels_keeps_its_prompts(self, model, pictures, rows):
        seen = pictures[1] != "red"
        clf = TextPriorClassifier({c: c for c in ("red", "green", "blue")}, model).fit(rows[seen], pictures[1][seen])
        assert list(clf.classes_) == RGB and clf.score(rows, pictures[1]) == 1

    @pytest.mark.parametrize(
        ("prompts", "labels", "reason"),
        [
            ({"red": "red", "green": "g"}, RGB, "but prompts are for .*; rename one of them"),
            (["red", "green"], [0, 1, 2], "2 texts for 3 classes"),
            ("a {}", [0, 1, 2], "pass one text per number"),
            ("imagenet-80", [0, 1, 2], "pass one text per number"),
            (
                {"red": "red", "green": "green", "blue": "blue"},
                [0, 1, 2],
                "pass one text per number",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, model, rows, prompts, labels, reason):
        with pytest.raises(ValueError, match=reason):
            TextPriorClassifier(prompts, model).fit(rows[:3], labels)

    def test_embeddings_of_another_model_are_refused(self, model):
        with pytest.raises(ValueError, match="embed with the same model"):
            TextPriorClassifier("{}", model).fit(np.eye(2), ["red", "blue"])


class TestOnTop:
    def test_a_grid_over_prompts_gives_the_nested_number(self, model, pictures, rows):
        """Prompts for classes that the labels know nothing of: the best of many is luck, and nesting shows it."""
        y = np.random.default_rng(3).permutation(pictures[1])
        words = [dict(zip(RGB, np.random.default_rng(k).permutation(RGB), strict=True)) for k in range(6)]
        grid = GridSearchCV(TextPriorClassifier(model=model, strength=1e6), {"prompts": words}, cv=3)
        best = grid.fit(rows, y).best_score_
        nested = cross_val_score(grid, rows, y, cv=3).mean()
        assert nested < best and best > 1 / 3

    def test_a_grid_through_the_pictures_finds_the_good_prompts(self, model, pictures):
        wrong = {"red": "green", "green": "blue", "blue": "red"}
        pipe = make_pipeline(ImageEmbedder(model), TextPriorClassifier(model=model, strength=1e6))
        grid = GridSearchCV(pipe, {"textpriorclassifier__prompts": [wrong, {c: c for c in RGB}]}, cv=2)
        assert grid.fit(*pictures).best_params_["textpriorclassifier__prompts"] == {c: c for c in RGB}
        assert grid.best_score_ == 1

    def test_calibration_and_held_out_probabilities(self, model, pictures, rows):
        clf = TextPriorClassifier("{}", model)
        proba = CalibratedClassifierCV(clf, cv=3).fit(rows, pictures[1]).predict_proba(rows)
        assert proba.shape == (60, 3) and (proba.argmax(axis=1) == np.searchsorted(RGB, pictures[1])).all()
        with pytest.raises(ValueError, match="pass one text per number"):
            cross_val_predict(clf, rows, pictures[1], cv=3, method="predict_proba")
        clf.set_params(prompts={c: c for c in RGB})
        assert cross_val_predict(clf, rows, pictures[1], cv=3, method="predict_proba").shape == (60, 3)
