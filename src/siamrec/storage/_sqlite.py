"""SQLite under the discipline of many writers and readers of one file."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from sqlalchemy import event

from siamrec.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

Durability = Literal["process", "power"]
"""What an acknowledged write survives: the end of the process, or a power cut as well."""

_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}
_LOOK = 2  # milliseconds: SQLite sleeps for one, and once more
_LONG = 16 * 2**20
"""Bytes of a write-ahead log that is shortened when a reader leaves."""
_SHORT = 2**20


def set_up(engine: Engine, durability: Durability, *, alone: bool) -> None:
    """Make every connection of an engine one of many.

    Args:
        engine: The engine.
        durability: What a write survives.
        alone: Whether the database is in memory, where every thread would have its own.
    """
    owner = get_ident()

    def opened(connection: Any, held: object) -> None:
        if alone and get_ident() != owner:
            raise StorageError(
                "A database in memory is of the thread that opened it: give the store a file, "
                "such as 'sqlite:///siamrec.db', that threads can share."
            )
        # A store that nobody closes takes its connections with it when it is collected.
        weakref.finalize(held, _close, connection).atexit = False
        connection.isolation_level = None  # transactions begin where `begun` says so
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten with zeros
        cursor.execute(f"PRAGMA journal_size_limit = {_SHORT}")
        cursor.close()

    def begun(connection: Connection) -> None:
        # A transaction that reads first and writes later cannot wait for its lock and fails
        # with "database is locked": writers take the lock when they begin.
        if connection.get_execution_options().get("writing", False):
            _begin_to_write(connection.connection.dbapi_connection)
        else:
            connection.connection.cursor().execute("BEGIN")

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", begun)


def opened_to_read(file: Path) -> sqlite3.Connection:
    """Open a file that is left as it is; where nobody writes, no file is made beside it."""
    log = file.with_name(file.name + "-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?{mode}", uri=True)


def shorten_log(engine: Engine, log: str) -> None:
    """Empty a write-ahead log that has grown while somebody read, once the last one has left."""
    try:
        long = os.stat(log).st_size > _LONG  # noqa: PTH116 - after every read: a path costs more
    except OSError:
        return
    if long:
        with suppress(Exception), engine.connect() as connection:  # the next one tries again
            emptied_log(connection, patience=0)


def emptied_log(connection: Connection, *, patience: int) -> bool:
    """Empty the write-ahead log; tell whether no reader was in the way.

    Args:
        connection: Outside of any transaction.
        patience: Milliseconds to wait for readers.
    """
    driver: Any = connection.connection.dbapi_connection
    (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {patience}")
    try:
        (busy, _, _) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}")
    return not busy


def _close(connection: Any) -> None:
    with suppress(sqlite3.ProgrammingError):  # of a database in memory: only its thread may
        connection.close()


def _begin_to_write(driver: Any) -> None:
    """Take the write lock, with a look every millisecond.

    SQLite itself waits longer and longer between two looks, up to a tenth of a second, in which
    others come and go.
    """
    (timeout,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {min(timeout, _LOOK)}")
    until = time.monotonic() + timeout / 1_000
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() >= until:
                    raise
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {timeout}")
