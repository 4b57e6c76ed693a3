"""What one cycle found: every number, and the files that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core.table import Record, Shown, Table, counted, number, span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec._core.table import Cell

_BESIDE = ("recall@20", "long_tail_share@10")
"""Metrics that are shown beside the one that decides."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class MeanWithInterval(Record):
    """A mean over held-out users with its 95 % interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval; None where it is unbounded.
        high: Upper end of the interval; None where it is unbounded.
    """

    mean: float
    low: float | None
    high: float | None

    @override
    def title(self) -> str:
        return f"Mean {number(self.mean)} {span(*self.interval)}"

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return (
            float("-inf") if self.low is None else self.low,
            float("inf") if self.high is None else self.high,
        )


@final
@dataclass(frozen=True, slots=True, repr=False)
class ArmResult(Shown):
    """How one arm did on the held-out users.

    Attributes:
        metrics: Metrics on warm items by name.
        cold: Metrics on cold items by name; empty for an arm that cannot rank them.
    """

    metrics: Mapping[str, MeanWithInterval]
    cold: Mapping[str, MeanWithInterval] = field(default_factory=dict)

    @override
    def title(self) -> str:
        return f"Arm measured by {counted(len(self.metrics), 'metric')}"

    @override
    def table(self) -> Table:
        """Return mean and interval of each metric, on warm and on cold items."""
        rows = (
            (items, name, found.mean, found.interval)
            for items, metrics in (("warm", self.metrics), ("cold", self.cold))
            for name, found in metrics.items()
        )
        head = ("items", "metric", "mean", "interval")
        return Table(head=head, rows=tuple(rows), title=self.title())


@final
@dataclass(frozen=True, slots=True, repr=False)
class CycleReport(Shown):
    """The result of `ImprovementLoop.run`.

    Attributes:
        out: Folder of the run, with `report.html`, `summary.json` and the registry.
    """

    out: Path
    _summary: Mapping[str, Any]

    @override
    def title(self) -> str:
        arms = counted(len(self.arms), "arm")
        return f"Cycle in {self.out}: tuned encoder {self.verdict}, {arms}"

    @override
    def table(self) -> Table:
        """Return each arm on held-out users, by the metric that decides and two more.

        Cold items have rows of their own; verdict, reasons and A/B test stand below.
        """
        metric = self._summary["tuning"]["metric"]
        names = [
            name for name in (metric, *_BESIDE) if name in next(iter(self.arms.values())).metrics
        ]
        head = [part for name in names for part in (name, f"{name} interval")]
        rows = (
            (arm, items, *(cell for name in names for cell in _cells(found.get(name))))
            for arm, result in self.arms.items()
            for items, found in (("warm", result.metrics), ("cold", result.cold))
            if found
        )
        test = f"A/B test, bandit against {self.experiment['control']}"
        return Table(
            head=("arm", "items", *head),
            rows=tuple(rows),
            title=self.title(),
            notes=(
                f"Tuned encoder: {self.verdict}",
                *self.reasons,
                f"{test}: {self.experiment['decision']}",
            ),
        )

    @property
    def verdict(self) -> str:
        """`"ship"` or `"do not ship"`, about the tuned encoder."""
        return str(self._summary["tuning"]["verdict"])

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, one sentence each."""
        return tuple(self._summary["tuning"]["reasons"])

    @property
    def arms(self) -> Mapping[str, ArmResult]:
        """Results by name of the arm."""
        cold = self._summary["cold_arms"]
        return MappingProxyType(
            {
                name: ArmResult(_measured(metrics), _measured(cold.get(name, {})))
                for name, metrics in self._summary["arms"].items()
            }
        )

    @property
    def tuning(self) -> Mapping[str, Any]:
        """The paired comparison of the encoder before and after."""
        return MappingProxyType(self._summary["tuning"])

    @property
    def bandit(self) -> Mapping[str, Any]:
        """The bandit's reward beside the best fixed arm and a uniform choice."""
        return MappingProxyType(self._summary["bandit"])

    @property
    def experiment(self) -> Mapping[str, Any]:
        """The A/B test of the arm serving today against the bandit."""
        return MappingProxyType(self._summary["experiment"])

    def summary(self) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        return dict(self._summary)


def _cells(found: MeanWithInterval | None) -> tuple[Cell, Cell]:
    return (None, None) if found is None else (found.mean, found.interval)


def _measured(metrics: Mapping[str, Mapping[str, Any]]) -> Mapping[str, MeanWithInterval]:
    return MappingProxyType(
        {
            name: MeanWithInterval(entry["mean"], entry["low"], entry["high"])
            for name, entry in metrics.items()
        }
    )
