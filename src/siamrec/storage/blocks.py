"""Items that are kept from one person."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from sqlalchemy import bindparam, delete, select

from siamrec.storage import _bulk, _engine
from siamrec.storage._events import storable
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._prepared import Prepared
from siamrec.storage.identity import whose
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
        """Let items be shown to a person again, under all ids; return how many were kept."""
        c = blocked.c

        def work(connection: Connection) -> int:
            names, gone = [str(id_) for id_ in whose(connection, user).ids], 0
            for item in dict.fromkeys(items):
                mine = c.user.in_(names) & (c.item == str(item))
                mine &= c.whole_ids == _whole(user, item)
                gone += bool(connection.execute(delete(blocked).where(mine)).rowcount)
            return gone

        return _engine.transact(self._engine, work)

    def of(self, user: Id) -> list[Id]:
        """Return the items that are kept from a person, sorted by text."""
        with _engine.reading(self._engine) as connection:
            return sorted(self.within(connection, *whose(connection, user).ids), key=str)

    def within(self, connection: Connection, *ids: Id) -> list[Id]:
        """Return the items that are kept from a person as one transaction sees it.

        Args:
            connection: In a transaction.
            ids: All ids of the person.
        """
        if len(ids) == 1:
            rows = self._mine.rows(connection, user=str(ids[0]))
        else:
            names = [str(id_) for id_ in ids]
            rows = _bulk.select(connection, blocked, ("item", "whole_ids"), "user", names)
        whole_user = isinstance(ids[0], int)
        return list(
            dict.fromkeys(
                int(item) if whole & 2 else item
                for item, whole in rows
                if (whole & 1) == whole_user
            )
        )


def _whole(user: Id, item: Id) -> int:
    return isinstance(user, int) + 2 * isinstance(item, int)
