"""Counting pairs by origin, texts and users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from siamrec.data.pairs.columns import Pairs


def counts_of(pairs: Pairs) -> dict[str, Any]:
    """Return the arguments of `PairStatistics`."""
    fed = (pairs.origin == PairOrigin.POSITIVE) | (pairs.origin == PairOrigin.NEGATIVE)
    likes = pairs.label >= 0.5
    mined = 0 if pairs.negatives is None else int((pairs.negatives != UNKNOWN).sum())
    known = pairs.user[pairs.user != UNKNOWN]
    n_users = int(np.unique(known).size)
    weight = pairs.weight.astype(np.float64)
    squares = float(weight @ weight)
    return {
        "total": len(pairs),
        "positive": int((fed & likes).sum()),
        "negative": int((fed & ~likes).sum()),
        "hard": int((pairs.origin == PairOrigin.HARD).sum()) + mined,
        "synthetic": int((pairs.origin == PairOrigin.SYNTHETIC).sum()),
        "replayed": int((pairs.origin == PairOrigin.REPLAY).sum()),
        "texts": int(np.unique(np.concatenate([pairs.left, pairs.right])).size),
        "users": n_users,
        "per_user": known.size / n_users if n_users else float("nan"),
        "effective": float(weight.sum()) ** 2 / squares if squares else 0.0,
    }
