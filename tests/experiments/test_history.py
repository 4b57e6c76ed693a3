"""Experiments rehearsed on history: A/A checks, and power against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    Design,
    ExperimentMetric,
    Margin,
    Mean,
    Plan,
    Proportion,
    Quantile,
    Ratio,
    null_check,
    simulate_power,
)
from siamrec.experiments.metrics import CrossFitted


def test_a_fitting_test_passes_its_a_a_check() -> None:
    rng = np.random.default_rng(6)
    history = {"y": rng.lognormal(0, 1, 1000), "won": (rng.random(1000) < 0.2).astype(float)}
    plan = Plan(metrics=[Mean("y"), Proportion("won")], correction="none")
    found = null_check(history, plan, rng=rng, n_runs=150)
    for name in ("y", "won"):
        # 5 sigma of a share of 0.05 over 150 splits is 0.09.
        assert found.significant[name] < 0.05 + 0.09
        assert found.coverage[name] > 0.95 - 0.09
        assert found.uniformity[name] > 1e-6
    looking = Plan(metrics=[Mean("y")], sequential=AsymptoticCS(planned=1000))
    assert null_check(history, looking, rng=rng, n_runs=40).significant["y"] <= 0.1


def test_each_metric_is_judged_alone() -> None:
    """Ten primary metrics: intervals are at alpha, not at a tenth; 5 sigma of 1000 is 0.035."""
    rng = np.random.default_rng(7)
    history = {name: rng.normal(size=300) for name in "abcdefghij"}
    plan = Plan(metrics=[Mean(name) for name in history])
    found = null_check(history, plan, rng=rng, n_runs=100)
    assert np.mean(list(found.coverage.values())) == pytest.approx(0.95, abs=0.035)
    assert np.mean(list(found.significant.values())) == pytest.approx(0.05, abs=0.035)


def test_variants_are_those_of_the_plan() -> None:
    rng = np.random.default_rng(8)
    history = {"y": rng.normal(size=400)}
    shares = {"control": 0.5, "siamese": 0.3, "other": 0.2}
    found = null_check(history, Plan(metrics=[Mean("y")], shares=shares), rng=rng, n_runs=40)
    assert found.coverage["y"] > 0.8
    old = Plan(metrics=[Mean("y")], shares={"old": 0.5, "new": 0.5})
    assert null_check(history, old, rng=rng, n_runs=20, control="old").n_runs == 20
    with pytest.raises(UnknownNameError, match="variant .control."):
        null_check(history, old, rng=rng)


def test_units_stay_whole() -> None:
    """Rows of one user are alike: split by rows the test would find nothing but users."""
    rng = np.random.default_rng(9)
    user = np.repeat(np.arange(100), 10)
    history = {"y": rng.normal(size=100)[user] + 0.1 * rng.normal(size=1000), "user": user}
    plan = Plan(metrics=[Mean("y")])
    found = null_check(history, plan, rng=rng, n_runs=200, unit="user")
    assert found.significant["y"] < 0.05 + 5 * np.sqrt(0.05 * 0.95 / 200)
    modelled = Plan(metrics=[Mean("y", covariate=CrossFitted(("user",)))])
    assert null_check(history, modelled, rng=rng, n_runs=20, unit="user").n_runs == 20
    with pytest.raises(MissingInputError, match="unit='user_id'"):
        null_check(history, modelled, rng=rng)


def worlds() -> dict[str, tuple[ExperimentMetric, Any, Margin, str | None]]:
    rng = np.random.default_rng(10)
    views = rng.poisson(5, 3000) + 1
    user = np.repeat(np.arange(2000), 3)
    before = rng.normal(0, 1, 3000)
    return {
        "mean": (Mean("y"), {"y": rng.normal(9, 2, 3000)}, Margin(absolute=0.2), None),
        "fewer": (
            Proportion("won", better="lower"),
            {"won": np.arange(3000) < 300},
            Margin(relative=0.3),
            None,
        ),
        "ratio": (
            Ratio("ctr", "clicks", "views"),
            {"clicks": rng.binomial(views, rng.beta(2, 8, 3000)), "views": views},
            Margin(absolute=0.022),
            None,
        ),
        "users": (
            Mean("y"),
            {"y": rng.normal(5, 1, 2000)[user] + rng.normal(0, 1, 6000), "user": user},
            Margin(absolute=0.15),
            "user",
        ),
        "covariate": (
            Mean("y", covariate="before"),
            {"y": before + rng.normal(-9, 1, 3000), "before": before},
            Margin(absolute=0.1),
            None,
        ),
    }


@pytest.mark.parametrize("name", list(worlds()))
def test_power_equals_that_of_the_design(name: str) -> None:
    # 300 runs: 5 sigma of 0.7 is 0.13.
    metric, history, lift, unit = worlds()[name]
    n = 2000
    found = simulate_power(
        history, Plan(metrics=[metric]), lift=lift, n=n, n_runs=300, unit=unit,
        rng=np.random.default_rng(11),
    )  # fmt: skip
    power = Design(metric=metric, baseline=history, mde=lift, unit=unit).power(n)
    assert 0.4 < power < 0.95
    share = found.found[metric.name]
    assert share == pytest.approx(power, abs=0.13)
    assert found.interval[metric.name][0] < share < found.interval[metric.name][1]
    assert found.decisions["ship"] == pytest.approx(share, abs=0.05)


def test_guardrails_are_rehearsed_too() -> None:
    """`safe` is what a design of non-inferiority counts on; 5 sigma of 300 runs is 0.13."""
    rng = np.random.default_rng(14)
    history = {"y": rng.normal(9, 2, 3000), "slow": rng.normal(100, 10, 3000)}
    slow = Mean("slow", role="guardrail", better="lower", margin=Margin(absolute=1.1))
    plan = Plan(metrics=[Mean("y"), slow])
    found = simulate_power(history, plan, lift=Margin(absolute=0.2), n=2000, n_runs=300, rng=rng)
    design = Design(metric=slow, baseline=history, hypothesis="non-inferiority")
    assert 0.4 < design.power(2000) < 0.95
    assert found.safe["slow"] == pytest.approx(design.power(2000), abs=0.13)


def test_more_units_than_history_and_relative_effects() -> None:
    rng = np.random.default_rng(12)
    history = {"y": rng.gamma(2.0, -1.0 * -3.0, 500) * -1, "t": rng.lognormal(0, 1, 500)}
    plan = Plan(metrics=[Mean("y"), Quantile("t", 0.9, role="guardrail", better="lower")])
    lift = {"y": Margin(relative=0.2), "t": Margin(relative=0.4)}
    found = simulate_power(history, plan, lift=lift, n=4000, n_runs=20, rng=rng)
    assert found.found == {"y": 1.0, "t": 1.0}
    assert found.n == 4000
    none = simulate_power(history, plan, lift=Margin(absolute=1e-9), n_runs=100, rng=rng)
    assert none.found["y"] < 0.025 + 5 * np.sqrt(0.025 * 0.975 / 100)


def test_missing_values_that_count_as_zero_are_lifted() -> None:
    rng = np.random.default_rng(13)
    history = {"y": np.where(rng.random(500) < 0.5, np.nan, rng.normal(1, 0.1, 500))}
    plan = Plan(metrics=[Mean("y", missing="zero")])
    found = simulate_power(history, plan, lift=Margin(absolute=0.5), n_runs=20, rng=rng)
    assert found.found["y"] == 1.0


def test_bad_input_is_refused() -> None:
    plan, rng = Plan(metrics=[Mean("y")]), np.random.default_rng(0)
    history = {"y": np.arange(9.0), "won": np.arange(9) < 4}
    with pytest.raises(InvalidParameterError, match="n_runs"):
        null_check(history, plan, rng=rng, n_runs=2)
    with pytest.raises(InvalidDataError, match="4 rows"):
        null_check({"y": [1.0]}, plan, rng=rng)
    with pytest.raises(InvalidDataError, match="4 units or more, got 2"):
        null_check({"y": np.ones(9), "u": np.arange(9) % 2}, plan, rng=rng, unit="u")
    with pytest.raises(InvalidDataError, match="u must not be null"):
        null_check({"y": np.ones(2), "u": ["a", None]}, plan, rng=rng, unit="u")
    lift = Margin(absolute=1.0)
    with pytest.raises(InvalidParameterError, match="n must be a whole number of at least 4"):
        simulate_power(history, plan, lift=lift, n=2, rng=rng)
    with pytest.raises(UnknownNameError, match="metric"):
        simulate_power(history, plan, lift={"z": lift}, rng=rng)
    nothing: dict[str, Margin] = {}
    with pytest.raises(InvalidParameterError, match="lift must be a Margin"):
        simulate_power(history, plan, lift=nothing, rng=rng)
    with pytest.raises(InvalidParameterError, match="lift must be a Margin"):
        simulate_power(history, plan, lift=0.1, rng=rng)  # type: ignore[arg-type]
    won = Plan(metrics=[Proportion("won")])
    with pytest.raises(InvalidParameterError, match=r"lift must be one that leaves 0.44.* in"):
        simulate_power(history, won, lift=lift, rng=rng)
    secondary = Plan(metrics=[Mean("y", role="secondary")])
    with pytest.raises(InvalidParameterError, match="no primary one"):
        simulate_power(history, secondary, lift=lift, rng=rng)
    alone = Plan(metrics=[Mean("y")], shares={"control": 1.0})
    with pytest.raises(InvalidParameterError, match="two shares above 0"):
        null_check(history, alone, rng=rng)
