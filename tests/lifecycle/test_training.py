"""What a training makes of a log and a catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.data import Catalog, Vocabulary
from siamrec.lifecycle import Placement, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

NEW = ("fresh-1", "fresh-2")


@pytest.fixture
def ws(world: SimulatedWorld, tmp_path: Path) -> Workspace:
    """A workspace whose catalogue has two items without an event."""
    ws = Workspace(
        f"sqlite:///{tmp_path}/app.db",
        encoder="hashing",
        clock=ManualClock(20_000 * DAY),
        salt="t",
    )
    ws.feedback.write(world.feedback)
    known = world.catalog
    texts = (known.text[0], known.text[1])
    ws.catalog.write(known)
    ws.catalog.write(Catalog(items=Vocabulary(NEW), text=texts))
    return ws


def placed(ws: Workspace, **arms: object) -> Placement:
    placement = Placement(name="home", arms=arms, k=8)
    ws.place(placement)
    ws.train("home")
    return placement


def test_an_item_without_an_event_is_shown_by_the_arms_that_read_texts(ws: Workspace) -> None:
    placed(ws, text={"name": "text-profile", "encoder": "encoder@live"}, ease="ease")
    home = ws.placement("home")
    release = home.release
    assert release is not None
    assert set(NEW) <= set(release.items.ids)
    assert not set(NEW) & set(release.arms["ease"].items.ids)
    shown = home.recommend("person-0001", among=NEW, n_arms=2, request="r")
    assert set(shown.items) == set(NEW)
    assert set(shown.sources) == {"text"}
    ws.close()


def test_where_no_arm_reads_texts_new_items_come_last(ws: Workspace) -> None:
    placed(ws, ease="ease", top="popularity")
    home = ws.placement("home")
    shown = home.recommend("person-0001", n_arms=2, request="r")
    assert not set(NEW) & set(shown.items)
    last = home.recommend("person-0001", among=NEW, n_arms=2, request="s")
    assert set(last.sources) == {"fallback"}
    ws.close()


def test_new_items_change_no_list_of_the_others(ws: Workspace) -> None:
    placement = placed(ws, ease="ease", top="popularity")
    ws.place(replace(placement, name="other"))
    for item in NEW:
        ws.catalog.remove(item)
    ws.train("other")
    with_new, without = (ws.placement(name).release for name in ("home", "other"))
    assert with_new is not None
    assert without is not None
    assert len(with_new.items) == len(without.items) + len(NEW)
    for arm in ("ease", "top"):
        one, other = (each.arms[arm] for each in (with_new, without))
        users = one.users.ids[:20]
        assert one.recommend(users, k=5).lists() == other.recommend(users, k=5).lists()
    ws.close()


def test_vectors_of_re_ranking_cover_every_item(ws: Workspace) -> None:
    placed(ws, ease="ease", top="popularity")
    home = ws.placement("home")
    release = home.release
    assert release is not None
    assert release.vectors.shape[0] == len(release.items)
    shown = home.recommend("person-0001", diversity=0.5, request="r")
    assert len(set(shown.items)) == 8
    ws.close()
