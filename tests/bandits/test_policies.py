"""Policies over counts: the contract, and an answer worked out by hand for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special
from typing_extensions import override

from siamrec.bandits import (
    KLUCB,
    UCB1,
    BayesUCB,
    BetaThompson,
    EpsilonGreedy,
    Exp3IX,
    GammaThompson,
    HierarchicalBeta,
    InformationDirected,
    NormalThompson,
    Policy,
    TopTwoThompson,
    TsallisINF,
    Uniform,
)
from siamrec.bandits.policies import Outcomes, Rounds, Space, _quadrature
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.simulation.bandits import AdditiveWorld
from siamrec.testing.bandits import PolicyContract, outcomes_of

ONE = Space(n_arms=2)


def weigh(policy: Policy[Any], rows: list[tuple[int, int, float]]) -> list[float]:
    sums = policy.update(policy.init(ONE), outcomes_of(rows))
    rounds = Rounds.of(np.array([0]), 2)
    return list(policy.weigh(policy.posterior(sums, ONE), rounds).probability[0])


class TestBetaThompson(PolicyContract):
    @override
    def make(self) -> BetaThompson:
        return BetaThompson()


class TestHierarchicalBeta(PolicyContract):
    @override
    def make(self) -> HierarchicalBeta:
        return HierarchicalBeta()


class TestHierarchicalBetaWithoutPooling(PolicyContract):
    @override
    def make(self) -> HierarchicalBeta:
        return HierarchicalBeta(pooling="none")


class TestUniform(PolicyContract):
    learns = tempered = False

    @override
    def make(self) -> Uniform:
        return Uniform()


class TestEpsilonGreedy(PolicyContract):
    @override
    def make(self) -> EpsilonGreedy:
        return EpsilonGreedy(epsilon=0.2, decay=10.0)


class TestUCB1(PolicyContract):
    @override
    def make(self) -> UCB1:
        return UCB1()


class TestKLUCB(PolicyContract):
    @override
    def make(self) -> KLUCB:
        return KLUCB(c=1.0)


class TestBayesUCB(PolicyContract):
    @override
    def make(self) -> BayesUCB:
        return BayesUCB()


class TestTopTwo(PolicyContract):
    @override
    def make(self) -> TopTwoThompson:
        return TopTwoThompson()


class TestInformationDirected(PolicyContract):
    tolerance = 1e-3  # two mixtures may be equally good up to rounding

    @override
    def make(self) -> InformationDirected:
        return InformationDirected()


class TestNormalThompson(PolicyContract):
    @override
    def make(self) -> NormalThompson:
        return NormalThompson(prior_mean=0.5)


class TestGammaThompson(PolicyContract):
    @override
    def make(self) -> GammaThompson:
        return GammaThompson()


class TestExp3IX(PolicyContract):
    @override
    def make(self) -> Exp3IX:
        return Exp3IX(horizon=100)


class TestTsallisINF(PolicyContract):
    @override
    def make(self) -> TsallisINF:
        return TsallisINF()


def test_ucb1_by_hand() -> None:
    # bounds 1/1 + sqrt(2 ln 3 / 1) and 1/2 + sqrt(2 ln 3 / 2)
    assert weigh(UCB1(), [(0, 0, 1.0), (0, 1, 1.0), (0, 1, 0.0)]) == [1.0, 0.0]
    assert weigh(UCB1(), [(0, 0, 1.0)]) == [0.0, 1.0]  # the unseen arm first
    assert weigh(UCB1(), []) == [0.5, 0.5]
    # 0.6 + sqrt(2 ln 110 / 100) = 0.907 against 0.2 + sqrt(2 ln 110 / 10) = 1.170
    rows = [(0, 0, 1.0)] * 60 + [(0, 0, 0.0)] * 40 + [(0, 1, 1.0)] * 2 + [(0, 1, 0.0)] * 8
    assert weigh(UCB1(), rows) == [0.0, 1.0]
    # kl(0.6, 0.74) = ln 110 / 100 and kl(0.2, 0.67) = ln 110 / 10: the other way round
    assert weigh(KLUCB(), rows) == [1.0, 0.0]


def test_top_two_by_hand() -> None:
    # Two arms: a redraw goes to the other one, so beta = 1/2 makes both even.
    rows = [(0, 0, 1.0), (0, 0, 1.0), (0, 1, 0.0), (0, 1, 0.0)]
    assert weigh(TopTwoThompson(), rows) == pytest.approx([0.5, 0.5])
    assert weigh(TopTwoThompson(beta=0.8), rows)[0] == pytest.approx(0.8 * 0.95 + 0.2 * 0.05)


def test_exp3_by_hand() -> None:
    # K = 2, T = 100: eta = sqrt(ln 2 / 100); one loss seen with p = 1/4.
    eta = np.sqrt(np.log(2) / 100)
    loss = 1 / (0.25 + 0.05)
    expected = 1 / (1 + np.exp(-eta * loss))
    assert weigh(Exp3IX(horizon=100), [(0, 0, 0.0)])[1] == pytest.approx(expected)


def test_tsallis_by_hand() -> None:
    # Round 2: eta = 2 / sqrt 2; losses 4 and 0; x solves the normalisation.
    shares = weigh(TsallisINF(), [(0, 0, 0.0)])
    eta, (first, second) = 2 / np.sqrt(2), shares
    x = -2 / (eta * np.sqrt(second))
    assert first == pytest.approx(4 / (eta * (4 - x)) ** 2, abs=1e-9)
    assert first + second == pytest.approx(1.0)


def test_normal_posterior_by_hand() -> None:
    # Rewards 1 and 3 under weight 1 at 0, shape 1, scale 1.
    policy = NormalThompson()
    rows = [(0, 0, 1.0), (0, 0, 3.0)]
    model = policy.posterior(policy.update(policy.init(ONE), outcomes_of(rows)), ONE)
    assert model.mean[0, 0] == pytest.approx(4 / 3)
    assert model.freedom[0, 0] == 4.0
    scale = 1 + (10 - 16 / 3) / 2
    assert model.scale[0, 0] == pytest.approx(np.sqrt(scale / (2 * 3)))


def test_information_directed_prefers_what_it_can_learn_from() -> None:
    rows = [(0, 0, 1.0)] * 50 + [(0, 0, 0.0)] * 50
    shares = weigh(InformationDirected(), rows)
    # Known 0.5 against unknown mean 0.5: the unknown arm costs nothing and teaches.
    assert shares[1] > 0.99


def test_conditional_means_equal_sampling() -> None:
    alpha, beta = np.array([[2.0, 5.0, 3.0]]), np.array([[3.0, 4.0, 3.0]])
    grid = _quadrature.beta_grid(alpha, beta)
    given = _quadrature.mean_given_best(grid, special.expit(grid.node))[0]
    draws = np.random.default_rng(1).beta(alpha, beta, size=(400_000, 3))
    winner = draws.argmax(axis=1)
    sampled = np.stack([draws[winner == arm].mean(axis=0) for arm in range(3)])
    # 5 sigma of a mean over about 60 000 draws of deviation 0.2.
    np.testing.assert_allclose(given, sampled, atol=0.004)


def test_fractional_reward_splits_into_win_and_loss() -> None:
    policy = BetaThompson(prior_wins=1, prior_losses=2)
    model = policy.posterior(policy.update(policy.init(ONE), outcomes_of([(0, 1, 0.25)])), ONE)
    np.testing.assert_allclose(model.alpha, [[1, 1.25]])
    np.testing.assert_allclose(model.beta, [[2, 2.75]])


def test_thompson_share_by_hand() -> None:
    # P(Beta(3, 1) > Beta(1, 3)) = 1 - 1 / C(6, 3) = 0.95.
    shares = weigh(BetaThompson(), [(0, 0, 1.0), (0, 0, 1.0), (0, 1, 0.0), (0, 1, 0.0)])
    assert shares[0] == pytest.approx(0.95, abs=1e-9)


def test_temperature_keeps_the_mean_and_thins_the_evidence() -> None:
    policy = BetaThompson()
    sums = policy.update(policy.init(ONE), outcomes_of([(0, 0, 1.0)] * 9))
    model = policy.posterior(sums, ONE)
    hot = Rounds(cell=np.array([0]), eligible=np.ones(2, bool), temperature=np.array([2.0]))
    got = policy.weigh(model, hot).probability[0, 0]
    # Beta(10, 1) and Beta(1, 1) at temperature 2 are Beta(5, .5) and Beta(.5, .5).
    rng = np.random.default_rng(5)
    draws = np.mean(rng.beta(5, 0.5, 200_000) > rng.beta(0.5, 0.5, 200_000))
    assert got == pytest.approx(draws, abs=0.005)  # 5 sigma


def test_epsilon_greedy_by_hand() -> None:
    assert weigh(EpsilonGreedy(epsilon=0.2), [(0, 1, 1.0)]) == pytest.approx([0.1, 0.9])
    assert weigh(EpsilonGreedy(epsilon=0.2), []) == pytest.approx([0.5, 0.5])
    # epsilon halves after `decay` rewards
    rows = [(0, 1, 1.0)] * 5
    assert weigh(EpsilonGreedy(epsilon=0.2, decay=5), rows) == pytest.approx([0.05, 0.95])


def test_pooling_carries_over_to_cells_never_seen() -> None:
    space = Space(n_arms=2, levels=(2, 2), pooled=(False, False))
    policy = HierarchicalBeta()
    # Arm 1 does well in level 0 of the first factor, whatever the second factor is.
    rows = [(0, 1, 1.0)] * 50 + [(0, 0, 0.0)] * 50
    sums = policy.update(policy.init(space), outcomes_of(rows))
    model = policy.posterior(sums, space)
    alpha, beta = policy.cells(model, np.array([1]))
    mean = alpha / (alpha + beta)
    assert mean[0, 1] > 0.7
    assert mean[0, 0] < 0.3
    assert (alpha + beta).max() <= policy.strength + 1e-9  # nothing seen there itself


def test_the_fit_is_the_maximum_of_the_penalised_likelihood() -> None:
    space = Space(n_arms=1, levels=(2, 2), pooled=(False, False))
    policy = HierarchicalBeta(strength=1e9)  # no discount for spread between cells
    rng = np.random.default_rng(2)
    rows = [
        (int(c), 0, float(r)) for c, r in zip(rng.integers(0, 4, 80), rng.random(80), strict=True)
    ]
    model = policy.posterior(policy.update(policy.init(space), outcomes_of(rows)), space)

    def objective(weight: np.ndarray) -> float:
        logit = model.design @ weight
        wins, losses = model.wins[:, 0], model.losses[:, 0]
        likelihood = (wins * special.log_expit(logit) + losses * special.log_expit(-logit)).sum()
        scale = np.array([1.5, 0.7, 0.7, 0.7, 0.7])
        return float(likelihood - 0.5 * ((weight / scale) ** 2).sum())

    best = objective(model.weight[0])
    for _ in range(50):
        assert objective(model.weight[0] + rng.normal(0, 0.05, 5)) < best


def test_own_data_count_once() -> None:
    # One cell only: the prediction from all other cells is the prior itself.
    policy = HierarchicalBeta()
    few = policy.posterior(policy.update(policy.init(ONE), outcomes_of([])), ONE)
    many = policy.posterior(policy.update(policy.init(ONE), outcomes_of([(0, 0, 1.0)] * 3)), ONE)
    before = policy.cells(few, np.array([0]))
    after = policy.cells(many, np.array([0]))
    prior = (after[0] - many.wins, after[1] - many.losses)
    size_before, size_after = (before[0] + before[1])[0, 0], (prior[0] + prior[1])[0, 0]
    # Exact for a normal likelihood; one Newton step back leaves a few percent here.
    assert size_after == pytest.approx(size_before, rel=0.5)
    assert prior[0][0, 0] / size_after == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_priors_must_be_positive(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match="prior_wins must be a finite number above 0"):
        BetaThompson(prior_wins=bad)
    with pytest.raises(InvalidParameterError, match="strength must be a finite number above 0"):
        HierarchicalBeta(strength=bad)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match=r"epsilon must be in \[0, 1\], got 1.5"):
        EpsilonGreedy(epsilon=1.5)
    with pytest.raises(UnknownNameError, match="pooling"):
        HierarchicalBeta(pooling="full")  # type: ignore[arg-type]


def lost(policy: Policy[Any], seed: int, *, cells: bool, horizon: int = 4000) -> float:
    """Regret on a world of 216 cells; beliefs are renewed after every 25 rewards."""
    rng = np.random.default_rng(seed)
    world = AdditiveWorld.drawn(rng)
    levels = world.levels if cells else ()
    space = Space(n_arms=6, levels=levels, pooled=(False,) * len(levels))
    sums, regret = policy.init(space), 0.0
    for start in range(0, horizon, 25):
        there, turn = world.cells(25, rng), np.arange(start, start + 25)
        known = there if cells else np.zeros(25, dtype=np.int64)
        model = policy.posterior(sums, space)
        chance = policy.weigh(model, Rounds.of(known, 6)).probability
        arm = (rng.random(25)[:, None] >= np.cumsum(chance, axis=1)).sum(axis=1).clip(0, 5)
        regret += float(world.regret(there, turn, arm).sum())
        outcomes = Outcomes(
            cell=known,
            arm=arm,
            reward=world.rewards(there, turn, arm, rng),
            weight=np.ones(25),
            propensity=chance[np.arange(25), arm],
        )
        policy.accumulate(sums, outcomes)
    return regret


@pytest.mark.slow
def test_pooling_beats_separate_cells_and_no_context() -> None:
    """Two worlds each; the margins asked for are half of those usually seen."""
    seeds = (0, 1)
    pooled = np.mean([lost(HierarchicalBeta(), seed, cells=True) for seed in seeds])
    separate = np.mean([lost(BetaThompson(), seed, cells=True) for seed in seeds])
    without = np.mean([lost(BetaThompson(), seed, cells=False) for seed in seeds])
    even = np.mean([lost(Uniform(), seed, cells=True) for seed in seeds])
    assert pooled < 0.5 * separate
    assert pooled < 0.75 * without
    assert separate < 0.9 * even
