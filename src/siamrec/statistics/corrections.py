"""Corrections for many comparisons: adjusted p-values that keep an error rate over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray

Correction: TypeAlias = Literal[
    "none", "bonferroni", "sidak", "holm", "hochberg", "hommel", "bh", "by"
]
"""`bh` and `by` keep the false discovery rate, the others the family-wise error rate."""

CORRECTIONS = ("none", "bonferroni", "sidak", "holm", "hochberg", "hommel", "bh", "by")


def adjust(p: FloatArray, method: Correction = "holm") -> FloatArray:
    """Return p-values that may be compared with alpha directly.

    Args:
        p: p-values, each in [0, 1], shape `(m,)`.
        method: `"holm"` and `"bonferroni"` hold under any dependence, `"hochberg"`, `"hommel"`
            and `"sidak"` under independence or positive dependence; `"bh"` keeps the false
            discovery rate under positive dependence, `"by"` under any.

    Raises:
        InvalidDataError: If a value is outside [0, 1].
        UnknownNameError: If the method is not known.

    References:
        Holm (1979); Hochberg (1988); Hommel (1988); Benjamini and Hochberg (1995); Benjamini
        and Yekutieli (2001).

    Examples:
        >>> adjust(np.array([0.01, 0.04, 0.03]), "holm").round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    check.one_of("correction", method, CORRECTIONS)
    values = check.finite("p", p)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidDataError(f"p must be in [0, 1], got {values.min()} to {values.max()}.")
    m = values.size
    if m == 0 or method == "none":
        return values.copy()
    if method == "bonferroni":
        return np.minimum(values * m, 1.0)
    if method == "sidak":
        return np.asarray(
            -np.expm1(m * np.log1p(-np.minimum(values, 1 - 1e-16))), dtype=np.float64
        )
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(m)
    adjusted[order] = _stepwise(values[order], method)
    return adjusted


def _stepwise(rising: FloatArray, method: Correction) -> FloatArray:
    m = rising.size
    rank = np.arange(1, m + 1)
    if method == "holm":
        return np.minimum(np.maximum.accumulate(rising * (m - rank + 1)), 1.0)
    if method == "hommel":
        return _hommel(rising)
    factor = {
        "hochberg": m - rank + 1.0,
        "bh": m / rank,
        "by": m / rank * (1.0 / rank).sum(),
    }[method]
    from_the_top: FloatArray = np.minimum.accumulate((rising * factor)[::-1])[::-1]
    return np.asarray(np.minimum(from_the_top, 1.0), dtype=np.float64)


def _hommel(rising: FloatArray) -> FloatArray:
    """Return the least alpha at which Simes' test rejects every set with the hypothesis."""
    m = rising.size
    adjusted = np.full(m, (m * rising / np.arange(1, m + 1)).min())
    for size in range(m - 1, 1, -1):
        tail = np.arange(m - size + 1, m)
        least = (size * rising[tail] / np.arange(2, size + 1)).min()
        bound = np.empty(m)
        bound[: m - size + 1] = np.minimum(least, size * rising[: m - size + 1])
        bound[m - size + 1 :] = bound[m - size]
        adjusted = np.maximum(adjusted, bound)
    return np.asarray(np.maximum(adjusted, rising), dtype=np.float64)


def e_benjamini_hochberg(log_e: FloatArray, alpha: float = 0.05) -> BoolArray:
    """Return which hypotheses e-values reject, with false discovery rate at most alpha.

    The k largest are rejected for the greatest k with `e_(k) >= m / (alpha k)`; this holds under
    any dependence and at any time.

    Args:
        log_e: Logarithms of e-values, shape `(m,)`; minus infinity for an e-value of 0.
        alpha: False discovery rate, in (0, 1).

    Raises:
        InvalidDataError: If a value is NaN, or there is not one dimension.
        InvalidParameterError: If alpha is outside (0, 1).

    References:
        Wang and Ramdas (2022), JRSS B 84.

    Examples:
        >>> e_benjamini_hochberg(np.log([50.0, 1.0, 30.0])).tolist()
        [True, False, True]
    """
    check.share("alpha", alpha, open_ends=True)
    values = np.asarray(log_e, dtype=np.float64)
    check.same_length(log_e=values)
    if np.isnan(values).any():  # sorts above every number
        row = int(np.argmax(np.isnan(values)))
        raise InvalidDataError(f"log_e must not be NaN, got nan in row {row}.")
    m = max(values.size, 1)
    falling = np.sort(values)[::-1]
    enough = np.flatnonzero(falling >= np.log(m / alpha) - np.log(np.arange(1, values.size + 1)))
    if not enough.size:
        return np.zeros(values.size, dtype=np.bool_)
    rejected: BoolArray = values >= falling[enough[-1]]
    return rejected
