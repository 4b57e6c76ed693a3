"""The policy contract, and the values that pass between a policy and the bandit that runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, final

import numpy as np
from typing_extensions import TypeVar

from siamrec._core.recipe import Recipe
from siamrec._core.table import Arrays
from siamrec.errors import InvalidDataError
from siamrec.typing import FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import BoolArray, IntArray

ModelT = TypeVar("ModelT", default=Any)  # a policy given by name tells no type

Sums: TypeAlias = dict[str, FloatArray]
"""Additive sufficient statistics by name: what a bandit has learned, without its priors.

Every entry is a sum over outcomes that is linear in their weights. So two workers' sums merge
by addition, a correction is an outcome with negative weight, and decay is multiplication.
"""

_FEW = 64
"""Below this many rows, `np.add.at` is faster than a pass over every slot."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """How many cells, arms and features a policy works with.

    Attributes:
        n_arms: Number of arms, retired ones included.
        levels: Number of levels of each context factor; their product is the cell count.
            The last level of a factor is the unknown one where `pooled` says so.
        pooled: For each factor, whether its last level stands for "unknown".
        n_features: Length of the feature vector of a round; 0 for none.
    """

    n_arms: int
    levels: tuple[int, ...] = ()
    pooled: tuple[bool, ...] = ()
    n_features: int = 0

    @property
    def n_cells(self) -> int:
        """Number of context cells."""
        return int(np.prod(self.levels, dtype=np.int64)) if self.levels else 1

    def design(self) -> FloatArray:
        """Return one row per cell: 1, then an indicator for each known level of each factor.

        Shape `(n_cells, 1 + number of known levels)`. An unknown level has no indicator, so a
        cell that does not know a factor is described by the factors it does know.
        """
        cells = np.arange(self.n_cells)
        columns = [np.ones(self.n_cells)]
        stride = self.n_cells
        for n_levels, unknown in zip(self.levels, self.pooled, strict=True):
            stride //= n_levels
            level = cells // stride % n_levels
            columns += [(level == known).astype(float) for known in range(n_levels - unknown)]
        return np.stack(columns, axis=1)


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rounds(Arrays):
    """Rounds in which an arm is to be chosen.

    Attributes:
        cell: Context cell of each round, shape `(n,)`.
        eligible: Which arms may be chosen, shape `(n_arms,)`, the same in every round.
        temperature: How much wider than the posterior to explore, shape `(n,)`: 1 for plain,
            below 1 to exploit, above 1 to explore.
        features: Feature vector of each round, shape `(n, n_features)`, where a policy asks.
    """

    cell: IntArray
    eligible: BoolArray
    temperature: FloatArray
    features: FloatArray | None = None

    @classmethod
    def of(cls, cells: IntArray, n_arms: int, *, features: FloatArray | None = None) -> Rounds:
        """Return plain rounds: every arm eligible, temperature 1."""
        cell = np.asarray(cells, dtype=np.int64)
        return cls(
            cell=cell,
            eligible=np.ones(n_arms, dtype=np.bool_),
            temperature=np.ones(cell.size),
            features=features,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcomes(Arrays):
    """Rewards joined with the choices they belong to, as columns of length `n`.

    Attributes:
        cell: Context cell.
        arm: Code of the arm.
        reward: The reward.
        weight: How much the row counts; negative to take back an earlier row.
        propensity: Probability with which the arm was drawn.
        features: Feature vectors, shape `(n, n_features)`, where a policy asks.
    """

    cell: IntArray
    arm: IntArray
    reward: FloatArray
    weight: FloatArray
    propensity: FloatArray
    features: FloatArray | None = None

    def rows(self, chosen: slice | BoolArray | IntArray) -> Outcomes:
        """Return the rows that `chosen` picks."""
        return Outcomes(
            cell=self.cell[chosen],
            arm=self.arm[chosen],
            reward=self.reward[chosen],
            weight=self.weight[chosen],
            propensity=self.propensity[chosen],
            features=None if self.features is None else self.features[chosen],
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Weighing(Arrays):
    """What a policy wants: for each round, the exact probability of choosing each arm.

    Attributes:
        probability: Shape `(n, n_arms)`; rows sum to 1, arms that are not eligible have 0.
        best: Probability that each arm is the best eligible one given the data, same shape;
            for Thompson sampling at temperature 1 the two agree.
    """

    probability: FloatArray
    best: FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimates(Arrays):
    """Expected reward of each arm in each round, with a 95 % interval; shape `(n, n_arms)`."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray


class Policy(Recipe, ABC, Generic[ModelT]):
    """A recipe for weighing arms; it holds settings and never changes.

    What has been learned lives in `Sums`, what follows from it (posteriors, fitted priors) in
    a model that can be made again at any time. All methods but `accumulate` are pure.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    reward_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The least and the greatest reward the policy understands."""

    pools: ClassVar[bool] = False
    """Whether a reward in one cell changes what is believed about others."""

    @property
    def name(self) -> str:
        """The name under which the policy is registered and logged.

        A policy that nobody has registered has to say one of its own.

        Raises:
            InvalidParameterError: If it does not.
        """
        return self.book.name_of(self)

    @abstractmethod
    def init(self, space: Space) -> Sums:
        """Return the sums of a bandit that has seen nothing: zeros.

        An axis of length `space.n_arms` must grow at its end when arms are added.
        """

    @abstractmethod
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        """Add outcomes to `sums` in place; linear in `outcomes.weight`, in any order."""

    @abstractmethod
    def posterior(self, sums: Sums, space: Space) -> ModelT:
        """Return what is believed, given the sums and the priors of the recipe."""

    @abstractmethod
    def weigh(self, model: ModelT, rounds: Rounds) -> Weighing:
        """Return the exact probability of choosing each arm in each round."""

    @abstractmethod
    def top(self, model: ModelT, rounds: Rounds, n: int) -> FloatArray:
        """Return the probability that each arm is among the best `n` eligible ones.

        Shape `(n_rounds, n_arms)`; rows sum to `n`, or to the number of eligible arms.
        """

    @abstractmethod
    def estimate(self, model: ModelT, rounds: Rounds) -> Estimates:
        """Return the expected reward of each arm in each round, with intervals."""

    @final
    def update(self, sums: Sums, outcomes: Outcomes) -> Sums:
        """Return `sums` with `outcomes` taken in; the arguments stay as they are."""
        new = {name: total.copy() for name, total in sums.items()}
        self.accumulate(new, outcomes)
        return new


def add_sums(left: Mapping[str, FloatArray], right: Mapping[str, FloatArray]) -> Sums:
    """Return the elementwise total of two sums of one policy.

    Raises:
        InvalidDataError: If the names or shapes differ.
    """
    if left.keys() != right.keys():
        raise InvalidDataError(f"Sums must have one set of names, got {[*left]} and {[*right]}.")
    for name in left:
        if left[name].shape != right[name].shape:
            raise InvalidDataError(
                f"Sums must have one shape, got {left[name].shape} and {right[name].shape}."
            )
    return {name: left[name] + right[name] for name in left}


def widen(sums: Mapping[str, FloatArray], zeros: Sums) -> Sums:
    """Return `sums` in the greater shape of `zeros`: added arms have seen nothing."""
    for name, total in sums.items():
        zeros[name][tuple(slice(0, n) for n in total.shape)] = total
    return zeros


def tally(total: FloatArray, slot: IntArray, weights: FloatArray) -> None:
    """Add `weights` to the flattened `total` at `slot`, in place; slots may repeat."""
    flat = total.reshape(-1)
    if slot.size < _FEW:
        np.add.at(flat, slot, weights)
    else:
        flat += np.bincount(slot, weights, flat.size)
