"""Constants are exact and digits are kept far from zero, whichever way the data come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Moments
from siamrec.experiments import (
    AsymptoticCS,
    ExperimentMetric,
    GroupSequential,
    Mean,
    Plan,
    Quantile,
    Ratio,
    analyze,
)
from siamrec.experiments.metrics import CrossFitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.experiments.analysis import Comparison

N = 640
_UNEVEN = np.arange(N) // 8 * 3 + np.array([0, 0, 0, 1, 1, 2, 2, 2])[np.arange(N) % 8]


def frame(seed: int, per_unit: int = 1) -> dict[str, Any]:
    """Return columns of two variants, which as many rows together have alike."""
    rng = np.random.default_rng(seed)
    arm = np.where(rng.integers(0, 2, N // per_unit) == 1, "new", "control")
    return {
        "variant": np.repeat(arm, per_unit),
        "x": rng.normal(size=N),
        "size": 1.0 + rng.integers(0, 4, N),
        "one": np.ones(N),
        "s": np.where(rng.random(N) < 0.4, "a", "b"),
        "unit": np.arange(N),
        "uneven": _UNEVEN,
    }


def in_chunks(data: dict[str, Any], plan: Plan, unit: str | None) -> Any:
    parts = np.array_split(np.arange(N), 7)
    return analyze(
        iter([{name: column[rows] for name, column in data.items()} for rows in parts]),
        plan,
        unit=unit,
    )


def by_moments(data: dict[str, Any], plan: Plan, _: str | None) -> Any:
    (metric,) = plan.metrics
    rows = {name: data["variant"] == name for name in ("control", "new")}
    return analyze(
        {
            name: Moments.of({each: data[each][own] for each in metric.columns})
            for name, own in rows.items()
        },
        plan,
    )


ROADS: dict[str, tuple[int, Callable[[dict[str, Any], Plan, str | None], Any]]] = {
    "frame": (1, lambda data, plan, unit: analyze(data, plan, unit=unit)),
    "chunks": (1, in_chunks),
    "moments": (1, by_moments),
    "strata": (1, lambda data, plan, unit: analyze(data, plan, unit=unit, strata="s")),
    "clusters": (8, lambda data, plan, _: analyze(data, plan, unit="uneven")),
    "units that return": (
        8,
        lambda data, plan, _: analyze(data, plan, unit="uneven", strata="s"),
    ),
}
METRICS: dict[str, ExperimentMetric] = {
    "mean": Mean("y"),
    "covariate": Mean("y", covariate="x"),
    "model": Mean("y", covariate=CrossFitted(("x", "size"))),
    "great covariate": Mean("x", covariate="y"),
    "ratio": Ratio("r", "y", "one"),
    "quantile": Quantile("y", 0.5),
}
PLANS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "pooled": {"adjustment": "pooled"},
    "anytime": {"sequential": AsymptoticCS(planned=N)},
    "grouped": {"sequential": GroupSequential(planned=N, looks=(0.5, 1.0))},
}
UNKNOWN = {
    ("chunks", "quantile"),
    ("moments", "quantile"),
    ("moments", "model"),
    ("units that return", "quantile"),
    ("units that return", "model"),
}
WAYS = [
    pytest.param(road, name, plan, id=f"{road}, {name}, {plan}")
    for road in ROADS
    for name in METRICS
    for plan in (PLANS if name == "mean" else ("pooled", "anytime"))
    if (road, name) not in UNKNOWN
]


def compare(road: str, name: str, plan: str, data: dict[str, Any]) -> Comparison:
    metric = METRICS[name]
    unit = "unit" if name == "model" else None
    report = ROADS[road][1](data, Plan(metrics=[metric], **PLANS[plan]), unit)
    found: Comparison = report[metric.name]
    return found


@pytest.mark.parametrize(
    ("road", "name", "plan"),
    # Totals of great values over sizes vary by what cannot be told apart.
    [way for way in WAYS if "ratio" not in str(way.id) or ROADS[str(way.values[0])][0] == 1],
)
def test_digits_are_kept_far_from_zero(road: str, name: str, plan: str) -> None:
    """Epoch milliseconds and further: the same as of the differences to the offset."""
    data = frame(1, ROADS[road][0])
    noise = np.random.default_rng(2).normal(size=N)
    effect = 0.2 * (data["variant"] == "new") + 0.5 * data["x"]
    for offset in (1.7e12, -1e13):
        y = offset + noise + effect
        far, near = (compare(road, name, plan, data | {"y": y - off}) for off in (0.0, offset))
        last_digits = 3 * abs(offset) * np.finfo(float).eps
        assert abs(far.absolute.estimate - near.absolute.estimate) <= last_digits
        assert far.absolute.error == pytest.approx(near.absolute.error, rel=1e-3)
        assert far.fixed.log_p == pytest.approx(near.fixed.log_p, abs=0.5)
        assert far.absolute.interval[1] == pytest.approx(
            near.absolute.interval[1], abs=2 * last_digits + 1e-3 * near.absolute.error
        )


@pytest.mark.parametrize(
    ("road", "name", "plan"),
    [way for way in WAYS if way.values[1] not in {"great covariate", "quantile"}],
)
def test_a_control_of_zeros_bounds_nothing_relative_to_it(road: str, name: str, plan: str) -> None:
    for seed in range(3):
        data = frame(seed + 10, ROADS[road][0])
        y = np.zeros(N)
        new = np.flatnonzero(data["variant"] == "new")
        y[np.random.default_rng(seed).choice(new, 3, replace=False)] = 1.0
        found = compare(road, name, plan, data | {"y": y})
        assert found.relative.interval == (-np.inf, np.inf)
        if plan != "pooled" or not METRICS[name].covariates:  # no other variant's slope
            assert found.values[1] == 0.0
            assert found.relative.estimate == np.inf


@pytest.mark.parametrize(("road", "name", "plan"), WAYS)
@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1])
def test_a_constant_has_exactly_its_mean_and_no_spread(
    road: str, name: str, plan: str, value: float
) -> None:
    found = compare(road, name, plan, frame(3, ROADS[road][0]) | {"y": np.full(N, value)})
    if name == "great covariate":  # a constant explains nothing
        plain = compare(road, name, plan, frame(3, ROADS[road][0]) | {"y": np.zeros(N)})
        assert found.absolute.estimate == pytest.approx(plain.absolute.estimate, rel=1e-12)
        assert found.absolute.error == pytest.approx(plain.absolute.error, rel=1e-12)
        return
    if name != "ratio" and road not in {"strata", "units that return"}:
        assert found.values == (value, value)
    assert found.absolute.estimate == 0.0
    assert found.absolute.interval == (-np.inf, np.inf)
    assert (found.absolute.p, found.absolute.error) == (1.0, np.inf)


def test_what_cancels_is_not_known_and_no_constant() -> None:
    """Totals of 1e10 each over sizes that vary: their ratio varies by its last digits."""
    data = frame(1, 8) | {"y": 1e10 + np.random.default_rng(2).normal(size=N)}
    plan = Plan(metrics=[Ratio("r", "y", "one")])
    found = analyze(data, plan, unit="uneven")["r"].absolute
    assert (found.interval, found.p) == ((-np.inf, np.inf), 1.0)
    apart = data | {"y": np.where(data["variant"] == "new", 3.0, 2.0) * data["one"]}
    report = analyze(apart, plan, unit="uneven")
    assert report["r"].absolute.estimate == 1.0
    assert report["r"].absolute.p < 1e-6


def test_a_group_far_from_the_others_keeps_its_digits() -> None:
    rng = np.random.default_rng(5)
    near, far = rng.normal(size=(2, 20_000))
    groups = np.tile([0, 1], 20_000)
    y = np.ravel(np.stack([near, 1e12 + far], axis=1))
    moments = Moments.of_sets({"y": y}, [("y",)], groups, 2)
    assert moments is not None
    for each, rows in zip(moments[0], (near, y[1::2] - 1e12), strict=True):
        assert each.variance("y") == pytest.approx(rows.var(ddof=1), rel=1e-5)
    constant = Moments.of_sets({"y": np.where(groups, 0.1, near[0])}, [("y",)], groups, 2)
    assert constant is not None
    assert (constant[0][1].mean[0], constant[0][1].product[0, 0]) == (0.1, 0.0)
