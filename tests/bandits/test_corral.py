"""Corral: its step against the definition, its propensities, and what it finds out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson, Context, Corral, EpsilonGreedy, Factor, Uniform
from siamrec.bandits.corral import log_barrier_step
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.protocols import Bandit


def corral_of(seed: int = 0, **changes: object) -> Corral:
    return Corral(
        {"thompson": BetaThompson(), "uniform": Uniform()},
        ("a", "b", "c"),
        horizon=2000,
        seed=seed,
        clock=ManualClock(7),
        **changes,  # type: ignore[arg-type]
    )


@given(
    weights=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_the_step_is_the_log_barrier_step(weights: list[float], data: st.DataObject) -> None:
    share = np.array(weights) / np.sum(weights)
    n = share.size
    rate = np.array(data.draw(st.lists(st.floats(0.01, 1.0), min_size=n, max_size=n)))
    loss = np.array(data.draw(st.lists(st.floats(0.0, 20.0), min_size=n, max_size=n)))
    stepped = log_barrier_step(share, rate, loss)
    assert stepped.sum() == pytest.approx(1.0)
    assert (stepped > 0).all()
    # The same λ must explain every share.
    multiplier = loss - (1.0 / stepped - 1.0 / share) / rate
    np.testing.assert_allclose(multiplier, multiplier[0], atol=1e-5 * (1 + loss.max()))


def test_equal_losses_change_nothing() -> None:
    share = np.array([0.2, 0.8])
    np.testing.assert_allclose(log_barrier_step(share, np.ones(2), np.full(2, 3.0)), share)


def test_a_loss_moves_the_share_away() -> None:
    stepped = log_barrier_step(np.array([0.5, 0.5]), np.full(2, 0.1), np.array([2.0, 0.0]))
    # 1/p₁ = 2 + 0.1 (2 − λ), 1/p₂ = 2 − 0.1 λ and p₁ + p₂ = 1, solved by hand: λ = 10 (2 − x) with
    # x = 1/p₂ and 1/x + 1/(x + 0.2) = 1, so x² − 1.8 x − 0.2 = 0.
    x = (1.8 + np.sqrt(1.8**2 + 0.8)) / 2
    np.testing.assert_allclose(stepped, [1 - 1 / x, 1 / x])


def test_propensities_are_the_shares_of_the_draws() -> None:
    corral = corral_of()
    for n in range(60):
        decision = corral.select()
        corral.learn_one(decision.id, float(decision.arm == "a") * (n % 2))
    propensity = {}
    counts = dict.fromkeys(corral.arms, 0)
    for _ in range(4000):
        decision = corral.select()
        propensity[decision.arm] = decision.propensity
        counts[decision.arm] += 1
    assert sum(propensity.values()) == pytest.approx(1.0)
    for arm, expected in propensity.items():
        # 4000 draws by hash: 5 sigma
        sigma = np.sqrt(expected * (1 - expected) / 4000)
        assert counts[arm] / 4000 == pytest.approx(expected, abs=5 * sigma)


def test_the_better_policy_takes_over() -> None:
    rng = np.random.default_rng(3)
    corral = corral_of(seed=3)
    rates = {"a": 0.9, "b": 0.1, "c": 0.1}
    for _ in range(1500):
        decision = corral.select()
        corral.learn_one(decision.id, float(rng.random() < rates[decision.arm]))
    # Thompson earns about 0.9 and uniform 0.37: at η = 0.1 the shares part by hundreds of steps.
    assert corral.shares["thompson"] > 0.8


def test_a_repeated_reward_counts_once() -> None:
    corral = corral_of()
    decision = corral.select()
    rewards = Rewards(decision=np.array([decision.id, decision.id]), reward=np.array([0.0, 0.0]))
    assert corral.learn(rewards) == 1
    shares = corral.shares
    assert corral.learn(rewards) == 0
    assert corral.shares == shares
    assert corral.learn_one("nobody made this", 1.0) is False


def test_it_is_a_bandit_and_the_same_seed_repeats() -> None:
    context = Context((Factor("segment", ("cold", "warm")),))
    policies = {"greedy": EpsilonGreedy(), "uniform": Uniform()}
    one, two = (
        Corral(policies, ("a", "b"), horizon=99, context=context, seed=5, clock=ManualClock(1))
        for _ in range(2)
    )
    assert isinstance(one, Bandit)
    contexts = [{"segment": "cold"}, {"segment": "warm"}] * 10
    first, second = one.select_many(contexts), two.select_many(contexts)
    np.testing.assert_array_equal(first.arm, second.arm)
    np.testing.assert_array_equal(first.propensity, second.propensity)
    assert set(one.snapshot()["policies"]) == {"greedy", "uniform"}


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="policies must be two or more policies"):
        Corral({"one": Uniform()}, ("a", "b"), horizon=10)
    with pytest.raises(
        InvalidParameterError, match="horizon must be a whole number of at least 2"
    ):
        Corral({"x": Uniform(), "y": Uniform()}, ("a", "b"), horizon=1)
    with pytest.raises(InvalidParameterError, match="n must be 1 for a corral"):
        corral_of().select(n=2)
    corral = corral_of()
    decision = corral.select()
    shares = corral.shares
    with pytest.raises(InvalidDataError, match=r"Every reward must be in \[0, 1\]"):
        corral.learn(Rewards(decision=np.array([decision.id]), reward=np.array([1.5])))
    with pytest.raises(InvalidDataError, match=r"Every reward must be in \[0, 1\]"):
        corral.learn_one(decision.id, -0.5)
    assert corral.shares == shares
