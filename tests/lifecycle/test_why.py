"""Why an item is in a list, and lists that belong to what is on the screen or in a basket."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from siamrec._core.clock import DAY
from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError, MissingCapabilityError, UnknownNameError
from siamrec.lifecycle import Boost, LivePlacement, Pin, Rule, Why, Workspace
from siamrec.storage import Whose

NOW = 20_000 * DAY


def placed(ws: Workspace, arm: str, **changes: Any) -> LivePlacement:
    arms = {"svd": "pure-svd:factors=4", "top": "popularity"}
    return ws.place(replace(ws.placement("home").config, arms={arm: arms[arm]}, **changes))


def history(ws: Workspace, user: str) -> set[Any]:
    log = ws.feedback.read_all()
    return set(log.items.decode(log.item[log.user == log.users.encode([user])[0]]))


def test_anchors_are_of_the_persons_own_history_and_add_up(shop: Workspace) -> None:
    home = placed(shop, "svd")
    shown = home.recommend("u1")
    release = home.release
    assert release is not None
    arm = release.arms["svd"]
    for place, item in enumerate(shown.items):
        why = shown.why(place)
        assert (why.item, why.arm, why.version) == (item, "svd", shown.versions["svd"])
        assert (why.rules, why.fallback) == ((), None)
        told = home._ground.store.persons.past(Whose("u1", ("u1",)))
        assert told is not None
        parts = dict(arm.explain_for_feedback(told, item, n=99))
        assert sum(parts.values()) == pytest.approx(shown.scores[place], rel=1e-4)
        total = sum(part for part in parts.values() if part > 0)
        assert 0 < len(why.anchors) <= 3
        for met, share in why.anchors:
            assert met in history(shop, "u1")
            assert share == pytest.approx(parts[met] / total)
        assert [share for _, share in why.anchors] == sorted(
            (share for _, share in why.anchors), reverse=True
        )
    assert str(why.title()).startswith(f"{shown.items[-1]}: offered by svd, because of ")


def test_what_cannot_say_why_is_silent(shop: Workspace) -> None:
    home = placed(shop, "top", rules=(Rule("summer", then=Pin("i37", 1)),))
    shown = home.recommend("u1", request="r")
    pin, own = shown.why(0), shown.why(1)
    assert (pin.arm, pin.version, pin.rules, pin.anchors) == (None, None, ("summer",), ())
    assert pin.title() == "i37: put in, by the rule summer"
    assert (own.arm, own.anchors) == ("top", ())
    svd = placed(shop, "svd", rules=())
    nobody = svd.recommend("new").why(0)
    said = "no arm ranks for somebody who has done nothing yet"
    assert (nobody.arm, nobody.fallback) == (None, said)
    assert nobody.title().endswith("put in by the fallback")
    first = svd.recommend("u1", request="s")
    assert first.why(0).anchors
    read = svd.recommend("u1", request="s")  # from the log: what was known then is not
    assert read == first
    assert read.why(0) == replace(first.why(0), anchors=())
    assert isinstance(read.why(0), Why)
    with pytest.raises(InvalidParameterError, match="place must be from 0 to 5"):
        shown.why(6)
    with pytest.raises(InvalidParameterError, match="place"):
        shown.why(-1)


def test_a_rule_that_moved_an_item_is_told(shop: Workspace) -> None:
    home = placed(shop, "svd", rules=(Rule("tail", then=Boost("long_tail", 2.0)),), candidates=9)
    shown = home.recommend("u1")
    moved = [place for place, item in enumerate(shown.items) if item in shown.rules["tail"]]
    assert moved
    assert all(shown.why(place).rules == ("tail",) for place in moved)
    assert all(shown.why(place).anchors for place in moved)


def test_a_list_travels_without_what_made_it(shop: Workspace) -> None:
    shown = placed(shop, "svd").recommend("u1")
    sent = copy(shown)
    assert sent == shown
    assert sent.why(0).anchors == ()


def test_an_arm_explains_the_feedback_of_one_person(shop: Workspace, shelf: LivePlacement) -> None:
    release = shelf.release
    assert release is not None
    two = Feedback.of(user=["a", "b"], item=["i0", "i1"])
    with pytest.raises(InvalidParameterError, match="of one user"):
        release.arms["svd"].explain_for_feedback(two, "i3")
    with pytest.raises(MissingCapabilityError):
        release.arms["top"].explain_for_feedback(two, "i3")
    _ = shop


def test_similar_goes_by_the_item_on_the_screen(shop: Workspace) -> None:
    home = placed(shop, "svd", where="genre == current.genre")
    shown = home.recommend(items=["i1"], request="similar")
    assert shown.user is None
    assert set(shown.sources) == {"svd"}
    assert "i1" not in shown.items
    assert all(int(str(item)[1:]) % 4 == 1 for item in shown.items)
    assert shown.anchors == ("i1",)
    assert shown.why(0).anchors == (("i1", 1.0),)
    assert home.recommend(items=["i1"], request="similar") == shown
    assert json.loads(shown.to_json())["anchors"] == ["i1"]
    with_person = home.recommend("u1", items=["i1"])
    assert history(shop, "u1").isdisjoint(with_person.items)
    kept = [item for item in shown.items if item not in history(shop, "u1")]
    assert list(with_person.items)[: len(kept)] == kept
    assert not home.recommend().items  # nothing is on the screen: nothing is of its genre
    with pytest.raises(UnknownNameError, match="item to go by"):
        home.recommend(items=["i99"])


def test_a_basket_is_the_newest_of_a_history(shop: Workspace) -> None:
    home = placed(shop, "svd")
    basket = home.recommend(session=["i2", "i5"])
    assert set(basket.sources) == {"svd"}
    assert {"i2", "i5"}.isdisjoint(basket.items)
    assert {met for met, _ in basket.why(0).anchors} <= {"i2", "i5"}
    own = home.recommend("u1", session=["i2", "i5"])
    assert (history(shop, "u1") | {"i2", "i5"}).isdisjoint(own.items)
    shop.feedback.write(
        Feedback.of(user=["u1"] * 2, item=["i2", "i5"], kind=FeedbackKind.CLICK, time=[NOW] * 2)
    )
    assert home.recommend("u1").items == own.items  # as if they had been told
    facts = home.recommend("u2", session={"seen": 4})
    assert facts.context["session_position"] == "middle"
    with pytest.raises(InvalidParameterError, match="session"):
        home.recommend(session="i2")


def test_it_can_be_printed_with_its_anchors() -> None:
    why = Why(
        item="x", arm="svd", version="v1", rules=(), fallback=None,
        anchors=(("i0", 0.75), ("i1", 0.25)),
    )  # fmt: skip
    assert "i0 0.75, i1 0.25" in str(why)
