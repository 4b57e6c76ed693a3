"""A bandit on a store: shared by workers, exactly once, and always the fold of its log."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.bandits import (
    BetaThompson,
    Context,
    ContextualBandit,
    HierarchicalBeta,
    Learning,
    LinearThompson,
    performance,
)
from siamrec.data import Rewards
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    StorageError,
    UnknownNameError,
)
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

ARMS = ("svd", "graph", "fresh")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10 * DAY)


@pytest.fixture
def shop(url: str, clock: ManualClock) -> Iterator[Store]:
    opened = Store(url, clock=clock)
    yield opened
    opened.close()


def test_it_learns_what_a_bandit_in_memory_learns(shop: Store, clock: ManualClock) -> None:
    context = Context.default()
    stored = shop.bandit("home", HierarchicalBeta(), ARMS, context=context, seed=3)
    memory = ContextualBandit(
        HierarchicalBeta(), ARMS, context=context, seed=3, name="home", clock=clock
    )
    for number in range(12):
        clock.advance(HOUR)
        cell = {"segment": "cold" if number % 2 else "regular"}
        decision = stored.select(cell, unit=f"u{number}", n=1 + number % 2)
        memory.record(decision)
        reward = float(number % 3 == 0)
        assert stored.learn(decision.id, reward=reward) == memory.learn(decision.id, reward=reward)
        assert stored.probabilities(cell) == pytest.approx(memory.probabilities(cell), rel=1e-9)
    for name, total in memory.sums().items():
        np.testing.assert_allclose(stored.sums()[name], total, rtol=1e-12)
    assert stored.arms == ARMS
    assert stored.state_version == 12
    assert set(performance(stored.memory)) == set(performance(memory.memory))
    assert shop.verify().checked["bandit:home"] > 0


def test_late_repeated_early_and_corrected_rewards(shop: Store, clock: ManualClock) -> None:
    bandit = shop.bandit("home", BetaThompson(), ARMS, learning=Learning(attribution="2h"))
    decision = bandit.select()
    assert bandit.learn(decision.id, reward=1.0, time=clock.now() + 5).applied == 1
    assert bandit.learn(decision.id, reward=1.0, time=clock.now() + 5).unchanged == 1
    assert bandit.learn(decision.id, reward=0.0, time=clock.now() + 4).unchanged == 1
    assert bandit.learn(decision.id, reward=0.0, time=clock.now() + 6).applied == 1
    assert bandit.learn(decision.id, reward=1.0, time=clock.now() + 3 * HOUR).late == 1
    assert (bandit.sums()["wins"].sum(), bandit.sums()["losses"].sum()) == (0, 1)
    elsewhere = ContextualBandit(
        BetaThompson(), ARMS, name="home", worker="x", clock=clock
    ).select()
    assert bandit.learn(elsewhere.id, reward=1.0).early == 1
    assert bandit.n_early == 1
    assert bandit.record(elsewhere) == 1
    assert bandit.record(elsewhere) == 0
    assert bandit.n_early == bandit.n_pending == 0
    assert (bandit.sums()["wins"].sum(), bandit.sums()["losses"].sum()) == (1, 1)
    shop.verify()


def test_the_sweep_writes_timeouts_once(shop: Store, clock: ManualClock) -> None:
    bandit = shop.bandit("home", BetaThompson(), ARMS, learning=Learning(attribution="2h"))
    kept, lost = bandit.select(), bandit.select(n=2)
    bandit.learn(kept.id, reward=1.0)
    assert bandit.expire().applied == 0
    clock.advance(3 * HOUR)
    assert bandit.expire().applied == 2
    assert bandit.expire().applied == 0
    assert bandit.n_pending == 0
    # A success from inside the window that is delivered after the sweep is older than the
    # timeout, as in memory.
    assert bandit.learn(lost.id, reward=1.0, time=lost.time + 1).unchanged == 1
    assert (bandit.sums()["wins"].sum(), bandit.sums()["losses"].sum()) == (1, 2)
    shop.verify()
    with pytest.raises(MissingInputError, match="attribution is needed here"):
        shop.bandit("other", BetaThompson(), ARMS).expire()


@pytest.mark.parametrize("memory", [Learning(half_life="1h"), Learning(window="5d"), None])
def test_forgetting_is_the_same_on_a_store(
    shop: Store, clock: ManualClock, memory: Learning | None
) -> None:
    bandit = shop.bandit("home", BetaThompson(), ARMS, learning=memory)
    for step in range(6):
        clock.advance(30 * HOUR)  # epochs of 64 hours: several of them
        bandit.learn(bandit.select().id, reward=float(step % 2))
        shop.verify()
    replayed = bandit.replay()
    assert bandit.probabilities() == pytest.approx(replayed.probabilities(), rel=1e-9)


def test_features_are_kept(shop: Store) -> None:
    bandit = shop.bandit("home", LinearThompson(), ARMS, n_features=3)
    rng = np.random.default_rng(0)
    first = bandit.select(features=rng.normal(size=3))
    many = bandit.select_many([{}] * 5, features=rng.normal(size=(5, 3)))
    ids = np.asarray([first.id, *many.id.tolist()])
    assert bandit.learn(Rewards(decision=ids, reward=rng.random(6))).applied == 6
    shop.verify()
    with pytest.raises(MissingInputError, match="features"):
        bandit.select()


def test_the_past_is_what_was_known_then(shop: Store, clock: ManualClock) -> None:
    bandit = shop.bandit("home", BetaThompson(), ARMS)
    decision = bandit.select()
    clock.advance(10)
    before = clock.now()
    clock.advance(10)
    bandit.learn(decision.id, reward=1.0, time=before - 1)  # known later than it happened
    assert shop.as_of(before).bandit("home").sums()["wins"].sum() == 0
    assert shop.as_of(clock.now()).bandit("home").sums()["wins"].sum() == 1
    with pytest.raises(UnknownNameError, match="No bandit is named 'hmoe'"):
        shop.as_of(0).bandit("hmoe")


def test_a_wrong_sum_is_found_and_rebuilt(shop: Store, url: str) -> None:
    bandit = shop.bandit("home", BetaThompson(), ARMS)
    ids = [bandit.select().id for _ in range(4)]
    bandit.learn(Rewards(decision=np.asarray(ids), reward=np.ones(4)))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE fold SET value = value + 1")
    engine.dispose()
    with pytest.raises(StorageError, match="'bandit:home' is not the fold of its log: wins"):
        shop.verify()
    assert shop.rebuild("bandit:home") == 4
    assert shop.verify().checked["bandit:home"] > 0
    assert bandit.sums()["wins"].sum() == 4
    with pytest.raises(UnknownNameError, match="No projection is named"):
        shop.rebuild("home")


def test_two_bandits_of_one_name_must_be_one(shop: Store, url: str) -> None:
    one = shop.bandit("home", BetaThompson(), ARMS)
    with pytest.raises(InvalidParameterError, match=r"arms must be \['svd', 'graph', 'fresh'\]"):
        shop.bandit("home", BetaThompson(), ("svd", "graph"))
    with pytest.raises(InvalidParameterError, match="policy must be 'BetaThompson"):
        shop.bandit("home", HierarchicalBeta(), ARMS)
    with pytest.raises(InvalidParameterError, match="half_life must be None"):
        shop.bandit("home", BetaThompson(), ARMS, learning=Learning(half_life="1d"))
    decision = one.select()
    with pytest.raises(InvalidDataError, match="was made by 'home', not 'other'"):
        shop.bandit("other", BetaThompson(), ARMS).learn(decision.id, reward=1.0)
    with pytest.raises(InvalidDataError, match=r"reward must be in \[0, 1\]"):
        one.learn(decision.id, reward=2.0)
    other = next(arm for arm in ARMS if arm not in decision.arms)
    with pytest.raises(InvalidDataError, match="did not choose the arm"):
        one.learn(decision.id, reward=1.0, arm=other)
    with pytest.raises(UnknownNameError, match="No arm is named"):
        one.learn(decision.id, reward=1.0, arm="svdd")
    assert shop.counts()["reward"] == 0
    later = Store(url)
    assert later.verify().unchecked == ("bandit:home", "bandit:other")
    later.close()


def test_an_added_arm_reaches_every_worker(shop: Store) -> None:
    one, two = (shop.bandit("home", BetaThompson(), ARMS) for _ in range(2))
    two.learn(two.select().id, reward=1.0)
    one.add_arm("new")
    assert two.arms == (*ARMS, "new")
    decision = two.select(arms=["new"])
    assert one.learn(decision.id, reward=1.0).applied == 1
    assert two.sums()["wins"].sum() == 2
    shop.verify()
    with pytest.raises(InvalidParameterError, match="arm must be a new name"):
        two.add_arm("new")


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.sampled_from([0.0, 1.0]))),
    st.lists(st.sampled_from(["select", "rebuild", "expire"]), max_size=4),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_interleaving_is_the_fold_of_the_log(
    rewards: list[tuple[int, int, float]], others: list[str]
) -> None:
    clock = ManualClock(DAY)
    store = Store("sqlite://", clock=clock)
    workers = [
        store.bandit("home", BetaThompson(), ARMS, learning=Learning(attribution=3e-9))
        for _ in range(2)
    ]
    foreign = ContextualBandit(BetaThompson(), ARMS, name="home", worker="far", clock=clock)
    decisions = [foreign.select() for _ in range(5)]
    for step, (number, late, reward) in enumerate(rewards):
        worker = workers[step % 2]
        if step == 3:
            worker.record(decisions[0])
        worker.learn(decisions[number].id, reward=reward, time=DAY + late)
        if step < len(others):
            getattr(worker, others[step])()
        clock.advance(1)
    for decision in decisions:
        workers[0].record(decision)
    store.verify()
    workers[1].rebuild()
    store.verify()


WORKER = """
import sys
from siamrec.bandits import BetaThompson
from siamrec.storage import Store
store = Store(sys.argv[1])
bandit = store.bandit("home", BetaThompson(), ("a", "b"), worker=sys.argv[2])
for turn in range(60):
    decision = bandit.select()
    bandit.learn(decision.id, reward=1.0)
    bandit.learn(decision.id, reward=1.0, time=0)
"""


def test_two_processes_lose_no_update(url: str) -> None:
    Store(url).close()
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, url, f"w{number}"]) for number in range(2)
    ]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    store = Store(url)
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    assert bandit.sums()["wins"].sum() == 120
    assert bandit.state_version == 120
    store.verify()
    store.close()


KILLED = """
import sys
from siamrec.bandits import BetaThompson
from siamrec.storage import Store
bandit = Store(sys.argv[1]).bandit("home", BetaThompson(), ("a", "b"))
while True:
    decision = bandit.select()
    bandit.learn(decision.id, reward=1.0)
    print(decision.id, flush=True)
"""


def test_a_kill_loses_no_acknowledged_reward_and_counts_none_twice(url: str) -> None:
    Store(url).close()
    acknowledged = []
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            acknowledged += [worker.stdout.readline().strip() for _ in range(10)]
            worker.kill()
    store = Store(url)
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    store.verify()
    ids = np.asarray(acknowledged)
    assert bandit.sums()["wins"].sum() >= ids.size
    # Retries of what was acknowledged change nothing.
    known = store.decisions.rewards("home").by_decision()
    assert set(acknowledged) <= set(known)
    assert (
        bandit.learn(
            Rewards(
                decision=ids, reward=np.ones(ids.size), time=np.zeros(ids.size, dtype=np.int64)
            )
        ).applied
        == 0
    )
    store.close()
