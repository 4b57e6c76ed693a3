"""Statements of every request: put together once, and run as the driver runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select


@final
class Prepared:
    """A query whose text is made once for each kind of database.

    To put a query together, and to wrap its rows, takes longer than to answer it: SQLite finds
    a row in a tenth of that time.

    Args:
        query: The query; what changes from one run to the next has names.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._made: dict[str, tuple[str, dict[str, Any], Sequence[str] | None]] = {}

    def rows(self, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
        """Return the rows as the driver gives them, in the transaction of a connection."""
        made = self._made.get(connection.dialect.name)
        if made is None:
            compiled = self._query.compile(dialect=connection.dialect)
            fixed = {name: value for name, value in compiled.params.items() if value is not None}
            # SQLite is given values by place, PostgreSQL by name.
            made = (str(compiled), fixed, getattr(compiled, "positiontup", None))
            self._made[connection.dialect.name] = made
        text, fixed, order = made
        told: Any = {**fixed, **given}
        if order is not None:
            told = tuple([told[name] for name in order])
        return rows(connection, text, told)


def rows(connection: Connection, text: str, given: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query in the driver's own words."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, given)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def run(connection: Connection, text: str, given: Any, *, many: bool = False) -> int:
    """Run a statement in the driver's own words; return how many rows it changed.

    Args:
        connection: In a write transaction.
        text: The statement.
        given: Its values; a list of them where it is run for many.
        many: Whether it is.
    """
    cursor = connection.connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(text, given)
        changed: int = cursor.rowcount
    finally:
        cursor.close()
    return max(changed, 0)
