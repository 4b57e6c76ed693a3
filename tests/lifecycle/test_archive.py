"""A workspace whose old events are in the archive serves, settles and measures as before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec import Placement, Workspace
from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.data import Feedback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.lifecycle import LivePlacement, Recommendation
    from siamrec.simulation import SimulatedWorld

NOW = 20_000 * DAY
METRICS = ("ctr", "click_share", "revenue", "coverage")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ws(world: SimulatedWorld, tmp_path: Path, clock: ManualClock) -> Iterator[Workspace]:
    with Workspace(f"sqlite:///{tmp_path}/app.db", clock=clock, salt="archive") as ws:
        ws.feedback.write(world.feedback)
        arms = {"graph": "rp3beta", "top": "popularity"}
        ws.place(Placement(name="home", arms=arms, k=4, history=20))
        assert ws.train("home").verdict == "promoted"
        yield ws


@pytest.fixture
def home(ws: Workspace) -> LivePlacement:
    return ws.placement("home")


def visits(ws: Workspace, home: LivePlacement, clock: ManualClock, n: int) -> list[Recommendation]:
    """Lists with a click on every second one, and their rewards settled."""
    lists = []
    for number in range(n):
        clock.advance(HOUR)
        shown = home.recommend(f"person-{number % 30:04}", request=f"r{number}")
        lists.append(shown)
        if number % 2:
            clock.advance(60 * 10**9)
            ws.feedback.click(shown, shown.items[number % 3])
    clock.advance(30 * DAY)
    ws.settle("home", n=1_000)
    return lists


def told(ws: Workspace) -> dict[str, Any]:
    """What the log says: figures by arm, rewards and beliefs."""
    ws.verify()
    found = ws.measure(METRICS, by=("arm",))
    with ws.store._engine.connect() as connection:
        rewards = connection.exec_driver_sql(
            "SELECT decision, arm, reward FROM reward ORDER BY decision, arm, time"
        ).all()
    return {"figures": found.rows, "rewards": [tuple(row) for row in rewards]}


def test_figures_rewards_and_beliefs_are_those_before(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    visits(ws, home, clock, 60)
    before = told(ws)
    moved = ws.store.archive(clock.now())
    assert moved.n_events > 1_000
    assert told(ws) == before
    assert ws.settle("home") == 0
    assert len(ws.feedback.read_all()) == moved.n_events + ws.store.counts()["event"]


def test_the_newest_events_of_each_person_stay(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    visits(ws, home, clock, 20)
    fresh = {user: home.recommend(user, request=f"a{user}").items for user in ("person-0001",)}
    ws.store.archive(clock.now())
    events = ws.feedback.read_all()
    code = events.users.encode(["person-0001"])[0]
    mine = events.where(events.user == code)
    newest = mine.where(np.arange(len(mine) - 20, len(mine)))
    met = set(newest.items.decode(newest.item))
    shown = home.recommend("person-0001", request="after")
    assert not met & set(shown.items)
    assert set(fresh["person-0001"]).isdisjoint(met)


def test_a_list_that_waits_keeps_its_events_until_it_is_settled(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001", request="r")
    ws.feedback.click(shown, shown.items[0])
    click = Feedback.of(user=["person-0001"] * 30, item=["x"] * 30, time=range(NOW, NOW + 30))
    ws.feedback.write(replace(click, value=click.value))  # newer events than the click
    clock.advance(60 * DAY)
    ws.store.archive(clock.now())
    with ws.store._engine.connect() as connection:
        query = "SELECT COUNT(*) FROM event WHERE decision = ?"
        assert connection.exec_driver_sql(query, (shown.id,)).scalar() == 1
        assert ws.settle("home") == 1
        ws.store.archive(clock.now())
    with ws.store._engine.connect() as connection:
        assert connection.exec_driver_sql(query, (shown.id,)).scalar() == 0
    assert ws.measure(["ctr"]).value("ctr") == pytest.approx(0.25)


def test_a_late_event_on_an_archived_list_corrects_it(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001", n_arms=2, request="r")
    ws.feedback.click(shown, shown.items[0])
    first = shown.sources[0]
    other = next(place for place, arm in enumerate(shown.sources) if arm != first)
    ws.feedback.click(shown, shown.items[other], time=NOW + HOUR)
    clock.advance(60 * DAY)
    assert ws.settle("home") == 1
    filler = Feedback.of(user=["person-0001"] * 30, item=["x"] * 30, time=range(NOW, NOW + 30))
    ws.feedback.write(filler)
    assert ws.store.archive(clock.now()).n_events
    ws.feedback.convert(shown, shown.items[0], time=NOW + 2)  # it comes weeks late
    assert ws.settle("home") == 1
    assert ws.settle("home") == 0
    ws.verify()
    found = ws.measure(["ctr"], by=("arm",))
    assert found.value("ctr", arm=first) > 0
    assert found.value("ctr", arm=shown.sources[other]) > 0


def test_what_says_it_is_older_than_its_list_is_never_moved(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0001", request="r")
    ws.feedback.click(shown, shown.items[0], time=NOW - 400 * DAY)
    clock.advance(60 * DAY)
    ws.settle("home")
    before = ws.measure(["ctr"]).rows
    filler = Feedback.of(user=["person-0001"] * 30, item=["x"] * 30, time=range(NOW, NOW + 30))
    ws.feedback.write(filler)
    ws.store.archive(clock.now())
    assert ws.measure(["ctr"]).rows == before
    assert ws.measure(["ctr"]).value("ctr") == pytest.approx(0.25)
