"""Rating neighbours: what alike items got, or what alike people gave, over the biases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._linear import require_side
from siamrec.models.recommenders._ratings import Biases, FittedRatings, like, rated
from siamrec.models.recommenders.base import RecommenderRecipe
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    from scipy import sparse

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, Id, IntArray

_CAN = Capability.RATINGS | Capability.RANKING | Capability.COLD_USER
_CAN_ITEMS = _CAN | Capability.SIMILAR
_SPACE: dict[str, Range] = {
    "neighbours": Integer(10, 200, log=True),
    "shrinkage": Float(5.0, 500.0, log=True),
}


def shrunk_correlation(
    left: sparse.csr_array, right: sparse.csr_array, shrinkage: float
) -> FloatArray:
    """Return the correlation of residuals over common entries, shrunk where these are few.

    `s_ij = (n−1)/(n−1+shrinkage) · Σ e_i e_j / √(Σ e_i² Σ e_j²)`, sums over the `n` columns that
    both rows have; in [−1, 1], and 0 below two common columns.

    Args:
        left: Residuals, shape `(n, m)`.
        right: Residuals, shape `(k, m)`.
        shrinkage: Common columns at which a correlation counts about half.
    """
    ones_l, ones_r = (like(m, np.ones_like(m.data)) for m in (left, right))
    common = (ones_l @ ones_r.T).toarray()
    product = (left @ right.T).toarray()
    size = (like(left, left.data**2) @ ones_r.T).toarray()
    size *= (ones_l @ like(right, right.data**2).T).toarray()
    weight = np.maximum(common - 1.0, 0.0)
    weight /= weight + shrinkage
    correlation: FloatArray = weight * product / np.sqrt(np.maximum(size, 1e-12))
    return np.clip(correlation, -1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbours(RecommenderRecipe, ABC):
    """The settings that both sides share."""

    neighbours: int = 60
    shrinkage: float = 100.0
    calm: float = 0.3
    max_side: int = 20_000

    def __post_init__(self) -> None:
        check.count("neighbours", self.neighbours)
        check.positive("shrinkage", self.shrinkage)
        check.not_negative("calm", self.calm)
        check.count("max_side", self.max_side)

    def _refuse(self, n: int, what: str) -> None:
        instead = f"use ExplicitMF, which holds none over {what}"
        require_side(type(self).__name__, n, instead=instead, max_side=self.max_side)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemKNNBaseline(_Neighbours):
    """Predict a rating from what the person gave to the items most like it.

    `r̂_ui = b_ui + Σ_{j∈N} s_ij (r_uj − b_uj) / (Σ_{j∈N} s_ij + calm)`, where `N` are the
    `neighbours` items rated by the person that correlate most with `i`, positively.

    Args:
        neighbours: Size of `N`, at least 1.
        shrinkage: Pulls correlations of few common ratings to 0, above 0.
        calm: Pulls predictions with little similarity to the biases, at least 0.
        max_side: Refuse more items than this: memory is `4 n²` bytes, and about `32 n²` to make.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating or with too many items.

    References:
        Koren (2010), Factor in the neighbors, TKDD 4(1), section 2.2.
    """

    capabilities: ClassVar[Capability] = _CAN_ITEMS
    search_space: ClassVar[Mapping[str, Range]] = _SPACE

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedItemKNNBaseline:
        self._refuse(len(feedback.items), "items")
        history = rated(feedback, type(self).__name__).require_even(type(self).__name__)
        bias = BiasModel().learn(history)
        by_item = bias.residuals(history).T.tocsr()
        likeness = shrunk_correlation(by_item, by_item, self.shrinkage)
        np.fill_diagonal(likeness, 0.0)
        vocabularies = {"users": feedback.users, "items": feedback.items}
        return FittedItemKNNBaseline(
            self, {**vocabularies, "history": history}, bias, likeness.astype(np.float32)
        )

    @staticmethod
    def load(path: str | Path) -> FittedItemKNNBaseline:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind="item-knn-baseline")
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedItemKNNBaseline(ItemKNNBaseline(**recipe), parts, bias, parts["likeness"])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UserKNN(_Neighbours):
    """Predict a rating from what the people most like a person gave to the item.

    `r̂_ui = b_ui + Σ_{v∈N} s_uv (r_vi − b_vi) / (Σ_{v∈N} s_uv + calm)`, where `N` are the
    `neighbours` people who rated `i` and correlate most with `u`, positively.

    Args:
        neighbours: Size of `N`, at least 1.
        shrinkage: Pulls correlations of few common ratings to 0, above 0.
        calm: Pulls predictions with little similarity to the biases, at least 0.
        max_side: Refuse more users than this: a block of people is compared with all of them.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating or with too many users.

    References:
        Herlocker, Konstan, Borchers and Riedl (1999), An algorithmic framework for performing
        collaborative filtering, SIGIR; Koren (2010), TKDD 4(1), section 2.2.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = _SPACE

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedUserKNN:
        self._refuse(len(feedback.users), "users")
        history = rated(feedback, type(self).__name__).require_even(type(self).__name__)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedUserKNN(self, parts, BiasModel().learn(history))

    @staticmethod
    def load(path: str | Path) -> FittedUserKNN:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind="user-knn")
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedUserKNN(UserKNN(**recipe), parts, bias)


class _FittedNeighbours(FittedRatings, ABC):
    """What both sides share: pairs are predicted, and a row is all its pairs."""

    def _take(self, recipe: _Neighbours, parts: Mapping[str, Any], bias: Biases) -> None:
        self._n_neighbours, self._calm = recipe.neighbours, recipe.calm
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.bias = bias

    @abstractmethod
    def lift(self, histories: Histories, row: IntArray, item: IntArray) -> FloatArray:
        """Return what neighbours add to the biases of pairs, shape `(n,)`."""

    @final
    @override
    def score(self, histories: Histories) -> Float32Array:
        n, m = len(histories), len(self.items)
        row, item = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
        table = self.bias.table(histories) + self.lift(histories, row, item).reshape(n, m)
        return table.astype(np.float32)

    @final
    @override
    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        base = self.bias.mean + self.bias.of_people(histories)[row] + self.bias.item[item]
        rating: FloatArray = base + self.lift(histories, row, item)
        return rating

    def _mean(self, weight: FloatArray, left: FloatArray) -> FloatArray:
        """Return the weighted means of rows of `left` over their strongest positive weights.

        `weight` has one row for each pair; `left` one for all or one for each.
        """
        weight = np.maximum(weight, 0.0)
        k = self._n_neighbours
        if weight.shape[1] > k:
            edge = np.partition(weight, -k, axis=1)[:, [-k]]
            weight = np.where(weight >= edge, weight, 0.0)
        total = (weight * left).sum(axis=1) if left.ndim > 1 else weight @ left
        mean: FloatArray = total / np.maximum(weight.sum(axis=1) + self._calm, 1e-12)
        return mean


@final
class FittedItemKNNBaseline(_FittedNeighbours):
    """Biases and the correlations of items.

    Attributes:
        likeness: Shrunk correlations, float32, shape `(n_items, n_items)`, 0 on the diagonal.
    """

    capabilities: ClassVar[Capability] = _CAN_ITEMS

    def __init__(
        self,
        recipe: ItemKNNBaseline,
        parts: Mapping[str, Any],
        bias: Biases,
        likeness: Float32Array,
    ) -> None:
        self.recipe = recipe
        self._take(recipe, parts, bias)
        self.likeness = likeness

    @override
    def lift(self, histories: Histories, row: IntArray, item: IntArray) -> FloatArray:
        left = self.bias.residuals(histories)
        order = np.argsort(row, kind="stable")
        bounds = np.searchsorted(row[order], np.arange(len(histories) + 1))
        lifted = np.zeros(row.size)
        for person in np.flatnonzero(np.diff(left.indptr) * np.diff(bounds)).tolist():
            # histories differ in length: one small product for each person
            own = slice(int(left.indptr[person]), int(left.indptr[person + 1]))
            pairs = order[bounds[person] : bounds[person + 1]]
            weight = self.likeness[np.ix_(item[pairs], left.indices[own])]
            lifted[pairs] = self._mean(weight, left.data[own])
        return lifted

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        row = self.likeness[int(self.items.encode([item], name="item")[0])]
        best = np.argsort(-row, kind="stable")[: check.count("k", k)]
        return [(self.items[code], float(row[code])) for code in best.tolist() if row[code] > 0]

    @override
    def save(self, path: str | Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {
            **self.bias.arrays(),
            "likeness": self.likeness,
        }
        recipe = asdict(self.recipe)
        save_arm(path, self, kind="item-knn-baseline", recipe=recipe, arrays=arrays)


@final
class FittedUserKNN(_FittedNeighbours):
    """Biases, and the ratings of everybody to find neighbours in."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(self, recipe: UserKNN, parts: Mapping[str, Any], bias: Biases) -> None:
        self.recipe = recipe
        self._take(recipe, parts, bias)
        self._left = bias.residuals(self.history)
        self._by_item = self._left.T.tocsr()

    @override
    def lift(self, histories: Histories, row: IntArray, item: IntArray) -> FloatArray:
        likeness = shrunk_correlation(
            self.bias.residuals(histories), self._left, self.recipe.shrinkage
        )
        if histories.user is not None:  # nobody is a neighbour of themselves
            own = np.flatnonzero(histories.user >= 0)
            likeness[own, histories.user[own]] = 0.0
        raters = self._by_item
        order = np.argsort(item, kind="stable")
        bounds = np.searchsorted(item[order], np.arange(raters.shape[0] + 1))
        lifted = np.zeros(row.size)
        for code in np.flatnonzero(np.diff(raters.indptr) * np.diff(bounds)).tolist():
            # items differ in how many rated them: one small product for each item
            who = slice(int(raters.indptr[code]), int(raters.indptr[code + 1]))
            pairs = order[bounds[code] : bounds[code + 1]]
            weight = likeness[np.ix_(row[pairs], raters.indices[who])]
            lifted[pairs] = self._mean(weight, raters.data[who])
        return lifted

    @override
    def update(self, feedback: Feedback) -> FittedUserKNN:
        newer = super().update(feedback)  # new ratings count as neighbours' at once
        parts = {"users": newer.users, "items": newer.items, "history": newer.history}
        return FittedUserKNN(self.recipe, parts, self.bias)

    @override
    def save(self, path: str | Path) -> None:
        arrays = self.bias.arrays()
        save_arm(path, self, kind="user-knn", recipe=asdict(self.recipe), arrays=arrays)
