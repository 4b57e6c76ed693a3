"""Linear policies: regression by hand, cold arms, pruned equals full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typing_extensions import override

from siamrec.bandits import ContextualBandit, LinearThompson, LinearUCB
from siamrec.bandits.policies import LinearSampler, Rounds, Space
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.testing.bandits import PolicyContract, outcomes_of

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Sums


class TestLinearThompson(PolicyContract):
    @override
    def make(self) -> LinearThompson:
        return LinearThompson()


class TestLinearUCB(PolicyContract):
    @override
    def make(self) -> LinearUCB:
        return LinearUCB()


def rounds(features: list[list[float]], n_arms: int) -> Rounds:
    table = np.array(features)
    return Rounds.of(np.zeros(len(table), dtype=np.int64), n_arms, features=table)


def test_a_cold_arm_has_deviation_noise_over_root_ridge() -> None:
    policy = LinearThompson(noise=1.0, ridge=10.0)
    space = Space(n_arms=2, n_features=3)
    model = policy.posterior(policy.init(space), space)
    found = policy.estimate(model, rounds([[1.0, 0.0, 0.0]], 2))
    assert found.high[0, 0] == pytest.approx(1.96 / np.sqrt(10), rel=1e-4)


def test_regression_by_hand() -> None:
    policy = LinearThompson(noise=1.0, ridge=1.0)
    space = Space(n_arms=2, n_features=3)
    rows = [(0, 0, 1.0), (2, 0, 0.0), (1, 0, 0.5)]
    outcomes = outcomes_of(rows)
    model = policy.posterior(policy.update(policy.init(space), outcomes), space)
    assert outcomes.features is not None
    x = outcomes.features
    precision = np.eye(3) + x.T @ x
    np.testing.assert_allclose(
        model.mean[0], np.linalg.solve(precision, x.T @ outcomes.reward), atol=1e-12
    )
    centre, width = model.predict(x[:1])
    assert width[0, 0] == pytest.approx(np.sqrt(x[0] @ np.linalg.inv(precision) @ x[0]))
    # Two arms: the probability is a normal distribution function.
    shares = policy.weigh(model, rounds([list(x[0])], 2)).probability[0]
    gap = (centre[0, 0] - centre[0, 1]) / np.hypot(*width[0])
    assert shares[0] == pytest.approx(stats.norm.cdf(gap), abs=1e-8)


def test_far_arms_are_left_out_without_a_trace() -> None:
    policy = LinearThompson(noise=0.1)
    space = Space(n_arms=40, n_features=1)
    rng = np.random.default_rng(1)
    sums = policy.init(space)
    sums["precision"] += rng.uniform(5, 50, (40, 1, 1))
    sums["gain"] += sums["precision"][:, :, 0] * rng.normal(0, 1, (40, 1))
    shares = policy.weigh(policy.posterior(sums, space), rounds([[1.0]], 40)).probability[0]
    precision = sums["precision"][:, 0, 0] + 1
    draws = rng.normal(sums["gain"][:, 0] / precision, 0.1 / np.sqrt(precision), (200_000, 40))
    frequency = np.bincount(draws.argmax(axis=1), minlength=40) / 200_000
    np.testing.assert_allclose(shares, frequency, atol=0.006)  # 5 sigma


@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_pruned_choices_are_the_full_ones(seed: int, n_updates: int) -> None:
    rng = np.random.default_rng(seed)
    sampler = LinearSampler(n_arms=60, n_features=5, noise=0.7, ridge=2.0)
    precision = np.repeat(np.eye(5)[None] * 2.0, 60, axis=0)
    gain = np.zeros((60, 5))
    for _ in range(n_updates):
        arm, x, reward = int(rng.integers(60)), rng.normal(size=5), float(rng.normal())
        sampler.learn(arm, x, reward)
        precision[arm] += np.outer(x, x)
        gain[arm] += reward * x
    covariance = np.linalg.inv(precision)
    for _ in range(5):
        x, z = rng.normal(size=5), rng.normal(size=60)
        spread = np.sqrt(np.einsum("kij,i,j->k", covariance, x, x))
        score = np.einsum("kij,kj,i->k", covariance, gain, x) + 0.7 * z * spread
        assert sampler.choose(x, z) == int(np.argmax(score))


def taught(rows: range, *, sums: Sums | None = None) -> LinearSampler:
    sampler = LinearSampler(n_arms=3, n_features=4, ridge=0.5, sums=sums)
    for row in rows:
        rng = np.random.default_rng(row)
        sampler.learn(int(rng.integers(3)), rng.normal(size=4), float(rng.normal()))
    return sampler


def choices(sampler: LinearSampler) -> list[int]:
    rng = np.random.default_rng(9)
    return [sampler.choose(rng.normal(size=4), rng.normal(size=3)) for _ in range(200)]


def test_a_sampler_goes_on_from_added_sums() -> None:
    whole, first, second = taught(range(60)), taught(range(25)), taught(range(25, 60))
    added = {name: first.sums()[name] + total for name, total in second.sums().items()}
    for name, total in whole.sums().items():
        np.testing.assert_allclose(added[name], total, rtol=1e-12)
    assert choices(LinearSampler(n_arms=3, n_features=4, ridge=0.5, sums=added)) == choices(whole)
    # The sums are those of the policy: a bandit's state can be served by a sampler.
    model = LinearThompson(ridge=0.5).posterior(added, Space(n_arms=3, n_features=4))
    centre, _ = model.predict(np.eye(4))
    best = [whole.choose(row, np.zeros(3)) for row in np.eye(4)]
    assert best == centre.argmax(axis=1).tolist()
    assert choices(taught(range(25, 60), sums=first.sums())) == choices(whole)
    with pytest.raises(InvalidParameterError, match=r"gain must be of shape \(3, 4\)"):
        LinearSampler(n_arms=3, n_features=4, sums={**added, "gain": np.zeros((3, 5))})


def test_rounding_does_not_grow_over_many_updates() -> None:
    # A feature of 1e6 takes nearly all of the prior's 1 / ridge: each update would lose digits.
    rng = np.random.default_rng(8)
    sampler = LinearSampler(n_arms=1, n_features=3, ridge=1e-3)
    for _ in range(1700):
        sampler.learn(0, rng.normal(size=3) * [1e6, 1.0, 1e-3], 1.0)
    precision = sampler.sums()["precision"][0] + 1e-3 * np.eye(3)
    np.testing.assert_allclose(sampler._covariance[0] @ precision, np.eye(3), atol=1e-6)


def test_a_bandit_with_features() -> None:
    bandit = ContextualBandit(LinearThompson(noise=0.2), arms=("a", "b"), n_features=2, seed=4)
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(300, 2))
    batch = bandit.select_many([{}] * 300, features=vectors)
    right = np.where(batch.arm == 0, vectors[:, 0], -vectors[:, 0])
    bandit.learn(Rewards(decision=batch.id, reward=right))
    assert bandit.probabilities(features=np.array([1.0, 0.0]))["a"] > 0.99
    assert bandit.probabilities(features=np.array([-1.0, 0.0]))["b"] > 0.99
    ranked = bandit.select(features=np.array([1.0, 0.0]), n=2)
    assert set(ranked.arms) == {"a", "b"}
    replayed = ContextualBandit(LinearThompson(noise=0.2), arms=("a", "b"), n_features=2, seed=4)
    with pytest.raises(MissingInputError, match="features"):
        replayed.record(batch)
    replayed.record(batch, features=vectors)
    replayed.learn(Rewards(decision=batch.id, reward=right))
    for name, total in bandit.sums().items():
        np.testing.assert_allclose(replayed.sums()[name], total, rtol=1e-9)
    state = bandit.snapshot()
    twin = ContextualBandit.restore(state, LinearThompson(noise=0.2))
    for name, total in bandit.sums().items():
        np.testing.assert_allclose(twin.sums()[name], total, rtol=1e-12)


def test_features_are_checked() -> None:
    bandit = ContextualBandit(LinearThompson(), arms=("a", "b"), n_features=2)
    with pytest.raises(MissingInputError, match="features"):
        bandit.select()
    with pytest.raises(InvalidDataError, match="features must have shape"):
        bandit.select(features=np.ones(3))
    with pytest.raises(InvalidDataError, match="features must be finite"):
        bandit.select(features=np.array([np.nan, 1.0]))
    with pytest.raises(InvalidParameterError, match="noise"):
        LinearThompson(noise=0.0)
    with pytest.raises(InvalidParameterError, match="one draw for 3 arms"):
        LinearSampler(n_arms=3, n_features=1).choose(np.ones(1), np.zeros(2))
