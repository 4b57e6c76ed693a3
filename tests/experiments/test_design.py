"""Design: textbook sizes, inverse laws, and power against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from siamrec.data.moments import Moments
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    Count,
    Design,
    GroupSequential,
    Margin,
    Mean,
    Plan,
    Proportion,
    Quantile,
    Ratio,
    analyze,
)
from siamrec.experiments.metrics import CrossFitted

RNG = np.random.default_rng(0)
NORMAL = {"y": np.concatenate([[9.0, 11.0], np.tile([9.0, 11.0], 5000)])}  # mean 10, deviation 1


def design(**settings_: Any) -> Design:
    options: dict[str, Any] = {
        "metric": Mean("y"),
        "baseline": NORMAL,
        "mde": Margin(relative=0.01),
        **settings_,
    }
    return Design(**options)


def test_textbook_size() -> None:
    # 2 (z.975 + z.8)² / d² per variant with d = 0.1, and a little for Student's t.
    normal = 2 * 2 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 / 0.1**2
    assert design().sample_size() == pytest.approx(normal, rel=0.002)
    assert design(share=0.1).sample_size() == pytest.approx(normal / 0.36, rel=0.002)


def test_small_samples_use_the_noncentral_t() -> None:
    d = design(mde=Margin(absolute=1.0))
    n = 40
    drift, reach = 1.0 / d.deviation * np.sqrt(n / 4), stats.t.ppf(0.975, n - 2)
    expected = stats.nct.sf(reach, n - 2, drift) + stats.nct.cdf(-reach, n - 2, drift)
    assert d.power(n) == pytest.approx(expected, rel=1e-6)


def test_size_power_and_difference_are_inverse() -> None:
    cases: tuple[dict[str, Any], ...] = (
        {},
        {"power": 0.95, "alpha": 0.01},
        {"n_comparisons": 4},
        {"sequential": GroupSequential(planned=1.0)},
        {"sequential": AsymptoticCS(planned=5000)},
    )
    for settings_ in cases:
        d = design(**settings_)
        n = d.sample_size()
        target = 0.95 if "power" in settings_ else 0.8
        assert d.power(n) >= target - 1e-6
        assert d.power(n - 2) < target + 1e-6
        assert d.mde(n) == pytest.approx(0.1, rel=1e-3)


def test_group_sequential_inflation_as_published() -> None:
    # Jennison and Turnbull (2000), table 2.4 and 7.6: about 1.03 for O'Brien-Fleming, five looks.
    rule = GroupSequential(planned=1.0, looks=(0.2, 0.4, 0.6, 0.8, 1.0))
    ratio = design(sequential=rule, power=0.9).sample_size() / design(power=0.9).sample_size()
    assert ratio == pytest.approx(1.026, abs=0.01)


def test_covariates_save_units() -> None:
    before = RNG.normal(10, 1, 4000)
    data = {"y": 0.8 * before + RNG.normal(0, 0.6, 4000), "x": before}
    r2 = np.corrcoef(data["y"], before)[0, 1] ** 2
    metric = Mean("y", covariate="x")
    assert design(metric=metric, baseline=data).variance_reduction == pytest.approx(r2)
    assert design().variance_reduction == 0.0
    plain = design(baseline=data, mde=Margin(absolute=0.05)).sample_size()
    adjusted = design(
        metric=Mean("y", covariate="x"), baseline=data, mde=Margin(absolute=0.05)
    ).sample_size()
    assert adjusted / plain == pytest.approx(1 - r2, rel=0.01)


def test_ratios_and_repeated_units() -> None:
    views = RNG.poisson(5, 3000) + 1
    clicks = RNG.binomial(views, RNG.beta(2, 8, 3000))
    d = design(
        metric=Ratio("ctr", "clicks", "views"),
        baseline={"clicks": clicks, "views": views},
        mde=Margin(relative=0.05),
    )
    residual = (clicks - clicks.sum() / views.sum() * views) / views.mean()
    assert d.deviation == pytest.approx(residual.std(ddof=1))
    rows = {"y": RNG.normal(10, 1, 3000), "user": np.repeat(np.arange(300), 10)}
    assert design(baseline=rows, unit="user").deviation == pytest.approx(
        rows["y"].reshape(300, 10).mean(axis=1).std(ddof=1), rel=1e-6
    )


def test_moments_serve_as_history() -> None:
    moments = Moments.of({"y": NORMAL["y"]})
    assert design(baseline=moments).sample_size() == design().sample_size()
    wins = {"y": (np.arange(1000) < 100).astype(float)}
    assert design(metric=Proportion("y"), baseline=wins).deviation == pytest.approx(0.3, rel=1e-2)
    quantile = design(metric=Quantile("y", 0.9), baseline={"y": RNG.normal(size=5000)},
                      mde=Margin(absolute=0.1))  # fmt: skip
    # sqrt(q (1 - q)) / density at the quantile
    expected = 0.3 / stats.norm.pdf(stats.norm.ppf(0.9))
    assert quantile.deviation == pytest.approx(expected, rel=0.25)


def test_missing_history_is_left_out() -> None:
    holes = {"y": np.where(np.arange(10_002) % 2, NORMAL["y"], np.nan) + np.arange(10_002) % 4}
    kept = {"y": holes["y"][~np.isnan(holes["y"])]}
    assert design(baseline=holes).deviation == pytest.approx(design(baseline=kept).deviation)
    assert design(baseline=holes).sample_size() == design(baseline=kept).sample_size()


def test_durations_are_whole_weeks() -> None:
    d = design()
    days = int(np.ceil(d.sample_size() / 1000))
    assert d.duration(1000, whole_weeks=False) == days
    assert d.duration(1000) % 7 == 0
    assert d.duration(1000) >= days


def rate(wins: int, n: int = 100_000) -> dict[str, np.ndarray]:
    return {"won": (np.arange(n) < wins).astype(float)}


def proportion(relative: float, *, better: str = "higher", **settings_: Any) -> Design:
    options: dict[str, Any] = {"mde": Margin(relative=relative), **settings_}
    return Design(metric=Proportion("won", better=better), baseline=rate(1000), **options)  # type: ignore[arg-type]


def fleiss(p0: float, p1: float, share: float = 0.5) -> float:
    """Fleiss, Levin, Paik (2003), formula 4.19: pooled under no difference, own rates beside."""
    mean = share * p1 + (1 - share) * p0
    null = mean * (1 - mean) * (1 / share + 1 / (1 - share))
    own = p1 * (1 - p1) / share + p0 * (1 - p0) / (1 - share)
    z, beta = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
    return float((z * np.sqrt(null) + beta * np.sqrt(own)) ** 2 / (p1 - p0) ** 2)


def test_proportions_have_the_spread_of_their_own_rate() -> None:
    assert proportion(1.0).sample_size() == pytest.approx(fleiss(0.01, 0.02), rel=1e-3)
    assert proportion(0.5).sample_size() == pytest.approx(fleiss(0.01, 0.015), rel=1e-3)
    fewer = proportion(0.5, better="lower")
    assert fewer.sample_size() == pytest.approx(fleiss(0.01, 0.005), rel=1e-3)
    assert fewer.mde(fewer.sample_size()) == pytest.approx(0.005, rel=1e-3)
    skewed = proportion(1.0, share=0.2)
    assert skewed.sample_size() == pytest.approx(fleiss(0.01, 0.02, 0.2), rel=1e-3)
    looking = proportion(1.0, sequential=GroupSequential(planned=1.0))
    assert looking.sample_size() > proportion(1.0).sample_size()


def test_a_proportion_cannot_leave_its_range() -> None:
    half = {"won": np.tile([0.0, 1.0], 500)}
    with pytest.raises(InvalidParameterError, match=r"less than leads from 0.5 out of \(0, 1\)"):
        Design(metric=Proportion("won"), baseline=half, mde=Margin(absolute=0.7))
    with pytest.raises(InvalidParameterError, match="less than leads from 0.01 out of"):
        proportion(1.0, better="lower")
    with pytest.raises(InvalidParameterError, match=r"n must be enough .* got 50"):
        proportion(0.5, better="lower").mde(50)


@pytest.mark.slow
@pytest.mark.parametrize(("relative", "share"), [(1.0, 0.5), (0.5, 0.5), (0.2, 0.5), (1.0, 0.2)])
def test_power_of_proportions_against_simulation(relative: float, share: float) -> None:
    # 40,000 experiments: 5 sigma of 0.8 is 0.01; 0.01 more for the steps of counts.
    n = proportion(relative, share=share).sample_size()
    rng = np.random.default_rng(2)
    sizes = np.array([round(n * share), n - round(n * share)])
    wins = rng.binomial(sizes, [0.01 * (1 + relative), 0.01], (40_000, 2))
    pooled = wins.sum(axis=1) / n
    error = np.sqrt(pooled * (1 - pooled) * (1 / sizes).sum())
    z = (wins / sizes) @ [1, -1] / error
    assert (np.abs(z) > stats.norm.ppf(0.975)).mean() == pytest.approx(0.8, abs=0.02)


def test_other_hypotheses_as_in_the_textbook() -> None:
    # (z.95 + z.8)² against one side, (z.95 + z.9)² against two at no difference; deviation 1.
    # Non-inferiority is judged by the interval at alpha: (z.975 + z.8)².
    z = stats.norm.ppf
    one = design(mde=Margin(absolute=0.1), hypothesis="one-sided")
    assert one.sample_size() == pytest.approx(400 * (z(0.95) + z(0.8)) ** 2, rel=0.003)
    same = design(mde=None, hypothesis="non-inferiority", margin=Margin(absolute=0.1))
    assert same.sample_size() == pytest.approx(400 * (z(0.975) + z(0.8)) ** 2, rel=0.003)
    better = design(
        mde=Margin(absolute=0.1), hypothesis="non-inferiority", margin=Margin(absolute=0.1)
    )
    assert better.sample_size() == pytest.approx(same.sample_size() / 4, rel=0.01)
    equal = design(mde=None, hypothesis="equivalence", margin=Margin(absolute=0.1))
    assert equal.sample_size() == pytest.approx(400 * (z(0.95) + z(0.9)) ** 2, rel=0.003)
    for each, least in ((one, 0.1), (same, 0.1), (better, 0.1), (equal, 0.1)):
        assert each.mde(each.sample_size()) == pytest.approx(least, rel=1e-3)
    guardrail = Mean("y", margin=Margin(relative=0.01))
    own = design(metric=guardrail, mde=None, hypothesis="non-inferiority")
    assert own.sample_size() == same.sample_size()


def test_other_hypotheses_with_looking_rules_are_on_the_safe_side() -> None:
    margin = Margin(absolute=0.1)
    for kind in ("non-inferiority", "equivalence"):
        plain = design(mde=None, hypothesis=kind, margin=margin)
        for rule in (GroupSequential(planned=1.0), AsymptoticCS(planned=5000)):
            looking = design(mde=None, hypothesis=kind, margin=margin, sequential=rule)
            n = looking.sample_size()
            assert n > plain.sample_size()
            assert looking.power(n) >= 0.8 - 1e-6


def test_counts_have_the_spread_of_their_own_mean() -> None:
    # Mean .5, variance 1: half a Poisson's, half grows with the square. At .6: .6 + .5 · 1.44.
    def counted(**settings_: Any) -> Design:
        data = Moments(
            names=("y",), n=10**6, mean=np.array([0.5]), product=np.eye(1) * (10**6 - 1)
        )
        return Design(metric=Count("y", **settings_), baseline=data, mde=Margin(absolute=0.1))

    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    more = 2 * z**2 * (1.0 + 0.6 + 0.5 * 1.44) / 0.01
    fewer = 2 * z**2 * (1.0 + 0.4 + 0.5 * 0.64) / 0.01
    assert counted().sample_size() == pytest.approx(more, rel=2e-3)
    assert counted(better="lower").sample_size() == pytest.approx(fewer, rel=2e-3)
    with pytest.raises(InvalidParameterError, match="out of the numbers above 0"):
        Design(metric=Count("y", better="lower"), baseline={"y": [1, 0, 2, 1]},
               mde=Margin(absolute=1.0))  # fmt: skip


@pytest.mark.parametrize("n", [40, 4000])
def test_what_a_plan_calls_safe_is_what_a_design_counts_on(n: int) -> None:
    # The lead at which the interval at alpha just stays within the margin has a power of one half.
    margin = Margin(absolute=1.0)
    rng = np.random.default_rng(4)
    rows = rng.normal(size=n // 2)
    rows = (rows - rows.mean()) / rows.std(ddof=1)
    half = float(stats.t.ppf(0.975, n - 2) * np.sqrt(4 / n))
    for gap, safe in ((half * 1.001, True), (half * 0.999, False)):
        arm = np.repeat(["control", "new"], n // 2)
        y = np.concatenate([rows, rows + gap - 1.0])
        plan = Plan(metrics=[Mean("y", margin=margin)])
        assert analyze({"variant": arm, "y": y}, plan)["y"].safe is safe
    d = Design(metric=Mean("y"), baseline={"y": rows}, hypothesis="non-inferiority",
               margin=Margin(absolute=half))  # fmt: skip
    assert d.power(n) == pytest.approx(0.5, abs=0.01)


def test_hypotheses_need_their_numbers() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'one-sided'"):
        design(hypothesis="onesided")
    with pytest.raises(MissingInputError, match="mde is needed"):
        design(mde=None)
    with pytest.raises(MissingInputError, match="margin is needed"):
        design(hypothesis="equivalence")
    with pytest.raises(InvalidParameterError, match="left out of a two-sided hypothesis"):
        design(margin=Margin(absolute=1.0))
    with pytest.raises(InvalidParameterError, match="within the margin"):
        design(hypothesis="equivalence", margin=Margin(absolute=0.01))


@pytest.mark.slow
def test_power_against_simulation() -> None:
    # 4000 experiments: 5 sigma of 0.8 is 0.032.
    d = design(mde=Margin(absolute=0.3))
    n = d.sample_size() // 2
    rng = np.random.default_rng(1)
    a, b = rng.normal(10, 1, (4000, n)), rng.normal(10.3, 1, (4000, n))
    found = (stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.032)


def test_bad_designs_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="must vary"):
        design(baseline={"y": np.ones(10)})
    with pytest.raises(InvalidDataError, match="must vary beyond what its covariates say"):
        design(metric=Mean("y", covariate="y2"), baseline={**NORMAL, "y2": NORMAL["y"]})
    with pytest.raises(InvalidDataError, match="2 units or more with the metric, got 0"):
        design(baseline={"y": np.full(10, np.nan)})
    with pytest.raises(InvalidParameterError, match=r"mde must be a Margin, .*, got 0.1"):
        design(mde=0.1)
    with pytest.raises(InvalidParameterError, match=r"power must be above alpha, 0.05, got 0.03"):
        design(power=0.03)
    with pytest.raises(MissingInputError, match="unit"):
        design(metric=Mean("y", covariate=CrossFitted(("x",))),
               baseline={"y": RNG.normal(size=9), "x": RNG.normal(size=9)})  # fmt: skip
    with pytest.raises(InvalidParameterError, match="power"):
        design(power=1.0)
    with pytest.raises(InvalidParameterError, match="mde"):
        design(baseline={"y": np.array([-1.0, 1.0])})
    with pytest.raises(InvalidParameterError, match="n must be above 4"):
        design().power(3)
    with pytest.raises(InvalidParameterError, match="daily_units"):
        design().duration(0)


def test_history_may_be_any_frame() -> None:
    pl, pd = pytest.importorskip("polars"), pytest.importorskip("pandas")
    column = np.random.default_rng(3).normal(3.5, 1.0, 500)
    sizes = {
        Design(
            metric=Mean("rating"), baseline=make({"rating": column}), mde=Margin(relative=0.05)
        ).sample_size()
        for make in (dict, pl.DataFrame, pd.DataFrame)
    }
    assert len(sizes) == 1
