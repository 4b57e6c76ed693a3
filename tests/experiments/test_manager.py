"""The life of an experiment: allowed steps, refused ones, the trail."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec._core.clock import ManualClock
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    StaleWriteError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    Experiment,
    ExperimentManager,
    ExperimentReport,
    Mean,
    MemoryExperiments,
    Plan,
    analyze,
)
from siamrec.experiments.manager import ExperimentRecord

HALF = {"control": 0.5, "new": 0.5}


def make() -> tuple[ExperimentManager, ManualClock]:
    clock = ManualClock(100)
    return ExperimentManager(MemoryExperiments(), clock=clock), clock


def report(gap: float, *, looking: bool = False) -> ExperimentReport:
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


def test_a_changed_salt_is_refused_by_name() -> None:
    manager, _ = make()
    manager.define(Experiment(key="x", variants=HALF, salt="a"))
    again = Experiment(key="x", variants=HALF, salt="b")
    with pytest.raises(InvalidParameterError, match="salt must be 'a', the salt of the draft exp"):
        manager.define(again)
    manager.start("x")
    with pytest.raises(InvalidParameterError, match="salt must be 'a', .* running .*, got 'b'"):
        manager.define(again)


def test_what_was_started_is_concluded_once() -> None:
    manager, _ = make()
    manager.define(Experiment(key="x", variants=HALF))
    with pytest.raises(InvalidParameterError, match="'running' or 'stopped' to conclude"):
        manager.conclude("x", report(1.0))
    assert manager.start("x").status == "running"
    manager.stop("x")
    manager.conclude("x", report(1.0))
    with pytest.raises(InvalidParameterError, match="decision must be None, not concluded before"):
        manager.conclude("x", report(1.0))
    assert len(manager.record("x").trail) == 4


def test_a_winner_is_one_of_the_variants() -> None:
    manager, _ = make()
    manager.define(Experiment(key="x", variants={"control": 0.5, "newer": 0.5}))
    manager.start("x")
    with pytest.raises(UnknownNameError, match="No variant is named 'new'. Did you mean 'newer'"):
        manager.conclude("x", report(1.0))
    assert manager.record("x").experiment.status == "running"


def test_the_control_stays() -> None:
    manager, _ = make()
    manager.define(Experiment(key="x", variants=HALF))
    manager.start("x")
    with pytest.raises(InvalidParameterError, match="shares that name the control, 'control'"):
        manager.reweight("x", {"new": 0.9, "newer": 0.1})
    changed = manager.reweight("x", {"new": 0.9, "control": 0.1})
    assert (changed.control, dict(changed.variants)) == ("control", {"control": 0.1, "new": 0.9})


def test_an_assigner_knows_every_experiment() -> None:
    manager, _ = make()
    with pytest.raises(MissingInputError, match="experiment is needed here; pass it as define"):
        manager.assigner()
    for key in ("x", "y", "z"):
        manager.define(Experiment(key=key, variants=HALF))
    assert manager.assigner().assign("u", "x").reason == "not_running"
    manager.start("x")
    manager.start("y")
    manager.stop("x")
    assigner = manager.assigner()
    assert assigner.assign("u").experiment == "y"
    assert assigner.assign("u", "x").reason == "not_running"
    assert not assigner.assign_many(["u", "v"], "z").in_experiment.any()


def test_a_stale_write_is_refused() -> None:
    store = MemoryExperiments()
    record = ExperimentRecord(experiment=Experiment(key="x", variants=HALF))
    store.put(record, expected=None)
    with pytest.raises(StaleWriteError, match="changed meanwhile"):
        store.put(record, expected=None)
