"""The owner's doors: what is odd is refused in one line, or accepted and told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from siamrec.data import Catalog, Vocabulary
from siamrec.errors import InvalidParameterError, SiamrecError, StorageError, UnknownNameError
from siamrec.lifecycle import (
    Boost,
    LivePlacement,
    Meaning,
    Never,
    Pin,
    Placement,
    Rule,
    Withheld,
    Workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec._core.clock import ManualClock


def refused(wanted: str, call: Any, kind: type[SiamrecError] = InvalidParameterError) -> None:
    with pytest.raises(kind, match=re.escape(wanted)) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_filter_that_can_never_hold_is_refused_when_it_is_kept(
    shop: Workspace, shelf: LivePlacement
) -> None:
    config = shelf.config
    for where, part in (
        ("genre", "'genre' is a text"),
        ("'x' in stock", "'stock' is a number"),
        ("released > now() - 3", "'now() - 3' is an instant - a number"),
        ("days('x') > days(1)", "\"'x'\" is a text"),
        ("genres == 'noir'", "a list of texts and a text"),
        ("user.age > 'old' and 'kids' == stock", "a text and a number"),
    ):
        refused(part, lambda where=where: shop.place(replace(config, where=where)))
        refused(part, lambda where=where: shelf.recommend("u1", where=where))
        for then in (Boost(where, 0.1), Never(where)):
            rules = (Rule("r", then=then),)
            refused(part, lambda rules=rules: shop.place(replace(config, rules=rules)))
    when = (Rule("r", when="user.country in 5", then=Pin("i1", 1)),)
    refused("'5' is a number", lambda: shop.place(replace(config, rules=when)))
    assert shelf.config == config


def test_columns_that_go_away_later_keep_nobody_from_a_list(
    shop: Workspace, shelf: LivePlacement
) -> None:
    rules = (Rule("tail", then=Boost("long_tail", 0.3)),)
    shop.place(replace(shelf.config, where="stock > 0", rules=rules))
    shop.catalog.remove(*(f"i{n}" for n in range(40)))
    shown = shelf.recommend("u1")
    assert (shown.items, shown.filtered) == ((), {"removed": 40})
    shop.catalog.write(Catalog(items=Vocabulary(("i1", "i2")), attributes={"colour": ["a", "b"]}))
    assert shelf.recommend("u1").items == ()
    refused("stock", lambda: shelf.recommend("u1", where="stock > 0"), UnknownNameError)


def test_what_is_not_in_the_catalogue_is_kept_back_and_told(
    shop: Workspace, shelf: LivePlacement
) -> None:
    told = shop.catalog.hide("i3", "i333", "new", reason="recalled")
    assert (told.n, told.unknown) == (3, ("i333", "new"))
    assert "i3" in told.near["i333"]
    assert "not in the catalogue yet: 'i333', 'new'" in told.title()
    assert shop.catalog.hide("new", reason="recalled") == Withheld(
        n=0, unknown=("new",), near={"new": ()}
    )
    assert shop.catalog.hide("i3", reason="recalled") == Withheld(n=0)
    assert shop.block("u1", "i4", "soon").unknown == ("soon",)
    both = ("new", "soon")
    shop.catalog.write(Catalog(items=Vocabulary(both), attributes={"stock": [5, 5]}))
    pins = tuple(Rule(item, then=Pin(item, place)) for place, item in enumerate(both, 1))
    home = shop.place(replace(shelf.config, rules=pins))
    assert not {*both} & {*home.recommend("u1").items}
    assert home.recommend("u2").items[1] == "soon"
    assert shop.catalog.unhide("new", "never there") == 1
    assert "never there" not in shop.catalog.read().items
    assert home.recommend("u2").items[:2] == both
    for change in (shop.catalog.unhide, shop.catalog.remove):
        refused("items must be texts", lambda change=change: change(5))


@pytest.mark.parametrize(
    ("session", "wanted"),
    [
        ({"seen": "four"}, "seen of session must be a whole number"),
        ({"seen": -1}, "seen of session must be a whole number of at least 0"),
        ({"seen": float("nan")}, "seen of session"),
        ({"seen": True}, "seen of session"),
        ({"seen": [1]}, "seen of session"),
        ({"segment": [1]}, "segment of session must be a text, a number or an instant"),
        ({"day": object()}, "day of session"),
        ({1: 2}, "a name of session must be a text"),
        ("i2", "session must be a list of ids such as ['i2']"),
        (5, "session must be a list of ids"),
        ([None], "session must be texts or whole numbers"),
    ],
)
def test_odd_sessions_are_refused(shelf: LivePlacement, session: Any, wanted: str) -> None:
    refused(wanted, lambda: shelf.recommend("u1", session=session))


def test_odd_facts_of_a_person_are_refused(shelf: LivePlacement) -> None:
    for about, wanted in (
        ({"country": object()}, "country of about must be a text, a number"),
        ({"when": datetime(2026, 1, 1)}, "has no zone"),  # noqa: DTZ001
        ({3: "x"}, "a name of about must be a text"),
    ):
        refused(wanted, lambda about=about: shelf.recommend("u1", about=about))
    told = {"country": None, "age": float("nan"), "likes": ["a"], "adult": True}
    assert shelf.recommend("u1", about=told).items
    assert shelf.recommend("u1", session={"seen": 4, "day": None}).context["session_position"]


def test_a_truth_is_no_number(shop: Workspace) -> None:
    refused("reward of click must be in [0, 1], got True", lambda: Meaning({"click": True}))
    refused("by must be a finite number", lambda: Boost("stock > 0", True))


@pytest.mark.parametrize("reason", ["", " ", "\n", None, 5])
def test_a_reason_says_something_wherever_one_is_asked_for(
    shop: Workspace, shelf: LivePlacement, reason: Any
) -> None:
    assert shelf.release is not None
    version = shelf.release.id
    for call in (
        lambda: shop.catalog.hide("i1", reason=reason),
        lambda: shop.activate("home", version, reason=reason),
        lambda: shop.rollback("home", reason=reason),
        lambda: shop.registry.activate("placement:home", version, reason=reason),
        lambda: shelf.end_test(reason=reason),
    ):
        refused("reason must be a text", call)


def test_ids_of_the_other_kind_are_told_apart(tmp_path: Path) -> None:
    with Workspace(f"sqlite:///{tmp_path}/whole.db") as ws:
        ws.catalog.write(Catalog(items=Vocabulary((65, 66))))
        home = Placement(name="home", arms={"top": "popularity"})
        wrong = replace(home, rules=(Rule("p", then=Pin("65", 1)),))
        refused(
            "'65'. It is a text, and 65 is a number", lambda: ws.place(wrong), UnknownNameError
        )
        live = ws.place(home)
        refused("whole numbers, like the others, got '65'", lambda: live.recommend(among=["65"]))
        refused(
            "named 67. Did you mean 66, 65?", lambda: live.recommend(among=[67]), UnknownNameError
        )


def test_why_of_an_empty_list_says_so(shelf: LivePlacement) -> None:
    shown = shelf.recommend("u1", among=[])
    refused("the list is empty", lambda: shown.why(0))
    refused("from 0 to 5", lambda: shelf.recommend("u1").why(6))


def test_after_closing_every_call_is_refused(shop: Workspace, shop_clock: ManualClock) -> None:
    with Workspace(shop.store.url, clock=shop_clock) as ws:
        home = ws.placement("home")
        shown = home.recommend("u1", request="r")
    for call in (
        lambda: home.recommend("u1"),
        lambda: home.recommend("u1", request="r"),
        lambda: home.recommend_many(["u1"]),
        lambda: ws.feedback.click(shown, shown.items[0]),
        lambda: ws.feedback.seen(shown),
        lambda: ws.catalog.hide("i1", reason="x"),
        lambda: ws.block("u1", "i1"),
        lambda: ws.place(home.config),
        lambda: ws.train("home"),
        ws.placements,
        ws.verify,
        ws.settle,
    ):
        refused("is closed: open it again", call, StorageError)
    ws.close()
    assert shop.placement("home").recommend("u1", request="r") == shown
