"""Quantiles with their errors, from order statistics; also where units repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray

_Z = 1.959963984540054


def quantile_with_error(
    values: FloatArray, q: float, *, clusters: IntArray | None = None
) -> tuple[float, float]:
    """Return a quantile and its standard error.

    The order statistics at the ranks `n q ± z sqrt(n q (1 - q))` enclose the quantile with
    95 %; their distance over 2 z is the standard error. Where units have several rows, the
    ranks move by the clustered error of the share of rows below the quantile instead.

    Args:
        values: Finite numbers, at least one.
        q: In (0, 1).
        clusters: Unit of each row, where units repeat.

    Raises:
        InvalidDataError: If there is no value.
        InvalidParameterError: If q is outside (0, 1).

    References:
        Deng, Knoblich, Lu (2018), KDD, section 4; Yao, Li, Lu (2024), arXiv:2401.14549.

    Examples:
        >>> quantile_with_error(np.arange(101.0), 0.5)[0]
        50.0
    """
    check.share("q", q, open_ends=True)
    ordered = np.sort(check.finite("values", values))
    n = ordered.size
    if n == 0:
        raise InvalidDataError("A quantile must have at least one value.")
    point = float(np.quantile(ordered, q))
    spread = np.sqrt(q * (1 - q) / n)
    if clusters is not None:
        spread = _clustered((values <= point).astype(float), clusters)
    low, high = (
        ordered[int(np.clip(np.floor(n * share), 0, n - 1))]
        for share in (q - _Z * spread, q + _Z * spread)
    )
    return point, float(high - low) / (2 * _Z)


def _clustered(below: FloatArray, clusters: IntArray) -> float:
    """Return the standard error of the share of rows below, by the delta method over units."""
    _, place = np.unique(clusters, return_inverse=True)
    total, size = np.bincount(place, below), np.bincount(place)
    n_units = size.size
    if n_units < 2:  # noqa: PLR2004
        return 1.0
    residual = (total - total.sum() / size.sum() * size) / size.mean()
    return float(residual.std(ddof=1) / np.sqrt(n_units))
