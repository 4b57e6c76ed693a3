"""Worlds for bandits with known answers, and what the best possible player would lose in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Record, counted, number
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray, IntArray


class BanditWorld(ABC):
    """Rounds in context cells, and the expected reward of each arm."""

    @property
    @abstractmethod
    def n_arms(self) -> int:
        """Number of arms."""

    @property
    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """Number of levels of each context factor; empty without context."""

    @abstractmethod
    def means(self, cells: IntArray, turn: IntArray) -> FloatArray:
        """Return the expected reward of every arm in each round, `(n, n_arms)`.

        Args:
            cells: Context cell of each round.
            turn: Number of each round, from 0.
        """

    @property
    def n_cells(self) -> int:
        """Number of context cells."""
        return int(np.prod(self.levels, dtype=np.int64)) if self.levels else 1

    def cells(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draw the cells of n rounds evenly."""
        return rng.integers(0, self.n_cells, n)

    def rewards(
        self, cells: IntArray, turn: IntArray, arm: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw a reward of 0 or 1 for the arm chosen in each round."""
        rate = self.means(cells, turn)[np.arange(cells.size), arm]
        return (rng.random(cells.size) < rate).astype(np.float64)

    def regret(self, cells: IntArray, turn: IntArray, arm: IntArray) -> FloatArray:
        """Return by how much each choice falls short of the best arm, in expectation."""
        means = self.means(cells, turn)
        return np.asarray(means.max(axis=1) - means[np.arange(cells.size), arm])


@final
@dataclass(frozen=True, slots=True, repr=False)
class BernoulliWorld(BanditWorld, Record):
    """Arms with fixed success rates.

    Args:
        rates: Success rate of each arm, in [0, 1].

    Raises:
        InvalidParameterError: If a rate is outside [0, 1].
    """

    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        for rate in check.many("rates", self.rates, what="rates"):
            check.share("rate", rate)

    @override
    def title(self) -> str:
        return f"Bernoulli world of {counted(len(self.rates), 'arm')}"

    @property
    @override
    def n_arms(self) -> int:
        return len(self.rates)

    @property
    @override
    def levels(self) -> tuple[int, ...]:
        return ()

    @override
    def means(self, cells: IntArray, turn: IntArray) -> FloatArray:
        return np.repeat(np.array(self.rates)[None], cells.size, axis=0)

    def lai_robbins(self) -> float:
        """Return the constant C of the asymptotic lower bound: regret is at least C ln T.

        C = sum over worse arms of (best - p_a) / kl(p_a, best).

        References:
            Lai and Robbins (1985), Advances in Applied Mathematics 6.
        """
        rates, best = np.array(self.rates), max(self.rates)
        worse = rates[rates < best]
        divergence = special.rel_entr(worse, best) + special.rel_entr(1 - worse, 1 - best)
        return float(((best - worse) / divergence).sum())


@final
@dataclass(frozen=True, slots=True, repr=False)
class AdditiveWorld(BanditWorld, Record):
    """Success rates that are additive in the levels of the context, on the logit scale.

        logit p(cell, arm) = base(arm) + sum of effects(level, arm) + interaction(cell, arm)

    Args:
        sizes: Number of levels of each factor.
        logit: Logit of each rate, shape `(n_cells, n_arms)`.
    """

    sizes: tuple[int, ...]
    logit: FloatArray

    @override
    def title(self) -> str:
        return f"Additive world of {counted(self.logit.shape[-1], 'arm')}"

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        sizes: tuple[int, ...] = (4, 2, 3, 3, 3),
        n_arms: int = 6,
        base: float = -1.0,
        effect: float = 0.5,
        interaction: float = 0.2,
    ) -> AdditiveWorld:
        """Draw a world; by default of 4 x 2 x 3 x 3 x 3 = 216 cells and 6 arms.

        Args:
            rng: Source of chance.
            sizes: Number of levels of each factor.
            n_arms: Number of arms.
            base: Mean of the arms' base logits.
            effect: Deviation of base logits and of the effect of a level.
            interaction: Deviation of what is peculiar to a cell.
        """
        n_cells = int(np.prod(sizes))
        logit = base + rng.normal(0, effect, (1, n_arms)) + np.zeros((n_cells, n_arms))
        stride = n_cells
        for size in sizes:
            stride //= size
            level = np.arange(n_cells) // stride % size
            logit = logit + rng.normal(0, effect, (size, n_arms))[level]
        return cls(tuple(sizes), logit + rng.normal(0, interaction, (n_cells, n_arms)))

    @property
    @override
    def n_arms(self) -> int:
        return int(self.logit.shape[1])

    @property
    @override
    def levels(self) -> tuple[int, ...]:
        return self.sizes

    @override
    def means(self, cells: IntArray, turn: IntArray) -> FloatArray:
        return np.asarray(special.expit(self.logit[cells]), dtype=np.float64)


@final
@dataclass(frozen=True, slots=True, repr=False)
class ChangingWorld(BanditWorld, Record):
    """Arms whose success rates move between given ones: at once, or little by little.

    Args:
        rates: One row of rates per phase, shape `(n_phases, n_arms)`.
        phase: Rounds per phase.
        smooth: Whether rates move in a straight line to the next phase's instead of jumping.
    """

    rates: FloatArray
    phase: int
    smooth: bool = False

    @override
    def title(self) -> str:
        return f"Changing world of {counted(self.rates.shape[-1], 'arm')}"

    @property
    @override
    def n_arms(self) -> int:
        return int(self.rates.shape[1])

    @property
    @override
    def levels(self) -> tuple[int, ...]:
        return ()

    @override
    def means(self, cells: IntArray, turn: IntArray) -> FloatArray:
        last = len(self.rates) - 1
        now = np.minimum(turn // self.phase, last)
        if not self.smooth:
            return np.asarray(self.rates[now])
        part = np.where(now < last, turn % self.phase / self.phase, 0.0)[:, None]
        return np.asarray(
            (1 - part) * self.rates[now] + part * self.rates[np.minimum(now + 1, last)]
        )


@final
@dataclass(frozen=True, slots=True, repr=False)
class LinearWorld(Record):
    """Arms whose expected reward is linear in a feature vector of the round.

        reward = vector @ weights[arm] + noise * N(0, 1),   vectors evenly on the unit sphere

    Args:
        weights: Coefficients of each arm, shape `(n_arms, n_features)`.
        noise: Standard deviation of a reward given its vector, not below 0.

    Raises:
        InvalidDataError: If the weights are not finite.
        InvalidParameterError: If the noise is below 0 or the weights are no table.

    Examples:
        >>> world = LinearWorld(np.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> world.regret(np.array([[0.6, 0.8]]), np.array([0])).round(3).tolist()
        [0.2]
    """

    weights: FloatArray
    noise: float = 0.1

    def __post_init__(self) -> None:
        weights = check.finite("weights", np.asarray(self.weights))
        if weights.ndim != 2 or not weights.size:
            raise InvalidParameterError(
                "weights", weights.shape, "of shape (n_arms, n_features), not empty"
            )
        check.not_negative("noise", self.noise)
        object.__setattr__(self, "weights", check.frozen(weights, np.float64))

    @override
    def title(self) -> str:
        return f"Linear world of {counted(len(self.weights), 'arm')}, noise {number(self.noise)}"

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, *, n_arms: int = 5, n_features: int = 8, noise: float = 0.1
    ) -> LinearWorld:
        """Draw a world whose arms' coefficients are even on the unit sphere."""
        size = check.count("n_arms", n_arms), check.count("n_features", n_features)
        return cls(_sphere(rng, *size), noise)

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return int(self.weights.shape[0])

    @property
    def n_features(self) -> int:
        """Length of the feature vectors."""
        return int(self.weights.shape[1])

    def vectors(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw the feature vectors of n rounds, shape `(n, n_features)`."""
        return _sphere(rng, n, self.n_features)

    def means(self, vectors: FloatArray) -> FloatArray:
        """Return the expected reward of every arm in each round, `(n, n_arms)`."""
        return np.asarray(vectors @ self.weights.T)

    def rewards(self, vectors: FloatArray, arm: IntArray, rng: np.random.Generator) -> FloatArray:
        """Draw the reward of the arm chosen in each round."""
        mean = (vectors * self.weights[arm]).sum(axis=1)
        return np.asarray(mean + self.noise * rng.normal(size=len(mean)))

    def regret(self, vectors: FloatArray, arm: IntArray) -> FloatArray:
        """Return by how much each choice falls short of the best arm, in expectation."""
        means = self.means(vectors)
        return np.asarray(means.max(axis=1) - means[np.arange(len(means)), arm])


def delays(n: int, rng: np.random.Generator, *, mean: float, never: float = 0.0) -> FloatArray:
    """Draw how long rewards take, in the unit of `mean`; infinite for those that never come.

    Args:
        n: Number of rewards.
        rng: Source of chance.
        mean: Mean of the exponential delay, above 0.
        never: Share of rewards that are lost.

    Raises:
        InvalidParameterError: If a number is out of range.
    """
    check.positive("mean", mean)
    check.share("never", never)
    return np.where(rng.random(n) < never, np.inf, rng.exponential(mean, n))


def optimal_regret(horizon: int) -> float:
    """Return the expected regret of the Bayes-optimal player of two arms with uniform rates.

    By dynamic programming backwards over the counts of wins and losses; exact. Grows with the
    fourth power of the horizon in time and memory: up to about 100.

    Raises:
        InvalidParameterError: If the horizon is below 1.

    Examples:
        >>> round(optimal_regret(10), 4)
        0.6449
    """
    horizon = check.count("horizon", horizon)
    value = np.zeros(len(_states(horizon)[0]))
    for turn in range(horizon - 1, -1, -1):
        states, _ = _states(turn)
        worth = [
            rate * (1 + value[win]) + (1 - rate) * value[loss]
            for rate, win, loss in _branches(states, turn)
        ]
        value = np.maximum(worth[0], worth[1])
    return horizon * 2 / 3 - float(value[0])


def exact_regret(choose: Callable[[IntArray], FloatArray], horizon: int) -> float:
    """Return the expected regret of a policy for two arms with uniform rates; exact.

    Follows the probability of every state of the counts forward through the rounds.

    Args:
        choose: Gives the probability of choosing the first arm in each state; states are rows
            (wins and losses of the first arm, wins and losses of the second).
        horizon: Number of rounds.

    Raises:
        InvalidParameterError: If the horizon is below 1.

    Examples:
        >>> round(exact_regret(lambda states: np.full(len(states), 0.5), 12), 4)
        2.0
    """
    horizon = check.count("horizon", horizon)
    mass, earned = np.ones(1), 0.0
    for turn in range(horizon):
        states, _ = _states(turn)
        first = choose(states)
        after = np.zeros(len(_states(turn + 1)[0]))
        for chance, (rate, win, loss) in zip(
            (first, 1 - first), _branches(states, turn), strict=True
        ):
            earned += float((mass * chance * rate).sum())
            np.add.at(after, win, mass * chance * rate)
            np.add.at(after, loss, mass * chance * (1 - rate))
        mass = after
    return horizon * 2 / 3 - earned


@lru_cache(maxsize=2)
def _states(turn: int) -> tuple[IntArray, IntArray]:
    """Return the states after `turn` rounds, and their codes in the same, rising order."""
    wins, losses, others = np.meshgrid(*[np.arange(turn + 1)] * 3, indexing="ij")
    inside = wins + losses + others <= turn
    three = np.stack([wins[inside], losses[inside], others[inside]], axis=1)
    states = np.column_stack([three, turn - three.sum(axis=1)]).astype(np.int64)
    return states, _codes(states, turn)


def _codes(states: IntArray, turn: int) -> IntArray:
    base = turn + 1
    codes: IntArray = (states[:, 0] * base + states[:, 1]) * base + states[:, 2]
    return codes


def _branches(states: IntArray, turn: int) -> list[tuple[FloatArray, IntArray, IntArray]]:
    """Return, for each arm, its predictive rate and the places of the states after it."""
    _, codes = _states(turn + 1)
    found = []
    for wins, losses in ((0, 1), (2, 3)):
        rate = (states[:, wins] + 1) / (states[:, wins] + states[:, losses] + 2)
        after = []
        for column in (wins, losses):
            moved = states.copy()
            moved[:, column] += 1
            after.append(np.searchsorted(codes, _codes(moved, turn + 1)))
        found.append((rate, after[0], after[1]))
    return found


def _sphere(rng: np.random.Generator, n: int, n_features: int) -> FloatArray:
    drawn = rng.normal(size=(n, n_features))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
