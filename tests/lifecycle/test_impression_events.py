"""Impressions that come as events: seen where a placement asks for it, and nobody's deed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from siamrec._core.clock import DAY
from siamrec.data import NO_TIME, Feedback, FeedbackKind
from siamrec.errors import UnknownNameError
from siamrec.lifecycle import Meaning, Seen
from siamrec.metrics.online import Events, ctr
from siamrec.storage import Whose

if TYPE_CHECKING:
    from siamrec.lifecycle import Workspace

NOW = 20_000 * DAY


def shown(*items: str | int, user: str = "u1", time: int = NOW - DAY) -> Feedback:
    return Feedback.of(user=[user] * len(items), item=items, kind="impression", time=time)


def test_what_was_shown_elsewhere_is_left_out_where_impressions_are(shop: Workspace) -> None:
    home = shop.placement("home")
    first = home.recommend("u1", request="a", confirm="on_seen").items
    shop.feedback.write(shown(*first[:2]))
    shop.feedback.write(shown(first[2], time=NO_TIME))
    shop.feedback.write(shown(first[3], time=NOW - 30 * DAY))
    again = home.recommend("u1", request="b", confirm="on_seen")
    assert again.items == first  # by default it is not
    config = shop.placement("home").config
    log = shop.store.persons
    one, two = (Whose(user, (user,)) for user in ("u1", "u2"))
    told = {item for item, _ in log.impressions(one, NOW - 7 * DAY, None)}
    assert told == set(first[:2])
    ever = {item for item, _ in log.impressions(one, -(2**62), None)}
    assert ever == set(first[:4])
    assert log.impressions(one, -(2**62), "home") == log.impressions(two, -(2**62), None) == []
    shop.place(replace(config, seen=Seen({"impression": None})))
    found = shop.placement("home").recommend("u1", request="c").items
    assert not set(first[:4]) & set(found)
    assert set(first[4:]) <= set(found)  # which were shown, and seen by nobody


def test_many_impressions_take_nothing_from_a_history(shop: Workspace) -> None:
    """Neither for the lists nor for what is context, nor for what is popular."""
    home = shop.placement("home")
    before = home.recommend("u1", request="a").items
    popular = shop.store.feedback.popular(10)
    many = Feedback.of(
        user=["u1"] * 3_000, item=[f"i{n % 35}" for n in range(3_000)], kind="impression",
        time=[NOW - 1_000_000 + n for n in range(3_000)],
    )  # fmt: skip
    shop.feedback.write(many)
    assert home.recommend("u1", request="b").items == before
    assert shop.store.feedback.popular(10) == popular


def test_a_training_learns_nothing_from_impressions(shop: Workspace) -> None:
    first = shop.train("home")
    shop.feedback.write(shown("i1", "i2", user="u3"))
    second = shop.train("home")
    assert second.metrics == first.metrics
    one, two = (shop.registry.get(each.release).manifest for each in (first, second))
    assert {path: each["sha256"] for path, each in one["files"].items() if "arm" in path} == {
        path: each["sha256"] for path, each in two["files"].items() if "arm" in path
    }


def test_an_impression_is_no_reward() -> None:
    with pytest.raises(UnknownNameError, match="impression"):
        Meaning({"impression": 1.0})


def test_online_metrics_have_the_vocabulary_of_the_log() -> None:
    frame = {
        "user": ["ann", "ann", "bob", "bob"],
        "item": ["x", "x", "x", "y"],
        "kind": ["impression", "click", "impression", "view"],
    }
    events = Events.from_frame(frame, item="item")
    assert events.kind.tolist() == [7, 1, 7, 2]
    assert {kind.name.lower() for kind in FeedbackKind} >= set(frame["kind"])
    assert ctr(events).value == 0.5
