"""What was read from files, and what has to be known about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Cell, Record, Shown, Table, counted
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.feedback._meaning import THUMBS, plain_name
from siamrec.feedback.labels import Scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIRST = 5
"""Rows set apart that a view shows."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class RejectedRow(Record):
    """A row that was set apart.

    Attributes:
        row: Its number in the file, from 1.
        reason: What is wrong with it.
        data: Its values as they stood; of the first thousand only.
        file: The file, where several were read.
    """

    row: int
    reason: str
    data: Mapping[str, str | None]
    file: str = ""

    @override
    def title(self) -> str:
        return f"Row {self.row:,}: {self.reason}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class LoadedFeedback(Shown):
    """The good rows of files, the others with their reasons, and what was taken for what.

    Attributes:
        feedback: The good rows in the order of the files.
        rejected: The other rows.
        columns: Which column was taken for what.
        unused: Columns that were not.
        told: How the files are written, and what was found out about them.
        left_out: Rows that say nothing that was asked for, by reason.
        n_rows: Rows that were read, good or not.
        declared: The scale of ratings, where it was given.
    """

    feedback: Feedback
    rejected: tuple[RejectedRow, ...]
    columns: Mapping[str, str]
    unused: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    n_rows: int = 0
    declared: Scale | None = None

    @override
    def title(self) -> str:
        rejected = counted(len(self.rejected), "rejected row")
        return f"Loaded: {self.feedback.title()}, {rejected}"

    @override
    def table(self) -> Table:
        """Return what was found, from the columns taken to the rows set apart.

        Which column was taken for what, how many events there are of each kind, the span of time,
        the scale, what was not used, and why rows were set apart.
        """
        return Table(head=("what", "found"), rows=tuple(self._facts()), title=self.title())

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for each kind of reason, most frequent first."""
        kinds = Counter(rejected.reason.split(":")[0] for rejected in self.rejected)
        return dict(kinds.most_common())

    @property
    def scale(self) -> Scale | None:
        """The scale of ratings: the one given, else the usual one around them; None without."""
        ratings = self.feedback.value[self.feedback.kind == FeedbackKind.RATING]
        if self.declared is not None or not ratings.size:
            return self.declared
        return Scale.around(float(ratings.min()), float(ratings.max()))

    def nothing_good(self) -> str:
        """Return why not one row is good, with a way out."""
        reason, n = next(iter(self.reasons.items()))
        first = self.rejected[0]
        hint = _hint(reason, first.reason.rpartition(": ")[2])
        return (
            f"Not one of {self.n_rows:,} rows can be read; of {n:,} the {reason}, and the first "
            f"is row {first.row:,}: {first.reason}.{hint}"
        )

    def _facts(self) -> Iterator[tuple[str, Cell]]:
        yield from self.told.items()
        for role, column in self.columns.items():
            yield f"column of {role}", column
        yield "columns not used", ", ".join(self.unused) or None
        yield "rows", self.n_rows
        yield "good rows and their events", len(self.feedback)
        for kind in FeedbackKind:
            n = int((self.feedback.kind == kind).sum())
            if n:
                yield f"events: {kind.name.lower()}", n
        yield "users", len(self.feedback.users)
        yield "items", len(self.feedback.items)
        yield "span of time", self._span()
        if self.scale is not None:
            low, high = self.scale
            likes = f"likes from {self.scale.like:g}, dislikes up to {self.scale.dislike:g}"
            yield "scale", f"{low:g} to {high:g}, {likes}"
        yield from self.left_out.items()
        yield "set apart", len(self.rejected)
        for reason, n in self.reasons.items():
            yield f"set apart: {reason}", n
        for row in self.rejected[:_FIRST]:
            place = f"{row.file} " if row.file else ""
            yield f"{place}row {row.row:,}", row.reason

    def _span(self) -> str | None:
        known = self.feedback.time[self.feedback.time != np.iinfo(np.int64).min]
        if not known.size:
            return None
        first, last = (str(np.datetime64(int(t), "ns"))[:19] for t in (known.min(), known.max()))
        return f"{first} to {last} UTC"


def _hint(reason: str, cell: str) -> str:
    if reason.startswith("time"):
        return " Say how times are written (--time-format, --time-unit)."
    if reason.startswith("rating is outside"):
        return " Name the scale (--scale 1..10)."
    if not reason.endswith("is not a number"):
        return ""
    if plain_name(cell) in THUMBS:
        return " Say that they are thumbs (--kind thumb)."
    return " Where fractions stand after a comma, say so (--decimal ,)." if "," in cell else ""
