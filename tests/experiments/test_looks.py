"""When a plan may be read, and what it then decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    Count,
    ExperimentReport,
    GroupSequential,
    Margin,
    Mean,
    Plan,
    Ratio,
    analyze,
)
from siamrec.experiments.analysis import equivalence, one_sided


def draw(n: int, gap: float, seed: int = 1, arms: tuple[str, ...] = ("control", "new")) -> Any:
    rng = np.random.default_rng(seed)
    variant = np.tile(arms, n)
    return {"variant": variant, "y": rng.normal(np.where(variant == "new", gap, 0.0), 1)}


def run(n: int, gap: float, *, metrics: Any = None, **settings: Any) -> ExperimentReport:
    return analyze(draw(n, gap), Plan(metrics=metrics or [Mean("y")], **settings))


def test_planned_units_are_those_of_a_pair() -> None:
    data = draw(400, 0.0, arms=("control", "a", "b"))
    for settings in ({"planned": 1000.0}, {"sequential": AsymptoticCS(planned=1000)}):
        report = analyze(data, Plan(metrics=[Mean("y")], daily_units=100.0, **settings))
        assert report.decision == "continue"
        # 200 units of a pair are missing, two thirds of 100 come to it each day.
        assert report.days_left == pytest.approx(3.0)


def test_a_group_sequential_plan_decides_at_its_looks() -> None:
    rule = GroupSequential(planned=1000)
    assert run(125, 1.0, sequential=rule).decision == "ship"  # 250 units: the first look
    assert run(135, 1.0, sequential=rule).decision == "ship"  # 270: near enough
    between = run(180, 1.0, sequential=rule)
    assert between.decision == "continue"
    assert "No look was planned at 360 units (the next: 500)" in between.reasons[0]
    assert between["y"].absolute.significant
    known = GroupSequential(planned=1000, made=(250,))
    assert run(180, 1.0, sequential=known).decision == "ship"


def test_looks_that_were_made_spend_what_they_spent() -> None:
    rule = GroupSequential(planned=1000)
    as_planned = GroupSequential(planned=1000, made=(250, 500, 750))
    assert as_planned.multiplier(1000, 0.05) == pytest.approx(rule.multiplier(1000, 0.05))
    # Nothing was looked at before: a single look.
    fresh = GroupSequential(planned=1000, looks=(1.0,))
    assert fresh.multiplier(1000, 0.05) == pytest.approx(stats.norm.isf(0.025), abs=1e-9)
    # All has been spent.
    late = GroupSequential(planned=1000, made=(250, 500, 750, 1000))
    assert late.multiplier(1100, 0.05) > 30
    assert late.log_p(5.0, 1100, 0.05) == 0.0
    with pytest.raises(InvalidParameterError, match="made must be rising"):
        GroupSequential(planned=1000, made=(500, 250))


@pytest.mark.slow
def test_any_looks_keep_the_level_if_they_are_told() -> None:
    # 40,000 walks: the standard error is 0.0011; 4 of them are allowed.
    rng = np.random.default_rng(2)
    shares = np.array([0.1, 0.3, 0.35, 0.6, 0.62, 0.9, 1.0, 1.2, 1.5])
    steps = rng.normal(size=(40_000, shares.size)) * np.sqrt(np.diff([0.0, *shares]))
    z = steps.cumsum(axis=1) / np.sqrt(shares)
    for spending in ("obrien-fleming", "pocock"):
        crossed = np.zeros(len(z), dtype=bool)
        for k, share in enumerate(shares):
            made = tuple((1000 * shares[:k]).tolist())
            rule = GroupSequential(planned=1000, spending=spending, made=made)
            crossed |= np.abs(z[:, k]) > rule.multiplier(1000 * share, 0.05)
        assert 0.045 < crossed.mean() < 0.0545


def test_the_sample_ratio_may_be_looked_at_often() -> None:
    """A mismatch that chi-square takes for certain at 1e-3 need not be one after many looks."""
    n, m = 1000, 1160
    assert stats.chisquare([n, m]).pvalue < 1e-3
    rng = np.random.default_rng(3)
    data = {"variant": np.repeat(["control", "new"], [n, m]), "y": rng.normal(size=n + m)}
    once = analyze(data, Plan(metrics=[Mean("y")]))
    often = analyze(data, Plan(metrics=[Mean("y")], sequential=AsymptoticCS(planned=5000)))
    assert once.decision == "invalid"
    assert often.decision == "continue"
    assert often.srm == once.srm
    worse = {"variant": np.repeat(["control", "new"], [n, 2 * n]), "y": rng.normal(size=3 * n)}
    assert analyze(worse, often.plan).decision == "invalid"
    stray = {**data, "variant": np.append(data["variant"][:-1], "off")}
    shares = {"control": 0.5, "new": 0.5, "off": 0.0}
    plan = Plan(metrics=[Mean("y")], sequential=AsymptoticCS(planned=5000), shares=shares)
    assert analyze(stray, plan).decision == "invalid"


def test_a_primary_metric_with_a_margin_has_to_be_no_worse() -> None:
    metric = [Mean("y", margin=Margin(absolute=0.5))]
    assert run(400, 0.0, metrics=metric).decision == "ship"
    assert run(400, -0.2, metrics=metric).decision == "ship"
    assert run(400, -0.48, metrics=metric).decision == "inconclusive"
    assert run(400, -0.9, metrics=metric).decision == "rollback"
    assert "no worse than its margin" in run(400, 0.0, metrics=metric).reasons[0]


def test_guardrails_alone_decide_for_a_change_that_is_meant_to_do_nothing() -> None:
    guard = [Mean("y", role="guardrail", margin=Margin(absolute=0.5))]
    assert run(400, 0.0, metrics=guard).decision == "ship"
    assert run(5, 0.0, metrics=guard).decision == "inconclusive"
    assert run(400, -0.9, metrics=guard).decision == "rollback"
    report_only = [Mean("y", role="secondary")]
    assert run(400, 1.0, metrics=report_only).decision == "inconclusive"


def test_one_sided_tests_are_students() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=5), rng.normal(1.6, 2, 5)
    data = {"variant": np.repeat(["control", "new"], 5), "y": np.concatenate([a, b])}
    effect = analyze(data, Plan(metrics=[Mean("y")]))["y"].fixed
    for better, side in (("higher", "greater"), ("lower", "less")):
        theirs = stats.ttest_ind(b, a, equal_var=False, alternative=side).pvalue
        assert one_sided(effect, better=better)[0] == pytest.approx(theirs)  # type: ignore[arg-type]
    sides = [stats.t.sf((4 - s * effect.estimate) / effect.error, effect.freedom) for s in (1, -1)]
    assert equivalence(effect, margin=4.0)[0] == pytest.approx(max(sides))
    plan = Plan(metrics=[Mean("y")], sequential=AsymptoticCS(planned=100))
    with pytest.raises(InvalidDataError, match="must be one of a fixed horizon"):
        one_sided(analyze(data, plan)["y"].absolute)


def test_the_page_says_what_each_number_is() -> None:
    data = draw(200, 0.3) | {"a|b": draw(200, 0.0, seed=5)["y"]}
    plan = Plan(metrics=[Mean("y"), Mean("a|b")], sequential=AsymptoticCS(planned=400))
    page = analyze(data, plan).to_markdown()
    assert "p at a fixed horizon |" in page
    assert "a\\|b" in page
    assert "each at alpha 0.025" in page
    assert "stop nothing early" in page
    table = [line.replace("\\|", "") for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {13}


@pytest.mark.parametrize(
    "settings",
    [
        {"metrics": Mean("y")},
        {"metrics": ["y"]},
        {"metrics": [Mean("y")], "shares": {"control": 1.5, "new": -0.5}},
        {"metrics": [Mean("y")], "stratum_shares": {"s": {"control": 0.5, "new": 0.6}}},
    ],
)
def test_plans_of_another_kind_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match="must be"):
        Plan(**settings)
    with pytest.raises(UnknownNameError, match="'asymptotic-cs'"):
        Plan(metrics=[Mean("y")], sequential="asymptotic")


def test_a_looking_rule_is_taken_by_name_and_takes_over_what_is_planned() -> None:
    plan = Plan(metrics=[Mean("y")], sequential="asymptotic-cs", planned=500.0)
    assert plan.sequential == AsymptoticCS(planned=500.0)
    assert plan.planned_units == 500.0
    named = Plan(metrics=[Mean("y")], sequential="asymptotic-cs:planned=200", planned=500.0)
    assert named.sequential == AsymptoticCS(planned=200.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'asymptotic-cs'"):
        Plan(metrics=[Mean("y")], sequential="asymptotic")
    with pytest.raises(MissingInputError, match="planned of the looking rule 'asymptotic-cs'"):
        Plan(metrics=[Mean("y")], sequential="asymptotic-cs")


def test_counts_are_whole_and_absent_ones_are_zero() -> None:
    data: dict[str, Any] = {
        "variant": ["control", "new"] * 3,
        "orders": [1.0, 2.0, np.nan, 0.0, 3.0, np.nan],
    }
    found = analyze(data, Plan(metrics=[Count("orders")]))["orders"]
    assert found.values == pytest.approx((2 / 3, 4 / 3))
    for bad in (-1.0, 0.5):
        data["orders"][0] = bad
        with pytest.raises(InvalidDataError, match="must be whole and not negative"):
            analyze(data, Plan(metrics=[Count("orders")]))


def test_a_missing_covariate_is_told_apart() -> None:
    data = draw(100, 0.0)
    before = np.where(np.arange(200) < 60, np.nan, 1.0 * np.arange(200))
    report = analyze(data | {"before": before}, Plan(metrics=[Mean("y", covariate="before")]))
    check = next(check for check in report.checks if check.name == "missing")
    assert check.level == "warning"
    assert "30.00% for a missing covariate alone" in check.message


def test_a_ratio_may_have_several_covariates() -> None:
    rng = np.random.default_rng(6)
    n = 2000
    level = rng.gamma(2.0, 1.0, n)
    data = {"variant": np.tile(["control", "new"], n // 2), "age": level + rng.normal(size=n)}
    for name in ("clicks", "clicks_before"):
        data[name] = rng.poisson(level)
    for name in ("views", "views_before"):
        data[name] = rng.poisson(4, n) + 1
    pair = ("clicks_before", "views_before")
    several: list[Any] = [None, pair, [pair], [pair, "age"]]
    widths = [
        analyze(data, Plan(metrics=[Ratio("r", "clicks", "views", covariate)]))["r"].absolute.error
        for covariate in several
    ]
    assert widths[1] == widths[2]
    assert widths[0] > 1.05 * widths[1] > 1.02 * widths[3]
    for bad in ("clicks_before", [("a", "b", "c")], [1]):
        with pytest.raises(InvalidParameterError, match="a list of pairs"):
            Ratio("r", "clicks", "views", covariate=bad)  # type: ignore[arg-type]
