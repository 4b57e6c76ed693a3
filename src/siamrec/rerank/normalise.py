"""Scores of different users brought onto one scale, by a named rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.data._top import best_columns

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, IntArray

_BLOCK_CELLS = 1 << 17
_FAR = 1e30  # further below than that is all the same, for sums in float32

RULES = ("none", "minmax", "zscore", "rank")


def normalised(candidates: Candidates, rule: str) -> FloatArray:
    """Return the scores of each user on one scale, shape `(n_places,)`.

    `"minmax"` maps each user's scores to [0, 1] (all to 1 where they are equal), `"zscore"` to
    mean 0 and variance 1 (0 where they are equal), `"rank"` to 1 for the best falling evenly to
    1 / n for the last (equal scores share the mean), `"none"` leaves them.

    Raises:
        siamrec.errors.UnknownNameError: If the rule is unknown.
    """
    check.one_of("normalise", rule, RULES)
    score, owner, start = candidates.score, candidates.owner, candidates.start
    if rule == "none" or not score.size:
        return score.copy()
    if rule == "zscore":
        return standardised(candidates, score)
    score = _bounded(candidates, score)
    filled = np.flatnonzero(np.diff(start))
    first = start[filled]
    if rule == "minmax":
        low, high = np.zeros(candidates.n_users), np.zeros(candidates.n_users)
        low[filled] = np.minimum.reduceat(score, first)
        high[filled] = np.maximum.reduceat(score, first)
        width = (high - low)[owner]
        flat = width == 0
        return np.where(flat, 1.0, (score - low[owner]) / np.where(flat, 1.0, width))
    return _ranks(score, owner, start) / np.maximum(np.diff(start), 1)[owner]


def standardised(candidates: Candidates, score: FloatArray) -> FloatArray:
    """Return the scores of each user at mean 0 and variance 1; 0 where they are equal."""
    owner, size = candidates.owner, np.maximum(np.diff(candidates.start), 1)
    even = _bounded(candidates, score)
    away = even - (candidates.sum_by_user(even) / size)[owner]
    flat = _largest(candidates, np.abs(even - even[candidates.start[:-1][owner]])) == 0
    # a mean is rounded: what is all the same stands away from it by nothing
    away = _bounded(candidates, np.where(flat[owner], 0.0, away))
    spread = np.sqrt(candidates.sum_by_user(away**2) / size)[owner]
    return np.where(spread == 0, 0.0, away / np.where(spread == 0, 1.0, spread))


def below_best(candidates: Candidates, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far each score is below its user's best, which float32 holds, and the best.

    A selector that takes no notice of a constant works on these: near the best no digit is lost.
    """
    best = np.full(candidates.n_users, -np.inf)
    np.maximum.at(best, candidates.owner, score)
    with np.errstate(over="ignore"):  # the span of two finite numbers may have no number
        below = np.maximum(score - best[candidates.owner], -_FAR)
    return below, best


def _bounded(candidates: Candidates, score: FloatArray) -> FloatArray:
    """Return the scores of each user divided by the largest of them, without its sign."""
    most = _largest(candidates, np.abs(score))
    return score / np.where(most > 0, most, 1.0)[candidates.owner]


def _largest(candidates: Candidates, values: FloatArray) -> FloatArray:
    """Return the largest of each user's values, which are not below 0; shape `(n_users,)`."""
    most = np.zeros(candidates.n_users)
    np.maximum.at(most, candidates.owner, values)
    return most


def _ranks(
    score: FloatArray,
    owner: IntArray,
    start: IntArray,
) -> FloatArray:
    """Return how many scores of the user are not higher, ties in the middle."""
    order = np.lexsort((score, owner))
    ordered, user = score[order], owner[order]
    opens = np.ones(order.size, dtype=np.bool_)
    opens[1:] = (ordered[1:] != ordered[:-1]) | (user[1:] != user[:-1])
    first = np.flatnonzero(opens)
    last = np.append(first[1:], order.size)
    middle = ((first + last + 1) / 2.0)[opens.cumsum() - 1] - start[user]
    ranks = np.empty(order.size)
    ranks[order] = middle
    return ranks


def best_places(candidates: Candidates, score: FloatArray, k: int) -> IntArray:
    """Return the `k` best places of each user, best first; equal scores by earlier place."""
    start, size = candidates.start, np.diff(candidates.start)
    width = int(size.max(initial=0))
    places = [np.empty(0, dtype=np.int64)]
    rows = max(1, _BLOCK_CELLS // max(width, 1))
    rank = np.arange(width)
    for low in range(0, candidates.n_users if width else 0, rows):  # blocks stay in the cache
        first, length = start[low : low + rows][: candidates.n_users - low], size[low : low + rows]
        filled = rank < length[:, None]
        table = np.full(filled.shape, -np.inf)
        table[filled] = score[first[0] : first[-1] + length[-1]]
        column = best_columns(table, min(k, width))
        chosen = column < length[:, None]
        places.append((first[:, None] + column)[chosen])
    return np.concatenate(places)
