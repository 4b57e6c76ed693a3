"""The policies of an evaluation in words, with how often each was applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.metrics.policies import Policies

_WHAT = {
    "empty_truth": "users without a relevant item",
    "missing_user": "users with relevant items but no list",
    "short_list": "lists shorter than the largest cut-off",
    "duplicates": "repeated places",
    "seen_items": "places with a seen item",
}


def noted(policies: Policies, counts: Mapping[str, int]) -> dict[str, str]:
    """Return, for each policy, the choice and how many cases it met."""
    notes = {
        name: f"{getattr(policies, name)} ({counts[name]} {what})" for name, what in _WHAT.items()
    }
    notes["ties"] = policies.ties
    limit = policies.relevance
    notes["relevance"] = "grade > 0" if limit is None else f"grade >= {limit:g}"
    return notes
