"""Reading what is new in the event log, for consumers that go on where they stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sqlalchemy import select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from siamrec._core import check
from siamrec.storage import _engine
from siamrec.storage._events import COLUMNS, feedback_of
from siamrec.storage.schema import cursor as cursor_table
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from siamrec.data import Feedback

_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
"""The oldest transaction that may still commit: rows of later ones are not settled yet."""


@final
class Tail:
    """A consumer's place in the event log; made by `Store.tail`. Mutable.

    No event is skipped, however late the transaction that wrote it commits. SQLite has one
    writer at a time, so sequence numbers are in the order of commits. PostgreSQL has many: the
    place there is (transaction, sequence number), and only what stands below the oldest running
    transaction is read. Events come in the order in which they were settled, not by their time.

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

    def __init__(self, engine: Engine, consumer: str) -> None:
        self._engine = engine
        self._consumer = consumer
        self._many_writers = engine.dialect.name == "postgresql"
        c = cursor_table.c
        query = select(c.xid, c.seq).where(c.consumer == consumer)
        with _engine.reading(engine) as connection:
            found = connection.execute(query).first()
        self._place = (0, 0) if found is None else (int(found.xid), int(found.seq))

    def fetch(self, batch_rows: int = 65_536) -> Feedback | None:
        """Return the next events, at most so many; None where nothing new is settled."""
        query = select(event.c.xid, event.c.seq, *COLUMNS)
        # On SQLite every xid is 0, and the sequence alone is the primary key.
        order = (event.c.xid, event.c.seq) if self._many_writers else (event.c.seq,)
        with _engine.reading(self._engine) as connection:
            rows = connection.execute(
                query.where(self._after())
                .order_by(*order)
                .limit(check.count("batch_rows", batch_rows))
            ).all()
        if not rows:
            return None
        self._place = (int(rows[-1].xid), int(rows[-1].seq))
        return feedback_of([row[1:] for row in rows])

    def commit(self) -> None:
        """Keep the place after the last batch, so that a later `Tail` goes on there."""
        make = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        xid, seq = self._place
        with _engine.writing(self._engine) as connection:
            connection.execute(
                make(cursor_table)
                .values(consumer=self._consumer, xid=xid, seq=seq)
                .on_conflict_do_update(index_elements=["consumer"], set_={"xid": xid, "seq": seq})
            )

    def _after(self) -> Any:
        if not self._many_writers:
            return event.c.seq > self._place[1]
        after = tuple_(event.c.xid, event.c.seq) > tuple_(*self._place)
        return after & (event.c.xid < text(_HORIZON))
