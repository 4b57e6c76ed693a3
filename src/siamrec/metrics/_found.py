"""Relevant places and plain places of the lists, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray


class Found(NamedTuple):
    """Relevant items within the first `k` places, in order of user and rank.

    Attributes:
        user: Row of the user, shape `(n_found,)`.
        rank: Rank from 0, shape `(n_found,)`.
        order: How many relevant items stand above in the same list, shape `(n_found,)`.
        grade: Grade of the item, shape `(n_found,)`.
    """

    user: IntArray
    rank: IntArray
    order: IntArray
    grade: FloatArray

    def at(self, chosen: IntArray) -> Found:
        """Return only the chosen ones; grades that are all one value stay one value."""
        grade = self.grade
        same = grade.strides == (0,)
        return Found(
            self.user[chosen],
            self.rank[chosen],
            self.order[chosen],
            np.broadcast_to(grade[:1].sum(), chosen.shape) if same else grade[chosen],
        )


class Places(NamedTuple):
    """The first `k` places of every list, in order of user and rank.

    Attributes:
        user: Row of the user, shape `(n_places,)`.
        rank: Rank from 0, shape `(n_places,)`.
        item: Code of the item, shape `(n_places,)`.
    """

    user: IntArray
    rank: IntArray
    item: IntArray
