"""What is known when a list is asked for: the same when serving, in replays and in cycles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError
from siamrec.expressions import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits import Context
    from siamrec.data import Feedback
    from siamrec.typing import Instant

_RECENT = 20
"""Newest items of a history whose genres tell how narrow it is."""


def told(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return what a request tells, when expressions and contexts can read it.

    Args:
        name: Name of the argument, for messages.
        given: Texts, numbers, truths, instants with a zone, or lists of these, by name; None for
            what is not known.

    Raises:
        siamrec.errors.InvalidParameterError: If a name is no text, a value is something else, or
            `seen` is no number of lists.
    """
    for key, value in given.items():
        check.text(f"a name of {name}", key)
        if value is not None and not _is_missing(value) and plain(value) is None:
            what = "a text, a number, an instant, or a list of these"
            raise InvalidParameterError(f"{key} of {name}", value, what)
    return dict(given)


def session_of(given: Mapping[str, object]) -> dict[str, object]:
    """Return what an application knows of a visit; see `told`."""
    seen: Any = given.get("seen")
    if seen is not None:
        check.count("seen of session", seen, least=0)
    for key, value in given.items():
        if isinstance(value, list | tuple | set | frozenset | Mapping):
            raise InvalidParameterError(
                f"{key} of session", value, "a text, a number or an instant"
            )
    return told("session", given)


def _is_missing(value: object) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def context_of(
    context: Context,
    history: Feedback | None,
    *,
    time: Instant,
    session: Mapping[str, object] | None = None,
    genres: Mapping[Any, Sequence[str]] | None = None,
) -> dict[str, object]:
    """Return what is known of each factor: the raw values that the context puts into buckets.

    Known are `time_of_day` and `day` (the instant), `segment` (number of events of the history),
    `genre_saturation` (largest share of one genre among the newest items) and
    `session_position` (number of lists seen before, `session["seen"]`). Any factor may be given
    by its own name in `session`; what is not known is left out.

    Args:
        context: The factors.
        history: What the person did; None for nobody, or for somebody new.
        time: The instant of the request.
        session: What the application knows of this visit.
        genres: Genres of items.

    Examples:
        >>> from siamrec.bandits import Context
        >>> sorted(context_of(Context.default(), None, time=0, session={"seen": 4}).items())
        [('day', 0), ('segment', 0), ('session_position', 4), ('time_of_day', 0)]
    """
    given = dict(session or {})
    known: dict[str, object] = {
        "time_of_day": time,
        "day": time,
        "segment": 0 if history is None else len(history),
    }
    if "seen" in given:
        known["session_position"] = given["seen"]
    share = None if history is None or not genres else _saturation(history, genres)
    if share is not None:
        known["genre_saturation"] = share
    return {name: {**known, **given}[name] for name in context.names if name in {**known, **given}}


def _saturation(history: Feedback, genres: Mapping[Any, Sequence[str]]) -> float | None:
    """Return the largest share of one genre among the items met last."""
    _, first = np.unique(history.item[::-1], return_index=True)
    newest = history.items.decode(history.item[::-1][np.sort(first)[:_RECENT]])
    counts: dict[str, int] = {}
    for item in newest:
        for genre in genres.get(item) or ():
            counts[genre] = counts.get(genre, 0) + 1
    return max(counts.values()) / len(newest) if counts else None
