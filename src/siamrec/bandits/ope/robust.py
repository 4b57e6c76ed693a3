"""Estimators that lean on a reward model and correct it with the logged rewards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.bandits.ope.base import Estimator
from siamrec.bandits.ope.estimate import Parts
from siamrec.bandits.ope.models import RewardModel, Ridge, cross_fitted

if TYPE_CHECKING:
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMethod(Estimator):
    """Mean prediction of a reward model: `mean(sum_a pi(a | x) q(x, a))`.

    What the model gets wrong is left out of the number and told beside it; error and interval
    are those of doubly robust, which knows it: predictions alone hardly vary, however few rows
    they were learnt from.

    Args:
        model: The reward model.
        n_folds: Folds across which it is fitted.

    Raises:
        InvalidParameterError: If there is no fold.
    """

    model: RewardModel = field(default_factory=Ridge)
    n_folds: int = 3

    def __post_init__(self) -> None:
        check.kind("model", self.model, RewardModel)
        check.count("n_folds", self.n_folds)

    @property
    @override
    def name(self) -> str:
        return "direct method"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        prediction = cross_fitted(self.model, log, np.ones(len(log)), n_folds=self.n_folds)
        robust = _robust(log, target, prediction, log.weights(target))
        mean = robust.top.mean()
        return replace(robust, top=robust.top - mean, rest=np.full(len(log), mean))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DoublyRobust(Estimator):
    """Direct method plus the weighted residuals: `mean(q(x, pi) + w (r - q(x, a)))`.

    Right if either the model or the propensities are; the propensities of a bandit's own log
    are exact, so a bad model costs variance only.

    Args:
        model: The reward model.
        n_folds: Folds across which it is fitted.
        normalised: Whether residuals are divided by the sum of the weights (SNDR).

    Raises:
        InvalidParameterError: If there is no fold.

    References:
        Dudik, Langford, Li (2011), ICML; Thomas and Brunskill (2016), ICML.
    """

    model: RewardModel = field(default_factory=Ridge)
    n_folds: int = 3
    normalised: bool = False

    def __post_init__(self) -> None:
        check.kind("model", self.model, RewardModel)
        check.count("n_folds", self.n_folds)
        check.flag("normalised", self.normalised)

    @property
    @override
    def name(self) -> str:
        return "self-normalised doubly robust" if self.normalised else "doubly robust"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        prediction = cross_fitted(self.model, log, np.ones(len(log)), n_folds=self.n_folds)
        weights = log.weights(target)
        return _robust(log, target, prediction, weights, normalised=self.normalised)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDR(Estimator):
    """Doubly robust where weights are at most a threshold, the direct method elsewhere.

    Args:
        threshold: Greatest weight that is used, above 0.
        model: The reward model.
        n_folds: Folds across which it is fitted.

    Raises:
        InvalidParameterError: If the threshold is not above 0 or there is no fold.

    References:
        Wang, Agarwal, Dudik (2017), ICML.
    """

    threshold: float = 10.0
    model: RewardModel = field(default_factory=Ridge)
    n_folds: int = 3

    def __post_init__(self) -> None:
        check.positive("threshold", self.threshold)
        check.kind("model", self.model, RewardModel)
        check.count("n_folds", self.n_folds)

    @property
    @override
    def name(self) -> str:
        return f"switch-dr ({self.threshold:g})"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        prediction = cross_fitted(self.model, log, np.ones(len(log)), n_folds=self.n_folds)
        weights = log.weights(target)
        used = np.where(weights <= self.threshold, weights, 0.0)
        return _robust(log, target, prediction, weights, used=used)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DRos(Estimator):
    """Doubly robust with optimistically shrunken weights `L w / (w² + L)`.

    Args:
        shrinkage: L, above 0: small for the direct method, large for doubly robust.
        model: The reward model.
        n_folds: Folds across which it is fitted.

    Raises:
        InvalidParameterError: If the shrinkage is not above 0 or there is no fold.

    References:
        Su, Dimakopoulou, Krishnamurthy, Dudik (2020), ICML.
    """

    shrinkage: float = 100.0
    model: RewardModel = field(default_factory=Ridge)
    n_folds: int = 3

    def __post_init__(self) -> None:
        check.positive("shrinkage", self.shrinkage)
        check.kind("model", self.model, RewardModel)
        check.count("n_folds", self.n_folds)

    @property
    @override
    def name(self) -> str:
        return f"dros ({self.shrinkage:g})"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        prediction = cross_fitted(self.model, log, np.ones(len(log)), n_folds=self.n_folds)
        weights = log.weights(target)
        shrunk = self.shrinkage * weights / (weights**2 + self.shrinkage)
        return _robust(log, target, prediction, weights, used=shrunk)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MRDR(Estimator):
    """Doubly robust with a model fitted where it lowers the variance of the estimate.

    Rows weigh `pi(a | x) (1 - p) / p²` in the fit.

    Args:
        model: The reward model.
        n_folds: Folds across which it is fitted.

    Raises:
        InvalidParameterError: If there is no fold.

    References:
        Farajtabar, Chow, Ghavamzadeh (2018), ICML.
    """

    model: RewardModel = field(default_factory=Ridge)
    n_folds: int = 3

    def __post_init__(self) -> None:
        check.kind("model", self.model, RewardModel)
        check.count("n_folds", self.n_folds)

    @property
    @override
    def name(self) -> str:
        return "more robust doubly robust"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        p = log.propensity
        fit = log.chosen(target) * (1 - p) / p**2
        fit = fit / fit.mean() if fit.mean() > 0 else np.ones(len(log))
        prediction = cross_fitted(self.model, log, fit, n_folds=self.n_folds)
        return _robust(log, target, prediction, log.weights(target))


def _robust(
    log: Log,
    target: FloatArray,
    prediction: FloatArray,
    weights: FloatArray,
    *,
    used: FloatArray | None = None,
    normalised: bool = False,
) -> Parts:
    """Return the parts of doubly robust, where some other weights are used in place of those."""
    rows = np.arange(len(log))
    residual = log.reward - prediction[rows, log.action]
    return Parts(
        base=(log.distribution(target) * prediction).sum(axis=1),
        top=(weights if used is None else used) * residual,
        below=weights if normalised else np.ones(len(log)),
        rest=None if used is None else (weights - used) * residual,
    )
