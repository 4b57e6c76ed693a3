"""Futility: published bounds, their error rates on paths, and what a report makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.experiments import Design, GroupSequential, Margin, Mean, Plan, analyze
from siamrec.experiments.sequential import Futility

THIRDS = (1 / 3, 2 / 3, 1.0)


def rule(*, binding: bool = False, planned: float = 1.0) -> GroupSequential:
    return GroupSequential(
        planned=planned,
        looks=THIRDS,
        spending="hwang-shih-decani",
        shape=-4.0,
        futility=Futility(power=0.9, shape=-2.0, binding=binding),
    )


def test_non_binding_bounds_as_published() -> None:
    # The default design of the R package gsDesign (Anderson): three looks, one-sided 0.025, power
    # 0.9, HSD(-4) and HSD(-2): 3.01 2.55 2.00 against -0.24 0.94 2.00, 1.070 times the units.
    found = rule()
    np.testing.assert_allclose(found.bounds(0.05), [3.0107, 2.5465, 1.9992], atol=5e-5)
    np.testing.assert_allclose(found.futility_bounds(0.05), [-0.2387, 0.9411, 1.9992], atol=5e-5)
    fixed = stats.norm.ppf(0.975) + stats.norm.ppf(0.9)
    assert (found.drift(0.05) / fixed) ** 2 == pytest.approx(1.070, abs=5e-4)


@pytest.mark.parametrize("binding", [False, True])
def test_the_misses_are_spent_as_planned(*, binding: bool) -> None:
    # Rectangle probabilities of the joint normal law of the three looks, by another algorithm.
    found = rule(binding=binding)
    drift, low = found.drift(0.05), found.futility_bounds(0.05)
    high = found._with_futility(np.array(THIRDS), drift, 0.05)[1]
    times = np.array(THIRDS)
    root = np.sqrt(times)
    law = stats.multivariate_normal(
        drift * root, np.minimum.outer(times, times) / np.outer(root, root)
    )
    spent = 0.1 * np.expm1(2 * times) / np.expm1(2)
    lower = np.full(3, -np.inf)
    for look, step in enumerate(np.diff([0.0, *spent])):
        upper = np.full(3, np.inf)
        lower[:look], upper[:look], upper[look] = low[:look], high[:look], low[look]
        missed = law.cdf(upper, lower_limit=lower, rng=np.random.default_rng(1))
        assert missed == pytest.approx(step, abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("binding", [False, True])
def test_error_rates_on_paths(*, binding: bool) -> None:
    # A million paths: 5 sigma of 0.025 is 0.0008, of 0.9 it is 0.0015.
    found = rule(binding=binding)
    times, drift = np.array(THIRDS), found.drift(0.05)
    low, high, _ = found._with_futility(times, drift, 0.05)
    steps = np.random.default_rng(2).normal(size=(1_000_000, 3)) * np.sqrt(np.diff([0, *times]))
    noise = np.cumsum(steps, axis=1) / np.sqrt(times)

    def wins(z: np.ndarray, *, obeyed: bool) -> float:
        up, down = z >= high, z < low
        first_up = np.where(up.any(axis=1), up.argmax(axis=1), 9)
        first_down = np.where(down.any(axis=1), down.argmax(axis=1), 9)
        return float((first_up < (first_down if obeyed else 9)).mean())

    assert wins(noise + drift * np.sqrt(times), obeyed=True) == pytest.approx(0.9, abs=0.0015)
    assert wins(noise, obeyed=binding) == pytest.approx(0.025, abs=0.0008)
    if not binding:  # advice that is followed makes errors rarer
        assert wins(noise, obeyed=True) < 0.0245


def test_binding_bounds_are_lower_and_power_is_kept() -> None:
    advice, law = rule(), rule(binding=True)
    assert law.drift(0.05) < advice.drift(0.05)
    for each in (advice, law):
        assert each.power(each.drift(0.05), 0.05) == pytest.approx(0.9, abs=1e-9)
    assert law.power(0.0, 0.05) == pytest.approx(0.025, abs=1e-9)
    assert advice.power(0.0, 0.05) < 0.0245
    # The p-value follows the lower bound, the interval does not.
    at_end = law.futility_bounds(0.05)[-1]
    assert law.log_p(at_end, 1.0, 0.05) == pytest.approx(np.log(0.05), abs=1e-4)
    assert law.multiplier(1.0, 0.05) == pytest.approx(advice.multiplier(1.0, 0.05))


def test_without_futility_nothing_is_given_up() -> None:
    plain = GroupSequential(planned=1.0, looks=THIRDS)
    assert not plain.is_futile(-5.0, 0.5, 0.05)
    with pytest.raises(MissingInputError, match="futility"):
        plain.drift(0.05)
    almost = GroupSequential(
        planned=1.0, looks=THIRDS, futility=Futility(power=1 - 1e-9, spending="obrien-fleming")
    )
    assert almost.futility_bounds(0.05)[0] < -3


def test_looks_at_other_times_and_past_the_end() -> None:
    found = rule(planned=900.0)
    between = [found.is_futile(z, 450.0, 0.05) for z in (-1.0, 0.2, 0.9)]
    assert between == [True, True, False]
    assert found.is_futile(1.9, 1200.0, 0.05)
    assert not found.is_futile(2.1, 1200.0, 0.05)


def test_designs_pay_for_giving_up_early() -> None:
    history = {"y": np.tile([9.0, 11.0], 5000)}

    def units(sequential: GroupSequential | None) -> int:
        return Design(
            metric=Mean("y"), baseline=history, mde=Margin(absolute=0.1), power=0.9,
            sequential=sequential,
        ).sample_size()  # fmt: skip

    assert units(rule()) / units(None) == pytest.approx(1.070, abs=2e-3)
    assert units(None) < units(rule(binding=True)) < units(rule())


@pytest.mark.parametrize(("shift", "decision"), [(-0.1, "inconclusive"), (0.18, "continue")])
def test_a_report_gives_up(shift: float, decision: str) -> None:
    half = np.random.default_rng(5).normal(size=300)
    half -= half.mean()
    data = {
        "variant": np.repeat(["control", "new"], 300),
        "y": np.concatenate([half, half + shift]),
        "cost": np.concatenate([half, half - shift]),
    }
    for metric in (Mean("y"), Mean("cost", better="lower")):
        report = analyze(data, Plan(metrics=[metric], sequential=rule(planned=1000.0)))
        assert report.decision == decision
        assert any("futility" in reason for reason in report.reasons) == (shift < 0)


def test_bad_futility_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"power must be in \(0, 1\)"):
        Futility(power=1.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'pocock'"):
        Futility(spending="pococ")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="shape must be a finite number that is not 0"):
        Futility(shape=0.0)
    with pytest.raises(InvalidParameterError, match="shape must be a finite number above 0"):
        GroupSequential(planned=1.0, spending="power", shape=-1.0)
    with pytest.raises(InvalidParameterError, match=r"power must be above 0.025"):
        GroupSequential(planned=1.0, futility=Futility(power=0.02)).drift(0.05)
