"""Quantiles with their limits, from order statistics; also where units repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Record, counted, number
from siamrec.errors import InvalidDataError
from siamrec.statistics.difference import Hybrid
from siamrec.statistics.tails import TWO_SIDED_95

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray, IntArray


def quantile_with_error(
    values: FloatArray, q: float, *, clusters: IntArray | None = None
) -> tuple[float, float]:
    """Return a quantile and its standard error.

    The order statistics between which the quantile lies with 95 %, by the binomial distribution
    of ranks, are taken; their distance over 2 z is the standard error, infinite where there are
    too few values for such ranks. Where units have several rows, the ranks move by the clustered
    error of the share of rows below the quantile instead.

    Where many values are equal the error says little (it may be 0 or the distance to the next
    value): judge by intervals from order statistics, as `analyze` does.

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
    found = OrderStatistics.of(check.finite("values", values), q, clusters=clusters)
    return found.value, found.error


@final
@dataclass(frozen=True, slots=True, repr=False)
class OrderStatistics(Record):
    """Sorted values, and how far the rank of a quantile may be off.

    Attributes:
        ordered: The values, rising.
        q: Which quantile.
        value: The quantile.
        spread: Standard error of the share of rows below it.
        n: Units.
        clustered: Whether units have several rows.
    """

    ordered: FloatArray
    q: float
    value: float
    spread: float
    n: int
    clustered: bool = False

    @override
    def title(self) -> str:
        return f"Quantile {number(self.q)}: {number(self.value)} over {counted(self.n, 'unit')}"

    @classmethod
    def of(
        cls, values: FloatArray, q: float, *, clusters: IntArray | None = None
    ) -> OrderStatistics:
        """Return the order statistics of finite values.

        Raises:
            InvalidDataError: If there is no value.
        """
        if values.size == 0:
            raise InvalidDataError("A quantile must have at least one value.")
        ordered = np.sort(values)
        value = float(np.quantile(ordered, q))
        if clusters is None:
            spread, n = math.sqrt(q * (1 - q) / ordered.size), ordered.size
        else:
            # Of tied values, some would have to be below and some above: take the wider.
            sides = [_clustered(below, clusters) for below in (values <= value, values < value)]
            spread, n = max(sides), np.unique(clusters).size
        return cls(ordered, q, value, spread, n, clusters is not None)

    def limits(self, reach: float) -> tuple[float, float]:
        """Return the order statistics that enclose the quantile; infinite beyond the sample.

        The number of values below the quantile is binomial: the r-th value lies above it with
        the probability P(Binomial(n, q) < r), and the greatest r is taken for which that is at
        most the tail beyond `reach`; from above likewise. So each end errs at most that often,
        whether or not values are tied, and is open where no rank does. Where units repeat, the
        ranks move by the clustered error of the share below instead.

        Args:
            reach: How far to each side, as a normal deviate.

        References:
            David and Nagaraja (2003), Order Statistics, section 7.1.
        """
        if math.isinf(reach):
            return -math.inf, math.inf
        size = self.ordered.size
        if self.clustered:
            low = math.floor(size * (self.q - reach * self.spread)) - 1
            high = math.ceil(size * (self.q + reach * self.spread))
        else:
            tail = float(special.ndtr(-reach))
            low = _rank(size, self.q, tail) - 1
            high = size - _rank(size, 1 - self.q, tail)
        return (
            min(float(self.ordered[low]), self.value) if low >= 0 else -math.inf,
            max(float(self.ordered[high]), self.value) if high < size else math.inf,
        )

    @property
    def error(self) -> float:
        """Standard error: the distance of the 95 % limits over twice their deviate."""
        low, high = self.limits(TWO_SIDED_95)
        return (high - low) / (2 * TWO_SIDED_95)


def quantiles(treatment: OrderStatistics, control: OrderStatistics) -> Hybrid:
    """Return two quantiles with the limits of their order statistics."""
    return Hybrid(
        values=(treatment.value, control.value),
        n=(treatment.n, control.n),
        limits=lambda reach: (treatment.limits(reach), control.limits(reach)),
        errors=(treatment.error, control.error),
        known=min(treatment.n, control.n) > 1,
    )


def _rank(n: int, q: float, tail: float) -> int:
    """Return the greatest r with P(Binomial(n, q) < r) at most `tail`; 0 where there is none."""
    least, most = 0, n
    while least < most:
        middle = (least + most + 1) // 2
        if special.bdtr(middle - 1, n, q) <= tail:
            least = middle
        else:
            most = middle - 1
    return least


def _clustered(below: BoolArray, clusters: IntArray) -> float:
    """Return the standard error of the share of rows below, by the delta method over units."""
    _, place = np.unique(clusters, return_inverse=True)
    total, size = np.bincount(place, below.astype(np.float64)), np.bincount(place)
    n_units = size.size
    if n_units < 2:
        return 1.0
    residual = (total - total.sum() / size.sum() * size) / size.mean()
    return float(residual.std(ddof=1) / np.sqrt(n_units))
