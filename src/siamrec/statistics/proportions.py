"""Proportions of two variants: Wilson's limits, Newcombe's interval, the pooled test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from siamrec.errors import InvalidDataError
from siamrec.statistics.difference import Hybrid

if TYPE_CHECKING:
    from siamrec.data.moments import Moments

_DUST = 1e-12


def proportions(treatment: Moments, control: Moments, column: str) -> Hybrid:
    """Return two proportions with Wilson's limits.

    A variant in which nothing varies has the error of half a success (or failure) among n + 1:
    it is not known without error.
    """
    both = (treatment, control)
    if min(moments.n for moments in both) == 0:
        raise InvalidDataError("A variant must have at least one unit with the metric.")
    place = treatment.names.index(column), control.names.index(column)
    values = float(treatment.mean[place[0]]), float(control.mean[place[1]])
    n = treatment.n, control.n

    def limits(reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        if math.isinf(reach):
            return (0.0, 1.0), (0.0, 1.0)
        return (
            wilson(values[0] * n[0], n[0], reach),
            wilson(values[1] * n[1], n[1], reach),
        )

    return Hybrid(
        values=values,
        n=n,
        limits=limits,
        errors=(_error_of_share(values[0], n[0]), _error_of_share(values[1], n[1])),
        known=min(n) > 1,
    )


def newcombe(wins: tuple[float, float], n: tuple[int, int], alpha: float) -> tuple[float, float]:
    """Return Newcombe's hybrid score interval of the difference of two proportions.

    References:
        Newcombe (1998), Statistics in Medicine 17, method 10.
    """
    z = float(special.ndtri(1 - alpha / 2))
    (low_t, high_t), (low_c, high_c) = (
        wilson(w, size, z) for w, size in zip(wins, n, strict=True)
    )
    p_t, p_c = wins[0] / n[0], wins[1] / n[1]
    down = np.hypot(p_t - low_t, high_c - p_c)
    up = np.hypot(high_t - p_t, p_c - low_c)
    return float(p_t - p_c - down), float(p_t - p_c + up)


def wilson(wins: float, n: int, z: float) -> tuple[float, float]:
    """Return Wilson's score interval of one proportion, z standard errors to each side."""
    share = min(max(wins / n, 0.0), 1.0)
    centre = share + z * z / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, float((centre - reach) / scale)), min(1.0, float((centre + reach) / scale))


def pooled_z(wins: tuple[float, float], n: tuple[int, int]) -> float:
    """Return the pooled two-proportion statistic; 0 where nothing varies."""
    share = sum(wins) / sum(n)
    variance = share * (1 - share) * (1 / n[0] + 1 / n[1])
    return float((wins[0] / n[0] - wins[1] / n[1]) / np.sqrt(variance)) if variance > 0 else 0.0


def _error_of_share(share: float, n: int) -> float:
    if not _DUST < share < 1 - _DUST:
        share = 0.5 / (n + 1)
    return math.sqrt(share * (1 - share) / max(n - 1, 1))
