"""What a suite found: means with intervals, per-user values, and what was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.data.frames import arrow_table
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    RegressionFound,
    UnknownNameError,
)
from siamrec.metrics.comparison import (
    ReportComparison,
    compared,
    difference_range,
    paired_values,
)
from siamrec.metrics.estimate import of_groups, of_moments, of_users
from siamrec.metrics.families.fairness import theil_of
from siamrec.metrics.slices import labels_of, ordered
from siamrec.statistics.means import UNBOUNDED, paired_difference
from siamrec.statistics.resampling import bootstrap_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from siamrec._core.table import Cell
    from siamrec.data.moments import Moments
    from siamrec.metrics.estimate import Estimate, Pooled
    from siamrec.statistics.corrections import Correction
    from siamrec.statistics.means import PairedDifference, Range
    from siamrec.statistics.resampling import Method
    from siamrec.typing import FloatArray, Id, IntArray


ROW = ("metric", "mean", "interval", "standard error", "users", "method")
"""What a row about one metric holds."""


@final
class Report(Shown):
    """The result of a suite; made by `Suite.evaluate` and `EvaluationState.compute`.

    Args:
        names: Names of the metrics in the order of the suite.
        users: Users in the order of the per-user values.
        values: Per-user values of each metric that has them; NaN where undefined.
        pooled: Sums of each metric that is one number for all users.
        moments: Moments of each metric whose per-user values were not kept.
        n_users: Number of users, where their ids were not kept.
        policies: What was done in cases that definitions leave open.
        confidence: Level of the intervals.
        nan_counts: Whether one undefined user makes a mean NaN.
        ranges: The least and the greatest value of each metric; unbounded where absent.
        census: Names of the metrics in which nothing is sampled.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        users: Vocabulary,
        values: Mapping[str, FloatArray],
        pooled: Mapping[str, Pooled] | None = None,
        moments: Mapping[str, Moments] | None = None,
        n_users: int | None = None,
        policies: Mapping[str, str] | None = None,
        confidence: float = 0.95,
        nan_counts: bool = False,
        ranges: Mapping[str, Range] | None = None,
        census: Collection[str] = (),
    ) -> None:
        self.names = tuple(names)
        self.users = users
        self.policies = dict(policies or {})
        self.confidence = confidence
        self._values = {name: check.frozen(row, np.float64) for name, row in values.items()}
        self._pooled = dict(pooled or {})
        self._moments = dict(moments or {})
        self.n_users = len(users) if n_users is None else n_users
        self._nan_counts = nan_counts
        self._ranges = dict(ranges or {})
        self._census = frozenset(census)
        self._estimates = {name: self._estimate(name) for name in self.names}

    def __getitem__(self, name: str) -> Estimate:
        self._known(name)
        return self._estimates[name]

    def __len__(self) -> int:
        return len(self.names)

    @override
    def title(self) -> str:
        metrics = counted(len(self), "metric")
        users = counted(self.n_users, "user")
        return f"Report: {metrics} over {users}, {self.confidence:.0%} intervals"

    @override
    def table(self) -> Table:
        """Return one row for each metric, and what was done where definitions leave it open."""
        notes = tuple(f"{name}: {text}" for name, text in self.policies.items())
        return Table(head=ROW, rows=tuple(self.rows()), title=self.title(), notes=notes)

    def rows(self) -> Iterator[tuple[Cell, ...]]:
        """Yield name, mean, interval, standard error, users and method of each metric."""
        for name, found in self._estimates.items():
            error = found.standard_error
            yield (name, found.mean, found.interval, error, found.n, found.method)

    def per_user(self, name: str) -> FloatArray:
        """Return the values of one metric in the order of `users`; NaN where undefined.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such metric.
            siamrec.errors.InvalidParameterError: If the metric is one number for all users, or
                the state that made the report kept no users.
        """
        self._known(name)
        if name not in self._values:
            raise InvalidParameterError("name", name, "a metric with per-user values")
        return self._values[name]

    @property
    def per_user_names(self) -> tuple[str, ...]:
        """Names of the metrics that have per-user values."""
        return tuple(name for name in self.names if name in self._values)

    def pooled(self, name: str) -> Pooled:
        """Return the sums behind a metric that is one number for all users.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such metric.
            siamrec.errors.InvalidParameterError: If the metric has per-user values.
        """
        self._known(name)
        if name not in self._pooled:
            raise InvalidParameterError("name", name, "a metric that is one number for all users")
        return self._pooled[name]

    def interval(
        self,
        name: str,
        *,
        method: Method = "bca",
        rng: np.random.Generator,
        resamples: int = 2000,
    ) -> tuple[float, float]:
        """Return a bootstrap interval of one metric over users.

        Args:
            name: A metric with per-user values. One that is one number for all users has its
                jackknife interval only: drawing users with replacement makes lists look more
                alike than they are, so that bootstrap values of, say, the Gini index lie above
                the index itself.
            method: `"percentile"` or `"bca"` (bias-corrected and accelerated).
            rng: Source of the resamples.
            resamples: Number of resamples, at least 100.

        Raises:
            siamrec.errors.UnknownNameError: If the metric or the method is unknown.

        References:
            Efron (1987), "Better bootstrap confidence intervals", JASA 82(397).
        """
        values = self.per_user(name)
        return bootstrap_interval(
            values[~np.isnan(values)],
            method=method,
            confidence=self.confidence,
            rng=rng,
            resamples=resamples,
            within=self.range(name),
        )

    def range(self, name: str) -> Range:
        """Return the least and the greatest value that a metric can have.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such metric.
        """
        self._known(name)
        return self._ranges.get(name, UNBOUNDED)

    def where(self, chosen: IntArray) -> Report:
        """Return the report on some of the users; metrics without per-user values are left out.

        Args:
            chosen: Places of the users in `users`.
        """
        return Report(
            names=self.per_user_names,
            users=Vocabulary(tuple(self.users.decode(chosen))),
            values={name: self._values[name][chosen] for name in self.per_user_names},
            policies=self.policies,
            confidence=self.confidence,
            nan_counts=self._nan_counts,
            ranges=self._ranges,
            census=self._census,
        )

    def slices(
        self, by: Mapping[Any, Any] | Sequence[Any] | npt.NDArray[Any] | Callable[[Id], Any]
    ) -> Slices:
        """Return one report for each label of the users, each with its own intervals.

        Metrics without per-user values are left out.

        Args:
            by: Label of each user: a mapping from user id (such as `by_history_length` makes), a
                sequence in the order of `users`, or a function of the user id.

        Raises:
            siamrec.errors.InvalidDataError: If a user has no label.
        """
        labels = labels_of(self.users, by)
        order = ordered(labels)
        place = {label: code for code, label in enumerate(order)}
        codes = np.array([place[label] for label in labels], dtype=np.int64)
        return Slices(
            {label: self.where(np.flatnonzero(codes == place[label])) for label in order}
        )

    def compare(
        self,
        other: Report,
        *,
        test: str = "sign-flip",
        correction: Correction = "holm",
        seed: int = 0,
        resamples: int = 10_000,
    ) -> ReportComparison:
        """Return the differences between this report and another on the same users.

        Args:
            other: The report that is subtracted (the baseline).
            test: `"sign-flip"`, `"t"` or `"wilcoxon"`; pooled metrics take a t test over groups.
            correction: Over all metrics: see `siamrec.statistics.adjust`.
            seed: Seed of the sign flips.
            resamples: Number of sign flips where there are too many to take them all.

        Raises:
            siamrec.errors.UnknownNameError: If test or correction is unknown, or no metric is in
                both reports.
            siamrec.errors.InvalidDataError: If the reports share no user.
        """
        return compared(
            self, other, test=test, correction=correction, seed=seed, resamples=resamples
        )

    def assert_not_worse(self, baseline: Report, name: str, *, margin: float = 0.0) -> None:
        """Refuse this report if one metric is worse than a baseline by more than a margin.

        The lower bound of the paired interval of `self - baseline` must be above `-margin`
        (a non-inferiority test), unless both agree for every user; a higher value must be the
        better one.

        Args:
            baseline: The report to hold against.
            name: Name of the metric.
            margin: Largest loss that is allowed, not below 0.

        Raises:
            siamrec.errors.RegressionFound: If the loss may exceed the margin.
        """
        check.not_negative("margin", margin)
        difference = self.difference(baseline, name)
        own, others = paired_values(self, baseline, name)
        if (own == others).all():  # the same lists: there is nothing to be worse
            return
        if not difference.low > -margin:
            raise RegressionFound(
                f"{name} may be worse than the baseline by more than {margin:g}: difference "
                f"{difference.mean:+.6g}, {self.confidence:.0%} interval "
                f"[{difference.low:+.6g}, {difference.high:+.6g}], n = {difference.n}."
            )

    def difference(self, baseline: Report, name: str) -> PairedDifference:
        """Return the difference of one metric to a baseline, paired by user.

        Raises:
            siamrec.errors.UnknownNameError: If a report does not have the metric.
            siamrec.errors.InvalidDataError: If the reports share no user.
        """
        own, others = paired_values(self, baseline, name)
        within = difference_range(self.range(name))
        return paired_difference(own, others, confidence=self.confidence, within=within)

    def to_arrow(self) -> Any:
        """Return a pyarrow table of the per-user values: a row for each user, a column each."""
        columns: dict[str, Any] = {"user": self.users.decode(np.arange(len(self.users)))}
        return arrow_table({**columns, **self._values})

    def to_latex(self) -> str:
        """Return the means and intervals as a LaTeX table (booktabs)."""
        return self.table().latex()

    def _known(self, name: str) -> None:
        if name not in self.names:
            raise UnknownNameError("metric of this report", name, self.names)

    def _estimate(self, name: str) -> Estimate:
        within, census, level = self.range(name), name in self._census, self.confidence
        if name in self._values:
            values, counts = self._values[name], self._nan_counts
            return of_users(values, level, nan_counts=counts, within=within, census=census)
        if name in self._moments:
            return of_moments(self._moments[name], level, within=within, census=census)
        pooled = self._pooled[name]
        return of_groups(
            pooled.value(), pooled.left_out(), pooled.n, level, within=within, census=census
        )


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slices(Shown):
    """One report for each part of the users.

    Args:
        reports: Reports by label, in order of label; each has its own intervals.
    """

    reports: Mapping[Any, Report]

    def __getitem__(self, label: Any) -> Report:
        if label not in self.reports:
            raise UnknownNameError("slice", label, self.reports)
        return self.reports[label]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def labels(self) -> tuple[Any, ...]:
        """Labels of the slices."""
        return tuple(self.reports)

    def worst(self, name: str) -> tuple[Any, float]:
        """Return the slice with the lowest mean of a metric, and that mean."""
        means = {label: report[name].mean for label, report in self.reports.items()}
        known = {label: mean for label, mean in means.items() if not np.isnan(mean)}
        if not known:
            raise InvalidDataError(f"No slice defines {name!r}.")
        label = min(known, key=lambda key: known[key])
        return label, known[label]

    def gap(self, name: str) -> float:
        """Return the highest less the lowest mean of a metric over the slices."""
        means = np.array([report[name].mean for report in self.reports.values()])
        return float(np.nanmax(means) - np.nanmin(means))

    def inequality(self, name: str) -> float:
        """Return the Theil index of the means of a metric over the slices; 0 is equal."""
        means = np.array([report[name].mean for report in self.reports.values()])
        return theil_of(means[~np.isnan(means)])

    @override
    def title(self) -> str:
        users = counted(sum(report.n_users for report in self.reports.values()), "user")
        return f"Slices: {counted(len(self), 'report')} on {users} together"

    @override
    def table(self) -> Table:
        """Return one row for each slice and metric."""
        rows = tuple(
            (str(label), *row) for label, report in self.reports.items() for row in report.rows()
        )
        return Table(head=("slice", *ROW), rows=rows, title=self.title())
