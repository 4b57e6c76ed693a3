"""Design: textbook sizes, inverse laws, and power against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import (
    AsymptoticCS,
    Design,
    GroupSequential,
    Margin,
    Mean,
    Proportion,
    Quantile,
    Ratio,
)

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


def test_durations_are_whole_weeks() -> None:
    d = design()
    days = int(np.ceil(d.sample_size() / 1000))
    assert d.duration(1000, whole_weeks=False) == days
    assert d.duration(1000) % 7 == 0
    assert d.duration(1000) >= days


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
