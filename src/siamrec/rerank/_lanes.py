"""Users side by side, each with its best candidates, pruned without changing any list.

A candidate's gain can only fall as others are chosen. So one that is not among the best `m`
cannot be chosen while every gain is at least its first one; lists for which that does not hold
are chosen again among twice as many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import Float32Array, FloatArray, IntArray

_CELLS = 1 << 19
_FIRST = 64


class Lanes(NamedTuple):
    """Some users with their best candidates, best first.

    Attributes:
        first: Gain of each candidate while nothing is chosen; minus infinity where a lane has
            fewer candidates, shape `(n_lanes, width)`.
        cosine: Cosines between the candidates of a lane, shape `(n_lanes, width, width)`: one
            product of matrices costs less than a product with a vector at each step.
    """

    first: Float32Array
    cosine: Float32Array


def choose_in_lanes(
    candidates: Candidates,
    first: Float32Array,
    k: int,
    run: Callable[[Lanes, int], tuple[IntArray, Float32Array]],
) -> tuple[IntArray, FloatArray]:
    """Return the places and gains of a greedy choice whose gains only fall.

    Args:
        candidates: All places.
        first: Gain of each place while nothing is chosen, shape `(n_places,)`.
        k: Length of the lists.
        run: Chooses in lanes: columns, and their gains, each of shape `(n_lanes, steps)`.
    """
    order = np.lexsort((-first, candidates.owner))  # stable: equal gains by place
    size = np.diff(candidates.start)
    length = np.minimum(size, k)
    target = length.cumsum() - length
    places = np.empty(int(length.sum()), dtype=np.int64)
    gains = np.empty(places.size)
    limit, left = max(_FIRST, 2 * k), np.flatnonzero(size > 0)
    while left.size:
        width = min(limit, int(size[left].max()))
        together = max(1, _CELLS // width**2)
        again = []
        for low in range(0, left.size, together):
            users = left[low : low + together]
            place, lanes, bound = _filled(candidates, first, order, users, limit)
            picked, gain = run(lanes, k)
            for lane, user in enumerate(users.tolist()):
                here = slice(0, int(length[user]))
                if size[user] > limit and (gain[lane, here] < bound[lane]).any():
                    again.append(user)
                    continue
                at = slice(int(target[user]), int(target[user] + length[user]))
                places[at] = place[lane, picked[lane, here]]
                gains[at] = gain[lane, here]
        left, limit = np.array(again, dtype=np.int64), limit * 2
    return places, gains


def _filled(
    candidates: Candidates,
    first: Float32Array,
    order: IntArray,
    users: IntArray,
    limit: int,
) -> tuple[IntArray, Lanes, Float32Array]:
    """Return the places of the lanes, the lanes, and the first gain of the best one left out."""
    start, size = candidates.start[users], np.diff(candidates.start)[users]
    width = int(min(limit, size.max()))
    rank = np.arange(width)
    filled = rank < size[:, None]
    place = order[np.where(filled, start[:, None] + rank, start[:, None])]
    gain = np.where(filled, first[place], np.float32(-np.inf))
    vector = candidates.embeddings.take(candidates.item[place], axis=0)
    cosine = np.matmul(vector, vector.transpose(0, 2, 1))
    bound = first[order[np.where(size > width, start + width, start)]]
    return place, Lanes(gain, cosine), bound
