"""Tests on rows against SciPy, published intervals and enumeration; exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec._core.clock import ManualClock
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments import Experiment, ExposureLog, HashAssigner
from siamrec.experiments.assignment import MemoryExposures
from siamrec.statistics import bootstrap, mann_whitney, permutation, two_proportions
from siamrec.statistics.rowwise import _bca_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec.data.assignments import Exposure
    from siamrec.typing import FloatArray


def median(rows: FloatArray) -> FloatArray:
    return np.asarray(np.median(rows, axis=1))


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_fisher_equals_scipy(n1: int, n0: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    found = two_proportions(wins, (n1, n0), test="fisher")
    table = [[wins[0], n1 - wins[0]], [wins[1], n0 - wins[1]]]
    assert found.p == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)
    low, high = found.interval
    assert -1 <= low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= high <= 1


def test_miettinen_nurminen_as_published() -> None:
    # Newcombe (1998), table II, method "Mee / Miettinen-Nurminen" of 56/70 - 48/80.
    found = two_proportions((56, 48), (70, 80))
    assert found.interval == pytest.approx((0.0528, 0.3382), abs=2e-4)
    # 9/10 - 3/10
    assert two_proportions((9, 3), (10, 10)).interval == pytest.approx((0.1700, 0.8406), abs=5e-3)
    swapped = two_proportions((48, 56), (80, 70)).interval
    assert swapped == pytest.approx((-found.interval[1], -found.interval[0]), abs=1e-9)


def test_the_score_interval_covers_where_it_is_hard() -> None:
    # 3 of 30 against 1 of 30: exact coverage of the 95 % interval by enumeration.
    rates, n = (0.1, 0.03), 30
    law = [stats.binom(n, rate) for rate in rates]
    covered = 0.0
    for x in range(12):
        for y in range(8):
            low, high = two_proportions((x, y), (n, n)).interval
            covered += law[0].pmf(x) * law[1].pmf(y) * (low <= rates[0] - rates[1] <= high)
    assert covered > 0.94


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=30),
    st.lists(st.integers(0, 6), min_size=2, max_size=30),
)
@settings(max_examples=50, deadline=None)
def test_ranks_equal_scipy(a: list[int], b: list[int]) -> None:
    share, p = mann_whitney(np.array(a, float), np.array(b, float))
    if len(set(a + b)) == 1:
        assert (share, p) == (0.5, 1.0)
        return
    theirs = stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
    assert share == pytest.approx(theirs.statistic / (len(a) * len(b)))
    assert p == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_of_means_agrees_with_theory(method: str) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 1, 400), rng.normal(0, 1, 300)
    found = bootstrap(
        a,
        b,
        lambda rows: rows.mean(axis=1),
        rng=rng,
        method=method,  # type: ignore[arg-type]
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
    found = _bca_levels(
        [skewed, flat], lambda rows: rows.mean(axis=1), gaps, float(np.median(gaps)), levels
    )
    z = stats.norm.ppf(levels)
    np.testing.assert_allclose(found, stats.norm.cdf(z / (1 - acceleration * z)), atol=2e-5)


def test_bca_equals_scipy_on_skewed_data() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(0, 1, 80), rng.lognormal(0, 1, 90)
    ours = bootstrap(
        a, b, lambda rows: rows.mean(axis=1), rng=np.random.default_rng(3), n_resamples=20_000
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
    ours = permutation(a, b, rng=np.random.default_rng(6), n_permutations=40_000)
    assert ours == pytest.approx(theirs, abs=0.01)
    assert permutation(a, a, rng=np.random.default_rng(7)) == 1.0


def test_exposures_are_told_once_and_in_batches() -> None:
    sink, clock = MemoryExposures(), ManualClock(3)
    log = ExposureLog(sink, clock=clock, batch=2, remember=2)
    assigner = HashAssigner([Experiment(key="x", variants={"a": 0.5, "b": 0.5}, exposure=0.7)])
    inside = [u for u in map(str, range(30)) if assigner.assign(u).in_experiment][:3]
    outside = next(u for u in map(str, range(30)) if not assigner.assign(u).in_experiment)
    assert not log.tell(assigner.assign(outside))
    assert log.tell(assigner.assign(inside[0]))
    assert not log.tell(assigner.assign(inside[0]))
    assert sink.exposures == []
    assert log.tell(assigner.assign(inside[1]))
    assert [each.assignment.unit for each in sink.exposures] == inside[:2]
    assert log.tell(assigner.assign(inside[2]))
    assert log.tell(assigner.assign(inside[0]))  # forgotten by now; the sink must bear it
    assert log.flush() == 0


def test_a_broken_sink_loses_nothing() -> None:
    class Broken:
        calls = 0

        def write(self, exposures: Sequence[Exposure]) -> None:
            Broken.calls += 1
            if Broken.calls == 1:
                raise OSError

    log = ExposureLog(Broken(), clock=ManualClock(), batch=1)
    unit = HashAssigner([Experiment(key="x", variants={"a": 1.0})]).assign("u")
    with pytest.raises(OSError):
        log.tell(unit)
    assert log.flush() == 1


def test_bad_input_is_refused() -> None:
    ones = np.ones(5)
    with pytest.raises(InvalidDataError, match="wins must be 0 to n"):
        two_proportions((5, 1), (4, 4))
    with pytest.raises(UnknownNameError, match="interval"):
        two_proportions((1, 1), (4, 4), interval="wald")  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="Both variants"):
        mann_whitney(np.array([]), ones)
    with pytest.raises(InvalidDataError, match="2 outcomes"):
        bootstrap(ones[:1], ones, median, rng=np.random.default_rng(0))
    with pytest.raises(InvalidParameterError, match="n_permutations"):
        permutation(ones, ones, rng=np.random.default_rng(0), n_permutations=3)
    with pytest.raises(InvalidDataError, match="Both variants"):
        permutation(np.array([]), ones, rng=np.random.default_rng(0))
