"""Who is who: events that are only added, chains, no cycles; on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson, Context
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError
from siamrec.storage import Store, StoredList, Whose

if TYPE_CHECKING:
    from pathlib import Path


def items_of(feedback: Feedback | None) -> list[Any]:
    return [] if feedback is None else feedback.items.decode(feedback.item)


def test_a_chain_ends_at_the_person_and_can_be_taken_apart(store: Store) -> None:
    who = store.identities
    assert who.whose("a") == Whose("a", ("a",))
    assert who.identify("a", "b") is True
    assert who.identify("a", "b") is False
    assert who.identify("b", "c") is True
    assert who.identify("z", "c") is True
    assert who.identify("a", "c") is False  # it is already, by b
    for id_ in "abcz":
        whose = who.whose(id_)
        assert (whose.person, sorted(map(str, whose.ids))) == ("c", ["a", "b", "c", "z"])
    assert who.persons() == {"a": "c", "b": "c", "z": "c"}
    assert who.unidentify("b") is True
    assert who.unidentify("b") is False
    assert who.unidentify("nobody") is False
    assert who.whose("a") == Whose("b", ("b", "a"))
    assert who.whose("c") == Whose("c", ("c", "z"))
    assert who.persons() == {"a": "b", "z": "c"}
    assert who.identify("b", "d") is True
    assert who.whose("a").person == "d"
    assert store.counts()["identity"] == 5  # nothing is rewritten
    assert store.counts()["event"] == 0


def test_cycles_other_persons_and_other_kinds_are_refused(store: Store) -> None:
    who = store.identities
    who.identify("a", "b")
    who.identify("b", "c")
    counts = store.counts()
    for alias, person in (("b", "a"), ("c", "a"), ("c", "b")):
        with pytest.raises(InvalidParameterError, match=f"not identified as '{alias}' in turn"):
            who.identify(alias, person)
    with pytest.raises(InvalidParameterError, match=r"person.*another id than the alias"):
        who.identify("a", "a")
    with pytest.raises(InvalidParameterError, match=r"alias.*not 'b' yet: unidentify it first"):
        who.identify("a", "d")
    with pytest.raises(InvalidParameterError, match=r"person.*same kind"):
        who.identify("d", 7)
    for wrong in (None, True, 5.0, "a\0", ["a"]):
        with pytest.raises(InvalidParameterError, match="alias must be one id"):
            who.identify(wrong, "a")  # type: ignore[arg-type]
        with pytest.raises(InvalidParameterError, match="person must be one id"):
            who.identify("d", wrong)  # type: ignore[arg-type]
    assert store.counts() == counts
    assert who.identify(1, 2)
    assert who.whose("1") == Whose("1", ("1",))  # 1 and "1" are two
    assert who.whose(1) == Whose(2, (2, 1))


def test_threads_agree_on_who_is_who(store: Store) -> None:
    def tried(pair: tuple[str, str]) -> bool:
        try:
            return store.identities.identify(*pair)
        except InvalidParameterError:
            return False

    pairs = [("a", "b"), ("b", "a"), ("a", "c"), ("b", "c")] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tried, pairs))
    persons = store.identities.persons()
    assert len(persons) in {1, 2}
    assert all(store.identities.whose(id_).person == persons.get(id_, id_) for id_ in "abc")


def test_a_look_knows_a_person_under_all_ids(store: Store) -> None:
    events = Feedback.of(
        user=["anon", "ann", "anon", "bob"], item=["w", "x", "y", "z"], time=[4, 3, 2, 1]
    )
    store.feedback.write(events)
    store.blocks.add("anon", "v")
    store.blocks.add("ann", "u")
    store.identities.identify("anon", "ann")
    for id_ in ("ann", "anon"):
        looked = store.recommendations.look("home", "a", user=id_, n=2, id_="l")
        assert items_of(looked.history) == ["x", "w"]
        assert looked.history is not None
        assert looked.history.users.ids == ("ann",)
        assert sorted(map(str, looked.blocked)) == ["u", "v"]
        assert looked.whose is not None
        assert looked.unit == looked.whose.person == "ann"
        assert items_of(store.persons.past(looked.whose)) == ["y", "x", "w"]
        assert store.blocks.of(id_) == ["u", "v"]
    assert store.blocks.remove("ann", "v") == 1
    store.identities.unidentify("anon")
    looked = store.recommendations.look("home", "a", user="ann", n=2, id_="l")
    assert items_of(looked.history) == ["x"]
    assert looked.whose == Whose("ann", ("ann",))
    assert store.blocks.of("anon") == []
    whole = store.feedback.read_all()
    assert store.identities.joined(whole) is whole


def test_many_guests_of_one_person_are_read_at_once(store: Store) -> None:
    guests = [f"g{n}" for n in range(300)]
    for guest in guests:
        store.identities.identify(guest, "ann")
    items = [f"i{n}" for n in range(300)]
    store.feedback.write(Feedback.of(user=guests, item=items, time=list(range(300))))
    looked = store.recommendations.look("home", "a", user="g5", n=50, id_="l")
    assert items_of(looked.history) == items[-50:]
    assert looked.whose is not None
    assert len(looked.whose.ids) == 301
    joined = store.identities.joined(store.feedback.read_all())
    assert joined.users.ids == ("ann",)
    assert items_of(joined) == items


def a_list(id_: str, unit: str, body: str = '{"confirm":"on_serve"}') -> StoredList:
    return StoredList(
        id=id_, placement="home", bandit=None, unit=unit, whole=0, time=10, opened=10, body=body,
        items=((1, "x", 0.5, "svd", None, 10),),
    )  # fmt: skip


def test_erasing_a_person_erases_what_is_identified_as_them(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}", clock=ManualClock(50))) as store:
        users = ["zebra-anon", "zebra-old", "zebra-ann", "bob"] * 50
        store.feedback.write(Feedback.of(user=users, item=["x"] * 200, time=list(range(200))))
        bandit = store.bandit("home", BetaThompson(), ("a", "b"))
        for user in ("zebra-anon", "zebra-ann", "bob"):
            bandit.select(unit=user)
        body = '{"asked":{"about":{"town":"zebra-town"}},"confirm":"on_serve"}'
        lists = [a_list("l1", "zebra-anon", body), a_list("l2", "bob", body)]
        store.recommendations.write(lists, [], context=Context.none())
        store.blocks.add("zebra-anon", "y")
        store.identities.identify("zebra-anon", "zebra-old")
        store.identities.identify("zebra-old", "zebra-ann")
        store.identities.identify("bob", "zebra-ann")
        store.identities.unidentify("bob")
        store.archive(100)
        done = store.erase("zebra-ann")
        assert (done.n_events, done.n_decisions, done.n_lists, done.n_aliases) == (150, 2, 1, 2)
        assert done.n_segments == 1
        assert done.remains == ()
        assert store.feedback.read_all().users.ids == ("bob",)
        assert store.blocks.of("zebra-anon") == []
        assert store.identities.persons() == {}
        store.verify()
        left, kept = (store.recommendations.get(id_) for id_ in ("l1", "l2"))
        assert left is not None
        assert kept is not None
        assert (left.unit, "asked" in left.body, "asked" in kept.body) == (None, False, True)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        named = [b"zebra-anon", b"zebra-old", b"zebra-ann"]
        assert not [p for p in files if any(name in p.read_bytes() for name in named)]


def test_erasing_one_id_leaves_the_person_and_says_so(store: Store) -> None:
    store.feedback.write(Feedback.of(user=["anon", "ann", "pad"], item=["x"] * 3, time=[1, 2, 3]))
    store.identities.identify("pad", "anon")
    store.identities.identify("anon", "ann")
    done = store.erase("anon")
    assert (done.n_events, done.n_aliases) == (2, 1)
    assert any("identified as 'ann', who stays: erase('ann')" in line for line in done.remains)
    assert store.feedback.read_all().users.ids == ("ann",)
    assert store.counts()["identity"] == 0
    assert not any("identified" in line for line in store.erase("ann").remains)


def test_decisions_of_all_ids_are_deleted_and_the_sums_are_as_if_they_had_not_been(
    store: Store,
) -> None:
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    for user in ("anon", "ann", "bob") * 3:
        bandit.learn(bandit.select(unit=user).id, reward=1.0)
    store.identities.identify("anon", "ann")
    done = store.erase("ann", decisions="delete")
    assert (done.n_decisions, done.n_aliases) == (6, 1)
    assert float(bandit.sums()["wins"].sum()) == 3
    assert store.counts()["decision"] == store.counts()["reward"] == 3
    store.verify()
