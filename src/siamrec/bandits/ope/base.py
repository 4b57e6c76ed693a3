"""What an estimator of a policy's value is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from siamrec._core import check
from siamrec.bandits.ope.estimate import (
    Estimate,
    Parts,
    bootstrap_interval,
    diagnose,
    normal_interval,
)
from siamrec.errors import MissingInputError

if TYPE_CHECKING:
    import numpy as np

    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray


class Estimator(ABC):
    """A way to estimate; a frozen recipe that keeps nothing of the data it has seen."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "arbitrary_types_allowed": True}

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for reports and the registry."""

    @abstractmethod
    def parts(self, log: Log, target: FloatArray) -> Parts:
        """Return what the estimate is made of."""

    def estimate(
        self,
        log: Log,
        target: FloatArray,
        *,
        alpha: float = 0.05,
        interval: Literal["normal", "bootstrap"] = "normal",
        rng: np.random.Generator | None = None,
    ) -> Estimate:
        """Return the estimate of the target's expected reward, with interval and diagnostics.

        Args:
            log: The log.
            target: Probability with which the target would have chosen each logged action,
                shape `(n,)`, or its whole distribution, shape `(n, n_actions)`.
            alpha: One less the coverage of the interval.
            interval: `"normal"` (delta method) or `"bootstrap"` (studentised).
            rng: Source of the bootstrap's draws.

        Raises:
            InvalidDataError: If the target does not fit the log.
            MissingInputError: If the estimator needs the whole distribution, or the bootstrap
                an `rng`.
            UnknownNameError: If the kind of interval is not known.
        """
        check.one_of("interval", interval, ("normal", "bootstrap"))
        weights = log.weights(target)
        parts = self.parts(log, target)
        error, bounds = normal_interval(parts, alpha)
        if interval == "bootstrap":
            if rng is None:
                raise MissingInputError("rng", "rng=np.random.default_rng(seed)")
            bounds = bootstrap_interval(parts, alpha, rng=rng)
        return Estimate(
            estimator=self.name,
            raw=parts.value(),
            interval=bounds,
            error=error,
            diagnostics=diagnose(weights),
        )
