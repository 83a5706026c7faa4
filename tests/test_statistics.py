"""Statistics against SciPy and against worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest, multinomial

from zsc.evaluation import holm, images_needed, mcnemar, paired_interval, wilson_interval
from zsc.selection import compare_right, splits_of
from zsc.statistics import next_right


def agreeing(rng, n, first, second, apart):
    """Draw which of n pictures two classifiers get right: accuracies, and the share that just one gets right."""
    only_first, only_second = (apart + first - second) / 2, (apart - first + second) / 2
    kind = rng.choice(4, size=n, p=[only_first, only_second, first - only_first, 1 - first - only_second])
    return np.isin(kind, (0, 2)), np.isin(kind, (1, 2))


def counted(n, won, lost):
    """Lay out n pictures of which just the first gets `won` right, and just the second `lost`."""
    rows = np.arange(n)
    return rows < won, (rows >= won) & (rows < won + lost)


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


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 17, 1000])
def test_the_next_hundred_fall_where_they_are_expected(n):
    """Whatever the true accuracy, about 95 of 100 times; the Wilson interval alone would be far too narrow for that."""
    rng = np.random.default_rng(n)
    truth = rng.random(1000)
    correct, following = rng.binomial(n, truth), rng.binomial(100, truth)
    ends = np.array([next_right(c, n) for c in correct.tolist()])
    assert 0.93 < np.mean((ends[:, 0] <= following) & (following <= ends[:, 1])) < 0.99
    if n == 1000:
        wilson = 100 * np.array([wilson_interval(c, n) for c in correct.tolist()])
        assert np.mean((wilson[:, 0] <= following) & (following <= wilson[:, 1])) < 0.7


class TestPairedInterval:
    SHARES = ((0.02, 0), (0.05, 0), (0.05, 0.01), (0.1, 0.02), (0.2, 0.05), (0.2, 0.2), (0.45, 0.45), (0.9, 0.02))

    @pytest.mark.parametrize("n", [10, 17])
    def test_it_covers_as_stated_by_exact_enumeration(self, n):
        cells = [(won, lost) for won in range(n + 1) for lost in range(n + 1 - won)]
        ends = [paired_interval(*counted(n, *cell)) for cell in cells]
        for won, lost in self.SHARES:
            chances = multinomial.pmf([(w, k, n - w - k) for w, k in cells], n, [won, lost, 1 - won - lost])
            holds = [low - 1e-12 <= won - lost <= high + 1e-12 for low, high in ends]
            assert chances[holds].sum() > 0.945, (won, lost)

    @pytest.mark.parametrize(("won", "lost"), [(0.05, 0.01), (0.1, 0.02), (0.02, 0.0)])
    def test_it_covers_where_a_hundred_pictures_hardly_differ(self, won, lost):
        rng, ends, holds = np.random.default_rng(0), {}, 0
        for w, k, _ in rng.multinomial(100, [won, lost, 1 - won - lost], 3000):
            if (w, k) not in ends:
                ends[w, k] = paired_interval(*counted(100, w, k))
            holds += ends[w, k][0] <= won - lost <= ends[w, k][1]
        assert holds / 3000 > 0.92

    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99, 0.99999])
    @pytest.mark.parametrize("n", [1, 6, 17, 60, 2000])
    def test_it_never_contradicts_the_p_value_and_is_never_empty(self, n, confidence):
        for won in range(min(n, 18) + 1):
            for lost in range(min(n - won, 18) + 1):
                first, second = counted(n, won, lost)
                low, high = paired_interval(first, second, confidence=confidence)
                assert -1 <= low < high <= 1 and low <= (won - lost) / n <= high
                assert (low <= 0 <= high) == (mcnemar(first, second) >= 1 - confidence), (won, lost)
                turned = paired_interval(second, first, confidence=confidence)
                assert turned == pytest.approx((-high, -low), abs=1e-9)

    @pytest.mark.parametrize(("n", "won", "lost"), [(17, 9, 1), (50, 8, 0), (40, 30, 2), (15, 15, 0), (300, 40, 12)])
    def test_it_is_the_score_test_inverted(self, n, won, lost):
        """The likeliest other share by search, the statistic at the ends by its definition: it is 1.96 there."""

        def statistic(difference):
            def minus_likelihood(other):
                chances = other + difference, other, 1 - 2 * other - difference
                return -sum(
                    k * np.log(max(c, 1e-300)) for k, c in zip((won, lost, n - won - lost), chances, strict=True)
                )

            limits = max(0, -difference), (1 - difference) / 2
            options = {"bounds": limits, "method": "bounded", "options": {"xatol": 1e-12}}
            found = minimize_scalar(minus_likelihood, **options).x
            return (won - lost - n * difference) / np.sqrt(n * (2 * found + difference * (1 - difference)))

        low, high = paired_interval(*counted(n, won, lost))
        assert statistic(low) == pytest.approx(1.959964, abs=1e-4)
        assert high == 1 or statistic(high) == pytest.approx(-1.959964, abs=1e-4)

    def test_known_cases(self):
        z = 1.959964
        for n in (17, 1000):  # equal answers on n pictures do not show two classifiers to be equal
            assert paired_interval([True] * n, [True] * n) == pytest.approx((-(z**2) / (n + z**2), z**2 / (n + z**2)))
        assert paired_interval(*counted(50, 4, 0)) == pytest.approx((0, 0.188), abs=0.001)
        assert paired_interval(*counted(15, 2, 0)) == pytest.approx((-0.098, 0.379), abs=0.001)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_the_binomial_test(pairs):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    expected = binomtest(won, won + lost).pvalue if won + lost else 1
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)


@pytest.mark.slow
def test_mcnemar_seldom_cries_wolf_and_sees_what_is_there():
    rng = np.random.default_rng(2)
    alarms = np.mean([mcnemar(*agreeing(rng, 100, 0.9, 0.9, 0.12)) < 0.05 for _ in range(2000)])
    assert alarms < 0.05
    n = images_needed(0.89, 0.94, disagreement=0.09)
    seen = np.mean([mcnemar(*agreeing(rng, n, 0.89, 0.94, 0.09)) < 0.05 for _ in range(1000)])
    assert 0.76 < seen < 0.86  # asked for 0.8


def power(n, first, second, apart, alpha=0.05):
    """Add up the power of the exact test over all tables, by its definition."""
    better = (apart + abs(first - second)) / (2 * apart)
    total = 0.0
    for m in range(1, n + 1):
        k = np.arange(m + 1)
        p = 2 * np.minimum(binom.cdf(k, m, 0.5), binom.sf(k - 1, m, 0.5))
        total += binom.pmf(m, n, apart) * binom.pmf(k, m, min(better, 1))[p < alpha].sum()
    return total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "disagreement"),
    [(0.89, 0.94, None), (0.89, 0.94, 0.09), (0.5, 0.9, None), (1.0, 0.0, None), (0.95, 0.05, None), (0.6, 0.5, 0.1),
     (0.55, 0.45, 1.0), (0.99, 0.97, 0.02)],
)  # fmt: skip
def test_images_needed_reach_their_power_with_the_exact_test(first, second, disagreement):
    n = images_needed(first, second, disagreement=disagreement)
    apart = first * (1 - second) + second * (1 - first) if disagreement is None else disagreement
    assert power(n, first, second, apart) >= 0.8 > power(n - 1, first, second, apart)
    assert n == images_needed(second, first, disagreement=disagreement)
    strict = images_needed(first, second, disagreement=disagreement, power=0.95, alpha=0.01)
    assert power(strict, first, second, apart, 0.01) >= 0.95


@pytest.mark.slow
def test_images_needed_of_small_differences_come_at_once():
    assert images_needed(0.8, 0.81) == 24_839  # 24,644 by the approximation, whose exact power is .797
    assert 2_506_930 < images_needed(0.8, 0.801) < 2_510_000
    assert images_needed(0.5, 0.500001) == pytest.approx(2 * (1.959964 + 0.841621) ** 2 * 0.25 / 1e-12, rel=1e-5)


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
        (lambda: images_needed(1.2, 0.8), "first=1.2; first must be a fraction, from 0 to 1"),
        (lambda: images_needed(0.9, 0.8, power=1), "power=1; power must be a fraction"),
        (lambda: wilson_interval(3, 5, 95), "confidence=95; confidence must be a fraction"),
        (lambda: mcnemar([True], [True, False]), "first holds 1 and second holds 2"),
        (lambda: mcnemar([1, 0], [True, False]), "first has shape .* and holds int64; pass one bool per picture"),
        (lambda: mcnemar([], []), r"first has shape \(0,\)"),
        (lambda: mcnemar([True, None], [True, False]), "holds object; pass one bool per picture"),
        (lambda: paired_interval({True: 1}, [True]), "first is a dict, where order decides"),
        (lambda: paired_interval([[True]], [True]), r"first has shape \(1, 1\)"),
        (lambda: wilson_interval(3.7, 5), "correct=3.7; correct must be a whole number from 0 to 5"),
        (lambda: wilson_interval(6, 5), "correct=6; correct must be a whole number from 0 to 5"),
        (lambda: wilson_interval(0, 0), "n=0; n must be a whole number"),
        (lambda: holm([0.2, 1.5]), "p_values is .*; pass one list of numbers from 0 to 1"),
        (lambda: holm({0.2, 0.5}), "p_values is a set, where order decides"),
        (lambda: compare_right({}), "right is {}; pass a mapping of name"),
        (lambda: compare_right([[True]]), r"right is \[\[True\]\]; pass a mapping of name"),
        (lambda: compare_right({"a": [True], "b": [True, False]}), r"right\['a'\] holds 1 and right\['b'\] .*2"),
        (lambda: compare_right({"a": [True], "b": [0.5]}), r"right\['b'\] has shape \(1,\) and holds float64"),
        (lambda: compare_right({1: [True], "1": [False]}), "right holds '1' more than once"),
    ],
)
def test_wrong_input(call, reason):
    with pytest.raises((ValueError, TypeError), match=reason) as caught:
        call()
    assert "\n" not in str(caught.value)


def choose_repeatedly(right, y_true, **options):
    return splits_of(right, y_true, **{"share": 0.5, "repeats": 1, "cross_fit": False, "seed": 0} | options)


@pytest.mark.slow
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
            ({"share": 0}, "share=0; share must be a fraction"),
            ({"repeats": 0}, "repeats=0; repeats must be a whole number of 1 or more"),
            ({"repeats": 1.5}, "repeats=1.5"),
            ({"seed": "q"}, "seed='q'; seed must be a whole number from 0 to"),
            ({"seed": 2**32}, "seed=4294967296; seed must be"),
            ({"share": 0.01}, "cannot be split so that both parts hold every class"),
        ],
    )
    def test_wrong_input(self, options, reason):
        with pytest.raises(ValueError, match=reason):
            choose_repeatedly({"a": np.ones(10, bool)}, np.arange(10) % 2, **options)


def test_the_comparison_table():
    rng = np.random.default_rng(0)
    base, better = agreeing(rng, 400, 0.7, 0.9, 0.24)
    table = compare_right({"base": base, "better": better, "copy": base})
    assert table.loc["base"].isna().sum() == 7 and table.loc["base", "verdict"] == "reference"
    row = table.loc["better"]
    assert row["won"] - row["lost"] == better.sum() - base.sum()
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert (row["difference_low"], row["difference_high"]) == paired_interval(better, base)
    assert row["p_value"] == mcnemar(better, base) and row["p_adjusted"] == 2 * row["p_value"]
    assert row["verdict"] == "better than 'base'"
    assert table.loc["copy", "verdict"] == "400 images cannot tell it from 'base'"
    other = compare_right({"base": base, "better": better}, reference="better")
    assert other.loc["base", "verdict"] == "worse than 'better'" and (other["reference"] == "better").all()
    with pytest.raises(ValueError, match="reference='none'; .* base, better"):
        compare_right({"base": base, "better": better}, reference="none")


def test_a_row_says_why_a_small_p_value_alone_is_not_enough():
    first, second = counted(17, 7, 0)
    alone = compare_right({"names": second, "sentence": first}).loc["sentence"]
    assert alone["verdict"] == "better than 'names'" and alone["difference_low"] > 0
    many = compare_right({"names": second, "sentence": first} | {str(i): second for i in range(6)}).loc["sentence"]
    assert many["p_value"] < 0.05 < many["p_adjusted"]
    assert many["verdict"] == "17 images cannot tell it from 'names' after 7 comparisons"
    lost = compare_right({"names": first[:6], "other": second[:6]}).loc["other"]
    assert lost["difference_high"] < 0 and lost["verdict"] == "worse than 'names'"


def test_right_predictions_may_be_lists_or_series():
    first, second = counted(20, 5, 1)
    expected = compare_right({"a": first, "b": second})
    shuffled = pd.Series(second, index=np.arange(20)[::-1])  # by place, as everything here
    for given_ in (
        {"a": first.tolist(), "b": second.tolist()},
        {"a": pd.Series(first).astype("boolean"), "b": shuffled},
    ):
        pd.testing.assert_frame_equal(compare_right(given_), expected)
        assert mcnemar(given_["a"], given_["b"]) == mcnemar(first, second)
