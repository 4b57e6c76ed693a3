"""Places chosen so far, collected user after user."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.rerank.normalise import best_places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, IntArray


@final
class Picks:
    """A growing list of chosen places with their gains; one use each.

    Args:
        candidates: Where the places are.
        k: Length of the lists.
    """

    def __init__(self, candidates: Candidates, k: int) -> None:
        self._candidates = candidates
        size = int(np.minimum(np.diff(candidates.start), k).sum())
        self._place = np.empty(size, dtype=np.int64)
        self._gain = np.empty(size)
        self._n = 0

    def users(self) -> Iterator[tuple[int, int]]:
        """Yield the bounds of the places of each user who has any."""
        return self._candidates.users()

    def add(self, place: int, gain: float) -> None:
        """Take one place."""
        self._place[self._n] = place
        self._gain[self._n] = gain
        self._n += 1

    def extend(self, places: IntArray, gains: FloatArray) -> None:
        """Take several places."""
        end = self._n + places.size
        self._place[self._n : end] = places
        self._gain[self._n : end] = gains
        self._n = end

    def done(self) -> tuple[IntArray, FloatArray]:
        """Return the places and gains."""
        return self._place[: self._n], self._gain[: self._n]


def in_order_of_score(candidates: Candidates, score: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return all places and scores with each user's best first; equal scores by place."""
    order = best_places(candidates, score, int(np.diff(candidates.start).max(initial=0)))
    return order, score[order]
