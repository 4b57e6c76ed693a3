"""The log in time order, page by page, through the table and the archive alike."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import chain, compress
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from sqlalchemy import select, tuple_

from siamrec._core import check
from siamrec.data import NO_TIME
from siamrec.errors import InvalidDataError
from siamrec.storage import _bulk, _engine, _segments
from siamrec.storage._events import NAMES, feedback_of
from siamrec.storage.archive import retried
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.data import Feedback
    from siamrec.storage._segments import Columns, Segment
    from siamrec.storage.archive import Archive
    from siamrec.typing import Instant

READ = ("seq", *(name for name in NAMES if name not in {"key", "digest", "received"}))
"""Columns of a page: what feedback is made of."""
_TIME = READ.index("time")
_EVERY = 2**31 - 1
_SELECTED = [event.c[name] for name in READ]


class Place(NamedTuple):
    """Where a reader is: after this instant, and within it after this number."""

    time: int
    seq: int


@final
class Pages:
    """A reader of `since <= time < until`, untimed events first; mutable, keeps nothing on disk.

    Each page is the first rows after the last place, of the table and of every segment that can
    have any: so a segment that is sealed between two pages is neither missed nor read twice.
    With a connection all pages are of the state of the log that its transaction sees.
    """

    def __init__(
        self,
        engine: Engine,
        archive: Archive,
        since: Instant | None,
        until: Instant | None,
        connection: Connection | None = None,
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._archive = archive
        self._since = None if since is None else check.instant("since", since)
        self._until = None if until is None else check.instant("until", until)
        # Untimed events come first, and only where no bound is given.
        timed = since is not None or until is not None
        self._place = Place(int(NO_TIME) + timed, 0)
        self._open: dict[str, Any] = {}

    def next(self, n_rows: int) -> Columns | None:
        """Return the next page of at most so many rows; None at the end."""
        page = retried(lambda: self._page(n_rows))
        if page is None and self._place.time == NO_TIME:
            self._place = Place(int(NO_TIME) + 1, 0)
            page = retried(lambda: self._page(n_rows))
        if page is None:
            return None
        last = page["time"][-1]
        self._place = Place(int(NO_TIME) if last is None else last, page["seq"][-1])
        return page

    def _page(self, n_rows: int) -> Columns | None:
        held = self._connection
        with _engine.reading(self._engine) if held is None else nullcontext(held) as connection:
            rows = _bulk.fetched(connection.execute(self._query().limit(n_rows)))
            untimed = self._place.time == NO_TIME
            segments = [] if untimed else self._archive.segments(connection)
        slices = self._slices(segments, rows, n_rows)
        if not slices:
            if not rows:
                return None
            return dict(zip(READ, zip(*rows, strict=True), strict=True))
        return _merged(rows, slices, n_rows)

    def _query(self) -> Any:
        query = select(*_SELECTED)
        if self._place.time == NO_TIME:
            untimed = query.where(event.c.time.is_(None), event.c.seq > self._place.seq)
            return untimed.order_by(event.c.seq)
        time, seq = self._start()
        query = query.where(tuple_(event.c.time, event.c.seq) > tuple_(time, seq))
        if self._until is not None:
            query = query.where(event.c.time < self._until)
        return query.order_by(event.c.time, event.c.seq)

    def _start(self) -> Place:
        if self._since is None or self._place.time >= self._since:
            return self._place
        return Place(self._since - 1, 2**62)

    def _slices(self, segments: Sequence[Segment], rows: Sequence[Any], n_rows: int) -> list[Any]:
        """Return the next rows of each segment that can be part of this page."""
        slices: list[Any] = []
        full = len(rows) == n_rows
        end = rows[-1][_TIME] if full else self._until
        found = 0
        used = {}
        for segment in segments:  # those with the earliest events first
            if end is not None and segment.first > end:
                break
            if slices and found >= n_rows and segment.first > end_of(slices):
                break  # what is open already fills the page with earlier events
            if segment.last < self._start().time:
                continue
            if segment.hash not in self._open:
                self._open[segment.hash] = self._archive.table(segment, READ)
            used[segment.hash] = table = self._open[segment.hash]
            part = self._after(table).slice(0, n_rows)
            if part.num_rows:
                slices.append(part)
                found += part.num_rows
        self._open = used
        return slices

    def _after(self, table: Any) -> Any:
        times = _segments.times_of(table)
        time, seq = self._start()
        left, right = np.searchsorted(times, [time, time + 1])
        within = np.searchsorted(np.asarray(table["seq"])[left:right], seq, side="right")
        end = times.size if self._until is None else int(np.searchsorted(times, self._until))
        first = int(left + within)
        return table.slice(first, max(end - first, 0))


def whole_log(
    engine: Engine, archive: Archive, connection: Connection, *, last: int | None = None
) -> Feedback:
    """Return every event as one value, as the transaction of a connection sees the log.

    Args:
        engine: The database.
        archive: Sealed files.
        connection: In a transaction.
        last: Number of the newest event to read; all when absent.

    Raises:
        siamrec.errors.InvalidDataError: If there is none.
    """
    pages = Pages(engine, archive, None, None, connection)
    with _bulk.many_rows():
        # Joined before they are feedback: the columns of its parts would differ.
        parts = list(iter(lambda: pages.next(_EVERY), None))
        if not parts:
            raise InvalidDataError("The log has no event yet.")
        joined = {name: [*chain(*(part[name] for part in parts))] for name in parts[0]}
        if last is not None:
            told = [seq <= last for seq in joined["seq"]]
            joined = {name: [*compress(column, told)] for name, column in joined.items()}
        return feedback_of(joined)


def end_of(slices: Sequence[Any]) -> int:
    """Return the instant up to which the rows of open segments are complete."""
    return max(int(_segments.times_of(part)[-1]) for part in slices)


def _merged(rows: Sequence[Any], slices: Sequence[Any], n_rows: int) -> Columns:
    parts: list[Columns] = [
        {name: part[name].to_pylist() for name in READ} for part in slices if part.num_rows
    ]
    if rows:
        parts.append(dict(zip(READ, zip(*rows, strict=True), strict=True)))
    if len(parts) == 1:
        return parts[0]
    joined = {name: list(chain.from_iterable(part[name] for part in parts)) for name in READ}
    order = np.lexsort((np.asarray(joined["seq"]), np.asarray(joined["time"], dtype=np.int64)))
    first = order[:n_rows].tolist()
    return {name: [column[row] for row in first] for name, column in joined.items()}
