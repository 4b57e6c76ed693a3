"""The same numbers as other libraries, where they compute the same thing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from siamrec.experiments import (
    Design,
    Margin,
    Mean,
    Plan,
    Proportion,
    Ratio,
    analyze,
    sample_ratio,
)


def users(n: int = 2000) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    new = rng.random(n) < 0.5
    level = rng.gamma(2.0, 1.0, n)
    sessions, before = rng.poisson(2 * level) + 1, rng.poisson(2 * level) + 1
    return {
        "variant": np.where(new, "new", "control"),
        "sessions": sessions,
        "orders": rng.binomial(sessions, 0.25 + 0.03 * new),
        "sessions_before": before,
        "orders_before": rng.binomial(before, 0.25),
        "revenue": rng.gamma(level + 0.5 * new, 10.0),
        "revenue_before": rng.gamma(level, 10.0),
        "won": (rng.random(n) < 0.2 + 0.05 * new).astype(int),
    }


@pytest.fixture
def theirs() -> Any:
    pandas = pytest.importorskip("pandas")
    tea = pytest.importorskip("tea_tasting")
    experiment = tea.Experiment(
        mean=tea.Mean("revenue"),
        adjusted=tea.Mean("revenue", "revenue_before"),
        ratio=tea.RatioOfMeans("orders", "sessions"),
        adjusted_ratio=tea.RatioOfMeans("orders", "sessions", "orders_before", "sessions_before"),
        srm=tea.SampleRatio(method="norm", correction=False),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return experiment.analyze(pandas.DataFrame(users()), control="control")


def ours(metric: Any, **settings: Any) -> Any:
    return analyze(users(), Plan(metrics=[metric], **settings))[metric.name]


def test_means_and_ratios_are_those_of_tea_tasting(theirs: Any) -> None:
    pairs = [
        (theirs["mean"], ours(Mean("revenue"))),
        (theirs["ratio"], ours(Ratio("r", "orders", "sessions"))),
    ]
    for their, our in pairs:
        assert our.values == pytest.approx((their.treatment, their.control))
        assert our.absolute.estimate == pytest.approx(their.effect_size)
        low, high = our.absolute.interval
        assert (low, high) == pytest.approx(
            (their.effect_size_ci_lower, their.effect_size_ci_upper), rel=1e-6
        )
        assert our.absolute.p == pytest.approx(their.pvalue, rel=1e-6)
        assert our.relative.estimate == pytest.approx(their.rel_effect_size)


def test_pooled_covariates_are_close_to_those_of_tea_tasting(theirs: Any) -> None:
    """They fit one slope too, over both variants together; ours is within variants."""
    pairs = [
        (theirs["adjusted"], Mean("revenue", covariate="revenue_before")),
        (
            theirs["adjusted_ratio"],
            Ratio("r", "orders", "sessions", ("orders_before", "sessions_before")),
        ),
    ]
    for their, metric in pairs:
        our = ours(metric, adjustment="pooled").absolute
        width = their.effect_size_ci_upper - their.effect_size_ci_lower
        assert our.estimate == pytest.approx(their.effect_size, abs=0.01 * width)
        assert our.interval[1] - our.interval[0] == pytest.approx(width, rel=0.005)


def test_sample_ratios_are_those_of_tea_tasting(theirs: Any) -> None:
    counts = dict(zip(*np.unique(users()["variant"], return_counts=True), strict=True))
    assert sample_ratio(counts).p == pytest.approx(theirs["srm"].pvalue, rel=1e-6)


def test_proportions_are_those_of_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    data = users()
    wins = [int(data["won"][data["variant"] == arm].sum()) for arm in ("new", "control")]
    n = [int((data["variant"] == arm).sum()) for arm in ("new", "control")]
    our = ours(Proportion("won")).absolute
    interval = proportion.confint_proportions_2indep(
        wins[0], n[0], wins[1], n[1], method="newcomb", compare="diff"
    )
    assert our.interval == pytest.approx(interval, rel=1e-9)
    assert our.p == pytest.approx(proportion.proportions_ztest(wins, n)[1], rel=1e-9)


def test_sizes_are_those_of_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    y = np.random.default_rng(2).normal(10, 2, 5000)
    n = Design(metric=Mean("y"), baseline={"y": y}, mde=Margin(absolute=0.2)).sample_size()
    per_arm = power.TTestIndPower().solve_power(0.2 / y.std(ddof=1), alpha=0.05, power=0.8)
    assert n == pytest.approx(2 * per_arm, rel=0.005)
