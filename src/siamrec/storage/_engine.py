"""Connections to SQLite and PostgreSQL under one discipline, and migrations under a lock."""

from __future__ import annotations

import os
import re
import time
import weakref
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, column, create_engine, inspect, make_url, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from siamrec._core.hashing import uniform
from siamrec._core.urls import MASK, OPEN_KEYS, masked
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingExtraError,
    StorageError,
)
from siamrec.storage import _sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from sqlalchemy import URL, ColumnClause, Connection

    from siamrec.storage._sqlite import Durability

_ResultT = TypeVar("_ResultT")

_PASSING = frozenset({"40001", "40P01"})
"""SQLSTATEs of PostgreSQL that say: run it again (serialisation failure, deadlock)."""
_ATTEMPTS = 12
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.3
_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.s3fs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs",
     "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs"}
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")
_VERSION_TABLE = "siamrec_schema"
_LOCK = 0x5349414D  # one advisory lock for all migrations of siamrec
_URL = (
    "a database URL such as 'sqlite:///siamrec.db' or 'postgresql://user:password@host/name', "
    "signs of the password such as / and @ percent-encoded"
)


def connect(url: str, durability: Durability) -> Engine:
    """Return an engine for `url`, set up for many workers.

    Raises:
        InvalidParameterError: If the URL cannot be read.
        MissingExtraError: If its driver is not installed.
        StorageError: If a file lies where SQLite's locks cannot be trusted.
    """
    parsed = _parsed(url)
    if parsed is None:  # outside of any handler: the cause would spell the password out
        raise InvalidParameterError("url", masked(url), _URL)
    try:
        # A server may have been restarted since a pooled connection was used last. What is
        # written is no part of an error: it may be a person's.
        engine = create_engine(
            parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite", hide_parameters=True
        )
    except ImportError as error:
        raise MissingExtraError("postgres", f"A store on {parsed.get_backend_name()}") from error
    if engine.dialect.name == "sqlite":
        _refuse_network(parsed)
        _sqlite.set_up(engine, durability, alone=file_of(parsed) is None)
    if engine.dialect.name != "sqlite" or file_of(parsed) is not None:
        _OPENED.add(engine)  # what is in memory is the child's own
    return engine


def _parsed(url: str) -> URL | None:
    """Return a URL of a kind that can be stored on; None where it is none."""
    try:
        parsed = make_url(url)
        dialect = parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        return None
    usable = dialect.name == "postgresql" or parsed.get_driver_name() == "pysqlite"
    # With an at sign in it, a password that was not percent-encoded would be part of the place.
    server = f"{parsed.username or ''}{parsed.password or ''}{parsed.host or ''}"
    odd = server if dialect.name == "sqlite" else "@" in f"{parsed.host}{parsed.database}"
    return None if dialect.is_async or not usable or odd else parsed


_OPENED: weakref.WeakSet[Engine] = weakref.WeakSet()
"""Engines of this process, for the moment after a fork."""


def _leave_to_parent() -> None:
    """Open connections anew in a forked child: those that are open belong to its parent."""
    for engine in _OPENED:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def network_file_system(path: Path, mounts: str) -> str | None:
    """Return the kind of network file system that a path is on; None where it is a local one.

    Args:
        path: An absolute path.
        mounts: The text of `/proc/mounts`.
    """
    found = ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        place = fields[1].replace("\\040", " ")
        inside = path == Path(place) or Path(place) in path.parents
        if inside and len(place) >= len(found[0]):
            found = (place, fields[2])
    return found[1] if found[1] in _NETWORK else None


def file_of(url: URL) -> Path | None:
    """Return the file of a SQLite database; None for one in memory, and for a server."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in {"", ":memory:"}:
        return None
    name = name.removeprefix("file:").partition("?")[0]  # URI names begin with "file:"
    return None if name == ":memory:" or "memory" in str(url.query.get("mode", "")) else Path(name)


@lru_cache(maxsize=64)
def _log_of(url: URL) -> str | None:
    """Return the write-ahead log of a SQLite file; None for a database in memory."""
    file = file_of(url)
    return None if file is None else f"{file}-wal"


def _refuse_network(url: URL) -> None:
    path = file_of(url)
    if path is None or not _MOUNTS.is_file():
        return
    path = path.absolute()
    kind = network_file_system(path, _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    if kind is not None:
        raise StorageError(
            f"The store at {path} is on a network file system ({kind}), where SQLite's locks and "
            "its write-ahead log cannot be trusted: put it on a local disk, or use PostgreSQL. "
            "An engine of your own is taken as it is."
        )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one state of the database."""
    with told(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # its default sees a new state in each statement
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        with connection.begin():
            _begin(connection, "BEGIN")
            yield connection
    if engine.dialect.name == "sqlite":
        log = _log_of(engine.url)
        if log is not None:
            _sqlite.shorten_log(engine, log)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in one write transaction: all of it is kept, or nothing."""
    with (
        told(engine),
        engine.connect().execution_options(writing=True) as connection,
        connection.begin(),
    ):
        _begin(connection, "BEGIN IMMEDIATE")
        yield connection


def _begin(connection: Connection, statement: str) -> None:
    """Begin a transaction where the driver would not, or not at the right place.

    A host's SQLite engine waits for the first write: what is read before it would be out of date
    by then, and updates would be lost. On PostgreSQL the tables may be in a schema of their own.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        if not driver.in_transaction:
            connection.exec_driver_sql(statement)
    elif (schema := schema_of(connection.engine)) is not None:
        connection.exec_driver_sql(f'SET LOCAL search_path TO "{schema}"')


def in_schema(engine: Engine, schema: str | None) -> Engine:
    """Return an engine whose tables are in a schema of PostgreSQL.

    Raises:
        InvalidParameterError: If it is no name of a schema, or SQLite, which has none.
    """
    if schema is None:
        return engine
    if engine.dialect.name != "postgresql":
        raise InvalidParameterError("schema", schema, "left out: give SQLite a file of its own")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", str(schema)):
        raise InvalidParameterError("schema", schema, "a name of letters, digits and _")
    return engine.execution_options(siamrec_schema=schema)


def schema_of(engine: Engine) -> str | None:
    """Return the schema of an engine's tables; None for the one that the server would take."""
    schema: str | None = engine.get_execution_options().get("siamrec_schema")
    return schema


def read_only(url: str, schema: str | None = None) -> Engine:
    """Return an engine that changes nothing, not even the way in which a file is written.

    Raises:
        InvalidParameterError: If the URL cannot be read.
        StorageError: If there is no such file.
    """
    parsed = _parsed(url)
    file = None if parsed is None else file_of(parsed)
    if file is None:
        return in_schema(connect(url, "process"), schema)
    if not file.is_file():
        raise StorageError(f"There is no database at {file}; siamrec db upgrade makes one.")
    assert parsed is not None
    engine = create_engine(
        parsed, creator=lambda: _sqlite.opened_to_read(file), hide_parameters=True
    )
    return in_schema(engine, schema)


def transact(engine: Engine, work: Callable[[Connection], _ResultT]) -> _ResultT:
    """Run `work` in one write transaction; again where the server says that it may.

    `work` may run several times, and must change nothing outside the database before its end.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with writing(engine) as connection:
                return work(connection)
        except StorageError as error:
            cause = error.__cause__
            state = getattr(getattr(cause, "orig", cause), "sqlstate", None)
            if state not in _PASSING or attempt == _ATTEMPTS - 1:
                raise
        time.sleep(_pause(attempt))
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _pause(attempt: int) -> float:
    """Return seconds that double, and differ from one thread and process to the next."""
    own = uniform(f"{os.getpid()}.{get_ident()}.{attempt}")
    return min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE) * (0.5 + own)


def inserting(dialect: str) -> Callable[..., Any]:
    """Return the `insert` of a dialect, which can say what to do about rows that are there."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # takes its time

        return postgresql.insert
    return sqlite.insert


def lock(connection: Connection, *tables: str) -> None:
    """Keep others from writing to tables until the transaction ends; SQLite has one writer."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def place_of(engine: Engine) -> str:
    """Return where a database is, without any password."""
    url = engine.url
    if url.get_backend_name() != "sqlite" and "@" in f"{url.host}{url.database}":
        return f"{url.drivername}://{MASK}"
    return masked(url.render_as_string(hide_password=True))


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Turn database errors into `StorageError`, without the password; refuse a closed store."""
    closed = engine.get_execution_options().get("siamrec_closed")
    if closed is not None and closed.is_set():
        raise StorageError(f"The store at {place_of(engine)} is closed: open it again.")
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise _failed(engine, reason) from error
    except engine.dialect.loaded_dbapi.Error as error:  # what the driver was told by itself
        raise _failed(engine, str(error).strip().splitlines()[0]) from error
    except UnicodeEncodeError as error:
        raise InvalidDataError(
            f"Text in a store must have no lone surrogate, got {error.object!r:.100}."
        ) from error


def _failed(engine: Engine, reason: str) -> StorageError:
    for secret in _secrets(engine.url):  # a server may repeat what it was told
        reason = reason.replace(secret, MASK)
    remedy = next((say for words, say in _REMEDIES.items() if words in reason), "")
    return StorageError(f"The store at {place_of(engine)} failed: {reason}{remedy}.")


_REMEDIES = {
    "database is locked": (
        ": another connection has been writing for longer than this one waits; let it commit or "
        "close it, such as a backup or a shell with an open transaction, and do this again"
    ),
}


def _secrets(url: URL) -> list[str]:
    """Return what must not be shown of a URL, the longest first."""
    options = (value for key, value in url.query.items() if key not in OPEN_KEYS)
    found = {each for value in options for each in ([value] if isinstance(value, str) else value)}
    return sorted({*found, str(url.password or "")} - {""}, key=len, reverse=True)


def migrate(engine: Engine, *, to: str | None = None) -> None:
    """Bring the tables to a revision; of racing workers one does it, the others wait.

    Args:
        engine: The database.
        to: The revision; the newest when absent.

    Raises:
        StorageError: If the database was made by a newer version of siamrec.
    """
    from alembic import command  # takes longer to load than the rest of the room
    from alembic.util import CommandError

    config = _config()
    head = revisions()[0] if to is None else to
    with reading(engine) as connection:  # so that a database can be opened to read alone
        if revision_of(connection) == head:
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if revision_of(connection) == head:
            return
        if (schema := schema_of(engine)) is not None:
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, head)
        except CommandError as error:
            raise StorageError(
                f"The store at {place_of(engine)} was made by a "
                "newer version of siamrec; upgrade siamrec."
            ) from error


def revisions() -> list[str]:
    """Return the revisions that this version knows, newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    number: ColumnClause[str] = column("version_num")
    return connection.execute(select(number).select_from(table(_VERSION_TABLE))).scalar()
