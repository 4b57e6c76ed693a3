"""What the owner keeps back is in no list, and the list says what was kept back and why."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.lifecycle import (
    LivePlacement,
    Pin,
    Placement,
    Recommendation,
    Rule,
    Seen,
    Withheld,
    Workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = 20_000 * DAY
KNOWN = 40
"""Items of the catalogue, five of which no arm knows."""


def placed(ws: Workspace, **changes: Any) -> LivePlacement:
    return ws.place(replace(ws.placement("home").config, **changes))


def test_a_block_holds_for_one_person_in_every_process_at_once(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    item = shelf.recommend("new").items[0]
    with Workspace(shop.store.url, clock=shop_clock) as other:
        assert other.placement("home").recommend("new", k=40).items
        assert shop.block("new", item) == Withheld(n=1)
        assert shop.block("new", item) == Withheld(n=0)
        lists = [each.placement("home").recommend("new", k=40) for each in (shop, other)]
        lists += shelf.recommend_many(["new"], k=40)
        assert not any(item in each.items for each in lists)
        assert all(each.filtered["blocked"] == 1 for each in lists)
        assert item in shelf.recommend("other", k=40).items
        assert other.unblock("new", item) == 1
        assert shop.unblock("new", item) == 0
        assert item in shelf.recommend("new", k=40).items
    with pytest.raises(InvalidParameterError, match="user"):
        shop.block(None, item)
    shop.block("new", item)
    shop.store.erase("new")
    assert shop.store.blocks.of("new") == []


def test_reasons_are_counted_once_each_and_add_up(shop: Workspace, shelf: LivePlacement) -> None:
    shop.catalog.hide("i0", reason="recalled")
    shop.catalog.remove("i1")
    columns: dict[str, list[Any]] = {
        "stock": [0, None, None],
        "available_from": [None, NOW + HOUR, None],
        "owner": [None, None, "new"],
    }
    shop.catalog.write(Catalog(items=Vocabulary(("i2", "i3", "i4")), attributes=columns))
    shop.block("new", "i5", "i0")
    shop.feedback.write(Feedback.of(user=["new"], item=["i6"], time=NOW))
    among = [f"i{n}" for n in range(20)]
    shown = shelf.recommend("new", exclude=["i7", "nobody knows"], among=among, k=40)
    assert shown.filtered == {
        "hidden": 1, "removed": 1, "out of stock": 1, "unavailable": 1, "own": 1, "blocked": 1,
        "seen": 1, "excluded": 1, "not among": KNOWN - 20,
    }  # fmt: skip
    assert set(shown.items) == {f"i{n}" for n in range(8, 20)}
    assert KNOWN - sum(shown.filtered.values()) == len(shown.items)
    assert shown.too_few == "12 items left for 40 places"
    again = shelf.recommend("other", k=40)
    assert "i4" in again.items
    assert "own" not in again.filtered


def test_a_filter_holds_for_arms_fallback_and_before_training(
    shop: Workspace, shelf: LivePlacement
) -> None:
    english = {f"i{n}" for n in range(0, KNOWN, 2)} - {"i34"}
    home = placed(shop, where="language == 'en'")
    for user in ("u1", "new", None):
        shown = home.recommend(user, k=30)
        assert shown.items
        assert set(shown.items) <= english
    assert shown.filtered == {"unknown": 1, "where": 20}
    fresh = shop.place(Placement(name="fresh", arms={"top": "popularity"}, where="stock >= 30"))
    shown = fresh.recommend("new", where="language == 'en'")
    assert shown.fallback == "no release serves yet"
    assert set(shown.items) == {f"i{n}" for n in range(26, 34, 2)}


def test_a_filter_that_is_true_for_all_changes_nothing(shop: Workspace, tmp_path: Path) -> None:
    whole = shop.catalog.read()
    shop.catalog.write(Catalog(items=whole.items, attributes={"weight": list(range(len(whole)))}))
    folder = tmp_path / "other"
    shutil.copytree(tmp_path / "shop", folder)
    lists = []
    for where, place in ((None, tmp_path / "shop"), ("weight >= 0 and now() > 0", folder)):
        with Workspace(f"sqlite:///{place}/app.db", clock=ManualClock(NOW)) as ws:
            home = placed(ws, rerank=("mmr",), n_arms=2, where=where)
            lists.append([home.recommend(f"u{n}", request=f"r{n}") for n in range(30)])
    assert lists[0] == lists[1]


@pytest.mark.parametrize("n_left", [0, 1, 5, 6])
def test_as_many_items_as_are_left(shop: Workspace, n_left: int) -> None:
    where = f"stock >= 5 and stock < {5 + n_left}" if n_left else "stock < 0"
    for too_few in ("short", "fallback"):
        shown = placed(shop, where=where, too_few=too_few).recommend("new")
        assert set(shown.items) == {f"i{n}" for n in range(n_left)}
        assert sum(shown.filtered.values()) == KNOWN - n_left
        assert (shown.too_few is None) == (n_left == 6)
        drawn = n_left == 6 or (too_few == "short" and n_left > 0)
        assert (shown.decision is not None) == drawn
        if not drawn:
            assert shown.fallback == shown.too_few
            assert set(shown.sources) <= {"fallback"}


def test_a_filter_is_let_go_of_from_its_end(shop: Workspace) -> None:
    where = "language == 'en' and stock < 10 and released > now() - days(15)"
    home = placed(shop, where=where, too_few="relax")
    assert set(home.recommend("new", k=1).items) == {"i0"}
    three = home.recommend("new", k=3)
    assert set(three.items) == {"i0", "i2", "i4"}
    assert three.too_few == "let go of released > now() - days(15)"
    six = home.recommend("new", k=6)
    assert all(int(str(item)[1:]) % 2 == 0 for item in six.items)
    assert six.too_few == "let go of stock < 10 and released > now() - days(15)"
    assert len(six.items) == 6
    wish = home.recommend("new", k=40, where="stock < 8")  # a request's own filter holds
    assert set(wish.items) == {"i0", "i1", "i2"}
    assert home.recommend("new", request="same", k=3) == home.recommend("new", request="same")
    assert three.filtered["where"] > 0


def test_starvation_is_a_figure_of_all_lists_that_were_served(shop: Workspace) -> None:
    home = placed(shop)
    calm = ws_place(shop, "calm")
    home.recommend("a")
    home.recommend("b", among=["i1", "i2", "i3"])  # three places of six
    home.recommend("c", among=[], confirm="on_seen")  # empty: nobody can ever see it
    calm.recommend("a")
    found = shop.measure(["starved_share", "fallback_share", "ctr"], by=("placement",))
    assert found.value("starved_share", placement="home") == pytest.approx(2 / 3)
    assert found.value("fallback_share", placement="home") == 0  # the arms knew all three
    assert found.value("starved_share", placement="calm") == 0
    assert found.value("fallback_share", placement="calm") == 1  # nothing was trained there
    assert shop.measure(["starved_share"]).value("starved_share") == 0.5
    assert shop.measure(["starved_share"], by=("context.segment",)).rows[0][4] >= 1
    with pytest.raises(UnknownNameError, match="column of lists is named 'arm'.*placement"):
        shop.measure(["starved_share"], by=("arm",))
    with pytest.raises(UnknownNameError, match="Did you mean 'starved_share'"):
        shop.measure(["starvd_share"])


def ws_place(ws: Workspace, name: str) -> LivePlacement:
    return ws.place(replace(ws.placement("home").config, name=name))


def test_what_a_column_lacks_excludes_unless_it_is_asked_after(shop: Workspace) -> None:
    home = placed(shop, where="genre != 'kids'")
    shown = home.recommend("new", k=40)
    assert shown.filtered["unknown"] == 1
    assert "i34" not in shown.items
    home = placed(shop, where="genre is None or genre != 'kids'")
    shown = home.recommend("new", k=40)
    assert "unknown" not in shown.filtered
    assert "i34" in shown.items


def test_times_move_and_persons_are_asked(shop: Workspace, shop_clock: ManualClock) -> None:
    home = placed(shop, where="released > now() - days(61) and language == user.language")
    assert set(home.recommend("new", about={"language": "en"}).items) == {"i0", "i2"}
    assert set(home.recommend("new", about={"language": "th"}).items) == {"i1"}
    shop_clock.advance(40 * DAY)
    assert set(home.recommend("new", about={"language": "en"}).items) == {"i0"}
    nobody = home.recommend("new")
    assert nobody.items == ()
    assert nobody.filtered["where"] > 0


def test_a_changed_catalogue_is_filtered_anew(shop: Workspace) -> None:
    home = placed(shop, where="stock < 8")
    assert set(home.recommend("new").items) == {"i0", "i1", "i2"}
    shop.catalog.write(Catalog(items=Vocabulary(("i20",)), attributes={"stock": [1]}))
    assert set(home.recommend("new").items) == {"i0", "i1", "i2", "i20"}


def test_what_cannot_be_filtered_by_is_refused(shop: Workspace, shelf: LivePlacement) -> None:
    with pytest.raises(UnknownNameError, match=r"'langauge'.*language"):
        placed(shop, where="langauge == 'en'")
    with pytest.raises(InvalidParameterError, match="one kind on both sides"):
        placed(shop, where="stock > 'many'")
    with pytest.raises(InvalidParameterError, match="an expression"):
        placed(shop, where="stock >")
    with pytest.raises(UnknownNameError, match=r"scope.*'usr'.*user"):
        placed(shop, where="usr.country == 'TH'")
    with pytest.raises(UnknownNameError, match=r"'stok'.*stock"):
        shelf.recommend("new", where="stok > 3")
    with pytest.raises(InvalidParameterError, match="no zone"):
        shelf.recommend("new", about={"born": datetime(2020, 1, 1)}, where="user.born < now()")  # noqa: DTZ001
    with pytest.raises(UnknownNameError, match="item of among"):
        shelf.recommend("new", among=["i0", "i99"])
    with pytest.raises(UnknownNameError, match="too_few"):
        placed(shop, too_few="many")
    tested = replace(shelf.config, experiment="e", variants={"new": {"where": "stok > 3"}})
    with pytest.raises(UnknownNameError, match="column"):
        shop._ground.keep(tested)
    assert shelf.config.where is None


def test_ten_thousand_excluded_ids_are_no_trouble(shelf: LivePlacement) -> None:
    shown = shelf.recommend("new", exclude=[f"i{n}" for n in range(5, 10_005)], k=40)
    assert set(shown.items) == {f"i{n}" for n in range(5)}
    assert shown.filtered == {"excluded": KNOWN - 5}


def test_propensities_hold_under_filters(shop: Workspace) -> None:
    home = placed(shop, where="language == 'en'", n_arms=1)
    lists = [home.recommend(f"u{n % 80}", request=f"chi-{n}") for n in range(600)]
    drawn = Counter(each.arms[0] for each in lists)
    chances = dict.fromkeys(home.config.arms, 0.0)
    for each in lists:
        chances[each.arms[0]] += 1 / each.propensities[0]
    for arm in home.config.arms:  # inverse propensities add up to the rounds, within 5 sigma
        assert abs(chances[arm] - 600) < 5 * (600 / (drawn[arm] / 600)) ** 0.5


def _serve(url: str, hidden: Any, told: Any, n: int) -> None:
    """Serve lists of every kind from eight threads, so many of them after an item was hidden."""
    bad = Counter[bool]()
    with Workspace(url, clock=ManualClock(NOW)) as ws:
        home = ws.placement("home")

        def lists(turn: int, number: int) -> list[Recommendation]:
            """Return the lists of one turn: of a person, of nobody, of an item, next, of many."""
            if turn == 0:
                first = home.recommend(f"p{number}", k=10)
                return [first, first.next(30)]
            if turn == 1:
                return [home.recommend(None, k=30), home.recommend(items=["i3"], k=30)]
            return home.recommend_many([f"p{number}-{each}" for each in range(20)], k=30)

        def work(number: int) -> None:
            after, turn = 0, 0
            while after < n:
                begun_after = hidden.is_set()
                shown = lists(turn % 4, number)
                turn += 1
                if begun_after:
                    after += len(shown)
                    bad.update("i0" in each.items for each in shown)

        home.recommend("ready")
        told.put("ready")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    told.put((bad.total(), bad[True]))


@pytest.mark.slow
def test_hidden_under_load_is_in_no_list_that_began_after(shop: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    hidden, told = context.Event(), context.Queue()
    given = (shop.store.url, hidden, told, 3_125)
    workers = [context.Process(target=_serve, args=given) for _ in range(4)]
    for each in workers:
        each.start()
    assert [told.get(timeout=120) for _ in workers] == ["ready"] * 4
    shop.catalog.hide("i0", reason="recalled")
    hidden.set()
    found = [told.get(timeout=1_200) for _ in workers]
    for each in workers:
        each.join(timeout=60)
    assert sum(n for n, _ in found) >= 100_000
    assert [n_bad for _, n_bad in found] == [0] * 4


def test_a_request_that_comes_again_gets_what_may_still_be_shown(
    shop: Workspace, shelf: LivePlacement
) -> None:
    first = shelf.recommend("u1", request="r")
    shop.catalog.hide(str(first.items[0]), reason="recalled")
    shop.block("u1", first.items[1])
    again = shelf.recommend("u1", request="r")
    assert again.items == first.items[2:]
    assert again.sources == first.sources[2:]
    shop.catalog.unhide(str(first.items[0]))
    shop.unblock("u1", first.items[1])
    assert shelf.recommend("u1", request="r") == first


def test_ids_of_another_kind_are_refused_wherever_items_are_named(shelf: LivePlacement) -> None:
    for name in ("exclude", "among", "items", "session"):
        named: dict[str, Any] = {name: [5]}
        with pytest.raises(InvalidParameterError, match=f"{name} must be texts, like the others"):
            shelf.recommend("u1", **named)


def test_whole_numbers_of_numpy_are_ids_at_every_door(
    tmp_path: Path, shop_clock: ManualClock
) -> None:
    one, two, three = (cast("Any", each) for each in np.arange(1, 4))
    with Workspace(f"sqlite:///{tmp_path}/whole.db", clock=shop_clock) as ws:
        ws.catalog.write(Catalog(items=Vocabulary((1, 2, 3, 4))))
        events = Feedback.of(user=[7, 8, 9], item=[1, 2, 3], kind="click", time=NOW - DAY)
        ws.feedback.write(events)
        assert ws.catalog.hide(one, reason="recalled").n == ws.block(np.int64(7), two).n == 1
        home = ws.place(Placement(name="home", arms={"top": "popularity"}, seen=Seen({})))
        home = ws.place(replace(home.config, rules=(Rule("first", then=Pin(three, 1)),)))
        ws.activate("home", ws.train("home").release, reason="for tests")
        assert home.recommend(np.int64(7)).items == (3, 4)
        assert home.recommend(7, among=[two, three], exclude=[three]).items == ()
        assert (ws.catalog.unhide(one), ws.unblock(7, two), ws.catalog.remove(three)) == (1, 1, 1)
        assert sorted(home.recommend(7).items) == [1, 2, 4]
        assert ws.identify(np.int64(70), np.int64(7))
        assert ws.unidentify(np.int64(70))
