"""Where good settings of a recipe lie: ranges that a tuner searches, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, final

from siamrec._core import check
from siamrec.errors import InvalidParameterError, shown

__all__ = ["Choice", "Float", "Integer", "Range"]


@final
@dataclass(frozen=True, slots=True)
class Float:
    """Real numbers from `low` to `high`, both included.

    Args:
        low: Smallest value.
        high: Largest value, above `low`.
        log: Whether equal ratios count alike, for scales such as penalties; needs `low > 0`.

    Raises:
        siamrec.errors.InvalidParameterError: If the ends do not make a range.

    Examples:
        >>> Float(1e-3, 1.0, log=True).grid(4)
        (0.001, 0.01, 0.1, 1.0)
        >>> 2.0 in Float(0.0, 1.0)
        False
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, log=self.log)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def grid(self, n: int) -> tuple[float, ...]:
        """Return `n` evenly spread values, from `low` to `high`."""
        return tuple(float(f"{value:.12g}") for value in _spread(self.low, self.high, n, self.log))


@final
@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from `low` to `high`, both included.

    Args:
        low: Smallest value.
        high: Largest value, above `low`.
        log: Whether equal ratios count alike; needs `low > 0`.

    Raises:
        siamrec.errors.InvalidParameterError: If the ends do not make a range.

    Examples:
        >>> Integer(8, 128, log=True).grid(5)
        (8, 16, 32, 64, 128)
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, log=self.log)

    def __contains__(self, value: object) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high  # type: ignore[operator]

    def grid(self, n: int) -> tuple[int, ...]:
        """Return at most `n` evenly spread values, from `low` to `high`."""
        spread = _spread(self.low, self.high, n, self.log)
        return tuple(dict.fromkeys(round(value) for value in spread))


@final
@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of several values.

    Args:
        values: The values, at least one: texts, numbers, booleans or None.

    Raises:
        siamrec.errors.InvalidParameterError: If there is none.

    Examples:
        >>> Choice("softmax", "gbce").grid(9)
        ('softmax', 'gbce')
    """

    values: tuple[str | float | bool | None, ...]

    def __init__(self, *values: str | float | bool | None) -> None:
        if not values:
            raise InvalidParameterError("values", values, "one or more values")
        object.__setattr__(self, "values", values)

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def grid(self, n: int) -> tuple[str | float | bool | None, ...]:
        """Return all values: they have no order in which to leave some out."""
        check.count("n", n)
        return self.values


Range: TypeAlias = Float | Integer | Choice
"""A range of one setting."""


def _check_ends(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidParameterError("high", high, f"a finite number above low ({shown(low)})")
    if log and low <= 0:
        raise InvalidParameterError("low", low, "above 0 on a logarithmic scale")


def _spread(low: float, high: float, n: int, log: bool) -> list[float]:  # noqa: FBT001
    if check.count("n", n) == 1:
        return [math.sqrt(low * high) if log else (low + high) / 2]
    steps = [step / (n - 1) for step in range(n)]
    if log:
        return [low * (high / low) ** step for step in steps]
    return [low + (high - low) * step for step in steps]
