"""Intervals, p values and their adjustment, against scipy and by hand."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from tintype.evaluate.statistics import holm, paired, summary


def normal(size, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, size)


def test_the_interval_is_scipys():
    values = np.random.default_rng(0).gamma(1, 2, 150)
    ours = summary(values, 0, rounds=20_000).interval
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert np.allclose([ours.low, ours.high], [theirs.low, theirs.high], atol=0.03 * width)


def test_intervals_hold_the_truth_95_times_in_100():
    """Of a skewed distribution with mean 2; 400 binomial draws lie within 3 deviations (1.1 % each) of a bit less than 95 %."""
    rng = np.random.default_rng(0)
    intervals = [summary(rng.gamma(1, 2, 100), seed, 1000).interval for seed in range(400)]
    held = np.mean([i.low <= 2 <= i.high for i in intervals])
    assert 0.905 <= held <= 0.98


def test_summary_leaves_out_what_is_no_number_and_heeds_no_order():
    values = np.array([3.0, np.nan, 1.0, 2.0, np.nan, 10.0])
    one = summary(values, 0)
    assert (one.mean, one.median, one.count) == (4.0, 2.5, 4)
    assert 1 <= one.interval.low < 4 < one.interval.high <= 10
    assert one == summary(values[::-1], 0) == summary(values[[0, 2, 3, 5]].astype(np.float32), 0)
    assert summary(normal(50), 0) == summary(normal(50), 0) != summary(normal(50), 1)


def test_none_and_one_have_no_interval():
    none, one = summary(np.full(3, np.nan), 0), summary(np.array([7.0]), 0)
    assert none.count == 0 and np.isnan([none.mean, none.median, none.interval.low]).all()
    assert (one.mean, one.median, one.count) == (7, 7, 1) and np.isnan([one.interval.low, one.interval.high]).all()
    apart, alone = paired(np.array([np.nan]), np.array([1.0]), 0), paired(np.array([3.0]), np.array([1.0]), 0)
    assert apart.count == 0 and np.isnan([apart.mean, apart.p]).all()
    assert (alone.mean, alone.count) == (2, 1) and np.isnan([alone.p, alone.interval.low]).all()


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.35])
def test_p_is_scipys(shift):
    values, baseline = normal(60, 0, shift), 0.3 * normal(60, 1)
    theirs = stats.permutation_test(
        (values, baseline), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=20_000, vectorized=True, rng=np.random.default_rng(2)
    ).pvalue  # fmt: skip
    ours = paired(values, baseline, 0, flips=20_000).p
    assert abs(ours - theirs) < 5 * (theirs * (1 - theirs) / 20_000) ** 0.5 * 2**0.5 + 2e-4


def test_p_of_five_alike_by_hand():
    """Of 32 choices of sign two have a sum as far from 0, the true one and its mirror image; equal ones must not be lost to rounding."""
    assert abs(paired(np.full(5, 0.1), np.zeros(5), 0).p - 2 / 32) < 0.012
    assert paired(np.ones(5), np.ones(5), 0).p == 1


def test_p_is_never_0_and_even_where_nothing_differs():
    assert paired(normal(50, 0, 9), normal(50, 1), 0, flips=999).p == 1 / 1000
    p = [paired(normal(30, s), normal(30, 1000 + s), s, rounds=10, flips=500).p for s in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_pairs_are_those_with_two_numbers_whatever_their_order():
    values, baseline = normal(40, 0, 0.5), normal(40, 1)
    values[3], baseline[[3, 8]] = np.nan, np.nan
    kept = np.setdiff1d(np.arange(40), [3, 8])
    difference = paired(values, baseline, 5)
    assert difference.count == 38 and np.isclose(difference.mean, (values - baseline)[kept].mean())
    assert difference.interval.low < difference.mean < difference.interval.high
    shuffled = np.random.default_rng(0).permutation(40)
    assert difference == paired(values[shuffled], baseline[shuffled], 5) == paired(values[kept], baseline[kept], 5)
    mirrored = paired(baseline, values, 5)
    assert np.isclose(mirrored.mean, -difference.mean) and abs(mirrored.p - difference.p) < 0.01


def test_pairs_are_narrower_than_their_values():
    """What pairing is for: pictures differ far more than methods do on one picture."""
    common = 10 * normal(200)
    values, baseline = common + normal(200, 1, 0.5), common + normal(200, 2)
    assert paired(values, baseline, 0).p < 0.01
    apart = summary(values, 0).interval
    assert apart.low < baseline.mean() < apart.high


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="the same pictures"):
        paired(normal(3), normal(4), 0)


def test_a_hundred_thousand_values_need_little_memory():
    values = normal(100_000)
    tracemalloc.start()
    try:
        difference = paired(values, np.zeros(100_000), 0, rounds=60, flips=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    assert np.isclose(difference.interval.high - difference.interval.low, 3.92 / 100_000**0.5, rtol=0.4)


def test_holm_by_hand():
    """Holm 1979: the smallest times 4, the next times 3, ..., never less than the one before, never above 1."""
    assert np.allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert np.allclose(holm([0.5, 0.6, 0.0]), [1, 1, 0])
    assert holm([0.2]) == [0.2] and holm([]) == []


def test_holm_leaves_out_what_is_no_number():
    adjusted = holm([0.02, float("nan"), 0.01])
    assert np.allclose([adjusted[0], adjusted[2]], [0.02, 0.02]) and np.isnan(adjusted[1])


def test_holm_keeps_the_order_and_is_never_below_what_it_was_given():
    p = np.random.default_rng(0).random(50) ** 3
    adjusted = np.array(holm(p.tolist()))
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    assert (np.diff(adjusted[p.argsort()]) >= 0).all()
    assert (adjusted <= np.minimum(50 * p, 1) + 1e-12).all(), "never stricter than Bonferroni"
