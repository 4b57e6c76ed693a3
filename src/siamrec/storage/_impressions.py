"""What a person was shown: in lists of the log, and elsewhere, as events tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, literal, select

from siamrec.data import FeedbackKind
from siamrec.storage import _bulk, _engine
from siamrec.storage.schema import event, recommendation, recommendation_item

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from siamrec.storage.identity import Whose
    from siamrec.typing import Instant

_ANY_TIME = -(2**62) + 1  # of an event without a time: only who looks back for ever takes it


def impressions(
    engine: Engine, whose: Whose, since: Instant, placement: str | None
) -> list[tuple[str | int, Instant]]:
    """Return items and instants; impressions that came as events are of no placement."""
    names = [str(id_) for id_ in whose.ids]
    r, c, e = recommendation.c, recommendation_item.c, event.c
    lists = (
        select(c.item, r.whole, c.seen)
        .join(recommendation, r.id == c.recommendation)
        .where(r.unit.in_(names), c.seen >= since)
    )
    when = func.coalesce(e.time, literal(_ANY_TIME))
    told = select(e.item, e.whole_ids, when).where(
        e.user.in_(names), e.kind == int(FeedbackKind.IMPRESSION), when >= since
    )
    if placement is not None:
        lists = lists.where(r.placement == placement)
    with _engine.reading(engine) as connection:
        rows = [*_bulk.fetched(connection.execute(lists))]
        if placement is None:
            rows += _bulk.fetched(connection.execute(told))
    return [
        (int(item) if whole & 2 else item, int(instant))
        for item, whole, instant in rows
        if (whole & 1) == isinstance(whose.person, int)
    ]
