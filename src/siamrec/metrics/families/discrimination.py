"""How well lists separate what a user likes from the rest of the candidates.

The lists of these metrics should hold all candidates: an item that is not listed is no negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric, PooledMetric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_TRUTH = frozenset({"truth"})


def auc_of(view: EvaluationView, rel: float | None) -> FloatArray:
    """Return the area under the ROC curve of each user; NaN without both classes.

    Items of equal score count half; without scores the ranks decide.
    """
    found = view.found(None, rel)
    positives = view.n_found(None, rel)
    rank = found.rank.astype(np.float64)
    if view.rankings.score is not None:
        rank = view.mean_over_ties(view.rankings.rank.astype(np.float64))[
            view.start[found.user] + found.rank
        ]
    below = view.length[found.user] - 1.0 - rank
    pairs = view.sum_by_user(found.user, below) - positives * (positives - 1) / 2
    return divided(pairs, positives * (view.length - positives))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AUC(Metric):
    """Probability that a relevant candidate stands above another one; ties count half.

    Needs whole candidate lists, best first. NaN for users without both kinds of candidates.

    Args:
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Hanley and McNeil (1982), Radiology 143(1).
    """

    stem: ClassVar[str] = "auc"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return auc_of(view, self.rel)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAUC(PooledMetric):
    """Mean of the users' AUC weighted by the length of their lists (GAUC).

    Users without both kinds of candidates are left out.

    Args:
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Zhou et al. (2018), "Deep interest network", KDD.
    """

    stem: ClassVar[str] = "gauc"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    rel: float | None = None

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        auc = auc_of(view, self.rel)
        weight = np.where(np.isnan(auc), 0.0, view.length)
        sums = (np.bincount(group, w, n_groups) for w in (weight * np.nan_to_num(auc), weight))
        return np.column_stack(tuple(sums))

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return float(tally[0] / tally[1]) if tally[1] > 0 else float("nan")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAUC(Metric):
    """AUC of all relevant items against the first `negatives` other items of the list.

    `sum over hits of max(0, n - misses above the hit) / (n |R|)`; relevant items that are not
    listed count as below all.

    Args:
        negatives: Number `n` of top misses that count.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Dodd and Pepe (2003), "Partial AUC estimation and regression", Biometrics 59(3).
    """

    stem: ClassVar[str] = "partial_auc"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    negatives: int
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.count("negatives", self.negatives)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(None, self.rel)
        left = np.maximum(self.negatives - (found.rank - found.order), 0).astype(np.float64)
        return divided(
            view.sum_by_user(found.user, left), self.negatives * view.n_relevant(self.rel)
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRank(Metric):
    """Mean rank, from 1, of a user's relevant items; lower is better.

    A relevant item outside the first `k` places has the rank one below them.

    Args:
        k: Cut-off; without it, the length of the list.
        rel: Smallest relevant grade; without it, the suite's.
    """

    stem: ClassVar[str] = "mean_rank"
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    rel: float | None = None

    @property
    @override
    def range(self) -> Range:
        return (1.0, np.inf if self.k is None else self.k + 1.0)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        last = view.length if self.k is None else np.full(view.n_users, self.k)
        missed = view.n_relevant(self.rel) - view.n_found(self.k, self.rel)
        ranks = (found.rank + 1).astype(np.float64)
        total = view.sum_by_user(found.user, ranks) + missed * (last + 1.0)
        return divided(total, view.n_relevant(self.rel))
