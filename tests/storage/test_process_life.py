"""Threads, event loops, forks, signals, schemas and logs that grow: a store in a host's life."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, inspect

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError, StorageError
from siamrec.storage import Store, inspected
from siamrec.testing.feedback import rows_of, sample_feedback

if TYPE_CHECKING:
    from pathlib import Path

ARMS = ("a", "b")


def one(user: str, time: int = 1) -> Feedback:
    return Feedback.of(user=[user], item=["x"], time=[time])


def users(store: Store) -> list[str]:
    return sorted(str(row[0]) for row in rows_of(store.feedback.read()))


def test_sixteen_threads_share_a_store(store: Store) -> None:
    tail = store.tail("reader")

    def work(thread: int) -> int:
        bandit = store.bandit("home", BetaThompson(), ARMS)
        for turn in range(8):
            store.feedback.write(one(f"{thread}-{turn}", turn))
            assert bandit.learn(bandit.select(unit=f"u{thread}").id, reward=1.0).applied == 1
            store.feedback.summary()
            store.versions.add(f"{thread}-{turn}", "m", {"n": turn})
        return len(list(store.feedback.read()))

    with ThreadPoolExecutor(16) as pool:
        assert min(pool.map(work, range(16))) >= 1
    assert len(users(store)) == len(set(users(store))) == 128
    bandit = store.bandit("home", BetaThompson(), ARMS)
    assert bandit.sums()["wins"].sum() == 128
    assert sorted(v.number for v in store.versions.all("m")) == [*range(1, 129)]
    seen = 0
    while (batch := tail.fetch()) is not None:
        seen += len(batch)
    assert seen == 128


def test_an_event_loop_hands_calls_to_threads(store: Store) -> None:
    async def visit(number: int) -> int:
        receipt = await asyncio.to_thread(store.feedback.write, one(f"u{number}"))
        return receipt.accepted

    async def serve() -> list[int]:
        return await asyncio.gather(*(visit(number) for number in range(40)))

    assert asyncio.run(serve()) == [1] * 40
    assert len(users(store)) == 40


def test_a_database_in_memory_says_that_threads_cannot_share_it() -> None:
    store = Store("sqlite://")
    store.feedback.write(one("ann"))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(store.feedback.read_all)
        with pytest.raises(StorageError, match="is of the thread that opened it: give the store"):
            asked.result()
    assert users(store) == ["ann"]


def test_a_look_leaves_a_host_s_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode = DELETE")
        base.execute("CREATE TABLE mine (n)")
        base.commit()
    before, names = path.read_bytes(), {each.name for each in tmp_path.iterdir()}
    assert inspected(f"sqlite:///{path}").state == "empty"
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == names
    path.chmod(0o400)
    assert inspected(f"sqlite:///{path}").state == "empty"


def test_a_look_beside_writers_sees_what_they_wrote(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'with space & more.db'}"
    with closing(Store(url)) as store:
        store.feedback.write(one("ann"))
        found = inspected(url)
        assert (found.counts["event"], found.state, found.damage) == (1, "current", ())
    assert inspected(url).counts["event"] == 1
    with pytest.raises(StorageError, match="There is no database at"):
        inspected(f"sqlite:///{tmp_path / 'none.db'}")


def test_a_schema_of_its_own_stands_beside_a_host_s_tables(url: str) -> None:
    if "postgresql" not in url:
        with pytest.raises(InvalidParameterError, match="give SQLite a file of its own"):
            Store(url, schema="learning")
        return
    host = create_engine(url)
    with host.begin() as connection:
        connection.exec_driver_sql('CREATE TABLE "event" (mine int)')
        connection.exec_driver_sql('CREATE TABLE "siamrec_schema" (version_num text)')
        connection.exec_driver_sql("INSERT INTO \"siamrec_schema\" VALUES ('of the host')")
    for odd in ("a b", 'x"; DROP', "", "1a", 7):
        with pytest.raises(InvalidParameterError, match="a name of letters, digits and _"):
            Store(url, schema=odd)  # type: ignore[arg-type]
    for place, who in ((url, "ann"), (host, "cid")):
        with closing(Store(place, schema="learning")) as store:
            bandit = store.bandit("home", BetaThompson(), ARMS)
            bandit.learn(bandit.select(unit=who).id, reward=1.0)
            store.feedback.write(one(who))
            store.feedback.write(one("bob"))
            assert store.tail("t").fetch() is not None
            store.snapshots.take()
            assert store.erase(who).n_events == 1
            store.verify()
    assert inspected(url, schema="learning").counts["event"] == 1
    with host.connect() as connection:  # what the host has in its own is as it was
        assert connection.exec_driver_sql('SELECT count(*) FROM "event"').scalar() == 0
        assert set(inspect(connection).get_table_names()) == {"event", "siamrec_schema"}
        assert connection.exec_driver_sql("SHOW search_path").scalar() == '"$user", public'
    host.dispose()


def test_a_log_that_grew_while_somebody_read_is_short_again(tmp_path: Path) -> None:
    log = tmp_path / "log.db-wal"
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}")) as store:
        store.feedback.write(one("ann"))
        with store._engine.connect() as reader:
            reader.exec_driver_sql("SELECT count(*) FROM event").all()
            for turn in range(30):
                store.feedback.comment("ann", "x", f"{turn}" * 500_000, time=turn)
            assert log.stat().st_size > 16 * 2**20
        store.feedback.popular(1)
        assert log.stat().st_size == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_writes_for_itself(url: str) -> None:
    store = Store(url)
    writer = store.writer(max_wait=30)
    writer.write(one("of the parent"))
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:  # what pytest would do at exit is not the child's
            code = 1
            try:
                writer.write(one(f"of child {number}"))
                writer.flush()
                code = int(len(store.feedback.read_all()) < 1)
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    writer.close()
    assert (writer.n_accepted, writer.n_duplicates) == (1, 0)
    assert users(store) == ["of child 0", "of child 1", "of child 2", "of the parent"]
    store.close()


TOLD = """
import os, signal, sys, time
from siamrec.data import Feedback
from siamrec.storage import Store
store = Store(sys.argv[1])
writer = store.writer(max_wait=60)
writer.write(Feedback.of(user=["parent"], item=["x"], time=[1]))
child = os.fork()
writer.write(Feedback.of(user=["child" if child == 0 else "more"], item=["x"], time=[2]))
if child == 0:
    print("ready", flush=True)
    time.sleep(90)
else:
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status), flush=True)
    time.sleep(90)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_signal_ends_child_and_parent_and_loses_nothing(url: str) -> None:
    Store(url).close()
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TOLD, url], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        said: Any = {parent.stdout.readline().strip() for _ in range(2)}
        (child,) = said - {"ready"}
        os.kill(int(child), signal.SIGTERM)
        assert parent.stdout.readline().strip() == str(int(signal.SIGTERM))
        parent.terminate()
        assert parent.wait(60) == -signal.SIGTERM
    with closing(Store(url)) as store:
        assert users(store) == ["child", "more", "parent"]


def test_a_locked_database_says_what_to_do(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}")) as store:
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with store._engine.connect() as connection:
                connection.connection.dbapi_connection.execute("PRAGMA busy_timeout = 10")  # type: ignore[union-attr]
            with pytest.raises(StorageError, match="let it commit or close it.*do this again"):
                store.feedback.write(sample_feedback())
        assert store.feedback.write(sample_feedback()).accepted == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There are no forks here.")
def test_decisions_of_forked_children_have_ids_of_their_own(tmp_path: Path) -> None:
    """Also where all of them decide in one instant, counting on from the same number."""
    clock = ManualClock(5)
    with closing(Store(f"sqlite:///{tmp_path}/log.db", clock=clock)) as store:
        bandit = store.bandit("home", BetaThompson(), ARMS)
        bandit.select(unit="before")
        for _ in range(2):
            child = os.fork()
            if child == 0:  # pragma: no cover - another process
                code = 1
                try:
                    bandit.select(unit="child")
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        bandit.select(unit="after")
        made = [decision.id for decision in store.decisions.read("home")]
    assert len(made) == len(set(made)) == 4


def test_a_bandit_in_memory_that_was_forked_makes_ids_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bandit = ContextualBandit(BetaThompson(), ARMS, clock=ManualClock(5))
    mine = bandit.memory.new_ids([5, 5])
    monkeypatch.setattr(os, "getpid", lambda: 12_345)
    theirs = bandit.memory.new_ids([5, 5])
    assert not set(mine) & set(theirs)
