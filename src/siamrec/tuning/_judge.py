"""How good a fitted arm is on held-out events, by any metric of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.data import Rankings
from siamrec.metrics import Suite
from siamrec.models.recommenders import Capability

if TYPE_CHECKING:
    from siamrec.metrics.report import Report
    from siamrec.metrics.splits import Fold
    from siamrec.models.recommenders import FittedRecommender

LOWER_IS_BETTER = frozenset({"rmse", "mse", "mae", "macro_rmse", "mean_rank"})
_RATINGS = frozenset({"rmse", "mse", "mae", "macro_rmse", "r2"})
_DEPTH = 100


def stem(metric: str) -> str:
    """Return a metric's name without settings and cut-off."""
    return metric.split("@", maxsplit=1)[0].split("(", maxsplit=1)[0]


def judge(
    arm: FittedRecommender, fold: Fold, metric: str, *, positive: float | None, depth: int
) -> Report:
    """Return the report of an arm on a fold.

    Errors of ratings are measured on predicted ratings, everything else on ranked lists of the
    users who are known and have something relevant among the test events.

    Raises:
        siamrec.errors.MissingCapabilityError: If the metric is of ratings and the arm has none.
    """
    suite = Suite([metric])
    if stem(metric) in _RATINGS:
        arm.require(Capability.RATINGS)
        return suite.evaluate(_rated(arm, fold), fold.truth(graded=True))
    truth = fold.truth(least=positive)
    known = truth.users.translate(arm.users) >= 0
    users = [truth.users[row] for row in np.flatnonzero(known & (truth.n_judged > 0)).tolist()]
    return suite.evaluate(arm.recommend(users, k=depth), truth, n_users=len(users))


def _rated(arm: FittedRecommender, fold: Fold) -> Rankings:
    """Return the test events, each pair once, as lists whose scores are the predicted ratings."""
    test = fold.testing
    pair = test.user.astype(np.int64) * max(len(test.items), 1) + test.item
    _, first = np.unique(pair, return_index=True)
    user, item, time = test.user[first], test.item[first], test.time[first]
    score = arm.predict(
        test.users.decode(user), test.items.decode(item), time=time, unknown="fallback"
    )
    start = np.searchsorted(user, np.arange(len(test.users) + 1))
    return Rankings(users=test.users, items=test.items, item=item, start=start, score=score)


def depth_of(metric: str) -> int:
    """Return how long lists must be for a metric."""
    cut = metric.rpartition("@")[2]
    return int(cut) if "@" in metric and cut.isdigit() else _DEPTH
