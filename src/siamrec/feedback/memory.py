"""Feedback that is at hand already, as a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record
from siamrec.data import Feedback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.typing import Instant


@final
@dataclass(frozen=True, slots=True, repr=False)
class MemoryFeedback(Record):
    """A `FeedbackSource` over one value.

    Args:
        feedback: Events in any order.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(user=["a", "b", "c"], item=["x", "y", "z"], time=[30, 10, 20])
        >>> source = MemoryFeedback(feedback)
        >>> [batch.time.tolist() for batch in source.read(since=15, batch_rows=1)]
        [[20], [30]]
    """

    feedback: Feedback

    def __post_init__(self) -> None:
        check.kind("feedback", self.feedback, Feedback)

    @override
    def title(self) -> str:
        return f"In memory: {self.feedback.title()}"

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order."""
        check.count("batch_rows", batch_rows)
        ordered = self.feedback.sorted()

        def place(name: str, bound: Instant) -> int:
            return int(np.searchsorted(ordered.time, check.instant(name, bound)))

        first = 0 if since is None else place("since", since)
        last = len(ordered) if until is None else place("until", until)
        for start in range(first, last, batch_rows):
            yield ordered.where(np.arange(start, min(start + batch_rows, last)))
