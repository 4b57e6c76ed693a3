"""Consumers skip nothing, batches lose nothing, and bad events come back with reasons."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError, MissingInputError, StorageError
from siamrec.storage import Store, _engine
from siamrec.testing.feedback import rows_of, sample_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.storage import FeedbackWriter, Tail


def _one(user: str) -> Feedback:
    return Feedback.of(user=[user], item=["x"], time=[1])


def _users(tail: Tail) -> list[object]:
    found = tail.fetch()
    return [] if found is None else list(found.users.decode(found.user))


def test_a_tail_goes_on_where_it_committed(store: Store) -> None:
    store.feedback.write(sample_feedback())
    tail = store.tail("archive")
    batches = []
    while (batch := tail.fetch(3)) is not None:
        batches.append(batch)
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert sorted(rows_of(batches)) == sorted(rows_of([sample_feedback()]))
    assert store.tail("archive").fetch() is not None
    tail.commit()
    again = store.tail("archive")
    assert again.fetch() is None
    store.feedback.write(_one("new"))
    assert _users(again) == ["new"]
    assert store.tail("another").fetch() is not None
    with pytest.raises(InvalidParameterError, match="batch_rows must be"):
        tail.fetch(0)


def test_a_row_that_commits_late_is_not_skipped(postgres_url: str, store: Store) -> None:
    if "postgresql" not in store.url:
        pytest.skip("SQLite has one writer at a time")
    other = Store(postgres_url)
    tail = store.tail("archive")
    with _engine.writing(other._engine) as connection:
        other.feedback._append(connection, other.feedback.rows(_one("late"), None))
        store.feedback.write(_one("early"))
        assert len(next(store.feedback.read())) == 1
        # The row is there, but one with a smaller number may still come before it.
        assert _users(tail) == []
    assert sorted(map(str, _users(tail))) == ["early", "late"]
    assert _users(tail) == []
    other.close()


def test_a_writer_stores_all_in_batches(store: Store) -> None:
    with store.writer(max_rows=7, max_wait="1h", capacity=10) as writer:
        for number in range(50):
            assert writer.write(_one(f"u{number}"))
        writer.write(_one("u1"))
        writer.flush()
        assert store.counts()["event"] == writer.n_accepted == 50
        assert writer.n_duplicates == 1
        writer.write(_one("last"))
    assert store.counts()["event"] == 51
    with pytest.raises(StorageError, match="The writer is closed"):
        writer.write(_one("x"))
    writer.close()


@pytest.mark.parametrize("when_full", ["drop", "spill"])
def test_a_full_queue_follows_its_policy(
    tmp_path: Path, when_full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'x.db'}")
    real, broken = store.feedback.store, [True]

    def store_or_fail(rows: object, *, keyed: bool) -> object:
        if broken[0]:
            raise StorageError("The disk is full.")
        return real(rows, keyed=keyed)  # type: ignore[arg-type]

    monkeypatch.setattr(store.feedback, "store", store_or_fail)
    writer = store.writer(
        max_rows=2,
        max_wait="1h",
        capacity=3,
        when_full=when_full,  # type: ignore[arg-type]
        spill=tmp_path / "aside.jsonl",
    )
    taken = [writer.write(_one(f"u{number}")) for number in range(6)]
    if when_full == "drop":
        assert (taken, writer.n_dropped) == ([True] * 3 + [False] * 3, 3)
    else:
        assert (taken, writer.n_spilled) == ([True] * 6, 3)
    with pytest.raises(StorageError, match="The disk is full"):
        writer.flush()
    broken[0] = False
    writer.flush()
    assert store.counts()["event"] == (3 if when_full == "drop" else 6)
    assert not (tmp_path / "aside.jsonl").exists()
    broken[0] = True
    writer.write(_one("at the end"))
    with pytest.raises(StorageError, match="The disk is full"):
        writer.close()
    broken[0] = False
    store.writer(spill=tmp_path / "aside.jsonl").close()
    assert store.counts()["event"] == (4 if when_full == "drop" else 7)


def test_writers_refuse_what_cannot_work() -> None:
    with pytest.raises(InvalidParameterError, match="a database that threads can share"):
        Store("sqlite://").writer()


def test_writer_settings_are_checked(store: Store) -> None:
    with pytest.raises(MissingInputError, match="spill is needed here"):
        store.writer(when_full="spill")
    with pytest.raises(InvalidParameterError, match="capacity must be at least max_rows"):
        store.writer(max_rows=10, capacity=5)


def test_bad_events_come_back_with_reasons(store: Store) -> None:
    bad: list[tuple[object, str]] = [
        ({"item": "x"}, "user must be text or a whole number, got None"),
        ({"user": True, "item": "x"}, "user must be"),
        ({"user": "a\0", "item": "x"}, "no NUL"),
        ({"user": "a", "item": "x", "value": float("nan")}, "value must be a number"),
        ({"user": "a", "item": "x", "value": "5"}, "value must be a number"),
        ({"user": "a", "item": "x", "kind": "clik"}, "kind must be one of rating, click"),
        ({"user": "a", "item": "x", "time": "now"}, "time must be a whole number"),
        ({"user": "a", "item": "x", "weight": -1}, "weight must be a number in"),
        ({"user": "a", "item": "x", "propensity": 0.0}, r"propensity must be in \(0, 1\]"),
        ({"user": "a", "item": "x", "key": ""}, "key must have 1 to 64"),
        ({"user": "a", "item": "x", "rating": 5}, "An event has no field 'rating'"),
        ("text", "An event must be a mapping"),
    ]
    good = [
        {"user": "a", "item": "x", "value": 5, "time": 1, "query": "shoes", "propensity": 0.5},
        {"user": 2, "item": "y", "kind": "click", "decision": "d", "position": 2, "time": 2},
        {"user": "c", "item": "z", "key": "k1", "time": 3},
    ]
    written = store.feedback.write_events([*good, *(event for event, _ in bad)])  # type: ignore[list-item]
    assert (written.accepted, written.duplicates, written.conflicts) == (3, 0, ())
    assert [row.row for row in written.rejected] == list(range(4, 4 + len(bad)))
    import re

    for row, (_, reason) in zip(written.rejected, bad, strict=True):
        assert re.search(reason, row.reason), row.reason
    assert rows_of(store.feedback.read()) == [
        ("a", "x", 5.0, 1), (2, "y", 1.0, 2), ("c", "z", 1.0, 3),
    ]  # fmt: skip
    again = store.feedback.write_events([*good, {**good[2], "value": 4}])
    assert (again.accepted, again.duplicates, again.conflicts) == (0, 3, ("k1",))


TERMINATED = """
import os, signal, sys, time
from siamrec.data import Feedback
from siamrec.storage import Store
store, how = Store(sys.argv[1]), sys.argv[2]

def mine(number, frame):
    print("host", store.counts()["event"], flush=True)
    sys.exit(3)

if how == "before":
    signal.signal(signal.SIGTERM, mine)
if how == "ignored":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
writers = [store.writer(max_wait="1h") for _ in range(2)]
if how == "after":
    signal.signal(signal.SIGTERM, mine)
for number, writer in enumerate(writers):
    writer.write(Feedback.of(user=[f"{number}-{row}" for row in range(5)], item=["x"] * 5))
if how == "closed":
    for writer in reversed(writers):
        writer.close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
os.kill(os.getpid(), signal.SIGTERM)
for _ in range(1 if how == "ignored" else 1000):
    time.sleep(0.01)
print("alive", flush=True)
"""


@pytest.mark.parametrize(
    ("how", "returncode", "said"),
    [
        ("default", -signal.SIGTERM, ""),
        ("closed", -signal.SIGTERM, ""),
        ("before", 3, "host 10"),  # the host's handler runs when the queues are stored
        ("after", 3, "host 0"),  # it stands before ours, and its exit stores the queues
        ("ignored", 0, "alive"),
    ],
)
def test_sigterm_stores_the_queue(tmp_path: Path, how: str, returncode: int, said: str) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    Store(url).close()
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, url, how],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (returncode, said), done.stderr
    store = Store(url)
    assert store.counts()["event"] == 10
    store.close()


def test_a_writer_of_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    before = signal.getsignal(signal.SIGTERM)
    writers: list[FeedbackWriter] = []
    thread = threading.Thread(target=lambda: writers.append(store.writer()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    mine = store.writer()
    assert signal.getsignal(signal.SIGTERM) is not before
    mine.close()
    writers[0].close()
    assert signal.getsignal(signal.SIGTERM) is before
    store.close()
