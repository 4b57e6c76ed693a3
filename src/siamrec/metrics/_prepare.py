"""The policies that change lists before they are measured, and the notes they leave."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError, LeakageError
from siamrec.metrics._align import rows_of
from siamrec.metrics._hits import find_hits
from siamrec.metrics._inputs import require
from siamrec.metrics.policies import Policies, SeenItemsWarning

if TYPE_CHECKING:
    from siamrec.data.rankings import Rankings
    from siamrec.data.truth import Truth
    from siamrec.typing import BoolArray, FloatArray, IntArray


def distinct_items(rankings: Rankings, policies: Policies) -> Rankings:
    """Return lists without repeated items.

    Raises:
        siamrec.errors.InvalidDataError: If items repeat and the policy is to refuse them.
    """
    if not rankings.n_repeats:
        return rankings
    if policies.duplicates == "raise":
        raise InvalidDataError(
            f"A list must not repeat an item, got {rankings.n_repeats} repeated places; "
            "Suite(..., duplicates='first') counts the first place of each."
        )
    key = rankings.owner * len(rankings.items) + rankings.item
    _, first = np.unique(key, return_index=True)
    return rankings.places(np.sort(first))


def without_seen(
    rankings: Rankings, history: Truth | None, policies: Policies
) -> tuple[Rankings, int]:
    """Return lists after the policy for seen items, and how many places held one.

    Raises:
        siamrec.errors.LeakageError: If there are any and the policy is to refuse them.
    """
    if history is None or policies.seen_items == "allow":
        return rankings, 0
    places, _ = judged_places(rankings, history)
    n_seen = places.size
    if not n_seen:
        return rankings, 0
    message = (
        f"{n_seen} places in {np.unique(rankings.owner[places]).size} lists hold items of "
        "history=; Suite(..., seen_items='remove') takes them out."
    )
    if policies.seen_items == "raise":
        raise LeakageError(message, {"places": n_seen})
    if policies.seen_items == "warn":
        warnings.warn(message, SeenItemsWarning, stacklevel=4)
        return rankings, n_seen
    return rankings.places(np.delete(np.arange(rankings.item.size), places)), n_seen


def judged_places(rankings: Rankings, truth: Truth) -> tuple[IntArray, FloatArray]:
    """Return the places that hold a judged item, rising, and its grade."""
    rows = rows_of(truth, rankings.users, rankings.items)
    if not rankings.depth:
        return np.empty(0, dtype=np.int64), np.empty(0)
    hits = find_hits(rankings.padded(), rows.start, rows.item, len(rankings.items), entries=True)
    assert hits.entry is not None
    return rankings.start[hits.user] + hits.rank, rows.grade[rows.start[hits.user] + hits.entry]


def tied_order(rankings: Rankings, truth: Truth | None, policies: Policies) -> Rankings:
    """Return lists with items of equal score ordered by the policy.

    Raises:
        siamrec.errors.MissingInputError: If there are no scores to average or reorder by.
        siamrec.errors.InvalidDataError: If scores rise along a list.
    """
    if policies.ties == "given":
        return rankings
    if rankings.score is None:
        if policies.ties == "id-descending":  # no scores, no ties: the order is the ranking
            return rankings
        require("scores", None, f"ties={policies.ties!r}")
    assert rankings.score is not None
    score, owner = rankings.score, rankings.owner
    rises = (score[1:] > score[:-1]) & (owner[1:] == owner[:-1])
    if rises.any():
        raise InvalidDataError(
            f"score must fall along each list for ties={policies.ties!r}, "
            f"got a rise in place {int(np.argmax(rises)) + 1}."
        )
    if policies.ties == "expected":
        return rankings
    second = _second_key(rankings, truth, policies.ties)
    return rankings.places(np.lexsort((second, -score, owner)))


def _second_key(rankings: Rankings, truth: Truth | None, ties: str) -> FloatArray | IntArray:
    if ties == "id-descending":
        by_id = np.argsort(np.array([str(id_) for id_ in rankings.items]), kind="stable")
        place: IntArray = np.empty(by_id.size, dtype=np.int64)
        place[by_id] = np.arange(by_id.size)
        return -place[rankings.item]
    if truth is None:
        return np.zeros(rankings.item.size)
    grade = np.zeros(rankings.item.size)
    places, grades = judged_places(rankings, truth)
    grade[places] = grades
    return grade if ties == "pessimistic" else -grade


def tie_blocks(rankings: Rankings) -> tuple[IntArray, BoolArray]:
    """Return the block of equal scores of each place, and whether a place opens a block."""
    assert rankings.score is not None
    opens = np.ones(rankings.item.size, dtype=np.bool_)
    same = (rankings.score[1:] == rankings.score[:-1]) & (
        rankings.owner[1:] == rankings.owner[:-1]
    )
    opens[1:] = ~same
    return opens.cumsum() - 1, opens
