"""The life of an experiment: allowed steps, refused ones, the trail."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec._core.clock import ManualClock
from siamrec.errors import InvalidParameterError, StaleWriteError, UnknownNameError
from siamrec.experiments import (
    AsymptoticCS,
    Experiment,
    ExperimentManager,
    ExperimentRecord,
    Mean,
    MemoryExperiments,
    Plan,
    Report,
    analyze,
)

HALF = {"control": 0.5, "new": 0.5}


def make() -> tuple[ExperimentManager, ManualClock]:
    clock = ManualClock(100)
    return ExperimentManager(MemoryExperiments(), clock=clock), clock


def report(gap: float, *, looking: bool = False) -> Report:
    rng = np.random.default_rng(1)
    data = {
        "variant": np.repeat(["control", "new"], 200),
        "y": np.concatenate([rng.normal(0, 1, 200), rng.normal(gap, 1, 200)]),
    }
    rule = AsymptoticCS(planned=10_000) if looking else None
    return analyze(data, Plan(metrics=[Mean("y")], sequential=rule))


def test_a_whole_life_is_on_the_trail() -> None:
    manager, clock = make()
    manager.define(Experiment(key="x", variants=HALF, exposure=0.1), who="ann")
    manager.start("x")
    clock.advance(5)
    manager.ramp("x", 0.5)
    manager.reweight("x", {"control": 0.4, "new": 0.6})
    assert manager.assigner().assign("u", "x").version == 2
    concluded = manager.conclude("x", report(1.0), who="bob")
    assert (concluded.decision, concluded.winner) == ("ship", "new")
    actions = [entry.action for entry in manager.record("x").trail]
    assert actions == ["define", "start", "ramp", "reweight", "stop", "conclude"]
    assert manager.record("x").trail[0].who == "ann"
    assert manager.record("x").trail[2].time == 105
    assert manager.running() == {}


def test_steps_that_are_not_allowed() -> None:
    manager, _ = make()
    manager.define(Experiment(key="x", variants=HALF, exposure=0.5))
    with pytest.raises(InvalidParameterError, match="key must be new"):
        manager.define(Experiment(key="x", variants=HALF))
    with pytest.raises(InvalidParameterError, match="status must be 'running'"):
        manager.ramp("x", 0.6)
    manager.start("x")
    with pytest.raises(InvalidParameterError, match="'draft' to start"):
        manager.start("x")
    with pytest.raises(InvalidParameterError, match="exposure must be at least"):
        manager.ramp("x", 0.4)
    with pytest.raises(InvalidParameterError, match="a final one"):
        manager.conclude("x", report(0.0, looking=True))
    with pytest.raises(UnknownNameError, match="experiment"):
        manager.stop("y")


def test_overlapping_layers_cannot_both_run() -> None:
    manager, _ = make()
    for key in ("x", "y"):
        manager.define(Experiment(key=key, variants=HALF, layer="ranking"))
    manager.start("x")
    with pytest.raises(InvalidParameterError, match="layer_range"):
        manager.start("y")
    manager.stop("x", reason="done")
    assert manager.start("y").status == "running"


def test_a_stale_write_is_refused() -> None:
    store = MemoryExperiments()
    record = ExperimentRecord(experiment=Experiment(key="x", variants=HALF))
    store.put(record, expected=None)
    with pytest.raises(StaleWriteError, match="changed meanwhile"):
        store.put(record, expected=None)
