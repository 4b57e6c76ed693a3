"""Many p-values at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check

if TYPE_CHECKING:
    from collections.abc import Sequence

CORRECTIONS = ("holm", "bh", "by", "none")


def adjusted(log_p: Sequence[float], correction: str) -> list[float]:
    """Return adjusted p-values, each to be held against the level of the whole family.

    Args:
        log_p: Natural logarithms of the p-values.
        correction: `"holm"` bounds the chance of any false find; `"bh"` the share of false finds
            among the finds, for independent or positively dependent tests; `"by"` the same for
            any dependence; `"none"` leaves them.

    Raises:
        siamrec.errors.UnknownNameError: If the correction is unknown.

    References:
        Holm (1979), Scand. J. Statist. 6(2); Benjamini and Hochberg (1995), JRSS B 57(1);
        Benjamini and Yekutieli (2001), Annals of Statistics 29(4).

    Examples:
        >>> [round(p, 3) for p in adjusted([math.log(p) for p in (0.01, 0.04, 0.03)], "holm")]
        [0.03, 0.06, 0.06]
    """
    check.one_of("correction", correction, CORRECTIONS)
    p = np.exp(np.asarray(log_p, dtype=np.float64))
    p = np.maximum(p, np.finfo(np.float64).tiny)
    size = p.size
    if correction == "none" or not size:
        return [float(value) for value in p]
    order = np.argsort(p, kind="stable")
    place = np.arange(1, size + 1)
    if correction == "holm":
        stepped = np.maximum.accumulate(p[order] * (size - place + 1))
    else:
        factor = math.fsum(1 / i for i in range(1, size + 1)) if correction == "by" else 1.0
        stepped = np.minimum.accumulate((p[order] * factor * size / place)[::-1])[::-1]
    fixed = np.empty(size)
    fixed[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in fixed]
