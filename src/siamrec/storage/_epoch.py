"""Places in the log of PostgreSQL are transaction numbers, which begin anew on another server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy import update as changing
from sqlalchemy.exc import SQLAlchemyError

from siamrec.errors import StorageError
from siamrec.storage import _engine
from siamrec.storage.schema import cursor, epoch, event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"
_NUMBER = "pg_current_xact_id()::text::bigint"


def entered(engine: Engine) -> None:
    """Note the server of a database; where it was moved, let new numbers go on after the old.

    A dump that is restored elsewhere keeps the numbers of its rows and of its consumers, and the
    new server counts from its own: rows to come would stand before places that were read.

    Raises:
        StorageError: If it was moved and the tables are another role's.
    """
    if engine.dialect.name != "postgresql":
        return
    with _engine.reading(engine) as connection:
        system = connection.exec_driver_sql(_SYSTEM).scalar_one()
        if connection.execute(select(epoch.c.system)).scalar() == system:
            return
    _engine.transact(engine, lambda connection: _moved(connection, str(system)))


def shift_of(connection: Connection) -> int:
    """Return what is added to the transaction numbers of this server."""
    return int(connection.execute(select(epoch.c.shift)).scalar() or 0)


def _moved(connection: Connection, system: str) -> None:
    connection.exec_driver_sql("LOCK TABLE epoch IN ACCESS EXCLUSIVE MODE")
    found = connection.execute(select(epoch.c.system)).scalar()
    if found is None:
        connection.execute(epoch.insert(), {"id": 1, "system": system, "shift": 0})
    elif found != system:
        newest = [
            connection.execute(select(func.max(table.c.xid))).scalar() or 0
            for table in (event, cursor)
        ]
        shift = max(*newest, shift_of(connection)) + 1
        try:
            connection.exec_driver_sql(
                f"ALTER TABLE event ALTER COLUMN xid SET DEFAULT ({_NUMBER} + {shift})"
            )
        except SQLAlchemyError as error:
            raise StorageError(
                "The database was moved to another server: open it once as the owner of its "
                "tables, so that consumers go on where they stopped."
            ) from error
        connection.execute(changing(epoch).values(system=system, shift=shift))
