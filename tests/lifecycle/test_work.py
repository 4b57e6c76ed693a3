"""A workspace that works by itself: once among many, whatever ends in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, HOUR, MINUTE, ManualClock
from siamrec.data import Feedback
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    StaleWriteError,
    UnknownNameError,
)
from siamrec.experiments import Experiment
from siamrec.lifecycle import Held, Placement, Promotion, Retraining, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

EASY = Promotion(min_users=1, margin=1.0, confident=False)
"""Whatever is new serves."""


def opened(folder: Path, clock: ManualClock) -> Workspace:
    return Workspace(f"sqlite:///{folder}/app.db", clock=clock)


def happened(ws: Workspace, n: int = 40) -> None:
    """New events, other ones at every instant."""
    now = ws._ground.now()
    users = [f"u{(now // HOUR + 3 * k) % 80}" for k in range(n)]
    items = [f"i{(now // HOUR + k) % 35}" for k in range(n)]
    ws.feedback.write(
        Feedback.of(user=users, item=items, kind="click", time=[now + k for k in range(n)])
    )


@pytest.fixture
def due_shop(shop: Workspace, shop_clock: ManualClock) -> Workspace:
    """A shop whose placement is due, every six hours from now on."""
    rules = Retraining(every="6h")
    shop.place(replace(shop.placement("home").config, retraining=rules, promotion=EASY))
    happened(shop)
    shop_clock.advance(6 * HOUR)
    return shop


def trainings(ws: Workspace) -> list[Any]:
    return [entry.body for entry in ws.diary("home") if entry.what == "trained"]


def test_three_workers_train_what_is_due_once(
    due_shop: Workspace, shop_clock: ManualClock, tmp_path: Path
) -> None:
    before = len(trainings(due_shop))
    workers = [opened(tmp_path / "shop", shop_clock) for _ in range(3)]
    for n in range(1, 4):
        together = Barrier(3)

        def work(ws: Workspace, together: Barrier = together) -> int:
            together.wait()
            return ws.work().done

        with ThreadPoolExecutor(3) as pool:
            assert sum(pool.map(work, workers)) == 1
        assert len(due_shop.jobs.list()) == n
        assert len(trainings(due_shop)) == before + n
        assert not due_shop.placement("home").due().yes
        happened(due_shop)
        shop_clock.advance(6 * HOUR)
    for ws in workers:
        ws.close()


def test_what_is_not_due_is_left_alone(due_shop: Workspace, shop_clock: ManualClock) -> None:
    due_shop.work()
    happened(due_shop)
    shop_clock.advance(6 * HOUR - 1)
    assert due_shop.work().done == 0
    shop_clock.advance(1)
    assert due_shop.work().done == 1


@pytest.mark.slow
def test_a_worker_killed_at_any_step_is_taken_over_with_the_result_of_an_undisturbed_one(
    due_shop: Workspace, shop_clock: ManualClock, tmp_path: Path
) -> None:
    due_shop.close()
    n_steps = 9
    folders = [
        shutil.copytree(tmp_path / "shop", tmp_path / f"copy{n}") for n in range(n_steps + 2)
    ]
    script = Path(__file__).with_name("killed_worker.py")
    command = [sys.executable, str(script), str(shop_clock.now()), *map(str, folders)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    assert f"{folders[n_steps + 1]} ended after {n_steps} steps" in told.stdout
    assert len(told.stdout.splitlines()) == 2  # all others were killed
    with opened(folders[-1], shop_clock) as ws:
        (undisturbed,) = ws.jobs.list()
        served = [(each.version, each.reason) for each in ws.registry.history("placement:home")]
        assert undisturbed.result is not None
        assert undisturbed.result["verdict"] == "promoted"
        n_trained = len(trainings(ws))
    shop_clock.advance(2 * MINUTE)
    for step, folder in enumerate(folders[:n_steps]):
        with opened(folder, shop_clock) as ws:
            if step:  # what it reads is named by its first step; what comes later is no part of it
                happened(ws)
            assert ws.work().done == 1
            (job,) = ws.jobs.list()
            assert (job.attempts, job.fence) == (2, 2)
            assert job.result == undisturbed.result
            history = ws.registry.history("placement:home")
            assert [(each.version, each.reason) for each in history] == served
            assert len(trainings(ws)) == n_trained
            ws.verify()


def test_a_variant_is_trained_with_its_placement_once(
    due_shop: Workspace, shop_clock: ManualClock
) -> None:
    experiment = Experiment(key="x", variants={"now": 0.5, "new": 0.5})
    due_shop.placement("home").test(experiment, {"new": {"arms.svd.factors": 2}})
    happened(due_shop)
    before = len(trainings(due_shop))
    assert due_shop.work().done == 1
    told = trainings(due_shop)[before:]
    assert [(each["variant"], each["verdict"]) for each in told] == [
        (None, "promoted"), ("new", "promoted"),
    ]  # fmt: skip


def test_a_slow_kind_delays_no_other(shop: Workspace) -> None:
    quick_done, begun = Event(), []

    def slow(held: Held) -> dict[str, Any]:
        begun.append(held.job.key)
        return {"waited": quick_done.wait(30)}

    def quick(held: Held) -> dict[str, Any]:
        quick_done.set()
        return {}

    shop.jobs.handle("slow", slow)
    shop.jobs.handle("quick", quick)
    for n in range(3):
        shop.jobs.start("slow", key=str(n), priority=9)
    shop.jobs.start("quick")
    assert shop.work(threads=2).done == 4
    assert sorted(begun) == ["0", "1", "2"]
    assert [job.result for job in shop.jobs.list(kind="slow")] == [{"waited": True}] * 3


def test_a_failure_is_tried_again_and_then_given_up(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    def broken(held: Held) -> dict[str, Any]:
        raise ZeroDivisionError(held.job.key)

    shop.jobs.handle("broken", broken)
    job = shop.jobs.start("broken", key="k")
    assert (shop.work().again, shop.work().again) == (1, 0)
    for _ in range(2):
        shop_clock.advance(HOUR)
        last = shop.work()
    assert last.failed == 1
    told = shop.jobs.get(job.id)
    assert (told.status, told.error) == ("failed", "ZeroDivisionError: k")
    assert shop.jobs.retry(job.id).status == "waiting"


def test_a_training_that_fails_is_due_again_after_a_pause(
    due_shop: Workspace, shop_clock: ManualClock
) -> None:
    home = due_shop.placement("home")
    (job,) = _started(due_shop)
    due_shop.jobs.cancel(job.id)
    assert home.due().reasons[0].startswith("1 failure since the last training: not before")
    assert due_shop.work().done == 0
    shop_clock.advance(HOUR)
    assert due_shop.work().done == 1


def _started(ws: Workspace) -> list[Any]:
    """Let what is due be started, and nothing be done."""
    ws.jobs.kinds["retrain"] = replace(ws.jobs.kinds["retrain"], handler=_refusing)
    ws.work()
    kinds = type(ws.jobs)(ws._ground).kinds
    ws.jobs.kinds["retrain"] = kinds["retrain"]
    return ws.jobs.list(status="waiting")


def _refusing(held: Held) -> dict[str, Any]:
    raise RuntimeError(held.job.id)


def test_a_worker_whose_lease_ran_out_promotes_nothing(
    due_shop: Workspace, shop_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = due_shop.active("home")
    step = Held.step

    def late(self: Held, progress: int, line: str) -> None:
        if progress == 80 and self.job.attempts == 1:  # it is measured, and the machine sleeps
            shop_clock.advance(HOUR)
        step(self, progress, line)

    monkeypatch.setattr(Held, "step", late)
    before = len(trainings(due_shop))
    worked = due_shop.work(lease="60s")
    assert (worked.lost, worked.done) == (1, 1)  # and then it is taken over
    assert len(trainings(due_shop)) == before + 1
    assert due_shop.active("home") != serving
    assert [each.action for each in due_shop.registry.history("placement:home")][1:] == [
        "activated"
    ]


def test_a_cancelled_training_ends_at_its_next_step(
    due_shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Held.step

    def cancelled(self: Held, progress: int, line: str) -> None:
        if progress == 60:
            due_shop.jobs.cancel(self.job.id)
        step(self, progress, line)

    monkeypatch.setattr(Held, "step", cancelled)
    assert due_shop.work().lost == 1
    assert [job.status for job in due_shop.jobs.list()] == ["cancelled"]


def test_a_worker_that_is_told_to_stop_gives_its_job_back(due_shop: Workspace) -> None:
    stop = Event()

    def long(held: Held) -> dict[str, Any]:
        stop.set()
        held.step(50, "half")
        raise AssertionError

    due_shop.jobs.handle("long", long)
    job = due_shop.jobs.start("long", priority=9)
    assert due_shop.work(stop=stop).let_go == 1
    told = due_shop.jobs.get(job.id)
    assert (told.status, told.attempts) == ("waiting", 0)


def test_by_hand_with_a_key_there_is_one_job(shop: Workspace) -> None:
    first = shop.jobs.start("retrain", placement="home", key="nightly-2026-11-30")
    assert shop.jobs.start("retrain", placement="home", key="nightly-2026-11-30").id == first.id
    assert shop.work().done == 1
    told = shop.jobs.get(first.id)
    assert (told.status, told.progress, told.error) == ("done", 100, None)
    assert told.result is not None
    assert told.result["verdict"] == "kept"
    assert shop.jobs.start("retrain", placement="home", key="nightly-2026-11-30").status == "done"


def test_lists_are_settled_and_old_events_archived(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = shop.placement("home")
    for n in range(5):
        home.recommend(f"u{n}", request=f"r{n}")
    assert shop.work().settled == 0
    shop_clock.advance(2 * DAY)
    assert shop.work(kinds=["retrain"]).settled == 0
    settle = shop.jobs.start("settle", placement="home")
    assert shop.work().settled == 5  # the worker settles, whether asked or not
    assert shop.jobs.get(settle.id).result == {"lists": 0}
    job = shop.jobs.start("archive", arguments={"older": "400d"})
    shop.work()
    assert shop.jobs.get(job.id).result == {"events": 0, "held_by": []}


def test_a_placement_that_cannot_be_read_keeps_no_other_from_work(due_shop: Workspace) -> None:
    body = dict(due_shop.store.values.get("placement", "home").body)  # type: ignore[union-attr]
    newer = {**body, "name": "a", "of_a_newer_release": 1}
    due_shop.store.values.put("placement", "a", newer)
    worked = due_shop.work()
    assert worked.done == 1
    assert len(worked.errors) == 1
    assert "of_a_newer_release" in worked.errors[0]


def test_a_database_in_memory_works_alone(shop_clock: ManualClock, tmp_path: Path) -> None:
    with Workspace("sqlite://", blobs=tmp_path / "models", clock=shop_clock) as ws:
        happened(ws, 200)
        rules = Retraining(new_events=10)
        ws.place(Placement(name="home", arms={"top": "popularity"}, retraining=rules))
        assert ws.work().done == 1
        with pytest.raises(InvalidParameterError, match="in memory"):
            ws.work(threads=2)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda ws: ws.jobs.start("retrian", placement="home"), UnknownNameError, "'retrain'"),
        (lambda ws: ws.jobs.start("retrain", placement="hom"), UnknownNameError, "'home'"),
        (lambda ws: ws.jobs.start("retrain"), MissingInputError, "placement"),
        (
            lambda ws: ws.jobs.start("retrain", placement="home", arguments={"all": 1}),
            InvalidParameterError,
            "arguments",
        ),
        (lambda ws: ws.jobs.start("archive"), MissingInputError, "older"),
        (
            lambda ws: ws.jobs.start("archive", arguments={"older": "old"}),
            InvalidParameterError,
            "older",
        ),
        (
            lambda ws: ws.jobs.start("archive", placement="home", arguments={"older": "9d"}),
            InvalidParameterError,
            "placement",
        ),
        (lambda ws: ws.jobs.get("nothing"), UnknownNameError, "job"),
        (lambda ws: ws.jobs.handle("retrain", print), InvalidParameterError, "a new one"),
        (lambda ws: ws.jobs.handle("mine", "print"), InvalidParameterError, "a function"),
        (lambda ws: ws.work(kinds=["settel"]), UnknownNameError, "'settle'"),
        (lambda ws: ws.work(kinds="settle"), InvalidParameterError, "a list"),
        (lambda ws: ws.work(threads=0), InvalidParameterError, "threads"),
        (lambda ws: ws.work("soon"), InvalidParameterError, "until"),
        (lambda ws: ws.work(pause="x"), InvalidParameterError, "pause"),
        (lambda ws: ws.work(lease="x"), InvalidParameterError, "lease"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    shop: Workspace, ask: Callable[[Workspace], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask(shop)


def test_a_job_of_a_newer_release_waits_and_is_named(shop: Workspace) -> None:
    job = shop.store.jobs.start("roll-out", key="k")
    worked = shop.work()
    assert (worked.done, worked.without_handler) == (0, ("roll-out",))
    assert shop.jobs.get(job.id).status == "waiting"
    claim = shop.store.jobs.claim("newer", {"roll-out": 1})
    assert claim is not None
    shop.jobs.cancel(job.id)
    with pytest.raises(StaleWriteError):
        claim.finish({})


def test_a_worker_looks_for_work_until_the_time_it_is_told(
    due_shop: Workspace, shop_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    def waited(self: Event, seconds: float | None = None) -> bool:
        if seconds == 7.0:  # the clock goes on while it rests, and no time is spent here
            rests.append(seconds)
            shop_clock.advance(HOUR)
            happened(due_shop)
            return self.is_set()
        return wait(self, seconds)

    wait = Event.wait
    monkeypatch.setattr(Event, "wait", waited)
    worked = due_shop.work("24h", pause="7s")
    monkeypatch.undo()
    assert (worked.started, worked.done) == (5, 5)  # at 0, 6, 12, 18 and 24 hours
    assert len(rests) == 24
