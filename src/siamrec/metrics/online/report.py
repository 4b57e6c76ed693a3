"""Several online metrics, for all events or for each slice of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Shown, Table, counted
from siamrec.errors import UnknownNameError
from siamrec.metrics.online.engagement import ctr, rating_rate, thumbs_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.metrics.estimate import Estimate
    from siamrec.metrics.online.events import Events, UserSums

OnlineMetric: TypeAlias = "Callable[[Events], UserSums]"

STANDARD: Mapping[str, OnlineMetric] = {
    "ctr": ctr,
    "rating_rate": rating_rate,
    "thumbs_ratio": thumbs_ratio,
}


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OnlineReport(Shown):
    """Sums by user of each metric and slice; reports of different batches add.

    Args:
        sums: For each slice (`"all"` where nothing was sliced) the sums of each metric.
        confidence: Level of the intervals.
    """

    sums: Mapping[Any, Mapping[str, UserSums]]
    confidence: float = 0.95

    @property
    def slices(self) -> tuple[Any, ...]:
        """Labels of the slices."""
        return tuple(self.sums)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(next(iter(self.sums.values()), {}))

    def estimate(self, name: str, slice_: Any = "all") -> Estimate:
        """Return one metric of one slice, with its interval clustered by user.

        Raises:
            siamrec.errors.UnknownNameError: If slice or metric is unknown.
        """
        if slice_ not in self.sums:
            raise UnknownNameError("slice", slice_, self.sums)
        if name not in self.sums[slice_]:
            raise UnknownNameError("online metric", name, self.sums[slice_])
        return self.sums[slice_][name].estimate(self.confidence)

    def __add__(self, other: OnlineReport) -> OnlineReport:
        labels = list(dict.fromkeys((*self.sums, *other.sums)))
        merged: dict[Any, dict[str, UserSums]] = {}
        for label in labels:
            own, theirs = self.sums.get(label, {}), other.sums.get(label, {})
            merged[label] = {
                name: own[name] + theirs[name]
                if name in own and name in theirs
                else {**own, **theirs}[name]
                for name in dict.fromkeys((*own, *theirs))
            }
        return OnlineReport(merged, self.confidence)

    @override
    def title(self) -> str:
        metrics, slices = counted(len(self.names), "metric"), counted(len(self.sums), "slice")
        return f"Online report: {metrics}, {slices}, {self.confidence:.0%} intervals"

    @override
    def table(self) -> Table:
        """Return value, interval and sums of each slice and metric."""
        rows = []
        for label in self.sums:
            for name, sums in self.sums[label].items():
                found = self.estimate(name, label)
                totals = float(sums.top.sum()), float(sums.bottom.sum())
                rows.append((str(label), name, found.mean, found.interval, found.n, *totals))
        head = ("slice", "metric", "value", "interval", "users", "numerator", "denominator")
        return Table(head=head, rows=tuple(rows), title=self.title())


def measure(
    events: Events,
    metrics: Mapping[str, OnlineMetric] | None = None,
    *,
    by: str | None = None,
    confidence: float = 0.95,
) -> OnlineReport:
    """Return online metrics over all events, or for each value of a column.

    Args:
        events: The events.
        metrics: Functions from events to sums, by name; without them: ctr, rating rate and
            thumbs ratio.
        by: Name of a further column of the events, such as a variant, an arm or a day.
        confidence: Level of the intervals.

    Raises:
        siamrec.errors.UnknownNameError: If the column was not kept.
        siamrec.errors.MissingInputError: If a metric needs a column that events do not have.

    Examples:
        >>> from siamrec.metrics.online.events import Events
        >>> events = Events.from_frame({
        ...     "user": ["ann", "ann", "bob"], "kind": ["impression", "click", "impression"],
        ...     "variant": ["a", "a", "b"],
        ... }, columns=["variant"])
        >>> report = measure(events, by="variant")
        >>> report.estimate("ctr", "a").mean, report.estimate("ctr", "b").mean
        (1.0, 0.0)
    """
    chosen = STANDARD if metrics is None else metrics
    if by is None:
        parts = {"all": events}
    else:
        column = events.column(by)
        parts = {label: events.where(column == label) for label in np.unique(column).tolist()}
    return OnlineReport(
        {
            label: {name: metric(part) for name, metric in chosen.items()}
            for label, part in parts.items()
        },
        confidence,
    )
