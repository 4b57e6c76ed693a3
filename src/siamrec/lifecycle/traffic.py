"""Later feedback replayed as traffic: visits, and what every arm would have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core.clock import HOUR, MINUTE
from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.data.liking import liked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.lifecycle._host import HostArm
    from siamrec.lifecycle.holdout import HeldOut
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.typing import BoolArray, IntArray

_GAP = 30 * MINUTE
_EVENTS_PER_VISIT = 5
_SATURDAY_IN_EPOCH_WEEK = 2  # 1970-01-01 was a Thursday
_DAY_PERIODS = ("night", "morning", "afternoon", "evening", "night")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Visits in time order.

    Attributes:
        unit: Id of the visitor, as text.
        time: When the visit begins; the number of the visit where times are not known.
        context: What is known of each visit: `profile_size` and, with times, `day` and
            `time_of_day`.
        hit: Whether a list of each arm holds an item that the visitor goes on to like, shape
            `(n_visits, n_arms)`.
        arms: Names of the arms.
    """

    unit: tuple[str, ...]
    time: IntArray
    context: tuple[Mapping[str, str], ...]
    hit: BoolArray
    arms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.unit)


def replay(
    split: HeldOut,
    arms: Mapping[str, FittedRecommender | HostArm],
    *,
    k: int,
    progress: Callable[[float], None],
) -> Traffic:
    """Return the visits of the held-out users, and the hits of every arm in each of them.

    A visit is at most five events of one user with pauses of at most half an hour. An arm sees
    what the user did before the visit and shows its best `k` other items; a hit is an item among
    them that the user likes in this visit or later.
    """
    visits = _Visits.of(split)
    histories = visits.histories()
    wanted = visits.wanted(split.warm)
    hit = np.zeros((visits.n, len(arms)), dtype=bool)
    for place, arm in enumerate(arms.values()):
        lists = arm.recommend_for_feedback(histories, k=k, candidates=split.warm.ids)
        item = lists.items.translate(split.warm)[lists.item].astype(np.int64)
        owner = np.repeat(np.arange(visits.n), lists.length)
        found = np.isin(owner * len(split.warm) + item, wanted)
        hit[owner[found], place] = True
        progress((place + 1) / len(arms))
    return Traffic(
        unit=tuple(str(id_) for id_ in visits.users.decode(visits.user)),
        time=visits.time,
        context=visits.contexts(by_time=split.by_time),
        hit=hit,
        arms=tuple(arms),
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Visits:
    """Where each visit begins and ends in its user's events, profile first."""

    events: Feedback
    likes: BoolArray
    users: Vocabulary
    n: int
    user: IntArray
    first: IntArray
    begin: IntArray
    end: IntArray
    time: IntArray

    @classmethod
    def of(cls, split: HeldOut) -> _Visits:
        warm = split.later.where(split.later.items.translate(split.warm)[split.later.item] >= 0)
        both = Feedback.concat([split.profile, warm])
        is_later = np.arange(len(both)) >= len(split.profile)
        order = np.lexsort((both.time, is_later, both.user))
        events, is_later = both.where(order), is_later[order]
        row = np.flatnonzero(is_later)
        if not row.size:
            empty = np.empty(0, dtype=np.int64)
            return cls(
                events=events, likes=np.zeros(len(events), bool), users=events.users, n=0,
                user=empty, first=empty, begin=empty, end=empty, time=empty,
            )  # fmt: skip
        user, time = events.user[row], events.time[row]
        pause = (
            np.diff(time, prepend=time[:1]) > _GAP if split.by_time else np.zeros(row.size, bool)
        )
        fresh = pause | (np.diff(user, prepend=-1) != 0)
        fresh = fresh | _every(fresh, _EVENTS_PER_VISIT)
        begin = row[fresh]
        starts = np.searchsorted(events.user, np.arange(len(events.users) + 1))
        visitor = events.user[begin]
        when = events.time[begin] if split.by_time else np.arange(begin.size)
        by_time = np.argsort(when, kind="stable")
        return cls(
            events=events,
            likes=liked(events.kind, events.value, split.positive),
            users=events.users,
            n=begin.size,
            user=visitor[by_time],
            first=starts[visitor][by_time],
            begin=begin[by_time],
            end=starts[visitor + 1][by_time],
            time=when[by_time].astype(np.int64),
        )

    def histories(self) -> Feedback:
        """Return what was done before each visit; the visits are the users."""
        owner, row = _spread(self.first, self.begin)
        part = self.events.where(row)
        return Feedback(
            users=Vocabulary(tuple(range(self.n))),
            items=part.items,
            user=owner.astype(np.int32),
            item=part.item,
            value=part.value,
            kind=part.kind,
            time=np.where(part.time == NO_TIME, 0, part.time),
            weight=part.weight,
        )

    def wanted(self, items: Vocabulary) -> IntArray:
        """Return `visit * len(items) + item` of every like from the visit on."""
        owner, row = _spread(self.begin, self.end)
        liked = self.likes[row]
        item = self.events.items.translate(items)[self.events.item[row][liked]]
        keys: IntArray = owner[liked] * len(items) + item
        return keys

    def contexts(self, *, by_time: bool) -> tuple[dict[str, str], ...]:
        size = np.searchsorted([10, 50], self.begin - self.first, side="right")
        columns: dict[str, list[Any]] = {
            "profile_size": [("small", "medium", "large")[code] for code in size.tolist()]
        }
        if by_time:
            hour = self.time // HOUR % 24
            day = (self.time // (24 * HOUR)) % 7
            period = np.searchsorted([6, 12, 18, 22], hour, side="right")
            weekend = (day - _SATURDAY_IN_EPOCH_WEEK) % 7 < 2
            columns["day"] = ["weekend" if free else "weekday" for free in weekend.tolist()]
            columns["time_of_day"] = [_DAY_PERIODS[code] for code in period.tolist()]
        return tuple(
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        )


def _every(fresh: BoolArray, length: int) -> BoolArray:
    """Mark every `length`-th row after a mark."""
    place = np.arange(fresh.size)
    start = np.maximum.accumulate(np.where(fresh, place, 0))
    marks: BoolArray = (place - start) % length == 0
    return marks


def _spread(begin: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Return owner and row of all rows `begin[i] <= row < end[i]`."""
    length = end - begin
    owner = np.repeat(np.arange(begin.size), length)
    row = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length) + begin[owner]
    return owner, row
