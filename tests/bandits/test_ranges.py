"""No interval of an estimator or of an arm leaves the range of the rewards, or has no width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.bandits import BetaThompson, ContextualBandit, imbalance, performance
from siamrec.bandits.insight import earned
from siamrec.bandits.ope import ESTIMATORS, IPS, SNIPS, Log, Tally, adaptive_value
from siamrec.bandits.policies.base import Outcomes
from siamrec.data import Rewards
from siamrec.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

SETTINGS: dict[str, dict[str, Any]] = {
    "mips": {"groups": (0, 1)},
    "slope": {"candidates": (IPS(), SNIPS())},
}
REWARDS: dict[str, Callable[[int], FloatArray]] = {
    "all 0": np.zeros,
    "all 1": np.ones,
    "one": lambda n: np.eye(1, n, 0)[0],
    "half": lambda n: (np.arange(n) // 2 % 2).astype(np.float64),
}


def log_of(reward: FloatArray) -> tuple[Log, FloatArray]:
    """Return an even log over two actions and a target that takes the first."""
    n = reward.size
    action = np.arange(n) % 2
    table = np.full((n, 2), 0.5)
    log = Log(
        action=action,
        reward=reward,
        propensity=np.full(n, 0.5),
        logging=table,
        features=np.ones((n, 1)),
        n_actions=2,
        reward_range=(0.0, 1.0),
    )
    return log, np.tile([1.0, 0.0], (n, 1))


@pytest.mark.parametrize("interval", ["normal", "bootstrap"])
@pytest.mark.parametrize("n", [2, 4, 40])
@pytest.mark.parametrize("rewards", REWARDS)
@pytest.mark.parametrize("name", sorted(ESTIMATORS.house()))
def test_estimators_keep_to_the_range_of_rewards(
    name: str, rewards: str, n: int, interval: Any
) -> None:
    log, target = log_of(REWARDS[rewards](n))
    found = ESTIMATORS.make(name, **SETTINGS.get(name, {})).estimate(
        log, target, interval=interval, rng=np.random.default_rng(0)
    )
    low, high = found.interval
    assert 0 <= low < high <= 1
    assert low <= min(max(found.raw, 0.0), 1.0) + 1e-9
    assert min(max(found.raw, 0.0), 1.0) - 1e-9 <= high
    if rewards != "half":  # where hardly a row tells more than the others, there is no support
        assert not found.diagnostics.supported
        assert found.diagnostics.effective_rewards < 2.5


@pytest.mark.parametrize("rewards", REWARDS)
def test_sums_and_adaptive_values_keep_to_it_too(rewards: str) -> None:
    log, target = log_of(REWARDS[rewards](80))
    tally = Tally.of(log, target)
    for low, high in (
        tally.snips().interval,
        tally.ips().interval,
        (tally + tally).snips().interval,
        adaptive_value(log, target).interval,
    ):
        assert 0 <= low < high <= 1


def test_an_arm_of_rare_rewards_reaches_further_up() -> None:
    # Six of 600: the exact Poisson interval of the number is (2.20, 13.06).
    outcomes = Outcomes(
        cell=np.zeros(600, np.int32),
        arm=np.zeros(600, np.int32),
        reward=(np.arange(600) < 6).astype(float),
        weight=np.ones(600),
        propensity=np.full(600, 0.5),
    )
    low, high = earned(np.zeros(600, np.int64), outcomes, within=(0.0, 1.0))[0, 0].interval
    assert 2.0 < 600 * low < 2.6
    assert 12.5 < 600 * high < 15.0


@pytest.mark.parametrize(("wins", "n"), [(0, 5), (5, 5)])
def test_an_arm_that_never_or_always_won(wins: int, n: int) -> None:
    bandit = ContextualBandit(BetaThompson(), ["a"])
    for turn in range(n):
        decision = bandit.select()
        reward = np.array([float(turn < wins)])
        bandit.learn(Rewards(decision=np.array([decision.id]), reward=reward))
    (found,) = performance(bandit.memory).values()
    assert found.interval == wilson(wins, n)


def test_an_arm_of_few_picks_stays_inside() -> None:
    def arm(reward: list[float], propensity: list[float]) -> tuple[float, float]:
        n = len(reward)
        outcomes = Outcomes(
            cell=np.zeros(n, np.int32),
            arm=np.zeros(n, np.int32),
            reward=np.array(reward),
            weight=np.ones(n),
            propensity=np.array(propensity),
        )
        return earned(np.zeros(n, np.int64), outcomes, within=(0.0, 1.0))[0, 0].interval

    low, high = arm([1.0, 0.0, 0.0], [0.5, 0.5, 0.5])  # was (-1.10, 1.77)
    assert 0 <= low < high <= 1
    assert arm([1.0], [0.5]) == (0.0, 1.0)
    even, uneven = arm([0.0] * 4, [0.5] * 4), arm([0.0] * 4, [0.5, 0.5, 0.5, 0.01])
    assert even[1] < uneven[1]  # one heavy pick is hardly more than one pick


def test_no_alarm_on_a_share_below_its_limit_however_many_picks() -> None:
    for share in imbalance(("a", "b"), np.array([5000, 5000]), limit=0.7):
        assert (share.log_p, share.alarmed) == (0.0, False)
    (first, _) = imbalance(("a", "b"), np.array([80_000, 20_000]), limit=0.7)
    assert first.alarmed
    assert math.isfinite(first.log_p)
