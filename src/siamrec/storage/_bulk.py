"""Many rows into a table in as few round trips as each engine allows."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from siamrec.storage import _prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, CursorResult, Table


@contextmanager
def many_rows() -> Iterator[None]:
    """Let the search for cycles wait while many rows are made, which hold none.

    Every 70,000 new tuples Python looks through every object of the process: a third of the time
    of a large batch. What the host has set is put back.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def insert(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    skip: bool,
) -> int:
    """Insert rows and return how many were new.

    Args:
        connection: In a write transaction.
        table: Where to.
        names: Columns of the rows.
        rows: Tuples in the order of `names`.
        skip: Whether a row that is there already is left out; otherwise it is an error.
    """
    if not rows:
        return 0
    quoted = ", ".join(f'"{name}"' for name in names)
    end = " ON CONFLICT DO NOTHING" if skip else ""
    if connection.dialect.name != "postgresql":
        marks = ", ".join("?" * len(names))
        text = f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks}){end}'  # noqa: S608 - names are ours
        values = [tuple(row) for row in rows]
        if len(values) == 1:
            return _prepared.run(connection, text, values[0])
        return _prepared.run(connection, text, values, many=True)
    # One statement for all rows; arrays of columns are parsed faster than many tuples.
    kinds = [table.c[name].type.compile(connection.dialect) for name in names]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    text = f'INSERT INTO "{table.name}" ({quoted}) SELECT * FROM unnest({arrays}){end}'  # noqa: S608
    columns = tuple(map(array_literal, zip(*rows, strict=True)))
    return _prepared.run(connection, text, columns)


def array_literal(values: Sequence[Any]) -> str:
    """Return values of one kind as PostgreSQL writes an array; ten times the driver's speed.

    An empty array stands for a column of nothing: `unnest` fills shorter arrays up with NULL.
    """
    n_missing = values.count(None)
    if n_missing == len(values):
        return "{}"
    if isinstance(next(value for value in values if value is not None), str):
        if not n_missing:
            joined = '","'.join(values)
            if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
                return f'{{"{joined}"}}'
        listed = ["NULL" if text is None else _quoted(text) for text in values]
    elif n_missing:
        listed = ["NULL" if number is None else repr(number) for number in values]
    else:
        listed = list(map(repr, values))
    return "{" + ",".join(listed) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def delete(connection: Connection, table: Table, name: str, values: Sequence[Any]) -> int:
    """Delete the rows with any of the values in a column; return how many there were."""
    where, given = among(connection, table, name, values)
    text = f'DELETE FROM "{table.name}" WHERE {where}'  # noqa: S608 - names are ours
    return _prepared.run(connection, text, given)


def select(
    connection: Connection, table: Table, names: Sequence[str], key: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return columns (or constants) of the rows with any of the values in a column."""
    if not values:
        return []
    where, given = among(connection, table, key, values)
    text = f'SELECT {", ".join(names)} FROM "{table.name}" WHERE {where}'  # noqa: S608
    return _prepared.rows(connection, text, given)


def fetched(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a result as the driver gives them: plain tuples at twice the speed."""
    cursor: Any = result.cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    return rows


def among(
    connection: Connection, table: Table, name: str, values: Sequence[Any]
) -> tuple[str, tuple[Any, ...]]:
    """Return a condition with any number of values as one parameter, and the parameter."""
    if connection.dialect.name == "postgresql":
        kind = table.c[name].type.compile(connection.dialect)
        return f'"{name}" = ANY(%s::{kind}[])', (array_literal(list(values)),)
    return f'"{name}" IN (SELECT value FROM json_each(?))', (json.dumps(list(values)),)  # noqa: S608
