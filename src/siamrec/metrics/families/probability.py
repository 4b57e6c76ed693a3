"""Whether scores that are meant as probabilities are right as probabilities.

Every place of the lists is a case: its score is the predicted probability, and it is positive if
its item is relevant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.metrics.base import POSITIVE, UNIT, PooledMetric

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_SCORED = frozenset({"truth", "scores"})
_TINY = 1e-15


def cases(view: EvaluationView) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return user, predicted probability and label of every place.

    Raises:
        siamrec.errors.InvalidDataError: If a score is not in [0, 1].
    """
    chance = view.score
    if chance.size and (chance.min() < 0 or chance.max() > 1):
        raise InvalidDataError(
            "Scores must be probabilities in [0, 1] here, "
            f"got {chance.min():g} to {chance.max():g}."
        )
    found = view.found()
    label = np.zeros(chance.size)
    label[view.start[found.user] + found.rank] = 1.0
    return view.rankings.owner, chance, label


def _surprise(chance: FloatArray, label: FloatArray) -> FloatArray:
    """Return the log-loss of each case; the probability of what happened is at least 1e-15."""
    happened, not_so = np.maximum(chance, _TINY), np.maximum(1.0 - chance, _TINY)
    return -(label * np.log(happened) + (1.0 - label) * np.log(not_so))


def _tally(group: IntArray, n_groups: int, *columns: FloatArray) -> FloatArray:
    return np.column_stack([np.bincount(group, column, n_groups) for column in columns])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LogLoss(PooledMetric):
    """Mean of `-log(probability given to what happened)`, in nats.

    References:
        Good (1952), "Rational decisions", JRSS B 14(1).
    """

    stem: ClassVar[str] = "log_loss"
    needs: ClassVar[frozenset[str]] = _SCORED

    @property
    @override
    def range(self) -> Range:
        return (0.0, -math.log(_TINY))

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        user, chance, label = cases(view)
        return _tally(group[user], n_groups, np.ones(user.size), _surprise(chance, label))

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return float(tally[1] / tally[0]) if tally[0] > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Brier(PooledMetric):
    """Mean of `(probability - label)²`.

    References:
        Brier (1950), Monthly Weather Review 78(1).
    """

    stem: ClassVar[str] = "brier"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        user, chance, label = cases(view)
        return _tally(group[user], n_groups, np.ones(user.size), (chance - label) ** 2)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return float(tally[1] / tally[0]) if tally[0] > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedEntropy(PooledMetric):
    """Log-loss as a multiple of that of always predicting the overall share of positives.

    References:
        He et al. (2014), "Practical lessons from predicting clicks on ads", ADKDD.
    """

    stem: ClassVar[str] = "normalised_entropy"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        user, chance, label = cases(view)
        return _tally(group[user], n_groups, np.ones(user.size), _surprise(chance, label), label)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        n, loss, positives = tally.tolist()
        if not 0 < positives < n:
            return math.nan
        rate = positives / n
        base = -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))
        return float(loss / n / base)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRatio(PooledMetric):
    """Predicted number of positives over their number; 1 is right on the whole.

    References:
        He et al. (2014), "Practical lessons from predicting clicks on ads", ADKDD.
    """

    stem: ClassVar[str] = "calibration_ratio"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        user, chance, label = cases(view)
        return _tally(group[user], n_groups, chance, label)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return float(tally[0] / tally[1]) if tally[1] > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError(PooledMetric):
    """Expected calibration error: mean gap between predicted and actual share in bins.

    `ECE = sum over bins b of n_b / n |share of positives - mean probability|`, over `bins` bins
    of equal width, closed above; with `worst=True` the largest gap instead (MCE).

    Args:
        bins: Number of bins.
        worst: Whether to take the largest gap.

    References:
        Naeini, Cooper, Hauskrecht (2015), AAAI.
    """

    stem: ClassVar[str] = "ece"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _SCORED

    bins: int = 10
    worst: bool = False

    @override
    def _check(self) -> None:
        check.count("bins", self.bins)
        check.flag("worst", self.worst)

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        user, chance, label = cases(view)
        place = np.clip(np.ceil(chance * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        cell = group[user] * self.bins + place
        columns = (np.ones(user.size), chance, label)
        sums = [np.bincount(cell, column, n_groups * self.bins) for column in columns]
        cube = np.array(sums, dtype=np.float64).reshape(3, n_groups, self.bins)
        return cube.swapaxes(0, 1).reshape(n_groups, -1)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        n, chance, label = tally.reshape(3, self.bins)
        if not n.sum():
            return math.nan
        gap = np.abs(label - chance)
        if self.worst:
            return float((gap[n > 0] / n[n > 0]).max())
        return float(gap.sum() / n.sum())
