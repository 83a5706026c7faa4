"""Metrics are scikit-learn's, the interval is SciPy's, and wrong input is one sentence."""

import copy
import json
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, classification_report, confusion_matrix

import zsc
from zsc.evaluation import evaluate


def random_case(n, k, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.dirichlet(np.ones(k), n), [f"class {i}" for i in range(k)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.sampled_from([2, 3, 10]), st.integers(0, 10_000))
@pytest.mark.filterwarnings("ignore:y_pred contains classes:UserWarning", "ignore:A single label was found")
def test_metrics_are_scikit_learns(n, k, seed):
    y_true, proba, names = random_case(n, k, seed)
    y_pred = proba.argmax(axis=1)
    evaluation = evaluate(y_true, proba, names)
    assert evaluation.n == n
    assert evaluation.accuracy == pytest.approx(accuracy_score(y_true, y_pred))
    assert evaluation.macro_recall == pytest.approx(balanced_accuracy_score(y_true, y_pred))
    report = classification_report(
        y_true, y_pred, labels=range(k), target_names=names, output_dict=True, zero_division=0
    )
    for name in names:
        ours = evaluation.report.loc[name]
        theirs = [report[name][c] for c in ("precision", "recall", "f1-score", "support")]
        np.testing.assert_allclose(ours[["precision", "recall", "f1", "support"]].astype(float), theirs)
    np.testing.assert_array_equal(evaluation.confusion, confusion_matrix(y_true, y_pred, labels=range(k)))
    low, high = binomtest(int((y_true == y_pred).sum()), n).proportion_ci(0.95, method="wilson")
    assert evaluation.interval == (low, high)


def test_a_known_case():
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    evaluation = evaluate([0, 1, 1, 0, 0], proba, ["a", "b"], images=list("vwxyz"), about={"model": "m"})
    assert evaluation.accuracy == 0.4 and evaluation.correct == 2
    assert evaluation.errors["image"].tolist() == ["z", "y", "x"]  # most confident first
    assert evaluation.errors["true"].tolist() == ["a", "a", "b"] and evaluation.errors["index"].tolist() == [4, 3, 2]
    assert evaluation.confusion.loc["a", "b"] == 2 and evaluation.confusion.loc["b", "a"] == 1
    assert "accuracy 0.400 (2 of 5), 95 % interval 0.118 to 0.769" in evaluation.summary()
    content = evaluation.to_dict()
    assert content["model"] == "m" and content["confusion"]["counts"] == [[1, 2], [1, 1]]


def test_the_intervals_of_the_tutorial():
    """The Glasses tutorial's three results on 100 pictures, as FACTS works them out: neighbours overlap."""
    for correct, expected in ((82, (0.73, 0.88)), (89, (0.81, 0.94)), (94, (0.88, 0.97))):
        proba = np.eye(2)[np.r_[np.zeros(correct, int), np.ones(100 - correct, int)]]
        assert np.round(evaluate(np.zeros(100, int), proba, ["a", "b"]).interval, 2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("y_true", "proba", "names", "reason"),
    [
        ([0, 1], np.eye(2), ["a"], "class_names holds 1; pass two or more"),
        ([], np.empty((0, 2)), ["a", "b"], "y_true has shape (0,)"),
        ([0, 1, 1], np.eye(2), ["a", "b"], "y_true holds 3 and proba holds 2; both must hold the same number"),
        ([0, 2], np.eye(2), ["a", "b"], "y_true runs from 0 to 2; labels must lie in 0 to 1"),
        ([0, -1], np.eye(2), ["a", "b"], "-1 marks no label"),
        ([0.0, 1.0], np.eye(2), ["a", "b"], "y_true holds float64 values; pass whole numbers"),
        ([0, 1], np.array([[0.9, 0.9], [0, 1]]), ["a", "b"], "proba adds up to 1.8 in row 0"),
        ([0, 1], np.eye(3)[:2], ["a", "b"], "proba has 3 columns; pass one for each of the 2 classes"),
        ([0, 1], np.array([[np.nan, 1], [0, 1]]), ["a", "b"], "proba holds NaN or infinity in 1 of 2 rows"),
        (
            [0, 1],
            np.array([[-0.1, 1.1], [0, 1]]),
            ["a", "b"],
            "proba runs from -0.1 to 1.1; probabilities must",
        ),
        ([0, 1], np.eye(2), ["a", "a"], "class_names holds 'a' more than once"),
    ],
)
def test_wrong_input_names_the_argument(y_true, proba, names, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        evaluate(y_true, proba, names)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.sampled_from([2, 3, 10]), st.integers(0, 10_000))
@pytest.mark.filterwarnings("ignore")
def test_the_other_metrics_are_scikit_learns(n, k, seed):
    y_true, proba, names = random_case(n, k, seed)
    evaluation = evaluate(y_true, proba, names)
    assert evaluation.log_loss == pytest.approx(sklearn.metrics.log_loss(y_true, proba, labels=range(k)))
    brier = sklearn.metrics.brier_score_loss
    ours = evaluation.brier
    if k == 2:
        assert ours == pytest.approx(brier(y_true, proba[:, 1], labels=[0, 1]))
    else:
        assert ours == pytest.approx(brier(y_true, proba, labels=list(range(k)), scale_by_half=True))
    for top in range(1, k + 1):
        expected = sklearn.metrics.top_k_accuracy_score(
            y_true, proba if k > 2 else proba[:, 1], k=top, labels=list(range(k))
        )
        if k > 2 or top == 2:  # with two classes scikit-learn takes scores with a threshold of their own
            assert evaluation.top_k(top) == pytest.approx(expected)
    assert evaluation.top_k(1) == evaluation.accuracy and evaluation.top_k(k) == 1
    for how, theirs in ((None, None), ("true", "true"), ("predicted", "pred"), ("all", "all")):
        expected = confusion_matrix(y_true, evaluation.y_pred, labels=range(k), normalize=theirs)
        np.testing.assert_array_equal(evaluation.confusion_table(how), expected)
    dummy = DummyClassifier(strategy="most_frequent").fit(proba, y_true)
    assert evaluation.majority_baseline == dummy.score(proba, y_true)


def test_impossible_answers_cost_much_but_not_infinity():
    evaluation = evaluate([0, 1], np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"])
    assert evaluation.log_loss == pytest.approx(-np.log(np.finfo(float).tiny) / 2) and evaluation.brier == 0.5


def test_ties_go_to_the_first_class():
    evaluation = evaluate([0, 1, 2], np.full((3, 3), 1 / 3), ["a", "b", "c"])
    assert evaluation.y_pred.tolist() == [0, 0, 0]
    assert [evaluation.top_k(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_errors_say_margin_and_second_choice():
    proba = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    errors = evaluate([1, 1], proba, ["a", "b", "c"]).errors
    assert list(errors) == ["index", "true", "predicted", "proba", "proba_true", "margin", "second"]
    assert errors.iloc[0].tolist() == pytest.approx([1, "b", "c", 0.7, 0.2, 0.5, "b"])
    assert errors.iloc[1].tolist() == pytest.approx([0, "b", "a", 0.5, 0.3, 0.2, "b"])


def test_abstaining():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1, 1], 200).round(2)
    proba /= proba.sum(axis=1, keepdims=True)
    evaluation = evaluate(
        rng.integers(0, 3, 200), proba, ["a", "b", "c"], images=list(range(200)), about={"model": "m"}
    )
    curve = evaluation.coverage
    assert curve["threshold"].is_monotonic_increasing and curve["threshold"].is_unique
    assert curve["coverage"].iloc[0] == 1 and curve["accuracy"].iloc[0] == evaluation.accuracy
    for row in curve.itertuples():
        part = evaluation.abstain(row.threshold)
        assert (part.n, part.accuracy) == (row.n, pytest.approx(row.accuracy))
        assert part.made_by.other["coverage"] == pytest.approx(row.coverage) and part.made_by.model == "m"
        kept = proba.max(axis=1) >= row.threshold
        assert part.images == list(np.flatnonzero(kept))
    with pytest.raises(ValueError, match="threshold=1; no prediction reaches it, the highest is 0"):
        evaluation.abstain(1)
    with pytest.raises(ValueError, match="threshold=50; threshold must be a fraction"):
        evaluation.abstain(50)


def test_wrong_options():
    evaluation = evaluate([0, 1], np.eye(2), ["a", "b"])
    with pytest.raises(ValueError, match="k=3; k must be a whole number from 1 to 2"):
        evaluation.top_k(3)
    with pytest.raises(ValueError, match="normalise='rows'; normalise must be one of true, predicted, all"):
        evaluation.confusion_table("rows")


def test_the_summary_in_words():
    evaluation = evaluate([0, 0, 0, 1], np.array([[1, 0], [1, 0], [1, 0], [1, 0]]), ["cat", "dog"])
    assert evaluation.summary() == (
        "accuracy 0.750 (3 of 4), 95 % interval 0.301 to 0.954, macro recall 0.500; always naming the most frequent "
        "class gives 0.750. This is not shown to be better than always naming the most frequent class. Lowest recall: "
        "dog, 0.000 of 1; too few pictures to tell which class is the weakest."
    )


def counted(right, n):
    """An evaluation of two or more classes, with so many right of so many pictures each."""
    y_true = np.repeat(np.arange(len(n)), n)
    y_pred = np.concatenate([np.r_[np.full(r, k), np.full(m - r, (k + 1) % len(n))] for k, (r, m) in
                             enumerate(zip(right, n, strict=True))]).astype(int)  # fmt: skip
    return evaluate(y_true, np.eye(len(n))[y_pred], [f"class {k}" for k in range(len(n))])


@pytest.mark.parametrize(
    ("right", "n", "said"),
    [
        ([95, 99, 20], [100, 100, 106], "Weakest: class 2, recall 0.189 of 106."),
        ([0, 1, 0, 1], [1, 1, 1, 1], "Lowest recall: 2 classes, 0.000 of 2; too few pictures to tell which class is "
                                     "the weakest."),
        ([80, 84], [100, 100], "Lowest recall: class 0, 0.800 of 100; too few pictures to tell which class is the "
                               "weakest."),
        ([5, 5], [5, 5], ""),
        ([5, 0], [5, 0], ""),
    ],
)  # fmt: skip
def test_a_class_is_called_the_weakest_only_where_that_can_be_told(right, n, said):
    evaluation = counted(right, n)
    assert evaluation.weakest == said and evaluation.summary().endswith(said or ".")
    assert ("Weakest" in evaluation.summary()) == said.startswith("Weakest")


def test_classes_with_their_intervals_lowest_recall_first():
    evaluation = counted([9, 0, 3, 0, 0], [10, 4, 3, 0, 1])
    table = evaluation.by_class
    assert table.index.tolist() == ["class 1", "class 4", "class 0", "class 2", "class 3"]  # 0 of 4 is worse than of 1
    assert table["n"].tolist() == [4, 1, 10, 3, 0] and table["right"].tolist() == [0, 0, 9, 3, 0]
    for name, row in table.iloc[:4].iterrows():
        interval = binomtest(int(row["right"]), int(row["n"])).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
        assert row["recall"] == evaluation.report.loc[name, "recall"]
    assert table.loc["class 3", ["recall", "low", "high", "precision", "f1"]].isna().all()  # no pictures, never given
    assert np.isnan(table.loc["class 4", "precision"]) and table.loc["class 4", "f1"] == 0  # never given
    assert table.loc["class 1", "precision"] == 0  # given once, wrongly
    wrong = counted([0, 0], [1, 2])
    assert wrong.report["support"].dtype.kind == wrong.by_class["n"].dtype.kind == "i", "also where nothing is right"
    assert [row["support"] for row in wrong.to_dict()["report"]] == [1, 2] and wrong.accuracy == 0


def small(**options):
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    return evaluate([0, 1, 1, 0, 0], proba, ["cat", "dog"], images=list("vwxyz"), **options)


class TestNothingChangesAResult:
    def test_what_was_passed_in_may_change_later(self):
        y, p, names, images, about = np.array([0, 1]), np.eye(2), ["a", "b"], ["x", "y"], {"prompts": {"a": ["a"]}}
        evaluation = zsc.Evaluation(y, p, names, images, about)
        before = evaluation.to_dict()
        y[:], p[:] = 0, 0.5
        names.reverse()
        images.clear()
        about["prompts"]["a"].append("b")
        assert evaluation.to_dict() == before and evaluation.accuracy == 1 and evaluation.images == ["x", "y"]

    def test_what_is_given_out_is_read_only_or_a_copy(self):
        evaluation = small(about={"prompts": {"cat": ["a cat"]}, "interval": [0.1, 0.2]})
        before = json.dumps(evaluation.to_dict())
        for array in (evaluation.y_true, evaluation.proba, evaluation.y_pred, evaluation.right):
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0
        about = evaluation.made_by.to_dict()
        for change in (evaluation.class_names.reverse, evaluation.images.clear, about["prompts"]["cat"].sort):
            with pytest.raises(TypeError, match="this list belongs to a result and is read-only; copy it first"):
                change()
        with pytest.raises(TypeError, match="this dict belongs to a result and is read-only"):
            about["prompts"].clear()
        about.pop("prompts")
        report, errors, confusion = evaluation.report, evaluation.errors, evaluation.confusion
        report["recall"], errors["image"] = 1.0, ""
        confusion.iloc[:] = 0
        evaluation.to_dict()["class_names"] = []
        evaluation.to_dict()["confusion"]["class_names"].reverse()
        assert json.dumps(evaluation.to_dict()) == before and evaluation.errors["image"][0] == "z"

    def test_copies_are_as_read_only_and_equal(self):
        evaluation = small(about={"prompts": {"cat": ["a cat"]}})
        for again in (copy.deepcopy(evaluation), pickle.loads(pickle.dumps(evaluation)), evaluation.abstain(0)):
            assert again.summary() == evaluation.summary() and again.made_by.prompts == {"cat": ["a cat"]}
            with pytest.raises(ValueError, match="read-only"):
                again.proba[:] = 0
            with pytest.raises(TypeError, match="read-only"):
                again.class_names.append("x")
        names = list(evaluation.class_names)
        names.append("mine")
        assert evaluation.class_names == ["cat", "dog"]


class TestTheBorder:
    def test_direct_construction_is_checked_as_well(self):
        for arguments, reason in (
            (([0.7, 1.9], np.eye(2), ["a", "b"]), "y_true holds float64 values"),
            (([True, False], np.eye(2), ["a", "b"]), "y_true holds bool values"),
            (([0, True], np.eye(2), ["a", "b"]), "y_true mixes bools"),
            ((["0", "1"], np.eye(2), ["a", "b"]), "y_true holds <U1 values"),
            (([0, 10**30], np.eye(2), ["a", "b"]), "y_true holds object values"),
            (([0, 1], np.eye(2), ["a", ""]), "class_names holds '' at position 1"),
            (([0, 1], np.eye(2), ["a", 1]), "class_names holds 1 at position 1"),
            (([0, 1], np.ma.array(np.eye(2), mask=np.eye(2)), ["a", "b"]), "proba has masked values"),
            (([0, 1], np.eye(2), ["a", "b"], ["x"]), "y_true holds 2 and images holds 1"),
        ):
            with pytest.raises(ValueError, match=re.escape(reason)):
                zsc.Evaluation(*arguments)

    @pytest.mark.parametrize("names", [{"cat", "dog"}, frozenset(["cat", "dog"]), {"cat": 0, "dog": 1}.keys(), "cd"])
    def test_names_need_an_order(self, names):
        with pytest.raises(TypeError, match="class_names is"):
            evaluate([0, 1], np.eye(2), names)

    def test_series_generators_and_nullable_columns_go_by_place(self):
        labels = pd.Series([0, 1], index=[1, 0], dtype="Int64")
        names = pd.Series(["a", "b"], index=[1, 0])
        evaluation = evaluate(labels, pd.DataFrame(np.eye(2)), names, images=(f"{i}.png" for i in range(2)))
        assert evaluation.accuracy == 1 and evaluation.class_names == ["a", "b"]
        assert evaluation.images == ["0.png", "1.png"]
        with pytest.raises(TypeError, match="where order decides"):
            evaluate([0, 1], np.eye(2), ["a", "b"], images={"a.png", "b.png"})

    @pytest.mark.parametrize(
        ("about", "error", "reason"),
        [
            ({(1, 2): "x"}, TypeError, "about has the key (1, 2); keys must be texts"),
            ({np.int64(3): "x"}, TypeError, "about has the key"),
            ({"prompts": {1: "x"}}, TypeError, "about['prompts'] has the key 1"),
            ({"model": object()}, TypeError, "about['model'] holds a object"),
            ({"classes": {"a", "b"}}, TypeError, "about['classes'] holds a set"),
            ({"scale": float("nan")}, ValueError, "about['scale'] holds nan; pass finite numbers"),
            ([("a", 1)], TypeError, "about is a list; pass a mapping"),
        ],
    )
    def test_about_is_what_json_can_hold(self, about, error, reason):
        with pytest.raises(error, match=re.escape(reason)):
            evaluate([0, 1], np.eye(2), ["a", "b"], about=about)

    def test_about_takes_numpys_numbers_and_paths(self):
        about = {"scale": np.float32(2), "shape": (1, np.int64(2)), "path": Path("a/b"), "none": None, "yes": True}
        made_by = evaluate([0, 1], np.eye(2), ["a", "b"], about=about).made_by
        assert made_by.other == {"scale": 2.0, "shape": [1, 2], "path": str(Path("a/b")), "none": None, "yes": True}


def test_class_names_that_are_no_utf8_are_names_like_others(tmp_path):
    names = ["caf\udce9", "dog"]
    evaluation = evaluate([0, 1, 1], np.eye(2)[[0, 1, 0]], names)
    assert evaluation.report.index.tolist() == evaluation.confusion.columns.tolist() == names
    assert evaluation.errors["predicted"].tolist() == ["caf\udce9"] and "caf\udce9" not in evaluation.summary()
    assert zsc.Evaluation.load(evaluation.save(tmp_path / "e.json")).class_names == names


def test_pictures_that_were_left_out_are_in_the_summary():
    assert "Left out" not in small().summary() and "Left out" not in small(about={"left_out": 0}).summary()
    assert "Left out, as they cannot be opened: 7 pictures." in small(about={"left_out": 7}).summary()
    assert small(about={"left_out": 7}).to_dict()["left_out"] == 7


class TestSaved:
    def test_read_back_to_the_last_digit(self, tmp_path):
        y_true, proba, names = random_case(50, 3, 0)
        about = {"model": "m", "prompts": {"é": ["a"]}, "versions": {"numpy": "2"}, "scale": np.float32(14.3)}
        first = evaluate(y_true, proba, names, images=[f"{i}.png" for i in range(50)], about=about)
        second = zsc.Evaluation.load(first.save(tmp_path / "e.json"))
        np.testing.assert_array_equal(first.proba, second.proba)
        assert second.images == list(first.images) and second.made_by.prompts == {"é": ["a"]}
        assert first.summary() == second.summary()
        content = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
        assert content["results"]["accuracy"] == first.accuracy
        assert content["format"] == 1 and [path.name for path in tmp_path.iterdir()] == ["e.json"]

    def test_a_name_that_is_no_utf8_comes_back(self, tmp_path):
        paths = [Path(os.fsdecode(b"dir/caf\xe9.png")), "https://example.org/a b.png?x=1", "naïve 猫.png"]
        evaluation = evaluate([0, 1, 1], np.eye(2)[[0, 1, 0]], ["a", "b"], images=paths)
        path = evaluation.save(tmp_path / "e.json")
        assert json.loads(path.read_bytes().decode("utf-8"))["images"][0] == str(paths[0])
        assert zsc.Evaluation.load(path).images == [str(source) for source in paths]
        assert evaluation.errors.to_csv(tmp_path / "errors.csv") is None

    def write(self, path, **changes):
        small(about={"model": "m"}).save(path)
        content = json.loads(path.read_text(encoding="utf-8")) | changes
        path.write_text(json.dumps({key: value for key, value in content.items() if value != "gone"}))

    def test_files_of_the_time_before_formats_had_numbers(self, tmp_path):
        self.write(tmp_path / "e.json", format="gone")
        assert zsc.Evaluation.load(tmp_path / "e.json").summary() == small().summary()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"format": 2}, "format is 2, this version of zsc reads 1: install a newer one"),
            ({"format": "1"}, "format is '1'"),
            ({"kind": "zsc head"}, "kind is 'zsc head'"),
            ({"y_true": [0.7, 1.9, 0, 0, 0]}, "y_true holds float64 values; pass whole numbers"),
            ({"y_true": ["0", "1", 0, 0, 0]}, "y_true holds <U21 values; pass whole numbers"),
            ({"y_true": [True, False, 0, 0, 0]}, "y_true mixes bools with other values"),
            ({"y_true": [None] * 5}, "y_true holds object values"),
            ({"y_true": [10**30] * 5}, "y_true holds object values"),
            ({"y_true": [0, 1, 2, 0, 0]}, "y_true runs from 0 to 2"),
            ({"y_true": "gone"}, "y_true has shape ()"),
            ({"proba": [[True, False]] * 5}, "proba holds bool values"),
            ({"proba": [["0.5", "0.5"]] * 5}, "proba holds <U3 values"),
            ({"proba": [[0.5, 0.5], [1.0]] * 2 + [[0, 1]]}, "proba is ragged"),
            ({"proba": 5}, "proba has shape ()"),
            ({"class_names": None}, "class_names is the NoneType None"),
            ({"class_names": "ab"}, "class_names is the one text 'ab'"),
            ({"class_names": ["a", 1]}, "class_names holds 1 at position 1"),
            ({"class_names": ["a", ["a"]]}, "class_names holds ['a']"),
            ({"class_names": ["a", ""]}, "class_names holds ''"),
            ({"class_names": ["a", "a"]}, "class_names holds 'a' more than once"),
            ({"about": 5}, "about is a int; pass a mapping"),
            ({"images": 5}, "images is the int 5"),
            ({"images": "ab"}, "images is the one text 'ab'"),
            ({"images": ["a"]}, "y_true holds 5 and images holds 1"),
            ({"images": [1, 2, 3, 4, 5]}, "images holds 1 at position 0"),
        ],
    )
    def test_what_is_wrong_is_told_with_the_files_name(self, tmp_path, changes, reason):
        self.write(tmp_path / "e.json", **changes)
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            zsc.Evaluation.load(tmp_path / "e.json")
        assert str(caught.value).startswith(f"{tmp_path / 'e.json'}: ") and "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{}", '{"kind": "zsc evaluation"}', "\0", "5", "null", "[" * 100_000, '{"a":' * 50_000,
         '{"kind": NaN}', '{"kind": 1, "kind": "zsc evaluation"}', "\ufeff{}",
         '{"kind": "zsc evaluation", "format": 1e400}'],
    )  # fmt: skip
    def test_something_else(self, tmp_path, text):
        (tmp_path / "e.json").write_text(text)
        with pytest.raises(ValueError, match=r"e\.json: no evaluation to be read \("):
            zsc.Evaluation.load(tmp_path / "e.json")

    def test_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / "e.json").write_bytes(b"\xff\xfe\x00{")
        with pytest.raises(ValueError, match=r"e\.json: no evaluation to be read \("):
            zsc.Evaluation.load(tmp_path / "e.json")

    def test_nothing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such evaluation; write one with evaluation.save"):
            zsc.Evaluation.load(tmp_path / "e.json")

    def test_a_failed_write_leaves_the_old_one(self, tmp_path, monkeypatch):
        evaluation = evaluate([0, 1], np.eye(2), ["a", "b"])
        path = evaluation.save(tmp_path / "e.json")
        before = path.read_bytes()
        monkeypatch.setattr("zsc.Evaluation.to_dict", lambda e: {"x": 1 / 0})
        with pytest.raises(ZeroDivisionError):
            evaluation.save(path)
        assert path.read_bytes() == before


class TestTheOneResult:
    def answers(self, **options):
        """Four pictures: one right, one wrong, one without a label, one that could not be opened."""
        proba = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [np.nan, np.nan]])
        fields = {
            "images": ["a.png", Path("b.png"), "c.png", "d.png"],
            "tokens": list("wxyz"),
            "made_by": {"model": "m"},
        }
        return zsc.Evaluation([0, 1, -1, 1], proba, ["cat", "dog"], **fields | options)

    def test_the_table_has_a_row_per_picture_and_is_never_shared(self):
        evaluation = self.answers()
        table = evaluation.table
        assert list(table) == ["image", "y_true", "y_pred", "y_pred_token", "proba", "proba_cat", "proba_dog"]
        assert table["image"].tolist() == ["a.png", "b.png", "c.png", "d.png"] and not table.attrs
        assert table["y_true"].isna().tolist() == [False, False, True, False]
        assert table["y_pred"].isna().tolist() == table["proba"].isna().tolist() == [False, False, False, True]
        assert table["y_pred_token"].tolist() == ["w", "x", "y", None]
        table["y_true"], table["proba_cat"] = 0, 5.0
        assert evaluation.table["proba_cat"][0] == 0.9 and evaluation.y_true.tolist() == [0, 1, -1, 1]
        bare = self.answers(images=None, tokens=None).table
        assert bare["image"].isna().all() and bare["y_pred_token"].isna().all()

    def test_metrics_need_a_label_and_an_answer_for_every_picture(self):
        evaluation = self.answers()
        for metric in ("accuracy", "interval", "macro_recall", "log_loss", "report", "confusion", "errors", "coverage"):
            with pytest.raises(ValueError, match=r"^1 of 4 pictures have no label; select those with y_true >= 0\.$"):
                getattr(evaluation, metric)
        with pytest.raises(ValueError, match="1 of 3 pictures could not be opened"):
            evaluation.select(evaluation.y_true >= 0).summary()
        judged = evaluation.select([1, 0])
        assert judged.accuracy == 0.5 and judged.images == [Path("b.png"), "a.png"]
        assert judged.tokens.tolist() == ["x", "w"] and judged.made_by.model == "m"
        with pytest.raises(ValueError, match="there are no pictures to judge"):
            evaluation.select([]).summary()
        assert evaluation.select(slice(0)).table.empty and "1 of 4 pictures have no label" in repr(evaluation)
        assert evaluation.abstain(0.75).y_pred.tolist() == [0, 1]

    def test_provenance_has_fields_and_takes_what_else_there_is(self):
        made_by = zsc.evaluation.Provenance.from_dict({"model": "m", "left_out": 2, "method": "probe", "pooling": None})
        assert (made_by.model, made_by.left_out, made_by.pooling) == ("m", 2, "") and made_by.other == {
            "method": "probe"
        }
        assert made_by.to_dict() == {"model": "m", "left_out": 2, "method": "probe"}
        assert made_by == zsc.evaluation.Provenance.from_dict(made_by.to_dict())
        for about in ({"model": 3}, {"prompts": ["a"]}, {"left_out": "2"}, {"advice": "x"}):
            with pytest.raises(TypeError, match=rf"^{next(iter(about))} must be a "):
                evaluate([0, 1], np.eye(2), ["a", "b"], about=about)

    @pytest.mark.parametrize("name", ["e.json", "e.parquet", "large.json"])
    def test_what_is_saved_comes_back_equal(self, tmp_path, monkeypatch, name):
        if name == "large.json":
            monkeypatch.setattr("zsc.evaluation.INLINE", 3)
        names = ["caf\udce9", "dog"]
        for options in ({}, {"images": None, "tokens": None}, {"images": ["caf\udce9.png", *"bcd"]}):
            first = replace(self.answers(**options), class_names=names)
            second = zsc.Evaluation.load(first.save(tmp_path / name))
            np.testing.assert_array_equal(first.proba, second.proba)
            np.testing.assert_array_equal(first.y_true, second.y_true)
            pd.testing.assert_frame_equal(first.table, second.table)
            assert second.class_names == names and second.made_by == first.made_by
        assert len(list(tmp_path.iterdir())) == (2 if name == "large.json" else 1)

    def test_a_parquet_file_is_the_table(self, tmp_path):
        evaluation = self.answers()
        table = pd.read_parquet(evaluation.save(tmp_path / "e.parquet"))
        assert table["image"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
        assert table["proba_dog"].tolist()[:3] == [0.1, 0.3, 0.8] and table["y_pred_token"][0] == "w"

    def test_arrays_of_another_evaluation_are_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr("zsc.evaluation.INLINE", 3)
        self.answers().save(tmp_path / "e.json")
        small().save(tmp_path / "e.json.parquet")
        with pytest.raises(ValueError, match=r"e\.json: .*arrays in e\.json\.parquet are missing, or those of another"):
            zsc.Evaluation.load(tmp_path / "e.json")

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"no table" * 100])
    def test_a_file_that_is_no_parquet(self, tmp_path, content):
        (tmp_path / "e.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=r"e\.parquet: no evaluation to be read \("):
            zsc.Evaluation.load(tmp_path / "e.parquet")
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "e.parquet")
        with pytest.raises(ValueError, match=r"kind is None, not 'zsc evaluation'"):
            zsc.Evaluation.load(tmp_path / "e.parquet")

    def test_very_many_probabilities_are_kept_to_seven_digits(self, tmp_path, monkeypatch):
        monkeypatch.setattr("zsc.evaluation.EXACT", 3)
        y_true, proba, names = random_case(50, 3, 0)
        second = zsc.Evaluation.load(evaluate(y_true, proba, names).save(tmp_path / "e.parquet"))
        np.testing.assert_array_equal(second.proba, proba.astype(np.float32))
