"""Instants and durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from siamrec._core.clock import DAY, HOUR, ManualClock, SystemClock, duration, isoformat
from siamrec.errors import InvalidParameterError
from siamrec.protocols import Clock


@pytest.mark.parametrize(
    ("value", "expected"),
    [("30d", 30 * DAY), ("1.5h", 3 * HOUR // 2), (timedelta(hours=2), 2 * HOUR), (3600, HOUR)],
)
def test_duration(value: str | timedelta | float, expected: int) -> None:
    assert duration("half_life", value) == expected


@pytest.mark.parametrize("bad", ["", "d", "-3d", "3 years", 0, timedelta(0)])
def test_duration_refuses(bad: str | timedelta | float) -> None:
    with pytest.raises(InvalidParameterError, match="half_life must be a duration above 0"):
        duration("half_life", bad)


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(5)
    assert clock.now() == clock.now() == 5
    clock.advance(10)
    assert clock.now() == 15
    clock.set(3)
    assert clock.now() == 3


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()])
def test_clocks_satisfy_the_protocol(clock: object) -> None:
    assert isinstance(clock, Clock)


def test_system_clock_does_not_run_backwards_between_two_looks() -> None:
    clock = SystemClock()
    assert clock.now() <= clock.now()


def test_isoformat() -> None:
    assert isoformat(1_704_067_200 * 10**9) == "2024-01-01T00:00:00+00:00"
