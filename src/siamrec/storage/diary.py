"""The diary of a workspace: every training and change, shipped or not, with its numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import insert, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, day
from siamrec.storage import _engine
from siamrec.storage._events import json_of
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import diary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DiaryEntry(Record):
    """One row of the diary.

    Attributes:
        placement: Where it happened.
        time: When.
        what: What happened: `"training"` (it began, with the name of what it reads), `"trained"`,
            `"promoted"`, `"rolled_back"`, `"switched"` or `"reread"`.
        body: Its settings and numbers, as JSON values.
    """

    placement: str
    time: Instant
    what: str
    body: Mapping[str, Any]

    @override
    def title(self) -> str:
        return f"{day(self.time)} {self.placement}: {self.what}"


@final
class Diary(OnDatabase):
    """Rows are only added."""

    keeps = (diary,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def write(self, placement: str, what: str, body: Mapping[str, Any]) -> None:
        """Add a row."""
        check.text("what", what, longest=32)
        row = {
            "placement": check.text("placement", placement, longest=200),
            "time": self._clock.now(),
            "what": what,
            "body": json_of("body", body),
        }
        _engine.transact(
            self._engine, lambda connection: connection.execute(insert(diary).values(row))
        )

    def read(self, placement: str) -> list[DiaryEntry]:
        """Return the rows of a placement, oldest first."""
        c = diary.c
        query = select(c.time, c.what, c.body).where(c.placement == placement).order_by(c.seq)
        with _engine.reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            DiaryEntry(
                placement=placement, time=row.time, what=row.what, body=json.loads(row.body)
            )
            for row in rows
        ]
