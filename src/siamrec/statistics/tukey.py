"""All pairs of several systems at once, with intervals that hold together."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.statistics.means import UNBOUNDED, Range, has_spread
from siamrec.statistics.tails import positive_p

if TYPE_CHECKING:
    from siamrec.typing import FloatArray


class PairOfColumns(NamedTuple):
    """The difference between two columns of a table.

    Attributes:
        first: Place of the first column.
        second: Place of the second column.
        difference: Mean of the first less that of the second.
        low: Lower bound of the simultaneous interval.
        high: Upper bound.
        p: p-value that holds for all pairs together, above 0.
    """

    first: int
    second: int
    difference: float
    low: float
    high: float
    p: float


def tukey(
    table: FloatArray, *, confidence: float = 0.95, within: Range = UNBOUNDED
) -> list[PairOfColumns]:
    """Return all differences between the means of columns, with intervals that hold together.

    Tukey's honestly significant difference with the rows as blocks (a two-way layout), so that
    differences between rows do not count as noise. Where nothing is left to judge by, because
    all rows differ in the same way, an interval is the whole range and p is 1.

    Args:
        table: Finite values, a row for each user and a column for each system.
        confidence: Level at which all intervals hold together, in (0, 1).
        within: The least and the greatest difference that there can be.

    Raises:
        InvalidDataError: If there are fewer than two rows or columns.
        InvalidParameterError: If `confidence` is out of range.

    References:
        Tukey (1953); Carterette (2012), "Multiple testing in statistical analysis of
        systems-based information retrieval experiments", ACM TOIS 30(1).

    Examples:
        >>> pair = tukey(np.array([[1.0, 2.0], [2.0, 3.5], [3.0, 4.0]]))[0]
        >>> round(pair.difference, 3), round(pair.low, 3), round(pair.high, 3)
        (-1.167, -1.884, -0.45)
    """
    from scipy.stats import studentized_range

    check.share("confidence", confidence, open_ends=True)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InvalidDataError(
            f"table must have two or more rows and columns, got shape {table.shape}."
        )
    n, size = table.shape
    mean = table.mean(axis=0)
    rest = table - table.mean(axis=1, keepdims=True) - mean + table.mean()
    df = (n - 1) * (size - 1)
    error = float(np.sqrt((rest**2).sum() / df / n))
    judged = has_spread(float(np.abs(table).max()), error)
    half = float(studentized_range.ppf(confidence, size, df)) * error if judged else np.inf
    pairs = []
    for i, j in combinations(range(size), 2):
        gap = float(mean[i] - mean[j])
        low, high = np.clip([gap - half, gap + half], *within).tolist()
        tail = float(studentized_range.sf(abs(gap) / error, size, df)) if judged else 1.0
        p = tail if tail > 0 else positive_p(-np.inf)[0]
        pairs.append(PairOfColumns(i, j, gap, low, high, p))
    return pairs
