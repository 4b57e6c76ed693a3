"""Where a function crosses zero; the library that finds it is loaded when first asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def root(function: Callable[[float], float], low: float, high: float, *, xtol: float) -> float:
    """Return where a continuous function with two signs at `low` and `high` is 0 (Brent).

    References:
        Brent (1973), Algorithms for Minimization without Derivatives, chapter 4.

    Examples:
        >>> round(root(lambda x: x * x - 2, 0.0, 2.0, xtol=1e-12), 9)
        1.414213562
    """
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=xtol))
