"""Quantiles: errors against theory, clusters, analysis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import Mean, Plan, Quantile, analyze
from siamrec.statistics import quantile_with_error
from siamrec.statistics.quantiles import OrderStatistics


@pytest.mark.parametrize("q", [0.1, 0.5, 0.95])
def test_errors_follow_the_density(q: float) -> None:
    rng = np.random.default_rng(1)
    found = [quantile_with_error(rng.normal(size=4000), q) for _ in range(60)]
    theory = np.sqrt(q * (1 - q) / 4000) / stats.norm.pdf(stats.norm.ppf(q))
    assert np.mean([error for _, error in found]) == pytest.approx(theory, rel=0.1)
    assert np.std([point for point, _ in found]) == pytest.approx(theory, rel=0.4)


def test_rows_of_one_unit_do_not_add_information() -> None:
    values = np.random.default_rng(2).normal(size=500)
    point, error = quantile_with_error(values, 0.5)
    again = quantile_with_error(np.repeat(values, 8), 0.5, clusters=np.repeat(np.arange(500), 8))
    assert again[0] == pytest.approx(point, abs=0.01)
    assert again[1] == pytest.approx(error, rel=0.15)


def test_a_quantile_in_an_analysis() -> None:
    rng = np.random.default_rng(3)
    data = {
        "variant": np.repeat(["control", "new"], 3000),
        "ms": np.concatenate([rng.exponential(100, 3000), rng.exponential(130, 3000)]),
        "user": np.arange(6000),
    }
    plan = Plan(metrics=[Quantile("p90", 0.9, "ms", better="lower"), Mean("ms", better="lower")])
    report = analyze(data, plan, unit="user")
    gap = np.log(10) * 30
    low, high = report["p90"].absolute.interval
    assert low < gap < high
    assert report["p90"].n == (3000, 3000)
    assert report.decision == "rollback"


def test_quantiles_need_rows() -> None:
    plan = Plan(metrics=[Quantile("y")])
    moments = Moments.of({"y": np.arange(5.0)})
    with pytest.raises(InvalidDataError, match="needs the rows, got moments"):
        analyze({"control": moments, "new": moments}, plan)
    with pytest.raises(InvalidDataError, match="needs the rows, got chunks"):
        analyze([{"variant": ["control", "new"], "y": [1.0, 2.0]}], plan)
    with pytest.raises(InvalidParameterError, match=r"q must be in \(0, 1\)"):
        Quantile("y", q=1.0)
    with pytest.raises(InvalidDataError, match="at least one value"):
        quantile_with_error(np.array([]), 0.5)


@pytest.mark.parametrize("q", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("n", [15, 50, 300])
def test_the_interval_covers_and_no_more_than_it_must(n: int, q: float) -> None:
    # Exact coverage is a sum of binomial probabilities, at least .95; what one rank less at
    # either end would lose brings it below. 2,000 samples: 5 sigma of .95 is 2.4 %.
    rng, truth = np.random.default_rng(n), -np.log1p(-q)
    covered = []
    for _ in range(2000):
        low, high = OrderStatistics.of(rng.exponential(size=n), q).limits(1.959963984540054)
        covered.append(low <= truth <= high)
    below = stats.binom(n, q).cdf(np.arange(-1, n + 1))
    lower = below[below <= 0.025].max()
    upper = (1 - below)[1 - below <= 0.025].max()
    assert 1 - lower - upper >= 0.95
    assert np.mean(covered) == pytest.approx(1 - lower - upper, abs=0.024)


def test_limits_by_hand_and_open_ends() -> None:
    # Of 10 values P(Binomial(10, 1/2) <= 1) = 11/1024 <= .025 < P(<= 2): the 2nd and the 9th.
    ordered = OrderStatistics.of(np.arange(1.0, 11.0), 0.5)
    assert ordered.limits(1.96) == (2.0, 9.0)
    assert OrderStatistics.of(np.arange(3.0), 0.5).limits(1.96) == (-np.inf, np.inf)
    low, high = OrderStatistics.of(np.arange(20.0), 0.95).limits(1.96)
    assert low == 16.0  # P(Binomial(20, .95) <= 16) = .016
    assert high == np.inf
    assert ordered.limits(np.inf) == (-np.inf, np.inf)
    assert quantile_with_error(np.arange(3.0), 0.5)[1] == np.inf


@pytest.mark.parametrize("reach", [0.0, 0.3, 2.0])
def test_limits_hold_the_quantile(reach: float) -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 40):
        for q in (0.05, 0.5, 0.93):
            found = OrderStatistics.of(rng.normal(size=n), q)
            low, high = found.limits(reach)
            assert low <= found.value <= high
