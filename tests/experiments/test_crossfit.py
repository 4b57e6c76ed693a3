"""Cross-fitted covariates: against the slow way, against least squares, and when of no use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec._core.hashing import uniforms
from siamrec.data import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.experiments import Design, ExperimentReport, Margin, Mean, Plan, Proportion, analyze
from siamrec.experiments.metrics import CrossFitted

NAMES = ("a", "b", "c", "noise")
MODEL = CrossFitted(NAMES, folds=4)


def units(seed: int = 1, n: int = 600, *, use: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4)) * [1.0, 20.0, 0.1, 1.0] + [0.0, 100.0, 0.0, 0.0]
    new = rng.random(n) < 0.4
    known = features @ np.array([1.0, 0.05, 5.0, 0.0])
    return {
        "user": [f"u{number}" for number in range(n)],
        "variant": np.where(new, "new", "control"),
        "y": 3 + use * known + 0.4 * new + rng.normal(size=n),
        **dict(zip(NAMES, features.T, strict=True)),
    }


def run(data: Any, metric: Any) -> ExperimentReport:
    return analyze(data, Plan(metrics=[metric]), unit="user")


def slow_predictions(data: dict[str, Any], model: CrossFitted) -> np.ndarray:
    """Predict each fold by ridge over the rows of the others, centred within variants."""
    x = np.stack([data[name] for name in model.columns], axis=1)
    y, found = data["y"], np.zeros(len(data["y"]))
    fold = (uniforms(data["user"], "cross-fitting") * model.folds).astype(int)
    for number in range(model.folds):
        rest = fold != number
        inner_x, inner_y = x[rest].copy(), y[rest].copy()
        for name in ("control", "new"):
            arm = data["variant"][rest] == name
            inner_x[arm] -= inner_x[arm].mean(axis=0)
            inner_y[arm] -= inner_y[arm].mean()
        scale = np.sqrt((inner_x**2).sum(axis=0) / rest.sum())
        z = inner_x / scale
        slope = np.linalg.solve(z.T @ z + model.penalty * np.eye(4), z.T @ inner_y) / scale
        found[fold == number] = y[rest].mean() + (x[fold == number] - x[rest].mean(axis=0)) @ slope
    return found


def test_predictions_equal_the_slow_way() -> None:
    data = units()
    found = run(data, Mean("y", covariate=MODEL))["y"]
    by_hand = run({**data, "guess": slow_predictions(data, MODEL)}, Mean("y", covariate="guess"))
    assert found.absolute.estimate == pytest.approx(by_hand["y"].absolute.estimate, rel=1e-9)
    assert found.absolute.error == pytest.approx(by_hand["y"].absolute.error, rel=1e-9)


def test_it_takes_what_least_squares_takes() -> None:
    data = units(n=4000)
    fitted = run(data, Mean("y", covariate=MODEL))["y"]
    least_squares = run(data, Mean("y", covariate=NAMES))["y"]
    plain = run(data, Mean("y"))["y"]
    assert fitted.absolute.error == pytest.approx(least_squares.absolute.error, rel=0.01)
    assert fitted.absolute.error < 0.8 * plain.absolute.error
    assert fitted.variance_reduction > 0.4


def test_useless_columns_do_no_harm() -> None:
    data = units(n=4000, use=0.0)
    fitted = run(data, Mean("y", covariate=MODEL))["y"]
    plain = run(data, Mean("y"))["y"]
    assert fitted.absolute.error <= plain.absolute.error * 1.001


def test_chunks_and_order_do_not_matter() -> None:
    data = units()
    order = np.random.default_rng(3).permutation(600)
    mixed = {name: np.asarray(column)[order] for name, column in data.items()}
    parts = [{name: column[start::7] for name, column in mixed.items()} for start in range(7)]
    metric = Mean("y", covariate=MODEL)
    whole, pieces = run(data, metric)["y"], run(iter(parts), metric)["y"]
    assert pieces.absolute.estimate == pytest.approx(whole.absolute.estimate, rel=1e-9)
    assert pieces.absolute.error == pytest.approx(whole.absolute.error, rel=1e-9)


def test_repeated_units_stay_in_one_fold() -> None:
    # Every row three times is no more than every row once.
    data = units()
    thrice = {name: np.repeat(column, 3) for name, column in data.items()}
    metric = Mean("y", covariate=MODEL)
    once, found = run(data, metric)["y"], run(thrice, metric)["y"]
    assert found.absolute.estimate == pytest.approx(once.absolute.estimate, rel=1e-9)
    assert found.absolute.error == pytest.approx(once.absolute.error, rel=1e-9)


def test_constant_columns_and_shares_are_fine() -> None:
    data = units()
    data["c"] = np.ones(600)
    data["won"] = data["y"] > 8
    metric = Proportion("won", covariate=MODEL)
    assert run(data, metric)["won"].variance_reduction > 0.2


def test_designs_count_on_the_model() -> None:
    data = units(n=3000)
    plain, fitted = (
        Design(metric=metric, baseline=data, mde=Margin(absolute=0.2), unit="user").sample_size()
        for metric in (Mean("y"), Mean("y", covariate=MODEL))
    )
    assert fitted < 0.7 * plain


@pytest.mark.slow
def test_effects_are_unbiased_and_intervals_cover() -> None:
    # 1500 runs of 120 units: 4.5 s.e. of the mean, and of the coverage (0.025).
    found = [
        run(units(seed, 120), Mean("y", covariate=CrossFitted(NAMES)))["y"].absolute
        for seed in range(1500)
    ]
    estimate = np.array([each.estimate for each in found])
    assert abs(estimate.mean() - 0.4) < 4.5 * estimate.std() / np.sqrt(1500)
    covered = np.mean([each.interval[0] <= 0.4 <= each.interval[1] for each in found])
    assert covered == pytest.approx(0.95, abs=0.025)


def test_bad_models_are_refused() -> None:
    data = units(n=50)
    with pytest.raises(MissingInputError, match="cross-fitted over units"):
        analyze(data, Plan(metrics=[Mean("y", covariate=MODEL)]))
    moments = {name: Moments.of({"y": np.arange(9.0)}) for name in ("control", "new")}
    with pytest.raises(InvalidDataError, match="model of 'y' needs the rows"):
        run(moments, Mean("y", covariate=MODEL))
    with pytest.raises(InvalidParameterError, match="folds must be a whole number of at least 2"):
        CrossFitted(NAMES, folds=1)
    with pytest.raises(InvalidParameterError, match="columns must be one or more different"):
        CrossFitted(())
    with pytest.raises(InvalidParameterError, match="penalty"):
        CrossFitted(NAMES, penalty=0.0)
