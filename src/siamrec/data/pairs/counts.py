"""Counting pairs by origin, texts and users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, counted
from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from siamrec.data.pairs.columns import PairColumns


@final
@dataclass(frozen=True, slots=True, repr=False)
class PairStatistics(Record):
    """Counts of a set of pairs.

    Args:
        total: Rows.
        positive: Rows whose origin is feedback and whose label is at least 0.5.
        negative: Rows whose origin is feedback and whose label is below 0.5.
        hard: Mined rows, plus the mined negatives beside other rows.
        synthetic: Rows made without feedback.
        replayed: Rows of an earlier training.
        texts: Distinct texts in use.
        users: Distinct users in use.
        per_user: Mean number of rows of a user (NaN without users).
        effective: Effective sample size `(sum w)^2 / sum w^2` of the weights.
    """

    total: int
    positive: int
    negative: int
    hard: int
    synthetic: int
    replayed: int
    texts: int
    users: int
    per_user: float
    effective: float

    @override
    def title(self) -> str:
        pairs = counted(self.total, "pair")
        return f"Statistics of {pairs}: {self.positive:,} positive, {self.hard:,} hard"


def statistics_of(pairs: PairColumns) -> PairStatistics:
    """Return the counts of a set of pairs."""
    fed = (pairs.origin == PairOrigin.POSITIVE) | (pairs.origin == PairOrigin.NEGATIVE)
    likes = pairs.label >= 0.5
    mined = 0 if pairs.negatives is None else int((pairs.negatives != UNKNOWN).sum())
    known = pairs.user[pairs.user != UNKNOWN]
    n_users = int(np.unique(known).size)
    weight = pairs.weight.astype(np.float64)
    squares = float(weight @ weight)
    return PairStatistics(
        total=len(pairs),
        positive=int((fed & likes).sum()),
        negative=int((fed & ~likes).sum()),
        hard=int((pairs.origin == PairOrigin.HARD).sum()) + mined,
        synthetic=int((pairs.origin == PairOrigin.SYNTHETIC).sum()),
        replayed=int((pairs.origin == PairOrigin.REPLAY).sum()),
        texts=int(np.unique(np.concatenate([pairs.left, pairs.right])).size),
        users=n_users,
        per_user=known.size / n_users if n_users else float("nan"),
        effective=float(weight.sum()) ** 2 / squares if squares else 0.0,
    )
