"""Next pages repeat nothing and are made as the first one; rows of a page have no doubles."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.data import Feedback
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    StorageError,
    UnknownNameError,
)
from siamrec.experiments import Experiment
from siamrec.lifecycle import (
    LivePlacement,
    Never,
    Pin,
    Placement,
    Recommendation,
    Rule,
    Seen,
    Workspace,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = 20_000 * DAY


def n_rows(ws: Workspace, table: str) -> int:
    return ws.store.counts()[table]


def items_of(lists: Sequence[Recommendation]) -> list[Any]:
    return [item for each in lists for item in each.items]


def learned(ws: Workspace) -> str:
    """Let the placement learn from new events, and return its new release."""
    users = [f"v{n}" for n in range(40)]
    items = [f"i{n % 7 + 20}" for n in range(40)]
    ws.feedback.write(Feedback.of(user=users, item=items, kind="click", time=NOW))
    release = ws.train("home").release
    ws.activate("home", release, reason="newer")
    return release


def test_a_next_page_has_new_items_by_what_made_the_first(
    shop: Workspace, shelf: LivePlacement
) -> None:
    first = shelf.recommend("new", request="r")
    pages = [first]
    for number in range(2, 6):
        pages.append(pages[-1].next())
        assert (pages[-1].page, pages[-1].parent) == (number, pages[-2].id)
    shown = items_of(pages)
    assert len(shown) == len(set(shown)) == 30
    assert {each.release for each in pages} == {first.release}
    assert len({each.id for each in pages}) == 5
    assert all(each.decision and each.decision.id == each.id for each in pages)
    assert (n_rows(shop, "decision"), n_rows(shop, "recommendation")) == (5, 5)
    assert [each.filtered.get("shown", 0) for each in pages] == [0, 6, 12, 18, 24]
    again = first.next()
    assert again == pages[1]
    assert again.next() == pages[2]
    assert shelf.next(first.id) == pages[1]
    assert n_rows(shop, "recommendation") == 5
    other = shelf.next(first, 3, request="once more")
    assert len(other.items) == 3
    assert not {*other.items} & {*shown}
    assert json.loads(pages[1].to_json())["parent"] == first.id


def test_past_the_last_item_a_page_is_short_and_then_empty(shelf: LivePlacement) -> None:
    page = shelf.recommend("new", k=17)
    shown = list(page.items)
    for left in (17, 6, 0, 0):
        page = page.next()
        assert len(page.items) == left
        shown += page.items
        if left < 17:
            assert page.too_few is not None
            assert page.too_few.startswith(f"{left} item")
    assert len(shown) == len(set(shown)) == 40
    assert page.fallback == "0 items left for 17 places"
    assert page.decision is None


def test_five_next_pages_across_an_activation_and_a_changed_placement(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    first = shelf.recommend("u3", k=4, exclude=["i7"], diversity=0.2, n_arms=2)
    assert first.release is not None
    pages = [first, first.next()]
    newer = learned(shop)
    pages.append(pages[-1].next())
    arms = {"top": "popularity"}
    shop.place(replace(shelf.config, arms=arms, k=3, policy="epsilon-greedy", limits=replace(
        shelf.config.limits, floor=0.2)))  # fmt: skip
    pages.append(pages[-1].next())
    shop.place(replace(shelf.config, rules=(Rule("far", then=Pin("i39", 3)),)))
    pages += [pages[-1].next(2), shelf.next(pages[-1].id, 2, request="two")]
    assert shelf.recommend("u3").release == newer
    shown = items_of(pages)
    assert len(shown) == len(set(shown))
    assert "i7" not in shown
    assert {each.release for each in pages} == {first.release}
    assert {each.revision for each in pages} == {first.revision}
    assert all(set(each.arms) == {"svd", "top"} for each in pages)
    assert all(
        each.versions[arm] == first.versions[arm] for each in pages for arm in each.versions
    )
    assert all(each.changed is None for each in pages)
    assert [len(each.items) for each in pages] == [4, 4, 4, 4, 2, 2]
    belief = first.decision.bandit if first.decision else ""
    assert {each.decision.bandit for each in pages if each.decision} == {belief}
    assert shelf.config.belief != belief  # another policy has a belief of its own
    shop.feedback.click(pages[3], pages[3].items[0])
    shop_clock.advance(30 * DAY)
    assert shop.settle() == 7
    owner = shop._ground.owner(shelf.config, belief)
    assert owner is not None
    assert float(shop._ground.bandit(owner).sums()["wins"].sum()) > 0
    shop.verify()


_ELSEWHERE = """
import json, sys
from siamrec import Workspace
from siamrec._core.clock import DAY, ManualClock

url, id_ = sys.argv[1:]
with Workspace(url, clock=ManualClock(20_000 * DAY)) as ws:
    home = ws.placement("home")
    pages = []
    for _ in range(4):
        page = home.next(id_)
        pages.append({"id": page.id, "items": page.items, "release": page.release,
                      "variant": page.variant, "arms": page.arms, "decision": page.decision.id})
        id_ = page.id
    print(json.dumps(pages))
"""


def test_the_next_pages_come_from_another_process_too(
    shop: Workspace, shelf: LivePlacement, tmp_path: Path
) -> None:
    test = Experiment(key="arms", variants={"old": 0.5, "new": 0.5})
    shelf.test(test, {"new": {"arms": {"top": "popularity"}}})
    firsts = [shelf.recommend(f"u{n}", request=f"r{n}") for n in range(6)]
    variants = {each.variant: each for each in firsts}
    assert set(variants) == {"old", "new"}
    learned(shop)
    shelf.end_test(reason="decided")
    shop.place(replace(shelf.config, arms={"svd": "pure-svd:factors=2"}, k=3))
    folder = tmp_path / "twin"
    shutil.copytree(tmp_path / "shop", folder)
    for variant, first in variants.items():
        done = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE, f"sqlite:///{folder}/app.db", first.id],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
        shown = [*first.items, *(item for page in told for item in page["items"])]
        assert len(shown) == len(set(shown)) > 24
        assert {page["variant"] for page in told} == {variant}
        assert {page["release"] for page in told} == {first.release}
        wanted = {"top"} if variant == "new" else {"svd", "top"}
        assert all(set(page["arms"]) <= wanted for page in told)
        here = first
        for page in told:  # the same request in this process is the same page
            here = here.next()
            assert (here.id, list(here.items)) == (page["id"], page["items"])


def test_what_the_owner_says_since_is_obeyed(shop: Workspace, shelf: LivePlacement) -> None:
    first = shelf.recommend("new", k=3)
    rest = shelf.recommend("somebody", k=40, exclude=first.items).items
    hidden, blocked, clicked, ruled = rest[:4]
    shop.catalog.hide(str(hidden), reason="recalled")
    shop.block("new", blocked)
    shop.feedback.write(Feedback.of(user=["new"], item=[clicked], kind="click", time=NOW))
    never = Rule("no", then=Never(f"stock == {5 + int(str(ruled)[1:])}"))
    shop.place(replace(shelf.config, rules=(never,), where="language == 'en' or stock > 0"))
    page = first.next(40)
    assert not {hidden, blocked, clicked, ruled, *first.items} & {*page.items}
    assert page.filtered["never"] == 1
    assert len(page.items) == 40 - 3 - 4 - page.filtered.get("unknown", 0)
    shop.block("new", page.items[0])
    assert page.items[0] not in first.next().items  # the same page, without what is kept back


def test_what_a_request_asked_for_is_inherited(shop: Workspace, shelf: LivePlacement) -> None:
    when = datetime(2020, 1, 1, tzinfo=UTC)
    first = shelf.recommend(
        "new", k=2, exclude=["i0", "i2"], among=[f"i{n}" for n in range(12)],
        where="language == user.language and released > user.since",
        about={"language": "en", "since": when}, session={"seen": 4},
        confirm="on_seen",
    )  # fmt: skip
    assert first.asked["about"] == {"language": "en", "since": when.timestamp() * 1e9}
    assert set(first.items) < {"i4", "i6", "i8", "i10"}
    page = shelf.next(copy.copy(first))
    assert set(page.items) | set(first.items) == {"i4", "i6", "i8", "i10"}
    assert page.context == first.context
    assert (page.confirm, page.asked) == ("on_seen", first.asked)
    assert page.next().items == ()
    similar = shelf.recommend(items=["i5"], where="genre == current.genre", k=2)
    page = similar.next(40)
    assert {int(str(item)[1:]) % 4 for item in page.items} == {1}
    assert "i5" not in page.items
    assert page.anchors == ("i5",)
    basket = shelf.recommend("new", session=["i1"], k=2)
    assert basket.next().anchors == ("i1",)
    assert shelf.recommend("new").asked == {}


def test_two_threads_that_ask_for_one_page_make_one_decision(
    shop: Workspace, shelf: LivePlacement
) -> None:
    first = shelf.recommend("u1")
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: first.next(), range(16)))
    assert all(each == pages[0] for each in pages)
    assert n_rows(shop, "recommendation") == n_rows(shop, "decision") == 2


def test_a_page_before_any_training_and_one_whose_release_is_gone(
    shop: Workspace, shelf: LivePlacement, tmp_path: Path
) -> None:
    fresh = shop.place(Placement(name="fresh", arms={"top": "popularity"}, k=4))
    first = fresh.recommend("new")
    shop.train("fresh")
    page = first.next()
    assert (first.release, page.release) == (None, None)
    assert not {*page.items} & {*first.items}
    assert fresh.recommend("new").release is not None

    first = shelf.recommend("u5")
    assert first.release is not None
    newer = learned(shop)
    gone = tmp_path / "twin"
    shutil.copytree(tmp_path / "shop", gone)
    own, newer_own = (
        {file["sha256"] for file in shop.registry.get(id_).manifest["files"].values()}
        for id_ in (first.release, newer)
    )
    for hash_ in own - newer_own:
        (gone / "app.db.models" / "sha256" / hash_[:2] / hash_).unlink()
    with Workspace(f"sqlite:///{gone}/app.db", clock=ManualClock(NOW)) as ws:
        page = ws.placement("home").next(first.id)
        assert page.release == newer
        assert page.changed is not None
        assert page.changed.startswith("the release of the first page cannot be loaded")
        assert page.changed in str(page)
        assert not {*page.items} & {*first.items}
        assert ws.placement("home").next(first.id) == page
        assert not {*page.next().items} & {*page.items, *first.items}


def test_a_list_from_elsewhere_says_how_it_is_continued(
    shop: Workspace, shelf: LivePlacement
) -> None:
    first = shelf.recommend("new")
    travelled = copy.copy(first)
    with pytest.raises(MissingInputError, match=r"ws\.placement\('home'\)\.next\('"):
        travelled.next()
    with pytest.raises(UnknownNameError, match="recommendation"):
        shelf.next("nothing")
    with pytest.raises(InvalidParameterError, match="k must be"):
        first.next(0)
    other = shop.place(Placement(name="other", arms={"top": "popularity"}))
    with pytest.raises(InvalidParameterError, match="a list of other, not of home"):
        other.next(first)


def test_the_draws_of_next_pages_are_as_stated(shop: Workspace, shelf: LivePlacement) -> None:
    pages = [shelf.recommend(f"u{n % 80}", request=f"chi-{n}", k=3).next() for n in range(300)]
    drawn = Counter(each.arms[0] for each in pages)
    for arm in shelf.config.arms:  # inverse propensities add up to the rounds, within 5 sigma
        total = sum(1 / each.propensities[0] for each in pages if each.arms[0] == arm)
        assert abs(total - 300) < 5 * (300 / (drawn[arm] / 300)) ** 0.5


def test_seen_impressions_and_pages_agree(shop: Workspace, shelf: LivePlacement) -> None:
    home = shop.place(replace(shelf.config, seen=Seen({"impression": "7d"}), k=5))
    first = home.recommend("new")
    page = first.next()
    assert page.filtered["shown"] == 5
    assert "seen" not in page.filtered
    assert not {*page.items} & {*first.items}


@pytest.fixture
def rows(shop: Workspace, shelf: LivePlacement) -> dict[str, int]:
    """Four placements with lengths; the other three serve the release of the first."""
    for name in ("hero", "similar", "tail"):
        shop.place(replace(shelf.config, name=name))
        shop.activate(name, shop.train(name).release, reason="for tests")
    return {"hero": 3, "home": 10, "similar": 6, "tail": 8}


def test_four_rows_of_a_page_have_no_double_and_are_full_while_items_last(
    shop: Workspace, rows: dict[str, int]
) -> None:
    before = n_rows(shop, "recommendation")
    page = shop.page("new", rows, request="p", about={"country": "TH"}, exclude=["i0"])
    assert list(page) == list(rows)
    assert {name: len(each.items) for name, each in page.items()} == rows
    lists = list(page.values())
    assert len(items_of(lists)) == len(set(items_of(lists))) == sum(rows.values())
    assert "i0" not in items_of(lists)
    assert [each.parent for each in lists] == [None, *(each.id for each in lists[:-1])]
    assert [each.filtered.get("shown", 0) for each in lists] == [0, 3, 13, 19]
    assert n_rows(shop, "recommendation") == before + 4
    assert all(each.decision and each.decision.id == each.id for each in lists)
    assert shop.page("new", rows, request="p") == page
    assert n_rows(shop, "recommendation") == before + 4
    stored = shop.store.recommendations.get_many([each.id for each in lists])
    assert {row.id: row.parent for row in stored} == {each.id: each.parent for each in lists}
    more = page["hero"].next()  # continues one row, and knows of all of them
    assert not {*more.items} & {*items_of(lists)}
    assert len(more.items) == 3
    few = shop.page("new", [("home", 30), ("hero", 30), ("tail", 5)])
    assert [len(each.items) for each in few.values()] == [30, 10, 0]
    assert few["tail"].too_few == "0 items left for 5 places"
    single = shop.page("new", {"home": 3}, request="alone")
    assert single["home"] == shop.placement("home").recommend("new", k=3, request="alone")


def test_threads_that_ask_for_one_page_get_the_same(shop: Workspace, rows: dict[str, int]) -> None:
    before = shop.store.counts()
    with ThreadPoolExecutor(6) as pool:
        pages = list(pool.map(lambda _: shop.page("u1", rows, request="one"), range(12)))
    assert all(page == pages[0] for page in pages)
    after = shop.store.counts()
    assert after["recommendation"] == before["recommendation"] + 4
    assert after["decision"] == before["decision"] + 4


def test_a_page_is_stored_whole_or_not_at_all(
    shop: Workspace, rows: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = shop.store.counts()
    kept = type(shop.store.recommendations).together
    broken = 0

    def one_fails(self: Any) -> Any:
        """Let the first attempt find that somebody else was faster with its last row."""
        nonlocal broken
        manager = kept(self)
        if broken:
            return manager
        broken = 1
        other = shop.placement("tail")
        other.recommend("new", request="race", k=8)
        return manager

    monkeypatch.setattr(type(shop.store.recommendations), "together", one_fails)
    page = shop.page("new", rows, request="race")
    assert broken == 1
    after = shop.store.counts()
    assert after["recommendation"] == counts["recommendation"] + 4
    assert after["decision"] == counts["decision"] + 4
    lists = [page[name] for name in ("hero", "home", "similar")]
    assert len(items_of(lists)) == len(set(items_of(lists)))
    assert page["tail"].parent is None  # it was served by itself before


_KILLED = """
import os, signal, sys
from sqlalchemy import event
from siamrec import Workspace
from siamrec._core.clock import DAY, ManualClock

with Workspace(sys.argv[1], clock=ManualClock(20_000 * DAY)) as ws:
    rows = {"hero": 3, "home": 4, "similar": 3, "tail": 5}
    for number in range(3):
        ws.page(f"w{number}", rows)
    engine = ws.store._engine
    engine.dispose()

    def opened(connection, record):
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))

    event.listen(engine, "connect", opened)
    with engine.begin() as connection:  # the last row of the page is written, and no more
        connection.exec_driver_sql(
            "CREATE TRIGGER dies AFTER INSERT ON recommendation WHEN NEW.placement = 'tail' "
            "BEGIN SELECT die(); END"
        )
    ws.page("w3", rows)
    print("served")
"""


def test_a_process_that_is_killed_leaves_whole_pages(
    shop: Workspace, rows: dict[str, int]
) -> None:
    before = shop.store.counts()
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, shop.store.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-9, "", "")
    with shop.store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER dies")
    after = shop.store.counts()
    new = {name: after[name] - before[name] for name in after}
    assert (new["recommendation"], new["decision"], new["recommendation_item"]) == (12, 12, 45)
    shop.verify()
    page = shop.page("w3", {"hero": 3, "home": 4, "similar": 3, "tail": 5})
    assert len(set(items_of(list(page.values())))) == 15


def test_a_row_that_cannot_be_stored_leaves_nothing_of_the_page(
    shop: Workspace, rows: dict[str, int]
) -> None:
    shop.page("u1", rows)  # the bandits are stored
    with shop.store._engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON recommendation WHEN NEW.placement = 'tail' "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    before = shop.store.counts()
    page = shop.page("new", rows)
    assert not any(each.logged for each in page.values())
    assert "disk full" in str(page["hero"].fallback)
    assert shop.store.counts() == before


def test_what_is_no_page_is_refused_by_name(shop: Workspace, rows: dict[str, int]) -> None:
    counts = shop.store.counts()
    with pytest.raises(UnknownNameError, match=r"placement.*'herp'.*hero"):
        shop.page("new", {"home": 3, "herp": 3})
    with pytest.raises(InvalidParameterError, match=r"placements of a page.*home"):
        shop.page("new", [("home", 3), ("hero", 3), ("home", 3)])
    for nothing in (dict[str, int](), list[tuple[str, int]]()):
        with pytest.raises(InvalidParameterError, match="placements of a page must be one or"):
            shop.page("new", nothing)
    for k in (0, -1, None, 2.5, True):
        with pytest.raises(InvalidParameterError, match="length of hero"):
            shop.page("new", {"home": 3, "hero": k})  # type: ignore[dict-item]
    with pytest.raises(InvalidParameterError, match="rows"):
        shop.page("new", ["home"])  # type: ignore[list-item]
    with pytest.raises(InvalidParameterError, match="pairs of a placement and a length, such as"):
        shop.page("new", "home")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="users"):
        shop.page(3, {"home": 3})
    with pytest.raises(UnknownNameError, match="stok"):
        shop.page("new", {"home": 3}, where="stok > 3")
    with pytest.raises(UnknownNameError, match=r"wish.*'wher'.*where"):
        shop.page("new", {"home": 3}, wher="stock > 3")  # type: ignore[call-arg]
    assert shop.store.counts() == counts


def test_a_page_while_the_log_cannot_be_written(
    shop: Workspace, rows: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any) -> Any:
        raise StorageError("disk full")

    counts = shop.store.counts()
    monkeypatch.setattr(type(shop.store.recommendations), "together", full)
    page = shop.page("new", rows)
    assert not any(each.logged for each in page.values())
    assert len(set(items_of(list(page.values())))) == sum(rows.values())
    home = shop.placement("home").config
    shop.place(replace(home, unlogged="refuse"))
    with pytest.raises(StorageError, match="disk full"):
        shop.page("new", rows)
    after = shop.store.counts()
    assert {name: after[name] - counts[name] for name in ("decision", "recommendation")} == {
        "decision": 0, "recommendation": 0,
    }  # fmt: skip
    with pytest.raises(InvalidParameterError, match="in the log"):
        page["hero"].next()


def test_what_is_hidden_under_load_is_on_no_page_that_began_after(
    shop: Workspace, rows: dict[str, int], shop_clock: ManualClock
) -> None:
    home, hidden = shop.placement("home"), threading.Event()
    bad: list[Recommendation] = []
    n_after = [0] * 6

    def work(number: int) -> None:
        while n_after[number] < 12:
            began_after = hidden.is_set()
            kind = n_after[number] % 3
            if kind == 0:
                lists = [home.recommend(f"w{number}", k=1).next(39)]
            elif kind == 1:
                lists = list(shop.page(f"w{number}", rows).values())
            else:
                lists = [shop.preview(f"w{number}", "home", k=40)]
            if began_after:
                n_after[number] += 1
                bad.extend(each for each in lists if "i0" in each.items)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    with Workspace(shop.store.url, clock=shop_clock) as other:
        other.catalog.hide("i0", reason="recalled")
    hidden.set()
    for each in threads:
        each.join()
    assert n_after == [12] * 6
    assert bad == []
