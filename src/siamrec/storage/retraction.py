"""Events that are taken back: out of everything that reads the log, and kept as retracted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from siamrec._core.hashing import canonical_json
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.storage import _engine
from siamrec.storage._events import NAMES, erased_key
from siamrec.storage.schema import event, recommendation, retracted, spent
from siamrec.storage.snapshots import redact

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from siamrec.typing import Instant


def retract(engine: Engine, key: str, now: Instant) -> str | None:
    """Take an event back; return the list that it referred to, None for none.

    Its row moves from the table of events to that of retractions, its key stays used up, its
    list waits to be settled anew, and snapshots that had it are marked. Taken back twice is once.

    Args:
        engine: The database.
        key: Key of the event.
        now: When.

    Raises:
        siamrec.errors.UnknownNameError: If there is no event of that key.
        siamrec.errors.InvalidDataError: If the event is in the archive, which is not rewritten.
    """

    def work(connection: Connection) -> str | None:
        _engine.lock(connection, "event")
        c = event.c
        found = connection.execute(select(event).where(c.key == key)).mappings().first()
        if found is None:
            return _before(connection, key)
        connection.execute(delete(event).where(c.seq == found["seq"]))
        connection.execute(insert(spent).values(key=key, digest=found["digest"]))
        row: dict[str, Any] = {
            "key": key,
            "time": now,
            "user": found["user"],
            "whole_ids": found["whole_ids"],
            "body": canonical_json({name: found[name] for name in NAMES}),
        }
        connection.execute(insert(retracted).values(row))
        redact(connection, [(found["time"], found["seq"])], now)
        list_: str | None = found["decision"] or None
        if list_ is not None:
            mine = update(recommendation).where(recommendation.c.id == list_)
            connection.execute(mine.values(settled=0))
        return list_

    return _engine.transact(engine, work)


def _before(connection: Connection, key: str) -> str | None:
    """Return the list of an event that was taken back already."""
    body = connection.execute(select(retracted.c.body).where(retracted.c.key == key)).scalar()
    if body is not None:
        list_: str | None = json.loads(body)["decision"] or None
        return list_
    kept = select(spent.c.key).where(spent.c.key.in_([key, erased_key(key)]))
    if connection.execute(kept).first() is not None:
        raise InvalidDataError(
            f"The event {key!r} is archived or erased, and can no longer be taken back."
        )
    raise UnknownNameError("key of an event", key, [])
