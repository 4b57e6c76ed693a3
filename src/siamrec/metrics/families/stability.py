"""How much lists changed from one version of a model to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

_PREVIOUS = frozenset({"previous"})


def shared(view: EvaluationView, depth: int) -> FloatArray:
    """Return how many items both lists share in their first `d` places, `(n_users, depth)`."""
    new, old = view.table[:, :depth], view.previous[:, :depth]
    meets = np.zeros((view.n_users, depth + 1))
    for place in range(old.shape[1]):  # one column of the old lists at a time
        same = (new == old[:, place : place + 1]) & (new >= 0)
        user, rank = np.nonzero(same)
        meets[user, np.maximum(rank, place)] += 1.0  # both lists have it from here on
    return meets[:, :depth].cumsum(axis=1)


def _sizes(view: EvaluationView, k: int | None) -> tuple[FloatArray, FloatArray]:
    depth = view.previous.shape[1] if k is None else k
    old = (view.previous[:, :depth] != -1).sum(axis=1).astype(np.float64)
    return view.n_shown(k).astype(np.float64), old


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Metric):
    """Share of the longer of two lists that both have in common; NaN without an earlier list.

    Args:
        k: Cut-off; without it, whole lists.
    """

    stem: ClassVar[str] = "overlap"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _PREVIOUS

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return _overlap(view, self.k)


def _overlap(view: EvaluationView, k: int | None) -> FloatArray:
    new, old = _sizes(view, k)
    depth = int(max(new.max(initial=0.0), old.max(initial=0.0)))
    common = shared(view, depth)[:, -1] if depth else np.zeros(view.n_users)
    return divided(common, np.where(old > 0, np.maximum(new, old), 0.0))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Churn(Metric):
    """Share of a list that is not in the earlier one: `1 - overlap`; NaN without an earlier list.

    Args:
        k: Cut-off; without it, whole lists.
    """

    stem: ClassVar[str] = "churn"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _PREVIOUS

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return 1.0 - _overlap(view, self.k)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RankBiasedOverlap(Metric):
    """Similarity of two lists that weighs the top most: 1 the same, 0 nothing in common (RBO).

    `sum over d <= k of p^(d - 1) |A_d and B_d| / d`, divided by `sum of p^(d - 1)`, so that equal
    lists have 1; `k` is the cut-off or the longer list. NaN without an earlier list.

    Args:
        k: Cut-off; without it, whole lists.
        persistence: Weight `p` of each next depth, in (0, 1).

    References:
        Webber, Moffat, Zobel (2010), "A similarity measure for indefinite rankings", ACM TOIS
        28(4) (truncated and normalised).
    """

    stem: ClassVar[str] = "rbo"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _PREVIOUS

    k: int | None = None
    persistence: float = 0.9

    @override
    def _check(self) -> None:
        check.share("persistence", self.persistence, open_ends=True)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        new, old = _sizes(view, self.k)
        reach = np.maximum(new, old)
        depth = int(reach.max(initial=0.0))
        if not depth:
            return np.full(view.n_users, np.nan)
        place = np.arange(1, depth + 1)
        weight = self.persistence ** (place - 1.0) * (place <= reach[:, None])
        agreement = shared(view, depth) / place
        total = (weight * agreement).sum(axis=1)
        return divided(total, np.where(old > 0, weight.sum(axis=1), 0.0))
