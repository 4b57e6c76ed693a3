"""Any history of writes, restarts, clocks, restores and erasures: all is read, fold == state."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from siamrec._core.clock import HOUR, ManualClock
from siamrec.bandits import BetaThompson, Context, ContextualBandit, HierarchicalBeta, Learning
from siamrec.data import Feedback, Rewards
from siamrec.errors import InvalidDataError
from siamrec.storage import Store
from siamrec.storage.versions import version_id

ARMS = ("a", "b", "c")
USERS = ("ann", "bob", "cid")


class History(RuleBasedStateMachine):
    """Two workers on one store, with a bandit in memory that is told the same as a model."""

    made = Bundle("made")
    foreign = Bundle("foreign")

    @initialize(
        memory=st.sampled_from(
            [
                Learning(),
                Learning(half_life="2h"),
                Learning(window="9h"),
                Learning(attribution="3h"),
            ]
        ),
        pooled=st.booleans(),
    )
    def opened(self, memory: Learning, *, pooled: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(1_000 * HOUR)
        policy: Any = HierarchicalBeta() if pooled else BetaThompson()
        context = Context.default() if pooled else None
        self.cell: Any = {"segment": "cold"} if pooled else None
        given: dict[str, Any] = {"context": context, "learning": memory}
        self.recipe = (policy, ARMS, given)
        self.stores: list[Store] = []
        self.workers: list[Any] = []
        for worker in range(2):
            self._open(worker)
        self.attribution = memory.attribution is not None
        self.elsewhere: Any = ContextualBandit(
            policy, ARMS, name="home", worker="far", clock=self.clock, **given
        )  # fmt: skip
        self.events: dict[str, tuple[Any, ...]] = {}
        self.erased: set[str] = set()
        self.kept: tuple[Any, ...] | None = None

    def _open(self, worker: int) -> None:
        policy, arms, given = self.recipe
        url = f"sqlite:///{Path(self.folder.name) / 'now' / 'log.db'}"
        (Path(self.folder.name) / "now").mkdir(exist_ok=True)
        store = Store(url, clock=self.clock)
        self.stores[worker : worker + 1] = [store]
        self.workers[worker : worker + 1] = [store.bandit("home", policy, arms, **given)]

    @rule(worker=st.integers(0, 1))
    def restart(self, worker: int) -> None:
        self.stores[worker].close()
        self._open(worker)

    @rule()
    def back_up(self) -> None:
        self._copied("now", "kept")
        self.kept = dict(self.events), set(self.erased)

    @precondition(lambda self: self.kept is not None)
    @rule()
    def restore(self) -> None:
        assert self.kept is not None
        self._copied("kept", "now")
        self.events, self.erased = dict(self.kept[0]), set(self.kept[1])

    def _copied(self, source: str, target: str) -> None:
        for store in self.stores:
            store.close()
        folder = Path(self.folder.name)
        shutil.rmtree(folder / target, ignore_errors=True)
        shutil.copytree(folder / source, folder / target)
        for worker in range(2):
            self._open(worker)

    @rule(target=made, worker=st.integers(0, 1), unit=st.sampled_from(USERS), n=st.integers(1, 2))
    def select(self, worker: int, unit: str, n: int) -> Any:
        return self.workers[worker].select(self.cell, unit=unit, n=n)

    @rule(target=foreign)
    def select_elsewhere(self) -> Any:
        return self.elsewhere.select(self.cell)

    @rule(worker=st.integers(0, 1), decision=consumes(foreign))
    def record(self, worker: int, decision: Any) -> None:
        self.workers[worker].record(decision)

    @rule(
        worker=st.integers(0, 1),
        decision=st.one_of(made, foreign),
        late=st.integers(0, 5),
        reward=st.sampled_from([0.0, 0.25, 1.0]),
        rank=st.sampled_from([0, -1]),
        weight=st.sampled_from([1.0, 0.5]),
    )
    def learn(  # noqa: PLR0917
        self,
        worker: int,
        decision: Any,
        late: int,
        reward: float,
        rank: int,
        weight: float,
    ) -> None:
        arm = decision.arms[rank] if rank else None
        time = decision.time + late * HOUR
        self.workers[worker].learn(decision.id, reward=reward, arm=arm, time=time, weight=weight)

    @rule(worker=st.integers(0, 1), decisions=st.lists(made, min_size=1, max_size=4))
    def learn_many(self, worker: int, decisions: list[Any]) -> None:
        n = len(decisions)
        ids = np.asarray([decision.id for decision in decisions])
        self.workers[worker].learn(Rewards(decision=ids, reward=np.ones(n)))

    @rule(hours=st.integers(1, 200))
    def wait(self, hours: int) -> None:
        self.clock.advance(hours * HOUR)

    @rule(hours=st.integers(-90_000, 90_000))
    def jump(self, hours: int) -> None:
        self.clock.set(max(self.clock.now() + hours * HOUR, 0))

    @rule(
        worker=st.integers(0, 1),
        id_=st.sampled_from(["never", "heard"]),
        reward=st.sampled_from([0.0, 1.0]),
        told=st.booleans(),
    )
    def learn_early(self, worker: int, id_: str, reward: float, *, told: bool) -> None:
        time = self.clock.now() if told else None
        assert self.workers[worker].learn(id_, reward=reward, time=time).applied == 0

    @rule(worker=st.integers(0, 1), decision=made, reward=st.sampled_from([0.0, 1.0]))
    def learn_again(self, worker: int, decision: Any, reward: float) -> None:
        self.workers[worker].learn(decision.id, reward=reward)
        assert self.workers[worker].learn(decision.id, reward=reward).applied == 0

    @rule(
        worker=st.integers(0, 1),
        odd=st.sampled_from(
            [
                {"user": 2**63}, {"item": "x" * 5_000}, {"weight": -1}, {"value": 1e39},
                {"time": 2**63}, {"user": None}, {"key": ""}, {"decision": "d" * 5_000}, 7,
            ]
        ),
    )  # fmt: skip
    def write_nonsense(self, worker: int, odd: Any) -> None:
        event = {"user": "eve", "item": "x", "time": 3, **odd} if isinstance(odd, dict) else odd
        written = self.stores[worker].feedback.write_events([event])
        assert (written.accepted, len(written.rejected)) == (0, 1)

    @rule(worker=st.integers(0, 1), number=st.integers(0, 3))
    def release(self, worker: int, number: int) -> None:
        versions = self.stores[worker].versions
        manifest = {"n": number}
        added = versions.add(version_id(manifest), "m", manifest)
        versions.point("live", added.id, expect=versions.active("live"), reason="better")

    @rule(worker=st.integers(0, 1), body=st.dictionaries(st.text(max_size=3), st.integers()))
    def put(self, worker: int, body: dict[str, int]) -> None:
        try:
            stored = self.stores[worker].values.put("kind", "name", body)
        except InvalidDataError:
            return
        assert stored.body == body

    @rule(worker=st.integers(0, 1))
    def sweep(self, worker: int) -> None:
        if self.attribution:
            self.workers[worker].expire()

    @rule(worker=st.integers(0, 1))
    def rebuild(self, worker: int) -> None:
        self.stores[worker].rebuild("bandit:home")

    @rule(worker=st.integers(0, 1), user=st.sampled_from(USERS), time=st.integers(0, 9))
    def write(self, worker: int, user: str, time: int) -> None:
        key = f"{user}-{time}"
        feedback = Feedback.of(user=[user], item=["x"], value=[1.0], time=[time])
        receipt = self.stores[worker].feedback.write(feedback, keys=[key])
        new = key not in self.events and key not in self.erased
        assert (receipt.accepted, receipt.duplicates) == (int(new), int(not new))
        if new:
            self.events[key] = (user, time)

    @precondition(lambda self: hasattr(os, "fork"))
    @rule(worker=st.integers(0, 1), user=st.sampled_from(USERS), time=st.integers(0, 9))
    def fork(self, worker: int, user: str, time: int) -> None:
        """A child of a process that opened the store before writes and ends; others go on."""
        key = f"{user}-{time}"
        new = key not in self.events and key not in self.erased
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads that others started
            child = os.fork()
        if child == 0:  # pragma: no cover - another process
            code = 1
            try:
                code = self._in_child(worker, user, time, new=new)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        self.events[key] = (user, time) if new else self.events.get(key, (user, time))
        if key in self.erased:
            del self.events[key]

    def _in_child(self, worker: int, user: str, time: int, *, new: bool) -> int:
        store, bandit = self.stores[worker], self.workers[worker]
        feedback = Feedback.of(user=[user], item=["x"], value=[1.0], time=[time])
        receipt = store.feedback.write(feedback, keys=[f"{user}-{time}"])
        n_decisions = len([*store.decisions.read("home")])
        decision = bandit.select(self.cell, unit=user)
        if bandit.learn(decision.id, reward=1.0).applied != 1:
            return 2
        if len([*store.decisions.read("home")]) != n_decisions + 1:
            return 3
        store.verify()
        return 0 if receipt.accepted == int(new) else 4

    @rule(worker=st.integers(0, 1), before=st.integers(0, 10))
    def archive(self, worker: int, before: int) -> None:
        self.stores[worker].archive(before, segment_rows=2)

    @rule(
        worker=st.integers(0, 1),
        user=st.sampled_from(USERS),
        how=st.sampled_from(["detach", "delete"]),
    )
    def erase(self, worker: int, user: str, how: Any) -> None:
        gone = {key for key, row in self.events.items() if row[0] == user}
        assert self.stores[worker].erase(user, decisions=how).n_events == len(gone)
        self.erased |= gone
        for key in gone:
            del self.events[key]

    @invariant()
    def state_is_the_fold_of_the_log(self) -> None:
        if not hasattr(self, "stores"):
            return
        for store in self.stores:
            store.verify()
        log = self.stores[0].feedback
        found = [
            row for b in log.read() for row in zip(b.users.decode(b.user), b.time, strict=True)
        ]
        assert sorted(found) == sorted(self.events.values())

    def _everything_can_be_read(self) -> None:
        for store, bandit in zip(self.stores, self.workers, strict=True):
            if self.events:
                assert len(store.feedback.read_all()) == len(self.events)
            store.feedback.summary()
            store.snapshots.take()
            for decision in store.decisions.read("home"):
                assert set(decision.arms) <= set(ARMS)
            store.decisions.rewards("home")
            store.as_of(self.clock.now()).bandit("home").sums()
            bandit.describe(self.cell)
            bandit.select(self.cell)
            assert all(np.isfinite(total).all() for total in bandit.sums().values())
            for version in store.versions.all():
                assert store.versions.get(version.id).manifest == version.manifest
            store.versions.history("live")
            store.values.history("kind", "name")
            store.verify()

    @override
    def teardown(self) -> None:
        if hasattr(self, "stores"):
            try:
                self._everything_can_be_read()
            finally:
                for store in self.stores:
                    store.close()
                self.folder.cleanup()


def _run(n: int, steps: int) -> None:
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=n,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_history() -> None:
    _run(10, 15)


@pytest.mark.slow
def test_any_long_history() -> None:
    _run(80, 40)
