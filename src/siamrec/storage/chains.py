"""Lists that belong together: pages that follow each other, and rows of one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from siamrec.storage import _bulk
from siamrec.storage.schema import recommendation, recommendation_item

if TYPE_CHECKING:
    from sqlalchemy import Connection

_r, _c = recommendation.c, recommendation_item.c
_above = select(_r.id, _r.parent).where(_r.id == bindparam("id")).cte("above", recursive=True)
_above = _above.union(select(_r.id, _r.parent).join(_above, _r.id == _above.c.parent))
_whole = select(_above.c.id).cte("whole", recursive=True)
_whole = _whole.union(select(_r.id).join(_whole, _r.parent == _whole.c.id))
_SHOWN = (
    select(_c.item, _r.whole)
    .join(_whole, _whole.c.id == _c.recommendation)
    .join(recommendation, _r.id == _c.recommendation)
    .order_by(_r.time, _r.id, _c.position)
)


def shown_with(connection: Connection, id_: str) -> list[str | int]:
    """Return every item of the lists that belong together with one of them, each once.

    From a list one comes to the first by what it comes after, and from there to all that come
    after it: the rows of a page, and the pages that follow each row.
    """
    rows = _bulk.fetched(connection.execute(_SHOWN, {"id": id_}))
    return list(dict.fromkeys(int(item) if whole & 2 else item for item, whole in rows))
