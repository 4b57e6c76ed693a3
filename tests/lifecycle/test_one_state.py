"""A training, a run: each reads one state of its data, named before it does anything else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.data import NO_TIME, Feedback
from siamrec.errors import InvalidDataError
from siamrec.experiments import Experiment
from siamrec.lifecycle import ImprovementLoop, Placement, Workspace
from siamrec.models import HashingEncoder
from siamrec.storage import Store, _pages
from siamrec.storage.feedback import FeedbackLog

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

NOW = 20_000 * DAY
HOME = Placement(name="home", arms={"ease": "ease", "top": "popularity"}, k=8)


def late(n: int) -> Feedback:
    """Events that come while somebody reads: with a time and without, of a person like others."""
    return Feedback.of(
        user=["late"] * 2, item=["item-1", "item-2"], value=[5.0, 5.0], time=[NOW - n, NO_TIME]
    )


@pytest.fixture
def ws(world: SimulatedWorld, tmp_path: Path) -> Workspace:
    ws = Workspace(
        f"sqlite:///{tmp_path}/app.db", encoder="hashing", clock=ManualClock(NOW), salt="t"
    )
    ws.feedback.write(world.feedback)
    ws.catalog.write(world.catalog)
    ws.place(HOME)
    return ws


class Meanwhile:
    """Writes events into a database while another reads it."""

    def __init__(self, url: str) -> None:
        self.store, self.n = Store(url), 0

    def write(self) -> None:
        self.n += 1
        self.store.feedback.write(late(self.n))


@pytest.fixture
def meanwhile(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """What is written before each page of a log, which has two hundred events."""
    other = Meanwhile(f"sqlite:///{tmp_path}/app.db")
    whole = _pages.Pages.next

    def next_(self: Any, n_rows: int) -> Any:
        other.write()
        return whole(self, min(n_rows, 200))

    monkeypatch.setattr(_pages.Pages, "next", next_)
    return other


def test_a_log_is_read_in_one_state(ws: Workspace, meanwhile: Meanwhile) -> None:
    before = ws.store.feedback.summary().n_events
    found = ws.store.feedback.read_all()
    assert meanwhile.n > 3
    assert len(found) <= before + 2  # what was there when the first page was read
    ws.close()


def test_a_snapshot_is_what_is_read_with_it(ws: Workspace, meanwhile: Meanwhile) -> None:
    named = ws.store.snapshots.take()
    taken, found = ws.store.snapshots.read()
    assert meanwhile.n > 3
    assert taken == named
    assert len(found) == taken.n_events
    assert "late" not in found.users
    assert (
        ws.store.snapshots.take().n_events == taken.n_events + meanwhile.n + 1
    )  # one of them has no time
    ws.close()


def test_a_training_reads_what_the_diary_named_first(
    ws: Workspace, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes between the name and the end of the training is left for the next one."""
    write = type(ws.store.diary).write

    def written(self: Any, placement: str, what: str, body: Any) -> None:
        write(self, placement, what, body)
        meanwhile.write()

    monkeypatch.setattr(type(ws.store.diary), "write", written)
    before = ws.store.snapshots.take()
    trained = ws.train("home")
    began, ended = ws.diary("home")
    assert (began.what, ended.what) == ("training", "trained")
    assert began.body["data"] == ended.body["data"] == before.id
    assert began.body["events"] == before.n_events
    manifest = ws.registry.get(trained.release).manifest
    assert manifest["lineage"]["data"] == before.id
    release = ws.placement("home").release
    assert release is not None
    assert "late" not in release.arms["ease"].users
    monkeypatch.undo()
    again = ws.train("home")
    assert ws.diary("home")[-1].body["data"] != before.id
    assert again.release != trained.release
    ws.close()


def test_a_training_that_was_killed_is_named_and_the_next_equals_an_undisturbed_one(
    ws: Workspace, tmp_path: Path, world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it dies, nothing serves, and the same log gives the same release."""
    other = Workspace(
        f"sqlite:///{tmp_path}/other.db", encoder="hashing", clock=ManualClock(NOW), salt="t"
    )
    other.feedback.write(world.feedback)
    other.catalog.write(world.catalog)
    other.place(HOME)
    wanted = other.train("home").release
    places = [
        ("siamrec.lifecycle.training", "held_out"),
        ("siamrec.lifecycle.training", "fitted_release"),
        ("siamrec.lifecycle.training", "measured_beside"),
        ("siamrec.lifecycle.training", "registered"),
        ("siamrec.lifecycle.training", "_decided"),
        ("siamrec.lifecycle.training", "_entry"),
    ]

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    data = ws.store.snapshots.take().id
    for module, name in places:
        with monkeypatch.context() as patched:
            patched.setattr(f"{module}.{name}", dies)
            with pytest.raises(KeyboardInterrupt):
                ws.train("home")
        assert ws.diary("home")[-1].what == "training"
        assert ws.diary("home")[-1].body["data"] == data
        assert ws.active("home") in ({None} if name != "_entry" else {wanted})
    assert ws.train("home").release == wanted
    assert ws.active("home") == wanted
    assert len(ws.versions("home")) == 1
    ws.close()
    other.close()


def test_variants_are_trained_on_what_the_control_is(ws: Workspace, meanwhile: Meanwhile) -> None:
    ws.train("home")
    experiment = Experiment(key="l2", variants={"control": 0.4, "a": 0.3, "b": 0.3})
    changes: dict[str, dict[str, object]] = {
        name: {"arms.ease": {"name": "ease", "l2": l2}} for name, l2 in (("a", 9.0), ("b", 99.0))
    }
    ws.placement("home").test(experiment, variants=changes)
    ws.train("home")
    told = [each.body["data"] for each in ws.diary("home") if each.what == "trained"]
    control, *both = told
    assert both[0] == both[1] != control
    if len(told) > 3:
        assert len(set(told[3:])) == 1
    ws.close()


def test_the_key_of_a_run_is_on_disk_before_its_first_event(
    make_loop: Any, world: SimulatedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at once, and begun anew with a corrected file: only the corrected one is read."""
    out, db = tmp_path / "run", f"sqlite:///{tmp_path}/app.db"
    write = FeedbackLog.write

    def killed(self: Any, feedback: Feedback, **given: Any) -> None:
        assert (out / "progress.json").is_file()
        write(self, feedback, **given)
        raise KeyboardInterrupt

    wrong = replace(world.feedback, value=6.0 - world.feedback.value)
    with monkeypatch.context() as patched:
        patched.setattr(FeedbackLog, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            make_loop(out=out, source=wrong, store=db).run()
    with pytest.raises(InvalidDataError, match="unfinished run with another data"):
        make_loop(out=out, store=db).run()
    assert Store(db).feedback.summary().n_events == len(wrong)
    (out / "progress.json").unlink()
    mine = make_loop(out=out, store=db).run().summary()
    alone = make_loop(out=tmp_path / "alone").run().summary()
    for part in ("data", "split", "arms", "cold_arms", "bandit", "experiment"):
        assert mine[part] == alone[part]


@pytest.fixture
def log(world: SimulatedWorld, tmp_path: Path) -> FeedbackLog:
    """A log of its own that a run reads."""
    found = Store(f"sqlite:///{tmp_path}/log.db").feedback
    found.write(world.feedback)
    return found


STEPS = ("read", "split_summary", "tune", "measure", "register", "serve", "test", "activate")


@pytest.mark.parametrize("step", ["before the first event", *STEPS])
def test_what_comes_later_is_left_for_the_next_run(
    step: str,
    make_loop: Any,
    log: FeedbackLog,
    monkeypatch: pytest.MonkeyPatch,
    alone: dict[str, Any],
) -> None:
    """Killed in any step and begun again, a run over a log reads what it began with."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if step == "before the first event":
            patched.setattr("siamrec.lifecycle._cycle.Store", killed)
        else:
            patched.setattr(f"siamrec.lifecycle._cycle.Cycle.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            make_loop(source=log).run()
    log.write(late(1))
    assert told(make_loop(source=log).run().summary()) == alone
    grown = make_loop(source=log).run()  # the next one
    assert grown.summary()["data"]["events"] == alone["data"]["events"] + 2
    assert (grown.out / "earlier" / "1" / "events.arrow").is_file()


def test_a_log_that_lost_what_a_run_began_with_is_refused(
    make_loop: Any, world: SimulatedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path}/log.db")
    store.feedback.write(world.feedback)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("siamrec.lifecycle._cycle.Cycle.tune", killed)
        with pytest.raises(KeyboardInterrupt):
            make_loop(source=store.feedback).run()
    store.erase(str(world.feedback.users.ids[0]))
    with pytest.raises(InvalidDataError, match="unfinished run with another data"):
        make_loop(source=store.feedback).run()
    file = tmp_path / "run" / "events.arrow"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InvalidDataError, match=r"events.arrow is damaged; remove it and progress"):
        make_loop(source=store.feedback).run()


def told(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name != "seconds"}


@pytest.fixture(scope="module")
def alone(world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The summary of a run over the same log that nobody disturbs."""
    folder = tmp_path_factory.mktemp("alone")
    source = Store(f"sqlite:///{folder}/log.db").feedback
    source.write(world.feedback)
    loop = ImprovementLoop(
        source=source, catalog=world.catalog, encoder=HashingEncoder(dim=64),
        out=folder / "run", seed=3,
    )  # fmt: skip
    return told(loop.run().summary())
