"""Reading what is new in the event log, for consumers that go on where they stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from sqlalchemy import delete, select, text, tuple_, update
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.storage import _bulk, _engine, _epoch
from siamrec.storage._events import COLUMNS, NAMES, feedback_of
from siamrec.storage.archive import retried
from siamrec.storage.schema import cursor as cursor_table
from siamrec.storage.schema import event
from siamrec.storage.schema import segment as segment_table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from siamrec.data import Feedback
    from siamrec.storage._segments import Columns, Segment
    from siamrec.storage.archive import Archive

_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
"""The oldest transaction that may still commit: rows of later ones are not settled yet."""


class _Place(NamedTuple):
    """Transaction and number of the last event read, and the segment that is being read."""

    xid: int
    seq: int
    segment: int | None


@final
class Tail(Shown):
    """A consumer's place in the event log; made by `Store.tail`. Mutable.

    No event is skipped, however late the transaction that wrote it commits. SQLite has one
    writer at a time, so sequence numbers are in the order of commits. PostgreSQL has many: the
    place there is (transaction, sequence number), and only what stands below the oldest running
    transaction is read. Events come in the order in which they were settled, not by their time.

    The archive keeps its hands off events that a consumer has not read; one that is no longer
    used must `forget` its place.

    A batch counts as consumed when `commit` is called: after a crash it is read again, so what
    a consumer does with a batch must be safe to repeat.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.storage import Store
        >>> store = Store("sqlite://")
        >>> _ = store.feedback.write(Feedback.of(user=["ann", "bob"], item=["x", "y"]))
        >>> tail = store.tail("archive")
        >>> len(tail.fetch() or ()), tail.fetch() is None
        (2, True)
        >>> tail.commit()
        >>> store.tail("archive").fetch() is None
        True
    """

    def __init__(self, engine: Engine, consumer: str, archive: Archive) -> None:
        self._engine = engine
        self._consumer = consumer
        self._archive = archive
        self._many_writers = engine.dialect.name == "postgresql"
        self._place = _engine.transact(engine, self._entered)
        with _engine.reading(engine) as connection:
            shift = _epoch.shift_of(connection)
        self._settled_before = text(f"{_HORIZON} + {shift}")
        self._opened: tuple[str, Any] = ("", None)

    @override
    def title(self) -> str:
        return f"Tail of the log for {self._consumer!r}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "consumer": self._consumer,
            "transaction": self._place.xid,
            "sequence": self._place.seq,
            "segment": self._place.segment,
        }
        return Table.of(self.title(), facts)

    def fetch(self, batch_rows: int = 65_536) -> Feedback | None:
        """Return the next events, at most so many; None where nothing new is settled.

        A new consumer reads the archive first, one segment after the other.
        """
        check.count("batch_rows", batch_rows)
        while self._place.segment is not None:
            page = retried(lambda: self._of_archive(batch_rows))
            if page is not None:
                return feedback_of(page)
        query = select(event.c.xid, event.c.seq, *COLUMNS)
        # On SQLite every xid is 0, and the sequence alone is the primary key.
        order = (event.c.xid, event.c.seq) if self._many_writers else (event.c.seq,)
        with _engine.reading(self._engine) as connection:
            next_rows = query.where(self._after()).order_by(*order).limit(batch_rows)
            rows = _bulk.fetched(connection.execute(next_rows))
        if not rows:
            return None
        self._place = _Place(rows[-1][0], rows[-1][1], None)
        return feedback_of(dict(zip(["xid", "seq", *NAMES], zip(*rows, strict=True), strict=True)))

    def commit(self) -> None:
        """Keep the place after the last batch, so that a later `Tail` goes on there."""
        c = cursor_table.c
        kept = update(cursor_table).where(c.consumer == self._consumer)
        _engine.transact(self._engine, lambda x: x.execute(kept.values(self._place._asdict())))

    def forget(self) -> None:
        """Give the place up: the archive no longer waits for this consumer."""
        mine = delete(cursor_table).where(cursor_table.c.consumer == self._consumer)
        _engine.transact(self._engine, lambda connection: connection.execute(mine))

    def _entered(self, connection: Connection) -> _Place:
        c = cursor_table.c
        query = select(c.xid, c.seq, c.segment).where(c.consumer == self._consumer)
        _engine.lock(connection, "cursor")  # an archiver looks who has read what, under this lock
        found = connection.execute(query).first()
        if found is not None:
            return _Place(*found)
        sealed = connection.execute(select(segment_table.c.number).limit(1)).first()
        place = _Place(0, 0, None if sealed is None else 0)
        new = {"consumer": self._consumer, **place._asdict()}
        connection.execute(cursor_table.insert(), new)
        return place

    def _of_archive(self, batch_rows: int) -> Columns | None:
        """Return what follows in the archive; None after a step to its next segment."""
        xid, seq, number = self._place
        with _engine.reading(self._engine) as connection:
            segments = {one.number: one for one in self._archive.segments(connection)}
        if number in segments:
            table = self._settled(segments[number])
            xids, seqs = np.asarray(table["xid"]), np.asarray(table["seq"])
            first = int(((xids < xid) | ((xids == xid) & (seqs <= seq))).sum())
            if first < table.num_rows:
                part = table.slice(first, batch_rows)
                page: Columns = part.to_pydict()
                self._place = _Place(page["xid"][-1], page["seq"][-1], number)
                return page
        later = [each for each in segments if each > (number or 0)]
        self._place = _Place(0, 0, min(later, default=None))
        return None

    def _settled(self, segment: Segment) -> Any:
        """Return a segment's events in the order of (xid, seq)."""
        if self._opened[0] != segment.hash:
            order = [("xid", "ascending"), ("seq", "ascending")]
            self._opened = (segment.hash, self._archive.table(segment).sort_by(order))
        return self._opened[1]

    def _after(self) -> Any:
        if not self._many_writers:
            return event.c.seq > self._place.seq
        place = (self._place.xid, self._place.seq)
        after = tuple_(event.c.xid, event.c.seq) > tuple_(*place)
        return after & (event.c.xid < self._settled_before)
