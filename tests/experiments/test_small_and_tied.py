"""Few units, tied values, nothing that varies: intervals that still hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import (
    AsymptoticCS,
    Count,
    ExperimentMetric,
    ExperimentReport,
    GroupSequential,
    Margin,
    Mean,
    NormalMixture,
    Plan,
    Proportion,
    Quantile,
    Ratio,
    analyze,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.experiments.sequential.confidence_sequences import Sequence

RULES: list[Sequence | None] = [
    None,
    AsymptoticCS(planned=400),
    AsymptoticCS(planned=200_000),
    NormalMixture(effect=0.2),
    GroupSequential(planned=8),
]


def run(control: Any, new: Any, metric: ExperimentMetric, **settings_: Any) -> ExperimentReport:
    arm = np.repeat(["control", "new"], [len(control), len(new)])
    y = np.concatenate([control, new]).astype(float)
    return analyze({"variant": arm, "y": y, "w": np.ones(y.size)},
                   Plan(metrics=[metric], **settings_))  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "fixed" if rule is None else rule.name)
@pytest.mark.parametrize("metric", [Mean("y"), Proportion("y"), Ratio("y", "y", "w")])
def test_two_units_in_each_variant_decide_nothing(
    rule: Sequence | None, metric: ExperimentMetric
) -> None:
    report = run([0, 0], [1, 1], metric, sequential=rule)
    found = report["y"].absolute
    if isinstance(metric, Proportion) and rule is None:  # the classic test, with a warning
        assert 0.04 < found.p < 0.05
        assert any(check.name == "few events" for check in report.checks)
    else:
        assert found.p > 0.15
        assert found.interval[0] < 0
        assert report.decision != "ship"


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES[1:4], ids=lambda rule: rule.name)
@pytest.mark.parametrize("metric", [Mean("y"), Proportion("y")])
def test_looking_from_the_fourth_unit_on_keeps_the_level(
    rule: Sequence, metric: ExperimentMetric
) -> None:
    # 120 runs of 30 looks at fair coins: 14 crossings at 5 % have probability below 3e-3.
    rng = np.random.default_rng(1)
    looks = [*range(4, 60, 4), *range(60, 401, 20)]
    variant = np.tile(["control", "new"], 200)
    crossed = 0
    for _ in range(120):
        y = (rng.random(400) < 0.5).astype(float)
        crossed += any(
            analyze({"variant": variant[:n], "y": y[:n]}, Plan(metrics=[metric], sequential=rule))[
                "y"
            ].absolute.significant
            for n in looks
        )
    assert crossed < 14


def ratings(rng: np.random.Generator, n: int) -> Any:
    return rng.choice(5, n, p=[0.1, 0.15, 0.25, 0.3, 0.2]) + 1.0


DRAWS: dict[str, tuple[float, int, Callable[[np.random.Generator, int], Any]]] = {
    "ratings": (0.5, 200, ratings),
    "coins": (0.5, 200, lambda rng, n: (rng.random(n) < 0.5).astype(float)),
    "counts": (0.9, 200, lambda rng, n: rng.poisson(3, n).astype(float)),
    "tail": (0.99, 50, lambda rng, n: rng.lognormal(size=n)),
    "few": (0.95, 30, lambda rng, n: rng.normal(size=n)),
    "smooth": (0.5, 300, lambda rng, n: rng.normal(size=n)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_quantiles_keep_their_level(name: str) -> None:
    # 100 comparisons without a difference: 14 at 5 % have probability below 5e-4.
    q, n, draw = DRAWS[name]
    rng = np.random.default_rng(2)
    found = [run(draw(rng, n), draw(rng, n), Quantile("y", q))["y"].absolute for _ in range(100)]
    assert sum(effect.significant for effect in found) < 14
    for effect in found:
        assert (effect.p < 0.05) == effect.significant


def test_too_few_values_do_not_bound_a_quantile() -> None:
    rng = np.random.default_rng(3)
    found = run(rng.normal(size=50), rng.normal(9, 1, 50), Quantile("y", 0.99))["y"]
    assert found.absolute.interval[1] == np.inf
    assert found.relative.interval == (-1.0, np.inf)  # all that is known: neither is negative
    enough = run(rng.normal(20, 1, 500), rng.normal(22, 1, 500), Quantile("y", 0.5))["y"]
    low, high = enough.relative.interval
    assert 0 < low < 0.1 < high < 0.2


def test_no_failures_are_no_proof_of_safety() -> None:
    def guarded(n: int, **settings_: Any) -> ExperimentReport:
        arm = np.repeat(["control", "new"], n)
        rng = np.random.default_rng(4)
        data = {"variant": arm, "y": rng.normal(arm == "new", 1), "crash": np.zeros(2 * n)}
        guard = Proportion("crash", role="guardrail", better="lower", margin=Margin(absolute=0.01))
        return analyze(data, Plan(metrics=[Mean("y"), guard], **settings_))

    few, many = guarded(30), guarded(3000)
    assert not few["crash"].safe
    assert few.decision != "ship"
    assert many["crash"].safe
    assert many.decision == "ship"
    anytime = guarded(30, sequential=AsymptoticCS(planned=1000))["crash"].absolute
    assert anytime.interval[0] < -0.05 < 0.05 < anytime.interval[1]
    assert anytime.p == 1.0


GUARD: dict[str, Any] = {"better": "lower", "margin": Margin(absolute=0.001)}
SILENT = {
    "count": Count("y", **GUARD),
    "mean": Mean("y", **GUARD),
    "relative margin": Mean("y", better="lower", margin=Margin(relative=0.5)),
    "ratio": Ratio("r", "y", "w", **GUARD),
    "quantile": Quantile("y", 0.5, **GUARD),
    "covariate": Proportion("y", covariate="x", **GUARD),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "fixed" if rule is None else rule.name)
@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_does_not_vary_says_nothing(name: str, rule: Sequence | None, value: float) -> None:
    y = np.full(100, value)
    data = {"variant": np.repeat(["control", "new"], 50), "y": y, "w": np.ones(100)}
    data["x"] = np.random.default_rng(7).normal(size=100)
    report = analyze(data, Plan(metrics=[SILENT[name]], sequential=rule))
    (found,) = report.comparisons.values()
    for effect in (found.absolute, found.relative, found.fixed):
        assert effect.interval == (-np.inf, np.inf)
        assert (effect.p, effect.error) == (1.0, np.inf)
    assert not found.safe
    assert not found.harmful
    assert report.decision != "ship"
    message = "no variation in 'new' and the control: no interval."
    assert any(check.message.endswith(message) for check in report.checks)


@pytest.mark.parametrize("settings_", [{"strata": "s"}, {"unit": "u"}])
@pytest.mark.parametrize("metric", [Mean("y", **GUARD), Proportion("y", **GUARD)])
def test_nothing_seen_in_strata_or_clusters_says_nothing(
    settings_: dict[str, str], metric: ExperimentMetric
) -> None:
    data = {"variant": np.repeat(["control", "new"], 50), "y": np.zeros(100)}
    data |= {"s": np.tile(["a", "b"], 50), "u": np.repeat(np.arange(50), 2)}
    report = analyze(data, Plan(metrics=[metric]), **settings_)
    low, high = report["y"].absolute.interval
    assert low < 0 < high
    assert not report["y"].safe
    assert report.decision != "ship"


def test_a_silent_guardrail_holds_up_a_better_metric() -> None:
    rng = np.random.default_rng(8)
    arm = np.repeat(["control", "new"], 200)
    data = {"variant": arm, "y": rng.normal(arm == "new", 1), "crash": np.zeros(400)}
    guard = Count("crash", role="guardrail", **GUARD)
    report = analyze(data, Plan(metrics=[Mean("y"), guard]))
    assert report["y"].absolute.significant
    assert not report["crash"].safe
    assert report.decision == "inconclusive"


def test_quantiles_apart_without_variation_have_no_interval() -> None:
    found = run(np.full(50, 3.0), np.full(50, 5.0), Quantile("y", 0.5))["y"]
    assert (found.absolute.estimate, found.absolute.p) == (2.0, 1.0)
    assert found.absolute.interval == (-np.inf, np.inf)


def test_a_treatment_of_zeros_has_no_relative_interval() -> None:
    counts = np.random.default_rng(9).poisson(1.0, 100)
    found = run(counts, np.zeros(100), Count("y", better="lower"))["y"]
    assert found.absolute.interval[1] < 0
    assert found.safe
    assert found.relative.interval == (-np.inf, np.inf)


def test_a_tiny_stratum_does_not_hide_the_others() -> None:
    rng = np.random.default_rng(5)
    arm = np.tile(["control", "new"], 500)
    data = {
        "variant": np.concatenate([arm, ["control", "new"], ["control"] * 9]),
        "y": rng.normal(size=1011),
        "s": np.repeat(["big", "tiny", "lone"], [1000, 2, 9]),
    }
    report = analyze(data, Plan(metrics=[Mean("y")], srm_alpha=1e-12), strata="s")
    assert np.isfinite(report["y"].absolute.interval).all()
    assert report["y"].n == (500, 500)
    assert any("2 strata ('lone', 'tiny') of 11 units" in check.message for check in report.checks)


def test_winsorizing_bounds_all_variants_alike() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.lognormal(size=500), rng.lognormal(0.1, 1, 500)
    low, high = np.quantile(np.concatenate([a, b]), [0.01, 0.99])
    found = run(a, b, Mean("y", winsorize=(0.01, 0.99)))
    fixed = run(a, b, Mean("y", floor=low, cap=high))["y"]
    assert found["y"].values == pytest.approx(fixed.values)
    assert found["y"].values[1] == pytest.approx(np.clip(a, low, high).mean())
    assert any("rows capped" in check.message for check in found.checks)
    with pytest.raises(InvalidParameterError, match="two rising quantiles"):
        Mean("y", winsorize=(0.9, 0.1))
    with pytest.raises(InvalidParameterError, match="not below the floor"):
        Mean("y", cap=1.0, floor=2.0)
    chunk = {"variant": ["control", "new"], "y": [1.0, 2.0]}
    with pytest.raises(InvalidDataError, match="quantiles of all rows, got chunks"):
        analyze([chunk], Plan(metrics=[Mean("y", winsorize=(0.1, 0.9))]))


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Mean("y", cap=10.0), "A bound of 'y' needs the rows, got moments"),
        (Mean("y", missing="zero"), "missing='zero' of 'y' needs the rows"),
        (Proportion("y"), "must be 0 or 1 for the proportion 'y'"),
    ],
)
def test_moments_that_cannot_follow_the_plan_are_refused(
    metric: ExperimentMetric, message: str
) -> None:
    moments = {arm: Moments.of({"y": np.array([1.0, 2.0, 40.0])}) for arm in ("control", "new")}
    with pytest.raises(InvalidDataError, match=message):
        analyze(moments, Plan(metrics=[metric]))
    with pytest.raises(InvalidDataError, match="need one frame, got moments"):
        analyze(moments, Plan(metrics=[Mean("y")]), strata="s")
    coins = {arm: Moments.of({"y": np.array([0.0, 1.0, 1.0])}) for arm in ("control", "new")}
    assert analyze(coins, Plan(metrics=[Proportion("y")]))["y"].absolute.p == 1.0


def test_the_message_names_what_is_missing() -> None:
    with pytest.raises(InvalidDataError, match="'new' must have at least one unit with y, which"):
        run([1.0, 2.0], [np.nan, np.nan], Mean("y"))
