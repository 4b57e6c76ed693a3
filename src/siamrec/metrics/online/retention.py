"""Whether users convert and come back, with users who are too new to tell left out.

All events of a user must be in one value of `Events`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec._core import check
from siamrec._core.clock import DAY, duration
from siamrec.metrics.base import UNIT
from siamrec.metrics.online.events import KINDS, UserSums, by_user

if TYPE_CHECKING:
    from datetime import timedelta

    from siamrec.metrics.online.events import Events
    from siamrec.typing import Instant, IntArray

_NEVER = np.iinfo(np.int64).max


def _first(events: Events, rows: np.typing.NDArray[np.bool_]) -> IntArray:
    """Return the earliest time of each user among some events; a far time if there is none."""
    first = np.full(len(events.users), _NEVER)
    np.minimum.at(first, events.user[rows], events.time[rows])
    return first


def _end(events: Events, end: Instant | None) -> int:
    return int(events.time.max(initial=0)) if end is None else end


def conversion(
    events: Events, *, window: str | timedelta | float = "7d", end: Instant | None = None
) -> UserSums:
    """Return the share of exposed users who convert within a window after their first impression.

    Users exposed less than a window before the end are left out: they may still convert.

    Args:
        events: Impressions and conversions, with times.
        window: Time in which a conversion counts.
        end: Instant until which events are complete; without it, the last event.

    Raises:
        siamrec.errors.MissingInputError: If events have no times.
    """
    events.need_time("conversion")
    reach = duration("window", window)
    exposed = _first(events, events.kind == KINDS.index("impression"))
    mature = (exposed < _NEVER) & (exposed <= _end(events, end) - reach)
    since = events.time - np.where(exposed < _NEVER, exposed, 0)[events.user]
    within = (events.kind == KINDS.index("conversion")) & (since >= 0) & (since <= reach)
    within &= mature[events.user]
    converted = np.bincount(events.user[within], minlength=len(events.users)) > 0
    return UserSums(events.users, converted.astype(np.float64), mature.astype(np.float64), UNIT)


def revenue(events: Events) -> UserSums:
    """Return the summed value of conversions over users with an impression."""
    exposed = by_user(events.of("impression")) > 0
    bought = events.of("conversion")
    total = by_user(bought, bought.value)
    return UserSums(events.users, np.where(exposed, total, 0.0), exposed.astype(np.float64))


def retention(
    events: Events,
    *,
    day: int = 7,
    kind: Literal["classic", "rolling"] = "classic",
    end: Instant | None = None,
) -> UserSums:
    """Return the share of users who come back on a day, or from that day on.

    Days are counted in steps of 24 hours from a user's first event. Users whose day is not over
    at the end are left out (right-censoring). `"rolling"` asks for any event from that day on, so
    older users have had more time: compare cohorts of one age.

    Args:
        events: Events with times.
        day: Days after the first event, above 0.
        kind: `"classic"`: on that very day; `"rolling"`: on that day or later.
        end: Instant until which events are complete; without it, the last event.

    Raises:
        siamrec.errors.MissingInputError: If events have no times.
        siamrec.errors.InvalidParameterError: If `day` is not above 0.

    Examples:
        >>> from siamrec.metrics.online.events import Events
        >>> hours = [0, 25, 0, 80]
        >>> events = Events.from_frame({
        ...     "user": ["ann", "ann", "bob", "bob"],
        ...     "kind": ["click"] * 4,
        ...     "time": np.array(hours, dtype="datetime64[h]").astype("datetime64[ns]"),
        ... }, time="time")
        >>> retention(events, day=1).value, retention(events, day=1, kind="rolling").value
        (0.5, 1.0)
    """
    events.need_time("retention")
    check.count("day", day)
    check.one_of("kind", kind, ("classic", "rolling"))
    first = _first(events, np.ones(len(events), dtype=np.bool_))
    joined = first < _NEVER
    old = joined & (np.where(joined, first, 0) <= _end(events, end) - (day + 1) * DAY)
    age = (events.time - first[events.user]) // DAY
    back = age == day if kind == "classic" else age >= day
    returned = np.bincount(events.user[back], minlength=len(events.users)) > 0
    return UserSums(
        events.users, (returned & old).astype(np.float64), old.astype(np.float64), UNIT
    )
