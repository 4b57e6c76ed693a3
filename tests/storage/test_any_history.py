"""Any history of writes, rewards, sweeps, rebuilds, archives and erasures: fold(log) == state."""

from __future__ import annotations

import tempfile
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
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from siamrec._core.clock import HOUR, ManualClock
from siamrec.bandits import BetaThompson, Context, ContextualBandit, HierarchicalBeta, Learning
from siamrec.data import Feedback, Rewards
from siamrec.storage import Store

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
        url = f"sqlite:///{Path(self.folder.name) / 'log.db'}"
        policy: Any = HierarchicalBeta() if pooled else BetaThompson()
        context = Context.default() if pooled else None
        self.cell: Any = {"segment": "cold"} if pooled else None
        self.stores = [Store(url, clock=self.clock) for _ in range(2)]
        given: dict[str, Any] = {"context": context, "learning": memory}
        self.workers: list[Any] = [
            store.bandit("home", policy, ARMS, **given) for store in self.stores
        ]
        self.attribution = memory.attribution is not None
        self.elsewhere: Any = ContextualBandit(
            policy, ARMS, name="home", worker="far", clock=self.clock, **given
        )  # fmt: skip
        self.events: dict[str, tuple[Any, ...]] = {}
        self.erased: set[str] = set()

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

    @override
    def teardown(self) -> None:
        if hasattr(self, "stores"):
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
