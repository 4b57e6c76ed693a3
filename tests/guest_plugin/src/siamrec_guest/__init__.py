"""A guest of siamrec: an arm in one order, a loss, a metric of lists, a store in one file."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  # hooks are typed at run time

from siamrec.plugins import hookimpl
from siamrec_guest.arm import FittedShuffled, Shuffled
from siamrec_guest.loss import AbsoluteCosine, absolute_cosine
from siamrec_guest.metric import ListLength
from siamrec_guest.store import JsonLinesStore

__all__ = ["AbsoluteCosine", "FittedShuffled", "JsonLinesStore", "ListLength", "Shuffled"]

seen: list[str] = []
"""What the observer hooks heard, for the tests."""


@hookimpl
def siamrec_recommenders() -> dict[str, type[Shuffled]]:
    """Offer the arm."""
    return {"shuffled": Shuffled}


@hookimpl
def siamrec_losses() -> dict[str, Callable[..., AbsoluteCosine]]:
    """Offer the loss."""
    return {"absolute-cosine": absolute_cosine}


@hookimpl
def siamrec_metrics() -> dict[str, type[ListLength]]:
    """Offer the metric."""
    return {"list_length": ListLength}


@hookimpl
def siamrec_stores() -> dict[str, type[JsonLinesStore]]:
    """Offer the store."""
    return {"json-lines": JsonLinesStore}


@hookimpl
def siamrec_alert(alert: dict[str, str]) -> None:
    """Remember the alert."""
    seen.append(alert["name"])
