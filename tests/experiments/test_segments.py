"""Strata against Simpson's paradox, segments with their discovery rate."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.experiments import (
    Mean,
    Plan,
    Proportion,
    Ratio,
    analyze,
    analyze_segments,
)


def ramped() -> dict[str, np.ndarray]:
    """No effect; the outcome rises over time, and so does the share of the new variant."""
    rng = np.random.default_rng(1)
    version = np.repeat([1, 2], 4000)
    new = rng.random(8000) < np.where(version == 1, 0.1, 0.5)
    return {
        "variant": np.where(new, "new", "control"),
        "version": version,
        "y": rng.normal(np.where(version == 1, 0.0, 1.0), 1.0),
    }


def test_a_ramp_must_be_compared_within_versions() -> None:
    shares = {"1": {"control": 0.9, "new": 0.1}, "2": {"control": 0.5, "new": 0.5}}
    plan = Plan(metrics=[Mean("y")], stratum_shares=shares)
    mixed = analyze(ramped(), plan)
    assert mixed["y"].absolute.interval[0] > 0.1  # Simpson's paradox
    within = analyze(ramped(), plan, strata="version")
    low, high = within["y"].absolute.interval
    assert low < 0 < high
    assert within.srm.p > 1e-3
    assert within.decision == "inconclusive"
    even = analyze(ramped(), Plan(metrics=[Mean("y")]), strata="version")
    assert even.decision == "invalid"  # the shares were not even in version 1


def test_strata_by_hand() -> None:
    rng = np.random.default_rng(2)
    data = ramped()
    data["y"] = data["y"] + rng.normal(0, 0.1, 8000)
    found = analyze(data, Plan(metrics=[Mean("y")]), strata="version")["y"].absolute
    estimate = variance = 0.0
    for version in (1, 2):
        inside = data["version"] == version
        new, old = (data["y"][inside & (data["variant"] == name)] for name in ("new", "control"))
        weight = inside.mean()
        estimate += weight * (new.mean() - old.mean())
        variance += weight**2 * (new.var(ddof=1) / new.size + old.var(ddof=1) / old.size)
    assert found.estimate == pytest.approx(estimate)
    assert found.error == pytest.approx(np.sqrt(variance))


def test_stratifying_reduces_variance() -> None:
    rng = np.random.default_rng(3)
    group = rng.integers(0, 4, 4000)
    data = {
        "variant": np.where(rng.random(4000) < 0.5, "new", "control"),
        "group": group,
        "y": group * 2.0 + rng.normal(size=4000),
    }
    plan = Plan(metrics=[Mean("y")])
    plain, within = analyze(data, plan), analyze(data, plan, strata="group")
    assert within["y"].absolute.error < 0.5 * plain["y"].absolute.error
    binary = {**data, "won": (rng.random(4000) < 0.3).astype(float)}
    found = analyze(binary, Plan(metrics=[Proportion("won")]), strata="group")["won"]
    assert found.absolute.rule == "fixed horizon, Newcombe"


def test_covariates_that_differed_before_are_told() -> None:
    rng = np.random.default_rng(4)
    new = np.arange(2000) % 2 == 1
    data = {
        "variant": np.where(new, "new", "control"),
        "y": rng.normal(size=2000),
        "before": rng.normal(size=2000) + 0.3 * new,
        "clicks": rng.binomial(9, 0.2, 2000),
        "views": np.full(2000, 9.0),
    }
    report = analyze(data, Plan(metrics=[Mean("y", covariate="before")]))
    assert any("before differed before the experiment" in c.message for c in report.checks)
    pair = Ratio("ctr", "clicks", "views", covariate=("clicks", "views"))
    assert not any(c.name == "balance" for c in analyze(data, Plan(metrics=[pair])).checks)


def test_segments_allow_for_their_number() -> None:
    rng = np.random.default_rng(5)
    segment = np.repeat([f"s{number}" for number in range(20)], 400)
    new = rng.random(8000) < 0.5
    data = {
        "variant": np.where(new, "new", "control"),
        "segment": segment,
        "y": rng.normal(size=8000) + new * (segment == "s7") * 0.8,
    }
    found = analyze_segments(data, Plan(metrics=[Mean("y")]), segment="segment")
    assert found.found() == (("s7", "y", "new"),)
    assert len(found.reports) == 20
    assert all(
        found.adjusted_p[name, "y", "new"] >= report["y"].absolute.p
        for name, report in found.reports.items()
    )


def test_bad_input_is_refused() -> None:
    plan = Plan(metrics=[Mean("y")])
    data = ramped()
    with pytest.raises(UnknownNameError, match="strata or segments"):
        analyze(data, plan, strata="epoch")
    with pytest.raises(InvalidDataError, match="need one frame"):
        analyze([data], plan, strata="version")
    lone = {"variant": ["control", "new"], "v": ["a", "b"], "y": [1.0, 2.0]}
    with pytest.raises(InvalidDataError, match="No stratum"):
        analyze(lone, plan, strata="v")
    assert Moments.empty(("y",)).n == 0
