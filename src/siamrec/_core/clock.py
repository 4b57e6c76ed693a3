"""The one place that reads the time."""

from __future__ import annotations

import time as _time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, final

from siamrec._core import check
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from siamrec.typing import Instant

ClockT = TypeVar("ClockT")

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_DURATION = "a duration above 0 such as '30d', '12h' or '90s'"
_TOO_LONG = 2**62  # 146 years: twice as long still fits into 64 bits
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


@final
@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> Instant:
        """Return the present instant in nanoseconds, UTC."""
        return _time.time_ns()  # noqa: TID251


def clock_or_system(clock: ClockT | None) -> ClockT | SystemClock:
    """Return the given clock, the machine's where there is none.

    Raises:
        InvalidParameterError: If it is a class, or has no `now`.
    """
    if clock is None:
        return SystemClock()
    check.methods("clock", clock, ["now"], what="a clock")
    return clock


@final
class ManualClock:
    """A clock that moves only when told; for tests, replays and simulations.

    Args:
        start: First instant, in nanoseconds.
    """

    __slots__ = ("_now",)

    def __init__(self, start: Instant = 0) -> None:
        self._now = start

    def now(self) -> Instant:
        """Return the instant that was set last."""
        return self._now

    def set(self, instant: Instant) -> None:
        """Move to `instant`."""
        self._now = instant

    def advance(self, nanoseconds: int) -> None:
        """Move on by `nanoseconds`."""
        self._now += nanoseconds


@final
@dataclass(slots=True)
class Stopwatch:
    """Seconds of wall time since it was made; for progress and reports, never for decisions."""

    _start: float = field(default_factory=_time.perf_counter)

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return _time.perf_counter() - self._start


def duration(name: str, value: str | timedelta | float) -> int:
    """Return a duration in nanoseconds.

    Args:
        name: What it is, for the error message.
        value: `"30d"`, `"12h"`, `"15m"`, `"10s"`, `"2w"`, a `timedelta`, or seconds.

    Raises:
        InvalidParameterError: If it is none of these or not above zero.

    Examples:
        >>> duration("half_life", "30d") == 30 * DAY
        True
    """
    if isinstance(value, timedelta):
        nanoseconds = round(value.total_seconds() * SECOND)
    elif isinstance(value, str):
        number, unit = value[:-1], value[-1:]
        try:
            nanoseconds = round(float(number) * _UNITS[unit])
        except (KeyError, ValueError, OverflowError):
            nanoseconds = 0
    else:
        seconds = check.real(name, value, _DURATION)
        nanoseconds = round(seconds * SECOND) if abs(seconds) < _TOO_LONG else 0
    if not 0 < nanoseconds < _TOO_LONG:
        raise InvalidParameterError(name, value, _DURATION)
    return nanoseconds


def isoformat(instant: Instant) -> str:
    """Return an instant as ISO 8601 text in UTC, to the second.

    Examples:
        >>> isoformat(0)
        '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(instant // SECOND, tz=UTC).isoformat()
