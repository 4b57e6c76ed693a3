"""What the log knows of one person, under all ids: history, impressions, blocked items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, final

from sqlalchemy import bindparam, select

from siamrec.data import FeedbackKind
from siamrec.storage import _bulk, _engine, _prepared
from siamrec.storage._events import feedback_of
from siamrec.storage._impressions import impressions
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._pages import READ
from siamrec.storage._prepared import Prepared
from siamrec.storage.schema import event, recommendation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.data import Feedback
    from siamrec.storage.identity import Whose
    from siamrec.typing import Instant

Id: TypeAlias = str | int
_USER, _WHOLE = READ.index("user"), READ.index("whole_ids")
_COLUMNS = ", ".join(f'"{name}"' for name in READ)
_DONE = f'"kind" <> {int(FeedbackKind.IMPRESSION)}'
_ORDER = '"time" DESC NULLS LAST, "seq" DESC'


@final
class PersonLog(OnDatabase):
    """Reads of one person; made by `Store`."""

    keeps = (event, recommendation)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        c = event.c
        past = (
            select(*(c[name] for name in READ))
            .where(c.user == bindparam("user"), c.kind != int(FeedbackKind.IMPRESSION))
            .order_by(c.time.desc().nulls_last(), c.seq.desc())
        )
        self._past = Prepared(past)
        self._newest = Prepared(past.limit(bindparam("n")))

    def newest(self, connection: Connection, whose: Whose, n: int) -> Feedback | None:
        """Return what a person did last, in time order; None for nothing."""
        if len(whose.ids) > 1:
            rows = _of_many(connection, whose.ids, n)
        else:
            rows = self._newest.rows(connection, user=str(whose.person), n=n)
        return _events_of(rows, whose.person)

    def past(self, whose: Whose) -> Feedback | None:
        """Return what a person did and is not archived, in time order; None for nothing."""
        with _engine.reading(self._engine) as connection:
            if len(whose.ids) > 1:
                rows = _of_many(connection, whose.ids, None)
            else:
                rows = self._past.rows(connection, user=str(whose.person))
        return _events_of(rows, whose.person)

    def impressions(
        self, whose: Whose, since: Instant, placement: str | None
    ) -> list[tuple[Id, Instant]]:
        """Return what a person was shown since an instant, with the instant of each.

        What was seen in lists, and impressions that were written as events; of no placement.

        Args:
            whose: The person.
            since: From when on.
            placement: Whose lists; of all placements when absent.
        """
        return impressions(self._engine, whose, since, placement)

    def first_exposed(self, connection: Connection, whose: Whose, experiment: str) -> Id | None:
        """Return the id under which a person first saw a list of an experiment; None for none."""
        r = recommendation.c
        query = (
            select(r.unit)
            .where(r.unit.in_([str(id_) for id_ in whose.ids]), r.experiment == experiment)
            .where(r.opened.is_not(None))
            .order_by(r.opened, r.id)
            .limit(1)
        )
        unit = connection.execute(query).scalar()
        return int(unit) if unit is not None and isinstance(whose.person, int) else unit


def _of_many(connection: Connection, ids: Sequence[Id], n: int | None) -> list[tuple[Any, ...]]:
    """Return the newest events of several users, newest first."""
    where, given = _bulk.among(connection, event, "user", [str(id_) for id_ in ids])
    end = "" if n is None else f" LIMIT {int(n)}"
    text = f'SELECT {_COLUMNS} FROM "event" WHERE {where} AND {_DONE} ORDER BY {_ORDER}{end}'  # noqa: S608 - names are ours
    return _prepared.rows(connection, text, given)


def _events_of(rows: Sequence[tuple[Any, ...]], person: Id) -> Feedback | None:
    """Return rows of one person, newest first, as feedback of one user in time order."""
    mine = [row for row in rows if (row[_WHOLE] & 1) == isinstance(person, int)]
    if not mine:
        return None
    columns = dict(zip(READ, zip(*reversed(mine), strict=True), strict=True))
    return feedback_of(columns, whose=person)
