"""Ratios of sums over users, such as clicks per impression, with intervals that respect users."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted, number
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError
from siamrec.metrics.estimate import Estimate, estimate_of
from siamrec.statistics.means import UNBOUNDED, Range

if TYPE_CHECKING:
    import numpy.typing as npt

_NAMES = ("top", "bottom")
_CANCELLED = 1e-13
"""Share of the terms that cancel in a variance below which it is rounding."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RatioOfSums(Record):
    """Sums over users of a numerator and a denominator; such values add.

    Events of one user hang together, so the variance is that of sums over users (the delta
    method), never that of independent events.

    Args:
        top: Sum of the numerators.
        bottom: Sum of the denominators.
        moments: Their moments over users.
        range: The least and the greatest value that the ratio can have.

    References:
        Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", KDD.

    Examples:
        >>> clicks = RatioOfSums.of([2.0, 0.0], [4.0, 6.0])
        >>> clicks.value, (clicks + clicks).n
        (0.2, 4)
    """

    top: float = 0.0
    bottom: float = 0.0
    moments: Moments = field(default_factory=lambda: Moments.empty(_NAMES))
    range: Range = UNBOUNDED

    @override
    def title(self) -> str:
        return f"Ratio {number(self.top)} / {number(self.bottom)} over {counted(self.n, 'user')}"

    @classmethod
    def of(
        cls,
        numerator: npt.ArrayLike,
        denominator: npt.ArrayLike,
        *,
        range: Range = UNBOUNDED,  # noqa: A002 - the word of the room
    ) -> RatioOfSums:
        """Return the sums of one numerator and one denominator for each user.

        Raises:
            siamrec.errors.InvalidDataError: If lengths differ, a number is not finite or a
                denominator is negative.
        """
        x = check.finite("numerator", np.asarray(numerator))
        y = check.finite("denominator", np.asarray(denominator))
        check.same_length(numerator=x, denominator=y)
        if (y < 0).any():
            raise InvalidDataError(f"denominator must not be negative, got {y.min():g}.")
        return cls(
            top=float(x.sum()),
            bottom=float(y.sum()),
            moments=Moments.of(dict(zip(_NAMES, (x, y), strict=True))),
            range=range,
        )

    def __add__(self, other: RatioOfSums) -> RatioOfSums:
        return RatioOfSums(
            top=self.top + other.top,
            bottom=self.bottom + other.bottom,
            moments=self.moments + other.moments,
            range=wider(self.range, other.range),
        )

    @property
    def n(self) -> int:
        """Number of users."""
        return self.moments.n

    @property
    def value(self) -> float:
        """Numerator over denominator; NaN where the denominator is 0."""
        return self.top / self.bottom if self.bottom > 0 else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error by the delta method; infinite for fewer than two users.

        0 where no spread can be told, be it that there is none or that great numerators and
        denominators cancel in it to their last digits.
        """
        if self.n < 2 or not self.bottom > 0:
            return math.inf
        # sum of (x - r y)², whose mean over users is 0 by definition of r
        direction = np.array([1.0, -self.value])
        rest = float(direction @ self.moments.product @ direction)
        size = np.abs(direction)
        if rest <= _CANCELLED * float(size @ np.abs(self.moments.product) @ size):
            return 0.0
        return math.sqrt(max(rest, 0.0) * self.n / (self.n - 1)) / self.bottom

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """Return the ratio with its interval over users.

        Raises:
            siamrec.errors.InvalidParameterError: If `confidence` is not in (0, 1).
        """
        check.share("confidence", confidence, open_ends=True)
        return estimate_of(
            self.value,
            self.standard_error,
            self.n,
            confidence,
            within=self.range,
            method="delta",
        )


def wider(first: Range, second: Range) -> Range:
    """Return the range that holds both."""
    return min(first[0], second[0]), max(first[1], second[1])
