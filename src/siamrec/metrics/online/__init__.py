"""Metrics of live traffic: ratios over users from an event frame, with intervals by user."""

from siamrec.metrics.online.engagement import (
    bad_rating_share,
    click_share,
    ctr,
    ctr_by_position,
    discovery,
    good_rating_share,
    quality,
    rating_conversion,
    rating_rate,
    thumbs_ratio,
    user_ctr,
)
from siamrec.metrics.online.events import Events, UserSums
from siamrec.metrics.online.report import OnlineReport, measure
from siamrec.metrics.online.retention import conversion, retention, revenue
from siamrec.metrics.online.sessions import (
    abandonment,
    clicks_per_session,
    impressions_per_session,
    session_length,
    time_to_first_click,
)

__all__ = [
    "Events",
    "OnlineReport",
    "UserSums",
    "abandonment",
    "bad_rating_share",
    "click_share",
    "clicks_per_session",
    "conversion",
    "ctr",
    "ctr_by_position",
    "discovery",
    "good_rating_share",
    "impressions_per_session",
    "measure",
    "quality",
    "rating_conversion",
    "rating_rate",
    "retention",
    "revenue",
    "session_length",
    "thumbs_ratio",
    "time_to_first_click",
    "user_ctr",
]
