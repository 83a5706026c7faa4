"""Metrics are scikit-learn's, the interval is SciPy's, and wrong input is one sentence."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, classification_report, confusion_matrix

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
        ([0, 1], np.eye(2), ["a"], "class_names holds 1 name"),
        ([], np.empty((0, 2)), ["a", "b"], "y_true has shape (0,)"),
        ([0, 1, 1], np.eye(2), ["a", "b"], "proba has shape (2, 2); 3 labels and 2 class names ask for (3, 2)"),
        ([0, 2], np.eye(2), ["a", "b"], "y_true runs from 0 to 2; accepted are 0 to 1"),
        ([0, -1], np.eye(2), ["a", "b"], "-1 marks no label"),
        ([0.0, 1.0], np.eye(2), ["a", "b"], "y_true holds float64 values"),
        ([0, 1], np.array([[0.9, 0.9], [0, 1]]), ["a", "b"], "proba holds rows that are no probabilities"),
        ([0, 1], np.array([[np.nan, 1], [0, 1]]), ["a", "b"], "proba holds rows that are no probabilities"),
        ([0, 1], np.array([[-0.1, 1.1], [0, 1]]), ["a", "b"], "proba holds rows that are no probabilities"),
    ],
)
def test_wrong_input_names_the_argument(y_true, proba, names, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        evaluate(y_true, proba, names)
