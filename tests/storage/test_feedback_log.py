"""The event log: stored once, read in time order, on SQLite and on PostgreSQL."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, StorageError
from siamrec.storage import Store
from siamrec.testing.feedback import FeedbackSinkContract, rows_of
from siamrec.testing.stores import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.storage import FeedbackLog


class TestFeedbackLogInMemory(FeedbackSinkContract):
    @override
    def empty(self) -> FeedbackLog:
        return Store("sqlite://").feedback


class TestFeedbackLog(StoreContract):
    @pytest.fixture(autouse=True)
    def _store(self, url: str) -> Iterator[None]:
        self.url = url
        self.opened: list[Store] = []
        yield
        for store in self.opened:
            store.close()

    def _open(self) -> Store:
        self.opened.append(Store(self.url))
        return self.opened[-1]

    @override
    def empty(self) -> FeedbackLog:
        return self._open().feedback

    @override
    def reopened(self, store: FeedbackLog) -> FeedbackLog:
        return self._open().feedback


def test_every_column_survives(store: Store) -> None:
    frame = {
        "user": ["a", "b", "c"],
        "item": [1, 2, 3],
        "value": [0.1, -2.5, 1e-7],
        "kind": ["click", "rating", "dwell"],
        "query": ["red \x1f shoes", None, "日本"],
        "position": [3, 1, 0],
        "propensity": [0.25, 1.0, np.nan],
        "decision": ["d1", "d2", "d3"],
        "device": ["phone", "web", "web"],
        "time": [30, 10, 20],
    }
    feedback = Feedback.from_frame(
        frame, value="value", kind="kind", query="query", position="position",
        propensity="propensity", decision="decision", context=["device"], time="time",
    )  # fmt: skip
    store.feedback.write(feedback)
    found = store.feedback.read_all()
    expected = feedback.sorted().to_arrow().sort_by("time").to_pylist()
    assert found.to_arrow().select(list(expected[0])).to_pylist()[0]["decision"] == "d2"
    for row, wanted in zip(found.to_arrow().to_pylist(), expected, strict=True):
        assert {name: repr(row[name]) for name in wanted} == {
            n: repr(v) for n, v in wanted.items()
        }


def test_whole_numbers_and_text_stay_apart(store: Store) -> None:
    store.feedback.write(Feedback.of(user=[1, "1", "b"], item=["x", 2, "x"], time=[1, 2, 3]))
    found = store.feedback.read_all()
    assert found.users.decode(found.user) == [1, "1", "b"]
    assert found.items.decode(found.item) == ["x", 2, "x"]


def test_events_without_time_come_first(store: Store) -> None:
    store.feedback.write(Feedback.of(user=["a", "b"], item=["x", "x"], time=[5, NO_TIME]))
    assert [batch.time[0] for batch in store.feedback.read(batch_rows=1)] == [NO_TIME, 5]
    assert [len(batch) for batch in store.feedback.read(since=0)] == [1]


def test_a_key_with_another_content_is_a_conflict(store: Store) -> None:
    one = Feedback.of(user=["a"], item=["x"], value=[1], time=[1])
    two = Feedback.of(user=["a"], item=["x"], value=[5], time=[1])
    assert store.feedback.write(one, keys=["k1"]).accepted == 1
    receipt = store.feedback.write(two, keys=["k1"])
    assert (receipt.accepted, receipt.duplicates, receipt.conflicts) == (0, 0, ("k1",))
    assert store.feedback.read_all().value.tolist() == [1]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_batching_gives_the_same_log(
    rows: list[tuple[int, int, int]], random: object
) -> None:
    whole, pieces = Store("sqlite://"), Store("sqlite://")
    feedback = Feedback.of(
        user=[u for u, _, _ in rows], item=[i for _, i, _ in rows], time=[t for *_, t in rows]
    )
    whole.feedback.write(feedback)
    order = list(range(len(rows))) * 2
    random.shuffle(order)  # type: ignore[attr-defined]
    for row in order:
        pieces.feedback.write(feedback.where(np.asarray([row])))
    assert sorted(rows_of(whole.feedback.read())) == sorted(rows_of(pieces.feedback.read()))
    assert len(set(rows)) == pieces.counts()["event"]


KILLED = """
import os, signal, sys
from siamrec.data import Feedback
from siamrec.storage import Store
store = Store(sys.argv[1])
for batch in range(10_000):
    ids = [f"{sys.argv[2]}-{batch}-{row}" for row in range(20)]
    store.feedback.write(Feedback.of(user=ids, item=["x"] * 20, time=[batch] * 20))
    print(batch, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    acknowledged = 0
    for turn in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, url, str(turn)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                acknowledged += 20
                if int(line) == 15:
                    writer.kill()
                    break
    store = Store(url)
    found = store.counts()["event"]
    # The batch in flight when the process died may be there as a whole or not at all.
    assert found >= acknowledged
    assert found % 20 == 0


def test_racing_workers_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'race.db'}"
    code = "import sys; from siamrec.storage import Store; Store(sys.argv[1]).close()"
    racers = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
    assert [racer.wait(60) for racer in racers] == [0] * 4
    assert set(Store(url).counts().values()) == {0}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_a_store_that_nobody_closes_takes_its_connections_with_it(tmp_path: Path) -> None:
    path = tmp_path / "left.db"
    store = Store(f"sqlite:///{path}")
    reader = Thread(target=store.counts)
    reader.start()
    reader.join()
    assert files_open(path) > 0
    del store, reader
    for _ in range(200):  # a thread that has been joined may still be putting away what it held
        gc.collect()
        if not files_open(path):
            break
        sleep(0.05)
    assert files_open(path) == 0


def files_open(path: Path) -> int:
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists the folder is gone by now
            found += link.readlink() == path
    return found


def test_bad_input_is_refused(tmp_path: Path) -> None:
    store = Store("sqlite://")
    with pytest.raises(InvalidDataError, match="keys must be one text of 1 to 64 characters"):
        store.feedback.write(Feedback.of(user=["a"], item=["x"]), keys=["", "b"])
    with pytest.raises(InvalidDataError, match="The log has no event yet"):
        store.feedback.read_all()
    with pytest.raises(InvalidParameterError, match="url must be a database URL"):
        Store("nonsense")
    with pytest.raises(StorageError, match="unable to open database file"):
        Store(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    (tmp_path / "text.db").write_text("this is no database, but a text of some length " * 40)
    with pytest.raises(StorageError, match="file is not a database"):
        Store(f"sqlite:///{tmp_path / 'text.db'}")


@pytest.mark.parametrize("start", ["postgres://joe:", "bogus://joe:", "sqlite://x:", "joe:"])
def test_a_url_that_cannot_be_read_is_reported_without_the_password(start: str) -> None:
    with pytest.raises(InvalidParameterError, match="database URL") as caught:
        Store(start + "sec@ret@h/db")
    assert "ret" not in str(caught.value)
    assert caught.value.__context__ is None  # SQLAlchemy's own error would spell it out


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageError) as caught:
        Store("postgresql+psycopg://ann:secret@127.0.0.1:9/nothing")
    assert "secret" not in str(caught.value)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "newer.db"
    Store(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE siamrec_schema SET version_num = '9999'")
    connection.close()
    with pytest.raises(StorageError, match="made by a newer version of siamrec"):
        Store(f"sqlite:///{path}")


def test_the_migrations_make_the_tables_of_the_schema(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from siamrec.storage.schema import metadata

    Store(url).close()
    engine = create_engine(url)

    def made_here(_: object, name: str | None, kind: str, *__: object) -> bool:
        return (kind, name) != ("index", "event_tail") or engine.dialect.name == "postgresql"

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "siamrec_schema", "include_object": made_here}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_an_older_database_is_brought_up_to_date(url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    from siamrec.storage import _engine

    config = Config()
    folder = _engine.__file__.replace("_engine.py", "migrations")
    config.set_main_option("script_location", folder)
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            """INSERT INTO event (seq, "key", digest, kind, time, received, "user", item,
               whole_ids, value, weight) VALUES (7, 'k', 'd', 0, 5, 6, 'ann', 'x', 0, 4, 1)"""
        )
        connection.exec_driver_sql("INSERT INTO reward VALUES (1, 'd', 'a', 0.5, 3, 1, 4)")
        connection.exec_driver_sql(
            "INSERT INTO alias_log (seq, name, version, time, reason) VALUES "
            "(1, 'live', 'a', 1, 'better'), (2, 'live', 'b', 2, 'rollback: worse')"
        )
    engine.dispose()
    store = Store(url)
    assert rows_of(store.feedback.read()) == [("ann", "x", 4.0, 5)]
    assert store.counts()["reward"] == 1
    changes = store.versions.history("live")
    assert [(change.action, change.reason) for change in changes] == [
        ("activated", "better"),
        ("rolled_back", "worse"),
    ]
    tail = store.tail("new")
    assert len(tail.fetch() or ()) == 1
    store.feedback.write(Feedback.of(user=["bob"], item=["x"], time=[1]))
    store.close()


def test_vocabularies_are_of_the_batch() -> None:
    store = Store("sqlite://")
    store.feedback.write(Feedback.of(user=["a", "b"], item=["x", "y"], time=[1, 2]))
    first, second = store.feedback.read(batch_rows=1)
    assert first.users == Vocabulary(("a",))
    assert second.users == Vocabulary(("b",))
