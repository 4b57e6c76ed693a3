"""The two exact forms of item-to-item ridge regression: over items, or over users.

Both answer the same questions about `B_ij = −P_ij / P_jj`, `B_jj = 0`, `P = (XᵀX + λI)⁻¹`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack
from typing_extensions import override

from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from scipy import sparse

    from siamrec.typing import Float32Array, FloatArray


class Ridge(ABC):
    """The solved regression."""

    @abstractmethod
    def scores(self, liked: sparse.csr_array) -> Float32Array:
        """Return `X B` for rows of likings, shape `(n, n_items)`."""

    @abstractmethod
    def incoming(self, item: int) -> FloatArray:
        """Return the weights of all items towards `item`, column `B[:, item]`."""

    @abstractmethod
    def outgoing(self, item: int) -> FloatArray:
        """Return the weights of `item` towards all items, row `B[item, :]`."""


@final
class PrimalRidge(Ridge):
    """Keeps `P` whole: `12 n²` bytes, and `n³` operations to make.

    Args:
        inverse: `P`, float64, shape `(n_items, n_items)`.
    """

    def __init__(self, inverse: FloatArray) -> None:
        self.inverse = inverse
        self._weights: Float32Array = (inverse / -np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(self._weights, 0.0)

    @classmethod
    def solve(cls, liked: sparse.csr_array, l2: float) -> PrimalRidge:
        """Invert `XᵀX + λI` by Cholesky: half the work of a general inverse."""
        gram = (liked.T @ liked).toarray(order="F").astype(np.float64)
        gram[np.diag_indices_from(gram)] += l2
        factor, _ = lapack.dpotrf(gram, lower=1, overwrite_a=1)
        inverse, fault = lapack.dpotri(factor, lower=1, overwrite_c=1)
        if fault or not np.isfinite(inverse[-1, -1]):
            raise InvalidParameterError("l2", l2, "large enough to make XᵀX + λI definite")
        lower = np.tril(inverse)
        return cls(lower + np.tril(lower, -1).T)

    def updated(self, rows: FloatArray, sign: FloatArray) -> PrimalRidge:
        """Return the form with `Uᵀ S U` added to `XᵀX`, by Woodbury's identity.

        Args:
            rows: `U`, new rows of likings over the old ones they replace.
            sign: Diagonal of `S`, +1 for a new row and −1 for an old one.
        """
        part = rows @ self.inverse
        core = np.diag(sign) + part @ rows.T
        return PrimalRidge(self.inverse - part.T @ np.linalg.solve(core, part))

    @override
    def scores(self, liked: sparse.csr_array) -> Float32Array:
        scores: Float32Array = liked @ self._weights
        return scores

    @override
    def incoming(self, item: int) -> FloatArray:
        column: FloatArray = self._weights[:, item].astype(np.float64)
        return column

    @override
    def outgoing(self, item: int) -> FloatArray:
        row: FloatArray = self._weights[item].astype(np.float64)
        return row


@final
class DualRidge(Ridge):
    """Keeps the users instead: `P = (I − XᵀKX) / λ` with `K = (XXᵀ + λI)⁻¹`.

    Exact as well (the push-through identity), and cheaper where users are fewer than items.

    Args:
        liked: `X`, shape `(n_users, n_items)`.
        l2: `λ`.
    """

    def __init__(self, liked: sparse.csr_array, l2: float) -> None:
        kernel = (liked @ liked.T).toarray().astype(np.float64)
        kernel[np.diag_indices_from(kernel)] += l2
        self._liked = liked.astype(np.float64)
        self._l2 = l2
        # K X, the one dense table: (n_users, n_items)
        self._solved: FloatArray = cho_solve(cho_factor(kernel), self._liked.toarray())
        explained = np.asarray(self._liked.multiply(self._solved).sum(axis=0)).ravel()
        self._diagonal: FloatArray = (1.0 - explained) / l2
        self._solved32: Float32Array = self._solved.astype(np.float32)

    @override
    def scores(self, liked: sparse.csr_array) -> Float32Array:
        shared = (liked @ self._liked.T.astype(np.float32)).toarray()
        lifted: Float32Array = shared.astype(np.float32) @ self._solved32
        scale = (1.0 / (self._l2 * self._diagonal)).astype(np.float32)
        lifted *= scale
        # B has no diagonal: take out what an item says about itself, −(1 − λP_jj)/(λP_jj).
        own = liked.multiply(((1.0 - self._l2 * self._diagonal) * scale)[None, :]).tocoo()
        lifted[own.row, own.col] -= own.data.astype(np.float32)
        return lifted

    @override
    def incoming(self, item: int) -> FloatArray:
        column: FloatArray = (self._liked.T @ self._solved[:, item]) / (
            self._l2 * self._diagonal[item]
        )
        column[item] = 0.0
        return column

    @override
    def outgoing(self, item: int) -> FloatArray:
        row: FloatArray = (self._liked.T @ self._solved[:, item]) / (self._l2 * self._diagonal)
        row[item] = 0.0
        return row
