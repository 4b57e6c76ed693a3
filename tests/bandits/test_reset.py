"""Reset after a change: by hand, the same state in any order, less regret, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec._core.clock import ManualClock
from siamrec.bandits import (
    BetaThompson,
    Context,
    ContextualBandit,
    Factor,
    GammaThompson,
    Learning,
    Limits,
    LinearThompson,
)
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.simulation.bandits import ChangingWorld


def make(**options: Any) -> ContextualBandit[Any]:
    chosen = {"learning": Learning(reset=0.01), "clock": ManualClock(0), "seed": 1, **options}
    return ContextualBandit(BetaThompson(), ("a", "b"), **chosen)


def feed(bandit: ContextualBandit[Any], rewards: list[float], arm: str = "a") -> list[str]:
    """Let an arm earn rewards one after the other; return the ids of its decisions."""
    ids: list[str] = []
    for reward in rewards:
        ids.append(bandit.select(arms=[arm], time=len(ids)).id)
        bandit.learn(ids[-1], reward, time=len(ids))
    return ids


def test_what_was_before_the_change_no_longer_counts() -> None:
    bandit = make()
    feed(bandit, [0.0] * 40 + [1.0] * 40)
    feed(bandit, [0.0] * 30, "b")
    sums = bandit.sums(time=1000)
    assert sums["wins"].tolist() == [[40.0, 0.0]]
    assert sums["losses"].tolist() == [[0.0, 30.0]]
    assert make(learning=Learning(reset=None)).sums(time=0).keys() == sums.keys()


def test_waiting_picks_from_before_the_change_do_not_count() -> None:
    bandit = make(learning=Learning(reset=0.01, delay=1e-9))
    old = bandit.select(arms=["a"], time=0)
    feed(bandit, [0.0] * 40 + [1.0] * 40)
    assert bandit.sums(time=10**6)["losses"].sum() == 0
    assert old.id
    bandit.select(arms=["a"], time=90)
    assert bandit.sums(time=10**6)["losses"].sum() == pytest.approx(1)


@given(st.integers(0, 10_000), st.sampled_from([{}, {"half_life": 40e-9}, {"window": 64e-9}]))
@settings(max_examples=20, deadline=None)
def test_the_state_is_a_function_of_the_log(seed: int, memory: dict[str, Any]) -> None:
    rng = np.random.default_rng(seed)
    rewards = [*(rng.random(40) < 0.1), *(rng.random(40) < 0.9)]
    one = make(learning=Learning(reset=0.01, **memory))
    ids = np.array(feed(one, [float(each) for each in rewards]))
    two = make(learning=Learning(reset=0.01, **memory))
    order = rng.permutation(80)
    for part in np.array_split(order, 3):
        two.learn(
            Rewards(decision=ids[part], reward=np.array(rewards, float)[part], time=part + 1)
        )
    unrewarded = make(worker="", learning=Learning(reset=0.01, **memory))
    for time in range(80):
        two.record(unrewarded.select(arms=["a"], time=time))
    three = ContextualBandit.restore(one.snapshot(), BetaThompson())
    for name, total in one.sums(time=100).items():
        np.testing.assert_allclose(two.sums(time=100)[name], total, atol=1e-9)
        np.testing.assert_allclose(three.sums(time=100)[name], total, atol=1e-9)


def test_an_arm_that_moves_to_other_contexts_has_not_changed() -> None:
    context = Context((Factor("segment", ("cold", "regular")),))
    bandit = make(context=context)
    for segment, reward in (("cold", 0.0), ("regular", 1.0)):
        for _ in range(50):
            decision = bandit.select({"segment": segment}, arms=["a"], time=0)
            bandit.learn(decision.id, reward, time=1)
    assert bandit.sums(time=2)["wins"].sum() == 50
    assert bandit.sums(time=2)["losses"].sum() == 50


def regret(seed: int, reset: float | None) -> float:
    """Return the regret in a world whose best arm becomes its worst."""
    world = ChangingWorld(np.array([[0.8, 0.4], [0.1, 0.4]]), phase=600)
    rng = np.random.default_rng(seed)
    bandit = make(learning=Learning(reset=reset), limits=Limits(floor=0.02), seed=seed)
    total = 0.0
    for start in range(0, 1200, 20):
        turn = np.arange(start, start + 20)
        cells = np.zeros(20, dtype=np.int64)
        batch = bandit.select_many([{}] * 20, time=turn)
        arm = batch.arm.astype(np.int64)
        reward = world.rewards(cells, turn, arm, rng)
        bandit.learn(Rewards(decision=batch.id, reward=reward, time=turn + 1))
        total += float(world.regret(cells, turn, arm).sum())
    return total


def test_a_reset_saves_regret_when_the_world_changes() -> None:
    """Without it some 600 rounds of a good past have to be outweighed first."""
    with_reset = np.mean([regret(seed, 0.01) for seed in range(4)])
    without = np.mean([regret(seed, None) for seed in range(4)])
    assert with_reset < 0.6 * without


def test_what_does_not_suit_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="reset must be"):
        make(learning=Learning(reset=1.0))
    with pytest.raises(InvalidParameterError, match="feature vectors"):
        ContextualBandit(LinearThompson(), ("a", "b"), learning=Learning(reset=0.01), n_features=2)
    with pytest.raises(InvalidParameterError, match=r"leave \[0, 1\]"):
        ContextualBandit(GammaThompson(), ("a", "b"), learning=Learning(reset=0.01))
    with pytest.raises(InvalidDataError, match="whole log"):
        make().settle(5)
    settled = make(learning=Learning(reset=None), worker="old")
    feed(settled, [1.0] * 5)
    settled.settle(3)
    with pytest.raises(InvalidDataError, match="whole log"):
        make().merge(settled.snapshot())
