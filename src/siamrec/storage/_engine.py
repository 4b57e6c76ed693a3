"""Connections to SQLite and PostgreSQL under one discipline, and migrations under a lock."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import column, create_engine, event, inspect, make_url, select, table
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from siamrec.errors import InvalidParameterError, MissingExtraError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnClause, Connection, Engine

Durability = Literal["process", "power"]
"""What an acknowledged write survives: the end of the process, or a power cut as well."""

_VERSION_TABLE = "siamrec_schema"
_LOCK = 0x5349414D  # one advisory lock for all migrations of siamrec
_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}


def connect(url: str, durability: Durability) -> Engine:
    """Return an engine for `url`, set up for many workers.

    Raises:
        InvalidParameterError: If the URL cannot be read.
        MissingExtraError: If its driver is not installed.
    """
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidParameterError(
            "url", url, "a database URL such as 'sqlite:///siamrec.db'"
        ) from error
    except ImportError as error:
        raise MissingExtraError("postgres", f"A store on {parsed.get_backend_name()}") from error
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine, durability)
    return engine


def _set_up_sqlite(engine: Engine, durability: Durability) -> None:
    def opened(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where `begun` says so
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    def begun(connection: Connection) -> None:
        # A transaction that reads first and writes later cannot wait for its lock and fails
        # with "database is locked": writers take the lock when they begin.
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    event.listen(engine, "connect", opened)
    event.listen(engine, "begin", begun)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one state of the database."""
    with told(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # its default sees a new state in each statement
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in one write transaction: all of it is kept, or nothing."""
    with (
        told(engine),
        engine.connect().execution_options(writing=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Turn database errors into `StorageError`, without the password."""
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        place = engine.url.render_as_string(hide_password=True)
        raise StorageError(f"The store at {place} failed: {reason}.") from error


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest revision; of racing workers one does it, the others wait.

    Raises:
        StorageError: If the database was made by a newer version of siamrec.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if _revision(connection) == head:
            return
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StorageError(
                f"The store at {engine.url.render_as_string(hide_password=True)} was made by a "
                "newer version of siamrec; upgrade siamrec."
            ) from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    number: ColumnClause[str] = column("version_num")
    return connection.execute(select(number).select_from(table(_VERSION_TABLE))).scalar()
