"""A preview is what would be served, and nothing that happened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from siamrec._core.clock import DAY, SECOND, ManualClock
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError, StorageError, UnknownNameError
from siamrec.experiments import Experiment
from siamrec.lifecycle import LivePlacement, Pin, Placement, Rule, Workspace
from siamrec.storage import schema

if TYPE_CHECKING:
    from pathlib import Path

NOW = 20_000 * DAY


def content(ws: Workspace) -> dict[str, str]:
    """Return the rows of every table, as one text each."""
    with ws.store._engine.connect() as connection:
        return {
            table.name: repr(sorted(map(repr, connection.execute(select(table)))))
            for table in schema.metadata.sorted_tables
        }


def test_the_first_call_ever_writes_nothing(shop: Workspace) -> None:
    assert shop.store.counts()["projection"] == 0  # no bandit was opened yet
    before = content(shop)
    shown = shop.preview("new", "home", request="r")
    assert len(shown.items) == 6
    assert shown.decision is not None
    assert content(shop) == before
    assert shop.placement("home").recommend("new", request="r").items == shown.items
    assert content(shop) != before


def test_a_preview_is_what_is_served_afterwards(
    shop: Workspace, shelf: LivePlacement, shop_clock: ManualClock
) -> None:
    for n in range(40):  # a belief that prefers an arm
        shown = shelf.recommend(f"u{n}")
        if shown.arms[0] == "svd":
            shop.feedback.click(shown, shown.items[0])
    shop_clock.advance(30 * DAY)
    shop.settle()
    shop.block("u1", "i9")
    shop.place(replace(shelf.config, rules=(Rule("top", then=Pin("i39", 1)),)))
    before, sums = content(shop), shop._ground.bandit(shelf.config).sums()
    asked: dict[str, Any] = {"k": 5, "exclude": ["i3"], "where": "stock > 6", "n_arms": 2}
    previews = [shop.preview(f"u{n}", "home", request=f"r{n}", **asked) for n in range(20)]
    assert content(shop) == before
    after = shop._ground.bandit(shelf.config).sums()
    assert all((sums[name] == after[name]).all() for name in sums)
    shop_clock.advance(2 * SECOND)
    for n, preview in enumerate(previews):
        served = shelf.recommend(f"u{n}", request=f"r{n}", **asked)
        assert served.decision is not None
        assert preview.decision is not None
        assert preview.items == served.items
        assert preview.propensities == served.propensities
        assert preview.rules == served.rules
        assert (preview.id, preview.decision.id) == (f"preview:{served.id}",) * 2
        again = shop.preview(f"u{n}", "home", request=f"r{n}", **asked)
        assert (again.items, again.logged) == (served.items, False)
    assert shop.preview(None, "home").items


def test_a_preview_says_so_and_no_event_finds_it(shop: Workspace) -> None:
    shown = shop.preview("new", "home")
    assert shown.logged is False
    assert "preview:" in shown.title()
    assert "not in the log" in str(shown)
    before = content(shop)
    for told in (shown, shown.id):
        with pytest.raises(UnknownNameError, match="recommendation of this workspace"):
            shop.feedback.click(told, shown.items[0])
        with pytest.raises(UnknownNameError, match="recommendation of this workspace"):
            shop.feedback.seen(told)
    with pytest.raises(InvalidParameterError, match="in the log"):
        shown.next()
    with pytest.raises(UnknownNameError):
        shop.placement("home").next(shown.id)
    assert content(shop) == before


def test_a_preview_under_an_experiment_shows_the_variant_and_writes_nothing(
    shop: Workspace, shelf: LivePlacement
) -> None:
    test = Experiment(key="arms", variants={"old": 0.5, "new": 0.5})
    shelf.test(test, {"new": {"arms": {"top": "popularity"}}})
    before = content(shop)
    previews = {f"p{n}": shop.preview(f"p{n}", "home") for n in range(20)}
    assert content(shop) == before
    assert {each.variant for each in previews.values()} == {"old", "new"}
    for user, preview in previews.items():
        assert shelf.recommend(user).variant == preview.variant
        if preview.variant == "new":
            assert preview.arms == ("top",)


def test_a_preview_of_new_arms_before_training_and_of_a_person_of_two_ids(
    shop: Workspace, shelf: LivePlacement
) -> None:
    shelf.recommend("u1")  # the bandit is stored with two arms
    arms = {**shelf.config.arms, "graph": "rp3beta"}
    shop.place(replace(shelf.config, arms=arms, n_arms=1))
    shop.activate("home", shop.train("home").release, reason="a third arm")
    fresh = shop.place(Placement(name="fresh", arms={"top": "popularity"}))
    shop.feedback.write(Feedback.of(user=["anon"], item=["i1"], kind="click", time=NOW))
    shop.identify("anon", "person")
    before = content(shop)
    shown = [shop.preview("u3", "home", request=f"r{n}") for n in range(30)]
    assert {each.arms[0] for each in shown} == {"svd", "top", "graph"}
    assert "i1" not in shop.preview("person", "home", k=40).items
    assert shop.preview("new", "fresh").fallback is not None
    assert content(shop) == before
    assert fresh.recommend("new").items == shop.preview("new", "fresh").items


def test_a_preview_tires_no_arm(
    shop: Workspace, shelf: LivePlacement, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamrec.lifecycle._person import Person

    with monkeypatch.context() as broken:

        def fails(self: Any, *_: Any, **__: Any) -> Any:
            raise RuntimeError("out of order")

        broken.setattr(Person, "ranked", fails)
        assert shop.preview("u1", "home").failed
    served = [shelf.recommend("u1", request=f"r{n}") for n in range(20)]
    assert not any(each.failed for each in served)
    assert {each.arms[0] for each in served} == {"svd", "top"}


def test_what_cannot_be_previewed_is_refused(
    shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match=r"placement.*'hoem'.*home"):
        shop.preview("new", "hoem")
    with pytest.raises(UnknownNameError, match=r"wish.*'exclud'.*exclude"):
        shop.preview("new", "home", exclud=["i1"])  # type: ignore[call-arg]
    with pytest.raises(InvalidParameterError, match="k must be"):
        shop.preview("new", "home", k=0)
    with pytest.raises(InvalidParameterError, match="users"):
        shop.preview(7, "home")

    def gone(self: Any, *_: Any, **__: Any) -> Any:
        raise StorageError("disk gone")

    monkeypatch.setattr(type(shop.store.recommendations), "look", gone)
    with pytest.raises(StorageError, match="disk gone"):
        shop.preview("new", "home")
