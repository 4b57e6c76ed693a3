"""Quantiles: errors against theory, clusters, analysis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import Mean, Plan, Quantile, analyze
from siamrec.statistics import quantile_with_error


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
