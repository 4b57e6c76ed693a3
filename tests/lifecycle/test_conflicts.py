"""Rules that cannot hold together are refused when they are kept; what relaxes says so."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY
from siamrec.errors import InvalidParameterError
from siamrec.lifecycle import (
    Boost,
    Bury,
    Include,
    LivePlacement,
    Never,
    Pin,
    Quota,
    Rule,
    Workspace,
)

if TYPE_CHECKING:
    from siamrec._core.clock import ManualClock

WAR = "genre == 'war'"  # items i2, i6, ..., ten of forty
ACTIONS = (Pin, Boost, Bury, Quota, Include, Never)
PAIRS: list[tuple[Any, Any, str | None]] = [
    (Pin("i1", 1), Pin("i2", 2), None),
    (Pin("i1", 1), Pin("i2", 1), "pin one place"),
    (Pin("i1", 1), Pin("i1", 2), "pin one item"),
    (Pin("i2", 1), Boost(WAR, 0.1), None),
    (Pin("i2", 1), Bury(WAR, 0.1), None),
    (Pin("i2", 1), Quota("genre", 1), None),
    (Pin("i2", 1), Include(WAR, 3), None),
    (Pin("i2", 1), Include(WAR, 6), None),  # the pin is one of the six
    (Pin("i1", 1), Include(WAR, 6), "includes at least 6"),
    (Pin("i1", 1), Never(WAR), None),
    (Pin("i2", 1), Never(WAR), "the pinned item 'i2' is never shown"),
    (Pin("i2", 1), Never("user.age < 18 and genre == 'war'"), None),  # not for everybody
    (Boost(WAR, 0.1), Boost(WAR, 0.2), None),
    (Boost(WAR, 0.1), Bury(WAR, 0.1), "lifted and kept down"),
    (Boost(WAR, 0.1), Bury("long_tail", 0.1), None),
    (Boost(WAR, 0.1), Quota("genre", 1), None),
    (Boost(WAR, 0.1), Include(WAR, 2), None),
    (Boost(WAR, 0.1), Never(WAR), "lifted and kept down"),
    (Boost(WAR, 0.1), Never("stock < 9"), None),
    (Bury(WAR, 0.1), Bury(WAR, 0.2), None),
    (Bury(WAR, 0.1), Quota("genre", 1), None),
    (Bury(WAR, 0.1), Include(WAR, 2), None),
    (Bury(WAR, 0.1), Never(WAR), None),
    (Quota("genre", 1), Quota("genre", 3), None),
    (Quota("genre", 2), Include(WAR, 2), None),
    (Quota("genre", 2), Include(WAR, 3), "the quota has room for 2"),
    (Quota("genres", 2), Include(WAR, 3), "the quota has room for 2"),
    (Quota("genre", 2), Include("stock > 10", 3), None),  # of several genres
    (Quota("language", 1), Include(WAR, 2), "the quota has room for 1"),  # all in one
    (Quota("genre", 1), Never(WAR), None),
    (Include(WAR, 3), Include(WAR, 2), None),
    (Include(WAR, 2), Never("genre == 'noir'"), None),
    (Include(WAR, 2), Never(WAR), "what must be included is never shown"),
    (Include(WAR, 2), Never("stock < 39"), "of 9 items to be included at least 2, 1 may be shown"),
    (Include("stock > 999", 2), Never(WAR), None),  # there is none yet
    (Include("genre == user.genre", 2), Never("genre == user.genre"), "is never shown"),
    (Include("genre == user.genre", 2), Never(WAR), None),
    (Never(WAR), Never("stock < 9"), None),
]  # fmt: skip


def test_every_pair_of_actions_is_listed() -> None:
    kinds = {frozenset((type(one), type(other))) for one, other, _ in PAIRS}
    assert kinds == {frozenset(pair) for pair in combinations_with_replacement(ACTIONS, 2)}


@pytest.mark.parametrize(("one", "other", "why"), PAIRS)
def test_pairs(
    shop: Workspace, shelf: LivePlacement, one: Any, other: Any, why: str | None
) -> None:
    def placed(**times: Any) -> LivePlacement:
        for pair in ((one, other), (other, one)):
            rules = (Rule("a", then=pair[0]), Rule("b", then=pair[1], **times))
            last = shop.place(replace(shelf.config, rules=rules))
        return last

    if why is None:
        home = placed()
        assert home.recommend("u1", about={"genre": "war", "age": 20}).items
        return
    with pytest.raises(InvalidParameterError, match=why) as raised:
        placed()
    assert "\n" not in str(raised.value)
    assert shelf.config.rules == ()


def test_rules_that_never_meet_are_no_conflict(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    now = shop_clock.now()
    for times in (
        ({"until": now + DAY}, {"since": now + DAY}),
        ({"when": "user.age < 18"}, {"when": "user.age >= 18"}),
    ):
        rules = (
            Rule("in", then=Include(WAR, 2), **times[0]),
            Rule("out", then=Never(WAR), **times[1]),
        )
        shop.place(replace(shelf.config, rules=rules))
    with pytest.raises(InvalidParameterError, match="'in' and 'out'"):
        shop.place(replace(shelf.config, rules=(rules[0], replace(rules[1], when=None))))


def test_a_catalogue_that_changes_later_makes_no_known_rule_a_conflict(
    shop: Workspace, shelf: LivePlacement
) -> None:
    rules = (Rule("in", then=Include(WAR, 2)), Rule("out", then=Never("stock < 9")))
    home = shop.place(replace(shelf.config, rules=rules))
    stock = shop.catalog.read()
    low = {"stock": [1] * len(stock.items)}
    shop.catalog.write(replace(stock, attributes={**stock.attributes, **low}))
    assert shop.place(home.config).recommend("u1").items == ()  # a host places at every start
    with pytest.raises(InvalidParameterError, match="'more' and 'out'"):
        shop.place(replace(home.config, rules=(*rules, Rule("more", then=Include(WAR, 3)))))


def test_three_pins_of_one_value_are_too_many_for_a_quota(
    shop: Workspace, shelf: LivePlacement
) -> None:
    pins = tuple(Rule(f"p{n}", then=Pin(f"i{4 * n}", n + 1)) for n in range(3))
    with pytest.raises(InvalidParameterError, match="'mix': 3 pinned items have the genre 'noir'"):
        shop.place(replace(shelf.config, rules=(*pins, Rule("mix", then=Quota("genre", 2)))))
    shop.place(replace(shelf.config, rules=(*pins, Rule("mix", then=Quota("genre", 3)))))


def test_a_quota_that_relaxed_is_told_as_such(shop: Workspace, shelf: LivePlacement) -> None:
    home = shop.place(replace(shelf.config, rules=(Rule("mix", then=Quota("genre", most=1)),)))
    shown = home.recommend("u1", k=6)
    assert len(shown.items) == 6
    assert shown.too_few == "let go of the quota of the rule mix: too few items within it"
    assert shown.fallback is None  # the arms had enough, and gave all of them
    assert set(shown.sources) <= set(home.config.arms)
    assert shown.too_few in str(shown.table())
    four = home.recommend("u1", k=4, exclude=["i34"])
    assert (four.too_few, four.fallback) == (None, None)
