"""Group-sequential bounds against published tables, and their error rate against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.experiments import GroupSequential, Mean, Plan, analyze

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def test_obrien_fleming_spending_as_in_ldbounds() -> None:
    bounds = GroupSequential(planned=100, looks=FIFTHS).bounds(0.05)
    np.testing.assert_allclose(bounds, [4.877, 3.357, 2.680, 2.290, 2.031], atol=5e-4)


def test_pocock_spending_as_published() -> None:
    # Jennison and Turnbull (2000), section 7.2: five even looks, two-sided 0.05.
    bounds = GroupSequential(planned=100, looks=FIFTHS, spending="pocock").bounds(0.05)
    np.testing.assert_allclose(bounds, [2.438, 2.427, 2.410, 2.397, 2.386], atol=2e-3)


def test_one_look_is_the_plain_test() -> None:
    rule = GroupSequential(planned=100, looks=(1.0,))
    assert rule.bounds(0.05)[0] == pytest.approx(stats.norm.ppf(0.975), abs=1e-9)
    assert rule.log_p(2.3, 100, 0.05) == pytest.approx(np.log(2 * stats.norm.sf(2.3)), abs=1e-5)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock", "power", "hwang-shih-decani"])
def test_everything_is_spent_in_the_end(spending: str) -> None:
    rule = GroupSequential(planned=100, looks=(0.1, 0.5, 1.0), spending=spending)  # type: ignore[arg-type]
    assert rule.spent(1.0, 0.05) == pytest.approx(0.025)
    assert rule.power(0.0, 0.05) == pytest.approx(0.025, abs=1e-9)


def test_bounds_keep_the_level_on_paths() -> None:
    # 400 000 paths: 5 sigma of a share of 0.05 is 0.0017.
    rng = np.random.default_rng(1)
    rule = GroupSequential(planned=1.0, looks=(0.15, 0.3, 0.7, 1.0), spending="power", shape=1.5)
    times = np.array(rule.looks)
    steps = rng.normal(size=(400_000, 4)) * np.sqrt(np.diff([0, *times]))
    z = np.cumsum(steps, axis=1) / np.sqrt(times)
    crossed = (np.abs(z) > rule.bounds(0.05)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.0017)


def test_power_on_paths() -> None:
    rng = np.random.default_rng(2)
    rule = GroupSequential(planned=1.0, looks=FIFTHS)
    times = np.array(FIFTHS)
    steps = rng.normal(size=(200_000, 5)) * np.sqrt(np.diff([0, *times])) + 2.8 * 0.2
    z = np.cumsum(steps, axis=1) / np.sqrt(times)
    bounds = rule.bounds(0.05)
    upper = z >= bounds
    first_up = np.where(upper.any(axis=1), upper.argmax(axis=1), 9)
    lower = z <= -bounds
    first_down = np.where(lower.any(axis=1), lower.argmax(axis=1), 9)
    share = (first_up < first_down).mean()
    assert rule.power(2.8, 0.05) == pytest.approx(share, abs=5 * np.sqrt(0.2 * 0.8 / 200_000))


def test_many_looks_are_still_accurate() -> None:
    looks = tuple(np.arange(1, 57) / 56)
    rule = GroupSequential(planned=1.0, looks=looks)
    assert rule.power(0.0, 0.05) == pytest.approx(0.025, abs=1e-8)


def test_unplanned_and_late_looks() -> None:
    rule = GroupSequential(planned=1000, looks=(0.5, 1.0))
    # A look at 60 % after the planned one at 50 %.
    assert rule.multiplier(600, 0.05) == pytest.approx(
        GroupSequential(planned=1000, looks=(0.5, 0.6, 1.0)).bounds(0.05)[1]
    )
    # Past the plan nothing is left over, and nothing more is spent.
    late = rule.multiplier(1300, 0.05)
    assert late >= rule.multiplier(1000, 0.05) - 1e-9
    assert rule.spent(1.3, 0.05) == pytest.approx(0.025)


def test_the_p_value_agrees_with_the_bound() -> None:
    rule = GroupSequential(planned=1000, looks=FIFTHS)
    for n in (200, 600, 1000):
        bound = rule.multiplier(n, 0.05)
        assert rule.log_p(bound, n, 0.05) == pytest.approx(np.log(0.05), abs=1e-3)
        assert rule.log_p(bound + 0.3, n, 0.05) < np.log(0.05)
        assert rule.log_p(0.0, n, 0.05) == 0.0
        assert -np.inf < rule.log_p(30.0, n, 0.05) < -20


def test_it_decides_in_an_analysis() -> None:
    rng = np.random.default_rng(3)
    data = {
        "variant": np.repeat(["control", "new"], 250),
        "y": np.concatenate([rng.normal(0, 1, 250), rng.normal(0.6, 1, 250)]),
    }
    plan = Plan(metrics=[Mean("y")], sequential=GroupSequential(planned=1000))
    report = analyze(data, plan)
    assert report.decision == "ship"
    assert report["y"].absolute.rule == "group sequential (obrien-fleming)"
    half = analyze({name: column[::2] for name, column in data.items()}, plan)
    assert half["y"].absolute.interval[1] - half["y"].absolute.interval[0] > 0.8


def test_bad_rules_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="looks must be rising shares"):
        GroupSequential(planned=10, looks=(0.5, 0.4, 1.0))
    with pytest.raises(InvalidParameterError, match="looks must be rising shares"):
        GroupSequential(planned=10, looks=(0.5,))
    with pytest.raises(UnknownNameError, match="Did you mean 'pocock'"):
        GroupSequential(planned=10, spending="pococ")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="planned"):
        GroupSequential(planned=0)
