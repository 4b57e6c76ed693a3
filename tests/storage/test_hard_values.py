"""No value that a door takes makes the log or a state unreadable; doors raise errors of ours."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.bandits import BetaThompson, Context, Factor, Learning
from siamrec.data import Decision, Feedback, FeedbackKind, Rewards
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    SiamrecError,
    StorageError,
    UnknownNameError,
)
from siamrec.storage import Store
from siamrec.testing.feedback import sample_feedback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARMS = ("a", "b")
NOW = 10**18

ODD: list[Any] = [
    None, True, 5, -1, 0, 2**31, 2**40, 2**62, 2**63, -(2**63), 2**70, 0.5, 1e39, -1e39, 1e308,
    float("nan"), float("inf"), "", "x", "a\0b", "a\ud800", "x" * 1_001, "日" * 900, b"x",
    [], ["x"], {}, {"x": 1}, object(), np.int64(3), np.float32(0.5), np.str_("x"),
    np.array([1, 2]), FeedbackKind.CLICK, Store, lambda: 1,
]  # fmt: skip
"""What people hand in, where one text, number, instant or name is meant."""


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}", clock=ManualClock(NOW))) as store:
        store.feedback.write(sample_feedback())
        yield store


def home(store: Store, **given: Any) -> Any:
    return store.bandit("home", BetaThompson(), ARMS, **given)


def sound(store: Store) -> None:
    """Everything can be read, and every state is its fold."""
    n = sum(len(batch) for batch in store.feedback.read(batch_rows=7))
    assert n == len(store.feedback.read_all())
    store.feedback.summary()
    store.snapshots.take()
    store.verify()
    for bandit in store._bandits.values():
        bandit.select()
        assert all(np.isfinite(total).all() for total in bandit.sums().values())
        list(store.decisions.read(bandit.name))
        store.decisions.rewards(bandit.name)


def made(**given: Any) -> Decision:
    return Decision(
        **{"id": "d", "bandit": "home", "arms": ("a",), "propensities": (0.5,), **given}
    )


def doors(store: Store) -> dict[str, Callable[[Any], object]]:
    log, bandit = store.feedback, home(store)
    known = bandit.select().id
    events = (
        "user", "item", "value", "kind", "time", "weight", "decision", "position", "propensity",
        "query", "key",
    )  # fmt: skip

    def written(name: str) -> Callable[[Any], object]:
        return lambda odd: log.write_events([{"user": "a", "item": "x", name: odd}])

    return {
        **{f"event {name}": written(name) for name in events},
        "events": log.write_events,
        "an event": lambda odd: log.write_events([odd]),
        "rate user": lambda odd: log.rate(odd, "x", 3),
        "rate item": lambda odd: log.rate("a", odd, 3),
        "rate value": lambda odd: log.rate("a", "x", odd),
        "rate scale": lambda odd: log.rate("a", "x", 3, scale=odd),
        "rate scale end": lambda odd: log.rate("a", "x", 3, scale=(1, odd)),
        "rate query": lambda odd: log.rate("a", "x", 3, query=odd),
        "rate time": lambda odd: log.rate("a", "x", 3, time=odd),
        "rate key": lambda odd: log.rate("a", "x", 3, key=odd),
        "rate position": lambda odd: log.rate("a", "x", 3, position=odd),
        "click decision": lambda odd: log.click(odd, "x", user="a"),
        "click of nobody": lambda odd: log.click(odd, "x"),
        "thumbs": lambda odd: log.thumbs("a", "x", up=odd),
        "comment": lambda odd: log.comment("a", "x", odd),
        "dwell": lambda odd: log.dwell("a", "x", odd),
        "popular": log.popular,
        "read": lambda odd: list(log.read(batch_rows=odd)),
        "read since": lambda odd: list(log.read(since=odd)),
        "tail": store.tail,
        "fetch": lambda odd: store.tail("t").fetch(odd),
        "archive": store.archive,
        "segment rows": lambda odd: store.archive(5, segment_rows=odd),
        "as_of": store.as_of,
        "roster": store.roster,
        "snapshot": store.snapshots.get,
        "bandit": lambda odd: store.bandit(odd, BetaThompson(), ARMS),
        "arms": lambda odd: store.bandit("arms", BetaThompson(), odd),
        "arm": lambda odd: store.bandit("arm", BetaThompson(), ("a", odd)),
        "worker": lambda odd: store.bandit("w", BetaThompson(), ARMS, worker=odd).select(),
        "add arm": bandit.add_arm,
        "unit": lambda odd: bandit.select(unit=odd),
        "n": lambda odd: bandit.select(n=odd),
        "select time": lambda odd: bandit.select(time=odd),
        "select many time": lambda odd: bandit.select_many([{}], time=odd),
        "learn": lambda odd: bandit.learn(odd, reward=1.0),
        "reward": lambda odd: bandit.learn(known, reward=odd),
        "weight": lambda odd: bandit.learn(known, reward=1.0, weight=odd),
        "learn arm": lambda odd: bandit.learn(known, reward=1.0, arm=odd),
        "learn time": lambda odd: bandit.learn(known, reward=1.0, time=odd),
        "record": bandit.record,
        **{
            f"record {name}": lambda odd, name=name: bandit.record(made(**{name: odd}))
            for name in ("id", "bandit", "time", "unit", "state_version", "policy")
        },
        "record arm": lambda odd: bandit.record(made(arms=(odd,))),
        "write decision": lambda odd: store.decisions.write([odd]),
        "write rewards": lambda odd: store.decisions.write([], odd),
        "rewards": lambda odd: bandit.learn(Rewards(decision=np.array([known]), reward=odd)),
        "erase": store.erase,
        "value kind": lambda odd: store.values.put(odd, "n", {}),
        "value name": lambda odd: store.values.put("k", odd, {}),
        "value": lambda odd: store.values.put("k", "n", {"x": odd}),
        "diary": lambda odd: store.diary.write("p", odd, {}),
        "diary body": lambda odd: store.diary.write("p", "w", {"x": odd}),
        "early": store.decisions.expire,
        "writer rows": lambda odd: store.writer(max_rows=odd).close(),
        "writer wait": lambda odd: store.writer(max_wait=odd).close(),
        "writer spill": lambda odd: store.writer(spill=odd).close(),
    }


NAMES = sorted(set(doors(Store("sqlite://"))) - {"archive", "segment rows"})


@pytest.mark.parametrize("door", NAMES)
def test_a_door_refuses_or_takes_what_can_be_read(shop: Store, door: str) -> None:
    enter = doors(shop)[door]
    for odd in ODD:
        try:
            enter(odd)
        except SiamrecError:
            continue
    sound(shop)


def test_one_bad_event_costs_one_event(store: Store) -> None:
    odd: list[Any] = [{"user": user, "item": "x"} for user in (2**63, "x" * 5_000, "日" * 900)]
    good: dict[str, Any] = {"user": "a", "item": "x", "time": 1}
    written = store.feedback.write_events([*odd, good, {**good, "decision": "d" * 2_000}])
    assert (written.accepted, len(written.rejected)) == (1, 4)
    assert [row.row for row in written.rejected] == [1, 2, 3, 5]


def test_numbers_of_numpy_and_members_of_enumerations_are_events(store: Store) -> None:
    event = {"user": np.int64(3), "item": np.str_("x"), "kind": FeedbackKind.CLICK}
    event |= {"value": np.float32(0.5), "time": np.int64(7), "position": np.int32(2)}
    assert store.feedback.write_events([event]).accepted == 1
    found = store.feedback.read_all()
    assert (found.users.ids, found.time.tolist(), found.value.tolist()) == ((3,), [7], [0.5])


def test_an_event_is_the_same_in_any_batch(store: Store) -> None:
    plain = {"user": "a", "item": "x", "time": 1}
    beside = {"user": "b", "item": "x", "time": 1, "decision": "d", "query": "q", "position": 2}
    assert store.feedback.write_events([plain]).accepted == 1
    assert store.feedback.write_events([plain, beside]).duplicates == 1
    one = Feedback.from_frame({"user": ["c"], "item": ["x"], "at": [1]}, time="at")
    two = Feedback.from_frame(
        {"user": ["c", "d"], "item": ["x", "x"], "at": [1, 1], "device": [None, "web"]},
        time="at",
        context=["device"],
    )
    assert store.feedback.write(one).accepted == 1
    assert store.feedback.write(two).duplicates == 1
    store.verify()


def test_read_all_reads_any_log(store: Store) -> None:
    store.feedback.write(Feedback.of(user=["a"], item=["x"]))
    store.feedback.rate("a", "x", 3, decision="d", query="q", position=2, time=5)
    store.feedback.comment("b", "x", "fine", time=6)
    found = store.feedback.read_all()
    assert len(found) == 3
    assert found.decision is not None
    assert found.decision.tolist() == ["", "d", ""]
    assert found.context["comment"].tolist() == [None, None, "fine"]


def test_a_retry_without_a_time_is_a_duplicate(store: Store) -> None:
    log, bandit = store.feedback, home(store)
    decision = bandit.select(unit="ann")
    assert bandit.learn(decision.id, reward=1.0).applied == 1
    assert bandit.learn(decision.id, reward=1.0).unchanged == 1
    assert bandit.learn(decision.id, reward=0.0).applied == 1  # another reward is a correction
    assert bandit.learn("not known", reward=1.0).early == 1
    bandit.learn("not known", reward=1.0)
    assert store.counts()["reward"] == 3
    assert log.click(decision, "x").accepted == log.click(decision.id, "x").duplicates == 1
    event = {"user": "ann", "item": "x", "decision": decision.id}
    assert log.write_events([event]).accepted == 1
    again = log.write_events([event])
    assert (again.duplicates, again.conflicts) == (1, ())
    many = Rewards(decision=np.array([decision.id]), reward=np.array([0.0]))
    assert bandit.learn(many).unchanged == 1
    store.verify()


def test_a_stored_bandit_begins_with_what_the_log_knows(store: Store) -> None:
    context = Context((Factor("device", ("phone", "web")),))
    decisions = [
        made(id=f"d{n}", arms=(ARMS[n % 2],), context={"device": "web" if n < 3 else "phone"})
        for n in range(6)
    ]
    ids = np.array([one.id for one in decisions])
    store.decisions.write(decisions, Rewards(decision=ids, reward=np.ones(6), time=np.arange(6)))
    bandit = home(store, context=context)
    assert bandit.sums()["wins"].sum() == 6
    web = context.cell({"device": "web"})
    assert bandit.sums()["wins"][web].sum() == 3
    store.verify()
    assert home(Store(store._engine), context=context).sums()["wins"].sum() == 6


def test_a_log_that_a_policy_cannot_take_is_refused_when_opened(store: Store) -> None:
    rewards = Rewards(decision=np.array(["d"]), reward=np.array([5_000.0]))
    store.decisions.write([made()], rewards)
    with pytest.raises(InvalidDataError, match=r"reward must be in \[0, 1\].*got 5000"):
        home(store)
    store.decisions.write([made(id="e", bandit="other", arms=("zzz",))])
    with pytest.raises(UnknownNameError, match="No arm is named 'zzz'"):
        store.bandit("other", BetaThompson(), ARMS)
    assert store.counts()["projection"] == 0


def test_what_a_stored_bandit_must_check_is_told_to_it(store: Store) -> None:
    bandit = home(store)
    known = bandit.select().id
    rewards = Rewards(decision=np.array([known]), reward=np.array([1.0]))
    for decisions, given in (([made()], None), ([], rewards)):
        with pytest.raises(InvalidDataError, match="'home' is a stored one: tell it by record"):
            store.decisions.write(decisions, given)
    store.feedback.write(sample_feedback())
    waiting = Rewards(decision=np.array(["later"]), reward=np.array([5_000.0]))
    store.decisions.write([], waiting)
    with pytest.raises(InvalidDataError, match=r"reward must be in \[0, 1\].*'later'"):
        bandit.record(made(id="later"))
    sound(store)


def test_early_rewards_expire(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}", clock=clock)) as store:
        bandit = home(store, learning=Learning(attribution="2h"))
        bandit.learn("never told", reward=1.0)
        clock.advance(DAY)
        bandit.expire()
        assert bandit.n_early == 1
        clock.advance(40 * DAY)
        bandit.learn("told soon", reward=1.0)
        bandit.expire()
        assert bandit.n_early == 1
        assert store.decisions.expire(clock.now() + 1) == 1
        assert bandit.n_early == 0


@pytest.mark.parametrize("days", [-4_000, -43, 43, 4_000])
def test_a_clock_that_is_off_changes_its_own_event_alone(tmp_path: Path, days: int) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    learning = Learning(half_life="1h")
    right, wrong = ManualClock(NOW), ManualClock(NOW + days * DAY)
    with closing(Store(url, clock=right)) as one, closing(Store(url, clock=wrong)) as two:
        here, there = home(one, learning=learning), home(two, learning=learning)
        for _ in range(3):
            here.learn(here.select().id, reward=1.0)
        before = here.sums()["wins"].sum()
        odd = there.select()
        there.learn(odd.id, reward=1.0)
        gained = here.sums()["wins"].sum() - before
        assert 0.0 <= gained <= (1.0 if days > 0 else 1e-9)
        assert (gained >= 0.5) == (days > 0)  # from ahead it counts like one of now
        seen = there.sums()["wins"].sum()  # a reader whose clock is off can read as well
        assert seen == pytest.approx(1.0, rel=1e-3) if days > 0 else 1.5 <= seen <= 4.0 + 1e-3
        one.verify()
        two.verify()
        right.advance(HOUR)
        assert here.sums()["wins"].sum() == pytest.approx(before / 2 + gained, rel=1e-3)


@pytest.fixture
def spilled(shop: Store, tmp_path: Path) -> Any:
    place = tmp_path / "aside.jsonl"
    rows = shop.feedback.rows(Feedback.of(user=["s1", "s2"], item=["x", "x"], time=[1, 2]), None)
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


@pytest.mark.parametrize("torn", ['["half a li', "[1, 2]", "{}", "\udcff", "null"])
def test_a_torn_line_costs_itself(shop: Store, spilled: Path, torn: str) -> None:
    with spilled.open("ab") as file:
        file.write(torn.encode(errors="surrogateescape"))  # a process was killed
    writer = shop.writer(spill=spilled)
    writer.flush()
    assert (writer.n_accepted, writer.n_torn) == (2, int(torn != "null"))
    writer.flush()
    writer.close()
    assert not spilled.exists()
    if torn != "null":
        kept = spilled.with_name("aside.jsonl.torn").read_bytes()
        assert kept == torn.encode(errors="surrogateescape") + b"\n"


def test_what_is_appended_after_a_torn_line_is_whole(shop: Store, spilled: Path) -> None:
    with spilled.open("a") as file:
        file.write('["half a li')
    writer = shop.writer(max_rows=2, capacity=2, when_full="spill", spill=spilled, max_wait=60)
    with shop._engine.connect() as held:  # the thread cannot write: what comes next is spilled
        held.exec_driver_sql("SELECT 1")
        writer._put_aside(shop.feedback.rows(Feedback.of(user=["s3"], item=["x"]), None))
    writer.close()
    assert (writer.n_accepted, writer.n_torn) == (3, 1)


def test_a_full_disk_takes_no_half_line(
    shop: Store, spilled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = spilled.read_bytes()
    writer = shop.writer(spill=spilled)
    monkeypatch.setattr("siamrec.storage._spill.json.dumps", lambda _: "x" * 100)
    real = open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def tell(self) -> int:
            return int(self.file.tell())

        def write(self, data: bytes) -> int:
            return int(self.file.write(data[:10]))

    def opened(path: Any, mode: str = "r", **given: Any) -> Any:
        file = real(path, mode, **given)
        return Full(file) if mode == "ab" else file

    monkeypatch.setattr("pathlib.Path.open", opened)
    with pytest.raises(StorageError, match="spill file .* cannot be written: No space left"):
        writer._put_aside([(1,)])
    assert spilled.read_bytes() == before
    monkeypatch.undo()
    writer.close()
    assert writer.n_accepted == 2


def test_a_spill_file_needs_its_folder(shop: Store, tmp_path: Path) -> None:
    for place in (tmp_path / "no" / "x.jsonl", tmp_path):
        with pytest.raises(InvalidParameterError, match="a file in a folder that is there"):
            shop.writer(spill=place)


COLUMNS = {
    "kind": "3", "time": "17", "user": "'eve'", "item": "'other'", "value": "1.25",
    "weight": "0.5", "decision": "'d'", "position": "9", "propensity": "0.125", "query": "'q'",
    "context": """'{"a":1}'""", "digest": "'0000000000000000'", "whole_ids": "1",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_verify_notices_any_change_of_an_event(shop: Store, column: str) -> None:
    assert shop.verify().events == 10
    with shop._engine.begin() as connection:
        text = f'UPDATE event SET "{column}" = {COLUMNS[column]} WHERE seq = 4'  # noqa: S608
        connection.exec_driver_sql(text)
    with pytest.raises(StorageError, match="The event .* is not what was written .1 such event."):
        shop.verify()


def test_verify_notices_a_change_of_decisions_and_manifests(shop: Store) -> None:
    bandit = home(shop)
    bandit.learn(bandit.select().id, reward=1.0)
    shop.verify()
    for change, back in (
        ("UPDATE decision SET body = 'x'", "is none"),
        ("UPDATE decision SET body = '[1]'", "is none"),
    ):
        with shop._engine.connect() as connection:
            (kept,) = connection.exec_driver_sql("SELECT body FROM decision").one()
        with shop._engine.begin() as connection:
            connection.exec_driver_sql(change)
        with pytest.raises(StorageError, match=back):
            shop.verify()
        with shop._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE decision SET body = ?", (kept,))
    shop.versions.add("0" * 64, "m", {"n": 1})
    with pytest.raises(StorageError, match="manifest of version '0000"):
        shop.verify()
