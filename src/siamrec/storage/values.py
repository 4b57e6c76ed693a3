"""Values of a workspace by kind and name: every revision is kept, the newest counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import func, insert, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, day
from siamrec.errors import StaleWriteError
from siamrec.storage import _engine
from siamrec.storage._events import json_of
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import stored_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant


_LONGEST_NAME = 200


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Revision(Record):
    """One revision of a value.

    Attributes:
        kind: What it is, such as `"placement"`.
        name: Its name among those of its kind.
        revision: 1 for the first, and so on.
        time: When it was written.
        body: The value, as JSON values.
    """

    kind: str
    name: str
    revision: int
    time: Instant
    body: Mapping[str, Any]

    @override
    def title(self) -> str:
        return f"Revision {self.revision} of the {self.kind} {self.name}, {day(self.time)}"


@final
class StoredValues(OnDatabase):
    """Values are only added, each under the next revision of its name."""

    keeps = (stored_value,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def get(self, kind: str, name: str) -> Revision | None:
        """Return the newest revision; None where there is none."""
        with _engine.reading(self._engine) as connection:
            return _newest(connection, kind, name)

    def at(self, kind: str, name: str, revision: int) -> Revision | None:
        """Return one revision; None where there is none."""
        c = stored_value.c
        query = select(stored_value).where(c.kind == kind, c.name == name, c.revision == revision)
        with _engine.reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else _revision(row)

    def history(self, kind: str, name: str) -> list[Revision]:
        """Return every revision, oldest first."""
        c = stored_value.c
        query = select(stored_value).where(c.kind == kind, c.name == name).order_by(c.revision)
        with _engine.reading(self._engine) as connection:
            return [_revision(row) for row in connection.execute(query)]

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        c = stored_value.c
        query = select(c.name).where(c.kind == kind).distinct().order_by(c.name)
        with _engine.reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expect: int | None = None
    ) -> Revision:
        """Write a value and return its revision; one that is equal to the newest is not written.

        Args:
            kind: What it is.
            name: Its name.
            body: The value, as JSON values.
            expect: The revision that must be the newest until now, 0 for none; any when absent.

        Raises:
            siamrec.errors.StaleWriteError: If another revision is the newest.
        """
        check.text("kind", kind, longest=32)
        check.text("name", name, longest=_LONGEST_NAME)
        text = json_of("body", body)

        def work(connection: Connection) -> Revision:
            _engine.lock(connection, "stored_value")
            found = _newest(connection, kind, name)
            number = 0 if found is None else found.revision
            if expect is not None and number != expect:
                raise StaleWriteError(
                    f"The {kind} {name!r} is at revision {number}, not {expect}: it was changed."
                )
            if found is not None and canonical_json(dict(found.body)) == text:
                return found
            row = {
                "kind": kind,
                "name": name,
                "revision": number + 1,
                "time": self._clock.now(),
                "body": text,
            }
            connection.execute(insert(stored_value).values(row))
            return Revision(**{**row, "body": json.loads(text)})

        return _engine.transact(self._engine, work)


def _newest(connection: Connection, kind: str, name: str) -> Revision | None:
    c = stored_value.c
    mine = (c.kind == kind) & (c.name == name)
    newest = select(func.max(c.revision)).where(mine).scalar_subquery()
    row = connection.execute(select(stored_value).where(mine, c.revision == newest)).first()
    return None if row is None else _revision(row)


def _revision(row: Any) -> Revision:
    return Revision(
        kind=row.kind,
        name=row.name,
        revision=row.revision,
        time=row.time,
        body=json.loads(row.body),
    )
