"""Filters of what no reader of good faith would do: bursts, one rating for all, repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec._core.table import Record, counted
from siamrec.data import NO_TIME, Feedback
from siamrec.data.feedback import FeedbackKind
from siamrec.feedback._book import FEEDBACK_SOURCES
from siamrec.feedback.memory import MemoryFeedback
from siamrec.feedback.sources import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from siamrec._core.book import Named
    from siamrec.protocols import FeedbackSource
    from siamrec.typing import BoolArray, Instant, IntArray


class Filter(Protocol):
    """Tells the events that should not count."""

    def suspects(self, feedback: Feedback) -> BoolArray:
        """Return whether each event is suspect, shape `(n,)`."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BurstFilter:
    """Suspects events of one user that come faster than a person acts.

    An event is suspect when any window of length `per` that holds it has more than `most` events
    of its user: the whole burst goes, not only its end. Events without a time are not judged.

    Args:
        most: Most events of one user in a window.
        per: Length of the window.

    Examples:
        >>> feedback = Feedback.of(
        ...     user=["bot"] * 4 + ["ann"] * 2, item=list("abcdab"),
        ...     time=[0, 1, 2, 60 * 10**9, 0, 1],
        ... )
        >>> BurstFilter(most=2, per="10s").suspects(feedback).tolist()
        [True, True, True, False, False, False]
    """

    most: int = 30
    per: str | timedelta | float = "1m"

    def __post_init__(self) -> None:
        check.count("most", self.most)
        duration("per", self.per)

    def suspects(self, feedback: Feedback) -> BoolArray:
        """Return whether each event is part of a burst, shape `(n,)`."""
        order = np.lexsort((feedback.time, feedback.user))
        user, time = feedback.user[order], feedback.time[order]
        suspect = np.zeros(order.size, dtype=bool)
        if order.size > self.most:
            first, last = slice(None, -self.most), slice(self.most, None)
            # A time that is not known is the least number: no difference is taken from it.
            same = (user[first] == user[last]) & (time[first] != NO_TIME)
            gap = np.where(same, time[last] - np.where(same, time[first], time[last]), 0)
            full = np.flatnonzero(same & (gap < duration("per", self.per)))
            edges = np.zeros(order.size + 1, dtype=np.int64)
            np.add.at(edges, full, 1)
            np.add.at(edges, full + self.most + 1, -1)
            suspect[order] = np.cumsum(edges[:-1]) > 0
        return suspect


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SpamFilter:
    """Suspects users who give one rating to everything, and events that are said over and over.

    - A user with at least `least` ratings, of which the share `same` or more is one value, tells
      nothing of items: all ratings of the user are suspect.
    - Of more than `repeats` events of one user, item and kind, those after the first `repeats`
      are suspect.

    Args:
        least: Ratings that a user must have to be judged.
        same: Share of one value from which a user's ratings are suspect, in (0, 1].
        repeats: Events of one user, item and kind that count.

    Examples:
        >>> feedback = Feedback.of(
        ...     user=["one"] * 3 + ["ann"] * 3, item=["x", "y", "z"] * 2, value=[5, 5, 5, 5, 3, 1]
        ... )
        >>> SpamFilter(least=3, same=1.0).suspects(feedback).tolist()
        [True, True, True, False, False, False]
    """

    least: int = 20
    same: float = 0.98
    repeats: int = 5

    def __post_init__(self) -> None:
        check.count("least", self.least)
        check.count("repeats", self.repeats)
        check.share("same", self.same)
        check.positive("same", self.same)

    def suspects(self, feedback: Feedback) -> BoolArray:
        """Return whether each event is suspect, shape `(n,)`."""
        rated = feedback.kind == FeedbackKind.RATING
        n_users = len(feedback.users)
        user = feedback.user[rated].astype(np.int64)
        values, code = np.unique(feedback.value[rated], return_inverse=True)
        pairs, n_same = np.unique(user * max(values.size, 1) + code, return_counts=True)
        most = np.zeros(n_users)
        np.maximum.at(most, pairs // max(values.size, 1), n_same)
        n_ratings = np.bincount(user, minlength=n_users)
        one_value = (n_ratings >= self.least) & (most >= self.same * n_ratings)
        suspect: BoolArray = rated & one_value[feedback.user]
        return suspect | (self._rank(feedback) >= self.repeats)

    def _rank(self, feedback: Feedback) -> IntArray:
        """Number each event among those of its user, item and kind, by time, from 0."""
        order = np.lexsort((feedback.time, feedback.kind, feedback.item, feedback.user))
        columns = (feedback.user[order], feedback.item[order], feedback.kind[order])
        new = np.ones(order.size, dtype=bool)
        new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
        place = np.arange(order.size)
        start = np.maximum.accumulate(np.where(new, place, 0))
        rank = np.empty(order.size, dtype=np.int64)
        rank[order] = place - start
        return rank


@final
@dataclass(frozen=True, slots=True, repr=False)
class FilteredFeedback(Record):
    """A `FeedbackSource` without the events that any of some filters suspects.

    Bursts and habits show in the whole of a source only, so it is read as a whole.

    Args:
        source: The source or its name, such as `"file:path=log.csv"`.
        filters: The filters; each sees every event.

    Examples:
        >>> events = Feedback.of(user=["bot"] * 3 + ["ann"], item=list("abcd"), time=[1, 2, 3, 9])
        >>> calm = FilteredFeedback(MemoryFeedback(events), (BurstFilter(most=2),))
        >>> [batch.users.decode(batch.user) for batch in calm.read()]
        [['ann']]
    """

    source: FeedbackSource | Named
    filters: Sequence[Filter] = (BurstFilter(), SpamFilter())

    def __post_init__(self) -> None:
        check.methods("source", self.source, ["read"], what="a source of feedback")
        for each in check.many("filters", self.filters, what="filters"):
            check.methods("filter", each, ["suspects"], what="a filter")

    @override
    def title(self) -> str:
        return f"Feedback without what {counted(len(self.filters), 'filter')} suspects"

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order."""
        check.count("batch_rows", batch_rows)
        parts = list(FEEDBACK_SOURCES.make(self.source).read())
        if not parts:
            return
        whole = Feedback.concat(aligned(parts))
        suspect = np.zeros(len(whole), dtype=bool)
        for each in self.filters:
            suspect |= each.suspects(whole)
        kept = MemoryFeedback(whole.where(np.flatnonzero(~suspect)))
        yield from kept.read(since=since, until=until, batch_rows=batch_rows)
