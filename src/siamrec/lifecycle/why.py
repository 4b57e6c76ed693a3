"""Why an item is in a list: true by construction, or silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from typing_extensions import override

from siamrec._core.table import Record


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


class Splits(Protocol):
    """Splits the score of an arm into what each item of a history adds."""

    def of(self, arm: str, item: str | int) -> tuple[tuple[str | int, float], ...]:
        """Return the items that add most, with their shares; none where that cannot be told."""
