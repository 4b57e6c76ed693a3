"""Training sets by name: which events they were, and whether one was erased since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

from sqlalchemy import func, select, update
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Record, counted, day
from siamrec.errors import UnknownNameError
from siamrec.storage import _engine, _segments
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._pages import whole_log
from siamrec.storage.archive import retried
from siamrec.storage.schema import event
from siamrec.storage.schema import snapshot as snapshot_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Engine

    from siamrec.data import Feedback
    from siamrec.protocols import Clock
    from siamrec.storage.archive import Archive
    from siamrec.typing import Instant

_FETCHED = 20_000


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrainingSnapshot(Record):
    """The events that a model was trained on.

    Attributes:
        id: Hash of the bounds and of the set of events; the same set has the same id, in the
            table or in the archive, on either kind of database.
        created: When it was taken.
        since: Lower bound of the events' times, None without one.
        until: Upper bound, exclusive.
        n_events: Number of events.
        redacted: When one of its events was erased, so that it cannot be read again; else None.
    """

    id: str
    created: Instant
    since: Instant | None
    until: Instant | None
    n_events: int
    redacted: Instant | None

    @override
    def title(self) -> str:
        events = counted(self.n_events, "event")
        return f"Snapshot {self.id[:12]} of {events}, taken {day(self.created)}"


class _Found(NamedTuple):
    """A set of events: its fingerprint, their number, and the greatest number ever given."""

    fingerprint: str
    n_events: int
    last: int


@final
class Snapshots(OnDatabase):
    """Names the training sets of a log; made by `Store`.

    The id costs one pass over the events in the table, and a look at each segment.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.storage import Store
        >>> store = Store("sqlite://")
        >>> feedback = Feedback.of(user=["ann", "bob"], item=["x", "y"], time=[1, 2])
        >>> _ = store.feedback.write(feedback)
        >>> taken = store.snapshots.take(until=2)
        >>> taken.n_events, store.snapshots.take(until=2).id == taken.id
        (1, True)
        >>> store.snapshots.get(taken.id).redacted is None
        True
    """

    keeps = (snapshot_table,)

    def __init__(self, engine: Engine, clock: Clock, archive: Archive) -> None:
        self._engine = engine
        self._clock = clock
        self._archive = archive

    def take(
        self, *, since: Instant | None = None, until: Instant | None = None
    ) -> TrainingSnapshot:
        """Name the events with `since <= time < until` as they are now; all without bounds."""
        since = None if since is None else check.instant("since", since)
        until = None if until is None else check.instant("until", until)

        def work() -> _Found:
            with _engine.reading(self._engine) as connection:
                return self._found(connection, since, until)

        return self._kept(since, until, retried(work))

    def read(self) -> tuple[TrainingSnapshot, Feedback]:
        """Name every event that there is now, and return exactly those.

        What is written meanwhile is in neither.

        Raises:
            siamrec.errors.InvalidDataError: If the log is empty.
        """

        def work() -> tuple[_Found, Feedback]:
            with _engine.reading(self._engine) as connection:
                found = self._found(connection, None, None)
                return found, whole_log(self._engine, self._archive, connection)

        found, feedback = retried(work)
        return self._kept(None, None, found), feedback

    def _kept(
        self, since: Instant | None, until: Instant | None, found: _Found
    ) -> TrainingSnapshot:
        fingerprint, n_events, last = found
        parts = {"since": since, "until": until, "n": n_events, "events": fingerprint}
        row = {
            "id": content_hash("snapshot", parts),
            "created": self._clock.now(),
            "since": since,
            "until": until,
            "n_events": n_events,
            "last_seq": last,
        }
        make = _engine.inserting(self._engine.dialect.name)
        new = make(snapshot_table).values(row).on_conflict_do_nothing()
        _engine.transact(self._engine, lambda connection: connection.execute(new))
        return self.get(str(row["id"]))

    def get(self, id_: str) -> TrainingSnapshot:
        """Return what was taken under an id.

        Raises:
            siamrec.errors.UnknownNameError: If nothing was.
        """
        check.text("id", id_)
        c = snapshot_table.c
        columns = (c.id, c.created, c.since, c.until, c.n_events, c.redacted)
        with _engine.reading(self._engine) as connection:
            found = connection.execute(select(*columns).where(c.id == id_)).mappings().first()
            if found is None:
                raise UnknownNameError("snapshot", id_, connection.execute(select(c.id)).scalars())
        return TrainingSnapshot(**found)

    def mark(self) -> int:
        """Return the number of the newest event: whatever comes later has a greater one."""

        def work(connection: Connection) -> int:
            # On PostgreSQL a number is drawn before its row is seen: writers are waited for.
            _engine.lock(connection, "event")
            newest = connection.execute(select(func.max(event.c.seq))).scalar() or 0
            return max(int(newest), int(last_given(connection)))

        return _engine.transact(self._engine, work)

    def after(self, mark: int) -> int:
        """Return how many events of the table came after a mark."""
        query = select(func.count()).select_from(event).where(event.c.seq > mark)
        with _engine.reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def _found(
        self, connection: Connection, since: Instant | None, until: Instant | None
    ) -> _Found:
        sums = [_segments.fingerprint(counted := _Counted(_hot(connection, since, until)))]
        segments = self._archive.segments(connection)
        last = connection.execute(select(func.max(event.c.seq))).scalar() or 0
        last = max(last, last_given(connection))
        n_events = counted.n
        for segment in segments:
            if (since is not None and segment.last < since) or (
                until is not None and segment.first >= until
            ):
                continue
            if (since is None or segment.first >= since) and (
                until is None or segment.last < until
            ):
                sums.append(int(segment.fingerprint, 16))
                n_events += segment.n_rows
                continue
            table = self._archive.table(segment, ("time", "key", "digest"))
            columns = (table[name].to_pylist() for name in ("time", "key", "digest"))
            counted = _Counted(
                (key, digest)
                for time, key, digest in zip(*columns, strict=True)
                if (since is None or time >= since) and (until is None or time < until)
            )
            sums.append(_segments.fingerprint(counted))
            n_events += counted.n
        return _Found(_segments.as_text(_segments.added(*sums)), n_events, int(last))


def redact(
    connection: Connection, times: Iterable[tuple[Instant | None, int]], now: Instant
) -> tuple[set[str], int]:
    """Mark the snapshots that have any event, by its time and number.

    Returns:
        The snapshots, and how many of them were whole until now.
    """
    gone = list(times)
    c = snapshot_table.c
    rows = connection.execute(select(c.id, c.since, c.until, c.last_seq, c.redacted)).all()
    hit = [
        row
        for row in rows
        if any(seq <= row.last_seq and _inside(time, row.since, row.until) for time, seq in gone)
    ]
    whole = [row.id for row in hit if row.redacted is None]
    for id_ in whole:
        connection.execute(update(snapshot_table).where(c.id == id_).values(redacted=now))
    return {row.id for row in hit}, len(whole)


def _inside(time: Instant | None, since: Instant | None, until: Instant | None) -> bool:
    if time is None:
        return since is None and until is None
    return (since is None or time >= since) and (until is None or time < until)


@final
class _Counted:
    """Counts what passes through."""

    def __init__(self, events: Iterable[tuple[str, str]]) -> None:
        self._events = events
        self.n = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for each in self._events:
            self.n += 1
            yield each


def _hot(
    connection: Connection, since: Instant | None, until: Instant | None
) -> Iterator[tuple[str, str]]:
    query = select(event.c.key, event.c.digest)
    if since is not None:
        query = query.where(event.c.time >= since)
    if until is not None:
        query = query.where(event.c.time < until)
    found = connection.execute(query, execution_options={"yield_per": _FETCHED})
    for part in found.partitions():
        yield from (tuple(row) for row in part)


def last_given(connection: Connection) -> Any:
    """Return the greatest number that an event ever had: those of moved events stay used."""
    if connection.dialect.name == "postgresql":
        given = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_seq_seq"
        return connection.exec_driver_sql(given).scalar_one()
    found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
    return found.scalar() or 0
