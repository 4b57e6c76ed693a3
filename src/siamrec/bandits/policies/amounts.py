"""Thompson sampling for rewards that are not between 0 and 1: amounts and counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Arrays
from siamrec.bandits.policies import _quadrature
from siamrec.bandits.policies._beta import non_negative
from siamrec.bandits.policies.base import Estimates, ModelT, Policy, Weighing, tally
from siamrec.statistics.tails import reaches_of_t

if TYPE_CHECKING:
    from siamrec.bandits.policies._quadrature import Grid
    from siamrec.bandits.policies.base import Outcomes, Rounds, Space, Sums
    from siamrec.typing import FloatArray

_TAIL = 0.025


class GridThompson(Policy[ModelT], ABC):
    """Thompson sampling by quadrature over posteriors of means; an author writes `grid`."""

    @abstractmethod
    def grid(self, model: ModelT, rounds: Rounds, heat: FloatArray | float) -> Grid:
        """Return the posteriors of the eligible arms on a grid, `heat` times less certain."""

    @final
    @override
    def weigh(self, model: ModelT, rounds: Rounds) -> Weighing:
        mask, heat = rounds.eligible, rounds.temperature[:, None]
        best = _quadrature.spread(_quadrature.best(self.grid(model, rounds, 1.0)), mask)
        if (heat == 1.0).all():
            return Weighing(probability=best, best=best)
        share = _quadrature.spread(_quadrature.best(self.grid(model, rounds, heat)), mask)
        return Weighing(probability=share, best=best)

    @final
    @override
    def top(self, model: ModelT, rounds: Rounds, n: int) -> FloatArray:
        return _quadrature.spread(
            _quadrature.top(self.grid(model, rounds, 1.0), n), rounds.eligible
        )


@final
@dataclass(frozen=True, slots=True, repr=False)
class StudentPosterior(Arrays):
    """Student posterior of every mean; each array `(n_cells, n_arms)`."""

    mean: FloatArray
    scale: FloatArray
    freedom: FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NormalThompson(GridThompson[StudentPosterior]):
    """Thompson sampling for real rewards of unknown mean and variance (normal-inverse-gamma).

    With n rewards of mean m and squared deviations s,

        kappa = prior_weight + n,       mu = (prior_weight prior_mean + n m) / kappa
        a = prior_shape + n / 2,        b = prior_scale + s / 2 + (prior shrinkage)
        mean of the arm ~ Student(2 a) around mu with scale² = b / (a kappa).

    A temperature widens the scale by its square root.

    Args:
        prior_mean: Mean expected before any data.
        prior_weight: How many rewards that expectation weighs, above 0.
        prior_shape: Half the degrees of freedom of the prior variance, above 0.
        prior_scale: `prior_shape` times the variance expected, above 0.

    Raises:
        InvalidParameterError: If a prior that must be positive is not.

    References:
        Honda and Takemura (2014), AISTATS.
    """

    reward_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    prior_mean: float = 0.0
    prior_weight: float = 1.0
    prior_shape: float = 1.0
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        check.real("prior_mean", self.prior_mean)
        for name in ("prior_weight", "prior_shape", "prior_scale"):
            check.positive(name, getattr(self, name))

    @override
    def init(self, space: Space) -> Sums:
        shape = (space.n_cells, space.n_arms)
        return {name: np.zeros(shape) for name in ("count", "total", "square")}

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        slot = outcomes.cell * sums["count"].shape[1] + outcomes.arm
        # Deviations from the prior mean, so that squares do not lose their digits.
        away = outcomes.reward - self.prior_mean
        tally(sums["count"], slot, outcomes.weight)
        tally(sums["total"], slot, outcomes.weight * away)
        tally(sums["square"], slot, outcomes.weight * away * away)

    @override
    def posterior(self, sums: Sums, space: Space) -> StudentPosterior:
        n = non_negative(sums["count"])
        kappa = self.prior_weight + n
        shape = self.prior_shape + n / 2
        drawn = sums["total"] ** 2 / kappa
        scale = self.prior_scale + np.maximum(sums["square"] - drawn, 0.0) / 2
        return StudentPosterior(
            self.prior_mean + sums["total"] / kappa, np.sqrt(scale / (shape * kappa)), 2 * shape
        )

    @override
    def grid(self, model: StudentPosterior, rounds: Rounds, heat: FloatArray | float) -> Grid:
        cell, mask = rounds.cell, rounds.eligible
        return _quadrature.student_grid(
            model.mean[cell][:, mask],
            (model.scale[cell] * np.sqrt(heat))[:, mask],
            model.freedom[cell][:, mask],
        )

    @override
    def estimate(self, model: StudentPosterior, rounds: Rounds) -> Estimates:
        mean, scale = model.mean[rounds.cell], model.scale[rounds.cell]
        reach = reaches_of_t(model.freedom[rounds.cell], 2 * _TAIL) * scale
        return Estimates(mean=mean, low=mean - reach, high=mean + reach)


@final
@dataclass(frozen=True, slots=True, repr=False)
class GammaPosterior(Arrays):
    """Gamma posterior of every rate; each array `(n_cells, n_arms)`."""

    shape: FloatArray
    rate: FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GammaThompson(GridThompson[GammaPosterior]):
    """Thompson sampling for counts: each reward is Poisson with the arm's rate.

        rate of the arm ~ Gamma(prior_events + sum of rewards, prior_rounds + number of rewards)

    A temperature t divides both parameters: the same mean, t times less evidence.

    Args:
        prior_events: Pseudo-count of events, above 0.
        prior_rounds: Pseudo-count of rounds, above 0.

    Raises:
        InvalidParameterError: If a prior is not finite and positive.
    """

    reward_range: ClassVar[tuple[float, float]] = (0.0, np.inf)

    prior_events: float = 1.0
    prior_rounds: float = 1.0

    def __post_init__(self) -> None:
        check.positive("prior_events", self.prior_events)
        check.positive("prior_rounds", self.prior_rounds)

    @override
    def init(self, space: Space) -> Sums:
        shape = (space.n_cells, space.n_arms)
        return {"count": np.zeros(shape), "total": np.zeros(shape)}

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        slot = outcomes.cell * sums["count"].shape[1] + outcomes.arm
        tally(sums["count"], slot, outcomes.weight)
        tally(sums["total"], slot, outcomes.weight * outcomes.reward)

    @override
    def posterior(self, sums: Sums, space: Space) -> GammaPosterior:
        return GammaPosterior(
            self.prior_events + non_negative(sums["total"]),
            self.prior_rounds + non_negative(sums["count"]),
        )

    @override
    def grid(self, model: GammaPosterior, rounds: Rounds, heat: FloatArray | float) -> Grid:
        cell, mask = rounds.cell, rounds.eligible
        return _quadrature.gamma_grid(
            (model.shape[cell] / heat)[:, mask], (model.rate[cell] / heat)[:, mask]
        )

    @override
    def estimate(self, model: GammaPosterior, rounds: Rounds) -> Estimates:
        shape, rate = model.shape[rounds.cell], model.rate[rounds.cell]
        return Estimates(
            mean=shape / rate,
            low=special.gammaincinv(shape, _TAIL) / rate,
            high=special.gammaincinv(shape, 1 - _TAIL) / rate,
        )
