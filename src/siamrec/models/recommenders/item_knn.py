"""Item neighbours: what was liked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import FittedItemWeights, WeightsRecipe, strongest
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKNN(WeightsRecipe[FittedItemWeights]):
    """Rank items by their shrunk cosine with what a person liked.

    `w_ij = |U_i ∩ U_j| / (√(|U_i| |U_j|) + shrinkage)` over the users `U_i` who liked `i`; an
    item keeps its `neighbours` strongest weights, and the scores are `x W`.

    Args:
        neighbours: Weights kept for each item, at least 1.
        shrinkage: Keeps rare pairs small, at least 0.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.

    References:
        Deshpande and Karypis (2004), Item-based top-N recommendation algorithms, TOIS 22(1).

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> ItemKNN().fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    kind: ClassVar[str] = "item-knn"
    fitted: ClassVar[type[FittedWeights]] = FittedItemWeights
    capabilities: ClassVar[Capability] = FittedItemWeights.capabilities
    search_space: ClassVar[Mapping[str, Range]] = {
        "neighbours": Integer(20, 500, log=True),
        "shrinkage": Float(0.0, 200.0),
    }

    neighbours: int = 100
    shrinkage: float = 10.0
    positive: float | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("neighbours", self.neighbours)
        check.not_negative("shrinkage", self.shrinkage)

    @override
    def weigh(self, history: Histories) -> Weights:
        liked = history.liked(self.positive)
        together = sparse.csr_array(liked.T @ liked)
        together.setdiag(0.0)
        together.eliminate_zeros()
        size = np.sqrt(np.bincount(liked.indices, minlength=liked.shape[1]))
        row = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        together.data = together.data / (size[row] * size[together.indices] + self.shrinkage)
        return strongest(together, self.neighbours)
