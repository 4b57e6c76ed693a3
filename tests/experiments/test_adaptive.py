"""Plain tests refuse traffic that a bandit assigned, and point to the test that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.data import Moments
from siamrec.errors import InvalidDataError, UnknownNameError, UnsupportedEstimate
from siamrec.experiments import Mean, Plan, analyze, analyze_segments

PLAN = Plan(metrics=[Mean("y")])


def logged(*, learning: bool, n: int = 400) -> dict[str, Any]:
    """Traffic whose share of the new variant rises from 0.5 to 0.9, or stays at 0.3."""
    rng = np.random.default_rng(1)
    chance = np.linspace(0.5, 0.9, n) if learning else np.full(n, 0.3)
    new = rng.random(n) < chance
    return {
        "variant": np.where(new, "new", "control"),
        "chance": np.where(new, chance, 1 - chance),
        "y": rng.normal(size=n),
        "half": np.repeat(["first", "second"], n // 2),
    }


def test_propensities_that_learn_are_refused() -> None:
    data = logged(learning=True)
    with pytest.raises(
        UnsupportedEstimate, match=r"within the variant .*adaptive_effect.*given=chance"
    ):
        analyze(data, PLAN, propensity="chance")
    with pytest.raises(UnsupportedEstimate, match="adaptive_effect"):
        analyze_segments(data, PLAN, segment="half", propensity="chance")


def test_a_plan_of_a_bandit_is_refused_before_the_data_are_read() -> None:
    plan = Plan(metrics=[Mean("y")], allocation="adaptive")
    with pytest.raises(UnsupportedEstimate, match="a bandit assigns the units.*adaptive_effect"):
        analyze({"nothing": [1]}, plan)


def test_chunks_are_judged_together() -> None:
    data = logged(learning=False)
    later = {**data, "chance": np.where(data["variant"] == "new", 0.5, 0.5)}
    assert analyze(iter([data, data]), PLAN, propensity="chance")["y"].n[0] > 0
    with pytest.raises(UnsupportedEstimate, match=r"0.3 to 0.5|0.5 to 0.7"):
        analyze(iter([data, later]), PLAN, propensity="chance")


def test_fixed_shares_give_the_same_report() -> None:
    data = logged(learning=False)
    watched = analyze(data, PLAN, propensity="chance")
    assert watched["y"] == analyze(data, PLAN)["y"]


def test_shares_changed_by_hand_are_strata() -> None:
    data = logged(learning=False)
    shares = {"first": 0.3, "second": 0.6}
    new = data["variant"] == "new"
    share = np.array([shares[half] for half in data["half"]])
    data["chance"] = np.where(new, share, 1 - share)
    with pytest.raises(UnsupportedEstimate, match="as strata"):
        analyze(data, PLAN, propensity="chance")
    assert analyze(data, PLAN, propensity="chance", strata="half")["y"].absolute.p > 0


def test_rows_outside_need_no_propensity() -> None:
    data = logged(learning=False)
    outside = np.arange(400) < 50
    data["variant"] = [None if out else name for out, name in zip(outside, data["variant"], strict=True)]  # fmt: skip  # noqa: E501
    data["chance"] = np.where(outside, 0.0, data["chance"])
    assert sum(analyze(data, PLAN, propensity="chance")["y"].n) == 350


def test_bad_propensities_are_refused() -> None:
    data = logged(learning=False)
    with pytest.raises(InvalidDataError, match=r"chance must be in \(0, 1\]"):
        analyze({**data, "chance": np.full(400, np.nan)}, PLAN, propensity="chance")
    with pytest.raises(UnknownNameError, match="Did you mean 'chance'"):
        analyze(data, PLAN, propensity="chanc")
    moments = {name: Moments.of({"y": np.arange(9.0)}) for name in ("control", "new")}
    with pytest.raises(InvalidDataError, match="needs the rows, got moments"):
        analyze(moments, PLAN, propensity="chance")
    with pytest.raises(UnknownNameError, match="Did you mean 'adaptive'"):
        Plan(metrics=[Mean("y")], allocation="adaptiv")  # type: ignore[arg-type]
