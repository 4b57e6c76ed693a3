"""Item neighbours: what was liked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import (
    FittedItemWeights,
    WeightsRecipe,
    strongest_products,
    totals,
)
from siamrec.models.recommenders.histories import STRENGTHS
from siamrec.models.recommenders.search import Choice, Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories, Strength
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import FloatArray, IntArray

Weighting = Literal["cosine", "tf-idf", "bm25"]
WEIGHTINGS = ("cosine", "tf-idf", "bm25")
_K, _B = 1.2, 0.75  # of BM25, as in the reference


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKNN(WeightsRecipe[FittedItemWeights]):
    """Rank items by their shrunk cosine with what a person liked.

    `w_ij = z_i·z_j / (‖z_i‖ ‖z_j‖ + shrinkage)`, where `z_i` are the users who liked `i` and how
    strongly; an item keeps its `neighbours` strongest weights, and the scores are `x W` with `x`
    the strengths of a person's likings. With `x_ui` the strength, `|I_u|` the sum over a person
    and `N` the number of items, `z_ui` is

    - `"cosine"`: `x_ui`;
    - `"tf-idf"`: `√x_ui · log(N / (1 + |I_u|))`, so that who likes everything says little;
    - `"bm25"`: `x_ui (k + 1) / (x_ui + k (1 − b + b |U_i| / mean)) · log(N / (1 + |I_u|))` with
      `k = 1.2`, `b = 0.75`, which also grows tired of items that many like; `w = z_i·z_j`.

    Args:
        neighbours: Weights kept for each item, at least 1.
        shrinkage: Keeps rare pairs small, at least 0; BM25 has none.
        weighting: What a liking counts in the likeness of two items.
        positive: Smallest value that counts as liking; None counts every event.
        strength: What a liking counts: `"once"` its weight, `"events"` `log2(1 + n)` by how often
            it came, `"value"` its weight times `log2(1 + value)` for plays and amounts.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.

    References:
        Deshpande and Karypis (2004), Item-based top-N recommendation algorithms, TOIS 22(1);
        Robertson and Zaragoza (2009), The probabilistic relevance framework: BM25 and beyond,
        section 3.

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
        "weighting": Choice(*WEIGHTINGS),
    }

    neighbours: int = 100
    shrinkage: float = 10.0
    weighting: Weighting = "cosine"
    positive: float | None = None
    strength: Strength = "once"

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("neighbours", self.neighbours)
        check.not_negative("shrinkage", self.shrinkage)
        check.one_of("weighting", self.weighting, WEIGHTINGS)
        check.one_of("strength", self.strength, STRENGTHS)

    @override
    def weigh(self, history: Histories) -> Weights:
        told = self._told(history.liked(self.positive, strength=self.strength).astype(np.float64))
        size = np.sqrt(np.bincount(told.indices, told.data**2, minlength=told.shape[1]))

        def likeness(together: sparse.csr_array, row: IntArray) -> FloatArray:
            if self.weighting == "bm25":
                return np.asarray(together.data, dtype=np.float64)
            # who says nothing has no likeness
            both = size[row] * size[together.indices] + self.shrinkage
            near: FloatArray = together.data / np.where(both > 0, both, 1.0)
            return near

        return strongest_products(told, self.neighbours, likeness)

    def _told(self, liked: sparse.csr_array) -> sparse.csr_array:
        """Return what each liking counts in the likeness of items."""
        if self.weighting == "cosine":
            return liked
        of_user, of_item = totals(liked)
        rare = np.maximum(np.log(liked.shape[1] / (1.0 + of_user)), 0.0)
        owner = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
        often = np.sqrt(liked.data)
        if self.weighting == "bm25":
            long = 1.0 - _B + _B * of_item / of_item.mean()
            often = liked.data * (_K + 1.0) / (liked.data + _K * long[liked.indices])
        columns = (often * rare[owner], liked.indices, liked.indptr)
        return sparse.csr_array(columns, shape=liked.shape)
