"""Ranking metrics that model how a user reads down a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.metrics.base import POSITIVE, UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

_TRUTH = frozenset({"truth"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RankBiasedPrecision(Metric):
    """Gain found by a user who goes on to the next place with probability `persistence`.

    `RBP = (1 - p) sum over ranks r of grade_r p^(r - 1)`.

    Args:
        k: Cut-off; without it, whole lists.
        persistence: Probability of going on, in (0, 1).

    References:
        Moffat and Zobel (2008), "Rank-biased precision", ACM TOIS 27(1).
    """

    stem: ClassVar[str] = "rbp"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    persistence: float = 0.8

    @override
    def _check(self) -> None:
        check.share("persistence", self.persistence, open_ends=True)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, 0.0)
        weight = found.grade * self.persistence ** found.rank.astype(np.float64)
        return (1.0 - self.persistence) * view.sum_by_user(found.user, weight)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedReciprocalRank(Metric):
    """Expected 1 / rank of the place that satisfies a user who stops there.

    `ERR = sum over r of (1 / r) R_r prod over j < r of (1 - R_j)`, `R = (2^g - 1) / 2^highest`.

    Args:
        k: Cut-off; without it, whole lists.
        highest: Highest grade of the scale; no grade may exceed it.

    References:
        Chapelle, Metzler, Zhang, Grinspan (2009), CIKM.
    """

    stem: ClassVar[str] = "err"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    highest: float = 4.0

    @override
    def _check(self) -> None:
        check.positive("highest", self.highest)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        top = float(view.positive.grade.max(initial=0.0))
        if top > self.highest:
            raise InvalidDataError(
                f"Grades must not exceed highest={self.highest:g} of err, got {top:g}; "
                f"write err(highest={top:g})."
            )
        found = view.found(self.k, 0.0)
        stops = (np.exp2(found.grade) - 1.0) / np.exp2(self.highest)
        total, goes_on = np.zeros(view.n_users), np.ones(view.n_users)
        for order in range(int(found.order.max(initial=-1)) + 1):  # the n-th hit of every user
            now = np.flatnonzero(found.order == order)
            user = found.user[now]
            total[user] += goes_on[user] * stops[now] / (found.rank[now] + 1.0)
            goes_on[user] *= 1.0 - stops[now]
        return total


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CumulativeReciprocalRank(Metric):
    """Sum of 1 / rank over all hits, as a share of the best reachable one (NCRR).

    Args:
        k: Cut-off; without it, whole lists.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Salah, Truong, Lauw (2020), "Cornac", JMLR 21(95).
    """

    stem: ClassVar[str] = "ncrr"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        gain = 1.0 / (found.rank + 1).astype(np.float64)
        total = view.sum_by_user(found.user, gain)
        reach = view.n_relevant(self.rel)
        reach = reach if self.k is None else np.minimum(reach, self.k)
        harmonic = np.concatenate(([0.0], (1.0 / np.arange(1, reach.max(initial=0) + 1)).cumsum()))
        return divided(total, harmonic[reach])
