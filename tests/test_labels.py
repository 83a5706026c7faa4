"""Planted label errors are found, the plain margin is cleanlab's, and a ranking is judged as scikit-learn judges it."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, precision_score, recall_score

from zsc.datasets.glasses import suspect_ids
from zsc.evaluation import Evaluation, evaluate
from zsc.labels import match_known, suspect_labels

CLEANLAB = "cleanlab is an extra"


def planted(n=2000, k=4, share=0.08, seed=0):
    """Draw a decent model's probabilities, labels of which a known share is wrong, and which those are."""
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    proba = softmax(4 * np.eye(k)[truth] + 1.2 * rng.normal(size=(n, k)), axis=1)
    wrong = np.sort(rng.choice(np.arange(k, n), int(share * n), replace=False))
    y_true = truth.copy()
    y_true[wrong] = (truth[wrong] + rng.integers(1, k, len(wrong))) % k
    return y_true, proba, wrong


def test_a_known_case():
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.95, 0.05]])
    ranking = suspect_labels([0, 0, 0, 1], proba, images=list("wxyz"))
    assert ranking["rank"].tolist() == [1, 2, 3, 4]
    assert ranking["index"].tolist() == [3, 1, 2, 0] and ranking["image"].tolist() == ["z", "x", "y", "w"]
    assert ranking["y_true"].tolist() == [1, 0, 0, 0] and ranking["y_pred"].tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(ranking["proba_given"], [0.05, 0.2, 0.4, 0.9])
    np.testing.assert_allclose(ranking["margin"], [-0.9, -0.6, -0.2, 0.8])
    assert ranking["suspect"].tolist() == [True, True, True, False]
    assert "image" not in suspect_labels([0, 0, 0, 1], proba)


def test_evaluations_bring_their_own():
    y_true, proba, _ = planted(60)
    names, images = list("abcd"), [f"{i}.png" for i in range(60)]
    expected = suspect_labels(y_true, proba, images=images)
    evaluation = evaluate(y_true, proba, names, images=images)
    pd.testing.assert_frame_equal(suspect_labels(evaluation), expected)
    part = Evaluation(np.where(np.arange(60) < 3, -1, y_true), proba, names, images)
    with pytest.raises(ValueError, match=r"y_true runs from -1 to 3; .*-1 marks no label: leave such pictures out"):
        suspect_labels(part)


def test_pictures_from_a_generator_a_series_and_nullable_labels():
    proba = np.array([[0.9, 0.1], [0.2, 0.8]])
    by_place = pd.Series(["w", "x"], index=[1, 0])
    for images in (by_place, (name for name in "wx"), np.array(["w", "x"])):
        ranking = suspect_labels(pd.Series([0, 0], dtype="Int64"), proba, images=images)
        assert ranking["image"].tolist() == ["x", "w"]
    with pytest.raises(TypeError, match="images is a set, where order decides"):
        suspect_labels([0, 0], proba, images={"w", "x"})


def test_labels_are_never_cut():
    with pytest.raises(ValueError, match="y_true holds float64 values; pass whole numbers"):
        suspect_labels(pd.Series([0.7, 1.9]), np.eye(2))
    with pytest.raises(ValueError, match="y_true holds bool values"):
        suspect_labels(pd.Series([True, False]), np.eye(2))


class TestPlantedErrors:
    def test_the_margin_finds_them(self):
        y_true, proba, wrong = planted()
        found = match_known(suspect_labels(y_true, proba), wrong)
        assert found["precision"][0] == found["recall"][0] > 0.75
        assert found["chance"][0] == pytest.approx(0.08) and found["p_value"][0] < 1e-50

    def test_clean_labels_of_a_sure_model_leave_nothing_suspect(self):
        truth = np.arange(40) % 4
        proba = 0.9 * np.eye(4)[truth] + 0.025
        assert not suspect_labels(truth, proba)["suspect"].any()


class TestCleanlab:
    def test_the_margin_is_its_normalized_margin(self):
        rank = pytest.importorskip("cleanlab.rank", reason=CLEANLAB)
        y_true, proba, _ = planted(300)
        ranking = suspect_labels(y_true, proba).sort_values("index")
        expected = rank.get_label_quality_scores(y_true, proba, method="normalized_margin")
        np.testing.assert_allclose(ranking["quality"], expected)


class TestMatchKnown:
    def test_it_is_scikit_learns(self):
        y_true, proba, wrong = planted(500)
        ranking = suspect_labels(y_true, proba)
        table = match_known(ranking, wrong, at=[1, 10, 40, 100, 500])
        truth = np.isin(np.arange(500), wrong)
        position = np.empty(500, int)
        position[ranking["index"]] = ranking["rank"]
        for row in table.itertuples():
            looked_at = position <= row.at
            assert row.precision == pytest.approx(precision_score(truth, looked_at))
            assert row.recall == pytest.approx(recall_score(truth, looked_at))
        assert table["average_precision"].tolist() == 5 * [pytest.approx(average_precision_score(truth, -position))]
        assert table["recall"].iloc[-1] == 1 and table["precision"].iloc[-1] == table["chance"].iloc[-1]

    @pytest.mark.slow
    def test_random_rankings_are_not_taken_for_good_ones(self):
        rng = np.random.default_rng(0)
        tables = [match_known(pd.DataFrame({"index": rng.permutation(300)}), range(60), at=100) for _ in range(1000)]
        both = pd.concat(tables)
        assert (both["p_value"] < 0.05).mean() < 0.065  # 5 % and three standard errors
        assert both["precision"].mean() == pytest.approx(0.2, abs=0.005)

    def test_the_523_glasses_ids(self):
        """Ids are not indices: face-1.png is index 0. A model that sees through 80 % of the wrong labels."""
        rng = np.random.default_rng(0)
        ids = np.arange(1, 4501)
        wrong = np.isin(ids, sorted(suspect_ids()))
        truth = rng.integers(0, 2, 4500)
        y_true = np.where(wrong, 1 - truth, truth)
        sure = np.where(~wrong | (rng.random(4500) < 0.8), 0.9, 0.06) + rng.uniform(-0.05, 0.05, 4500)
        proba = np.where(truth[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
        found = match_known(suspect_labels(y_true, proba), suspect_ids(), ids=ids)
        assert wrong.sum() == found["at"][0] == found["known"][0] == 523
        assert found["recall"][0] == pytest.approx(0.8, abs=0.05)
        shifted = match_known(suspect_labels(y_true, proba), suspect_ids())  # the mistake that `ids` is for
        assert shifted["recall"][0] < 0.3

    def test_the_first_100_hold_8_of_them(self):
        ranking = pd.DataFrame({"index": range(100)})
        assert match_known(ranking, suspect_ids(), ids=range(1, 101), at=[50, 100])["found"].tolist() == [3, 8]

    def test_ids_of_a_series_go_by_place_and_generators_are_read(self):
        ranking = pd.DataFrame({"index": [3, 0, 1, 2]})
        names = ["a", "b", "c", "bad"]
        for ids in (pd.Series(names, index=[3, 2, 1, 0]), pd.Index(names), (n for n in names), np.array(names)):
            assert match_known(ranking, {"bad"}, ids=ids, at=1)["found"].tolist() == [1]
        for known in (["bad"], ("bad" for _ in range(1)), frozenset(["bad"]), pd.Series(["bad"], index=[7])):
            assert match_known(ranking, known, ids=names, at=pd.Series([1, 4], index=[9, 8]))["found"].tolist() == [
                1,
                1,
            ]

    @pytest.mark.parametrize(
        ("ranking", "known", "options", "error", "message"),
        [
            ({"index": [0, 1]}, [1], {"ids": {"a", "b"}}, TypeError, "ids is a set, where order decides"),
            ({"index": [0, 1]}, [1], {"ids": "ab"}, TypeError, "ids is the one text"),
            ({"index": [0, 1]}, "ab", {}, TypeError, "known_ids is the str 'ab'"),
            ({"rank": [1, 2]}, [1], {}, TypeError, "pass a table of suspect_labels"),
            ({"index": [0, 0]}, [0], {}, ValueError, "holds 0 more than once"),
            ({"index": [0.5, 1]}, [1], {}, ValueError, "holds float64 values"),
        ],
    )
    def test_other_kinds(self, ranking, known, options, error, message):
        with pytest.raises(error, match=message):
            match_known(pd.DataFrame(ranking), known, **options)

    @pytest.mark.parametrize(
        ("known", "options", "message"),
        [
            ([99], {}, "known_ids holds 1 ids and none of the 4 pictures in ranking"),
            ([], {}, "known_ids holds 0 ids"),
            ([1], {"at": 5}, "at=5; at must be a whole number from 1 to 4"),
            ([1], {"at": [0]}, "at=0; at must be"),
            ([1], {"at": [1, 1.5]}, "at=1.5; at must be"),
            ([1], {"at": True}, "at=True; at must be"),
            ([1], {"at": []}, "at is empty; pass whole numbers from 1 to 4"),
            ([1], {"ids": [1, 2]}, "ids .*2.* ranking .*4"),
        ],
    )
    def test_wrong_input(self, known, options, message):
        with pytest.raises(ValueError, match=message):
            match_known(pd.DataFrame({"index": range(4)}), known, **options)


@pytest.mark.parametrize(
    ("y_true", "proba", "options", "error", "message"),
    [
        ([0, 1], [[0.5, 0.5]], {}, ValueError, "y_true .*2.* proba .*1"),
        ([0, 2], [[0.5, 0.5]] * 2, {}, ValueError, "y_true runs from 0 to 2.* 0 to 1"),
        ([0, 1], [[0.5, 0.4]] * 2, {}, ValueError, "proba .* 0.9"),
        ([0, 1], [[0.5, np.nan]] * 2, {}, ValueError, "proba holds NaN"),
        ([0, 1], [[0.5, 0.5]] * 2, {"images": ["a"]}, ValueError, "y_true .*2.* images .*1"),
        ([0, 1], None, {}, TypeError, "proba is missing; pass it beside y_true"),
        (pd.DataFrame({"a": [1]}), None, {}, TypeError, "pass it beside y_true, or pass an Evaluation alone"),
    ],
)
def test_wrong_input(y_true, proba, options, error, message):
    with pytest.raises(error, match=message):
        suspect_labels(y_true, proba, **options)
