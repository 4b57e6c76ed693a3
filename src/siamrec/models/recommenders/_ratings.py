"""Fitted arms that predict ratings: biases underneath, one door for pairs of user and item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.data.liking import top_of
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders.base import FittedRecommender
from siamrec.models.recommenders.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from siamrec.data import Feedback, Vocabulary
    from siamrec.typing import Float32Array, FloatArray, Id, IntArray

_BLOCK = 1024  # people predicted at a time


@final
@dataclass(frozen=True, slots=True)
class Biases:
    """How far ratings of an item, and of a person, lie from the mean.

    Attributes:
        mean: Mean of all ratings `μ`.
        item: `b_i`, shape `(n_items,)`.
        damping: Ratings at the mean that a person is imagined to have given.
        unit: What a star is on the scale of the ratings: a fifth of its top, so 1 of 5, 2 of 10,
            20 of 100. What is learned over the biases is learned in stars, so that one penalty
            and one step size suit every scale.
    """

    mean: float
    item: FloatArray
    damping: float
    unit: float = 1.0

    @classmethod
    def fit(
        cls, history: Histories, *, user_damping: float, item_damping: float, iterations: int
    ) -> Biases:
        """Return the biases after alternating damped means, those of people last.

        Every mean is weighted by the events' weights, and every count is their sum.
        """
        ratings = history.ratings
        (n_users, n_items), row = ratings.value.shape, ratings.owner
        column, rating = ratings.value.indices, ratings.value.data.astype(np.float64)
        weight = ratings.weights.astype(np.float64)
        mean = float(np.average(rating, weights=weight))
        n_user = np.bincount(row, weight, minlength=n_users) + user_damping
        n_item = np.bincount(column, weight, minlength=n_items) + item_damping
        user = np.zeros(n_users)
        for _ in range(iterations):
            left = weight * (rating - mean - user[row])
            item = np.bincount(column, weights=left, minlength=n_items) / np.maximum(n_item, 1e-9)
            left = weight * (rating - mean - item[column])
            user = np.bincount(row, weights=left, minlength=n_users) / np.maximum(n_user, 1e-9)
        return cls(mean, item, user_damping, star_of(rating))

    def arrays(self) -> dict[str, FloatArray]:
        """Return what `read` reads, for saving."""
        return {"mean": np.array([self.mean, self.unit]), "item": self.item}

    @classmethod
    def read(cls, parts: Mapping[str, Any], *, damping: float) -> Biases:
        """Return the biases that `arrays` wrote."""
        mean, *unit = parts["mean"].tolist()
        return cls(mean, parts["item"].astype(np.float64), damping, *unit)

    def of_people(self, histories: Histories) -> FloatArray:
        """Return `b_u` of each history, shape `(n,)`; 0 without a rating."""
        ratings = histories.ratings
        value, row, weight = ratings.value, ratings.owner, ratings.weights.astype(np.float64)
        left = weight * (value.data - self.mean - self.item[value.indices])
        total = np.bincount(row, weights=left, minlength=len(histories))
        count = np.bincount(row, weights=weight, minlength=len(histories))
        user: FloatArray = total / np.maximum(count + self.damping, 1e-9)
        return user

    def stars(self, histories: Histories) -> sparse.csr_array:
        """Return what `residuals` does, in stars."""
        left = self.residuals(histories)
        left.data /= self.unit
        return left

    def residuals(self, histories: Histories) -> sparse.csr_array:
        """Return ratings less `μ + b_u + b_i`, float64, over the entries that are ratings."""
        ratings = histories.ratings
        value, own = ratings.value, self.of_people(histories)
        left = value.data - self.mean - own[ratings.owner] - self.item[value.indices]
        return sparse.csr_array((left, value.indices, value.indptr), shape=value.shape)

    def table(self, histories: Histories) -> FloatArray:
        """Return `μ + b_u + b_i` for every item, shape `(n, n_items)`."""
        table: FloatArray = self.mean + self.of_people(histories)[:, None] + self.item
        return table


def star_of(ratings: npt.NDArray[Any]) -> float:
    """Return a fifth of the top of the scale that ratings are on."""
    return (top_of(ratings) or 5.0) / 5.0


def rated(feedback: Feedback, name: str) -> Histories:
    """Return the histories of the feedback, which must hold a rating.

    Everything that a person met is seen, but only ratings are learned from.

    Raises:
        siamrec.errors.InvalidDataError: If no event is a rating.
    """
    history = Histories.of(feedback, feedback.users, feedback.items)
    if not history.ratings.value.nnz:
        raise InvalidDataError(
            f"{name} needs at least one rating, got {len(feedback)} events without; thumbs, "
            "clicks and dwells are no ratings: say that they are with "
            "dataclasses.replace(feedback, kind=zeros), or take an arm that ranks."
        )
    return history


class FittedRatings(FittedRecommender, ABC):
    """An arm that predicts ratings, and ranks by them.

    An author writes `score`, which returns predicted ratings, and may write `rate` where single
    pairs are cheaper than whole rows.
    """

    bias: Biases

    @final
    @override
    def predict(
        self,
        users: Sequence[Id],
        items: Sequence[Id],
        *,
        time: npt.ArrayLike | None = None,
        unknown: str = "error",
    ) -> FloatArray:
        check.one_of("unknown", unknown, ("error", "fallback"))
        how = "error" if unknown == "error" else "code"
        user = self.users.encode(users, unknown=how, name="user").astype(np.int64)
        item = self.items.encode(items, unknown=how, name="item").astype(np.int64)
        check.same_length(users=user, items=item)
        when = None if time is None else np.broadcast_to(np.asarray(time, np.int64), user.shape)
        distinct, row = np.unique(user, return_inverse=True)
        # an unknown person is one more row, without a history
        everybody = self.history.grown(len(self.users) + 1, len(self.items))
        rating = np.empty(user.size)
        for first in range(0, distinct.size, _BLOCK):
            codes = distinct[first : first + _BLOCK]
            people = everybody.people(np.where(codes < 0, len(self.users), codes))
            people = replace(people, user=codes.astype(np.int32))
            here = np.flatnonzero((row >= first) & (row < first + _BLOCK))
            at = None if when is None else when[here]
            rating[here] = self._rated(people, row[here] - first, item[here], at)
        low, high = self._scale()
        return np.clip(rating, low, high)

    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        """Return the rating of known items by pairs of row and item code, shape `(n,)`."""
        _ = time
        rating: FloatArray = self.score(histories)[row, item].astype(np.float64)
        return rating

    def _rated(
        self, people: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        rating = self.bias.mean + self.bias.of_people(people)[row]
        known = np.flatnonzero(item >= 0)
        at = None if time is None else time[known]
        rating[known] = self.rate(people, row[known], item[known], at)
        return rating

    def _scale(self) -> tuple[float, float]:
        told = self.history.ratings.value.data
        return float(told.min()), float(told.max())


class FittedFactors(FittedRatings, ABC):
    """Biases, and a product of a person's vector with the item's.

    Attributes:
        vectors: Item vectors `q_i`, float64, shape `(n_items, factors)`.
    """

    vectors: FloatArray

    @abstractmethod
    def people(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """Return the bias, shape `(n,)`, and the vector of each history, `(n, factors)`."""

    @final
    @override
    def score(self, histories: Histories) -> Float32Array:
        own, vector = self.people(histories)
        table = vector @ self.vectors.T + own[:, None] + (self.bias.mean + self.bias.item)
        return table.astype(np.float32)

    @final
    @override
    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        own, vector = self.people(histories)
        product = np.einsum("nd,nd->n", vector[row], self.vectors[item])
        rating: FloatArray = self.bias.mean + own[row] + self.bias.item[item] + product
        return rating

    @final
    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        return nearest(self.vectors, int(self.items.encode([item], name="item")[0]), self.items, k)


def nearest(
    vectors: npt.NDArray[np.floating[Any]], code: int, items: Vocabulary, k: int
) -> list[tuple[Id, float]]:
    """Return the `k` items whose vectors have the largest cosine with that of `code`."""
    length = np.linalg.norm(vectors, axis=1)
    cosine = (vectors @ vectors[code]) / np.maximum(length * length[code], 1e-12)
    cosine[code] = -np.inf
    best = np.argsort(-cosine, kind="stable")[: check.count("k", k)]
    return [(items[c], float(cosine[c])) for c in best.tolist() if cosine[c] > -np.inf]


def like(matrix: sparse.csr_array, data: npt.NDArray[Any]) -> sparse.csr_array:
    """Return other numbers over the entries of a matrix."""
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def ridge_rows(
    targets: sparse.csr_array,
    other: FloatArray,
    penalty: float,
    *,
    weight: sparse.csr_array | None = None,
    block: int = 512,
) -> FloatArray:
    """Solve `(O'WO + penalty·tr(W) I) x = O'Wt` for each row, over the columns that it has.

    Args:
        targets: Targets `t`, shape `(n, m)`.
        other: Vectors of the columns, float64, shape `(m, d)`.
        penalty: Ridge penalty of each entry, above 0; a row without entries is 0.
        weight: Weights `W` over the entries of `targets`; None for 1.
        block: Normal matrices in memory at a time.
    """
    n, d = targets.shape[0], other.shape[1]
    heavy = None if weight is None else weight.data.astype(np.float64)
    wanted = (targets if heavy is None else like(targets, targets.data * heavy)) @ other
    length = np.diff(targets.indptr).astype(np.float64)
    if weight is not None:
        length = np.asarray(weight.sum(axis=1), dtype=np.float64).ravel()
    length[length == 0] = 1.0
    solved = np.zeros((n, d))
    for first in range(0, n, block):
        last = min(first + block, n)
        normal = np.empty((last - first, d, d))
        for row in range(first, last):  # rows differ in length: one product for each
            place = slice(int(targets.indptr[row]), int(targets.indptr[row + 1]))
            own = other[targets.indices[place]]
            left = own.T if heavy is None else own.T * heavy[place]
            np.matmul(left, own, out=normal[row - first])
        extra = penalty * length[first:last]
        normal[:, np.arange(d), np.arange(d)] += extra[:, None]
        solved[first:last] = np.linalg.solve(normal, wanted[first:last, :, None])[..., 0]
    return solved
