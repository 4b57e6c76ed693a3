"""EDLAE: EASE with the dropout that keeps popular items from explaining themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy.linalg import lapack
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import FittedItemWeights, WeightsRecipe
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EDLAE(WeightsRecipe[FittedItemWeights]):
    """Predict each item from all others, with emphasised denoising.

    With `X` the weights of likings, `G = XᵀX` and `P = (G + Λ)⁻¹`,
    `Λ = λI + p/(1−p)·diag(G)`: `B_ij = −P_ij / P_jj`, `B_jj = 0`, and the scores are
    `X B`. Dropout `p` of the inputs acts as a penalty that grows with popularity; `p = 0` is
    EASE.

    Args:
        l2: Ridge penalty `λ`, above 0.
        dropout: `p`, in [0, 1).
        positive: Smallest value that counts as liking; None counts every event.
        max_items: Refuse more items than this: memory is `12 n²` bytes, time grows as `n³`.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked or items are too many.

    References:
        Steck (2020), Autoencoders that don't overfit towards the Identity, NeurIPS, section 3.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> EDLAE(l2=1.0).fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    kind: ClassVar[str] = "edlae"
    fitted: ClassVar[type[FittedWeights]] = FittedItemWeights
    capabilities: ClassVar[Capability] = FittedItemWeights.capabilities
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(10.0, 5000.0, log=True),
        "dropout": Float(0.0, 0.8),
    }

    l2: float = 500.0
    dropout: float = 0.5
    positive: float | None = None
    max_items: int = 20_000

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.positive("l2", self.l2)
        check.count("max_items", self.max_items)
        check.below_one("dropout", self.dropout)

    @override
    def weigh(self, history: Histories) -> Weights:
        liked = history.some_liked(self.positive, "EDLAE")
        gram = (liked.T @ liked).toarray(order="F").astype(np.float64)
        diagonal = np.diag_indices_from(gram)
        gram[diagonal] += self.l2 + self.dropout / (1 - self.dropout) * gram[diagonal]
        factor, _ = lapack.dpotrf(gram, lower=1, overwrite_a=1)
        lower, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        weights: Float32Array = (inverse / -np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(weights, 0.0)
        return weights
