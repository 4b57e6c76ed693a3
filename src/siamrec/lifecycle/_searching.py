"""Searching: which arms answer a query, and what is known of it afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from siamrec.data import Vocabulary
from siamrec.errors import InvalidParameterError, MissingCapabilityError
from siamrec.models.recommenders import Capability, normalised
from siamrec.models.recommenders.base import known_recipes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.data import Feedback
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.lifecycle.release import Release
    from siamrec.storage import StoredList
    from siamrec.typing import Id


def query_of(query: str | None, others: Mapping[str, Iterable[Id]]) -> str | None:
    """Return what is searched for, checked; None where nothing is.

    Args:
        query: As a request gives it.
        others: Items to go by, which are left out beside a query.

    Raises:
        siamrec.errors.InvalidParameterError: If it has no letter, or there are items beside it.
    """
    if query is None:
        return None
    if not normalised(query):
        raise InvalidParameterError("query", query, "a text with a letter")
    for name, items in others.items():
        if items:
            raise InvalidParameterError(name, items, "left out beside a query")
    return query.strip()


def answering(placement: str, release: Release, arms: Sequence[str]) -> list[str]:
    """Return the arms that answer queries.

    Raises:
        siamrec.errors.MissingCapabilityError: If none does.
    """
    able = [arm for arm in arms if Capability.QUERY in release.arms[arm].capabilities]
    if not able:
        kinds = {
            each.__name__ for each in known_recipes() if Capability.QUERY in each.capabilities
        }
        model = f"placement {placement!r} (arms {', '.join(arms)})"
        raise MissingCapabilityError(model, str(Capability.QUERY.name), kinds)
    return able


def unit_of(shown: Recommendation) -> str | None:
    """Return what the variant of a list was given to; None where a query was erased."""
    if shown.unit == "user":
        return str(shown.user)
    return None if shown.query is None else normalised(shown.query)


def with_query(event: Feedback, row: StoredList) -> Feedback:
    """Return an event on a list with what was searched for, where something was."""
    query = json.loads(row.body).get("query") if _TOLD in row.body else None
    if query is None:
        return event
    queries = Vocabulary((query,))
    return replace(event, queries=queries, query=queries.encode([query]))


_TOLD = '"query":'
