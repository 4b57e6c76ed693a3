"""Bandit worlds: rates as told, exact values as published."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.bandits import BayesUCB, BetaThompson, EpsilonGreedy, Policy, Uniform
from siamrec.bandits.policies import Outcomes, Rounds, Space
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.simulation.bandits import (
    AdditiveWorld,
    BernoulliWorld,
    ChangingWorld,
    LinearWorld,
    delays,
    exact_regret,
    optimal_regret,
)

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray


def played_by(policy: Policy[Any], states: IntArray) -> FloatArray:
    """Return a policy's probability of the first arm in each state, one state per cell."""
    space = Space(n_arms=2, levels=(len(states),), pooled=(False,))
    rows = np.arange(len(states))
    cell, arm = np.repeat(rows, 4), np.tile([0, 0, 1, 1], len(states))
    outcomes = Outcomes(
        cell=cell,
        arm=arm,
        reward=np.tile([1.0, 0.0, 1.0, 0.0], len(states)),
        weight=states.reshape(-1).astype(float),
        propensity=np.full(cell.size, 0.5),
    )
    model = policy.posterior(policy.update(policy.init(space), outcomes), space)
    return policy.weigh(model, Rounds.of(rows, 2)).probability[:, 0]


@pytest.mark.parametrize(
    ("policy", "horizon", "expected"),
    [
        (BetaThompson(), 10, 0.9621),
        (BetaThompson(), 25, 1.5628),
        (BayesUCB(), 10, 0.6622),
        (BayesUCB(), 25, 1.0709),
        (Uniform(), 25, 25 / 6),
    ],
)
def test_regret_is_the_exact_one(policy: Policy[Any], horizon: int, expected: float) -> None:
    """No simulation: every state of the counts is followed with its probability."""
    assert exact_regret(lambda states: played_by(policy, states), horizon) == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "expected"), [(BetaThompson(), 2.1258), (BayesUCB(), 1.5036)])
def test_regret_over_fifty_rounds(policy: Policy[Any], expected: float) -> None:
    found = exact_regret(lambda states: played_by(policy, states), 50)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("horizon", "expected"), [(10, 0.6449), (25, 0.9970), (50, 1.3366)])
def test_the_best_possible_regret(horizon: int, expected: float) -> None:
    assert optimal_regret(horizon) == pytest.approx(expected, abs=1e-4)


def test_nothing_beats_the_best_possible() -> None:
    policies: tuple[Policy[Any], ...] = (BetaThompson(), BayesUCB(), EpsilonGreedy(epsilon=0.0))
    for policy in policies:
        found = exact_regret(partial(played_by, policy), 12)
        assert found >= optimal_regret(12) - 1e-12


def test_lower_bound_constants() -> None:
    assert BernoulliWorld((0.5, *[0.4] * 5)).lai_robbins() == pytest.approx(24.832, abs=1e-3)
    assert BernoulliWorld((0.9, 0.6)).lai_robbins() == pytest.approx(0.9639, abs=1e-4)


def test_rewards_follow_the_rates() -> None:
    world = BernoulliWorld((0.2, 0.9))
    rng = np.random.default_rng(1)
    cells, turn = np.zeros(20_000, dtype=np.int64), np.arange(20_000)
    arm = turn % 2
    rewards = world.rewards(cells, turn, arm, rng)
    assert rewards[arm == 0].mean() == pytest.approx(0.2, abs=0.02)  # 5 sigma
    assert world.regret(cells, turn, arm).mean() == pytest.approx(0.35)


def test_the_default_world_has_216_cells() -> None:
    world = AdditiveWorld.drawn(np.random.default_rng(2))
    assert (world.n_cells, world.n_arms) == (216, 6)
    assert world.means(np.arange(216), np.zeros(216, dtype=np.int64)).shape == (216, 6)


def test_changing_worlds() -> None:
    rates = np.array([[0.1, 0.9], [0.9, 0.1]])
    turn = np.array([0, 5, 9, 10, 25])
    cells = np.zeros(5, dtype=np.int64)
    jump = ChangingWorld(rates, phase=10).means(cells, turn)[:, 0]
    np.testing.assert_allclose(jump, [0.1, 0.1, 0.1, 0.9, 0.9])
    drift = ChangingWorld(rates, phase=10, smooth=True).means(cells, turn)[:, 0]
    np.testing.assert_allclose(drift, [0.1, 0.5, 0.82, 0.9, 0.9])


def test_delays() -> None:
    waits = delays(20_000, np.random.default_rng(3), mean=2.0, never=0.25)
    assert np.isinf(waits).mean() == pytest.approx(0.25, abs=0.016)
    assert waits[np.isfinite(waits)].mean() == pytest.approx(2.0, abs=0.09)


def test_linear_worlds_by_hand() -> None:
    world = LinearWorld(np.array([[1.0, 0.0], [0.0, 2.0]]), noise=0.0)
    vectors, arm = np.array([[0.6, 0.8], [1.0, 0.0]]), np.array([0, 0])
    np.testing.assert_allclose(world.means(vectors), [[0.6, 1.6], [1.0, 0.0]])
    np.testing.assert_allclose(world.regret(vectors, arm), [1.0, 0.0])
    drawn = world.rewards(vectors, arm, np.random.default_rng(0))
    np.testing.assert_allclose(drawn, [0.6, 1.0])


def test_least_squares_finds_the_linear_world() -> None:
    rng = np.random.default_rng(4)
    world = LinearWorld.drawn(rng, n_arms=3, n_features=4, noise=0.1)
    vectors = world.vectors(20_000, rng)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    arm = np.arange(20_000) % 3
    rewards = world.rewards(vectors, arm, rng)
    for own in range(3):
        rows = arm == own
        found = np.linalg.lstsq(vectors[rows], rewards[rows], rcond=None)[0]
        # each coefficient has a standard error of 0.1 * 2 / sqrt(6667) = 0.0025
        np.testing.assert_allclose(found, world.weights[own], atol=0.015)


def test_bad_worlds_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="rate must be"):
        BernoulliWorld((1.5,))
    with pytest.raises(InvalidParameterError, match="horizon must be"):
        optimal_regret(0)
    with pytest.raises(InvalidParameterError, match="mean must be"):
        delays(3, np.random.default_rng(0), mean=0.0)
    with pytest.raises(InvalidParameterError, match="weights must be of shape"):
        LinearWorld(np.ones(3))
    with pytest.raises(InvalidDataError, match="weights must be finite"):
        LinearWorld(np.array([[np.nan]]))
