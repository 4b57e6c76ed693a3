"""How rewards count over time: what is forgotten, waited for, and noticed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta  # noqa: TC003  (read at run time)
from typing import ClassVar, final

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.bandits.log.delay import DelayCurve
from siamrec.errors import InvalidParameterError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How a bandit takes in rewards.

    Durations are texts such as `"30d"` or `"12h"`, a `timedelta`, or seconds.

    Args:
        half_life: Time after which an observation counts half.
        window: Only rewards of decisions this recent count; not together with `half_life`.
        attribution: Rewards later than this after their decision are left out.
        delay: Mean time that a success takes to be seen, or its whole `DelayCurve`. Picks without
            a reward then count as failures little by little, as much as a success would have
            been seen by now.
        reset: When given, outcomes of an arm from before its rewards are found to have changed
            no longer count; the number, such as 0.01, is the probability of a false alarm
            anywhere at any time. Each arm is tested in each context cell, by `change_point`; the
            tests read the whole log after every change to it, so set `refresh_every` for large
            logs, and a floor in `Limits`, because an arm that is not chosen is not seen to
            change. Not for policies with feature vectors.
        refresh_every: Rewards to take in before what is believed is worked out anew.

    Raises:
        InvalidParameterError: If a setting is out of its range, or two exclude each other.

    Examples:
        >>> Learning(half_life="30d", attribution="1d").half_life
        '30d'
        >>> Learning(half_life="30d", window="7d")
        Traceback (most recent call last):
        siamrec.errors.InvalidParameterError: window must be left out where half_life is given, ...
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    half_life: str | timedelta | float | None = None
    window: str | timedelta | float | None = None
    attribution: str | timedelta | float | None = None
    delay: str | timedelta | float | DelayCurve | None = None
    reset: float | None = None
    refresh_every: int = 1

    def __post_init__(self) -> None:
        for name in ("half_life", "window", "attribution", "delay"):
            self.nanoseconds(name)
        check.count("refresh_every", self.refresh_every)
        if self.reset is not None:
            check.share("reset", self.reset, open_ends=True)
        if self.half_life is not None and self.window is not None:
            raise InvalidParameterError("window", self.window, "left out where half_life is given")

    def nanoseconds(self, name: str) -> int | None:
        """Return a duration in nanoseconds, None where there is none or a whole curve."""
        value = getattr(self, name)
        return None if value is None or isinstance(value, DelayCurve) else duration(name, value)
