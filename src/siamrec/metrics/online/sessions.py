"""Events in sessions: runs of a user's events without a long gap.

All events of a user must be in one value of `Events`: a session that is cut in two by a batch
counts twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siamrec._core.clock import SECOND, duration
from siamrec.metrics.base import POSITIVE, UNIT
from siamrec.metrics.online.events import KINDS, UserSums

if TYPE_CHECKING:
    from datetime import timedelta

    from siamrec.metrics.online.events import Events
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray


class _Sessions(NamedTuple):
    """Sessions in order of user and time; `of_event` holds the session of each event."""

    user: IntArray
    first: IntArray
    last: IntArray
    of_event: IntArray


def _sessions(events: Events, gap: str | timedelta | float, metric: str) -> _Sessions:
    events.need_time(metric)
    pause = duration("gap", gap)
    order = np.lexsort((events.time, events.user))
    user, time = events.user[order], events.time[order]
    opens = np.ones(user.size, dtype=np.bool_)
    opens[1:] = (user[1:] != user[:-1]) | (time[1:] - time[:-1] > pause)
    start = np.flatnonzero(opens)
    of_event = np.empty(user.size, dtype=np.int64)
    of_event[order] = opens.cumsum() - 1
    end = np.append(start[1:], user.size) - 1
    return _Sessions(user[start].astype(np.int64), time[start], time[end[: start.size]], of_event)


def _per_session(
    events: Events,
    sessions: _Sessions,
    value: FloatArray,
    counted: FloatArray | None = None,
    *,
    range_: Range = POSITIVE,
) -> UserSums:
    n_users = len(events.users)
    ones = np.ones(sessions.user.size) if counted is None else counted
    return UserSums(
        events.users,
        np.bincount(sessions.user, value * ones, minlength=n_users).astype(np.float64),
        np.bincount(sessions.user, ones, minlength=n_users).astype(np.float64),
        range_,
    )


def _count(events: Events, sessions: _Sessions, kind: str) -> FloatArray:
    here = events.kind == KINDS.index(kind)
    return np.bincount(sessions.of_event[here], minlength=sessions.user.size).astype(np.float64)


def session_length(events: Events, *, gap: str | timedelta | float = "30m") -> UserSums:
    """Return the mean seconds from the first to the last event of a session.

    Args:
        events: Events with times.
        gap: Silence that ends a session.

    Raises:
        siamrec.errors.MissingInputError: If events have no times.
    """
    sessions = _sessions(events, gap, "session_length")
    return _per_session(events, sessions, (sessions.last - sessions.first) / SECOND)


def clicks_per_session(events: Events, *, gap: str | timedelta | float = "30m") -> UserSums:
    """Return the mean number of clicks in a session; arguments as `session_length`."""
    sessions = _sessions(events, gap, "clicks_per_session")
    return _per_session(events, sessions, _count(events, sessions, "click"))


def impressions_per_session(events: Events, *, gap: str | timedelta | float = "30m") -> UserSums:
    """Return the mean number of impressions in a session; arguments as `session_length`."""
    sessions = _sessions(events, gap, "impressions_per_session")
    return _per_session(events, sessions, _count(events, sessions, "impression"))


def abandonment(events: Events, *, gap: str | timedelta | float = "30m") -> UserSums:
    """Return the share of sessions with an impression that have no click.

    Args:
        events: Events with times.
        gap: Silence that ends a session.

    Raises:
        siamrec.errors.MissingInputError: If events have no times.
    """
    sessions = _sessions(events, gap, "abandonment")
    shown = (_count(events, sessions, "impression") > 0).astype(np.float64)
    left = (_count(events, sessions, "click") == 0).astype(np.float64)
    return _per_session(events, sessions, left, shown, range_=UNIT)


def time_to_first_click(events: Events, *, gap: str | timedelta | float = "30m") -> UserSums:
    """Return the mean seconds from the start of a session to its first click.

    Sessions without a click are left out; see `abandonment` for their share.

    Args:
        events: Events with times.
        gap: Silence that ends a session.

    Raises:
        siamrec.errors.MissingInputError: If events have no times.
    """
    sessions = _sessions(events, gap, "time_to_first_click")
    here = events.kind == KINDS.index("click")
    first = np.full(sessions.user.size, np.iinfo(np.int64).max)
    np.minimum.at(first, sessions.of_event[here], events.time[here])
    clicked = first < np.iinfo(np.int64).max
    wait = np.where(clicked, first - sessions.first, 0) / SECOND
    return _per_session(events, sessions, wait, clicked.astype(np.float64))
