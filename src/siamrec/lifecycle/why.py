"""Why an item is in a list: true by construction, or silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from typing_extensions import override

from siamrec._core.table import Record
from siamrec.models.recommenders import Capability

if TYPE_CHECKING:
    from siamrec.lifecycle._person import Person
    from siamrec.lifecycle._state import State

_MOST = 3
_NEAR = 1e-3
"""How far the parts of a score may be from it, as numbers of 32 bits are."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Why(Record):
    """What put one item into a list.

    Attributes:
        item: The item.
        arm: The arm that offered it; None where no arm did.
        version: Version of the arm; None where it is not known.
        rules: Rules that put it in or moved it.
        fallback: Why the fallback had to put it in; None where it had not.
        anchors: Items of the person's own history, or on the screen, that add most to the score
            of the arm, with their shares of all that adds to it, largest first. Empty where the
            arm cannot split its score, and for a list that was read back from the log.
    """

    item: str | int
    arm: str | None
    version: str | None
    rules: tuple[str, ...]
    fallback: str | None
    anchors: tuple[tuple[str | int, float], ...]

    @override
    def title(self) -> str:
        said = f"{self.item}: "
        said += f"offered by {self.arm}" if self.arm else "put in by the fallback"
        if not self.arm and self.fallback is None:
            said = f"{self.item}: put in"
        if self.rules:
            said += f", by the rule {' and '.join(self.rules)}"
        if self.anchors:
            parts = (f"{item} ({share:.0%})" for item, share in self.anchors)
            said += f", because of {', '.join(parts)}"
        return said


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
        """Return the items that add most, with their shares; none where that cannot be told."""
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
