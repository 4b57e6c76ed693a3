"""A guest who turns out to be somebody: one person at once, everywhere, nothing rewritten."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import event as watched

from siamrec._core.clock import DAY, HOUR, SECOND, ManualClock
from siamrec.bandits import SuccessRule
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidParameterError
from siamrec.experiments import Experiment
from siamrec.lifecycle import Block, LivePlacement, Meaning, Placement, Seen, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 20_000 * DAY


def clicked(ws: Workspace, user: str, *items: Any, time: int = NOW) -> None:
    ws.feedback.write(
        Feedback.of(user=[user] * len(items), item=items, kind="click", time=[time] * len(items))
    )


def test_what_a_guest_did_counts_for_the_person_at_once_in_every_process(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    clicked(shop, "anon", "i1", "i2")
    clicked(shop, "person", "i3")
    shop.block("anon", "i4")
    with Workspace(shop.store.url, clock=shop_clock) as other:
        elsewhere = other.placement("home")
        before = elsewhere.recommend("person", k=40)
        assert {"i1", "i2", "i4"} < {*before.items}
        assert shop.identify("anon", "person") is True
        assert shop.identify("anon", "person") is False
        for home in (shelf, elsewhere):
            for user in ("person", "anon"):
                shown = home.recommend(user, k=40)
                assert not {"i1", "i2", "i3", "i4"} & {*shown.items}
                assert (shown.filtered["seen"], shown.filtered["blocked"]) == (3, 1)
                assert shown.user == user
            (many,) = home.recommend_many(["person"], k=40)
            assert not {"i1", "i2", "i3", "i4"} & {*many.items}
        clicked(other, "anon", "i5")  # of another tab that goes on as the guest
        assert "i5" not in shelf.recommend("person", k=40).items
        assert other.unblock("person", "i4") == 1
        assert "i4" in shelf.recommend("anon", k=40).items
        assert other.unidentify("anon") is True
        assert {"i1", "i2", "i5"} < {*shelf.recommend("person", k=40).items}
        assert not {"i1", "i2", "i5"} & {*shelf.recommend("anon", k=40).items}


def test_a_chain_of_ids_is_one_person(shop: Workspace, shelf: LivePlacement) -> None:
    clicked(shop, "phone", "i1")
    clicked(shop, "laptop", "i2")
    shop.identify("phone", "laptop")
    shop.identify("laptop", "person")
    assert not {"i1", "i2"} & {*shelf.recommend("person", k=40).items}
    with pytest.raises(InvalidParameterError, match="not identified as 'person' in turn"):
        shop.identify("person", "phone")
    with pytest.raises(InvalidParameterError, match="users"):
        shop.identify(3, "person")
    with pytest.raises(InvalidParameterError, match="user"):
        shop.identify("guest", None)
    shop.unidentify("laptop")
    shown = shelf.recommend("laptop", k=40)
    assert not {"i1", "i2"} & {*shown.items}
    assert {"i1", "i2"} < {*shelf.recommend("person", k=40).items}


def test_the_first_id_of_a_workspace_may_come_by_an_identity(tmp_path: Any) -> None:
    with Workspace(f"sqlite:///{tmp_path}/app.db", salt="new") as ws:
        assert ws.identify(7, 8)
        with pytest.raises(InvalidParameterError, match="users"):
            ws.identify("anon", "person")


def test_arms_are_told_the_history_of_all_ids(shop: Workspace, shelf: LivePlacement) -> None:
    home = shop.place(replace(shelf.config, arms={"svd": "pure-svd:factors=4"}))
    clicked(shop, "anon", "i1", "i2", "i9")
    shop.identify("anon", "person")
    shown = home.recommend("person", request="as the person")
    clicked(shop, "twin", "i1", "i2", "i9")
    twin = home.recommend("twin")
    assert shown.items == twin.items
    assert shown.scores == pytest.approx(twin.scores)
    assert {item for item, _ in shown.why(0).anchors} <= {"i1", "i2", "i9"}


def test_a_visit_follows_the_history_of_all_ids(shop: Workspace, shelf: LivePlacement) -> None:
    home = shop.place(replace(shelf.config, arms={"svd": "pure-svd:factors=4"}))
    clicked(shop, "anon", "i1", "i2")
    clicked(shop, "person", "i9")
    clicked(shop, "twin", "i1", "i2", "i9")
    shop.identify("anon", "person")
    twin = home.recommend("twin", session=["i12"])
    for user in ("anon", "person"):
        shown = home.recommend(user, session=["i12"])
        assert shown.items == twin.items
        assert not shown.failed
    assert home.recommend("anon", items=["i12"]).items == home.recommend(
        "twin", items=["i12"]
    ).items  # fmt: skip


def test_what_one_id_owns_is_shown_to_none_of_them(shop: Workspace, shelf: LivePlacement) -> None:
    owner = ["person", "anon"]
    shop.catalog.write(Catalog(items=Vocabulary(("i1", "i2")), attributes={"owner": owner}))
    kept = shelf.recommend("anon", k=40, request="before")
    assert "i1" in kept.items
    shop.block("person", "i3")
    shop.identify("anon", "person")
    for user in ("anon", "person"):
        shown = shelf.recommend(user, k=40)
        assert {"i1", "i2", "i3"} & {*shown.items} == set()
        assert (shown.filtered["own"], shown.filtered["blocked"]) == (2, 1)
    again = shelf.recommend("anon", k=40, request="before")
    assert {*again.items} == {*kept.items} - {"i1", "i2", "i3"}


def test_impressions_and_meaning_count_for_all_ids(shop: Workspace, shelf: LivePlacement) -> None:
    meaning = Meaning({"thumb_down": Block(), "click": 1.0})
    seen = Seen({"impression": "7d"})
    home = shop.place(replace(shelf.config, seen=seen, meaning=meaning, reward=SuccessRule()))
    first = home.recommend("anon")
    wide = home.recommend("other", k=40)
    disliked = next(item for item in wide.items if item not in first.items)
    shop.feedback.thumbs(wide, disliked, up=False, user="anon")
    shop.identify("anon", "person")
    shown = home.recommend("person", k=40)
    assert not {*first.items, disliked} & {*shown.items}
    assert (shown.filtered["seen"], shown.filtered["blocked"]) == (len(first.items), 1)


def test_an_open_list_of_the_guest_is_credited_when_the_person_clicks(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    shown = shelf.recommend("anon", n_arms=1)
    shop.identify("anon", "person")
    shop_clock.advance(60 * SECOND)
    assert shop.feedback.click(shown, shown.items[0], user="person").accepted == 1
    assert shown.items[0] not in shelf.recommend("anon", k=40).items
    shop_clock.advance(30 * DAY)
    assert shop.settle("home") >= 1
    sums = shop._ground.bandit(shelf.config).sums()
    assert float(sums["wins"].sum()) > 0
    shop.verify()


@contextmanager
def traced(ws: Workspace) -> Iterator[Counter[str]]:
    """Count the statements that SQLite is given in a block of code, by their first word."""
    found: Counter[str] = Counter()

    def begin(connection: Any, *_: Any) -> None:
        connection.set_trace_callback(lambda text: found.update([text.split()[0]]))

    def end(connection: Any, *_: Any) -> None:
        connection.set_trace_callback(None)

    pool = ws.store._engine.pool
    watched.listen(pool, "checkout", begin)
    watched.listen(pool, "checkin", end)
    try:
        yield found
    finally:
        watched.remove(pool, "checkout", begin)
        watched.remove(pool, "checkin", end)


def test_somebody_without_an_alias_costs_no_statement_more(
    shop: Workspace, shelf: LivePlacement
) -> None:
    shelf.recommend("u1")
    counts = []
    for _ in range(2):
        with traced(shop) as found:
            shelf.recommend("u2")
        counts.append(dict(found))
        for n in range(20):
            shop.identify(f"anon-{n}", "u1")
    assert counts[0] == counts[1]
    assert 1 <= counts[0]["SELECT"] <= 5  # heads, list, history, blocked; the heads to write it


def test_the_variant_of_the_first_exposed_id_stays(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    shelf.test(
        Experiment(key="arms", variants={"old": 0.5, "new": 0.5}),
        {"new": {"arms": {"top": "popularity"}}},
    )
    alone = {f"s{n}": shelf.recommend(f"s{n}").variant for n in range(100)}
    chosen: dict[str, str | None] = {}
    for n in range(60):
        shop_clock.advance(SECOND)
        guest, person = f"g{n}", f"p{n}"
        if n % 3 == 0:  # known as the person before, in whatever variant
            before = shelf.recommend(person)
            shop_clock.advance(SECOND)
            shelf.recommend(guest)
            chosen[person] = before.variant
        else:
            chosen[guest] = shelf.recommend(guest).variant
        shop.identify(guest, person)
        shop_clock.advance(SECOND)
        variants = {shelf.recommend(id_).variant for id_ in (guest, person, guest)}
        assert variants == {chosen[person] if n % 3 == 0 else chosen[guest]}
    drawn = Counter({**alone, **chosen}.values())
    frame = shop_frame(shop)
    units = dict(zip(frame["unit"], frame["variant"], strict=True))
    assert units == {**alone, **chosen}  # each person is one unit, as it was drawn
    assert Counter(units.values()) == drawn
    assert all(
        len({v for u, v in zip(frame["unit"], frame["variant"], strict=True) if u == unit}) == 1
        for unit in units
    )
    n_old = drawn["old"]
    assert abs(n_old - 80) < 5 * np.sqrt(160 / 4)
    report = shop.results("arms")
    assert "met several variants" not in str(report)
    (note,) = [each for each in report.checks if each.name == "identity"]
    assert note.level == "note"
    n_lists = shop.store.counts()["recommendation"]
    said = [int(n) for n in re.findall(r"(\d+) of (?:old|new)", note.message)]
    assert 0 < sum(said) == n_lists - len(frame["unit"])


def shop_frame(ws: Workspace) -> dict[str, list[Any]]:
    from siamrec.lifecycle.measuring import outcomes_of

    return outcomes_of(ws._ground, "arms")[0]


def test_an_unseen_list_of_the_guest_is_no_exposure(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    test = Experiment(key="arms", variants={"old": 0.5, "new": 0.5})
    shelf.test(test, {"new": {"arms": {"top": "popularity"}}})
    own = {f"p{n}": shelf.recommend(f"p{n}", confirm="on_seen").variant for n in range(20)}
    for n in range(20):
        shelf.recommend_many([f"g{n}"])  # a mail that nobody opens
        shop.identify(f"g{n}", f"p{n}")
        assert shelf.recommend(f"g{n}").variant == own[f"p{n}"]


def test_training_has_one_user_for_each_person(shop: Workspace, shelf: LivePlacement) -> None:
    rng = np.random.default_rng(3)
    for n in range(30):
        clicked(shop, f"a{n}", *(f"i{i}" for i in rng.choice(35, 4, replace=False)))
        clicked(shop, f"b{n}", *(f"i{i}" for i in rng.choice(35, 4, replace=False)))
    rows = len(shop.feedback.read_all())
    release = shop.train("home").release
    shop.activate("home", release, reason="for tests")
    alone = shelf.release
    assert alone is not None
    for n in range(30):
        shop.identify(f"a{n}", f"b{n}")
    release = shop.train("home").release
    shop.activate("home", release, reason="for tests")
    joined = shelf.release
    assert joined is not None
    known = {*joined.arms["svd"].users.ids}
    assert not {f"a{n}" for n in range(30)} & known
    assert {f"a{n}" for n in range(30)} & {*alone.arms["svd"].users.ids}
    assert {f"b{n}" for n in range(30)} & known
    whole = shop.feedback.read_all()
    assert len(whole) == rows
    assert {"a0", "b0"} <= {*whole.users.ids}  # the log is as it was


def test_figures_count_a_person_once(shop: Workspace, shelf: LivePlacement) -> None:
    for user in ("anon", "person", "other"):
        shelf.recommend(user)
    shop.identify("anon", "person")
    assert set(shop.events().users.ids) == {"person", "other"}
    assert shop.measure(["ctr"]).value("ctr") == 0


def test_the_next_page_of_a_guests_list_knows_the_person(
    shop: Workspace, shelf: LivePlacement
) -> None:
    first = shelf.recommend("anon")
    rest = shelf.recommend("nobody", k=40, exclude=first.items).items
    clicked(shop, "person", rest[0])
    shop.identify("anon", "person")
    page = first.next(40)
    assert rest[0] not in page.items
    assert not {*first.items} & {*page.items}
    assert page.user == "anon"


def test_an_archive_and_an_erasure_of_a_person_of_two_ids(
    shop: Workspace, shelf: LivePlacement
) -> None:
    clicked(shop, "anon", "i1", time=NOW - HOUR)
    clicked(shop, "person", "i2", time=NOW - HOUR)
    shop.identify("anon", "person")
    shop.place(replace(shelf.config, history=1))
    shop.store.archive(NOW)
    n_events = len(shop.feedback.read_all())
    shown = shop.placement("home").recommend("person", k=40)
    assert not {"i1", "i2"} & {*shown.items}
    done = shop.store.erase("person")
    assert (done.n_events, done.n_aliases) == (2, 1)
    assert len(shop.feedback.read_all()) == n_events - 2
    shop.verify()
    assert {"i1", "i2"} < {*shelf.recommend("anon", k=40).items}
    assert {"i1", "i2"} < {*shelf.recommend("person", k=40).items}


def test_a_workspace_that_serves_before_training_knows_who_is_who(shop: Workspace) -> None:
    fresh = shop.place(Placement(name="fresh", arms={"top": "popularity"}))
    clicked(shop, "anon", "i1")
    shop.identify("anon", "person")
    assert "i1" not in fresh.recommend("person", k=40).items
