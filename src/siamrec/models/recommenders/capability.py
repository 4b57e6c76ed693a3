"""What a fitted arm can do beside ranking the people it was fitted to."""

from __future__ import annotations

from enum import Flag, auto
from typing import final

__all__ = ["PASSED_ON", "Capability"]


@final
class Capability(Flag):
    """What a fitted arm can do.

    Attributes:
        RANKING: Ranks items for people.
        RATINGS: Predicts ratings on the scale of the feedback.
        SEQUENTIAL: Looks at the order in which a person met items.
        COLD_USER: Ranks for people outside training, by what they did.
        COLD_ITEM: Ranks items without feedback, by their texts or attributes.
        INCREMENTAL_EXACT: `update` equals fitting everything anew.
        EXPLAIN: Splits a score into what each seen item adds; the parts sum to the score.
        SIMILAR: Tells which items are alike.
        QUERY: Scores items for the text of a query.
        WEIGHTS: Counts an event by its weight; other arms refuse events that weigh differently.
    """

    RANKING = auto()
    RATINGS = auto()
    SEQUENTIAL = auto()
    COLD_USER = auto()
    COLD_ITEM = auto()
    INCREMENTAL_EXACT = auto()
    EXPLAIN = auto()
    SIMILAR = auto()
    WEIGHTS = auto()
    QUERY = auto()


PASSED_ON = (
    Capability.COLD_USER | Capability.COLD_ITEM | Capability.SEQUENTIAL | Capability.WEIGHTS
)
"""What an arm over another arm can do as far as the other can."""
