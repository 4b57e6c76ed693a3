"""Many rows into a table in as few round trips as each engine allows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table


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
        return max(connection.exec_driver_sql(text, [tuple(row) for row in rows]).rowcount, 0)
    # One statement for all rows; arrays of columns are parsed faster than many tuples.
    kinds = [table.c[name].type.compile(connection.dialect) for name in names]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    text = f'INSERT INTO "{table.name}" ({quoted}) SELECT * FROM unnest({arrays}){end}'  # noqa: S608
    columns = tuple(map(list, zip(*rows, strict=True)))
    return max(connection.exec_driver_sql(text, columns).rowcount, 0)


def delete(connection: Connection, table: Table, name: str, values: Sequence[Any]) -> int:
    """Delete the rows with any of the values in a column; return how many there were."""
    marks, given = among(connection, table, name, values)
    text = f'DELETE FROM "{table.name}" WHERE "{name}" IN ({marks})'  # noqa: S608 - names are ours
    return max(connection.exec_driver_sql(text, given).rowcount, 0)


def among(
    connection: Connection, table: Table, name: str, values: Sequence[Any]
) -> tuple[str, tuple[Any, ...]]:
    """Return a sub-query for any number of values as one parameter, and the parameter."""
    if connection.dialect.name == "postgresql":
        kind = table.c[name].type.compile(connection.dialect)
        return f"SELECT unnest(%s::{kind}[])", (list(values),)
    return "SELECT value FROM json_each(?)", (json.dumps(list(values)),)
