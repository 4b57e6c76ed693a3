"""What was collected, from aggregates that the database works out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from sqlalchemy import case, func, select
from typing_extensions import override

from siamrec._core.table import Record, counted
from siamrec.data import FeedbackKind, Vocabulary
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from siamrec.storage.archive import Archive

_SHRINKAGE = 5.0
"""Ratings of the common mean that are added to each user and item before biases are told."""
_LISTED = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FeedbackSummary(Record):
    """What users have said so far.

    Attributes:
        n_events: Number of events.
        n_users: Number of different users.
        n_items: Number of different items.
        kinds: Number of events of each kind, by its name.
        ratings: Number of ratings of each value, lowest value first.
        mean_rating: Mean of all ratings; None without any.
        user_bias: The ten users furthest from the mean, as what they rate above it; a bias is
            the sum of deviations divided by the number of ratings + 5.
        item_bias: The ten items furthest from the mean, in the same way.
        low_rated: Share of low ratings of the ten items with the most of them, shrunk towards 0
            in the same way.
        coverage: Share of the catalogue with any feedback; None where its size is not told.
    """

    n_events: int
    n_users: int
    n_items: int
    kinds: Mapping[str, int]
    ratings: Mapping[float, int]
    mean_rating: float | None
    user_bias: Mapping[str, float]
    item_bias: Mapping[str, float]
    low_rated: Mapping[str, float]
    coverage: float | None

    @override
    def title(self) -> str:
        users, items = counted(self.n_users, "user"), counted(self.n_items, "item")
        return f"Summary of {counted(self.n_events, 'event')}, {users}, {items}"


def summarised(
    connection: Connection, archive: Archive, *, n_items: int | None, middle: float
) -> FeedbackSummary:
    """Return the summary of the events in a database and its archive."""
    kinds: Counter[str] = Counter()
    ratings: Counter[float] = Counter()
    users: dict[str, _Said] = {}
    items: dict[str, _Said] = {}
    for part in _parts(connection, archive, middle):
        kinds.update({FeedbackKind(kind).name.lower(): n for kind, n in part["kind"]})
        ratings.update(dict(part["value"]))
        for known, name in ((users, "user"), (items, "item")):
            for id_, *said in part[name]:
                known[id_] = known.get(id_, _NOTHING).plus(*said)
    n_ratings = sum(ratings.values())
    mean = None
    if n_ratings:
        mean = sum(value * n for value, n in ratings.items()) / n_ratings
    return FeedbackSummary(
        n_events=kinds.total(),
        n_users=len(users),
        n_items=len(items),
        kinds={kind: kinds[kind] for kind in _KINDS if kinds[kind]},
        ratings=dict(sorted(ratings.items())),
        mean_rating=mean,
        user_bias=_furthest({id_: said.bias(mean or 0.0) for id_, said in users.items()}),
        item_bias=_furthest({id_: said.bias(mean or 0.0) for id_, said in items.items()}),
        low_rated=_furthest({id_: said.low_share() for id_, said in items.items()}),
        coverage=None if n_items is None else len(items) / n_items,
    )


class _Said(NamedTuple):
    """Ratings of one user or item: how many, their sum, and how many are low."""

    n: int
    total: float
    low: int

    def plus(self, n: int, total: float, low: int) -> _Said:
        return _Said(self.n + n, self.total + total, self.low + low)

    def bias(self, mean: float) -> float:
        return (self.total - self.n * mean) / (self.n + _SHRINKAGE)

    def low_share(self) -> float:
        return self.low / (self.n + _SHRINKAGE)


_NOTHING = _Said(0, 0.0, 0)
_KINDS = [kind.name.lower() for kind in FeedbackKind]


def _parts(
    connection: Connection, archive: Archive, middle: float
) -> Iterator[dict[str, Iterable[Any]]]:
    """Yield aggregates of the table and of each segment: kind, value, user and item."""
    c = event.c
    rated = case((c.kind == int(FeedbackKind.RATING), 1), else_=0)
    low = case((c.value < middle, rated), else_=0)

    def grouped(*columns: Any) -> Iterable[Any]:
        return connection.execute(select(*columns).group_by(columns[0])).all()

    said = (func.sum(rated), func.sum(rated * c.value), func.sum(low))
    values = select(c.value, func.count()).where(c.kind == int(FeedbackKind.RATING))
    yield {
        "kind": grouped(c.kind, func.count()),
        "value": connection.execute(values.group_by(c.value)).all(),
        "user": grouped(c.user, *said),
        "item": grouped(c.item, *said),
    }
    for segment in archive.segments(connection):
        yield _part(archive.table(segment, ("kind", "value", "user", "item")), middle)


def _part(table: Any, middle: float) -> dict[str, Iterable[Any]]:
    kind, value = np.asarray(table["kind"]), np.asarray(table["value"])
    rated = kind == int(FeedbackKind.RATING)
    part: dict[str, Iterable[Any]] = {
        "kind": Counter(kind.tolist()).items(),
        "value": Counter(value[rated].tolist()).items(),
    }
    for name in ("user", "item"):
        ids, code = Vocabulary.factorize(table[name].to_pylist())
        sums = [
            np.bincount(code, weights, len(ids)).tolist()
            for weights in (rated * 1.0, rated * value, rated & (value < middle))
        ]
        part[name] = zip(ids.ids, *sums, strict=True)
    return part


def _furthest(shrunk: Mapping[str, float]) -> dict[str, float]:
    """Return the shrunk means furthest from 0, furthest first; those at 0 are left out."""
    far = [(-abs(value), name) for name, value in shrunk.items() if value]
    return {name: shrunk[name] for _, name in nsmallest(_LISTED, far)}
