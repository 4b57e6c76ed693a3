"""Mistakes that other libraries make, each with a test that this one does not."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.bandits import (
    BetaThompson,
    ContextualBandit,
    EpsilonGreedy,
    Exp3IX,
    Learning,
    LinearThompson,
)
from siamrec.bandits.ope import IPS, SNIPS, Log
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.statistics import wilson


def test_the_spread_of_a_linear_arm_shrinks_with_data() -> None:
    # Sampling with the precision in place of the covariance makes it grow: 1000 times too wide
    # after 1000 rewards.
    bandit = ContextualBandit(LinearThompson(noise=1.0, ridge=1.0), ("a", "b"), n_features=1)
    x = np.ones((999, 1))
    batch = bandit.select_many([{}] * 999, arms=["a"], features=x)
    bandit.learn(Rewards(decision=batch.id, reward=np.full(999, 0.5)))
    view = bandit.describe(features=np.array([1.0]))["a"]
    assert (view.high - view.low) / 2 == pytest.approx(1.96 / np.sqrt(1000), rel=1e-3)


def test_a_cold_linear_arm_is_as_wide_as_its_prior() -> None:
    # With the ridge itself for the covariance it would grow wider, not narrower.
    for ridge in (0.1, 10.0):
        bandit = ContextualBandit(LinearThompson(noise=1.0, ridge=ridge), ("a", "b"), n_features=1)
        view = bandit.describe(features=np.array([1.0]))["a"]
        assert (view.high - view.low) / 2 == pytest.approx(1.96 / np.sqrt(ridge), rel=1e-3)


def test_a_constant_reward_is_judged_by_its_range() -> None:
    # Resampling with a denominator that stays gives [0.97, 1.03] around a value that is 1.
    rng = np.random.default_rng(0)
    log = Log(
        action=rng.integers(0, 3, 400),
        reward=np.ones(400),
        propensity=np.full(400, 1 / 3),
        reward_range=(0.0, 1.0),
    )
    estimate = SNIPS().estimate(
        log, np.tile([0.6, 0.3, 0.1], (400, 1)), interval="bootstrap", rng=rng
    )
    assert estimate.raw == pytest.approx(1.0)
    alike = estimate.effective_sample_size
    assert estimate.interval == pytest.approx(wilson(alike, alike))


def test_decay_does_not_depend_on_batches() -> None:
    # Decaying once for each call leaves 11 pseudo-successes of one batch, 7.5 of ten.
    def learned(batches: int) -> dict[str, np.ndarray]:
        clock = ManualClock(5 * DAY)
        bandit = ContextualBandit(
            BetaThompson(), ("a", "b"), learning=Learning(half_life="1d"), clock=clock
        )
        many = bandit.select_many([{}] * 20)
        for part in np.array_split(np.arange(20), batches):
            bandit.learn(Rewards(decision=many.id[part], reward=np.ones(part.size)))
        return bandit.sums()

    one, ten = learned(1), learned(10)
    for name, sums in one.items():
        np.testing.assert_allclose(ten[name], sums)


def test_a_reward_before_any_choice_is_no_crash() -> None:
    bandit = ContextualBandit(Exp3IX(), ("a", "b"))
    assert bandit.learn("made elsewhere", reward=1.0).early == 1


def test_the_logged_propensity_weighs_the_reward_whatever_was_learned_since() -> None:
    # Deriving it anew from what is believed now gives another importance weight.
    clock = ManualClock(1)
    early, late = (ContextualBandit(Exp3IX(), ("a", "b"), clock=clock) for _ in range(2))
    first = early.select()
    others = [early.select() for _ in range(30)]
    early.learn(first.id, reward=0.0)
    for decision in others:
        early.learn(decision.id, reward=float(decision.arm == "a"))
    first_again = late.select()
    assert first_again == first
    others_again = [late.select() for _ in range(30)]
    for decision in others_again:
        late.learn(decision.id, reward=float(decision.arm == "a"))
    late.learn(first_again.id, reward=0.0)
    for name, sums in early.sums().items():
        np.testing.assert_allclose(late.sums()[name], sums)


def test_thompson_says_its_probability_not_what_was_drawn() -> None:
    # A probability taken after the draw is 0 or 1, and no log of it can be used.
    bandit = ContextualBandit(LinearThompson(), ("a", "b", "c"), n_features=2)
    rng = np.random.default_rng(0)
    chances = {bandit.select(features=rng.normal(size=2)).propensity for _ in range(20)}
    assert all(0.05 < chance < 0.95 for chance in chances)


def test_a_restored_copy_does_not_explore_in_step_with_the_first() -> None:
    # A generator that is saved with the state replays one exploration in every copy.
    bandit = ContextualBandit(EpsilonGreedy(epsilon=1.0), ("a", "b"), worker="one")
    snapshot = bandit.snapshot()
    copy = ContextualBandit.restore(snapshot, EpsilonGreedy(epsilon=1.0), worker="two")
    own = [bandit.select(time=n).arm for n in range(200)]
    others = [copy.select(time=n).arm for n in range(200)]
    agreement = np.mean([a == b for a, b in zip(own, others, strict=True)])
    # 200 fair coins: 5 sigma is 0.18
    assert agreement == pytest.approx(0.5, abs=0.18)


def test_seed_zero_is_a_seed() -> None:
    one, two = (
        ContextualBandit(BetaThompson(), ("a", "b"), seed=0, clock=ManualClock(3))
        for _ in range(2)
    )
    assert one.select() == two.select()


def test_the_last_arm_can_be_removed_and_an_arm_that_is_not_there_cannot() -> None:
    bandit = ContextualBandit(BetaThompson(), ("a", "b", "c"))
    bandit.remove_arm("c")
    assert list(bandit.arms) == ["a", "b"]
    with pytest.raises(LookupError):
        bandit.remove_arm("d")
    bandit.add_arm("d")
    assert list(bandit.arms) == ["a", "b", "d"]


def test_bounds_of_rewards_are_asked_for_not_taken_from_the_sample() -> None:
    # A Bernstein bound with the greatest sampled value in place of the range promises too much.
    log = Log(action=np.zeros(99, int), reward=np.ones(99), propensity=np.full(99, 0.5))
    with pytest.raises((MissingInputError, InvalidParameterError)):
        IPS().estimate(log, np.full(99, 0.5), interval="empirical-bernstein")


def test_an_excluded_arm_is_not_listed_and_the_list_is_not_short() -> None:
    bandit = ContextualBandit(BetaThompson(), ("a", "b", "c", "d"))
    for _ in range(30):
        decision = bandit.select(n=3, arms=["a", "b", "d"])
        assert set(decision.arms) == {"a", "b", "d"}
    with pytest.raises(InvalidParameterError):
        bandit.select(n=3, arms=["a", "b"])


def test_a_reward_that_is_not_a_number_changes_nothing() -> None:
    bandit = ContextualBandit(BetaThompson(), ("a", "b"))
    decision = bandit.select()
    before = bandit.sums()
    with pytest.raises(InvalidDataError):
        bandit.learn(decision.id, reward=float("nan"))
    for name, sums in bandit.sums().items():
        np.testing.assert_array_equal(sums, before[name])
