"""Fitted arms whose scores are a person's items times item-to-item weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, cast, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.typing import Float32Array, FloatArray, Id, IntArray

    Weights: TypeAlias = sparse.csr_array | Float32Array


_FEW = 4  # times as many scores as the weights of what a person liked are still few
_PRODUCTS = 40_000_000
"""Entries that a block of products of items may have, if all were there."""


class FittedWeights(FittedRecommender, ABC):
    """Scores are `s W`, with `s` a strength of each item that a person met and `W` the weights.

    An author writes `strengths`.

    Args:
        kind: Name of the recipe, for the files.
        recipe: Its settings as JSON values; `positive` among them.
        users: Users of the training feedback.
        items: Items that can be ranked.
        history: What the training users did.
        weights: `W`, sparse rows or a dense array, shape `(n_items, n_items)`.
    """

    capabilities: ClassVar[Capability] = (
        Capability.RANKING | Capability.COLD_USER | Capability.EXPLAIN | Capability.SIMILAR
    )

    def __init__(
        self,
        *,
        kind: str,
        recipe: Mapping[str, Any],
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        weights: Weights,
    ) -> None:
        self.users, self.items, self.history = users, items, history
        self.weights = weights
        self._kind, self._recipe = kind, dict(recipe)

    @abstractmethod
    def strengths(self, histories: Histories) -> sparse.csr_array:
        """Return `s` of each history, float32, shape `(n, n_items)`."""

    @final
    @override
    def score(self, histories: Histories) -> Float32Array:
        strengths = self.strengths(histories)
        if len(histories) == 1 and sparse.issparse(self.weights):
            return _sum_of_rows(strengths, sparse.csr_array(self.weights))
        product = strengths @ self.weights
        dense = product.toarray() if sparse.issparse(product) else product
        scores: Float32Array = np.asarray(dense, dtype=np.float32)
        return scores

    @final
    @override
    def few_scores(self, histories: Histories) -> sparse.csr_array | None:
        if not sparse.issparse(self.weights):
            return None
        weights, strengths = sparse.csr_array(self.weights), self.strengths(histories)
        liked = strengths.nnz / max(len(histories), 1)
        if _FEW * liked * weights.nnz > len(self.items) ** 2:
            return None
        return sparse.csr_array(strengths @ weights).astype(np.float32)

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        code = int(self.items.encode([item], name="item")[0])
        row = self._rows([code])[0]
        row[code] = 0.0  # a filter may weigh an item with itself
        best = np.argsort(-row, kind="stable")[: check.count("k", k)]
        return [(self.items[c], float(row[c])) for c in best.tolist() if row[c] != 0]

    @final
    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        own = self.strengths(self.history.people(self.users.encode([user], name="user")))
        target = int(self.items.encode([item], name="item")[0])
        parts = own.data * self._rows(own.indices.tolist())[:, target]
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[int(own.indices[p])], float(parts[p])) for p in best.tolist()]

    @final
    @override
    def save(self, path: str | Path) -> None:
        if sparse.issparse(self.weights):
            matrix = sparse.csr_array(self.weights)
            arrays = {
                "weight": matrix.data.astype(np.float32),
                "weight.item": matrix.indices.astype(np.int32),
                "weight.start": matrix.indptr.astype(np.int64),
            }
        else:
            arrays = {"weight": np.asarray(self.weights)}
        save_arm(path, self, kind=self._kind, recipe=self._recipe, arrays=arrays)

    @classmethod
    def load(cls, path: str | Path, *, kind: str) -> Self:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=kind)
        weights: Weights = parts["weight"]
        if "weight.item" in parts:
            n = len(parts["items"])
            columns = (parts["weight"], parts["weight.item"], parts["weight.start"])
            weights = sparse.csr_array(columns, shape=(n, n))
        return cls(
            kind=kind,
            recipe=recipe,
            users=parts["users"],
            items=parts["items"],
            history=parts["history"],
            weights=weights,
        )

    def _rows(self, codes: list[int]) -> FloatArray:
        rows: Any = self.weights[codes]
        dense: FloatArray = np.array(
            rows.toarray() if sparse.issparse(rows) else rows, dtype=np.float64
        )
        return dense


def _sum_of_rows(strengths: sparse.csr_array, weights: sparse.csr_array) -> Float32Array:
    """Return `s W` of one person, summed in the order of the product of matrices.

    To set up a product of sparse matrices takes longer than to sum a few rows of one.
    """
    first = weights.indptr[strengths.indices].astype(np.int64)
    length = weights.indptr[strengths.indices + 1] - first
    place = np.arange(length.sum()) + np.repeat(first - (np.cumsum(length) - length), length)
    scores = np.zeros((1, weights.shape[1]), dtype=np.float32)
    added = np.repeat(strengths.data, length) * weights.data[place]
    np.add.at(scores[0], weights.indices[place], added.astype(np.float32, copy=False))
    return scores


FittedT = TypeVar("FittedT", bound=FittedWeights)


class WeightsRecipe(RecommenderRecipe, ABC, Generic[FittedT]):
    """Fits weights between items; an author writes `weigh`.

    Attributes:
        kind: Name of the recipe, for the files.
        fitted: What a fitted arm is.
        max_items: The most items for which a whole matrix is held; None where it is sparse.
        instead: What else to do with more items.
    """

    kind: ClassVar[str]
    fitted: ClassVar[type[FittedWeights]]
    instead: ClassVar[str] = (
        "fit it on the most popular items, or use SANSA, ELSA, ItemKNN or IALS, which hold none"
    )

    positive: float | None
    max_items: int | None = None

    @abstractmethod
    def weigh(self, history: Histories) -> Weights:
        """Return `W` of what the training users did; raises where nothing can be learned."""

    @final
    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedT:
        if self.max_items is not None:
            name, n_items = type(self).__name__, len(feedback.items)
            require_side(name, n_items, instead=self.instead, max_items=self.max_items)
        history = Histories.of(feedback, feedback.users, feedback.items)
        made = self.fitted(
            kind=self.kind,
            recipe=asdict(cast("Any", self)),
            users=feedback.users,
            items=feedback.items,
            history=history,
            weights=self.weigh(history),
        )
        return cast("FittedT", made)

    @classmethod
    @final
    def load(cls, path: str | Path) -> FittedT:
        """Return an arm that `save` wrote."""
        return cast("FittedT", cls.fitted.load(path, kind=cls.kind))


def require_side(whose: str, side: int, *, instead: str, **most: int) -> None:
    """Pass when a matrix of this side may be held.

    Args:
        whose: Name of the arm.
        side: Rows of the matrix.
        instead: What else to do.
        most: The setting that bounds it, by its name.

    Raises:
        siamrec.errors.InvalidDataError: If the side is larger.
    """
    ((name, limit),) = most.items()
    if side > limit:
        raise InvalidDataError(
            f"{whose} would hold a matrix of side {side}; {instead}, or raise {name} "
            f"(now {limit})."
        )


@final
class FittedItemWeights(FittedWeights):
    """Every liked item of a person counts its weight."""

    capabilities: ClassVar[Capability] = FittedWeights.capabilities | Capability.WEIGHTS

    @override
    def strengths(self, histories: Histories) -> sparse.csr_array:
        how = self._recipe.get("strength", "once")
        return histories.liked(self._recipe["positive"], strength=how)


def totals(liked: sparse.csr_array) -> tuple[FloatArray, FloatArray]:
    """Return the sums of the rows and of the columns, 1 where there is nothing."""
    of_user = np.asarray(liked.sum(axis=1), dtype=np.float64).ravel()
    of_item = np.asarray(liked.sum(axis=0), dtype=np.float64).ravel()
    return np.where(of_user > 0, of_user, 1.0), np.where(of_item > 0, of_item, 1.0)


def strongest_products(
    left: sparse.csr_array,
    k: int,
    weigh: Callable[[sparse.csr_array, IntArray], FloatArray],
    right: sparse.csr_array | None = None,
) -> sparse.csr_array:
    """Return the `k` largest weights of each item, from products of columns, without a diagonal.

    The products of a block of items at a time are in memory, so that wide data costs no more than
    it keeps.

    Args:
        left: Columns of items, shape `(n, n_items)`; the products are `leftᵀ right`.
        k: Entries kept in a row.
        weigh: Weights of the products of some rows, given them and the row of each entry.
        right: The other side; `left` where it is not given.
    """
    first, second = left.T.tocsr(), left if right is None else right
    step = max(1, _PRODUCTS // max(1, first.shape[0]))
    parts = []
    for start in range(0, first.shape[0], step):
        products = sparse.csr_array(first[start : start + step] @ second)
        row = start + np.repeat(np.arange(products.shape[0]), np.diff(products.indptr))
        data = np.where(row == products.indices, 0.0, weigh(products, row))
        products = sparse.csr_array((data, products.indices, products.indptr), products.shape)
        products.eliminate_zeros()
        parts.append(strongest(products, k))
    if not parts:
        return sparse.csr_array((0, second.shape[1]), dtype=np.float32)
    return sparse.csr_array(sparse.vstack(parts, format="csr"))


def strongest(weights: sparse.csr_array, k: int) -> sparse.csr_array:
    """Keep the `k` largest entries of each row; of equal ones those of the smaller code."""
    matrix = sparse.csr_array(weights)
    matrix.sort_indices()
    kept = np.ones(matrix.nnz, dtype=bool)
    start = matrix.indptr
    for row in np.flatnonzero(np.diff(start) > k).tolist():  # rows differ in length
        own = matrix.data[start[row] : start[row + 1]]
        edge = np.partition(own, own.size - k)[own.size - k]
        among = own > edge
        among[np.flatnonzero(own == edge)[: k - int(among.sum())]] = True
        kept[start[row] : start[row + 1]] = among
    left = np.concatenate(([0], np.cumsum(kept)))[start]
    columns = (matrix.data[kept].astype(np.float32), matrix.indices[kept], left)
    return sparse.csr_array(columns, shape=matrix.shape)
