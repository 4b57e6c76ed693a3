"""Analysis: known answers, edge cases with a stated result, decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from siamrec.data.moments import Moments
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    ExperimentReport,
    Margin,
    Mean,
    NormalMixture,
    Plan,
    Proportion,
    Ratio,
    analyze,
    sample_ratio,
)

ARMS = ("control", "new")


def frame(control: Any, new: Any, **columns: tuple[Any, Any]) -> dict[str, Any]:
    values = {"y": (control, new), **columns}
    return {
        "variant": np.repeat(ARMS, [len(control), len(new)]),
        **{name: np.concatenate(pair).astype(float) for name, pair in values.items()},
    }


def run(control: Any, new: Any, **settings_: Any) -> ExperimentReport:
    return analyze(frame(control, new), Plan(metrics=[Mean("y")], **settings_))


def test_welch_equals_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(3, 1, 80), rng.normal(3.4, 2.5, 40)
    found = run(a, b)["y"].absolute
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-10)
    assert found.log_p == pytest.approx(np.log(theirs.pvalue), rel=1e-10)


def test_fieller_equals_the_inverted_test() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(3, 1, 80), rng.normal(3.4, 2.5, 40)
    comparison = run(a, b)["y"]
    low, high = comparison.relative.interval
    freedom = (comparison.absolute.estimate - comparison.absolute.interval[0]) / (
        comparison.absolute.error
    )
    for ratio in (1 + low, 1 + high):
        gap = b.mean() - ratio * a.mean()
        error = np.sqrt(b.var(ddof=1) / b.size + ratio**2 * a.var(ddof=1) / a.size)
        assert abs(gap) / error == pytest.approx(freedom, rel=1e-9)


def test_a_negative_baseline_is_not_reversed() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(-1.0, 1, 4000), rng.normal(-1.6, 1, 4000)
    relative = run(a, b)["y"].relative
    assert relative.estimate == pytest.approx(-0.6, abs=0.15)
    assert relative.interval[0] < relative.estimate < relative.interval[1] < 0


def test_a_baseline_around_zero_is_unbounded() -> None:
    rng = np.random.default_rng(4)
    report = run(rng.normal(0, 1, 100), rng.normal(1, 1, 100))
    assert report["y"].relative.interval == (-np.inf, np.inf)
    assert any(check.name == "baseline" for check in report.checks)


def test_newcombe_and_pooled_z() -> None:
    # Newcombe (1998), table II, case (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    data = frame([1] * 48 + [0] * 32, [1] * 56 + [0] * 14)
    found = analyze(data, Plan(metrics=[Proportion("y")]))["y"].absolute
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    table = np.array([[56, 14], [48, 32]])
    chi2 = stats.chi2_contingency(table, correction=False)
    assert found.p == pytest.approx(chi2.pvalue, rel=1e-9)


def test_ratio_by_hand() -> None:
    # R = 6/12; linearised outcomes (x - R y) / mean(y) have mean 0.
    x, y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])
    data = frame(x, 2 * x, views=(y, y))
    plan = Plan(metrics=[Ratio("r", "y", "views")])
    comparison = analyze(data, plan)["r"]
    assert comparison.values == (1.0, 0.5)
    line = (x - 0.5 * y) / y.mean()
    assert comparison.absolute.error == pytest.approx(
        np.sqrt(line.var(ddof=1) / 3 + (2 * x - y).var(ddof=1) / y.mean() ** 2 / 3)
    )


def test_repeated_units_are_clustered() -> None:
    """Rows of one unit are not independent: copies must not shrink the interval."""
    rng = np.random.default_rng(5)
    base = {"variant": np.repeat(ARMS, 50), "unit": np.arange(100), "y": rng.normal(size=100)}
    copies = {name: np.repeat(column, 20) for name, column in base.items()}
    plan = Plan(metrics=[Mean("y")])
    once, often = analyze(base, plan, unit="unit"), analyze(copies, plan, unit="unit")
    assert often["y"].absolute.interval == pytest.approx(once["y"].absolute.interval)
    assert often["y"].n == (50, 50)
    assert often.srm.observed == {"control": 50, "new": 50}
    assert any(check.message.startswith("2000 rows of 100 units") for check in often.checks)


def test_units_in_two_variants_are_left_out_and_reported() -> None:
    rng = np.random.default_rng(6)
    data = {"variant": np.repeat(ARMS, 100), "y": rng.normal(size=200),
            "unit": np.concatenate([np.arange(100), np.arange(95, 195)])}  # fmt: skip
    report = analyze(data, Plan(metrics=[Mean("y")]), unit="unit")
    assert report.srm.observed == {"control": 95, "new": 95}
    assert report.decision == "invalid"
    assert "5 units (2.56%) met several variants" in report.reasons[0]


def test_lin_equals_the_interacted_regression() -> None:
    rng = np.random.default_rng(7)
    n = 400
    x = rng.normal(size=(n, 2))
    new = rng.random(n) < 0.4
    y = 1 + x @ [0.5, -0.3] + new * (0.2 + x @ [0.4, 0.1]) + rng.normal(size=n)
    data = {"variant": np.where(new, "new", "control"), "y": y, "a": x[:, 0], "b": x[:, 1]}
    comparison = analyze(data, Plan(metrics=[Mean("y", covariate=("a", "b"))]))["y"]
    centred = x - x.mean(axis=0)
    design = np.column_stack([np.ones(n), new, centred, centred * new[:, None]])
    slopes = np.linalg.lstsq(design, y, rcond=None)[0]
    assert comparison.absolute.estimate == pytest.approx(slopes[1], rel=1e-10)
    assert 0 < comparison.variance_reduction < 1
    assert comparison.values[0] - comparison.values[1] == pytest.approx(slopes[1], rel=1e-10)


def test_pooled_adjustment_equals_the_published_formula() -> None:
    rng = np.random.default_rng(8)
    x, new = rng.normal(size=600), np.arange(600) % 2 == 1
    y = 2 * x + 0.3 * new + rng.normal(size=600)
    data = {"variant": np.where(new, "new", "control"), "y": y, "x": x}
    plan = Plan(metrics=[Mean("y", covariate="x")], adjustment="pooled")
    comparison = analyze(data, plan)["y"]
    theta = sum(np.cov(x[g], y[g])[0, 1] for g in (new, ~new)) / sum(
        x[g].var(ddof=1) for g in (new, ~new)
    )
    adjusted = y - theta * x
    theirs = stats.ttest_ind(adjusted[new], adjusted[~new], equal_var=False)
    assert comparison.absolute.estimate == pytest.approx(
        adjusted[new].mean() - adjusted[~new].mean(), rel=1e-10
    )
    assert comparison.absolute.p == pytest.approx(theirs.pvalue, rel=0.05)


def test_ratio_covariates_reduce_variance_and_keep_the_effect() -> None:
    rng = np.random.default_rng(9)
    n = 6000
    taste = rng.beta(2, 8, n)
    views, before = rng.poisson(20, n) + 1, rng.poisson(20, n) + 1
    new = np.arange(n) % 2 == 1
    data = {
        "variant": np.where(new, "new", "control"),
        "views": views,
        "clicks": rng.binomial(views, np.clip(taste + 0.01 * new, 0, 1)),
        "views_before": before,
        "clicks_before": rng.binomial(before, taste),
    }
    plain = analyze(data, Plan(metrics=[Ratio("ctr", "clicks", "views")]))["ctr"]
    adjusted = analyze(
        data,
        Plan(metrics=[Ratio("ctr", "clicks", "views", ("clicks_before", "views_before"))]),
    )["ctr"]
    assert adjusted.variance_reduction > 0.3
    assert adjusted.absolute.error < 0.85 * plain.absolute.error
    low, high = adjusted.absolute.interval
    assert low < 0.01 < high


rows = st.lists(st.integers(-(10**6), 10**6).map(lambda x: x / 1e4), min_size=2, max_size=12)


@given(control=rows, new=rows)
@settings(max_examples=60, deadline=None)
def test_swapping_variants_swaps_the_sign(control: list[float], new: list[float]) -> None:
    there = run(control, new)["y"].absolute
    back = run(new, control)["y"].absolute
    assert there.estimate == pytest.approx(-back.estimate, abs=1e-9)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-6)
    assert there.log_p == pytest.approx(back.log_p, rel=1e-6, abs=1e-9)


def test_every_way_in_gives_the_same() -> None:
    pandas, polars, duckdb = (pytest.importorskip(name) for name in ("pandas", "polars", "duckdb"))
    rng = np.random.default_rng(10)
    data = frame(rng.normal(size=300), rng.normal(0.2, 1, 280))
    plan = Plan(metrics=[Mean("y")])
    expected = analyze(data, plan)["y"].absolute
    rows = pandas.DataFrame(data)
    ways: list[object] = [rows, polars.DataFrame(data), duckdb.sql("select * from rows")]
    ways.append([rows[:100], rows[100:101], rows[101:]])
    ways.append({arm: Moments.of({"y": data["y"][data["variant"] == arm]}) for arm in ARMS})
    for way in ways:
        assert analyze(way, plan)["y"].absolute.interval == pytest.approx(expected.interval)


def test_nulls_are_left_out_of_n() -> None:
    rng = np.random.default_rng(11)
    a, b = rng.normal(size=50), rng.normal(size=50)
    holed = np.concatenate([b, [np.nan] * 7])
    report = run(a, holed)
    assert report["y"].n == (50, 50)
    assert report["y"].absolute.p == pytest.approx(run(a, b)["y"].absolute.p)
    assert any("6.54% of rows left out" in check.message for check in report.checks)
    zero = analyze(frame(a, holed), Plan(metrics=[Mean("y", missing="zero")]))["y"]
    assert zero.n == (57, 50)
    with pytest.raises(InvalidDataError, match="must not be missing, got 7 rows"):
        analyze(frame(a, holed), Plan(metrics=[Mean("y", missing="error")]))


def test_capping_is_reported() -> None:
    report = analyze(frame([1.0, 2.0, 900.0], [1.0, 2.0, 3.0]), Plan(metrics=[Mean("y", cap=5.0)]))
    assert report["y"].values[1] == pytest.approx(8 / 3)
    assert any("16.67% of rows capped at 5" in check.message for check in report.checks)


def test_constant_data_have_a_stated_result() -> None:
    same = run([0.1] * 5, [0.1] * 7)
    assert same["y"].absolute.interval == (-np.inf, np.inf)
    assert same["y"].absolute.p == 1.0
    assert any("no variation in 'new'" in check.message for check in same.checks)
    # Apart without any spread: the error is that of one sample of all, 1 / sqrt(n - 1).
    apart = run([2.0] * 5, [3.0] * 5)
    found = apart["y"].absolute
    assert found.error == pytest.approx(1 / 3)
    assert found.p == pytest.approx(2 * stats.t.sf(3.0, 8))
    assert found.interval == pytest.approx(
        (1 - stats.t.isf(0.025, 8) / 3, 1 + stats.t.isf(0.025, 8) / 3)
    )
    assert any(check.name == "constant" for check in apart.checks)


def test_one_unit_says_nothing() -> None:
    report = run([1.0], [2.0, 3.0, 2.5])
    assert report["y"].absolute.interval == (-np.inf, np.inf)
    assert report["y"].absolute.p == 1.0
    assert report.decision != "ship"


def test_no_conversions_have_a_stated_result() -> None:
    report = analyze(frame([0] * 50, [0] * 50), Plan(metrics=[Proportion("y")]))
    found = report["y"]
    assert found.absolute.p == 1.0
    assert found.absolute.interval[0] < 0 < found.absolute.interval[1]
    assert found.relative.estimate == 0.0


def test_a_tiny_p_is_not_zero() -> None:
    rng = np.random.default_rng(12)
    found = run(rng.normal(0, 1, 5000), rng.normal(5, 1, 5000))["y"].absolute
    assert found.p > 0
    assert found.log_p < -5000
    # The tail beyond t, as the density at t times an integral that does not underflow.
    law, t = stats.t(9998), abs(found.estimate / found.error)
    rest = integrate.quad(lambda x: np.exp(law.logpdf(x) - law.logpdf(t)), t, t + 1)[0]
    assert found.log_p == pytest.approx(law.logpdf(t) + np.log(2 * rest), rel=1e-3)


def test_bad_data_are_refused() -> None:
    plan = Plan(metrics=[Mean("y")])
    with pytest.raises(InvalidDataError, match="y must be finite, got inf in row 1"):
        run([1.0, np.inf], [1.0, 2.0])
    with pytest.raises(UnknownNameError, match="Did you mean 'control'"):
        analyze(frame([1.0], [2.0]), plan, control="contro")
    with pytest.raises(UnknownNameError, match="column for a metric"):
        analyze({"variant": ["control", "new"], "z": [1.0, 2.0]}, plan)
    moments = {arm: Moments.of({"z": np.arange(3.0)}) for arm in ARMS}
    with pytest.raises(UnknownNameError, match="column for a metric"):
        analyze(moments, plan)
    with pytest.raises(InvalidDataError, match="a variant beside the control"):
        analyze({"variant": ["control"], "y": [1.0]}, plan)
    with pytest.raises(InvalidDataError, match="at least one row"):
        analyze({"variant": np.array([], dtype=str), "y": np.array([])}, plan)
    with pytest.raises(InvalidDataError, match="must be 0 or 1"):
        analyze(frame([1.0, 0.5], [1.0, 0.0]), Plan(metrics=[Proportion("y")]))
    with pytest.raises(InvalidDataError, match="must not sum to 0"):
        analyze(frame([1.0], [2.0], v=([0.0], [1.0])), Plan(metrics=[Ratio("r", "y", "v")]))
    chunk = {"variant": ["control", "control"], "unit": ["a", "a"], "y": [1.0, 2.0]}
    with pytest.raises(InvalidDataError, match="Units must not repeat"):
        analyze([chunk], plan, unit="unit")


def test_sample_ratio_by_hand() -> None:
    srm = sample_ratio({"a": 5000, "b": 5200})
    assert srm.p == pytest.approx(stats.chi2.sf(200**2 / 10200, 1))
    assert sample_ratio({"a": 10, "b": 30}, {"a": 0.25, "b": 0.75}).p == 1.0
    # A variant without a share does not add a degree of freedom.
    three = {"a": 0.5, "b": 0.5, "off": 0.0}
    assert sample_ratio({"a": 5000, "b": 5200, "off": 0}, three).p == pytest.approx(srm.p)
    assert sample_ratio({"a": 5, "b": 5, "off": 1}, three).p < 1e-300
    assert sample_ratio({"a": 10**9, "b": 2 * 10**9}).log_p < -1e6


def test_a_wrong_sample_ratio_makes_it_invalid() -> None:
    rng = np.random.default_rng(13)
    report = run(rng.normal(size=1000), rng.normal(3, 1, 1300))
    assert report.decision == "invalid"
    assert run(rng.normal(size=1000), rng.normal(3, 1, 1300),
               shares={"control": 10 / 23, "new": 13 / 23}).decision == "ship"  # fmt: skip


def test_decisions() -> None:
    rng = np.random.default_rng(14)
    a = rng.normal(10, 1, 400)
    up, same, down = (rng.normal(10 + gap, 1, 400) for gap in (1, 0, -1))
    assert run(a, up).decision == "ship"
    assert run(a, down).decision == "rollback"
    assert run(a, same).decision == "inconclusive"
    assert run(a, up, planned=5000).decision == "continue"
    early = run(a, same, sequential=AsymptoticCS(planned=5000), daily_units=100.0)
    assert early.decision == "continue"
    assert early.days_left == 42.0
    assert run(a, same, sequential=AsymptoticCS(planned=500)).decision == "inconclusive"
    assert run(a, up, sequential=NormalMixture(effect=0.2)).decision == "ship"
    assert run(a, same, sequential=NormalMixture(effect=0.2)).decision == "continue"


def guarded(latency: float, margin: Margin | None) -> ExperimentReport:
    rng = np.random.default_rng(15)
    data = frame(rng.normal(0, 1, 2000), rng.normal(0.5, 1, 2000),
                 ms=(rng.normal(100, 10, 2000), rng.normal(latency, 10, 2000)))  # fmt: skip
    guard = Mean("ms", role="guardrail", better="lower", margin=margin)
    return analyze(data, Plan(metrics=[Mean("y"), guard]))


def test_guardrails_hold_a_winner_back() -> None:
    two_percent = Margin(relative=0.02)
    assert guarded(100, two_percent).decision == "ship"
    assert guarded(102, two_percent).decision == "inconclusive"  # cannot be told from 2 %
    assert guarded(104, two_percent).decision == "rollback"
    assert guarded(100, Margin(absolute=2.0)).decision == "ship"
    assert guarded(100, None).decision == "ship"
    assert guarded(103, None).decision == "rollback"
    assert guarded(98, Margin(relative=0.001)).decision == "ship"


def test_several_treatments() -> None:
    rng = np.random.default_rng(16)
    data = {
        "variant": np.repeat(["control", "a", "b"], 800),
        "y": np.concatenate([rng.normal(gap, 1, 800) for gap in (0, 0.3, 0.6)]),
    }
    report = analyze(data, Plan(metrics=[Mean("y")]))
    assert (report.decision, report.winner) == ("ship", "b")
    assert report["y", "a"].adjusted_p >= report["y", "a"].absolute.p
    assert "expect less" in report.reasons[-1]
    with pytest.raises(UnknownNameError, match="treatment"):
        report["y", "c"]
    with pytest.raises(UnknownNameError, match="metric"):
        report["z"]


def test_sequences_widen_and_agree_with_their_p_values() -> None:
    rule = AsymptoticCS(planned=1000)
    fixed = stats.norm.ppf(0.975)
    widths = [rule.multiplier(n, 0.05) for n in (10, 100, 1000, 10_000, 100_000)]
    assert all(width > fixed for width in widths)
    for n in (50.0, 1000.0, 1e6):
        z = rule.multiplier(n, 0.05)
        assert rule.log_e(z, n, 0.05) == pytest.approx(-np.log(0.05), rel=1e-9)
        mixture = NormalMixture(effect=0.1)
        reach = mixture.multiplier(n, 0.05)
        assert mixture.log_e(reach, n) == pytest.approx(-np.log(0.05), rel=1e-9)
    # Tightest, relative to 1 / sqrt(n), about where it was planned to be.
    grid = np.geomspace(50, 50_000, 400)
    per_root = [rule.multiplier(n, 0.05) for n in grid]
    assert grid[int(np.argmin(per_root))] == pytest.approx(1000, rel=0.1)


def test_fixed_results_stay_visible_beside_sequential_ones() -> None:
    rng = np.random.default_rng(17)
    report = run(rng.normal(size=100), rng.normal(size=100), sequential=AsymptoticCS(planned=500))
    found = report["y"]
    assert found.fixed.rule.startswith("fixed horizon")
    assert found.absolute.rule == "asymptotic confidence sequence"
    assert found.fixed.interval[1] - found.fixed.interval[0] < (
        found.absolute.interval[1] - found.absolute.interval[0]
    )


def test_the_page_tells_all() -> None:
    page = guarded(104, Margin(relative=0.02)).to_markdown()
    for piece in (
        "rollback, 2 comparisons of 4,000 units",
        "worse than its margin allows",
        "| ms | guardrail |",
        "fixed horizon",
    ):
        assert piece in page


def test_the_picture_shows_every_metric() -> None:
    pytest.importorskip("plotly")
    figure = guarded(104, Margin(relative=0.02)).plot()
    assert list(figure.data[0].y) == ["y (new)", "ms (new)"]
    rng = np.random.default_rng(18)
    unbounded = run(rng.normal(0, 1, 50), rng.normal(0, 1, 50)).plot()
    assert np.isfinite(unbounded.data[0].error_x.array).all()


@pytest.mark.parametrize(
    ("settings_", "error", "message"),
    [
        ({"metrics": []}, InvalidParameterError, "metrics must be one or more"),
        ({"metrics": [Mean("y"), Mean("y")]}, InvalidParameterError, "different names"),
        ({"alpha": 0.0}, InvalidParameterError, r"alpha must be in \(0, 1\)"),
        ({"correction": "holms"}, UnknownNameError, "Did you mean 'holm'"),
        ({"shares": {"a": 0.4}}, InvalidParameterError, "sum to 1"),
        ({"planned": -1.0}, InvalidParameterError, "planned must be"),
    ],
)
def test_bad_plans_are_refused(settings_: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Plan(**{"metrics": [Mean("y")], **settings_})


def test_bad_metrics_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'guardrail'"):
        Mean("y", role="guard")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="one of absolute= and relative="):
        Margin()
    with pytest.raises(InvalidParameterError, match="margin must be a finite number above 0"):
        Margin(relative=0.0)
    with pytest.raises(InvalidParameterError, match="pair"):
        Ratio("r", "a", "b", covariate="x")
