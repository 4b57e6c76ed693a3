"""Ensemble selection: weights by how often adding an arm helps on held-out events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.data import Rankings, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.metrics import Suite
from siamrec.models.ensembles.scales import rescaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec.data import Truth
    from siamrec.models.ensembles.base import FittedEnsemble
    from siamrec.models.ensembles.scales import Scale
    from siamrec.typing import Float32Array, FloatArray

_MOST_USERS = 2000
_DEPTH = 100


def select(
    ensemble: FittedEnsemble,
    truth: Truth,
    *,
    scale: Scale,
    metric: str,
    rounds: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the share of rounds that chose each member, in the best ensemble on the way.

    Starting from nothing, each round adds the member, chosen before or not, that makes the sum
    of the rescaled scores best by the metric. Adding goes on for all rounds, since a step may
    pay only after the next; the best sum that was met wins. Members that it is not worse without
    are taken out again.

    Args:
        ensemble: Members, fitted to the events before the held-out ones.
        truth: What the users liked among the held-out events.
        scale: How scores become comparable.
        metric: Name of a metric with one value per user; higher must be better.
        rounds: Number of additions.
        rng: Draws the users to look at, where they are many.

    Raises:
        siamrec.errors.InvalidDataError: If no user of the ensemble has anything relevant.
    """
    judged = truth.users.translate(ensemble.users)[truth.n_judged > 0]
    users = np.sort(rng.permutation(judged[judged >= 0])[:_MOST_USERS])
    if not users.size:
        raise InvalidDataError("No relevant event was held out; give the weights instead.")
    histories = ensemble.history.people(users)
    tables = [rescaled(table, scale) for table in ensemble.all_scores(histories)]
    seen = np.zeros(tables[0].shape, dtype=bool)
    place = histories.value.tocoo()
    seen[place.row, place.col] = True  # a stored 0 is seen as well
    suite, names = (
        Suite([metric], missing_user="exclude"),
        Vocabulary(tuple(ensemble.users.decode(users))),
    )

    def worth(scores: Float32Array) -> FloatArray:
        lists = Rankings.from_scores(
            scores, k=_DEPTH, exclude=seen, users=names, items=ensemble.items
        )
        return suite.evaluate(lists, truth).per_user(suite.names[0])

    count = _grown(tables, worth, rounds)
    count = _pruned(tables, worth, count)
    return dict(zip(ensemble.members, (count / count.sum()).tolist(), strict=True))


def _grown(
    tables: Sequence[Float32Array], worth: Callable[[Float32Array], FloatArray], rounds: int
) -> FloatArray:
    """Return how often each table was added to the best sum met."""
    count, total = np.zeros(len(tables)), np.zeros_like(tables[0])
    best, best_worth = count, -np.inf
    for _ in range(rounds):
        found = [float(np.nanmean(worth(total + table))) for table in tables]
        place = int(np.argmax(found))
        total = total + tables[place]
        count = count + (np.arange(len(tables)) == place)
        if found[place] > best_worth:
            best, best_worth = count, found[place]
    return best


def _pruned(
    tables: Sequence[Float32Array], worth: Callable[[Float32Array], FloatArray], count: FloatArray
) -> FloatArray:
    """Take away, lightest first, what the metric is not worse without."""

    def summed(times: FloatArray) -> FloatArray:
        chosen = [n * table for n, table in zip(times, tables, strict=True) if n > 0]
        return worth(sum(chosen[1:], chosen[0]))

    value = summed(count)
    for place in np.argsort(count, kind="stable").tolist():
        fewer = np.where(np.arange(count.size) == place, 0.0, count)
        if count[place] == 0 or not fewer.any():
            continue
        without = summed(fewer)
        if np.nanmean(value) <= np.nanmean(without):
            count, value = fewer, without
    return count
