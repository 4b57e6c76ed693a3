"""Results that hang on a few units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import Mean, Plan, Proportion, Quantile, Ratio, analyze
from siamrec.experiments.analysis import outlier_sensitivity


def spending(whale: float = 0.0) -> dict[str, Any]:
    """No effect; one person in the new variant may spend very much."""
    rng = np.random.default_rng(1)
    n = 2000
    new = np.arange(n) % 2 == 1
    spent = rng.exponential(10, n) + np.where(np.arange(n) == 7, whale, 0.0)
    return {
        "variant": np.where(new, "new", "control"),
        "spent": spent,
        "visits": rng.poisson(3, n) + 1.0,
        "won": (rng.random(n) < 0.2).astype(float),
    }


PLAN = Plan(
    metrics=[
        Mean("spent"),
        Ratio("per_visit", "spent", "visits", role="secondary"),
        Proportion("won", role="secondary"),
        Quantile("typical", 0.5, column="spent", role="secondary"),
    ]
)


def test_the_largest_are_set_to_the_next() -> None:
    data = spending(1e5)
    found = outlier_sensitivity(data, PLAN)
    ordered = np.sort(data["spent"])
    assert list(found.reports) == [0.0, 0.001, 0.01]
    # 0.1 % of 2000 are two, 1 % are twenty.
    assert found.caps["spent"] == {0.001: ordered[-3], 0.01: ordered[-21]}
    assert set(found.caps) == {"spent", "per_visit"}
    by_hand = analyze({**data, "spent": np.minimum(data["spent"], ordered[-21])}, PLAN)
    assert found.reports[0.01].comparisons == by_hand.comparisons
    assert found.reports[0.0].comparisons == analyze(data, PLAN).comparisons


def test_a_result_of_one_unit_is_told() -> None:
    data = spending()
    data["spent"] = data["spent"] - 3 * (data["variant"] == "new")  # clearly worse
    assert outlier_sensitivity(data, PLAN).stable
    data["spent"][7] = 1e5  # and seemingly better by one person
    found = outlier_sensitivity(data, PLAN)
    assert ("spent", "new") in found.sign_changes
    assert ("spent", "new") in found.verdict_changes
    assert ("won", "new") not in found.sign_changes
    assert not found.stable
    missing = {**data, "spent": np.where(np.arange(2000) % 10 == 0, np.nan, data["spent"])}
    assert not outlier_sensitivity(missing, Plan(metrics=[Mean("spent")])).stable


def test_units_and_strata_go_on() -> None:
    data = spending(50.0)
    rows = {name: np.repeat(column, 2) for name, column in data.items()}
    rows |= {"user": np.repeat(np.arange(2000), 2), "half": np.repeat(["a", "b"], 2000)}
    plan = Plan(metrics=[Mean("spent")])
    found = outlier_sensitivity(rows, plan, unit="user", strata="half", shares=[0.01])
    assert found.reports[0.0]["spent"].n == (1000, 1000)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"shares must be one or more in \(0, 0.5\)"):
        outlier_sensitivity(spending(), PLAN, shares=[])
    with pytest.raises(InvalidParameterError, match=r"shares must be one or more in \(0, 0.5\)"):
        outlier_sensitivity(spending(), PLAN, shares=[0.5])
    with pytest.raises(InvalidParameterError, match=r"shares must be in \(0, 1\)"):
        outlier_sensitivity(spending(), PLAN, shares=[0.0])
    with pytest.raises(InvalidDataError, match="must be one frame"):
        outlier_sensitivity([spending()], PLAN)
    moments = {name: Moments.of({"spent": np.arange(9.0)}) for name in ("control", "new")}
    with pytest.raises(InvalidDataError, match="must be one frame"):
        outlier_sensitivity(moments, PLAN)
