"""Exposures: which units have met their variant, each told once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, day
from siamrec.data.assignments import Assignment, Exposure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.protocols import Clock


class ExposureSink(Protocol):
    """Takes exposures in; writing one twice must store it once."""

    def write(self, exposures: Sequence[Exposure]) -> None:
        """Store exposures."""
        ...


@final
class MemoryExposures(Shown):
    """A sink in this process's memory; mutable."""

    def __init__(self) -> None:
        self.exposures: list[Exposure] = []

    @override
    def title(self) -> str:
        return f"Exposures in memory: {len(self.exposures):,}"

    @override
    def table(self) -> Table:
        """Return the first exposures."""
        rows = (
            (e.assignment.unit, e.assignment.variant, day(e.time)) for e in self.exposures[:10]
        )
        return Table(head=("unit", "variant", "day"), rows=tuple(rows), title=self.title())

    def write(self, exposures: Sequence[Exposure]) -> None:
        """Store exposures."""
        self.exposures.extend(exposures)


@final
class ExposureLog(Shown):
    """Tells a sink about exposures: in batches, and about the same one only once. Mutable.

    Units outside the experiment are not exposures. What was told is remembered for the latest
    `remember` of them; the sink must bear a repetition from further back.

    Args:
        sink: Where exposures go.
        clock: Source of instants.
        batch: Exposures to gather before the sink is called; `flush` sends what is left.
        remember: How many exposures to remember.

    Raises:
        InvalidParameterError: If a number is below 1.

    Examples:
        >>> from siamrec._core.clock import ManualClock
        >>> from siamrec.experiments import Experiment, HashAssigner
        >>> assigner = HashAssigner([Experiment(key="x", variants={"a": 0.5, "b": 0.5})])
        >>> log = ExposureLog(MemoryExposures(), clock=ManualClock(7), batch=10)
        >>> [log.tell(assigner.assign(unit)) for unit in ("u", "v", "u")]
        [True, True, False]
        >>> log.flush()
        2
    """

    def __init__(
        self, sink: ExposureSink, *, clock: Clock, batch: int = 100, remember: int = 100_000
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._batch = check.count("batch", batch)
        self._remember = check.count("remember", remember)
        self._told: OrderedDict[tuple[str, str, str | None, int], None] = OrderedDict()
        self._waiting: list[Exposure] = []

    @override
    def title(self) -> str:
        return f"Exposure log: {len(self._told):,} told, {len(self._waiting):,} waiting"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "sink": type(self._sink).__name__,
            "told": len(self._told),
            "waiting": len(self._waiting),
        }
        return Table.of(self.title(), facts)

    def tell(self, assignment: Assignment) -> bool:
        """Note that a unit has met its variant; return whether that was news."""
        if not assignment.in_experiment:
            return False
        key = (
            assignment.experiment,
            assignment.unit,
            assignment.variant,
            assignment.version,
        )
        if key in self._told:
            self._told.move_to_end(key)
            return False
        self._told[key] = None
        if len(self._told) > self._remember:
            self._told.popitem(last=False)
        self._waiting.append(Exposure(assignment=assignment, time=self._clock.now()))
        if len(self._waiting) >= self._batch:
            self.flush()
        return True

    def flush(self) -> int:
        """Send what waits, and return how many that were.

        If the sink raises, nothing is lost: the exposures go on waiting.
        """
        sent = len(self._waiting)
        if sent:
            self._sink.write(tuple(self._waiting))
            self._waiting = []
        return sent
