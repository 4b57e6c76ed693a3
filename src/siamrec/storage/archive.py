"""Old events in sealed Parquet files: out of the database, and still part of the log."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final, runtime_checkable

from sqlalchemy import delete, func, select, tuple_
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidParameterError, MissingInputError, StaleWriteError, StorageError
from siamrec.protocols import BlobStore
from siamrec.storage import _bulk, _engine, _segments
from siamrec.storage._segments import Segment
from siamrec.storage.blobs import FolderBlobs
from siamrec.storage.schema import cursor as cursor_table
from siamrec.storage.schema import doomed as doomed_table
from siamrec.storage.schema import event
from siamrec.storage.schema import recommendation as recommendation_table
from siamrec.storage.schema import segment as segment_table
from siamrec.storage.schema import spent as spent_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.typing import Instant

_MANIFEST = "manifest.json"
_ATTEMPTS = 5
_ResultT = TypeVar("_ResultT")


@runtime_checkable
class ArchiveBlobs(BlobStore, Protocol):
    """A `BlobStore` that can also forget, as erasing a user needs."""

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sealed(Record):
    """What was moved to the archive.

    Attributes:
        n_events: Number of events.
        segments: Hashes of the new files.
        held_by: Consumers that have not read some old events yet; these stay where they are.
    """

    n_events: int
    segments: tuple[str, ...]
    held_by: tuple[str, ...]

    @override
    def title(self) -> str:
        return f"Sealed {counted(self.n_events, 'event')} in {counted(len(self.segments), 'file')}"


@final
class Archive:
    """Sealed segments: which there are, and their files. Made by `Store`.

    A segment's file is written first and known second, in the transaction that takes its events
    out of the table: a crash in between leaves a file that nobody reads, and that the next
    attempt writes again under the same name.
    """

    def __init__(self, engine: Engine, blobs: ArchiveBlobs | str | Path | None) -> None:
        if isinstance(blobs, str | Path):
            blobs = FolderBlobs(blobs)
        elif blobs is None:
            file = _engine.file_of(engine.url)
            blobs = None if file is None else FolderBlobs(f"{file}.archive")
        elif not isinstance(blobs, ArchiveBlobs):
            raise InvalidParameterError(
                "archive", blobs, "a folder, or blobs with put, get, keys and remove"
            )
        self._engine = engine
        self._blobs = blobs

    @property
    def blobs(self) -> ArchiveBlobs:
        """Where the files lie.

        Raises:
            siamrec.errors.MissingInputError: If the store was not told.
        """
        if self._blobs is None:
            raise MissingInputError("archive", "Store(url, archive='folder')")
        return self._blobs

    def of_lists(
        self, connection: Connection, lists: Sequence[str], since: Instant, columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Return the sealed events that refer to lists which were made since an instant."""
        wanted = set(lists)
        rows: list[tuple[Any, ...]] = []
        for segment in self.segments(connection):
            if segment.last < since:
                continue
            table = self.table(segment, columns)
            told = table["decision"].to_pylist()
            mine = [row for row, id_ in enumerate(told) if id_ in wanted]
            if mine:
                part = table.take(mine)
                rows += zip(*(part[name].to_pylist() for name in columns), strict=True)
        return rows

    def segments(self, connection: Connection) -> list[Segment]:
        """Return every sealed segment, those with the earliest events first."""
        c = segment_table.c
        rows = connection.execute(select(segment_table).order_by(c.first, c.number)).mappings()
        return [Segment(**row) for row in rows]

    def table(self, segment: Segment, columns: Sequence[str] | None = None) -> Any:
        """Return the events of a segment as an Arrow table.

        Raises:
            siamrec.errors.StorageError: If the file is gone or is not what was sealed.
        """
        try:
            data = self.blobs.get(segment.blob)
        except LookupError as error:
            raise StaleWriteError(f"Segment {segment.blob!r} is not in the archive.") from error
        return _segments.unpacked(segment, data, columns)

    def seal(self, before: Instant, *, segment_rows: int, newest: int = 0) -> Sealed:
        """Move the events from before an instant into files of at most so many rows.

        Args:
            before: The instant.
            segment_rows: Most events in one file.
            newest: Newest events of each user that stay where they are.
        """
        check.count("segment_rows", segment_rows)
        self.sweep()
        sealed: list[tuple[str, int]] = []
        while (part := self._seal_one(before, segment_rows, newest)) is not None:
            sealed.append(part)
        if sealed:
            self.write_manifest()
        return Sealed(
            n_events=sum(n for _, n in sealed),
            segments=tuple(hash_ for hash_, _ in sealed),
            held_by=self._holders(before),
        )

    def _seal_one(self, before: Instant, segment_rows: int, newest: int) -> tuple[str, int] | None:
        def attempt() -> tuple[str, int] | None:
            with _engine.reading(self._engine) as connection:
                query = _sealable(connection, before, newest).limit(segment_rows)
                rows = connection.execute(query).all()
            if not rows:
                return None
            table = _segments.table_of(rows)
            data = _segments.packed(table)
            hash_ = _segments.hash_of(data)
            self.blobs.put(_segments.blob_of(hash_), data)
            _engine.transact(self._engine, lambda c: _moved(c, table, hash_))
            return hash_, len(rows)

        return retried(attempt)

    def _holders(self, before: Instant) -> tuple[str, ...]:
        with _engine.reading(self._engine) as connection:
            newest = connection.execute(
                select(event.c.xid, event.c.seq)
                .where(event.c.time < before)
                .order_by(event.c.xid.desc(), event.c.seq.desc())
                .limit(1)
            ).first()
            if newest is None:
                return ()
            c = cursor_table.c
            behind = (tuple_(c.xid, c.seq) < tuple_(*newest)) | c.segment.is_not(None)
            names = connection.execute(select(c.consumer).where(behind).order_by(c.consumer))
            return tuple(names.scalars())

    def write_manifest(self) -> None:
        """Write what the archive holds beside its files, for readers without the database."""
        with _engine.reading(self._engine) as connection:
            segments = self.segments(connection)
        listed = {"columns": _segments.STORED, "segments": [asdict(one) for one in segments]}
        self.blobs.put(_MANIFEST, canonical_json(listed).encode())

    def sweep(self) -> None:
        """Remove the files that erasing has replaced, those of an interrupted run as well."""
        with _engine.reading(self._engine) as connection:
            gone = list(connection.execute(select(doomed_table.c.hash)).scalars())
        for hash_ in gone:
            self.blobs.remove(_segments.blob_of(hash_))
        if gone:
            listed = delete(doomed_table).where(doomed_table.c.hash.in_(gone))
            _engine.transact(self._engine, lambda c: c.execute(listed))

    def audit(self) -> int:
        """Check every file against its hash and its fingerprint; return the number of events.

        Raises:
            siamrec.errors.StorageError: If one is gone, or is not what was sealed.
        """
        with _engine.reading(self._engine) as connection:
            segments = self.segments(connection)
            both = select(func.count()).where(event.c.key == spent_table.c.key)
            if connection.execute(both).scalar_one():
                raise StorageError("The log has events whose keys were used up by the archive.")
        for segment in segments:
            table = self.table(segment, ("key", "digest"))
            pairs = zip(table["key"].to_pylist(), table["digest"].to_pylist(), strict=True)
            found = _segments.as_text(_segments.fingerprint(pairs))
            if (table.num_rows, found) != (segment.n_rows, segment.fingerprint):
                raise StorageError(f"Segment {segment.blob!r} does not hold what was sealed.")
        return sum(segment.n_rows for segment in segments)


def retried(attempt: Callable[[], _ResultT]) -> _ResultT:
    """Run something again while others change what it has read.

    Raises:
        StaleWriteError: If they never stop.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except StaleWriteError:
            continue
    return attempt()


def segment_row(table: Any, hash_: str) -> dict[str, Any]:
    """Return what the database is to know of a segment."""
    times = _segments.times_of(table)
    pairs = zip(table["key"].to_pylist(), table["digest"].to_pylist(), strict=True)
    return {
        "hash": hash_,
        "n_rows": table.num_rows,
        "first": int(times[0]),
        "last": int(times[-1]),
        "fingerprint": _segments.as_text(_segments.fingerprint(pairs)),
    }


def _sealable(connection: Connection, before: Instant, newest: int) -> Any:
    """Select old events that every consumer has read, in time order.

    What refers to a list that is not settled stays, since nothing is archived while it waits; so
    does what says, by the clock of a device, that it is older than its list: see `of_lists`.
    """
    c = cursor_table.c
    query = select(*(event.c[name] for name in _segments.STORED)).where(event.c.time < before)
    in_archive = connection.execute(select(c.consumer).where(c.segment.is_not(None)).limit(1))
    slowest = connection.execute(select(c.xid, c.seq).order_by(c.xid, c.seq).limit(1)).first()
    if in_archive.first() is not None:
        query = query.where(event.c.seq < 0)  # it has read no event of the table yet
    elif slowest is not None:
        query = query.where(tuple_(event.c.xid, event.c.seq) <= tuple_(*slowest))
    if newest:
        order = (event.c.time.desc().nulls_last(), event.c.seq.desc())
        whose = (event.c.user, event.c.whole_ids.op("&")(1))
        age = func.row_number().over(partition_by=whose, order_by=order).label("age")
        aged = select(event.c.seq, age).subquery()
        query = query.where(event.c.seq.in_(select(aged.c.seq).where(aged.c.age > newest)))
    r = recommendation_table.c
    odd = (r.settled == 0) | (r.time > event.c.time)
    query = query.where(~select(r.id).where(r.id == event.c.decision, odd).exists())
    return query.order_by(event.c.time, event.c.seq)


def _moved(connection: Connection, table: Any, hash_: str) -> None:
    """Take the events of a segment out of the table, and keep their keys used up."""
    _engine.lock(connection, "event", "cursor")
    seqs = table["seq"].to_pylist()
    c = cursor_table.c
    newest = max(zip(table["xid"].to_pylist(), seqs, strict=True))
    behind = (tuple_(c.xid, c.seq) < tuple_(*newest)) | c.segment.is_not(None)
    if connection.execute(select(c.consumer).where(behind).limit(1)).first() is not None:
        raise StaleWriteError("A consumer has come that has not read these events.")
    if _bulk.delete(connection, event, "seq", seqs) != len(seqs):
        raise StaleWriteError("Others have moved these events.")
    pairs = sorted(zip(table["key"].to_pylist(), table["digest"].to_pylist(), strict=True))
    _bulk.insert(connection, spent_table, ("key", "digest"), pairs, skip=False)
    connection.execute(segment_table.insert(), segment_row(table, hash_))
