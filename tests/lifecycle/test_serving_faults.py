"""Lists under races, odd clocks, odd arms and second thoughts: what serving must not get wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec import Placement, Workspace
from siamrec._core.clock import DAY, HOUR, SECOND, ManualClock
from siamrec.bandits import Limits, SuccessRule
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidParameterError, StaleWriteError, UnknownNameError
from siamrec.experiments import Experiment
from siamrec.lifecycle import _settlement
from siamrec.models.recommenders import FittedPopularity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.lifecycle import LivePlacement, Recommendation
    from siamrec.simulation import SimulatedWorld

NOW = 20_000 * DAY
ARMS = {"graph": "rp3beta", "top": "popularity"}
HALF = {"control": 0.5, "new": 0.5}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ws(world: SimulatedWorld, tmp_path: Path, clock: ManualClock) -> Iterator[Workspace]:
    with Workspace(f"sqlite:///{tmp_path}/app.db", clock=clock, salt="faults") as ws:
        ws.feedback.write(world.feedback)
        ws.place(Placement(name="home", arms=ARMS, k=4))
        assert ws.train("home").verdict == "promoted"
        yield ws


@pytest.fixture
def home(ws: Workspace) -> LivePlacement:
    return ws.placement("home")


def rewards(ws: Workspace, shown: Recommendation) -> dict[str, float]:
    bandit: Any = ws._ground.bandit(ws.placement("home").config)
    query = "SELECT arm, reward FROM reward WHERE decision = ? ORDER BY time"
    assert bandit is not None
    with ws.store._engine.connect() as connection:
        return dict(connection.exec_driver_sql(query, (shown.id,)).all())


def test_a_success_of_the_fallback_is_a_success_of_the_variant(
    ws: Workspace, home: LivePlacement
) -> None:
    new = {"arms": {"graph": "popularity:positive=99"}}  # likes nothing: the fallback fills in
    home.test(Experiment(key="e", variants=HALF), {"new": {**new, "rerank": []}})
    lists = [home.recommend(f"visitor-{n}") for n in range(60)]
    for each in lists:
        ws.feedback.click(each, each.items[0])
    report = ws.results("e")
    assert str(report.decision) != "ship"
    assert {each.variant for each in lists} == {"control", "new"}


def test_items_met_long_ago_are_still_left_out(
    ws: Workspace, home: LivePlacement, world: SimulatedWorld
) -> None:
    met = [f"story-{n:04d}" for n in range(1, 81)]
    when = [NOW - HOUR + n for n in range(len(met))]
    ws.feedback.write(Feedback.of(user=["reader"] * 80, item=met, value=5.0, time=when))
    again = Feedback.of(
        user=["reader"] * 9, item=["story-0001"] * 9, time=[NOW + n for n in range(9)]
    )
    ws.feedback.write(again)
    ws.place(replace(home.config, history=5))
    assert not set(met) & set(home.recommend("reader", k=40).items)


def test_a_dislike_is_no_like(ws: Workspace, home: LivePlacement) -> None:
    items = home.release.items.ids[:2]  # type: ignore[union-attr]
    for user, value in (("pleased", 5.0), ("annoyed", 1.0)):
        ws.feedback.write(Feedback.of(user=[user] * 2, item=items, value=value, time=NOW))
    ws.place(replace(home.config, arms={"graph": "rp3beta"}))
    pleased, annoyed = home.recommend("pleased"), home.recommend("annoyed")
    assert pleased.fallback is None
    assert annoyed.fallback == "graph had nothing to show"  # it knows nothing that they like
    down = Feedback.of(user=[f"u{n}" for n in range(99)], item=["hated"] * 99, value=-1.0,
                       kind="thumb", time=NOW)  # fmt: skip
    ws.feedback.write(down)
    assert "hated" not in ws.store.feedback.popular(5)


def test_a_thumb_up_of_a_known_person_is_a_like(ws: Workspace, home: LivePlacement) -> None:
    release = home.release
    assert release is not None
    known, items = str(release.arms["graph"].users.ids[0]), release.items.ids[:2]
    ws.store.erase(known)  # two thumbs are all that the log knows of them from now on
    ws.feedback.write(Feedback.of(user=[known] * 2, item=items, value=1.0, kind="thumb", time=NOW))
    ws.place(replace(home.config, arms={"graph": "rp3beta"}))
    assert home.recommend(known).fallback is None


def test_hiding_one_item_hides_one_item(ws: Workspace, home: LivePlacement) -> None:
    before = home.recommend("person-0001", k=90).items
    ws.catalog.hide(before[0], reason="recalled")
    assert set(home.recommend("person-0001", k=90).items) == set(before) - {before[0]}
    ws.catalog.unhide(before[0])
    ws.catalog.remove(before[1])
    ws.catalog.unhide(before[1])  # what was taken out stays out
    assert set(home.recommend("person-0001", k=90).items) == set(before) - {before[1]}
    with pytest.raises(InvalidParameterError, match="texts, like the others"):
        ws.catalog.hide(5, reason="no text")
    ws.catalog.write(Catalog(items=Vocabulary((before[1],))))
    assert before[1] in home.recommend("person-0001", k=90).items


def test_a_click_while_lists_are_settled_is_not_lost(
    ws: Workspace, home: LivePlacement, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = home.recommend("person-0001", n_arms=1)
    real = _settlement._learn

    def late(*given: Any) -> None:
        monkeypatch.setattr(_settlement, "_learn", real)
        ws.feedback.click(shown, shown.items[0], time=NOW + HOUR)
        real(*given)

    clock.advance(2 * DAY)
    monkeypatch.setattr(_settlement, "_learn", late)
    assert ws.settle() == 1
    clock.advance(SECOND)
    assert ws.settle() == 1
    assert list(rewards(ws, shown).values()) == [0.25]
    ws.verify()


@pytest.mark.parametrize("order", [(50, 100), (100, 50)])
def test_order_of_arrival_does_not_matter(
    ws: Workspace, home: LivePlacement, clock: ManualClock, order: tuple[int, int]
) -> None:
    (shown,) = home.recommend_many(["person-0001"])
    place = {50: 0, 100: 1}
    for seconds in order:
        ws.feedback.click(shown, shown.items[place[seconds]], time=NOW + seconds * SECOND)
    clock.advance(2 * DAY)
    ws.settle()
    assert list(rewards(ws, shown).values()) == [1.0]  # two seen, two clicked
    row = ws.store.recommendations.get(shown.id)
    assert row is not None
    assert row.opened == NOW + 50 * SECOND


def test_a_clock_that_is_behind_counts_as_of_the_opening(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001")
    ws.feedback.click(shown, shown.items[0], time=5)  # a telephone that woke up in 1970
    clock.advance(2 * DAY)
    ws.settle()
    assert list(rewards(ws, shown).values()) == [0.25]
    assert ws.measure(["ctr"]).value("ctr") == 0.25


def test_who_clicks_has_seen_the_list_down_to_the_click(
    ws: Workspace, home: LivePlacement
) -> None:
    (shown,) = home.recommend_many(["person-0001"])
    ws.feedback.click(shown, shown.items[2])
    assert ws.measure(["ctr"]).value("ctr") == pytest.approx(1 / 3)


def test_a_belief_learns_by_its_own_rule(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001")
    ws.feedback.rate("person-0001", shown.items[0], 4.0, shown=shown)
    ws.place(replace(home.config, reward=SuccessRule(good_rating=5.0)))
    clock.advance(2 * DAY)
    ws.settle()
    assert list(rewards(ws, shown).values()) == [0.25]  # 4 was good when it was shown


def test_second_thoughts_and_second_people_are_kept(ws: Workspace, home: LivePlacement) -> None:
    shown = home.recommend("person-0001")
    item = shown.items[0]
    assert ws.feedback.thumbs(shown, item, up=True).accepted == 1
    assert ws.feedback.thumbs(shown, item, up=False).accepted == 1
    assert ws.feedback.dwell(shown, item, seconds=4).accepted == 1
    assert ws.feedback.dwell(shown, item, seconds=60).accepted == 1
    assert ws.feedback.dwell(shown, item, seconds=60).duplicates == 1
    nobody = home.recommend(None)
    for user in ("person-0003", "person-0004"):
        assert ws.feedback.click(nobody, nobody.items[0], user=user).accepted == 1


def test_a_request_is_of_one_person(home: LivePlacement) -> None:
    home.recommend("person-0001", request="r")
    with pytest.raises(InvalidParameterError, match="it was another's"):
        home.recommend("person-0002", request="r")
    (mail,) = home.recommend_many(["person-0005"], request="mail")
    assert home.recommend("person-0009", request="mail|person-0005").id != mail.id
    assert home.recommend_many([]) == []


def test_placing_again_ends_no_test_and_turns_no_switch(
    ws: Workspace, home: LivePlacement
) -> None:
    placed = home.config
    home.test(Experiment(key="e", variants=HALF), {"new": {"k": 2}})
    home.switch("static")
    ws.place(placed)  # as at every start of a host
    assert home.recommend("person-0001").experiment == "e"
    assert home.config.mode == "static"
    ws.store.experiments().stop("e", reason="from outside")
    assert home.recommend("person-0001").experiment is None
    home.end_test(reason="over")
    assert home.config.experiment is None


def test_a_test_that_failed_to_start_can_be_started(home: LivePlacement) -> None:
    test = Experiment(key="again", variants=HALF)
    text = {"name": "text-profile", "encoder": "encoder@candidate"}
    with pytest.raises(UnknownNameError, match="encoder@candidate"):
        home.test(test, {"new": {"arms": {"text": text}}})
    home.test(test, {"new": {"k": 2}})


def test_two_changes_at_once_are_told(ws: Workspace, home: LivePlacement) -> None:
    config = home.config
    ws.place(replace(config, k=7), expect=1)
    with pytest.raises(StaleWriteError, match="revision 2, not 1"):
        ws.place(replace(config, k=8), expect=1)
    home.switch("static")
    assert home.config.k == 7


def test_lists_of_arms_that_are_gone_are_settled(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    home.switch("static")
    shown = home.recommend("person-0001")
    ws.feedback.click(shown, shown.items[0])
    ws.place(replace(home.config, arms={"svd": "pure-svd:factors=4", "next": "ease"}))
    clock.advance(2 * DAY)
    assert ws.settle() == 1
    home.recommend("person-0001")
    limits = replace(home.config, limits=Limits(floor=0.3))
    ws.place(limits)
    home.switch("bandit")
    assert home.recommend("person-0001").arms


@pytest.mark.parametrize("odd", [np.inf, np.nan, "short", "error"])
def test_an_arm_that_misbehaves_breaks_no_list(
    ws: Workspace, home: LivePlacement, monkeypatch: pytest.MonkeyPatch, odd: Any
) -> None:
    def score(self: FittedPopularity, histories: Any) -> Any:
        table = np.ones((len(histories), len(self.items)))
        table[0, :3] = odd if isinstance(odd, float) else 2.0
        if odd == "error":
            raise RuntimeError("two\nlines")
        return table[:, :1] if odd == "short" else table

    monkeypatch.setattr(FittedPopularity, "score", score)  # of the arm, and of the fallback
    shown = home.recommend("person-0001", n_arms=2, k=90)
    assert "top" in shown.failed
    assert "\n" not in shown.failed["top"]
    assert len(shown.items) > 40
    shown.to_json()


@pytest.mark.parametrize("step", ["calibrated", "xquad", "serendipity", "max-per-group"])
def test_a_re_ranking_without_its_inputs_leaves_a_list(
    ws: Workspace, home: LivePlacement, step: str
) -> None:
    ws.place(replace(home.config, rerank=(step,)))
    assert len(home.recommend("person-0001").items) == 4


def test_what_cannot_serve_is_refused_when_it_is_placed(ws: Workspace) -> None:
    with pytest.raises(InvalidParameterError, match="one that needs no features"):
        Placement(name="x", arms=ARMS, policy="linear-thompson")
    ws.place(Placement(name="late", arms={"a": "time-svdpp:epochs=1"}))
    with pytest.raises(InvalidParameterError, match="an arm that ranks for new people too"):
        ws.train("late")
    with pytest.raises(InvalidParameterError, match="the name of an arm"):
        Placement(name="x", arms={"fallback": "ease"})
    (release,) = ws.versions("home")
    arm = ws.store.versions.get(release.manifest["lineage"]["parents"][0])
    with pytest.raises(InvalidParameterError, match="a release of home"):
        ws.activate("home", arm.id, reason="mistaken")


def test_a_placement_that_cannot_be_read_stops_no_other(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001", request="r")
    ws.feedback.click(shown, shown.items[0])
    body = {**ws.store.values.get("placement", "home").body, "name": "a", "of_tomorrow": 1}  # type: ignore[union-attr]
    ws.store.values.put("placement", "a", body)
    clock.advance(2 * DAY)
    with pytest.raises(UnknownNameError, match="of_tomorrow") as raised:
        ws.settle()
    assert "'a' was kept by another version" in raised.value.__notes__[0]
    assert rewards(ws, shown)
    assert ws.settle("home") == 0
    assert "cannot be read: " in str(ws.table())
    with pytest.raises(UnknownNameError, match="of_tomorrow"):
        ws.placement("a")


def test_a_placement_is_read_once_for_each_revision(
    ws: Workspace, home: LivePlacement, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clicks and settlements ask for it again and again, those on lists of variants too."""
    home.test(Experiment(key="arms", variants=HALF), {"new": {"arms": {"top": "popularity"}}})
    lists = [home.recommend(f"person-{n:04}", request=f"r{n}") for n in range(1, 21)]
    assert {each.variant for each in lists} == {"control", "new"}
    for each in lists:
        ws.feedback.click(each, each.items[0])
    read: list[object] = []
    made = Placement.from_config.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Placement], config: Any) -> Placement:
        read.append(config)
        return made(cls, config)  # type: ignore[no-any-return]

    monkeypatch.setattr(Placement, "from_config", classmethod(counted))
    for each in lists:
        ws.feedback.click(each, each.items[1])
    clock.advance(2 * DAY)
    assert ws.settle() == len(lists)
    assert len(read) <= 1  # what the variant shows, once
    read.clear()
    ws.place(replace(home.config, k=3))
    assert len(home.recommend("person-0001", request="after").items) == 3
    assert read
