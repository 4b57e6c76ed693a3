"""What an estimator of a policy's value is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, get_args

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.recipe import Recipe
from siamrec.bandits.ope.estimate import (
    Method,
    Parts,
    ValueEstimate,
    bootstrap_interval,
    diagnose,
    effective_size,
    exact_interval,
    held,
    normal_interval,
)
from siamrec.errors import MissingInputError

if TYPE_CHECKING:
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray


class Estimator(Recipe, ABC):
    """A way to estimate; a frozen recipe that keeps nothing of the data it has seen."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "arbitrary_types_allowed": True}

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for reports and the registry."""

    @abstractmethod
    def parts(self, log: Log, target: FloatArray) -> Parts:
        """Return what the estimate is made of, and what it leaves out."""

    def weights(self, log: Log, target: FloatArray) -> FloatArray:
        """Return the importance weights by which support is judged, shape `(n,)`."""
        return log.weights(target)

    def estimate(
        self,
        log: Log,
        target: FloatArray,
        *,
        confidence: float = 0.95,
        interval: Method = "normal",
        rng: Chance | None = None,
        within: tuple[float, float] | None = None,
    ) -> ValueEstimate:
        """Return the estimate of the target's expected reward, with interval and diagnostics.

        The estimate is held within the range that bounds its interval, and the interval holds
        what the estimator leaves out on purpose (a clip, a shrunken weight, a model's residuals).

        Args:
            log: The log.
            target: Probability with which the target would have chosen each logged action,
                shape `(n,)`, or its whole distribution, shape `(n, n_actions)`.
            confidence: Level of the interval, in (0, 1).
            interval: `"normal"` (delta method) or `"bootstrap"` (studentised), right for large
                logs and inside the range of rewards that the log states; `"betting"` or
                `"empirical-bernstein"`, right for every size and shape, for estimators that are a
                plain mean of weighted rewards within a known range. They hold the mean of what
                the estimator averages: a clip's bias is not in them.
            rng: Source of the bootstrap's draws.
            within: Least and greatest weighted reward that a row could have had, known before
                the log is seen: for rewards in [0, 1] and propensities of at least p,
                `(0.0, 1 / p)`.

        Raises:
            InvalidDataError: If the target does not fit the log, or a weighted reward lies
                outside `within`.
            InvalidParameterError: If the interval does not suit the estimator, or `within` is
                no range.
            MissingInputError: If the estimator needs the whole distribution, the bootstrap an
                `rng`, or the interval `within`.
            UnknownNameError: If the kind of interval is not known.
        """
        rng = None if rng is None else generator(rng)
        check.one_of("interval", interval, get_args(Method))
        weights = self.weights(log, target)
        parts, limits = self.parts(log, target), log.reward_range
        whole, alike = parts.whole(), effective_size(weights)
        error, bounds = normal_interval(whole, confidence, limits, alike=alike)
        if interval == "bootstrap":
            if rng is None:
                raise MissingInputError("rng", "rng=np.random.default_rng(seed)")
            bounds = bootstrap_interval(whole, confidence, rng=rng, within=limits, alike=alike)
        elif interval != "normal":
            if within is None:
                raise MissingInputError("within", "within=(0.0, greatest weight)")
            bounds = exact_interval(parts, confidence, within=within, method=interval)
            limits = within
        value = held(parts.value(), limits)
        return ValueEstimate(
            estimator=self.name,
            raw=value,
            interval=(min(bounds[0], value), max(bounds[1], value)),
            error=error,
            diagnostics=diagnose(weights, log.reward),
            left_out=whole.value() - parts.value(),
        )
