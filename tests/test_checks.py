"""Every wrong array is one sentence that names the argument, what was given and what is possible."""

import re

import numpy as np
import pandas as pd
import pytest

from zsc import checks

HALVES = np.full((3, 2), 0.5)


def with_value(array, value):
    copy = np.array(array, float)
    copy[1, 0] = value
    return copy


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], r"answers has shape \(0,\); pass one label per picture"),
        ([[0, 1]], r"answers has shape \(1, 2\)"),
        (3, r"answers has shape \(\)"),
        ([0.0, 1.0], "answers holds float64 values; pass whole numbers"),
        ([0, None], "answers holds object values"),
        (["cat"], "answers holds <U3 values"),
        ([True, False], "answers holds bool values"),
        ([0, 3], "answers runs from 0 to 3; labels must lie in 0 to 2"),
        (
            [0, -1],
            r"answers runs from -1 to 0; labels must lie in 0 to 2 \(-1 marks no label: leave such pictures out\)",
        ),
        ([0, np.nan], "answers holds float64 values"),
        ([[0], [1, 2]], "answers is ragged"),
    ],
)
def test_wrong_labels(y, message):
    with pytest.raises(ValueError, match=message) as caught:
        checks.check_labels(y, 3, "answers")
    assert "\n" not in str(caught.value)


def test_good_labels_come_back_as_int64():
    for y in ([0, 2], (0, 2), np.array([0, 2], np.uint8), pd.Series([0, 2])):
        labels = checks.check_labels(y, 3)
        assert labels.dtype == np.int64 and labels.tolist() == [0, 2]
    assert checks.check_labels([0, 99]).tolist() == [0, 99]
    with pytest.raises(ValueError, match="labels must be 0 or more"):
        checks.check_labels([-2])


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        (with_value(HALVES, np.nan), r"p holds NaN or infinity in 1 of 3 rows \(first: row 1\)"),
        (with_value(HALVES, np.inf), "p holds NaN or infinity"),
        (with_value(HALVES, 0.4), "p adds up to 0.9 in row 1; each row must add up to 1"),
        ([[-0.5, 1.5]], "p runs from -0.5 to 1.5; probabilities must lie in 0 to 1"),
        ([[1.0]], r"p has shape \(1, 1\); pass \(N, K\)"),
        ([0.5, 0.5], r"p has shape \(2,\); pass \(N, K\)"),
        (np.empty((0, 2)), r"p has shape \(0, 2\)"),
        ([["a", "b"]], "p holds <U1 values; pass real numbers"),
        ([[0.5], [0.5, 0.5]], "p is ragged"),
        (np.full((2, 4), 0.25), "p has 4 columns; pass one for each of the 2 classes"),
    ],
)
def test_wrong_probabilities(proba, message):
    with pytest.raises(ValueError, match=message) as caught:
        checks.check_proba(proba, 2, "p")
    assert "\n" not in str(caught.value)


def test_good_probabilities_come_back_as_they_are():
    near = np.array([[0.5004, 0.5], [1.0, 0.0]], np.float32)
    values = checks.check_proba(near, 2)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, near)  # not rescaled
    assert checks.check_proba([[1, 0]]).tolist() == [[1.0, 0.0]]
    with pytest.raises(ValueError, match="adds up to 1.002"):
        checks.check_proba([[0.502, 0.5]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.6, 0.8], [3.0, 4.0]], r"train has a row of length 5 \(row 1\); rows must be of length 1"),
        ([[0.0, 0.0]], r"train has a row of length 0 \(row 0\)"),
        ([[np.nan, 1.0]], "train holds NaN or infinity in 1 of 1 rows .*without pictures that failed"),
        ([1.0, 0.0], r"train has shape \(2,\); pass \(N, D\)"),
        (np.empty((0, 2)), r"train has shape \(0, 2\)"),
        ([[1.0, 0.0, 0.0]], "train has 3 columns; it must have 2"),
        ([[1j, 0]], "train holds complex128 values"),
    ],
)
def test_wrong_embeddings(values, message):
    with pytest.raises(ValueError, match=message):
        checks.check_embeddings(values, "train", dim=2)


def test_good_embeddings_come_back_as_float32():
    rows = np.random.default_rng(0).normal(size=(50, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert checks.check_embeddings(rows).dtype == np.float32
    assert len(checks.check_embeddings(rows.astype(np.float16))) == 50


def test_class_names_lengths_fractions_and_empty_classes():
    assert checks.check_class_names(("a", "b"), 2) == ["a", "b"]
    for names, message in (
        (["a"], "class_names holds 1; pass two or more"),
        (["a", "a"], "class_names holds 'a' more than once"),
        (["a", "b", "c"], "class_names holds 3 for 2 classes; pass one for each class"),
    ):
        with pytest.raises(ValueError, match=message):
            checks.check_class_names(names, 2)
    with pytest.raises(TypeError, match="class_names is the one text 'cat'"):
        checks.check_class_names("cat")
    assert checks.check_same_length(a=[1, 2], b=(3, 4), c=np.zeros((2, 5))) == 2
    with pytest.raises(
        ValueError, match=re.escape("y_true holds 2 and images holds 1; both must hold the same number")
    ):
        checks.check_same_length(y_true=[1, 2], proba=[3, 4], images=[0])
    assert checks.check_fraction(0.5, "coverage") == 0.5 and checks.check_fraction(1, "mix", ends=True) == 1
    for value in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match=re.escape(f"coverage={value!r}; coverage must be a fraction, above 0")):
            checks.check_fraction(value, "coverage")
    with pytest.raises(ValueError, match="ends included"):
        checks.check_fraction(1.01, "mix", ends=True)
    checks.check_every_class(np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="y_true holds no label of class 1; each of the 3 classes must have one"):
        checks.check_every_class(np.array([0, 2]), 3)
    assert checks.check_choice("lac", ("lac", "aps"), "method") == "lac"
    with pytest.raises(ValueError, match="method='raps'; method must be one of lac, aps"):
        checks.check_choice("raps", ("lac", "aps"), "method")


class TestOtherKinds:
    @pytest.mark.parametrize(
        "values",
        [{"a", "b"}, frozenset("ab"), {"a": 1}, {"a": 1}.keys(), {"a": 1}.values(), "ab", b"ab", 3, np.array(3)],
    )
    def test_lists_need_an_order(self, values):
        with pytest.raises(TypeError, match=r"^names is .*; pass a list of items\.$"):
            checks.as_list(values, "names")

    def test_lists_of_all_kinds(self):
        for values in (["a", "b"], ("a", "b"), (c for c in "ab"), np.array(["a", "b"]), pd.Series(["a", "b"], [1, 0])):
            assert checks.as_list(values, "names") == ["a", "b"]

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            ([0, True], "y_true mixes bools with other values"),
            (np.ma.array([0, 1], mask=[0, 1]), "y_true has masked values"),
            (pd.Series([0, pd.NA], dtype="Int64"), "y_true holds (object|float64) values"),
            ([2**63], "y_true runs from"),
            ([10**30], "y_true holds object values"),
        ],
    )
    def test_labels_are_never_cut(self, y, message):
        with pytest.raises(ValueError, match=message):
            checks.check_labels(y)

    def test_nullable_columns_are_numbers(self):
        assert checks.check_labels(pd.Series([0, 1], dtype="Int64")).tolist() == [0, 1]
        frame = pd.DataFrame({"a": [0.5, 1], "b": [0.5, 0]}).astype("Float64")
        assert checks.check_proba(frame).tolist() == [[0.5, 0.5], [1, 0]]
        with pytest.raises(ValueError, match="p holds object values"):
            checks.check_proba(frame.replace(1, pd.NA), name="p")

    @pytest.mark.parametrize("value", ["0.5", True, None, [0.5], float("nan"), 2])
    def test_fractions(self, value):
        with pytest.raises(ValueError, match="share=.*; share must be a fraction"):
            checks.check_fraction(value, "share")

    def test_many_names_cost_no_square(self):
        names = [f"class {i}" for i in range(200_000)]  # seconds; minutes if each were compared with each
        assert checks.check_class_names(names) == names
        with pytest.raises(ValueError, match="class_names holds 'class 7' more than once"):
            checks.check_class_names([*names, "class 7"])

    def test_messages_stay_short(self):
        huge = [["x" * 1000] * 1000] * 1000
        for call in (lambda: checks.check_choice(huge, ("a",), "how"), lambda: checks.check_fraction(huge, "share")):
            with pytest.raises(ValueError, match="must") as caught:
                call()
            assert len(str(caught.value)) < 400
