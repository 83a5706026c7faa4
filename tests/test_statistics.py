"""Statistics against SciPy and against worlds whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from zsc.evaluation import holm, images_needed, mcnemar, paired_bootstrap, wilson_interval
from zsc.selection import choose_repeatedly, compare_right


def agreeing(rng, n, first, second, apart):
    """Draw which of n pictures two classifiers get right: accuracies, and the share that just one gets right."""
    only_first, only_second = (apart + first - second) / 2, (apart - first + second) / 2
    kind = rng.choice(4, size=n, p=[only_first, only_second, first - only_first, 1 - first - only_second])
    return np.isin(kind, (0, 2)), np.isin(kind, (1, 2))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(n, share, confidence):
    correct = round(share * n)
    assert wilson_interval(correct, n, confidence) == tuple(
        binomtest(correct, n).proportion_ci(confidence, method="wilson")
    )


@pytest.mark.parametrize(("n", "accuracy"), [(100, 0.82), (100, 0.9), (500, 0.6), (1500, 0.98)])
def test_wilson_covers(n, accuracy):
    rng = np.random.default_rng(0)
    counts = rng.binomial(n, accuracy, size=4000)
    ends = {k: wilson_interval(k, n) for k in np.unique(counts)}
    assert 0.93 <= np.mean([ends[k][0] <= accuracy <= ends[k][1] for k in counts]) <= 0.975


@pytest.mark.parametrize(("n", "first", "second", "apart"), [(100, 0.82, 0.89, 0.15), (300, 0.9, 0.9, 0.08)])
def test_the_paired_bootstrap_covers(n, first, second, apart):
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        low, high = paired_bootstrap(*agreeing(rng, n, first, second, apart), draws=1000, seed=0)
        inside += low <= first - second + 1e-12 and first - second - 1e-12 <= high
    assert 0.93 <= inside / 1000 <= 0.97


def test_the_paired_bootstrap_is_resampling_by_hand():
    rng = np.random.default_rng(0)
    first, second = rng.random(80) < 0.8, rng.random(80) < 0.7
    rows = np.random.default_rng(5).integers(0, 80, (20_000, 80))
    by_hand = np.quantile(first[rows].mean(axis=1) - second[rows].mean(axis=1), [0.025, 0.975])
    np.testing.assert_allclose(paired_bootstrap(first, second, draws=20_000), by_hand, atol=0.0126)  # a picture is 1/80
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    assert paired_bootstrap(first, first) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_binomial_test(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    expected = binomtest(won, won + lost).pvalue if won + lost else 1
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)


def test_mcnemar_seldom_cries_wolf_and_sees_what_is_there():
    rng = np.random.default_rng(2)
    alarms = np.mean([mcnemar(*agreeing(rng, 100, 0.9, 0.9, 0.12)) < 0.05 for _ in range(2000)])
    assert alarms < 0.05
    n = images_needed(0.89, 0.94, disagreement=0.09)
    seen = np.mean([mcnemar(*agreeing(rng, n, 0.89, 0.94, 0.09)) < 0.05 for _ in range(1000)])
    assert 0.74 < seen < 0.86  # asked for 0.8


def test_holm():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, np.nan]), [0.03, 0.06, 0.06, np.nan])
    assert holm([0.9, 0.8]).tolist() == [1, 1] and holm([]).tolist() == []
    rng = np.random.default_rng(0)
    assert np.mean([(holm(rng.random(10)) < 0.05).any() for _ in range(2000)]) < 0.065


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: images_needed(0.9, 0.9), "no number of pictures tells equal accuracies apart"),
        (lambda: images_needed(0.9, 0.8, disagreement=0.05), "allow 0.100 to 0.300"),
        (lambda: images_needed(1.2, 0.8), "first=1.2; accepted is a fraction, 0 to 1"),
        (lambda: images_needed(0.9, 0.8, power=1), "power=1; accepted is a fraction"),
        (lambda: wilson_interval(3, 5, 95), "confidence=95; accepted is a fraction"),
        (lambda: mcnemar([True], [True, False]), "first holds 1 and second holds 2"),
        (lambda: mcnemar([1, 0], [True, False]), "first has shape .* and holds int64; pass one bool a picture"),
        (lambda: mcnemar([], []), r"first has shape \(0,\)"),
    ],
)
def test_wrong_input(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()


class TestChoosing:
    def test_the_best_of_ten_equal_prompts_looks_four_points_better(self):
        """FACTS: the best of 10 equally good prompts (true .90) is expected to show .944 on 100 images."""
        rng = np.random.default_rng(0)
        chosen, held_out = [], []
        for repeat in range(600):
            right = {str(i): row for i, row in enumerate(rng.random((10, 200)) < 0.9)}
            split = choose_repeatedly(right, np.zeros(200, int), seed=repeat).iloc[0]
            assert split["n_chosen"] == split["n_held_out"] == 100
            chosen.append(split["chosen_accuracy"])
            held_out.append(split["held_out_accuracy"])
        assert np.mean(chosen) == pytest.approx(0.944, abs=0.004)
        assert np.mean(held_out) == pytest.approx(0.9, abs=0.005)

    def test_a_better_prompt_is_found(self):
        rng = np.random.default_rng(0)
        right = {"weak": rng.random(400) < 0.7, "strong": rng.random(400) < 0.9, "same": rng.random(400) < 0.7}
        y_true = rng.integers(0, 3, 400)
        splits = choose_repeatedly(right, y_true, repeats=5, cross_fit=True)
        assert len(splits) == 10 and (splits["chosen"] == "strong").all()
        assert (splits["n_chosen"] + splits["n_held_out"] == 400).all()
        np.testing.assert_allclose(splits["optimism"], splits["chosen_accuracy"] - splits["held_out_accuracy"])
        each = splits.groupby("repeat")["held_out_accuracy"].mean()
        np.testing.assert_allclose(each, right["strong"].mean())  # crossed halves hold every picture out once

    def test_classes_keep_their_shares(self):
        y_true = np.repeat([0, 1, 2], [60, 30, 10])
        right = {"a": y_true == 0, "b": y_true == 1}  # the accuracy is the share of a class
        split = choose_repeatedly(right, y_true, share=0.5).iloc[0]
        assert (split["chosen_accuracy"], split["held_out_accuracy"]) == (0.6, 0.6)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"share": 0}, "share=0; accepted is a fraction"),
            ({"repeats": 0}, "repeats=0; accepted is 1 or more"),
            ({"share": 0.01}, "cannot be split so that both parts hold every class"),
        ],
    )
    def test_wrong_input(self, options, reason):
        with pytest.raises(ValueError, match=reason):
            choose_repeatedly({"a": np.ones(10, bool)}, np.arange(10) % 2, **options)


def test_the_comparison_table():
    rng = np.random.default_rng(0)
    base, better = agreeing(rng, 400, 0.7, 0.9, 0.24)
    table = compare_right({"base": base, "better": better, "copy": base}, seed=1)
    assert table.loc["base"].isna().sum() == 7 and table.loc["base", "verdict"] == "reference"
    row = table.loc["better"]
    assert row["won"] - row["lost"] == better.sum() - base.sum()
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["p_value"] == mcnemar(better, base) and row["p_adjusted"] == 2 * row["p_value"]
    assert row["verdict"] == "better than base"
    assert table.loc["copy", "verdict"] == "400 images cannot tell it from base"
    other = compare_right({"base": base, "better": better}, reference="better")
    assert other.loc["base", "verdict"] == "worse than better" and other.attrs["reference"] == "better"
    with pytest.raises(ValueError, match="reference='none'; accepted are base, better"):
        compare_right({"base": base, "better": better}, reference="none")
