"""Items that are kept from one person."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from sqlalchemy import bindparam, delete, select

from siamrec.storage import _bulk, _engine
from siamrec.storage._events import storable
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._prepared import Prepared
from siamrec.storage.schema import blocked

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock

Id: TypeAlias = str | int
_NAMES = ("user", "item", "whole_ids", "time")


@final
class BlockLog(OnDatabase):
    """One row for each person and item; a request reads those of its person."""

    keeps = (blocked,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        c = blocked.c
        self._mine = Prepared(select(c.item, c.whole_ids).where(c.user == bindparam("user")))

    def add(self, user: Id, *items: Id) -> int:
        """Keep items from a person; return how many were not kept from them before."""
        storable("Ids", [str(user), *map(str, items)])
        now = self._clock.now()
        rows = [(str(user), str(item), _whole(user, item), now) for item in dict.fromkeys(items)]

        def work(connection: Connection) -> int:
            return _bulk.insert(connection, blocked, _NAMES, rows, skip=True)

        return _engine.transact(self._engine, work)

    def remove(self, user: Id, *items: Id) -> int:
        """Let items be shown to a person again; return how many were kept from them."""
        c = blocked.c

        def work(connection: Connection) -> int:
            gone = 0
            for item in dict.fromkeys(items):
                mine = (c.user == str(user)) & (c.item == str(item))
                mine &= c.whole_ids == _whole(user, item)
                gone += int(connection.execute(delete(blocked).where(mine)).rowcount)
            return gone

        return _engine.transact(self._engine, work)

    def of(self, user: Id) -> list[Id]:
        """Return the items that are kept from a person, sorted by text."""
        with _engine.reading(self._engine) as connection:
            return sorted(self.within(connection, user), key=str)

    def within(self, connection: Connection, user: Id) -> list[Id]:
        """Return the items that are kept from a person as one transaction sees it."""
        return [
            int(item) if whole & 2 else item
            for item, whole in self._mine.rows(connection, user=str(user))
            if (whole & 1) == isinstance(user, int)
        ]


def _whole(user: Id, item: Id) -> int:
    return isinstance(user, int) + 2 * isinstance(item, int)
