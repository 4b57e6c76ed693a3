"""Databases that are read-only, full, locked, corrupt, far away; clocks and texts that lie."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy import event as engine_event
from sqlalchemy.exc import OperationalError

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError, StorageError
from siamrec.storage import Store, _engine
from siamrec.storage._engine import network_file_system
from siamrec.testing.feedback import rows_of, sample_feedback

if TYPE_CHECKING:
    from sqlalchemy import Connection

ARMS = ("a", "b")
MOUNTS = """/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb /home/ann/local\\040disk xfs rw 0 0
//nas/share /mnt/share cifs rw 0 0
drvfs /mnt/c 9p rw 0 0
"""


def _with(store: Store, *pragmas: str) -> None:
    """Make every connection of a store say something more when it opens."""

    def opened(connection: Any, _: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    engine_event.listen(store._engine, "connect", opened)
    store._engine.dispose()


def test_a_read_only_database_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = Store(f"sqlite:///{path}")
    store.feedback.write(sample_feedback())
    store.close()
    read_only = Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert len(read_only.feedback.read_all()) == 10
    with pytest.raises(StorageError, match="attempt to write a readonly database"):
        read_only.feedback.write(sample_feedback())
    read_only.close()


def test_a_full_database_keeps_what_it_has(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    store.feedback.write(sample_feedback())
    with closing(sqlite3.connect(tmp_path / "log.db")) as base:
        (pages,) = base.execute("PRAGMA page_count").fetchone()
    _with(store, f"max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match="database or disk is full"):
        store.feedback.comment("ann", "x", "long " * 100_000, time=5)
    assert len(store.feedback.read_all()) == 10
    store.close()


def test_a_locked_database_says_so(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    _with(store, "busy_timeout = 20")
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="database is locked"):
            store.feedback.write(sample_feedback())
        assert list(store.feedback.read()) == []
        other.execute("ROLLBACK")
    assert store.feedback.write(sample_feedback()).accepted == 10
    store.close()


def test_a_corrupt_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = Store(f"sqlite:///{path}")
    for batch in range(40):
        ids = [f"{batch}-{row}" for row in range(50)]
        store.feedback.write(Feedback.of(user=ids, item=ids, time=[batch] * 50))
    store.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\x5a" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StorageError, match="malformed|not a database"):
        Store(f"sqlite:///{path}").feedback.read_all()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/log.db", None),
        ("/home/ann/log.db", "nfs4"),
        ("/home/ann/local disk/log.db", None),
        ("/homework/log.db", None),
        ("/mnt/share/log.db", "cifs"),
        ("/mnt/c/Users/log.db", "9p"),
    ],
)
def test_network_file_systems_are_known(path: str, kind: str | None) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mounts").write_text(f"server:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(_engine, "_MOUNTS", tmp_path / "mounts")
    with pytest.raises(StorageError, match=r"is on a network file system \(nfs\).*local disk"):
        Store(f"sqlite:///{tmp_path / 'log.db'}")
    Store("sqlite://").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'log.db'}")
    Store(engine).close()
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file::memory:?uri=true", None),
        ("sqlite:///file:name?mode=memory&uri=true", None),
        ("sqlite:///a/log.db", "a/log.db"),
        ("sqlite:////a/log.db", "/a/log.db"),
        ("sqlite:///file:/a/log.db?mode=ro&uri=true", "/a/log.db"),
        ("postgresql+psycopg://host/name", None),
    ],
)
def test_the_file_of_a_url(url: str, file: str | None) -> None:
    assert _engine.file_of(make_url(url)) == (None if file is None else Path(file))


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_durability_is_what_sqlite_is_told(
    tmp_path: Path, durability: Any, synchronous: int
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}", durability=durability)
    with _engine.reading(store._engine) as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode", "busy_timeout")
        }
    assert told == {"synchronous": synchronous, "journal_mode": "wal", "busy_timeout": 10_000}
    store.close()


def test_a_clock_that_goes_back_loses_nothing(url: str) -> None:
    clock = ManualClock(1_000)
    store = Store(url, clock=clock)
    bandit = store.bandit("home", BetaThompson(), ARMS)
    tail = store.tail("reader")
    ids = []
    for now in (1_000, 10, 500, 5, 2_000):
        clock.set(now)
        store.feedback.rate("ann", f"at {now}", 4)
        ids.append(bandit.select().id)
        bandit.learn(ids[-1], reward=1.0)
        assert len(tail.fetch() or ()) == 1
    assert [row[-1] for row in rows_of(store.feedback.read())] == [5, 10, 500, 1_000, 2_000]
    assert len(set(ids)) == 5
    assert bandit.sums()["wins"].sum() == 5
    store.verify()
    store.close()


def test_ten_megabytes_in_one_event(store: Store) -> None:
    text = "ü" * 5_000_000
    assert store.feedback.comment("ann", "x", text, time=1).accepted == 1
    assert store.feedback.comment("ann", "x", text, time=1).duplicates == 1
    assert store.feedback.read_all().context["comment"][0] == text
    written = store.feedback.write_events([{"user": "a", "item": "x", "query": text, "time": 2}])
    assert written.accepted == 1


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_no_database_holds_is_refused(store: Store, text: str) -> None:
    with pytest.raises(InvalidDataError, match="no NUL and no lone surrogate"):
        store.feedback.write(Feedback.of(user=[text], item=["x"]))
    with pytest.raises(InvalidDataError, match="no NUL and no lone surrogate"):
        store.feedback.write(Feedback.of(user=["a"], item=["x"]), keys=[text])
    bandit = store.bandit("home", BetaThompson(), ARMS)
    refused = (InvalidDataError, InvalidParameterError)
    with pytest.raises(refused, match="NUL|valid Unicode"):
        bandit.select(unit=text)
    assert set(store.counts().values()) <= {0, 1}
    with pytest.raises(InvalidParameterError, match="decision must be"):
        store.feedback.click(f"decision {text}", "x", user="ann")


class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("could not serialize access")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("sqlstate", "times"), [("40001", 3), ("40P01", 12), ("57014", 1)])
def test_what_may_be_run_again_is(
    monkeypatch: pytest.MonkeyPatch, sqlstate: str, times: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("siamrec.storage._engine.time.sleep", pauses.append)
    store = Store("sqlite://")
    ran = []

    def work(connection: Connection) -> int:
        connection.exec_driver_sql("INSERT INTO sticky VALUES ('e', 'u', 'v', 0.5, 1)")
        ran.append(1)
        if len(ran) < (3 if sqlstate == "40001" else 99):
            raise OperationalError("", {}, _ServerError(sqlstate))
        return 7

    if sqlstate == "40001":
        assert _engine.transact(store._engine, work) == 7
    else:
        with pytest.raises(StorageError, match="could not serialize"):
            _engine.transact(store._engine, work)
    assert len(ran) == times
    for attempt, pause in enumerate(pauses):
        assert 0.5 <= pause / min(0.01 * 2**attempt, 0.3) <= 1.5
    assert len(pauses) == times - 1
    assert store.counts()["sticky"] == (sqlstate == "40001")


def test_transactions_of_a_host_s_engine_begin_when_they_begin(tmp_path: Path) -> None:
    # SQLite's driver waits for the first write by itself: what was read before may be old then.
    engine = create_engine(f"sqlite:///{tmp_path / 'log.db'}")
    store, other = Store(engine), Store(f"sqlite:///{tmp_path / 'log.db'}")
    _with(other, "busy_timeout = 20")
    with _engine.writing(engine), pytest.raises(StorageError, match="database is locked"):
        other.feedback.write(sample_feedback())
    with _engine.reading(engine) as connection:
        count = "SELECT count(*) FROM event"
        assert connection.exec_driver_sql(count).scalar() == 0
        other.feedback.write(sample_feedback())
        assert connection.exec_driver_sql(count).scalar() == 0
    assert len(store.feedback.read_all()) == 10
    other.close()
    engine.dispose()


def test_engines_of_a_host_lose_no_update(url: str, store: Store) -> None:
    # SQLite's driver begins late by itself; PostgreSQL says that it must be run again.
    server = {"isolation_level": "SERIALIZABLE"} if "postgresql" in url else {}
    engine = create_engine(url, **server)
    ids = store.bandit("home", BetaThompson(), ARMS).select_many([{}] * 60).id
    errors: list[BaseException] = []

    def learn(worker: int) -> None:
        try:
            bandit = Store(engine).bandit("home", BetaThompson(), ARMS)
            for each in ids:  # both learn of the same decisions, and each counts once
                bandit.learn(str(each), reward=1.0, time=worker)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            errors.append(error)

    threads = [threading.Thread(target=learn, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    bandit = store.bandit("home", BetaThompson(), ARMS)
    assert bandit.sums()["wins"].sum() == 60
    store.verify()
    engine.dispose()
