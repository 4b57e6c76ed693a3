"""Events and items out of a store into files, and from files into a store, with counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidDataError, InvalidParameterError, StorageError
from siamrec.storage import _engine
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.backup import Backup, backed_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from siamrec.data import Catalog, Feedback
    from siamrec.protocols import BlobStore, Clock
    from siamrec.storage.archive import Archive
    from siamrec.storage.catalog import CatalogLog
    from siamrec.storage.feedback import FeedbackLog, Receipt

EVENTS, ITEMS = "feedback.parquet", "catalog.parquet"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Exported(Record):
    """What was written to files.

    Attributes:
        folder: Where.
        events: Number of events.
        items: Number of items.
    """

    folder: str
    events: int
    items: int

    @override
    def title(self) -> str:
        said = f"{counted(self.events, 'event')} and {counted(self.items, 'item')}"
        return f"Exported {said} to {self.folder}"

    @override
    def to_json(self) -> str:
        """Return every field as JSON."""
        return canonical_json(asdict(self))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Imported(Record):
    """What became of the rows of files; of a dry run, what would have.

    Attributes:
        rows: Rows that were read; each is in one of the numbers below, if a row is one event.
        accepted: Events stored now.
        duplicates: Events that were there already.
        rejected: Rows that could not be read, by reason.
        left_out: Rows that say nothing that was asked for, by reason.
        items: Items that are new or changed.
        dry: Whether nothing was stored.
    """

    rows: int
    accepted: int
    duplicates: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    items: int = 0
    dry: bool = False

    @override
    def title(self) -> str:
        said = "Would be imported" if self.dry else "Imported"
        bad = counted(sum(self.rejected.values()), "row")
        return (
            f"{said}: {counted(self.accepted, 'event')}, {self.duplicates:,} there already, "
            f"{bad} rejected, {counted(self.items, 'item')} new or changed"
        )

    @override
    def to_json(self) -> str:
        """Return every field as JSON."""
        return canonical_json(asdict(self))


@final
class Copies(OnDatabase):
    """What leaves a store for files, and comes back; made by `Store`.

    Args:
        engine: The database.
        clock: Tells when a backup was made.
        archive: Sealed files.
        feedback: The events.
        catalog: The items.
    """

    def __init__(
        self, engine: Engine, clock: Clock, archive: Archive,
        feedback: FeedbackLog, catalog: CatalogLog,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._clock = clock
        self._archive = archive
        self._feedback = feedback
        self._catalog = catalog

    def backup(self, path: str | Path, *, blobs: BlobStore | None = None) -> Backup:
        """Write one consistent copy of everything to a new file, while others read and write.

        `siamrec.storage.restored` fills an empty database from it, on either engine.

        Args:
            path: The file.
            blobs: Files of versions, which go with it; left out when absent.

        Raises:
            siamrec.errors.InvalidParameterError: If the file is there already.
            siamrec.errors.StorageError: If it cannot be written; no half of it is left.
        """
        if blobs is not None:
            check.methods("blobs", blobs, ["get", "keys"], what="a store of files")
        now = self._clock.now()
        return backed_up(self._engine, self._archive, path, blobs=blobs, now=now)

    def export(self, folder: str | Path) -> Exported:
        """Write all events and items to Parquet files that `siamrec.feedback` reads back.

        Events are kept by their content there, without the keys under which they were told:
        `backup` keeps everything.

        Raises:
            siamrec.errors.InvalidDataError: If an attribute has values of several kinds.
            siamrec.errors.InvalidParameterError: If the folder has such files already.
            siamrec.errors.StorageError: If it cannot be written.
        """
        import pyarrow.parquet as pq  # takes its time

        place = Path(folder)
        for name in (EVENTS, ITEMS):
            if (place / name).exists():
                raise InvalidParameterError("folder", str(place), f"one without a file {name}")
        items = self._catalog.read()
        n_events = self._feedback.summary().n_events
        try:
            place.mkdir(parents=True, exist_ok=True)
            if n_events:
                events = self._feedback.read_all().to_arrow()
                n_events = events.num_rows
                pq.write_table(events, place / EVENTS)
            if len(items):
                pq.write_table(_table(items), place / ITEMS)
        except OSError as error:
            raise StorageError(f"The folder {place} cannot be written: {error}.") from error
        return Exported(folder=str(place), events=n_events, items=len(items))

    def take_in(
        self, feedback: Feedback, catalog: Catalog | None = None, *, dry_run: bool = False
    ) -> tuple[Receipt, int]:
        """Store events and items in one transaction; return a receipt and the items changed.

        Args:
            feedback: The events.
            catalog: The items.
            dry_run: Whether the transaction is taken back, after it was counted.
        """
        rows = self._feedback.rows(feedback, None)

        def work(connection: Connection) -> tuple[Receipt, int]:
            receipt = self._feedback.stored(connection, rows, keyed=False)
            n_items = 0 if catalog is None else self._catalog.written(connection, catalog)
            if dry_run:
                raise _CountedError(receipt, n_items)
            return receipt, n_items

        try:
            return _engine.transact(self._engine, work)
        except _CountedError as counts:
            return counts.receipt, counts.n_items


def _table(catalog: Catalog) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {"item": catalog.items.ids, "text": catalog.text}
    for name, column in catalog.attributes.items():
        plain = [list(each) if isinstance(each, tuple) else each for each in column]
        try:
            columns[name] = pa.array(plain)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InvalidDataError(
                f"The attribute {name!r} has values of several kinds, which no column of a file "
                f"holds; a backup does: {error}."
            ) from error
    return pa.table({name: list(c) if isinstance(c, tuple) else c for name, c in columns.items()})


class _CountedError(Exception):
    """Takes a transaction back that was to count alone."""

    def __init__(self, receipt: Receipt, n_items: int) -> None:
        super().__init__()
        self.receipt = receipt
        self.n_items = n_items
