"""What users do with what they are shown; every metric adds over batches of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.metrics.base import POSITIVE, UNIT
from siamrec.metrics.online.events import UserSums, by_user

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from siamrec.metrics.online.events import Events
    from siamrec.typing import FloatArray


def once_per_impression(events: Events) -> Events:
    """Return events without later ones of the same impression; without ids, all of them."""
    if events.impression is None:
        return events
    known = np.flatnonzero(events.impression >= 0)
    _, first = np.unique(events.impression[known], return_index=True)
    keep = events.impression < 0
    keep[known[first]] = True
    return events.where(keep)


def ctr(events: Events, *, examined: Mapping[int, float] | None = None) -> UserSums:
    """Return clicks over impressions.

    A click counts once for each impression id, where there are ids.

    Args:
        events: Impressions and clicks.
        examined: Probability that each position is looked at, in (0, 1]; clicks are then weighted
            by its inverse, which takes the position's pull out. Clicks need positions.

    Raises:
        siamrec.errors.MissingInputError: If `examined` is given and clicks have no position.

    References:
        Joachims, Swaminathan, Schnabel (2017), "Unbiased learning-to-rank with biased feedback",
        WSDM (inverse weights by position).

    Examples:
        >>> from siamrec.metrics.online.events import Events
        >>> events = Events.from_frame({
        ...     "user": ["ann", "ann", "bob"], "kind": ["impression", "click", "impression"],
        ... })
        >>> ctr(events).value
        0.5
    """
    clicks = once_per_impression(events.of("click"))
    weights = None if examined is None else _inverse(clicks, examined)
    shown = by_user(once_per_impression(events.of("impression")))
    range_ = UNIT if examined is None else POSITIVE
    return UserSums(events.users, by_user(clicks, weights), shown, range_)


def _inverse(clicks: Events, examined: Mapping[int, float]) -> FloatArray:
    if clicks.position is None or (clicks.position < 1).any():
        raise MissingInputError(
            "position (for examined)", "Events.from_frame(..., position='column')"
        )
    chance = np.array([examined.get(int(place), np.nan) for place in clicks.position])
    if clicks.position.size and not ((chance > 0) & (chance <= 1)).all():
        raise InvalidDataError("examined must give a probability in (0, 1] for every position.")
    return 1.0 / chance


def user_ctr(events: Events) -> UserSums:
    """Return the mean over users of their own clicks over impressions."""
    sums = ctr(events)
    seen = sums.bottom > 0
    own = np.divide(sums.top, sums.bottom, out=np.zeros(sums.top.size), where=seen)
    return UserSums(events.users, own, seen.astype(np.float64), UNIT)


def click_share(events: Events) -> UserSums:
    """Return the share of users with an impression who clicked at all."""
    sums = ctr(events)
    seen = sums.bottom > 0
    clicked = (seen & (sums.top > 0)).astype(np.float64)
    return UserSums(events.users, clicked, seen.astype(np.float64), UNIT)


def ctr_by_position(events: Events) -> dict[int, UserSums]:
    """Return clicks over impressions for each known position, in order.

    Raises:
        siamrec.errors.MissingInputError: If events have no positions.
    """
    if events.position is None:
        raise MissingInputError(
            "position (for ctr_by_position)", "Events.from_frame(..., position='column')"
        )
    places = np.unique(events.position[events.position > 0]).tolist()
    return {place: ctr(events.where(events.position == place)) for place in places}


def rating_rate(events: Events) -> UserSums:
    """Return ratings over impressions."""
    shown = by_user(once_per_impression(events.of("impression")))
    return UserSums(events.users, by_user(events.of("rating")), shown, POSITIVE)


def rating_conversion(events: Events) -> UserSums:
    """Return ratings over clicks."""
    clicks = by_user(once_per_impression(events.of("click")))
    return UserSums(events.users, by_user(events.of("rating")), clicks, POSITIVE)


def thumbs_ratio(events: Events) -> UserSums:
    """Return thumbs up (value above 0) over all thumbs."""
    thumbs = events.of("thumb")
    up = (thumbs.value > 0).astype(np.float64)
    return UserSums(events.users, by_user(thumbs, up), by_user(thumbs), UNIT)


def good_rating_share(events: Events, *, least: float = 4.0) -> UserSums:
    """Return the share of ratings of at least `least`."""
    ratings = events.of("rating")
    good = (ratings.value >= least).astype(np.float64)
    return UserSums(events.users, by_user(ratings, good), by_user(ratings), UNIT)


def bad_rating_share(events: Events, *, most: float = 2.0) -> UserSums:
    """Return the share of ratings of at most `most`."""
    ratings = events.of("rating")
    bad = (ratings.value <= most).astype(np.float64)
    return UserSums(events.users, by_user(ratings, bad), by_user(ratings), UNIT)


def quality(events: Events, *, item_rating: Mapping[Any, float] | None = None) -> UserSums:
    """Return the mean rating of clicked items.

    A click counts with the rating that the same user gave the same item, else with the item's
    mean in `item_rating`; a click with neither is left out.

    Args:
        events: Clicks and ratings, with items.
        item_rating: Mean rating of items by id.

    Raises:
        siamrec.errors.MissingInputError: If events have no items.
    """
    events.need_items("quality")
    clicks, ratings = once_per_impression(events.of("click")), events.of("rating")
    size = max(len(events.items), 1)
    pair = ratings.user.astype(np.int64) * size + ratings.item
    order = np.argsort(pair, kind="stable")
    given = item_rating or {}
    mean = np.array([given.get(id_, np.nan) for id_ in events.items], dtype=np.float64)
    wanted = clicks.user.astype(np.int64) * size + clicks.item
    last = np.searchsorted(pair[order], wanted, side="right") - 1  # the latest rating counts
    worth = np.where(clicks.item >= 0, mean[clicks.item] if mean.size else np.nan, np.nan)
    if order.size:
        own = (last >= 0) & (pair[order[np.maximum(last, 0)]] == wanted)
        worth = np.where(own, ratings.value[order[np.maximum(last, 0)]], worth)
    known = ~np.isnan(worth)
    counted = clicks.where(known)
    return UserSums(events.users, by_user(counted, worth[known]), by_user(counted))


def discovery(
    events: Events,
    *,
    niche: Collection[Any] | None = None,
    popularity: Mapping[Any, float] | None = None,
    below: float = 1000.0,
) -> UserSums:
    """Return the share of clicks that go to niche items.

    Args:
        events: Clicks, with items.
        niche: Ids of the niche items; or else
        popularity: Past interactions of items by id; niche is what has fewer than `below`.
        below: The bound for `popularity`, above 0.

    Raises:
        siamrec.errors.MissingInputError: If events have no items, or neither rule is given.
    """
    events.need_items("discovery")
    check.positive("below", below)
    if niche is None and popularity is None:
        raise MissingInputError("niche (for discovery)", "discovery(events, niche=ids)")
    if niche is not None:
        chosen = set(niche)
        rare = np.array([id_ in chosen for id_ in events.items], dtype=np.float64)
    else:
        counts = popularity or {}
        rare = np.array([counts.get(id_, 0.0) < below for id_ in events.items], dtype=np.float64)
    clicks = once_per_impression(events.of("click"))
    clicks = clicks.where(clicks.item >= 0)
    return UserSums(events.users, by_user(clicks, rare[clicks.item]), by_user(clicks), UNIT)
