"""A look at a database that changes nothing: its revision, its rows, whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from sqlalchemy import func, inspect, select
from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import StorageError
from siamrec.storage import _engine
from siamrec.storage.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

State = Literal["current", "old", "newer", "empty"]
"""Whether a database has the newest tables, older ones, those of a later siamrec, or none."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Inspection(Shown):
    """What is in a database.

    Attributes:
        url: Where it is, without the password.
        state: Whether its tables are those of this version.
        revision: Revision of its tables; None without any.
        newest: Revision that this version makes.
        counts: Number of rows of each table that is there.
        damage: What SQLite's own check found; empty where all is well.
    """

    url: str
    state: State
    revision: str | None
    newest: str
    counts: Mapping[str, int]
    damage: tuple[str, ...]

    @override
    def title(self) -> str:
        said = {
            "current": "is up to date",
            "old": f"is older than {self.newest}: run `siamrec db upgrade`",
            "newer": "was made by a newer version of siamrec: upgrade siamrec",
            "empty": "has no tables of siamrec: run `siamrec db upgrade`",
        }[self.state]
        return f"{self.url}: revision {self.revision} {said}"

    @override
    def table(self) -> Table:
        """Return the rows of each table; the damage below."""
        notes = tuple(f"Damaged: {line}" for line in self.damage)
        rows = tuple(self.counts.items())
        return Table(head=("table", "rows"), rows=rows, title=self.title(), notes=notes)


def inspected(url: str, *, schema: str | None = None) -> Inspection:
    """Look at a database and change nothing, not even the way in which its file is written.

    Args:
        url: As of `Store`.
        schema: As of `Store`.

    Raises:
        siamrec.errors.InvalidParameterError: If the URL cannot be read.
        siamrec.errors.StorageError: If there is no such database, or it cannot be opened.
    """
    engine = _engine.read_only(url, schema)
    try:
        with _engine.reading(engine) as connection:
            revision = _engine.revision_of(connection)
            there = set(inspect(connection).get_table_names(schema=schema))
            counts = {
                table.name: int(
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
                )
                for table in metadata.sorted_tables
                if table.name in there and revision is not None
            }
            damage = _damage(connection)
    finally:
        engine.dispose()
    known = _engine.revisions()
    state: State = "newer"
    if revision is None:
        state = "empty"
    elif revision in known:
        state = "current" if revision == known[0] else "old"
    return Inspection(
        url=_engine.place_of(engine),
        state=state,
        revision=revision,
        newest=known[0],
        counts=counts,
        damage=damage,
    )


def _damage(connection: Connection) -> tuple[str, ...]:
    if connection.dialect.name != "sqlite":
        return ()
    try:
        with _engine.told(connection.engine):
            found = connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all()
    except StorageError as error:
        return (str(error),)
    return tuple(line for line in map(str, found) if line != "ok")
