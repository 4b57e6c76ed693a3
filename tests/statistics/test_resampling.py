"""Bootstrap, permutation and sign flips against SciPy, theory and enumeration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.statistics import bootstrap, bootstrap_interval, permutation, sign_flip, sign_flips
from siamrec.statistics.resampling import _without_each, bca_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray


def median(rows: FloatArray) -> FloatArray:
    return np.asarray(np.median(rows, axis=1))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_means_agrees_with_theory(method: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 400), rng.normal(0, 1, 300)
    found = bootstrap(
        a,
        b,
        lambda rows: rows.mean(axis=1),
        rng=rng,
        method=method,
    )
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.interval == pytest.approx(tuple(theirs), abs=0.02)
    assert found.p < 0.01


@pytest.mark.parametrize("n", [1500, 2001, 20_000])
@pytest.mark.parametrize("arrange", [np.sort, lambda x: x], ids=["sorted", "mixed"])
def test_acceleration_of_large_samples_is_that_of_all_units(
    n: int, arrange: Callable[[Any], Any]
) -> None:
    """For a mean the acceleration has a closed form, sum x^3 / (6 (sum x^2)^1.5)."""
    rng = np.random.default_rng(4)
    skewed, flat = arrange(rng.lognormal(0, 1, n)), rng.uniform(-1e-6, 1e-6, n)
    away = skewed - skewed.mean()
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    gaps = np.sort(rng.normal(size=2000))
    levels = np.array([0.025, 0.975])
    sides = [_without_each(each, lambda rows: rows.mean(axis=1)) for each in (skewed, flat)]
    left_out = [(sides[0][0], sides[0][1]), (-sides[1][0], sides[1][1])]
    found = bca_levels(levels, float(np.median(gaps)), gaps, left_out)
    z = stats.norm.ppf(levels)
    np.testing.assert_allclose(found, stats.norm.cdf(z / (1 - acceleration * z)), atol=3e-5)


def test_bca_equals_scipy_on_skewed_data() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(0, 1, 80), rng.lognormal(0, 1, 90)
    ours = bootstrap(
        a, b, lambda rows: rows.mean(axis=1), rng=np.random.default_rng(3), resamples=20_000
    )
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        n_resamples=20_000,
        rng=np.random.default_rng(4),
        method="BCa",
    ).confidence_interval
    assert ours.interval == pytest.approx(tuple(theirs), abs=0.06)


def test_bootstrap_of_medians() -> None:
    rng = np.random.default_rng(5)
    found = bootstrap(rng.exponential(2, 500), rng.exponential(1, 500), median, rng=rng)
    assert found.interval[0] < np.log(2) < found.interval[1]


def test_permutation_against_enumeration() -> None:
    a, b = np.array([1.0, 2.0, 3.5]), np.array([0.5, 0.7, 1.2])
    theirs = stats.permutation_test(
        (a, b), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf
    ).pvalue
    ours = permutation(a, b, rng=np.random.default_rng(6), resamples=40_000)
    assert ours == pytest.approx(theirs, abs=0.01)
    assert permutation(a, a, rng=np.random.default_rng(7)) == 1.0


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_interval_is_near_scipy(method: Any) -> None:
    values = np.random.default_rng(0).gamma(1.0, 1.0, 60)
    own = bootstrap_interval(values, method=method, rng=np.random.default_rng(1), resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method=method, n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert own == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_sign_flip_is_exact_for_few_and_seeded_for_many() -> None:
    moved = np.array([1.0, 2.0, 0.5, -0.25, 0.0])
    p, exact = sign_flip(moved, rng=np.random.default_rng(0))
    assert exact
    assert p == 4 / 16  # sums of at least 3.25 in size: signs ++++, +++-, and their mirrors
    many = np.random.default_rng(3).normal(0.05, 1, 500)
    first, second = (sign_flip(many, rng=np.random.default_rng(7))[0] for _ in range(2))
    assert first == second
    assert first == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)
    sure = np.ones(100)
    assert sign_flip(sure, rng=np.random.default_rng(0), resamples=1000)[0] == 1 / 1001


def test_sign_flips_of_a_column_do_not_depend_on_the_others() -> None:
    table = np.random.default_rng(0).normal(0.05, 1, (400, 3))
    table[:390, 2] = 0.0  # few differences: exact
    whole, alone = (
        sign_flips(part, rng=np.random.default_rng(1), resamples=2000)
        for part in (table, table[:, 1:2])
    )
    assert whole[1] == alone[0]
    assert whole[2] == sign_flip(table[390:, 2], rng=np.random.default_rng(9))[0]


def test_sign_flip_keeps_its_level() -> None:
    # 400 null samples of 12 users: P(p <= 0.05) <= 0.05; 5 sigma above is 10.5 %.
    rng = np.random.default_rng(5)
    found = [sign_flip(rng.normal(0, 1, 12), rng=rng)[0] <= 0.05 for _ in range(400)]
    assert np.mean(found) < 0.105


def test_resamples_that_agree_say_nothing() -> None:
    zeros, rng = np.zeros(5), np.random.default_rng(0)
    found = bootstrap(zeros, zeros, median, rng=rng)
    assert (found.estimate, found.interval, found.p) == (0.0, (-np.inf, np.inf), 1.0)
    assert bootstrap(zeros, zeros, median, rng=rng, within=(-1.0, 1.0)).interval == (-1.0, 1.0)
    assert bootstrap_interval(zeros, rng=rng) == (-np.inf, np.inf)
    assert bootstrap_interval(np.ones(4), rng=rng, within=(0.0, 1.0)) == (0.0, 1.0)


def test_a_bootstrap_stays_inside_its_range() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    low, high = bootstrap_interval(
        values, rng=np.random.default_rng(1), confidence=0.999, within=(0.0, 0.5)
    )
    assert 0 <= low < high <= 0.5


def test_a_ratio_is_drawn_by_user() -> None:
    rng = np.random.default_rng(2)
    shown = rng.integers(1, 40, 300).astype(float)
    clicks = rng.binomial(shown.astype(int), rng.beta(1, 4, 300)).astype(float)
    low, high = bootstrap_interval(clicks, shown, rng=rng)
    ratio = clicks.sum() / shown.sum()
    error = np.std(clicks - ratio * shown, ddof=1) / np.sqrt(300) / shown.mean()
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_bad_input_is_refused() -> None:
    ones, rng = np.ones(5), np.random.default_rng(0)
    with pytest.raises(InvalidDataError, match="2 outcomes"):
        bootstrap(ones[:1], ones, median, rng=rng)
    with pytest.raises(InvalidParameterError, match="resamples"):
        permutation(ones, ones, rng=rng, resamples=3)
    with pytest.raises(InvalidDataError, match="Both variants"):
        permutation(np.array([]), ones, rng=rng)
    with pytest.raises(UnknownNameError, match="method"):
        bootstrap_interval(ones, rng=rng, method="bc")  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="weights must not be negative"):
        bootstrap_interval(ones, -ones, rng=rng)
    with pytest.raises(InvalidDataError, match="one length"):
        bootstrap_interval(ones, ones[:2], rng=rng)
