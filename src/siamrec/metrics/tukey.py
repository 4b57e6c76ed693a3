"""All pairs of several systems at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, number, span
from siamrec.errors import InvalidDataError, shown
from siamrec.metrics.comparison import difference_range, paired_values
from siamrec.statistics.tukey import tukey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.metrics.report import Report
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PairOfSystems(Record):
    """The difference between two of several systems.

    Args:
        first: Name of the first system.
        second: Name of the second system.
        difference: Mean of the first less that of the second.
        low: Lower bound of the simultaneous interval.
        high: Upper bound.
        p: p-value that holds for all pairs together, above 0.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float

    @override
    def title(self) -> str:
        found = f"{number(self.difference)} {span(self.low, self.high)}, p {number(self.p)}"
        return f"{self.first} less {self.second}: {found}"


def tukey_hsd(
    reports: Mapping[str, Report], name: str, *, confidence: float = 0.95
) -> list[PairOfSystems]:
    """Return all pairwise differences of one metric, with intervals that hold together.

    See `siamrec.statistics.tukey`: the users are the blocks, so that the differences between
    users do not count as noise.

    Args:
        reports: At least two reports by name of the system, over the same users.
        name: A metric with per-user values that all of them have.
        confidence: Level at which all intervals hold together.

    Raises:
        siamrec.errors.InvalidDataError: If there are fewer than two reports or shared users.
    """
    names = list(reports)
    table = _table(reports, name)
    within = difference_range(reports[names[0]].range(name))
    return [
        PairOfSystems(
            first=names[pair.first],
            second=names[pair.second],
            difference=pair.difference,
            low=pair.low,
            high=pair.high,
            p=pair.p,
        )
        for pair in tukey(table, confidence=confidence, within=within)
    ]


def _table(reports: Mapping[str, Report], name: str) -> FloatArray:
    """Return the values of all systems for the users whom all define, `(n_users, n_systems)`."""
    names = list(reports)
    if len(names) < 2:
        raise InvalidDataError(f"reports must hold two or more systems, got {names}.")
    base = reports[names[0]]
    columns = []
    for other in names:
        own, theirs = paired_values(base, reports[other], name)
        if own.size != len(base.users):
            raise InvalidDataError(
                f"Report {shown(other)} must have all users of {shown(names[0])}."
            )
        columns.append(theirs)
    table = np.column_stack(columns)
    table = table[~np.isnan(table).any(axis=1)]
    if len(table) < 2:
        raise InvalidDataError(f"The systems must share two or more users, got {len(table)}.")
    return table
