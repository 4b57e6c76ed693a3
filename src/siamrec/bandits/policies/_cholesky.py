"""Cholesky's factorisation in one fixed order of operations.

A BLAS orders and fuses its sums as suits its kernel, so the last bits of LAPACK's factors, and
with them a choice whose draw falls on a boundary, differ between machines and thread counts.
Here every entry is made by the same roundings of `+ - * / sqrt` everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_IN_CACHE = 2**16
"""Numbers that are worked on at once: half a mebibyte stays in a core's cache."""


def inverse_root(matrices: FloatArray) -> FloatArray:
    """Return `L^-1` of each matrix `A = L L'`, L lower triangular with a positive diagonal.

    Symmetric elimination of `[A | I]`: step j divides row j by the root of its pivot and takes
    it from the rows below, which leaves `[L' | L^-1]`. Then `A^-1 b = L^-T (L^-1 b)` and
    `x' A^-1 x = |L^-1 x|²`.

    Args:
        matrices: Symmetric and positive definite, shape `(m, d, d)`.

    Raises:
        InvalidDataError: If a matrix is not positive definite.

    References:
        Golub and Van Loan (2013), Matrix computations, 4th edition, section 4.2.5 (outer
        products).

    Examples:
        >>> inverse_root(np.array([[[4.0, 2.0], [2.0, 10.0]]]))[0]
        array([[ 0.5       ,  0.        ],
               [-0.16666667,  0.33333333]])
    """
    m, d, _ = matrices.shape
    at_once = max(1, _IN_CACHE // (2 * d * d))
    return np.concatenate(
        [_eliminated(matrices[start : start + at_once]) for start in range(0, m, at_once)]
        or [np.empty((0, d, d))]
    )


def solve(unroot: FloatArray, right: FloatArray) -> FloatArray:
    """Return `A^-1 b` of each matrix, given its `L^-1` `(m, d, d)` and b `(m, d)`."""
    half = np.einsum("mij,mj->mi", unroot, right)
    solution: FloatArray = np.einsum("mij,mi->mj", unroot, half)
    return solution


def inverse(unroot: FloatArray) -> FloatArray:
    """Return `A^-1` of each matrix, given its `L^-1` `(m, d, d)`."""
    whole: FloatArray = np.einsum("mki,mkj->mij", unroot, unroot)
    return whole


def _eliminated(matrices: FloatArray) -> FloatArray:
    m, d, _ = matrices.shape
    work = np.zeros((m, d, 2 * d))
    work[:, :, :d] = matrices
    diagonal = np.arange(d)
    work[:, diagonal, d + diagonal] = 1.0
    for j in range(d):
        pivot = work[:, j, j]
        if not (pivot > 0.0).all():
            raise InvalidDataError("matrices must be positive definite.")
        # Right of the pivot in A, and the columns of I that steps so far have reached.
        row = work[:, j, j : d + j + 1] / np.sqrt(pivot)[:, None]
        work[:, j, j : d + j + 1] = row
        work[:, j + 1 :, j + 1 : d + j + 1] -= row[:, 1 : d - j, None] * row[:, None, 1:]
    return work[:, :, d:]
