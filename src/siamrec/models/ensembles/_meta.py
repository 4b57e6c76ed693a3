"""The regression of a stack: additive sums, then weights with or without a sign constraint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import linalg, optimize

if TYPE_CHECKING:
    from typing import Self

    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True)
class Meta:
    """`ŷ = constant·f + Σ_a (weight_a·f) p_a`, f = `(1, log(1 + n_u), log(1 + n_i))` or `(1)`.

    Attributes:
        constant: Shape `(n_features,)`.
        weight: Shape `(n_arms, n_features)`.
    """

    constant: FloatArray
    weight: FloatArray

    def apply(self, predicted: FloatArray, user: FloatArray, item: FloatArray) -> FloatArray:
        """Return ŷ of pairs: predictions `(n, n_arms)`, logarithms of counts `(n,)`."""
        features = np.stack([np.ones_like(user), user, item], axis=1)[:, : self.constant.size]
        value: FloatArray = features @ self.constant
        value += np.einsum("na,nf,af->n", predicted, features, self.weight)
        return value

    def base(self, user: FloatArray, item: FloatArray) -> FloatArray:
        """Return the constant part of every person and item, shape `(n, n_items)`."""
        return _plane(self.constant, user, item)

    def weights_of(self, arm: int, user: FloatArray, item: FloatArray) -> FloatArray:
        """Return the weight of one arm for every person and item, shape `(n, n_items)`."""
        return _plane(self.weight[arm], user, item)


def _plane(at: FloatArray, user: FloatArray, item: FloatArray) -> FloatArray:
    plane = np.full((user.size, item.size), at[0])
    if at.size > 1:
        plane += at[1] * user[:, None] + at[2] * item
    return plane


@final
class Sums:
    """Sums of products of the regression's columns; mutable while events come in.

    Attributes:
        n: Number of rows.
    """

    def __init__(self, n_arms: int, n_features: int) -> None:
        width = (1 + n_arms) * n_features
        self._n_arms, self._n_features = n_arms, n_features
        self._gram, self._moment, self.n = np.zeros((width, width)), np.zeros(width), 0.0

    @classmethod
    def empty(cls, n_arms: int, *, counts: bool) -> Self:
        """Return sums of no rows, with columns for the logarithms of counts or without."""
        return cls(n_arms, 3 if counts else 1)

    def add(
        self,
        predicted: FloatArray,
        user: FloatArray,
        item: FloatArray,
        wanted: FloatArray,
        *,
        weight: FloatArray | None = None,
    ) -> None:
        """Take in rows: predictions `(n, n_arms)`, logarithms of counts and answers `(n,)`.

        A row counts `weight` times, once where none is given.
        """
        features = np.stack([np.ones_like(user), user, item], axis=1)[:, : self._n_features]
        crossed = (predicted[:, :, None] * features[:, None]).reshape(wanted.size, -1)
        design = np.concatenate([features, crossed], axis=1)
        counted = design.T if weight is None else design.T * weight
        self._gram += counted @ design
        self._moment += counted @ wanted
        self.n += wanted.size if weight is None else float(weight.sum())

    def solve(self, penalty: float, *, non_negative: bool) -> tuple[list[int], Meta]:
        """Return the arms with a positive average weight, and the regression on them alone.

        The arm with the lowest weight goes first; what is left is fitted anew, until every
        weight is positive or one arm is left.
        """
        kept = list(range(self._n_arms))
        while True:
            meta = self._fitted(kept, penalty, non_negative=non_negative)
            # The average features stand in the first row of the Gram matrix.
            average = self._gram[0, : self._n_features] / self.n
            weight = meta.weight @ average
            if weight.min() > 0 or len(kept) == 1:
                return kept, meta
            del kept[int(weight.argmin())]

    def _fitted(self, kept: list[int], penalty: float, *, non_negative: bool) -> Meta:
        size = self._n_features
        blocks = [np.arange(size), *(np.arange(size) + size * (1 + arm) for arm in kept)]
        column = np.concatenate(blocks)
        scale = np.sqrt(np.maximum(np.diag(self._gram)[column] / self.n, 1e-12))
        gram = self._gram[np.ix_(column, column)] / np.outer(scale, scale) / self.n
        moment = self._moment[column] / scale / self.n
        ridge = np.full(column.size, penalty)
        ridge[0] = 0.0  # the level is not shrunk
        gram[np.diag_indices_from(gram)] += ridge + 1e-12
        if non_negative:
            root = linalg.cholesky(gram)  # |root w - root^-T moment|² is the loss, less a constant
            wanted = linalg.solve_triangular(root, moment, trans="T")
            low = np.where(np.arange(column.size) < size, -np.inf, 0.0)
            solved = optimize.lsq_linear(root, wanted, bounds=(low, np.inf), method="bvls").x
        else:
            solved = linalg.solve(gram, moment, assume_a="pos")
        solved = solved / scale
        return Meta(solved[:size], solved[size:].reshape(len(kept), size))
