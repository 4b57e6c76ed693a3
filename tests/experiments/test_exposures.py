"""Exposures are told once, in batches, and survive a broken sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from siamrec._core.clock import ManualClock
from siamrec.experiments import Experiment, ExposureLog, HashAssigner
from siamrec.experiments.assignment import MemoryExposures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data.assignments import Exposure


def test_exposures_are_told_once_and_in_batches() -> None:
    sink, clock = MemoryExposures(), ManualClock(3)
    log = ExposureLog(sink, clock=clock, batch=2, remember=2)
    assigner = HashAssigner([Experiment(key="x", variants={"a": 0.5, "b": 0.5}, exposure=0.7)])
    inside = [u for u in map(str, range(30)) if assigner.assign(u).in_experiment][:3]
    outside = next(u for u in map(str, range(30)) if not assigner.assign(u).in_experiment)
    assert not log.tell(assigner.assign(outside))
    assert log.tell(assigner.assign(inside[0]))
    assert not log.tell(assigner.assign(inside[0]))
    assert sink.exposures == []
    assert log.tell(assigner.assign(inside[1]))
    assert [each.assignment.unit for each in sink.exposures] == inside[:2]
    assert log.tell(assigner.assign(inside[2]))
    assert log.tell(assigner.assign(inside[0]))  # forgotten by now; the sink must bear it
    assert log.flush() == 0


def test_a_broken_sink_loses_nothing() -> None:
    class Broken:
        calls = 0

        def write(self, exposures: Sequence[Exposure]) -> None:
            Broken.calls += 1
            if Broken.calls == 1:
                raise OSError

    log = ExposureLog(Broken(), clock=ManualClock(), batch=1)
    unit = HashAssigner([Experiment(key="x", variants={"a": 1.0})]).assign("u")
    with pytest.raises(OSError):
        log.tell(unit)
    assert log.flush() == 1
