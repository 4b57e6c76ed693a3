"""Intervals and tests of means: Student's where it holds, and never outside the range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.statistics import (
    jackknife_error,
    mean_interval,
    mean_test,
    paired_difference,
    wilson,
)
from siamrec.statistics.means import error_of_mean, fieller, skewness_of_mean, welch_freedom


def test_paired_difference_and_tiny_p_values() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 1, 50), rng.normal(0, 1, 50)
    found = paired_difference(a, b)
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.log_p == pytest.approx(np.log(found.p))
    huge = paired_difference(rng.normal(50, 1, 3000), np.zeros(3000))
    assert 0 < huge.p < 1e-300
    t = 50 * np.sqrt(3000)
    assert huge.log_p == pytest.approx(-1500 * np.log1p(t * t / 3000), rel=0.05)
    one = paired_difference([1.0], [0.0])
    assert (one.p, one.low, one.high) == (1.0, -np.inf, np.inf)
    assert not one.significant
    with pytest.raises(InvalidDataError, match="of one length"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(InvalidDataError, match="defined for some user"):
        paired_difference([np.nan], [1.0])


def test_students_interval_where_the_sample_shows_its_spread() -> None:
    values = np.random.default_rng(1).uniform(0.3, 0.7, 12)
    theirs = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    found = mean_interval(
        values.mean(), error_of_mean(values), 12, confidence=0.9, within=(0.0, 1.0)
    )
    assert found == pytest.approx(theirs, rel=1e-12)


@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0, 1.0]), min_size=2, max_size=40),
    st.floats(0.5, 0.999),
    st.floats(-1e6, 1e6),
    st.floats(0.01, 1e6),
)
@settings(max_examples=200, deadline=None)
def test_an_interval_stays_inside_its_range_and_has_width(
    values: list[float], confidence: float, low: float, width: float
) -> None:
    x = low + width * np.array(values)
    within = (low, low + width)
    mean = float(x.mean())
    found = mean_interval(mean, error_of_mean(x), x.size, confidence=confidence, within=within)
    assert low <= found[0] < found[1] <= low + width
    slack = 1e-9 * width + 1e-14 * abs(mean)
    assert found[0] - slack <= mean <= found[1] + slack


@pytest.mark.parametrize("n", [30, 100])
def test_from_30_values_on_the_cut_is_all_that_differs(n: int) -> None:
    x = np.zeros(n)
    x[:2] = 1.0
    plain = mean_interval(x.mean(), error_of_mean(x), n, confidence=0.95)
    cut = mean_interval(x.mean(), error_of_mean(x), n, confidence=0.95, within=(0.0, 1.0))
    assert plain[0] < 0
    assert cut == (0.0, plain[1])


def test_without_spread_the_range_decides() -> None:
    assert mean_interval(1.0, 0.0, 5, confidence=0.95, within=(0, 1)) == wilson(5, 5)
    assert mean_interval(0.0, 0.0, 50, confidence=0.95, within=(0, 1)) == wilson(0, 50)
    assert mean_interval(3.0, 0.0, 50, confidence=0.95) == (-math.inf, math.inf)
    assert mean_interval(3.0, 0.0, 50, confidence=0.95, within=(0, math.inf)) == (0, math.inf)
    assert mean_interval(0.4, math.inf, 1, confidence=0.95, within=(0, 1)) == (0, 1)
    assert mean_interval(math.nan, 0.1, 9, confidence=0.95, within=(0, 1)) == (0, 1)


def test_few_near_a_bound_get_wilsons_interval_too() -> None:
    # One hit among 6 users: Student's is [-.26, .60], Wilson's [.03, .56].
    x = np.array([1.0, 0, 0, 0, 0, 0])
    found = mean_interval(1 / 6, error_of_mean(x), 6, confidence=0.95, within=(0.0, 1.0))
    assert found == pytest.approx((0.0, 0.5951), abs=1e-4)
    almost = np.array([0.1, 0, 0, 0, 0, 0])
    found = mean_interval(0.1 / 6, error_of_mean(almost), 6, confidence=0.95, within=(0.0, 1.0))
    assert found == pytest.approx((0.0, wilson(0.1, 6)[1]))


def test_intervals_of_few_binary_users_cover() -> None:
    # 4,000 samples of 12 users at rate .1: 95 % - 1.7 % (5 sigma), exact coverage is .957.
    rng = np.random.default_rng(2)
    covered = []
    for hits in rng.binomial(1, 0.1, (4000, 12)).astype(float):
        low, high = mean_interval(
            hits.mean(), error_of_mean(hits), 12, confidence=0.95, within=(0.0, 1.0)
        )
        covered.append(low <= 0.1 <= high)
    assert np.mean(covered) > 0.933


def test_a_mean_without_spread_is_tested_with_the_greatest_variance() -> None:
    assert mean_test(0.5, 0.0, 20) == (1.0, 0.0)
    p, log_p = mean_test(0.5, 0.0, 20, within=(-1.0, 1.0))  # z = .5 sqrt(20)
    assert p == pytest.approx(2 * stats.norm.sf(0.5 * math.sqrt(20)))
    assert log_p == pytest.approx(math.log(p))
    assert mean_test(0.0, 0.0, 20, within=(-1.0, 1.0)) == (1.0, 0.0)
    assert mean_test(1.0, 0.5, 9)[0] == pytest.approx(2 * stats.t.sf(2, 8))
    assert mean_test(1.0, 0.5, 1) == (1.0, 0.0)


def test_pairs_that_all_moved_alike_are_no_proof() -> None:
    found = paired_difference([0.5, 0.7], [0.3, 0.5])
    assert (found.low, found.high, found.p) == (-math.inf, math.inf, 1.0)
    found = paired_difference([0.5, 0.7], [0.3, 0.5], within=(-1.0, 1.0))
    assert -1 < found.low < 0 < found.high < 1
    with pytest.raises(InvalidParameterError, match="confidence"):
        paired_difference([1.0], [1.0], confidence=95)


def test_the_jackknife_of_a_mean_is_its_error() -> None:
    values = np.random.default_rng(0).normal(size=9)
    left_out = (values.sum() - values) / 8
    assert jackknife_error(left_out) == pytest.approx(error_of_mean(values))
    assert jackknife_error(values[:1]) == math.inf


def test_welchs_freedom_is_scipys() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=12), rng.normal(0, 3, 30)
    theirs = stats.ttest_ind(a, b, equal_var=False).df
    own = welch_freedom(a.var(ddof=1) / 12, b.var(ddof=1) / 30, 11, 29)
    assert own == pytest.approx(theirs)
    assert welch_freedom(0.0, 0.0, 3, 4) == 7.0
    assert welch_freedom(1.0, 1.0, 0, 4) == 1.0


def test_fieller_by_hand() -> None:
    # Only the control is off: 1.2 / (1 ± .196) - 1.
    low, high = fieller((1.2, 1.0), (0.0, 0.0, 0.01), 1.96)
    assert (low, high) == pytest.approx((1.2 / 1.196 - 1, 1.2 / 0.804 - 1))
    assert fieller((-1.2, -1.0), (0.0, 0.0, 0.01), 1.96) == pytest.approx((-high, -low))
    assert fieller((1.2, 0.1), (0.0, 0.0, 0.01), 1.96) == (-math.inf, math.inf)
    assert fieller((1.2, 1.0), (0.0, 0.0, 0.01), math.inf) == (-math.inf, math.inf)


def test_the_mean_of_rare_values_reaches_further_up() -> None:
    """Ten of 10,000: the exact Poisson interval of the number is (4.80, 18.39)."""
    rows = np.zeros(10_000)
    rows[:10] = 1.0
    away = rows - rows.mean()
    error = float(np.sqrt(away @ away / 9999 / 10_000))
    skewness = skewness_of_mean(away)
    assert skewness == pytest.approx(1 / np.sqrt(10), rel=0.01)
    settings: dict[str, Any] = {"confidence": 0.95}
    low, high = mean_interval(rows.mean(), error, 10_000, **settings, skewness=skewness)
    assert (10_000 * low, 10_000 * high) == pytest.approx((4.89, 18.57), abs=0.02)
    turned = mean_interval(-rows.mean(), error, 10_000, **settings, skewness=-skewness)
    assert turned == pytest.approx((-high, -low))
    plain = mean_interval(rows.mean(), error, 10_000, **settings)
    assert mean_interval(rows.mean(), error, 10_000, **settings, skewness=1e-7) == (
        pytest.approx(plain, rel=1e-5)
    )
    assert skewness_of_mean(np.zeros(3)) == 0.0
