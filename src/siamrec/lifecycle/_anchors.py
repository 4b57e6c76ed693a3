"""Anchors of a list: what each item of a history adds to the score of an arm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from siamrec.models.recommenders import Capability

if TYPE_CHECKING:
    from siamrec.lifecycle._person import Person
    from siamrec.lifecycle._state import State

_MOST = 3
_NEAR = 1e-3
"""How far the parts of a score may be from it, as numbers of 32 bits are."""


@final
class Anchors:
    """Splits scores of the arms of a list into what each item of a history adds.

    Args:
        state: What served.
        person: Whose list it was.
    """

    def __init__(self, state: State, person: Person) -> None:
        self._state, self._person = state, person

    def of(self, arm: str, item: str | int) -> tuple[tuple[str | int, float], ...]:
        """Return the items that add most, with their shares; see `why.Splits`."""
        release, told = self._state.release, self._person.feedback
        fitted = None if release is None else release.arms.get(arm)
        if fitted is None or told is None or item not in fitted.items:
            return ()
        if Capability.EXPLAIN not in fitted.capabilities:
            return ()
        (code,) = fitted.items.encode([item]).tolist()
        histories = self._person.histories_of(fitted, self._state.places[arm])
        score = float(fitted.score(histories)[0, code])
        parts = fitted.explain_for_feedback(told, item, n=max(len(told), 1))
        if not math.isclose(math.fsum(part for _, part in parts), score, rel_tol=_NEAR,
                            abs_tol=_NEAR * 1e-2):  # fmt: skip
            return ()  # the arm ranks by something else than what it tells
        adds = [(met, part) for met, part in parts if part > 0]
        total = math.fsum(part for _, part in adds)
        adds.sort(key=lambda each: -each[1])
        return tuple((met, part / total) for met, part in adds[:_MOST])  # type: ignore[misc]
