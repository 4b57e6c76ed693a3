"""PureSVD: what a person liked, projected on the directions in which people differ most."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy.sparse.linalg import svds
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._vectors import FittedVectors
from siamrec.models.recommenders.base import RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.search import Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scipy import sparse

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, Id

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.EXPLAIN
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "pure-svd"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PureSVD(RecommenderRecipe):
    """Complete the likings by their best approximation of low rank.

    With the leading right singular vectors `V` of the weights of the likings, the scores are
    `x V Vᵀ`.

    Args:
        factors: Number of singular vectors, at least 1; data with fewer has as many as it has.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If `factors` is not positive.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Cremonesi, Koren and Turrin (2010), Performance of recommender algorithms on top-N
        recommendation tasks, RecSys, section 3.2.2.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> PureSVD(factors=1).fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {"factors": Integer(8, 128, log=True)}

    factors: int = 50
    positive: float | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("factors", self.factors)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedPureSVD:
        history = Histories.of(feedback, feedback.users, feedback.items)
        liked = history.some_liked(self.positive, "PureSVD")
        vectors = leading_directions(liked, self.factors).astype(np.float32)
        return FittedPureSVD(self, feedback.users, feedback.items, history, vectors)

    @staticmethod
    def load(path: str | Path) -> FittedPureSVD:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedPureSVD(
            PureSVD(**recipe), parts["users"], parts["items"], parts["history"], parts["vectors"]
        )


@final
class FittedPureSVD(FittedVectors):
    """The directions, by item."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: PureSVD,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        vectors: Float32Array,
    ) -> None:
        self.recipe, self.vectors = recipe, vectors
        self.users, self.items, self.history = users, items, history

    @override
    def people(self, histories: Histories) -> Float32Array:
        people: Float32Array = histories.liked(self.recipe.positive) @ self.vectors
        return people

    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        row = self.history.people(self.users.encode([user], name="user"))
        own = row.liked(self.recipe.positive)
        liked = own.indices
        target = self.vectors[int(self.items.encode([item], name="item")[0])]
        parts = (self.vectors[liked] @ target) * own.data
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[int(liked[p])], float(parts[p])) for p in best.tolist()]

    @override
    def save(self, path: str | Path) -> None:
        arrays = {"vectors": self.vectors}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)


def leading_directions(matrix: sparse.csr_array, k: int) -> FloatArray:
    """Return the `k` leading right singular vectors as columns, of positive singular value.

    Small matrices are decomposed whole; larger ones by Lanczos from a fixed start, so that equal
    data gives equal vectors.
    """
    small = min(matrix.shape)
    if k >= small - 1 or small <= 64:
        _, size, rows = np.linalg.svd(matrix.toarray().astype(np.float64), full_matrices=False)
        size, rows = size[:k], rows[:k]
    else:
        start = np.random.default_rng(0).normal(size=small)
        _, size, rows = svds(matrix.astype(np.float64), k=k, v0=start)
    directions: FloatArray = rows[size > 1e-9 * size.max()].T
    return directions
