"""Rules of the owner: in force when they should be, said on the list, and no trial of any arm."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.lifecycle import (
    Boost,
    Bury,
    Include,
    LivePlacement,
    Never,
    Pin,
    Placement,
    Quota,
    Rule,
    Workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = 20_000 * DAY


def placed(ws: Workspace, *rules: Rule, **changes: Any) -> LivePlacement:
    return ws.place(replace(ws.placement("home").config, rules=rules, **changes))


def genre(item: object) -> int:
    """Return the genre of an item; -1 where it has none."""
    return -1 if item == "i34" else int(str(item)[1:]) % 4


def test_a_pin_has_its_place_its_time_and_its_condition(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    rule = Rule(
        "summer", when="user.country == 'TH'", then=Pin("i17", 2), owner="marketing",
        since=datetime(2024, 10, 5, tzinfo=UTC), until="2024-10-06",
    )  # fmt: skip
    home, thai = placed(shop, rule), {"country": "TH"}
    assert home.recommend("new", about=thai).rules == {}  # it is the day before
    shop_clock.advance(DAY)
    shown = home.recommend("new", about=thai, request="r")
    assert (shown.items[1], shown.sources[1], shown.scores[1]) == ("i17", "rule", 0.0)
    assert shown.rules == {"summer": ("i17",)}
    assert len(set(shown.items)) == 6
    assert "rule summer: i17" in str(shown.table())
    assert home.recommend("new", about=thai, request="r") == shown
    assert json.loads(shown.to_json())["rules"] == {"summer": ["i17"]}
    for other in ({"country": "DE"}, {}):
        assert home.recommend("new", about=other).rules == {}
    shop_clock.advance(DAY)
    assert home.recommend("new", about=thai).rules == {}


def test_pins_obey_the_gate_and_new_items_can_be_pinned(shop: Workspace) -> None:
    pins = (Rule("new", then=Pin("i37", 1)), Rule("old", then=Pin("i3", 3)))
    home = placed(shop, *pins)
    shown = home.recommend("new")
    assert (shown.items[0], shown.items[2]) == ("i37", "i3")  # no arm knows i37 yet
    shop.catalog.hide("i37", reason="recalled")
    hidden = home.recommend("new")
    assert "i37" not in hidden.items
    assert hidden.rules == {"new": (), "old": ("i3",)}
    assert hidden.items[2] == "i3"
    shop.block("new", "i3")
    assert home.recommend("new").rules == {"new": (), "old": ()}
    few = home.recommend("other", among=["i3", "i5"])
    assert few.items == ("i5", "i3")  # a pin beyond what there is follows it
    short = home.recommend("other", k=2)
    assert "old" in short.rules
    assert len(short.items) == 2


def test_never_is_before_the_draw_and_quotas_hold_in_the_fallback_too(shop: Workspace) -> None:
    rules = (
        Rule("calm", then=Never("genre == 'war'")),
        Rule("mix", then=Quota("genre", most=2)),
    )
    home = placed(shop, *rules)
    for user in ("u1", "new", None):
        shown = home.recommend(user)
        assert not any(genre(item) == 2 for item in shown.items)
        assert max(Counter(map(genre, shown.items)).values()) <= 2
        assert shown.filtered["never"] > 0
        assert len(shown.items) == 6
        assert set(shown.rules["mix"]).isdisjoint(shown.items)


def test_a_quota_that_cannot_be_met_lets_the_last_rule_go(shop: Workspace) -> None:
    rules = (
        Rule("all", then=Quota("genres", most=5)),  # every item has the genre "all"
        Rule("mix", then=Quota("genre", most=2)),
    )
    home = placed(shop, *rules)
    two = ["i0", "i4", "i8", "i1", "i5"]
    shown = home.recommend("new", among=two, k=5)
    assert set(shown.items) == set(two)  # "mix" alone would leave four
    assert set(map(genre, shown.items[:4])) == {0, 1}
    assert Counter(map(genre, shown.items[:4])) == {0: 2, 1: 2}  # one too many comes last
    six = home.recommend("new", k=6)
    assert len(six.items) == 6  # neither can be met: five of "all"
    lone = placed(shop, Rule("mix", then=Quota("genre", most=1)))
    four = lone.recommend("new", k=4, exclude=["i34"])
    assert sorted(map(genre, four.items)) == [0, 1, 2, 3]
    assert len(lone.recommend("new", k=6).items) == 6


def test_boosts_act_on_scores_from_0_to_1(shop: Workspace) -> None:
    home = placed(shop, Rule("tail", then=Boost("long_tail", 2.0)), candidates=20)
    shown = home.recommend("u1")
    assert all(int(str(item)[1:]) >= 20 for item in shown.items)
    assert set(shown.rules["tail"]) <= set(shown.items)
    assert shown.rules["tail"]
    assert all(2.0 <= score <= 3.0 for score in shown.scores)
    buried = placed(shop, Rule("tail", then=Bury("long_tail", 2.0)), candidates=20)
    last = buried.recommend("u1", exclude=["i34"])  # it is in no long tail: nobody knows
    assert all(int(str(item)[1:]) < 20 for item in last.items)
    nothing = placed(shop, Rule("tail", then=Boost("stock < 0", 2.0)), candidates=20)
    assert nothing.recommend("u1").rules == {"tail": ()}


def test_what_must_be_included_takes_the_lowest_places(shop: Workspace) -> None:
    rules = (Rule("top", then=Pin("i0", 6)), Rule("war", then=Include("genre == 'war'", least=4)))
    home = placed(shop, *rules)
    shown = home.recommend("u1")
    assert sum(genre(item) == 2 for item in shown.items) >= 4
    assert shown.items[5] == "i0"
    put = [item for item, source in zip(shown.items, shown.sources, strict=True)
           if source == "rule" and item != "i0"]  # fmt: skip
    assert set(put) == set(shown.rules["war"])
    fresh = placed(shop, Rule("fresh", then=Include("stock >= 40", least=2)))
    added = fresh.recommend("new")  # i35 to i39, which no arm knows, all alike
    assert added.items[4:] == ("i35", "i36")
    assert added.rules == {"fresh": ("i35", "i36")}
    none = placed(shop, Rule("none", then=Include("stock > 999")))
    assert none.recommend("new").rules == {"none": ()}


def test_what_must_be_included_takes_the_place_that_a_full_quota_has_for_it(
    shop: Workspace,
) -> None:
    mix = Rule("mix", then=Quota("language", most=3))
    home = placed(shop, mix, Rule("fresh", then=Include("stock >= 40", least=2)))
    for n in range(12):
        shown = home.recommend(f"u{n}", request=f"r{n}")
        fresh = [item for item in shown.items if int(str(item)[1:]) >= 35]
        assert (len(shown.items), len(fresh), len(set(shown.items))) == (6, 2, 6)
        assert Counter(int(str(item)[1:]) % 2 for item in shown.items) == {0: 3, 1: 3}
        assert set(shown.rules["fresh"]) == set(fresh)
        assert not set(shown.rules["mix"]) & set(shown.items)
        assert shown.too_few is None


def test_a_list_of_pins_alone(shop: Workspace) -> None:
    home = placed(shop, *(Rule(f"r{n}", then=Pin(f"i{n}", n + 1)) for n in range(6)))
    shown = home.recommend("new")
    assert shown.items == tuple(f"i{n}" for n in range(6))
    assert set(shown.sources) == {"rule"}


def test_pinned_items_reward_no_arm_and_propensities_hold(shop: Workspace, tmp_path: Path) -> None:
    """Two workspaces: with a pin, and a place less without. Clicks on the pin teach nothing."""
    folder = tmp_path / "other"
    shutil.copytree(tmp_path / "shop", folder)
    beliefs = []
    rules = (Rule("pin", then=Pin("i17", 1)), Rule("tail", then=Boost("long_tail", 0.3)))
    log = shop.feedback.read_all()
    met = set(log.users.decode(log.user[log.item == log.items.encode(["i17"])[0]]))
    users = [f"u{n}" for n in range(80) if f"u{n}" not in met]
    for place, pinned in ((tmp_path / "shop", True), (folder, False)):
        clock = ManualClock(NOW)
        with Workspace(f"sqlite:///{place}/app.db", clock=clock) as ws:
            where = "language is not None" if pinned else "stock != 22"  # all but i17
            own, k = (rules, 6) if pinned else (rules[1:], 5)
            home = placed(ws, *own, k=k, where=where, candidates=30)
            lists = [home.recommend(users[n % 40], request=f"r{n}") for n in range(300)]
            assert all((shown.items[0] == "i17") == pinned for shown in lists)
            for n, shown in enumerate(lists):
                mine = [item for item in shown.items if item != "i17"][n % 5]
                if n % 2:
                    ws.feedback.click(shown, mine, user=f"clicker-{n}")
                if pinned:
                    ws.feedback.click(shown, "i17", user=f"pinner-{n}")
            if pinned:
                drawn = Counter(each.arms[0] for each in lists)
                for arm, n in drawn.items():  # inverse propensities, within 5 sigma
                    total = sum(1 / e.propensities[0] for e in lists if e.arms[0] == arm)
                    assert abs(total - 300) < 5 * (300 / (n / 300)) ** 0.5
            clock.advance(2 * DAY)
            ws.settle()
            ws.verify()
            with ws.store._engine.connect() as connection:
                query = "SELECT decision, arm, reward FROM reward ORDER BY decision, arm"
                beliefs.append(connection.exec_driver_sql(query).all())
    assert len(beliefs[0]) > 100
    assert beliefs[0] == beliefs[1]


def test_rules_survive_json_and_old_ones_may_have_ended(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    rules = (
        Rule("a", then=Pin("i1", 1), until="2024-10-05T00:00+07:00", owner="me"),
        Rule("b", when="now() > 0", then=Boost("stock > 3", 0.5)),
        Rule("c", then=Bury("stock > 4", 0.5), since=NOW),
        Rule("d", then=Quota("genre", 3)),
        Rule("e", then=Include("stock > 3")),
        Rule("f", then=Never("stock > 300")),
    )
    home = placed(shop, *rules)
    assert home.config.rules == rules
    assert Placement.from_json(home.config.to_json()) == home.config
    shop_clock.advance(DAY)
    assert placed(shop, *rules).config.rules == rules  # a host may place at every start
    with pytest.raises(InvalidParameterError, match=r"until of the rule 'g'.*in the future"):
        placed(shop, Rule("g", then=Never("stock > 3"), until="2024-10-04"))


def test_a_quota_may_count_the_tail_which_every_catalogue_knows(
    tmp_path: Path, shop_clock: ManualClock
) -> None:
    with Workspace(f"sqlite:///{tmp_path}/tail.db", clock=shop_clock, salt="tail") as ws:
        ws.catalog.write(Catalog(items=Vocabulary(tuple(f"i{n}" for n in range(12)))))
        events = [(f"u{user}", f"i{item}") for user in range(40) for item in range(12)
                  if user % (1 + item) == 0]  # fmt: skip
        users, items = zip(*events, strict=True)
        ws.feedback.write(Feedback.of(user=users, item=items, kind="click", time=1))
        home = ws.place(Placement(name="home", arms={"top": "popularity"}, k=6))
        ws.activate("home", ws.train("home").release, reason="for tests")
        tail = set(home.recommend("new", k=12, where="long_tail").items)
        quota = Rule("mix", then=Quota("long_tail", most=1))
        shown = ws.place(replace(home.config, rules=(quota,))).recommend("new", k=2)
        assert len(set(shown.items) & tail) == 1
        with pytest.raises(UnknownNameError, match="Did you mean 'long_tail'"):
            ws.place(replace(home.config, rules=(Rule("mix", then=Quota("long_tial", 3)),)))


def test_rules_that_cannot_hold_are_refused(shop: Workspace) -> None:
    one = Rule("one", then=Pin("i1", 1))
    with pytest.raises(InvalidParameterError, match="'one' and 'two' pin one place"):
        placed(shop, one, Rule("two", then=Pin("i2", 1)))
    with pytest.raises(InvalidParameterError, match="pin one item"):
        placed(shop, one, Rule("two", then=Pin("i1", 2)))
    with pytest.raises(InvalidParameterError, match="pin one place"):
        placed(shop, one, Rule("two", then=Pin("i2", 1), when="user.country == 'TH'"))
    later = Rule("two", then=Pin("i2", 1), since="2024-11-01")
    placed(shop, replace(one, until="2024-11-01"), later)
    thai = Rule("thai", then=Pin("i1", 1), when="user.country == 'TH'")
    home = placed(shop, thai, Rule("young", then=Pin("i2", 1), when="user.age < 30"))
    both = home.recommend("new", about={"country": "TH", "age": 20})
    assert both.items[0] == "i1"  # of two that meet the first counts
    with pytest.raises(InvalidParameterError, match="different names"):
        placed(shop, one, Rule("one", then=Never("stock > 3")))
    with pytest.raises(InvalidParameterError, match="within the 6 of the list"):
        placed(shop, Rule("far", then=Pin("i1", 7)))
    with pytest.raises(UnknownNameError, match="pinned item"):
        placed(shop, Rule("gone", then=Pin("i99", 1)))
    with pytest.raises(UnknownNameError, match=r"column.*'gnere'.*genre"):
        placed(shop, Rule("mix", then=Quota("gnere", 3)))
    with pytest.raises(UnknownNameError, match=r"'stok'.*stock"):
        placed(shop, Rule("few", then=Never("stok > 3")))
    with pytest.raises(InvalidParameterError, match="about user"):
        placed(shop, Rule("few", when="stock > 3", then=Never("stock > 3")))
    with pytest.raises(InvalidParameterError, match="no zone"):
        Rule("few", then=Never("stock > 3"), until=datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidParameterError, match="no zone"):
        Rule("few", then=Never("stock > 3"), until="2030-01-01T10:00")
    with pytest.raises(InvalidParameterError, match=r"after since, 2030-01-01T.*got '2029-01-01T"):
        Rule("few", then=Never("stock > 3"), since="2030-01-01", until="2029-01-01")
    with pytest.raises(MissingInputError, match="then of the rule few"):
        Rule("few")
    with pytest.raises(InvalidParameterError, match="one of Pin, Boost"):
        Rule("few", then="pin")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"action of a rule.*'pni'.*pin"):
        Rule.from_config({"name": "x", "then": {"name": "pni"}})
    with pytest.raises(InvalidParameterError, match="by"):
        Boost("stock > 3", 0.0)
    catalog = Catalog(items=Vocabulary(("i99",)), attributes={"stock": [3]})
    shop.catalog.write(catalog)
    assert placed(shop, Rule("late", then=Pin("i99", 1))).recommend("new").items[0] == "i99"
