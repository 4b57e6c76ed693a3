"""SANSA: EASE for many items, by a sparse approximate inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import (
    FittedItemWeights,
    WeightsRecipe,
    strongest,
    strongest_products,
)
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import CodeArray, FloatArray

_CELLS = 1 << 23  # numbers in the small systems that are solved at a time


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SANSA(WeightsRecipe[FittedItemWeights]):
    """Predict each item from all others, as EASE does, without a whole matrix of items.

    With `X` the weights of likings and `A = XᵀX + λI`, EASE needs `P = A⁻¹`. Here `P ≈ WᵀW`, where
    `W` is sparse and, with the popular items first, lower triangular: row `i` has `support` of the
    items before `i`, those most alike, and makes `W A Wᵀ = I` as nearly as these entries can.
    `B_ij = −P_ij / P_jj`, an item keeps its `neighbours` strongest weights, and the scores are
    `x B`. With a support of all items it is EASE.

    The paper takes an incomplete Cholesky factor and inverts it by minimising residuals; here the
    inverse factor is solved for at once, row by row, which needs no sparse Cholesky.

    Args:
        l2: `λ`, above 0.
        support: Entries of a row of the factor, at least 1.
        neighbours: Weights kept for each item, at least 1.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Spišák, Bartyzal, Hoskovec, Peska and Tůma (2023), Scalable approximate nonsymmetric
        autoencoder for collaborative filtering, RecSys; Kolotilina and Yeremin (1993), Factorized
        sparse approximate inverse preconditionings I, SIAM J. Matrix Anal. Appl. 14(1).

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> SANSA(l2=1.0).fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    kind: ClassVar[str] = "sansa"
    fitted: ClassVar[type[FittedWeights]] = FittedItemWeights
    capabilities: ClassVar[Capability] = FittedItemWeights.capabilities
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(1.0, 1000.0, log=True),
        "support": Integer(20, 200, log=True),
    }

    l2: float = 200.0
    support: int = 100
    neighbours: int = 200
    positive: float | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.positive("l2", self.l2)
        check.count("support", self.support)
        check.count("neighbours", self.neighbours)

    @override
    def weigh(self, history: Histories) -> Weights:
        liked = history.some_liked(self.positive, "SANSA").astype(np.float64)
        often = np.asarray(liked.sum(axis=0)).ravel()
        order = np.argsort(-often, kind="stable")
        factor = _inverse_factor(sparse.csr_array(liked[:, order]), self.l2, self.support)
        factor = sparse.csr_array(factor[:, np.argsort(order)])  # columns by code again
        diagonal = np.asarray(factor.multiply(factor).sum(axis=0)).ravel()
        return strongest_products(
            factor, self.neighbours, lambda p, _: -p.data / diagonal[p.indices]
        )


def _inverse_factor(liked: sparse.csr_array, l2: float, support: int) -> sparse.csr_array:
    """Return `W`, lower triangular with `support` entries beside the diagonal of each row.

    Row `i` is `y / √y_i` with `A_SS y = e_i` over its support `S`, which is the best that these
    entries can do (Kolotilina and Yeremin, section 2).
    """
    gram = sparse.csr_array(liked.T @ liked)
    gram.sort_indices()
    n = gram.shape[0]
    size = np.sqrt(gram.diagonal() + l2)
    before = _before(gram, size, support)
    start = before.indptr
    place = np.full(n, -1, dtype=np.int64)
    rows, columns, values = [], [], []
    step = max(1, _CELLS // (support + 1) ** 2)
    for first in range(0, n, step):
        codes = range(first, min(first + step, n))
        sets = [np.append(before.indices[start[i] : start[i + 1]], i) for i in codes]
        width = max(len(own) for own in sets)
        # a row with less support is padded in front with rows of the identity
        table = np.tile(np.eye(width), (len(sets), 1, 1))
        for lane, own in enumerate(sets):  # sets differ in length: one small matrix for each
            inside = slice(width - len(own), width)
            table[lane, inside, inside] = _square(gram, own, place)
            table[lane, inside, inside] += l2 * np.eye(len(own))
        wanted = np.zeros((len(sets), width, 1))
        wanted[:, -1] = 1.0
        solved = np.linalg.solve(table, wanted)[..., 0]
        solved /= np.sqrt(solved[:, [-1]])
        rows.append(np.repeat(np.array(codes), [len(own) for own in sets]))
        columns.append(np.concatenate(sets))
        values += [line[width - len(own) :] for line, own in zip(solved, sets, strict=True)]
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(values), where), shape=(n, n))


def _before(gram: sparse.csr_array, size: FloatArray, support: int) -> sparse.csr_array:
    """Return for each row the earlier items most like it, as places of a sparse matrix."""
    row = np.repeat(np.arange(gram.shape[0]), np.diff(gram.indptr))
    earlier = gram.indices < row
    alike = gram.data[earlier] / (size[row[earlier]] * size[gram.indices[earlier]])
    where = (row[earlier], gram.indices[earlier])
    return strongest(sparse.csr_array((alike, where), shape=gram.shape), support)


def _square(gram: sparse.csr_array, codes: CodeArray, place: CodeArray) -> FloatArray:
    """Return the dense part of `gram` over some items; `place` is a scratch of -1."""
    place[codes] = np.arange(codes.size)
    first, length = gram.indptr[codes], np.diff(gram.indptr)[codes]
    own = np.repeat(np.arange(codes.size), length)
    at = np.arange(own.size) + np.repeat(first - (np.cumsum(length) - length), length)
    column = place[gram.indices[at]]
    there = column >= 0
    square = np.zeros((codes.size, codes.size))
    square[own[there], column[there]] = gram.data[at[there]]
    place[codes] = -1
    return square
