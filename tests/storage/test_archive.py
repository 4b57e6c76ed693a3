"""Archive, snapshots and erasure: still one log, still exactly once, still the fold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson
from siamrec.data import NO_TIME, Feedback, Rewards
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    StorageError,
    UnknownNameError,
)
from siamrec.storage import FolderBlobs, Store
from siamrec.testing.feedback import FeedbackSinkContract, rows_of, sample_feedback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.protocols import FeedbackSource
    from siamrec.storage import FeedbackLog, Tail


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(url, clock=ManualClock(1_000), archive=tmp_path / "archive")
    yield opened
    opened.close()


def _all(tail: Tail, n: int = 3) -> list[tuple[Any, ...]]:
    batches = []
    while (batch := tail.fetch(n)) is not None:
        batches.append(batch)
    return rows_of(batches)


class TestHalfArchived(FeedbackSinkContract):
    """The contract of every store, on one whose older events are in sealed files."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.n = 0

    @override
    def empty(self) -> FeedbackLog:
        self.n += 1
        return Store("sqlite://", archive=self.folder / str(self.n)).feedback

    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        self.n += 1
        store = Store("sqlite://", archive=self.folder / str(self.n))
        store.feedback.write(feedback)
        timed = feedback.time[feedback.time != NO_TIME]
        for before, rows in ((40, 2), (60, 100)):
            old = int((timed < before).sum())
            assert store.archive(before, segment_rows=rows).n_events == old
            timed = timed[timed >= before]
        return store.feedback


def test_an_archived_event_is_still_stored_once(shop: Store) -> None:
    feedback = sample_feedback()
    keys = [f"k{row}" for row in range(len(feedback))]
    shop.feedback.write(feedback, keys=keys)
    sealed = shop.archive(50, segment_rows=3)
    assert (sealed.n_events, len(sealed.segments), sealed.held_by) == (5, 2, ())
    assert shop.counts()["event"] == 5
    again = shop.feedback.write(feedback, keys=keys)
    assert (again.accepted, again.duplicates) == (0, 10)
    changed = shop.feedback.write(Feedback.of(user=["eve"], item=["x"], time=[99]), keys=[keys[4]])
    assert changed.conflicts == (keys[4],)
    assert shop.counts()["event"] == 5
    assert len(shop.feedback.read_all()) == 10
    assert shop.archive(50).n_events == 0
    assert shop.verify().archived == 5


def test_late_events_are_read_in_their_place(shop: Store) -> None:
    shop.feedback.write(Feedback.of(user=["a", "b"], item=["x", "x"], time=[10, 30]))
    shop.archive(100)
    shop.feedback.write(Feedback.of(user=["c"], item=["x"], time=[20]))
    shop.archive(100)
    shop.feedback.write(Feedback.of(user=["d", "e", "f"], item=["x"] * 3, time=[20, 5, NO_TIME]))
    shop.archive(100)
    found = shop.feedback.read_all()
    assert found.users.decode(found.user) == ["f", "e", "a", "c", "d", "b"]
    one_by_one = [batch.users.ids[0] for batch in shop.feedback.read(batch_rows=1)]
    assert one_by_one == ["f", "e", "a", "c", "d", "b"]
    assert [row[-1] for row in rows_of(shop.feedback.read(since=10, until=30))] == [10, 20, 20]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 12), st.integers(1, 4)),
            st.tuples(st.just("archive"), st.integers(0, 12), st.integers(1, 3)),
            st.tuples(st.just("erase"), st.integers(0, 3), st.just(0)),
            st.tuples(st.just("tail"), st.integers(1, 4), st.just(0)),
        ),
        max_size=14,
    )
)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_interleaving_reads_as_one_log(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    store = Store("sqlite://", archive=tmp_path_factory.mktemp("archive"))
    tail = store.tail("old")
    seen: list[Any] = []
    expected: dict[str, tuple[Any, ...]] = {}
    ever: dict[str, tuple[Any, ...]] = {}
    erased: set[str] = set()
    for number, (what, first, n) in enumerate(steps):
        if what == "write":
            users = [f"u{(first + row) % 4}" for row in range(n)]
            times = [first + row for row in range(n)]
            feedback = Feedback.of(user=users, item=[f"i{number}"] * n, time=times)
            keys = [f"{number}-{row}" for row in range(n)]
            store.feedback.write(feedback, keys=keys)
            rows = dict(zip(keys, rows_of([feedback]), strict=True))
            expected |= rows
            ever |= rows
        elif what == "archive":
            store.archive(first, segment_rows=n)
        elif what == "erase":
            gone = {key for key, row in expected.items() if row[0] == f"u{first}"}
            assert store.erase(f"u{first}").n_events == len(gone)
            erased |= gone
            for key in gone:
                del expected[key]
        else:
            batch = tail.fetch(first)
            seen += [] if batch is None else rows_of([batch])
            tail.commit()
    read = rows_of(store.feedback.read(batch_rows=3))
    assert sorted(read) == sorted(expected.values())
    assert [row[-1] for row in read] == sorted(row[-1] for row in read)
    seen += _all(tail)
    assert set(expected.values()) <= set(seen) <= set(ever.values())
    assert sorted(_all(store.tail("new"))) == sorted(expected.values())
    # Whatever was written once, archived or erased, is not taken a second time.
    for key, row in ever.items():
        user, item, value, time = row
        one = Feedback.of(user=[user], item=[item], value=[value], time=[time])
        assert store.feedback.write(one, keys=[key]).accepted == 0
    store.verify()


def test_a_consumer_holds_back_what_it_has_not_read(shop: Store) -> None:
    shop.feedback.write(sample_feedback())
    tail = shop.tail("slow")
    assert shop.archive(1_000) == shop.archive(1_000)
    assert shop.archive(1_000).held_by == ("slow",)
    first = tail.fetch(4)
    tail.commit()
    assert shop.archive(1_000).n_events == 4
    assert len(_all(tail)) == 6
    assert first is not None
    late = shop.tail("late")
    assert len(rows_of([late.fetch(3) or Feedback.of(user=[], item=[])])) == 3
    late.commit()
    tail.commit()
    assert shop.archive(1_000).held_by == ("late",)
    assert len(_all(shop.tail("late"))) == 7
    late.forget()
    assert shop.archive(1_000).n_events == 6
    assert shop.archive(1_000).held_by == ()


def test_numbers_are_not_given_out_again(shop: Store) -> None:
    tail = shop.tail("reader")
    shop.feedback.write(sample_feedback())
    assert len(_all(tail)) == 10
    tail.commit()
    shop.archive(1_000)
    shop.erase("bob")
    shop.feedback.write(Feedback.of(user=["new"], item=["x"], time=[5]))
    assert _all(tail) == [("new", "x", 1.0, 5)]


def test_a_snapshot_names_a_set_of_events(shop: Store) -> None:
    shop.feedback.write(sample_feedback())
    everything = shop.snapshots.take()
    part = shop.snapshots.take(since=30, until=70)
    assert (everything.n_events, part.n_events) == (10, 5)
    for before in (40, 60, 1_000):
        shop.archive(before, segment_rows=3)
        assert shop.snapshots.take() == everything
        assert shop.snapshots.take(since=30, until=70) == part
    other = Store("sqlite://")
    other.feedback.write(sample_feedback())
    assert other.snapshots.take().id == everything.id
    shop.feedback.write(Feedback.of(user=["new"], item=["x"], time=[100]))
    later = shop.snapshots.take()
    assert later.id != everything.id
    assert shop.snapshots.take(since=30, until=70) == part
    assert shop.erase("new").n_redacted == 1  # only the one that was taken after it came
    assert shop.snapshots.get(later.id).redacted == 1_000
    assert shop.erase("cid").n_redacted == 2
    assert shop.snapshots.get(part.id).redacted == 1_000
    with pytest.raises(UnknownNameError, match="No snapshot is named 'nothing'"):
        shop.snapshots.get("nothing")


def test_an_erased_user_is_gone_from_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = Store(f"sqlite:///{path}")
    name = "very-secret-person"
    users = [name, "bob", name, "ann"]
    store.feedback.write(Feedback.of(user=users, item=["x"] * 4, time=[1, 2, 60, 70]))
    store.feedback.comment(name, "x", "it is me: very-secret-person", time=80)
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    decision = bandit.select(unit=name)
    bandit.learn(decision.id, reward=1.0)
    store.archive(50)
    done = store.erase(name)
    assert (done.n_events, done.n_decisions, done.n_segments) == (3, 1, 1)
    store.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len([file for file in files if "segments" in str(file)]) == 1
    for file in files:
        assert b"very-secret" not in file.read_bytes(), file
    store = Store(f"sqlite:///{path}")
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    assert bandit.sums()["wins"].sum() == 1
    assert next(store.decisions.read("home")).unit is None
    assert store.verify().archived == 1
    assert store.feedback.write(Feedback.of(user=[name], item=["x"], time=[60])).duplicates == 1
    assert store.feedback.write(Feedback.of(user=[name], item=["x"], time=[61])).accepted == 1
    store.close()


@pytest.mark.parametrize("how", ["detach", "delete"])
def test_sums_stay_the_fold_of_the_log_after_erasure(shop: Store, how: Any) -> None:
    bandit = shop.bandit("home", BetaThompson(), ("a", "b"))
    ids = np.asarray([bandit.select(unit=f"u{n % 3}").id for n in range(9)])
    bandit.learn(Rewards(decision=ids, reward=np.ones(9)))
    shop.decisions.write([])
    done = shop.erase("u1", decisions=how)
    assert done.n_decisions == 3
    assert bandit.sums()["wins"].sum() == (9 if how == "detach" else 6)
    assert shop.counts()["decision"] == (9 if how == "detach" else 6)
    assert shop.verify().checked["bandit:home"] > 0
    assert shop.erase("u1", decisions=how).n_decisions == 0


def test_deleting_decisions_needs_their_bandit(shop: Store, url: str, tmp_path: Path) -> None:
    bandit = shop.bandit("home", BetaThompson(), ("a", "b"))
    bandit.select(unit="ann")
    shop.feedback.write(sample_feedback())
    other = Store(url, archive=tmp_path / "archive")
    with pytest.raises(InvalidParameterError, match=r"called after store.bandit\('home'"):
        other.erase("ann", decisions="delete")
    assert len(other.feedback.read_all()) == 10
    with pytest.raises(UnknownNameError, match="No decisions is named 'keep'"):
        other.erase("ann", decisions="keep")  # type: ignore[arg-type]
    other.close()


def test_whole_numbers_and_text_are_two_users(shop: Store) -> None:
    shop.feedback.write(
        Feedback.of(user=[1, "1", 1, "1"], item=[7, 7, "y", "y"], time=[1, 2, 3, 4])
    )
    shop.archive(3)
    assert shop.erase(1).n_events == 2
    assert rows_of(shop.feedback.read()) == [("1", 7, 1.0, 2), ("1", "y", 1.0, 4)]


def test_the_summary_goes_through_both(shop: Store) -> None:
    shop.feedback.write(sample_feedback())
    shop.feedback.thumbs("ann", "x", up=True, time=65)
    before = shop.feedback.summary(n_items=8)
    shop.archive(60, segment_rows=3)
    after = shop.feedback.summary(n_items=8)
    assert after == before
    assert before.n_events == 11
    assert before.kinds == {"rating": 10, "thumb": 1}


def test_a_broken_archive_is_found(tmp_path: Path) -> None:
    store = Store("sqlite://", archive=FolderBlobs(tmp_path))
    store.feedback.write(sample_feedback())
    (hash_,) = store.archive(50).segments
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [segment["hash"] for segment in manifest["segments"]] == [hash_]
    file = tmp_path / "segments" / f"{hash_}.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    with pytest.raises(StorageError, match="is not what was sealed"):
        store.verify()
    file.unlink()
    with pytest.raises(StorageError, match="is not in the archive"):
        list(store.feedback.read())
    file.write_bytes(whole)
    assert store.verify().archived == 5


def test_an_interrupted_erasure_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}", archive=tmp_path / "archive")
    store.feedback.write(sample_feedback())
    store.archive(1_000)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FolderBlobs, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            store.erase("ann")
    files = list((tmp_path / "archive" / "segments").iterdir())
    assert len(files) == 2
    store.archive(0)
    (left,) = (tmp_path / "archive" / "segments").iterdir()
    assert b"ann" not in left.read_bytes()
    assert store.verify().archived == 7


def test_a_store_must_know_its_archive(tmp_path: Path) -> None:
    store = Store("sqlite://")
    store.feedback.write(sample_feedback())
    with pytest.raises(MissingInputError, match="archive is needed here"):
        store.archive(50)
    assert len(store.feedback.read_all()) == 10
    with pytest.raises(InvalidParameterError, match="archive must be a folder"):
        Store("sqlite://", archive=object())  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="segment_rows must be"):
        Store("sqlite://", archive=tmp_path).archive(50, segment_rows=0)
