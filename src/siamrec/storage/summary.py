"""What was collected, from aggregates that the database works out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import case, func, select

from siamrec.data import FeedbackKind
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_SHRINKAGE = 5.0
"""Ratings of the common mean that are added to each user and item before biases are told."""
_LISTED = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSummary:
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


def summarised(connection: Connection, *, n_items: int | None, middle: float) -> FeedbackSummary:
    """Return the summary of the events in a database."""
    c = event.c
    found = connection.execute(
        select(func.count(), func.count(c.user.distinct()), func.count(c.item.distinct()))
    ).one()
    rated = c.kind == int(FeedbackKind.RATING)
    mean = connection.execute(select(func.avg(c.value)).where(rated)).scalar()
    kinds = select(c.kind, func.count()).group_by(c.kind).order_by(c.kind)
    values = select(c.value, func.count()).where(rated).group_by(c.value).order_by(c.value)
    away, low = c.value - (mean or 0.0), case((c.value < middle, 1.0), else_=0.0)
    return FeedbackSummary(
        n_events=int(found[0]),
        n_users=int(found[1]),
        n_items=int(found[2]),
        kinds={FeedbackKind(k).name.lower(): int(n) for k, n in connection.execute(kinds)},
        ratings={float(value): int(n) for value, n in connection.execute(values)},
        mean_rating=None if mean is None else float(mean),
        user_bias=_furthest(connection, c.user, away, rated),
        item_bias=_furthest(connection, c.item, away, rated),
        low_rated=_furthest(connection, c.item, low, rated),
        coverage=None if n_items is None else int(found[2]) / n_items,
    )


def _furthest(connection: Connection, group: Any, value: Any, rated: Any) -> dict[str, float]:
    """Return the shrunk means furthest from 0, furthest first; those at 0 are left out."""
    shrunk = (func.sum(value) / (func.count() + _SHRINKAGE)).label("shrunk")
    query = (
        select(group, shrunk)
        .where(rated)
        .group_by(group)
        .order_by(func.abs(func.sum(value) / (func.count() + _SHRINKAGE)).desc(), group)
        .limit(_LISTED)
    )
    return {str(name): float(far) for name, far in connection.execute(query) if far}
