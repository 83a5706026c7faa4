"""A known temperature comes back, bins are counted as by hand, and conformal sets cover as they say."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from zsc.calibration import (
    conformal_sets,
    expected_calibration_error,
    familiarity,
    fit_temperature,
    reliability_table,
    tell_strangers,
    threshold_keeping,
)
from zsc.scoring import to_proba


def draw(scores, temperature, seed):
    """Draw labels (N,) from softmax(scores / temperature)."""
    cumulative = softmax(scores / temperature, axis=1).cumsum(axis=1)
    below = np.random.default_rng(seed).random((len(scores), 1)) > cumulative
    return np.minimum(below.sum(axis=1), scores.shape[1] - 1)


def a_case(n, k, seed, spread=1.0):
    scores = np.random.default_rng(seed).normal(size=(n, k)) * spread
    return scores, draw(scores, spread, seed + 1)


def log_loss(scores, y_true, temperature):
    return -log_softmax(scores / temperature, axis=1)[np.arange(len(y_true)), y_true].mean()


class TestTemperature:
    @pytest.mark.parametrize("k", [2, 3, 10])
    @pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 30.0])
    def test_a_known_one_comes_back(self, k, temperature):
        scores = np.random.default_rng(k).normal(size=(20_000, k)) * 2 * temperature
        y_true = draw(scores, temperature, seed=1)
        assert fit_temperature(scores, y_true) == pytest.approx(temperature, rel=0.05)

    def test_it_is_centred_on_the_true_one(self):
        """Over 200 draws of 500 pictures the fitted logarithm is right on average (its standard error is 0.004)."""
        fits = []
        for seed in range(200):
            scores = np.random.default_rng(seed).normal(size=(500, 5)) * 0.03
            fits.append(np.log(fit_temperature(scores, draw(scores, 0.01, seed + 1000)) / 0.01))
        assert abs(np.mean(fits)) < 0.012 and np.std(fits) < 0.1

    def test_with_two_classes_it_is_scikit_learns_slope(self):
        scores, y_true = a_case(300, 2, 0)
        slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
        slope.fit(scores[:, 1:] - scores[:, :1], y_true)
        assert fit_temperature(scores, y_true) == pytest.approx(1 / slope.coef_[0, 0], rel=1e-4)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(30, 80), st.sampled_from([2, 3, 10]), st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e4]))
    def test_no_other_one_is_better(self, n, k, seed, spread):
        scores, y_true = a_case(n, k, seed, spread)
        try:
            fitted = fit_temperature(scores, y_true)
        except ValueError as error:
            assert "no temperature beats chance" in str(error)
            assert log_loss(scores, y_true, spread * 1e3) >= np.log(k) - 1e-6
            return
        least = log_loss(scores, y_true, fitted)
        assert all(least <= log_loss(scores, y_true, fitted * f) + 1e-12 for f in (0.01, 0.5, 0.99, 1.01, 2, 100))

    def test_units_and_shifts_of_a_row_do_not_matter(self):
        scores, y_true = a_case(200, 4, 3)
        fitted = fit_temperature(scores, y_true)
        assert fit_temperature(scores / 100, y_true) == pytest.approx(fitted / 100, rel=1e-5)
        assert fit_temperature(scores + np.arange(200)[:, None], y_true) == pytest.approx(fitted, rel=1e-5)

    def test_it_mends_overconfidence_and_keeps_the_classes(self):
        scores = np.random.default_rng(0).normal(size=(20_000, 3))
        y_true = draw(scores, 1.0, 1)
        sharp, fitted = to_proba(scores, 5.0), to_proba(scores, 1 / fit_temperature(scores[:5000], y_true[:5000]))
        assert expected_calibration_error(y_true, sharp) > 0.2
        assert expected_calibration_error(y_true[5000:], fitted[5000:]) < 0.02
        np.testing.assert_array_equal(sharp.argmax(axis=1), fitted.argmax(axis=1))
        assert fit_temperature(np.log(fitted), y_true) == pytest.approx(1, abs=0.05)

    @pytest.mark.parametrize(
        ("scores", "y_true", "message"),
        [
            (np.eye(3), [0, 1, 2], "scores put the label of every picture first"),
            (np.eye(3), [1, 2, 0], "the scores know nothing of these labels"),
            (np.zeros((3, 3)), [0, 1, 2], "the scores know nothing of these labels"),
            (np.eye(3), [1, 2, 0], "accuracy 0.000 with 3 classes.*use another model.*in the same order"),
            (np.eye(3), [0, 1], "scores holds 3 and y_true holds 2"),
            (np.eye(3), [0, 1, 3], "y_true runs from 0 to 3; labels must lie in 0 to 2"),
            (np.eye(3) * np.nan, [0, 1, 2], "scores holds NaN or infinity in 3 of 3 rows"),
            (np.eye(3)[:, :1], [0, 0, 0], r"scores has shape \(3, 1\)"),
        ],
    )
    def test_wrong_input(self, scores, y_true, message):
        with pytest.raises(ValueError, match=message) as caught:
            fit_temperature(scores, y_true)
        assert "\n" not in str(caught.value)


class TestReliability:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 60), st.sampled_from([2, 3, 10]), st.integers(1, 15), st.integers(0, 10_000))
    def test_it_is_scikit_learns_curve_and_a_loop(self, n, k, bins, seed):
        rng = np.random.default_rng(seed)
        proba = rng.dirichlet(np.ones(k), n)
        y_true = rng.integers(0, k, n)
        table = reliability_table(y_true, proba, bins=bins)
        confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y_true
        filled = table[table["n"] > 0]
        if right.any() and not right.all():  # scikit-learn wants both
            accuracy, mean = calibration_curve(right, confidence, n_bins=bins)
            np.testing.assert_allclose(filled["accuracy"], accuracy)
            np.testing.assert_allclose(filled["confidence"], mean)
        edges = np.r_[table["low"], 1]
        gaps = [
            abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
            for inside in ((confidence > low) & (confidence <= high) for low, high in pairwise(edges))
            if inside.any()
        ]
        assert expected_calibration_error(y_true, proba, bins=bins) == pytest.approx(sum(gaps))
        assert table["n"].sum() == n and len(table) == bins and table.loc[table["n"] == 0, "gap"].isna().all()

    def test_a_known_case(self):
        proba = np.array([[0.6, 0.4], [0.7, 0.3], [0.1, 0.9], [0.0, 1.0]])  # 0.6 belongs to (0.5, 0.6]
        table = reliability_table([0, 1, 1, 1], proba, bins=10)
        assert table["n"].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 1, 1]
        assert table.loc[5].tolist() == pytest.approx([0.5, 0.6, 1, 0.6, 1.0, 0.4])
        assert expected_calibration_error([0, 1, 1, 1], proba) == pytest.approx((0.4 + 0.7 + 0.1 + 0) / 4)

    @pytest.mark.parametrize("bins", [0, 2.5, True, "ten"])
    def test_wrong_bins(self, bins):
        with pytest.raises(ValueError, match=re.escape(f"bins={bins!r}; bins must be a whole number of 1 or more.")):
            reliability_table([0], [[0.5, 0.5]], bins=bins)

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="proba adds up to 0.9 in row 0"):
            expected_calibration_error([0], [[0.5, 0.4]])
        with pytest.raises(ValueError, match="y_true holds 2 and proba holds 1"):
            reliability_table([0, 1], [[0.5, 0.5]])


def naive_sets(known, y_cal, proba, coverage, method):
    """Write both methods out, a picture and a class at a time."""

    def nonconformity(row, k):
        return 1 - row[k] if method == "lac" else sum(p for p in sorted(row, reverse=True) if p > row[k])

    scores = sorted(nonconformity(row, k) for row, k in zip(known, y_cal, strict=True))
    rank = int(np.ceil((len(scores) + 1) * coverage))
    threshold = scores[rank - 1] if rank <= len(scores) else np.inf
    return np.array([[nonconformity(row, k) <= threshold + 1e-12 for k in range(len(row))] for row in proba])


class TestConformal:
    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(1, 60),
        st.sampled_from([2, 3, 10]),
        st.sampled_from([0.05, 0.5, 0.83, 0.97]),
        st.sampled_from(["lac", "aps"]),
        st.integers(0, 10_000),
    )
    def test_sets_are_those_of_a_loop(self, n, k, coverage, method, seed):
        rng = np.random.default_rng(seed)
        known, proba = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), 7)
        y_cal = rng.integers(0, k, n)
        result = conformal_sets(known, y_cal, proba, coverage=coverage, method=method)
        np.testing.assert_array_equal(result.sets, naive_sets(known, y_cal, proba, coverage, method))
        assert result.mean_size == result.sets.sum() / 7 and result.n_calibration == n

    @pytest.mark.parametrize("sharpness", [0.5, 1.0, 5.0])  # too careful, calibrated, far too confident
    @pytest.mark.parametrize(("method", "seed"), [("lac", None), ("aps", 0), ("aps", None)])
    @pytest.mark.parametrize("coverage", [0.8, 0.9])
    def test_they_cover_as_stated(self, sharpness, method, seed, coverage):
        """Mean coverage over 400 draws of 99 calibration pictures: known to 0.002, whatever the probabilities."""
        shares, sizes = [], []
        for trial in range(400):
            scores = np.random.default_rng(trial).normal(size=(299, 5)) * 1.5
            y_true = draw(scores, 1.0, 10_000 + trial)
            proba = softmax(scores * sharpness, axis=1)
            drawn = None if seed is None else trial
            result = conformal_sets(proba[:99], y_true[:99], proba[99:], coverage=coverage, method=method, seed=drawn)
            shares.append(result.empirical_coverage(y_true[99:]))
            sizes.append(result.sizes.min())
        if method == "aps" and seed is None:  # never empty, so at least
            assert np.mean(shares) > coverage - 0.007 and min(sizes) >= 1
        else:  # exactly: 99 + 1 pictures leave no remainder
            assert np.mean(shares) == pytest.approx(coverage, abs=0.007)

    def test_better_probabilities_make_smaller_sets(self):
        scores, y_true = a_case(4000, 6, 0)
        sizes = []
        for noise in (0, 1, 4):
            proba = softmax(scores + noise * np.random.default_rng(1).normal(size=scores.shape), axis=1)
            sizes.append(conformal_sets(proba[:2000], y_true[:2000], proba[2000:]).mean_size)
        assert sizes == sorted(sizes) and sizes[2] > sizes[0] + 0.5

    def test_too_few_calibration_pictures_leave_every_class_in(self):
        known, proba = np.full((8, 2), 0.5), np.array([[0.9, 0.1]])
        result = conformal_sets(known, [0] * 8, proba, coverage=0.9)
        assert result.threshold == np.inf and result.sets.all()
        enough = conformal_sets(np.full((9, 2), 0.5), [0] * 9, proba, coverage=0.9)
        assert enough.sets.tolist() == [[True, False]] and (enough.threshold, enough.coverage) == (0.5, 0.9)

    @pytest.mark.parametrize("method", ["lac", "aps"])
    def test_a_coverage_near_0_asks_for_the_least_threshold(self, method):
        """Sets grow with the stated coverage, from the first one on; they do not start with every class."""
        rng = np.random.default_rng(0)
        known, proba = rng.dirichlet(np.ones(5), 50), rng.dirichlet(np.ones(5), 40)
        y_cal = rng.integers(0, 5, 50)
        stated = (1e-12, 1e-9, 1e-3, 0.02, 0.5, 0.9)
        results = [conformal_sets(known, y_cal, proba, coverage=c, method=method) for c in stated]
        assert [r.threshold for r in results] == sorted(r.threshold for r in results)
        assert results[0].mean_size < 1.1 and results[0].threshold == results[2].threshold

    def test_the_drawn_sets_follow_the_seed(self):
        scores, y_true = a_case(200, 4, 0)
        proba = softmax(scores, axis=1)
        one, same, other = (
            conformal_sets(proba[:100], y_true[:100], proba[100:], method="aps", seed=s).sets for s in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"coverage": 1.0}, "coverage=1.0; coverage must be a fraction, above 0 and below 1"),
            ({"method": "raps"}, "method='raps'; method must be one of lac, aps"),
            ({"method": "aps", "seed": "q"}, "seed='q'; seed must be a whole number"),
            ({"seed": -1}, "seed=-1; seed must be"),
            ({"y_cal": [0]}, "calibration_proba holds 2 and y_cal holds 1"),
            ({"y_cal": [0, 5]}, "y_cal runs from 0 to 5; labels must lie in 0 to 1"),
            ({"calibration_proba": [[0.5, 0.6]] * 2}, "calibration_proba adds up to 1.1 in row 0"),
            ({"proba": [[0.2, 0.3, 0.5]]}, "proba has 3 columns; pass one for each of the 2 classes"),
            ({"proba": [[np.nan, 0.5]]}, "proba holds NaN"),
        ],
    )
    def test_wrong_input(self, change, message):
        good = {"calibration_proba": [[0.5, 0.5]] * 2, "y_cal": [0, 1], "proba": [[0.5, 0.5]]}
        with pytest.raises(ValueError, match=message):
            conformal_sets(**good | change)
        with pytest.raises(ValueError, match="sets holds 1 and y_true holds 2"):
            conformal_sets(**good).empirical_coverage([0, 1])


def two_groups(n, m, seed, apart=1.0):
    """Cosines of n known pictures, one class each, and of m strangers, none of them; three classes."""
    rng = np.random.default_rng(seed)
    known, strangers = rng.normal(0.2, 0.03, (n, 3)), rng.normal(0.2, 0.03, (m, 3))
    known[np.arange(n), rng.integers(3, size=n)] += 0.03 * apart
    return known, strangers


class TestStrangers:
    def test_the_scores_are_their_formulas(self):
        known, _ = two_groups(20, 1, 0)
        table = familiarity(known, 50.0)
        for row, cosines in zip(table.itertuples(), known, strict=True):
            for name, scale in (("msp", 50), ("mcm", 1)):
                by_hand = max(np.exp(scale * cosines) / np.exp(scale * cosines).sum())
                assert getattr(row, name) == pytest.approx(by_hand, rel=1e-12)
            assert row.cosine == max(cosines)

    @pytest.mark.parametrize(("n", "m", "keep"), [(61, 40, 0.95), (200, 7, 0.9), (20, 30, 0.95), (20, 30, 0.96)])
    def test_auroc_is_sklearns_and_fpr_a_loop(self, n, m, keep):
        known, strangers = (np.round(each, 2) for each in two_groups(n, m, n))  # with ties
        table = tell_strangers(known, strangers, 30.0, keep=keep)
        first, other = familiarity(known, 30.0), familiarity(strangers, 30.0)
        for name, row in table.iterrows():
            scores = np.r_[first[name], other[name]]
            assert row["auroc"] == pytest.approx(roc_auc_score(np.arange(n + m) < n, scores), abs=1e-12)
            for threshold in sorted(first[name], reverse=True):
                if (first[name] >= threshold).mean() >= keep - 1e-12:
                    break
            assert row["fpr"] == (other[name] >= threshold).mean()
            assert threshold == threshold_keeping(first[name], keep)
            for value in ("auroc", "fpr", "kept", "let_in"):
                low, high = row[f"{value}_low"], row[f"{value}_high"]
                assert 0 <= low <= row[value] <= high <= 1 and low < high

    def test_delongs_variance_is_that_of_the_pairs(self):
        known, strangers = two_groups(40, 30, 5)
        row = tell_strangers(known, strangers, 1.0).loc["cosine"]
        wins = np.sign(known.max(axis=1)[:, None] - strangers.max(axis=1)) / 2 + 0.5
        variance = wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 30
        area, low, high = (np.log(v / (1 - v)) for v in row[["auroc", "auroc_low", "auroc_high"]])
        reach = 1.959964 * np.sqrt(variance) / (row["auroc"] * (1 - row["auroc"]))
        assert (area - low, high - area) == pytest.approx((reach, reach), rel=1e-6)

    def test_the_threshold_is_chosen_on_one_part_and_reported_on_the_other(self):
        known, strangers = two_groups(101, 50, 1)
        table = tell_strangers(known, strangers, 30.0, share=0.4, seed=3)
        has_say = np.random.default_rng(3).permutation(101)[:40]
        own = familiarity(known, 30.0)["mcm"].to_numpy()
        rest = np.delete(own, has_say)
        threshold = np.sort(own[has_say])[2]  # two of 40 may stay below
        assert table.loc["mcm", "threshold"] == threshold
        assert table.loc["mcm", "kept"] == (rest >= threshold).mean()
        assert table.loc["mcm", "let_in"] == (familiarity(strangers, 30.0)["mcm"] >= threshold).mean()

    def test_groups_that_do_not_overlap_leave_a_doubt(self):
        known, strangers = two_groups(50, 80, 0)
        row = tell_strangers(known + 1, strangers, 30.0).loc["cosine"]
        assert row["auroc"] == 1 and 0.8 < row["auroc_low"] < 0.99 and row["fpr"] == 0 < row["fpr_high"] < 0.1

    def test_the_intervals_hold_as_often_as_they_say(self):
        huge = tell_strangers(*two_groups(200_000, 200_000, 9), 30.0).loc["cosine"]
        held = np.zeros(2)
        for seed in range(150):  # benchmarks/strangers.py has more
            row = tell_strangers(*two_groups(150, 100, seed), 30.0).loc["cosine"]
            held += [row[f"{v}_low"] <= huge[v] <= row[f"{v}_high"] for v in ("auroc", "fpr")]
        assert ((held / 150 > 0.90) & (held / 150 < 0.995)).all(), held / 150

    def test_wrong_input(self):
        known, strangers = two_groups(20, 20, 0)
        for wrong, reason in (
            ((known[:1], strangers), "there are 1 known pictures and 20 strangers"),
            ((known, strangers[:, :2]), "strangers has 2 columns"),
            ((known * np.nan, strangers), "known holds NaN"),
        ):
            with pytest.raises(ValueError, match=reason):
                tell_strangers(*wrong, 30.0)
        with pytest.raises(ValueError, match="keep=1"):
            tell_strangers(known, strangers, 30.0, keep=1)
