"""Jobs: once per key among racing workers, fenced leases, limits, back-off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from siamrec._core.clock import DAY, HOUR, SECOND, ManualClock
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError, StaleWriteError, UnknownNameError
from siamrec.storage import Claim, Store
from siamrec.storage.jobs import paused

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 20_000 * DAY
ONE = {"retrain": 1}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def store(url: str, clock: ManualClock) -> Iterator[Store]:
    opened = Store(url, clock=clock)
    yield opened
    opened.close()


def claimed(store: Store, kinds: dict[str, int] = ONE, owner: str = "w1") -> Claim:
    claim = store.jobs.claim(owner, kinds)
    assert claim is not None
    return claim


def test_racing_workers_start_one_job_and_one_of_them_holds_it(store: Store) -> None:
    def work(n: int) -> tuple[str, bool]:
        found = store.jobs.start("retrain", key="nightly", placement="home")
        return found.id, store.jobs.claim(f"w{n}", {"retrain": 8}) is not None

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(work, range(8)))
    assert len({id_ for id_, _ in told}) == 1
    assert sum(held for _, held in told) == 1
    assert store.counts()["job"] == 1


def test_a_key_means_one_thing(store: Store) -> None:
    first = store.jobs.start("archive", key="k", arguments={"older": "30d"})
    assert store.jobs.start("archive", key="k", arguments={"older": "30d"}).id == first.id
    with pytest.raises(InvalidParameterError, match="key must be another"):
        store.jobs.start("archive", key="k", arguments={"older": "31d"})
    assert store.jobs.start("settle", key="k").id != first.id
    assert store.jobs.start("settle").key != store.jobs.start("settle").key


def test_a_job_runs_from_claim_to_result(store: Store, clock: ManualClock) -> None:
    id_ = store.jobs.start("retrain", key="a", placement="home", arguments={"n": 3}).id
    claim = claimed(store)
    assert (claim.job.id, claim.job.attempts, claim.job.owner) == (id_, 1, "w1")
    claim.note({"mark": 7})
    clock.advance(10 * SECOND)
    claim.beat(40, "fitted")
    told = store.jobs.get(id_)
    assert (told.status, told.progress, told.line) == ("running", 40, "fitted")
    assert (told.until, told.checkpoint) == (NOW + 70 * SECOND, {"mark": 7})
    claim.finish({"verdict": "kept"})
    told = store.jobs.get(id_)
    assert (told.status, told.progress, told.result) == ("done", 100, {"verdict": "kept"})
    assert store.jobs.claim("w2", ONE) is None
    with pytest.raises(StaleWriteError, match="no longer held by w1"):
        claim.beat()


def test_a_lease_that_ran_out_writes_nothing_and_another_goes_on(
    store: Store, clock: ManualClock
) -> None:
    id_ = store.jobs.start("retrain", key="a").id
    old = claimed(store)
    old.note({"mark": 7})
    clock.advance(59 * SECOND)
    assert store.jobs.claim("w2", ONE) is None
    clock.advance(SECOND)
    for write in (old.beat, lambda: old.finish({}), lambda: old.fail("x"), old.let_go):
        with pytest.raises(StaleWriteError):
            write()
    new = claimed(store, owner="w2")
    assert (new.job.fence, new.job.attempts) == (old.job.fence + 1, 2)
    assert new.job.checkpoint == {"mark": 7}
    with pytest.raises(StaleWriteError):
        old.finish({"by": "old"})
    new.finish({"by": "new"})
    assert store.jobs.get(id_).result == {"by": "new"}


def test_a_failure_waits_twice_as_long_each_time_until_it_is_given_up(
    store: Store, clock: ManualClock
) -> None:
    id_ = store.jobs.start("retrain", key="a", attempts=3).id
    assert claimed(store).fail("first")
    assert (store.jobs.get(id_).status, store.jobs.get(id_).error) == ("waiting", "first")
    clock.advance(30 * SECOND - 1)
    assert store.jobs.claim("w1", ONE) is None
    clock.advance(1)
    assert claimed(store).fail("second")
    clock.advance(60 * SECOND)
    assert not claimed(store).fail("third")
    assert (store.jobs.get(id_).status, store.jobs.get(id_).error) == ("failed", "third")
    assert store.jobs.claim("w1", ONE) is None
    assert store.jobs.retry(id_).status == "waiting"
    assert claimed(store).job.attempts == 1
    assert [paused(n) for n in (1, 2, 99)] == [30 * SECOND, 60 * SECOND, HOUR]


def test_a_job_that_kills_its_workers_is_given_up(store: Store, clock: ManualClock) -> None:
    id_ = store.jobs.start("retrain", key="a", attempts=2).id
    for _ in range(2):
        claimed(store)
        clock.advance(61 * SECOND)
    assert store.jobs.claim("w3", ONE) is None
    assert store.jobs.get(id_).error == "2 workers ended while they held it."


def test_priority_then_age_decides_and_a_time_is_kept(store: Store, clock: ManualClock) -> None:
    store.jobs.start("settle", key="later", not_before=NOW + HOUR, priority=9)
    first = store.jobs.start("settle", key="old").id
    clock.advance(1)
    second = store.jobs.start("settle", key="new").id
    urgent = store.jobs.start("settle", key="urgent", priority=5).id
    held = [claimed(store, {"settle": 9}).job.id for _ in range(3)]
    assert held == [urgent, first, second]
    assert store.jobs.claim("w1", {"settle": 9}) is None
    clock.advance(HOUR)
    assert claimed(store, {"settle": 9}).job.key == "later"


def test_a_slow_kind_delays_no_other(store: Store) -> None:
    for key in "abc":
        store.jobs.start("retrain", key=key, priority=9)
    quick = store.jobs.start("settle", key="s").id
    kinds = {"retrain": 2, "settle": 1}
    held = [claimed(store, kinds).job for _ in range(3)]
    assert [each.kind for each in held] == ["retrain", "retrain", "settle"]
    assert held[2].id == quick
    assert store.jobs.claim("w1", kinds) is None


def test_a_kind_that_a_worker_does_not_know_is_left_to_others(store: Store) -> None:
    store.jobs.start("of-a-newer-release", key="a")
    assert store.jobs.claim("old", ONE) is None
    assert claimed(store, {"of-a-newer-release": 1}).job.status == "running"


def test_cancelling_takes_the_job_from_its_holder(store: Store) -> None:
    id_ = store.jobs.start("retrain", key="a").id
    claim = claimed(store)
    assert store.jobs.cancel(id_).status == "cancelled"
    with pytest.raises(StaleWriteError):
        claim.finish({})
    assert store.jobs.cancel(id_).status == "cancelled"
    waits = store.jobs.start("retrain", key="b").id
    store.jobs.cancel(waits)
    assert store.jobs.claim("w1", ONE) is None


def test_a_job_that_is_let_go_was_not_tried(store: Store) -> None:
    store.jobs.start("retrain", key="a")
    claimed(store).let_go()
    assert claimed(store, owner="w2").job.attempts == 1


def test_what_is_asked_is_refused_by_name(store: Store) -> None:
    store.jobs.start("retrain", key="a")
    with pytest.raises(UnknownNameError, match="job"):
        store.jobs.get("nothing")
    with pytest.raises(UnknownNameError, match="'running'"):
        store.jobs.list(status="runing")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="lease"):
        store.jobs.claim("w", ONE, lease="soon")
    with pytest.raises(InvalidParameterError, match="at once"):
        store.jobs.claim("w", {"retrain": 0})
    for progress in (-1, 101):
        with pytest.raises(InvalidParameterError, match="progress"):
            claimed(store, {"retrain": 5}).beat(progress)
        store.jobs.start("retrain", key=f"b{progress}")


def test_lists_are_of_a_status_a_kind_and_a_placement(store: Store) -> None:
    store.jobs.start("retrain", key="a", placement="home")
    store.jobs.start("settle", key="b", placement="home")
    assert len(store.jobs.list()) == 2
    assert [each.key for each in store.jobs.list(kind="settle", status="waiting")] == ["b"]
    assert store.jobs.list(placement="other") == []


def test_an_erased_person_is_in_no_job(store: Store) -> None:
    store.feedback.write(Feedback.of(user=["ann"], item=["x"], time=[1]))
    named = store.jobs.start("mail", key="a", arguments={"users": ["ann", "bob"]})
    other = store.jobs.start("mail", key="b", arguments={"users": ["anna"]})
    store.erase("ann")
    told = store.jobs.get(named.id)
    assert (told.status, told.arguments) == ("cancelled", {})
    assert store.jobs.get(other.id).arguments == {"users": ["anna"]}


def test_what_came_after_a_mark_is_told_apart(store: Store) -> None:
    assert (store.snapshots.mark(), store.snapshots.after(0)) == (0, 0)
    store.feedback.write(Feedback.of(user=["a", "b"], item=["x", "x"], time=[5, 6]))
    mark = store.snapshots.mark()
    first = store.feedback.read_all()
    store.feedback.write(Feedback.of(user=["c"], item=["y"], time=[1]))
    assert store.snapshots.after(mark) == 1
    assert store.feedback.read_all(last=mark).fingerprint() == first.fingerprint()
    assert len(store.feedback.read_all()) == 3
