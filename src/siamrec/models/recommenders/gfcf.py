"""GF-CF: a graph filter in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import FittedItemWeights, WeightsRecipe, totals
from siamrec.models.recommenders.pure_svd import leading_directions
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GFCF(WeightsRecipe[FittedItemWeights]):
    """Filter what a person liked through the item graph: neighbours, and its smoothest part.

    With `X` the weights of likings, `R̃ = D_u^-½ X D_i^-½` and its `directions` leading right
    singular vectors `V`, the scores are `x (R̃ᵀR̃ + ideal · D_i^-½ V Vᵀ D_i^½)`.

    Args:
        directions: Number of singular vectors, at least 1; more for larger data
            (256 in the paper).
        ideal: Weight of the low-pass part, at least 0.
        positive: Smallest value that counts as liking; None counts every event.
        max_items: Refuse more items than this: memory is `4 n²` bytes, and about `16 n²` to make.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked or items are too many.

    References:
        Shen, Wu, Zhang, Shan, Zhang, Letaief and Li (2021), How powerful is graph convolution
        for recommendation?, CIKM, section 4.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> GFCF().fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    kind: ClassVar[str] = "gf-cf"
    fitted: ClassVar[type[FittedWeights]] = FittedItemWeights
    capabilities: ClassVar[Capability] = FittedItemWeights.capabilities
    instead: ClassVar[str] = (
        "fit it on the most popular items, use RP3beta, SANSA, ELSA or ItemKNN, which hold none"
    )
    search_space: ClassVar[Mapping[str, Range]] = {
        "directions": Integer(16, 256, log=True),
        "ideal": Float(0.0, 1.0),
    }

    directions: int = 64
    ideal: float = 0.3
    positive: float | None = None
    max_items: int = 20_000

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("directions", self.directions)
        check.not_negative("ideal", self.ideal)
        check.count("max_items", self.max_items)

    @override
    def weigh(self, history: Histories) -> Weights:
        liked = history.some_liked(self.positive, "GFCF")
        of_user, of_item = totals(liked)
        even = sparse.diags_array(of_user**-0.5) @ liked @ sparse.diags_array(of_item**-0.5)
        weights: Float32Array = (even.T @ even).toarray().astype(np.float32)
        if self.ideal:
            directions = leading_directions(sparse.csr_array(even), self.directions)
            left = (directions / np.sqrt(of_item)[:, None]).astype(np.float32)
            right = (directions * np.sqrt(of_item)[:, None]).astype(np.float32)
            weights += self.ideal * (left @ right.T)
        return weights
