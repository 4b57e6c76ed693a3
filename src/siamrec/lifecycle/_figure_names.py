"""Which metrics the log of a workspace can tell, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.metrics import METRICS, Suite, online

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec.metrics.online.events import Events

ONLINE: Mapping[str, Callable[[Events], Any]] = {
    name: getattr(online, name)
    for name in (
        "bad_rating_share", "click_share", "ctr", "good_rating_share", "rating_conversion",
        "rating_rate", "revenue", "thumbs_ratio",
    )
}  # fmt: skip
"""Metrics of events, by name."""
_AT_HAND = frozenset({"catalog_size", "embeddings", "n_users", "popularity", "quality"})
"""What metrics of lists may need: releases know it."""


def require_metric(name: str, *, besides: Sequence[str] = ()) -> None:
    """Pass when a log can tell a metric.

    Raises:
        UnknownNameError: If there is none of that name; names that are known besides are offered.
        InvalidParameterError: If it needs what a log does not have.
    """
    plain = name.partition("@")[0]
    if name not in ONLINE and plain not in METRICS:
        raise UnknownNameError("metric", name, [*besides, *ONLINE, *METRICS.names()])
    made = () if name in ONLINE else Suite([name]).metrics.values()
    missing = sorted({need for metric in made for need in metric.needs} - _AT_HAND)
    if missing:
        raise InvalidParameterError(
            "metric", name, f"one of what was shown and done: it needs {', '.join(missing)}, "
            "which a log does not have (siamrec.metrics.Suite measures it on held-out events)",
        )  # fmt: skip
