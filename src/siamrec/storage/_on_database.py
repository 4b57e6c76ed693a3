"""What the tables of a database have to show: where they are, and how many rows they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import func, select
from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.storage import _engine, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine
    from sqlalchemy import Table as Stored


class OnDatabase(Shown):
    """Something that keeps its rows in a database; only `table()` opens a connection."""

    __slots__ = ()

    keeps: ClassVar[Sequence[Stored]] = schema.metadata.sorted_tables
    """The tables that it keeps its rows in; all of them by default."""

    _engine: Engine

    @override
    def title(self) -> str:
        """Return what it is and where, without the password."""
        return f"{type(self).__name__} at {_engine.place_of(self._engine)}"

    @override
    def table(self) -> Table:
        """Return the number of rows of each table."""
        with _engine.reading(self._engine) as connection:
            rows = tuple(
                (kept.name, connection.scalar(select(func.count()).select_from(kept)) or 0)
                for kept in self.keeps
            )
        return Table(head=("table", "rows"), rows=rows, title=self.title())
