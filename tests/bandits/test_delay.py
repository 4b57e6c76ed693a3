"""Delay curves: Kaplan-Meier by hand, consistency under waiting, what a bandit makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson, ContextualBandit, DelayCurve, Learning, Snapshot
from siamrec.errors import InvalidDataError


def test_kaplan_meier_by_hand() -> None:
    # six at risk at 1, one left waiting at 2, three at risk at 3
    curve = DelayCurve.estimate(
        np.array([1, 1, 2, 3, 5, 6]), np.array([True, True, False, True, False, False])
    )
    first, second = 1 - 4 / 6, 1 - 4 / 6 * 2 / 3
    assert curve.after == (1, 3)
    assert curve.share == pytest.approx((first / second, 1.0))
    part = first / second
    np.testing.assert_allclose(curve.seen(np.array([0, 1, 2, 9])), [0, part, part, 1])


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_without_waiting_it_is_the_share_seen(delays: list[int]) -> None:
    times = np.array(delays)
    curve = DelayCurve.estimate(times, np.ones(times.size, dtype=np.bool_))
    ages = np.arange(0, 1001, 50)
    np.testing.assert_allclose(curve.seen(ages), (times[:, None] <= ages).mean(axis=0), atol=1e-12)


def test_waiting_picks_do_not_shorten_the_delay() -> None:
    """The truth is exponential with mean 100; a third of the successes is not seen yet."""
    rng = np.random.default_rng(1)
    n, rate = 40_000, 0.3
    delay = np.where(rng.random(n) < rate, rng.exponential(100, n), np.inf)
    watched = rng.uniform(0, 400, n)
    seen = delay <= watched
    curve = DelayCurve.estimate(np.minimum(delay, watched).astype(np.int64), seen)
    ages = np.array([50, 100, 200])
    truth = -np.expm1(-ages / 100) / -np.expm1(-4.0)
    # 9,500 successes: standard errors near 0.007
    np.testing.assert_allclose(curve.seen(ages), truth, atol=0.035)
    naive = (delay[seen][:, None] <= ages).mean(axis=0)
    assert naive[1] > truth[1] + 0.05
    assert len(curve.after) <= 256


def test_a_bandit_estimates_and_uses_its_curve() -> None:
    clock = ManualClock(0)
    bandit = ContextualBandit(BetaThompson(), ("a", "b"), clock=clock)
    ids = [bandit.select(arms=["a"]).id for _ in range(10)]
    for id_, delay in zip(ids, (10, 10, 10, 40), strict=False):
        bandit.learn(id_, 1.0, time=delay)
    bandit.learn(ids[4], 0.0, time=5)
    clock.set(100)
    curve = bandit.delay_curve()
    assert curve.after == (10, 40)
    assert curve.share == pytest.approx((0.75, 1.0))
    other = ContextualBandit(
        BetaThompson(), ("a", "b"), learning=Learning(delay=curve), clock=clock
    )
    other.merge(bandit.snapshot())
    # five picks wait: three quarters of their successes would have been seen after 10
    assert other.sums(time=39)["losses"].sum() == pytest.approx(1 + 5 * 0.75)
    assert other.sums(time=40)["losses"].sum() == pytest.approx(1 + 5)
    header = json.loads(json.dumps(other.snapshot().header))
    again = ContextualBandit.restore(
        Snapshot(header, other.snapshot().arrays), BetaThompson(), clock=clock
    )
    assert again.sums(time=39)["losses"].sum() == pytest.approx(1 + 5 * 0.75)


def test_bad_curves_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="at least one success"):
        DelayCurve.estimate(np.array([1, 2]), np.array([False, False]))
    with pytest.raises(InvalidDataError, match="waited must not be below 0"):
        DelayCurve.estimate(np.array([-1, 2]), np.array([True, False]))
    for after, share, message in (
        ((), (), "one length"),
        ((2, 1), (0.5, 1.0), "after must rise"),
        ((1, 2), (0.5, 0.9), "share must rise"),
    ):
        with pytest.raises(InvalidDataError, match=message):
            DelayCurve(after=after, share=share)
