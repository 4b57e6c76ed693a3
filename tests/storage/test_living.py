"""Values, the kept catalogue, served lists and the diary, on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.bandits import Context
from siamrec.data import Catalog, Decision, Feedback, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    StaleWriteError,
    UnknownNameError,
)
from siamrec.storage import Heads, Store, StoredList, Whose

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000


def a_list(id_: str, *, opened: int | None = 10, unit: str | None = "ann") -> StoredList:
    return StoredList(
        id=id_,
        placement="home",
        bandit="home.1",
        unit=unit,
        whole=0,
        time=10,
        opened=opened,
        release="r1",
        body='{"confirm":"on_serve"}',
        items=((1, "x", 0.5, "svd", None, opened), (2, "y", 0.25, "top", '{"top":1.0}', opened)),
        decision=None,
    )


def a_decision(id_: str) -> Decision:
    return Decision(id=id_, bandit="home.1", arms=("svd", "top"), propensities=(0.5, 1.0), time=10)


def write(store: Store, *ids: str, opened: int | None = 10) -> None:
    rows = [a_list(id_, opened=opened) for id_ in ids]
    store.recommendations.write(rows, [a_decision(i) for i in ids], context=Context.none())


def test_a_value_is_revised_by_compare_and_set(store: Store) -> None:
    first = store.values.put("placement", "home", {"k": 1})
    assert store.values.put("placement", "home", {"k": 1}) == first
    second = store.values.put("placement", "home", {"k": 2}, expect=1)
    assert (first.revision, second.revision) == (1, 2)
    with pytest.raises(StaleWriteError, match="revision 2, not 1"):
        store.values.put("placement", "home", {"k": 3}, expect=1)
    newest = store.values.get("placement", "home")
    assert newest is not None
    assert newest.body == {"k": 2}
    assert [each.body["k"] for each in store.values.history("placement", "home")] == [1, 2]
    assert (store.values.names("placement"), store.values.get("placement", "x")) == (
        ["home"],
        None,
    )


def test_racing_writers_of_a_value_are_told(url: str) -> None:
    Store(url).close()

    def attempt(number: int) -> bool:
        with_own = Store(url)
        try:
            with_own.values.put("placement", "home", {"k": number}, expect=0)
        except StaleWriteError:
            return False
        finally:
            with_own.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_the_catalogue_keeps_what_is_not_written_anew(store: Store) -> None:
    films = Catalog(
        items=Vocabulary(("b", "a")),
        text=("Up", None),
        attributes={"genres": [("kids", "air"), None], "stock": [3, 0]},
    )
    assert store.catalog.write(films) == 2
    assert store.catalog.write(films) == 0
    assert store.catalog.read().attributes == films.attributes
    more = Catalog(items=Vocabulary(("c", "a")), text=("Coco", "Antz"))
    assert store.catalog.write(more) == 2
    found = store.catalog.read()
    assert found.items.ids == ("b", "a", "c")
    assert found.text == ("Up", "Antz", "Coco")
    assert found.attributes["stock"] == (3, 0, None)
    before = store.catalog.revision
    hidden = [store.catalog.hide("a", "z", reason="recalled") for _ in range(2)]
    assert hidden == [2, 0]
    assert store.catalog.revision > before
    found = store.catalog.read()
    why = dict(zip(found.items.ids, found.attributes["hidden"], strict=True))
    assert why == {"b": None, "a": "recalled", "c": None, "z": "recalled"}
    assert (store.catalog.unhide("a"), store.catalog.remove("b", "z")) == (1, 2)
    assert store.catalog.read().items.ids == ("a", "c")


def test_whole_and_text_ids_stay_apart(store: Store) -> None:
    store.catalog.write(Catalog(items=Vocabulary((5, "5")), text=("five", "text five")))
    assert store.catalog.read().items.ids == (5, "5")


@pytest.mark.parametrize(
    "broken",
    [
        lambda: Catalog(items=Vocabulary(("a",)), attributes={"x": [object()]}),
        lambda: Catalog(items=Vocabulary(("a",)), attributes={"x": [float("inf")]}),
        lambda: Catalog(items=Vocabulary(("a",)), attributes={"released": [date(2026, 1, 2)]}),
        lambda: Catalog(items=Vocabulary(("a",)), attributes={"stock": ["3"]}),
        lambda: Catalog(items=Vocabulary((1.5,))),
    ],
)
def test_what_cannot_be_kept_is_refused(store: Store, broken: Callable[[], Any]) -> None:
    with pytest.raises((InvalidDataError, InvalidParameterError), match=r"'a'|1\.5"):
        store.catalog.write(broken())
    assert store.catalog.revision == 0


def test_what_a_frame_does_not_know_is_none(store: Store) -> None:
    votes = [3.0, float("nan")]
    store.catalog.write(Catalog(items=Vocabulary(("a", "b")), attributes={"votes": votes}))
    assert store.catalog.read().attributes["votes"] == (3.0, None)


def test_a_list_and_its_decision_are_one(store: Store) -> None:
    write(store, "l1")
    found = store.recommendations.get("l1")
    assert found is not None
    assert found.items == a_list("l1").items
    assert found.decision == a_decision("l1").to_json()
    with pytest.raises(StaleWriteError, match="there already"):
        write(store, "l2", "l1")
    assert store.counts()["recommendation"] == store.counts()["decision"] == 1
    assert store.recommendations.get("l2") is None


def test_heads_that_moved_refuse_the_list(store: Store) -> None:
    log = store.recommendations
    heads = log.heads("home", "placement:home")
    assert heads == Heads(0, None, 0)
    store.values.put("placement", "home", {"k": 1})
    expect = ("home", "placement:home", heads)
    with pytest.raises(StaleWriteError, match="has changed"):
        log.write([a_list("l1")], [], context=Context.none(), expect=expect)
    assert store.counts()["recommendation"] == 0
    store.catalog.write(Catalog(items=Vocabulary(("a",))))
    assert log.heads("home", "placement:home") == Heads(1, None, 1, 0)


def test_a_look_gives_the_newest_events_of_one_person(store: Store) -> None:
    events = Feedback.of(
        user=["ann", "bob", "ann", "ann"], item=["x", "x", "y", "z"], time=[4, 3, 2, 1]
    )
    store.feedback.write(events)
    store.feedback.write(Feedback.of(user=[7], item=["x"], time=5))
    looked = store.recommendations.look("home", "a", user="ann", n=2, id_="l1")
    history, there = looked.history, looked.there
    assert history is not None
    assert (looked.whose, looked.unit) == (Whose("ann", ("ann",)), "ann")
    assert history.items.decode(history.item) == ["y", "x"]  # by time, not by arrival
    assert not there
    assert store.recommendations.look("home", "a", user="7", n=2, id_="l1")[1] is None
    whole = store.recommendations.look("home", "a", user=7, n=2, id_="l1")[1]
    assert whole is not None
    assert whole.users.ids == (7,)


def test_what_is_told_of_a_list_opens_it_and_lets_it_be_settled_anew(store: Store) -> None:
    write(store, "l1", opened=None)
    log = store.recommendations
    assert log.waiting("home", 100, n=9) == []
    click = Feedback.of(user=["ann"], item=["x"], kind="click", time=20)
    event = replace(click, decision=np.asarray(["l1"]))
    rows = store.feedback.rows(event, ["k1"])
    assert log.tell("l1", rows, seen=["x"], time=20).accepted == 1
    (waiting,) = log.waiting("home", 100, n=9)
    assert (waiting.opened, [row[5] for row in waiting.items]) == (20, [20, None])
    log.settle([waiting], {"l1": 0})
    assert log.waiting("home", 100, n=9) == [waiting]  # an event has come meanwhile
    log.settle([waiting], {"l1": 1})
    assert log.waiting("home", 100, n=9) == []
    assert log.tell("l1", [], seen=None, time=30).accepted == 0
    (waiting,) = log.waiting("home", 100, n=9)
    assert (waiting.opened, [row[5] for row in waiting.items]) == (20, [20, 30])
    assert log.waiting("home", 19, n=9) == []


def test_events_are_found_by_their_list(store: Store) -> None:
    write(store, "l1", "l2")
    assert store.recommendations.events_of(["l1", "l2"]) is None
    store.feedback.click(a_decision("l1"), "x", 1, user="ann", time=12)
    found = store.recommendations.events_of(["l1", "l2"])
    assert found is not None
    assert found.decision is not None
    assert found.decision.tolist() == ["l1"]


def test_lists_are_read_by_time(store: Store) -> None:
    write(store, "l1", "l2")
    log = store.recommendations
    assert [row.id for row in log.between("home", 0, 11)] == ["l1", "l2"]
    assert log.between("home", 11, None) == log.between("else", None, None) == []


def test_popular_counts_events(store: Store) -> None:
    store.feedback.write(Feedback.of(user=["a", "b", "c"], item=["y", "x", "x"], time=[1, 2, 3]))
    assert store.feedback.popular(1) == ["x"]
    assert store.feedback.popular(9) == ["x", "y"]


def test_erasing_detaches_or_deletes_lists(store: Store) -> None:
    write(store, "l1")
    assert store.erase("ann").n_lists == 1
    assert store.recommendations.get("l1").unit is None  # type: ignore[union-attr]
    write(store, "l2")
    assert store.erase("ann", decisions="delete").n_lists == 1
    assert store.recommendations.get("l2") is None


def test_the_diary_is_read_as_it_was_written(store: Store) -> None:
    store.diary.write("home", "trained", {"verdict": "kept"})
    store.diary.write("home", "promoted", {"release": "r1"})
    store.diary.write("else", "trained", {})
    assert [entry.what for entry in store.diary.read("home")] == ["trained", "promoted"]
    assert store.diary.read("home")[0].body == {"verdict": "kept"}


# --- what one person is kept from, and what was taken back -------------------------------------


def test_a_block_is_of_one_person_and_of_one_kind_of_id(store: Store) -> None:
    blocks = store.blocks
    assert blocks.add("ann", "x", "y", "x") == 2
    assert (blocks.add("ann", "x"), blocks.add(7, 8, "8"), blocks.add("7", "z")) == (0, 2, 1)
    assert (blocks.of("ann"), blocks.of("bob")) == (["x", "y"], [])
    assert sorted(map(repr, blocks.of(7))) == ["'8'", "8"]
    look = store.recommendations.look("home", "a", user="ann", n=2, id_="l1")
    assert sorted(look.blocked, key=str) == ["x", "y"]
    assert (blocks.remove(7, "8"), blocks.remove(7, "8"), blocks.of(7)) == (1, 0, [8])
    store.erase(7)
    assert (blocks.of(7), blocks.of("7")) == ([], ["z"])
    with pytest.raises(InvalidDataError, match="NUL"):
        blocks.add("ann", "a\0b")


def test_impressions_are_what_was_seen(store: Store) -> None:
    write(store, "l1", "l2", opened=10)
    write(store, "l3", opened=None)
    log, ann = store.recommendations, Whose("ann", ("ann",))
    assert sorted(store.persons.impressions(ann, 0, None)) == [("x", 10)] * 2 + [("y", 10)] * 2
    assert store.persons.impressions(ann, 11, None) == []
    assert store.persons.impressions(ann, 0, "elsewhere") == []
    assert store.persons.impressions(Whose("bob", ("bob",)), 0, "home") == []
    log.tell("l3", [], seen=["y"], time=20)
    assert store.persons.impressions(ann, 11, "home") == [("y", 20)]


def test_a_retracted_event_is_out_of_everything_and_its_list_waits(store: Store) -> None:
    write(store, "l1")
    log, feedback = store.recommendations, store.feedback
    click = Feedback.of(user=["ann", "bob"], item=["x", "x"], kind="click", time=20)
    rows = feedback.rows(replace(click, decision=np.asarray(["l1", ""])), ["k1", "k2"])
    log.tell("l1", rows, seen=["x"], time=20)
    log.settle(log.waiting("home", 100, n=9), {"l1": 1})
    assert log.waiting("home", 100, n=9) == []
    taken = store.snapshots.take()
    assert feedback.retract("k1") == ["l1"]
    assert feedback.retract("k1", "k2") == ["l1"]
    assert log.events_of(["l1"]) is None
    assert [row.id for row in log.waiting("home", 100, n=9)] == ["l1"]
    assert store.snapshots.get(taken.id).redacted is not None
    assert (store.counts()["event"], store.counts()["retracted"]) == (0, 2)
    assert feedback.store(rows, keyed=True).duplicates == 2
    with pytest.raises(UnknownNameError, match="key of an event"):
        feedback.retract("k3")
    store.erase("ann", decisions="delete")
    assert store.counts()["retracted"] == 1
    with pytest.raises(InvalidDataError, match="archived or erased"):
        feedback.retract("k1")


def test_any_instant_of_the_catalogue_is_kept_as_one(store: Store) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    items = Vocabulary(("x", "y"))
    store.catalog.write(Catalog(items=items, attributes={"released": [when, None]}))
    assert store.catalog.read().attributes["released"] == (1767225600 * SECOND, None)
    naive = Catalog(items=items, attributes={"released": [datetime(2026, 1, 1), None]})  # noqa: DTZ001
    with pytest.raises(InvalidParameterError, match="no zone"):
        store.catalog.write(naive)


def test_lists_that_belong_together_are_known_from_each_of_them(store: Store) -> None:
    parents = {
        "l1": None,
        "l2": "l1",
        "l3": "l2",
        "n1": "l1",
        "n2": "n1",
        "o1": None,
        "o2": "gone",
    }
    rows = [
        replace(
            a_list(id_), parent=parent, time=10 + place, whole=2 * (id_ == "n2"),
            items=((1, id_[1] if id_ == "n2" else f"x{id_}", 0.5, "svd", None, 10),
                   (2, "7" if id_ == "n2" else "y", 0.5, "svd", None, 10)),
        )
        for place, (id_, parent) in enumerate(parents.items())
    ]  # fmt: skip
    store.recommendations.write(rows, [], context=Context.none())
    whole = ["xl1", "y", "xl2", "xl3", "xn1", 2, 7]
    for id_ in ("l1", "l2", "l3", "n1", "n2"):
        assert store.recommendations.shown_with(id_) == whole
    assert store.recommendations.shown_with("o1") == ["xo1", "y"]
    assert store.recommendations.shown_with("o2") == ["xo2", "y"]
    assert store.recommendations.shown_with("none") == []
    found = store.recommendations.get("n2")
    assert found is not None
    assert found.parent == "n1"
