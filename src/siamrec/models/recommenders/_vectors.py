"""Fitted arms whose score is a person's vector times an item's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec.models.recommenders._ratings import nearest
from siamrec.models.recommenders.base import FittedRecommender

if TYPE_CHECKING:
    from siamrec.models.recommenders.histories import Histories
    from siamrec.typing import BoolArray, Float32Array, Id


class FittedVectors(FittedRecommender, ABC):
    """Scores are `people(histories) · vectorsᵀ + offset`.

    Attributes:
        vectors: Item vectors, float32, shape `(n_items, dim)`.
        offset: Added to the score of each item, shape `(n_items,)`; None for nothing.
        rankable: Items that can be ranked, shape `(n_items,)`; None for all.
    """

    vectors: Float32Array
    offset: Float32Array | None = None
    rankable: BoolArray | None = None

    @abstractmethod
    def people(self, histories: Histories) -> Float32Array:
        """Return the vector of each history, shape `(n, dim)`."""

    @final
    @override
    def score(self, histories: Histories) -> Float32Array:
        scores: Float32Array = self.people(histories) @ self.vectors.T
        if self.offset is not None:
            scores += self.offset
        if self.rankable is not None:
            scores[:, ~self.rankable] = -np.inf
        return scores

    @final
    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        code = int(self.items.encode([item], name="item")[0])
        return nearest(self.vectors, code, self.items, k)
