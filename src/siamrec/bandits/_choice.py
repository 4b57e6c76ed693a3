"""From sums to exact probabilities and draws: what a decision needs, worked out once per state."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Generic, NamedTuple, final

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import uniform
from siamrec.bandits.policies.base import ModelT, Rounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.bandits.context import Context
    from siamrec.bandits.memory import Memory
    from siamrec.typing import BoolArray, FloatArray, Instant, IntArray

_BLOCK = 4_000_000
"""Comparisons per block when many rounds are drawn at once."""


class Weights(NamedTuple):
    """What one cell and one set of eligible arms come to; a number per arm in each column."""

    chance: tuple[float, ...]
    edges: tuple[float, ...]
    best: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def draw(self, point: float) -> int:
        """Return the arm whose stretch of [0, 1) holds `point`."""
        return bisect_right(self.edges, point)


class ArmView(NamedTuple):
    """What a bandit believes about one arm in one context."""

    probability: float
    confidence: float
    mean: float
    low: float
    high: float


@final
class Chooser(Generic[ModelT]):
    """Keeps the model of the present state and the weights of cells that were asked for; mutable.

    Args:
        memory: What the bandit remembers, with its policy and settings.
    """

    def __init__(self, memory: Memory[ModelT]) -> None:
        settings = memory.settings
        self._memory = memory
        self._policy = memory.policy
        self._limits = settings.limits
        trusted = settings.limits.baseline
        self._trusted = None if trusted is None else memory.roster.code(trusted.arm)
        self._salt = settings.salt
        self._temperature = temperatures(memory.context, settings.tempering)
        self._refresh_every = settings.refresh_every
        self._model: ModelT | None = None
        self._cache: dict[int, dict[bytes, Weights]] = {}
        self._tops: dict[tuple[int, bytes, int], FloatArray] = {}
        self._tick = (0, 0)
        self._stale: set[int] = set()
        self.version = -1
        """Version of the state that the model was made from."""

    def model(self, now: Instant) -> ModelT:
        """Return the model of the state at `now`, made anew only where something changed."""
        journal = self._memory.journal
        tick, version = journal.tick(now), journal.version
        fresh = (
            self._model is not None
            and tick == self._tick
            and (version == self.version or 0 < version - self.version < self._refresh_every)
        )
        if fresh and self._model is not None:
            return self._model
        self._tops.clear()
        if self._policy.pools or tick != self._tick or self._model is None:
            self._cache.clear()
        else:
            for cell in self._stale:
                self._cache.pop(cell, None)
        self._stale.clear()
        self._model = self._policy.posterior(journal.look(now), journal.memory.space)
        self._tick, self.version = tick, version
        return self._model

    def touch(self, cells: IntArray) -> None:
        """Note that rewards came to cells."""
        self._stale.update(cells.tolist())

    def reset(self) -> None:
        """Forget everything that was worked out."""
        self._model = None
        self._cache.clear()
        self._tops.clear()

    def weights(
        self, model: ModelT, cell: int, eligible: BoolArray, vector: FloatArray | None
    ) -> Weights:
        """Return what a decision needs in one cell."""
        if vector is not None:
            return self._weights(model, cell, eligible, vector)
        row = self._cache.setdefault(cell, {})
        key = eligible.tobytes()
        if key not in row:
            row[key] = self._weights(model, cell, eligible, None)
        return row[key]

    def among_best(
        self, model: ModelT, cell: int, eligible: BoolArray, vector: FloatArray | None, *, n: int
    ) -> FloatArray:
        """Return for each arm the probability that it is among the best `n`."""
        if vector is not None:
            rounds = self.rounds(np.array([cell]), eligible, vector)
            shares: FloatArray = self._policy.top(model, rounds, n)[0]
            return shares
        key = (cell, eligible.tobytes(), n)
        if key not in self._tops:
            rounds = self.rounds(np.array([cell]), eligible, None)
            self._tops[key] = self._policy.top(model, rounds, n)[0]
        return self._tops[key]

    def draw_ranks(
        self,
        model: ModelT,
        cell: int,
        eligible: BoolArray,
        vector: FloatArray | None,
        *,
        id_: str,
        n: int,
    ) -> tuple[list[int], list[float]]:
        """Draw `n` different arms, rank by rank, and tell the probability of each draw."""
        chosen: list[int] = []
        chances: list[float] = []
        left = eligible
        for rank in range(n):
            if rank:
                left = left.copy()
                left[chosen[-1]] = False
            weights = self.weights(model, cell, left, vector)
            arm = weights.draw(uniform(f"{id_}#{rank}" if rank else id_, self._salt))
            chosen.append(arm)
            chances.append(weights.chance[arm])
        return chosen, chances

    def chances(
        self, model: ModelT, cells: IntArray, eligible: BoolArray, vectors: FloatArray | None
    ) -> tuple[FloatArray, IntArray]:
        """Return rows of probabilities, and for each round which row is its own."""
        if vectors is not None:
            rounds = self.rounds(cells, eligible, vectors)
            return self.limited(model, rounds), np.arange(cells.size)
        distinct, which = np.unique(cells, return_inverse=True)
        key = eligible.tobytes()
        known = [self._cache.get(cell, {}).get(key) for cell in distinct.tolist()]
        table = np.empty((distinct.size, eligible.size))
        missing = np.array([each is None for each in known], dtype=np.bool_)
        for row, each in enumerate(known):  # cells, not rounds
            if each is not None:
                table[row] = each.chance
        if missing.any():
            table[missing] = self.limited(model, self.rounds(distinct[missing], eligible, None))
        return table, which.reshape(-1)

    def rounds(self, cells: IntArray, eligible: BoolArray, features: FloatArray | None) -> Rounds:
        """Return rounds at their temperatures."""
        return Rounds(
            cell=cells, eligible=eligible, temperature=self._temperature[cells], features=features
        )

    def limited(
        self, model: ModelT, rounds: Rounds, wanted: FloatArray | None = None
    ) -> FloatArray:
        """Return a policy's probabilities after baseline, holdout, floor and cap.

        Args:
            model: The model of the present state.
            rounds: The rounds.
            wanted: The policy's probabilities, where they are known already.
        """
        eligible, code, limits = rounds.eligible, self._trusted, self._limits
        chance = self._policy.weigh(model, rounds).probability if wanted is None else wanted
        if limits.baseline is not None and code is not None and eligible[code]:
            mean = self._policy.estimate(model, rounds).mean
            chance = limits.baseline.apply(chance, np.where(eligible, mean, 0.0), code)
        if limits.holdout:
            chance = chance + limits.holdout * (eligible / eligible.sum() - chance)
        return limits.apply(chance, eligible)

    def _weights(
        self, model: ModelT, cell: int, eligible: BoolArray, vector: FloatArray | None
    ) -> Weights:
        rounds = self.rounds(np.array([cell]), eligible, vector)
        weighing = self._policy.weigh(model, rounds)
        chance = self.limited(model, rounds, weighing.probability)[0]
        edges = np.cumsum(chance)
        estimates = self._policy.estimate(model, rounds)
        return Weights(
            chance=tuple(chance.tolist()),
            edges=tuple((edges / edges[-1]).tolist()),
            best=tuple(weighing.best[0].tolist()),
            mean=tuple(estimates.mean[0].tolist()),
            low=tuple(estimates.low[0].tolist()),
            high=tuple(estimates.high[0].tolist()),
        )


def draw_many(chance: FloatArray, which: IntArray, draws: FloatArray) -> IntArray:
    """Return the arm drawn in each round, by the same rule as `Weights.draw`."""
    edges = np.cumsum(chance, axis=1)
    edges /= edges[:, -1:]
    arms = np.empty(draws.size, dtype=np.int64)
    rows = max(1, _BLOCK // chance.shape[1])
    for start in range(0, draws.size, rows):  # blocks, to bound memory
        part = slice(start, start + rows)
        arms[part] = (draws[part, None] >= edges[which[part]]).sum(axis=1)
    return arms


def temperatures(context: Context, tempering: Mapping[str, Mapping[str, float]]) -> FloatArray:
    """Return the temperature of every cell; the temperatures of several factors multiply.

    Raises:
        InvalidParameterError: If a temperature is not above 0.
        UnknownNameError: If a factor or level is not known.
    """
    cells = np.arange(context.n_cells)
    heat = np.ones(cells.size)
    for factor, levels in tempering.items():
        codes = context.level_of(factor, cells)
        labels = context.factors[context.names.index(factor)].labels
        for level, value in levels.items():
            place = labels.index(check.one_of(f"level of {factor}", level, labels))
            heat[codes == place] *= check.positive("temperature", value)
    return heat
