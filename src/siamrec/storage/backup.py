"""One consistent copy of everything in a store, in a file that both engines read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import func, inspect, select, text
from typing_extensions import override

from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError, StorageError
from siamrec.storage import _bulk, _engine, _epoch
from siamrec.storage.archive import Archive
from siamrec.storage.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO

    from sqlalchemy import Connection, Engine, Table

    from siamrec.storage.archive import ArchiveBlobs
    from siamrec.typing import Instant

_FORMAT, _MANIFEST, _KIND = 1, "manifest.json", "siamrec backup"
_BATCH = 2_000
_OF_SERVER = "epoch"
"""Table that says which server gives the numbers of transactions."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Backup(Record):
    """What a backup holds.

    Attributes:
        path: The file.
        engine: What the database was, `"sqlite"` or `"postgresql"`.
        revision: Revision of its tables.
        made: When, in nanoseconds since the epoch.
        rows: Number of rows by table.
        sealed: Number of sealed files of old events.
        blobs: Number of files of versions; 0 where they were not asked for.
    """

    path: str
    engine: str
    revision: str
    made: Instant
    rows: Mapping[str, int] = field(default_factory=dict)
    sealed: int = 0
    blobs: int = 0

    @override
    def title(self) -> str:
        rows = counted(sum(self.rows.values()), "row")
        tables = counted(sum(n > 0 for n in self.rows.values()), "table")
        files = counted(self.sealed + self.blobs, "file")
        return f"Backup {self.path}: {rows} of {tables}, {files}"

    @override
    def to_json(self) -> str:
        """Return every field as JSON."""
        return canonical_json(asdict(self))


def backed_up(
    engine: Engine, archive: Archive, path: str | Path, *, blobs: Any, now: Instant
) -> Backup:
    """Write a backup; see `Copies.backup`."""
    target = Path(path)
    if target.exists():
        raise InvalidParameterError("path", str(target), "a file that is not there yet")
    draft = target.with_name(f".{target.name}.draft")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            told = _written(file, engine, archive, blobs, now)
        draft.replace(target)
    except OSError as error:
        raise StorageError(f"The backup {target} cannot be written: {error}.") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return _summary(target, told)


def restored(
    path: str | Path,
    url: str,
    *,
    blobs: Any = None,
    archive: ArchiveBlobs | str | Path | None = None,
    schema: str | None = None,
) -> Backup:
    """Fill an empty database from a backup, all of it or nothing; return what it holds.

    A backup of SQLite may go into PostgreSQL; one of PostgreSQL has numbers of transactions that
    SQLite has no place for. Decisions of the same ids are the same there, and `Store.verify` finds
    the same sums.

    Args:
        path: The backup.
        url: The new database, as of `Store`; a database with rows in it is refused.
        blobs: Where the files of versions go, if the backup has them.
        archive: Where sealed files go, as of `Store`.
        schema: As of `Store`.

    Raises:
        siamrec.errors.InvalidDataError: If the file is no backup, or was changed.
        siamrec.errors.InvalidParameterError: If the database is not empty, or is SQLite and the
            backup is of PostgreSQL.
        siamrec.errors.MissingInputError: If the backup has files and it is not said where to.
        siamrec.errors.StorageError: If the backup is of a newer version of siamrec.
    """
    engine = _engine.in_schema(_engine.connect(url, "process"), schema)
    try:
        with _opened(path) as file:
            told = _manifest(file)
            _require_place(engine, told, blobs)
            _engine.migrate(engine, to=told["revision"])
            sealed = Archive(engine, archive)
            for name in told["files"]:
                kind, _, key = name.partition("/")
                data = _checked(file, name, told["files"][name])
                (sealed.blobs if kind == "sealed" else blobs).put(key, data)
            _engine.transact(engine, lambda connection: _filled(connection, file, told))
        _engine.migrate(engine)
        _epoch.entered(engine)
        if told["sealed"]:
            sealed.write_manifest()
    finally:
        engine.dispose()
    return _summary(Path(path), told)


# --- writing -------------------------------------------------------------------------------------


def _written(
    file: zipfile.ZipFile, engine: Engine, archive: Archive, blobs: Any, now: Instant
) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    files: dict[str, str] = {}
    with _engine.reading(engine) as connection:  # one state of the database, while others write
        revision = _engine.revision_of(connection)
        for table in metadata.sorted_tables:
            tables[table.name] = _dumped(file, connection, table)
        numbers = _numbers(connection)
        segments = archive.segments(connection)
    sealed = [(f"sealed/{each.blob}", archive.blobs, each.blob) for each in segments]
    kept = [] if blobs is None else [(f"blobs/{key}", blobs, key) for key in blobs.keys()]  # noqa: SIM118
    for name, place, key in [*sealed, *kept]:
        data = place.get(key)
        files[name] = hashlib.sha256(data).hexdigest()
        file.writestr(name, data)
    told = {
        "kind": _KIND, "format": _FORMAT, "engine": engine.dialect.name, "revision": revision,
        "made": now, "tables": tables, "numbers": numbers, "files": files,
        "sealed": len(sealed), "blobs": len(kept),
    }  # fmt: skip
    file.writestr(_MANIFEST, json.dumps(told, sort_keys=True))
    return told


def _dumped(file: zipfile.ZipFile, connection: Connection, table: Table) -> dict[str, Any]:
    """Write the rows of a table as lines of JSON, in the order of its key."""
    names = [column.name for column in table.columns]
    query = select(table).order_by(*table.primary_key.columns)
    digest, n = hashlib.sha256(), 0
    found = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(query)
    with file.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as out:
        for part in found.partitions(_BATCH):
            lines = "".join(json.dumps(list(row)) + "\n" for row in part).encode()
            digest.update(lines)
            out.write(lines)
            n += len(part)
    return {"columns": names, "rows": n, "sha256": digest.hexdigest()}


def _numbered() -> list[tuple[str, str]]:
    """Return the tables whose rows the database numbers, with the column."""
    found = ((table, table.autoincrement_column) for table in metadata.sorted_tables)
    return [(table.name, str(column.name)) for table, column in found if column is not None]


def _numbers(connection: Connection) -> dict[str, int]:
    """Return the last number that was given out for each table, which is used up for ever."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
        return {str(name): int(n) for name, n in rows if name in metadata.tables}
    given: dict[str, int] = {}
    for table, column in _numbered():
        place = connection.execute(_SEQUENCE, {"t": table, "c": column}).scalar()
        if place is not None:
            last, called = connection.exec_driver_sql(
                f"SELECT last_value, is_called FROM {place}"  # noqa: S608 - a name of the server's own
            ).one()
            given |= {table: int(last)} if called else {}
    return given


_SEQUENCE = text("SELECT pg_get_serial_sequence(:t, :c)")


# --- reading -------------------------------------------------------------------------------------


def _opened(path: str | Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InvalidDataError(f"No backup can be read from {path}: {error}.") from error


def _manifest(file: zipfile.ZipFile) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(file.read(_MANIFEST))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidDataError(f"{file.filename} is no backup of siamrec: {error}.") from error
    if told.get("kind") != _KIND or told.get("format") != _FORMAT:
        raise InvalidDataError(f"{file.filename} is no backup of siamrec that this version reads.")
    return told


def _require_place(engine: Engine, told: Mapping[str, Any], blobs: Any) -> None:
    place = _engine.place_of(engine)
    if told["revision"] not in _engine.revisions():
        raise StorageError("The backup was made by a newer version of siamrec; upgrade siamrec.")
    if told["engine"] == "postgresql" and engine.dialect.name != "postgresql":
        raise InvalidParameterError("url", place, "a PostgreSQL database, as the backup is of one")
    if told["blobs"] and blobs is None:
        raise MissingInputError("blobs", "blobs='folder', since the backup has files of versions")
    with _engine.reading(engine) as connection:
        there = set(inspect(connection).get_table_names(schema=_engine.schema_of(engine)))
        for table in metadata.sorted_tables:
            if table.name not in there or table.name == _OF_SERVER:
                continue
            if connection.execute(select(func.count()).select_from(table)).scalar_one():
                raise InvalidParameterError("url", place, "an empty database")


def _filled(connection: Connection, file: zipfile.ZipFile, told: Mapping[str, Any]) -> None:
    """Insert every row, in one transaction."""
    for table in metadata.sorted_tables:
        if table.name not in told["tables"]:
            continue
        about = told["tables"][table.name]
        if table.name == _OF_SERVER:
            if about["rows"]:  # numbers of the new server go on after those of the old one
                connection.execute(table.delete())
            elif connection.dialect.name == "postgresql":
                continue
        names = about["columns"]
        rows = _rows(file, table.name, about)
        while part := list(islice(rows, _BATCH)):
            _bulk.insert(connection, table, names, part, skip=False)
    for name, last in told["numbers"].items():
        _go_on_after(connection, name, int(last))


def _rows(file: zipfile.ZipFile, table: str, about: Mapping[str, Any]) -> Iterator[list[Any]]:
    digest, n = hashlib.sha256(), 0
    try:
        lines: IO[bytes] = file.open(f"tables/{table}.jsonl")
        with lines:
            for line in lines:
                digest.update(line)
                n += 1
                yield json.loads(line)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidDataError(
            f"The rows of {table} in {file.filename} are broken: {error}."
        ) from error
    if (n, digest.hexdigest()) != (about["rows"], about["sha256"]):
        raise InvalidDataError(f"The rows of {table} in {file.filename} are not what was written.")


def _checked(file: zipfile.ZipFile, name: str, digest: str) -> bytes:
    try:
        data = file.read(name)
    except (KeyError, zipfile.BadZipFile) as error:
        raise InvalidDataError(f"{name} in {file.filename} is broken: {error}.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise InvalidDataError(f"{name} in {file.filename} is not what was written.")
    return data


def _go_on_after(connection: Connection, table: str, last: int) -> None:
    """Let the numbers of new rows follow the last one that was ever given out."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))
        return
    column = dict(_numbered()).get(table)
    if column is not None and last > 0:
        given = {"t": table, "c": column, "n": last}
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:t, :c), :n)"), given)


def _summary(path: Path, told: Mapping[str, Any]) -> Backup:
    return Backup(
        path=str(path),
        engine=told["engine"],
        revision=told["revision"],
        made=told["made"],
        rows={name: about["rows"] for name, about in told["tables"].items()},
        sealed=told["sealed"],
        blobs=told["blobs"],
    )
