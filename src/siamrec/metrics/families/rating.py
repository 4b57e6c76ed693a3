"""How close predicted ratings are to given ones.

The predictions are the scores of the rankings, the ratings the grades of the truth; every place
that holds a judged item counts, at whatever rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec.metrics.base import POSITIVE, UNIT, Metric, PooledMetric
from siamrec.metrics.families.accuracy import divided
from siamrec.statistics.ranks import average_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_SCORED = frozenset({"truth", "scores"})


def _sums(
    view: EvaluationView, group: IntArray, n_groups: int, *columns: FloatArray
) -> FloatArray:
    """Return the sums of columns over the rated places of each group of users."""
    where = group[view.rated[0]]
    return np.column_stack([np.bincount(where, column, n_groups) for column in columns])


def _costs(
    view: EvaluationView,
    group: IntArray,
    n_groups: int,
    cost: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Return the number of rated places, and what their errors cost in all."""
    _, grade, score = view.rated
    return _sums(view, group, n_groups, np.ones(grade.size), cost(score - grade))


def _mean_cost(tally: FloatArray) -> float:
    return float(tally[1] / tally[0]) if tally[0] > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RootMeanSquaredError(PooledMetric):
    """`RMSE = sqrt(mean (score - grade)²)` over all rated places."""

    stem: ClassVar[str] = "rmse"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return _costs(view, group, n_groups, np.square)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return math.sqrt(_mean_cost(tally))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanSquaredError(PooledMetric):
    """`MSE = mean (score - grade)²` over all rated places."""

    stem: ClassVar[str] = "mse"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return _costs(view, group, n_groups, np.square)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return _mean_cost(tally)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanAbsoluteError(PooledMetric):
    """`MAE = mean |score - grade|` over all rated places."""

    stem: ClassVar[str] = "mae"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return _costs(view, group, n_groups, np.abs)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return _mean_cost(tally)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeterminationCoefficient(PooledMetric):
    """`R² = 1 - sum (score - grade)² / sum (grade - mean grade)²` over all rated places."""

    stem: ClassVar[str] = "r2"
    limits: ClassVar[Range] = (-math.inf, 1.0)
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        _, grade, score = view.rated
        return _sums(
            view, group, n_groups, np.ones(grade.size), (score - grade) ** 2, grade, grade**2
        )

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        n, error, total, square = tally.tolist()
        spread = square - total * total / n if n else 0.0
        return 1.0 - error / spread if spread > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MacroRootMeanSquaredError(Metric):
    """RMSE of each user over its rated places; the mean weighs users, not ratings."""

    stem: ClassVar[str] = "macro_rmse"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        user, grade, score = view.rated
        total = view.sum_by_user(user, (score - grade) ** 2)
        return np.sqrt(divided(total, np.bincount(user, minlength=view.n_users)))


def _by_user(view: EvaluationView) -> list[tuple[int, FloatArray, FloatArray]]:
    """Return user, grades and scores of each user with at least two rated places."""
    user, grade, score = view.rated
    counts = np.bincount(user, minlength=view.n_users)
    last = counts.cumsum()
    return [
        (int(u), grade[last[u] - counts[u] : last[u]], score[last[u] - counts[u] : last[u]])
        for u in np.flatnonzero(counts > 1)  # rated places stand in order of user
    ]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spearman(Metric):
    """Spearman's rank correlation of scores and grades; NaN where one of them is constant.

    References:
        Spearman (1904), American Journal of Psychology 15(1).
    """

    stem: ClassVar[str] = "spearman"
    limits: ClassVar[Range] = (-1.0, 1.0)
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        values = np.full(view.n_users, np.nan)
        for user, grade, score in _by_user(view):
            values[user] = correlation(average_ranks(grade), average_ranks(score))
        return values


def correlation(first: FloatArray, second: FloatArray) -> float:
    """Return Pearson's correlation; NaN where a column is constant."""
    a, b = first - first.mean(), second - second.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else math.nan


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kendall(Metric):
    """Kendall's tau-b of scores and grades; NaN where one of them is constant.

    `(concordant - discordant) / sqrt((pairs - ties in grades) (pairs - ties in scores))`.

    References:
        Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33(3).
    """

    stem: ClassVar[str] = "kendall"
    limits: ClassVar[Range] = (-1.0, 1.0)
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        values = np.full(view.n_users, np.nan)
        for user, grade, score in _by_user(view):
            by_grade, by_score = _signs(grade), _signs(score)
            spread = math.sqrt(float(np.abs(by_grade).sum()) * float(np.abs(by_score).sum()))
            if spread > 0:
                values[user] = float((by_grade * by_score).sum()) / spread
        return values


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseAccuracy(Metric):
    """Share of the pairs of differently graded items that the scores order rightly (FCP).

    Equal scores count half.

    References:
        Koren and Sill (2011), "OrdRec", RecSys.
    """

    stem: ClassVar[str] = "pairwise_accuracy"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _SCORED

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        values = np.full(view.n_users, np.nan)
        for user, grade, score in _by_user(view):
            by_grade = _signs(grade)
            agreement = (by_grade * _signs(score))[by_grade != 0]
            if agreement.size:
                values[user] = float((agreement + 1.0).mean()) / 2.0
        return values


def _signs(values: FloatArray) -> FloatArray:
    """Return the sign of all differences `values[i] - values[j]`, shape `(n, n)`."""
    return np.sign(values[:, None] - values[None, :])
