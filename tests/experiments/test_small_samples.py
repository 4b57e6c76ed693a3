"""Errors in small samples: Lin's estimator against regressions, and clusters against CR1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.experiments import Mean, Plan, analyze

COVARIATES = ("a", "b", "c")
PLAN = Plan(metrics=[Mean("y", covariate=COVARIATES)])


def sample(seed: int, n: int) -> dict[str, Any]:
    """Outcomes with other slopes and another spread under the treatment; skewed covariates."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(n, 3)) - 1
    new = rng.permutation(n) < n * 0.4
    noise = rng.normal(size=n) * np.where(new, 1.5, 1.0)
    y = x @ np.array([1.0, -0.5, 0.2]) + new * (0.5 + 0.7 * x[:, 0]) + noise
    return {
        "variant": np.where(new, "new", "control"),
        "y": y,
        **dict(zip(COVARIATES, x.T, strict=True)),
    }


def test_lin_equals_two_regressions() -> None:
    api = pytest.importorskip("statsmodels.api")
    data = sample(1, 40)
    x = np.stack([data[name] for name in COVARIATES], axis=1)
    centre, fits = x.mean(axis=0), {}
    for name in ("control", "new"):
        arm = data["variant"] == name
        fits[name] = api.OLS(data["y"][arm], api.add_constant(x[arm] - centre)).fit()
    gap = fits["new"].params[1:] - fits["control"].params[1:]
    moving = gap @ np.cov(x.T) @ gap / 40
    found = analyze(data, PLAN)["y"]
    assert found.values == pytest.approx(
        (fits["new"].params[0], fits["control"].params[0]), rel=1e-9
    )
    error = np.sqrt(fits["new"].bse[0] ** 2 + fits["control"].bse[0] ** 2 + moving)
    assert found.absolute.error == pytest.approx(error, rel=1e-9)


def test_lin_is_close_to_hc2_in_larger_samples() -> None:
    api = pytest.importorskip("statsmodels.api")
    data = sample(2, 4000)
    x = np.stack([data[name] for name in COVARIATES], axis=1)
    centred, new = x - x.mean(axis=0), (data["variant"] == "new").astype(float)[:, None]
    design = np.hstack([np.ones((4000, 1)), new, centred, new * centred])
    fit = api.OLS(data["y"], design).fit(cov_type="HC2")
    found = analyze(data, PLAN)["y"].absolute
    assert found.estimate == pytest.approx(fit.params[1], rel=1e-9)
    # The regression takes the mean of the covariates for known; here it varies.
    gap = fit.params[5:]
    moving = gap @ np.cov(x.T) @ gap / 4000
    assert found.error == pytest.approx(np.sqrt(fit.bse[1] ** 2 + moving), rel=0.02)


def test_clustered_errors_are_cr1() -> None:
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 9, 30)
    user = np.repeat(np.arange(30), sizes)
    y = rng.normal(size=30)[user] + rng.normal(size=user.size)
    variant = np.where(user % 2, "new", "control")
    found = analyze(
        {"user": user, "variant": variant, "y": y}, Plan(metrics=[Mean("y")]), unit="user"
    )["y"].absolute
    square = 0.0
    for name in ("control", "new"):
        arm = variant == name
        fit = api.OLS(y[arm], np.ones((arm.sum(), 1))).fit(
            cov_type="cluster", cov_kwds={"groups": user[arm]}
        )
        square += fit.bse[0] ** 2
    assert found.error == pytest.approx(np.sqrt(square), rel=1e-9)


@pytest.mark.slow
def test_intervals_cover_in_small_samples() -> None:
    # 4000 runs of 30 units: 4.5 s.e. of 0.95 is 0.0155. The effect of the population is 0.5.
    held = 0
    for seed in range(4000):
        low, high = analyze(sample(seed, 30), PLAN)["y"].absolute.interval
        held += low <= 0.5 <= high
    assert held / 4000 == pytest.approx(0.95, abs=0.02)
