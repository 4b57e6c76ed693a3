"""A guest of siamrec: an arm that ranks in one random order, and a metric of lists."""

from __future__ import annotations

from siamrec.plugins import hookimpl
from siamrec_guest.arm import FittedShuffled, Shuffled
from siamrec_guest.metric import ListLength

__all__ = ["FittedShuffled", "ListLength", "Shuffled"]

seen: list[str] = []
"""What the observer hooks heard, for the tests."""


@hookimpl
def siamrec_recommenders() -> dict[str, type[Shuffled]]:
    """Offer the arm."""
    return {"shuffled": Shuffled}


@hookimpl
def siamrec_metrics() -> dict[str, type[ListLength]]:
    """Offer the metric."""
    return {"list_length": ListLength}


@hookimpl
def siamrec_alert(alert: dict[str, str]) -> None:
    """Remember the alert."""
    seen.append(alert["name"])
