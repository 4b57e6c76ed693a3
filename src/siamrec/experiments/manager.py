"""The life of experiments: define, start, ramp, stop, conclude, with an audit trail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted, day
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    StaleWriteError,
    UnknownNameError,
    shown,
)
from siamrec.experiments.assignment.assigner import HashAssigner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.analysis.report import ExperimentReport, Verdict
    from siamrec.experiments.assignment.experiment import Experiment
    from siamrec.protocols import Clock
    from siamrec.typing import Instant


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditEntry(Record):
    """One change of an experiment.

    Attributes:
        time: When.
        experiment: Key.
        action: `define`, `start`, `ramp`, `reweight`, `stop` or `conclude`.
        detail: What changed, in words.
        who: Who asked for it.
    """

    time: Instant
    experiment: str
    action: str
    detail: str
    who: str

    @override
    def title(self) -> str:
        by = f" by {self.who}" if self.who else ""
        return f"{day(self.time)} {self.experiment}: {self.action}{by}: {self.detail}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExperimentRecord(Record):
    """An experiment with its history.

    Attributes:
        experiment: Its present form.
        revision: Number of changes; a write must name the one it builds on.
        trail: Every change, oldest first.
        decision: What was concluded, if anything.
        winner: The variant that won, if any.
    """

    experiment: Experiment
    revision: int = 0
    trail: tuple[AuditEntry, ...] = ()
    decision: Verdict | None = None
    winner: str | None = None

    @override
    def title(self) -> str:
        said = f", decided: {self.decision}" if self.decision else ""
        return f"Record of {self.experiment.title()}, {counted(self.revision, 'change')}{said}"


class ExperimentStore(Protocol):
    """Keeps records; a write succeeds only on the revision it was made from."""

    def get(self, key: str) -> ExperimentRecord | None:
        """Return a record, None where there is none."""
        ...

    def put(self, record: ExperimentRecord, *, expected: int | None) -> None:
        """Store a record whose present revision is `expected` (None: there is none).

        Raises `StaleWriteError` if it is another.
        """
        ...

    def keys(self) -> tuple[str, ...]:
        """Return every key, sorted."""
        ...


@final
class MemoryExperiments(Shown):
    """A store in this process's memory; mutable."""

    def __init__(self) -> None:
        self._records: dict[str, ExperimentRecord] = {}

    @override
    def title(self) -> str:
        return f"Experiments in memory: {len(self._records):,}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "experiments": sorted(self._records),
        }
        return Table.of(self.title(), facts)

    def get(self, key: str) -> ExperimentRecord | None:
        """Return a record, None where there is none."""
        return self._records.get(key)

    def put(self, record: ExperimentRecord, *, expected: int | None) -> None:
        """Store a record whose present revision is `expected`."""
        present = self._records.get(record.experiment.key)
        if (None if present is None else present.revision) != expected:
            raise StaleWriteError(
                f"Experiment {shown(record.experiment.key)} was changed meanwhile; read it again."
            )
        self._records[record.experiment.key] = record

    def keys(self) -> tuple[str, ...]:
        """Return every key, sorted."""
        return tuple(sorted(self._records))


@final
class ExperimentManager(Shown):
    """Runs experiments by rules that keep them valid.

    A running experiment keeps its salt and its variants' names; exposure only grows; shares
    change by moving the least mass, in a new version. Every change is on the audit trail.

    Args:
        store: Where records are kept.
        clock: Source of instants.

    Examples:
        >>> from siamrec._core.clock import ManualClock
        >>> from siamrec.experiments import Experiment
        >>> manager = ExperimentManager(MemoryExperiments(), clock=ManualClock())
        >>> manager.define(Experiment(key="x", variants={"control": 0.5, "new": 0.5},
        ...                           exposure=0.1)).status
        'draft'
        >>> manager.start("x").status, manager.ramp("x", 0.5).exposure
        ('running', 0.5)
    """

    def __init__(self, store: ExperimentStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @override
    def title(self) -> str:
        return f"Experiment manager on {type(self._store).__name__}"

    @override
    def table(self) -> Table:
        """Return one row for each experiment."""
        records = filter(None, map(self._store.get, self._store.keys()))
        rows = (
            (r.experiment.key, r.experiment.status, r.experiment.exposure, r.revision, r.decision)
            for r in records
        )
        head = ("experiment", "status", "exposure", "changes", "decision")
        return Table(head=head, rows=tuple(rows), title=self.title())

    def define(self, experiment: Experiment, *, who: str = "") -> Experiment:
        """Add a draft.

        Raises:
            InvalidParameterError: If the key is taken; the error names the salt where that
                differs, for a changed salt would move every unit.
        """
        present = self._store.get(experiment.key)
        if present is not None:
            salt, kept = experiment.salt, present.experiment.salt
            if salt != kept:
                status = present.experiment.status
                expected = (
                    f"{shown(kept)}, the salt of the {status} experiment {shown(experiment.key)}"
                )
                raise InvalidParameterError("salt", salt, expected)
            raise InvalidParameterError("key", experiment.key, "new")
        draft = replace(experiment, status="draft")
        entry = self._entry(experiment.key, "define", f"variants {dict(draft.variants)}", who)
        self._store.put(ExperimentRecord(experiment=draft, trail=(entry,)), expected=None)
        return draft

    def start(self, key: str, *, who: str = "") -> Experiment:
        """Start a draft.

        Raises:
            InvalidParameterError: If it is not a draft, or overlaps a running experiment of its
                layer.
            UnknownNameError: If there is no such experiment.
        """
        record = self.record(key)
        if record.experiment.status != "draft":
            raise InvalidParameterError("status", record.experiment.status, "'draft' to start")
        started = replace(record.experiment, status="running")
        running = [each for each in self.running().values() if each.key != key]
        HashAssigner([*running, started])  # refuses overlapping layers
        return self._change(record, started, "start", f"exposure {started.exposure:g}", who)

    def ramp(self, key: str, exposure: float, *, who: str = "") -> Experiment:
        """Let more units in; nobody who takes part is moved.

        Raises:
            InvalidParameterError: If it is not running or the exposure would shrink.
            UnknownNameError: If there is no such experiment.
        """
        record = self._running(key)
        ramped = record.experiment.ramped(exposure)
        detail = f"exposure {record.experiment.exposure:g} to {exposure:g}"
        return self._change(record, ramped, "ramp", detail, who)

    def reweight(self, key: str, variants: Mapping[str, float], *, who: str = "") -> Experiment:
        """Change the shares, moving the least mass of units, in a new version.

        Raises:
            InvalidParameterError: If it is not running, shares do not sum to 1, or the control
                is not among them.
            UnknownNameError: If there is no such experiment.
        """
        record = self._running(key)
        changed = record.experiment.reweighted(variants)
        detail = f"version {changed.version}: {dict(variants)}"
        return self._change(record, changed, "reweight", detail, who)

    def stop(self, key: str, *, reason: str = "", who: str = "") -> Experiment:
        """Stop a running experiment: every unit is outside from now on.

        Raises:
            InvalidParameterError: If it is not running.
            UnknownNameError: If there is no such experiment.
        """
        record = self._running(key)
        stopped = replace(record.experiment, status="stopped")
        return self._change(record, stopped, "stop", reason, who)

    def conclude(self, key: str, report: ExperimentReport, *, who: str = "") -> ExperimentRecord:
        """Keep the decision of a report, and stop the experiment if it runs.

        An experiment is concluded once, after it was started.

        Raises:
            InvalidParameterError: If the report says to continue, or the experiment is a draft
                or has been concluded.
            UnknownNameError: If there is no such experiment, or the report's winner is none of
                its variants.
        """
        record = self.record(key)
        experiment = record.experiment
        if experiment.status == "draft":
            raise InvalidParameterError("status", "draft", "'running' or 'stopped' to conclude")
        if record.decision is not None:
            raise InvalidParameterError("decision", record.decision, "None, not concluded before")
        if report.decision == "continue":
            raise InvalidParameterError("report.decision", report.decision, "a final one")
        if report.winner is not None:
            check.one_of("variant", report.winner, tuple(experiment.variants))
        if record.experiment.status == "running":
            self.stop(key, reason=f"concluded: {report.decision}", who=who)
            record = self.record(key)
        entry = self._entry(key, "conclude", "; ".join((report.decision, *report.reasons)), who)
        concluded = replace(
            record,
            revision=record.revision + 1,
            trail=(*record.trail, entry),
            decision=report.decision,
            winner=report.winner,
        )
        self._store.put(concluded, expected=record.revision)
        return concluded

    def record(self, key: str) -> ExperimentRecord:
        """Return an experiment with its history.

        Raises:
            UnknownNameError: If there is none of that key.
        """
        record = self._store.get(key)
        if record is None:
            raise UnknownNameError("experiment", key, self._store.keys())
        return record

    def running(self) -> dict[str, Experiment]:
        """Return the running experiments by key."""
        records = (self.record(key) for key in self._store.keys())  # noqa: SIM118 - not a dict
        found = {record.experiment.key: record.experiment for record in records}
        return {key: each for key, each in found.items() if each.status == "running"}

    def assigner(self) -> HashAssigner:
        """Return an assigner for every experiment that has been defined.

        Drafts and stopped ones leave every unit outside, for the reason `not_running`, so that
        a host can ask for them before they start and after they end. Where one runs, its key
        may be left out.

        Raises:
            MissingInputError: If no experiment has been defined.
        """
        keys = self._store.keys()
        if not keys:
            raise MissingInputError("experiment", "define(Experiment(...)), then start(key)")
        return HashAssigner([self.record(key).experiment for key in keys], clock=self._clock)

    def _running(self, key: str) -> ExperimentRecord:
        record = self.record(key)
        if record.experiment.status != "running":
            raise InvalidParameterError("status", record.experiment.status, "'running'")
        return record

    def _change(
        self, record: ExperimentRecord, experiment: Experiment, action: str, detail: str, who: str
    ) -> Experiment:
        entry = self._entry(experiment.key, action, detail, who)
        changed = replace(
            record,
            experiment=experiment,
            revision=record.revision + 1,
            trail=(*record.trail, entry),
        )
        self._store.put(changed, expected=record.revision)
        return experiment

    def _entry(self, key: str, action: str, detail: str, who: str) -> AuditEntry:
        return AuditEntry(
            time=self._clock.now(), experiment=key, action=action, detail=detail, who=who
        )
