"""When an item counts as seen, by kind, age, number of impressions and placement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, HOUR, MINUTE, ManualClock
from siamrec.data import NO_TIME, Feedback
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.lifecycle import LivePlacement, Placement, Seen, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.typing import Id

NOW = 20_000 * DAY


def placed(ws: Workspace, **changes: Any) -> LivePlacement:
    return ws.place(replace(ws.placement("home").config, **changes))


def told(ws: Workspace, item: str, kind: str, time: int, value: float = 1.0) -> None:
    ws.feedback.write(Feedback.of(user=["me"], item=[item], kind=kind, time=[time], value=[value]))


def out(home: LivePlacement) -> set[object]:
    """Return which of the first ten items are left out."""
    ten: list[Id] = [f"i{n}" for n in range(10)]
    return set[object](ten) - set(home.recommend("me", k=10, among=ten).items)


def test_the_default_leaves_out_all_feedback_for_ever(
    shop: Workspace, shelf: LivePlacement
) -> None:
    kinds = ("rating", "click", "view", "thumb", "dwell", "conversion", "comment")
    for n, kind in enumerate(kinds):
        told(shop, f"i{n}", kind, NOW - 3_000 * DAY)
    weightless = Feedback.of(user=["me"], item=["i8"], time=[NOW], weight=[0.0])
    shop.feedback.write(weightless)
    assert out(shelf) == {f"i{n}" for n in range(len(kinds))}
    few = placed(shop, history=3)  # arms are told of three events, *seen* knows all of them
    assert out(few) == {f"i{n}" for n in range(len(kinds))}


def test_kinds_have_their_own_ages(shop: Workspace, shop_clock: ManualClock) -> None:
    home = placed(shop, seen=Seen({"click": "7d", "conversion": None, "dwell>=30": None}))
    told(shop, "i0", "click", NOW - 6 * DAY)
    told(shop, "i1", "click", NOW - 8 * DAY)
    told(shop, "i2", "conversion", NOW - 800 * DAY)
    told(shop, "i3", "rating", NOW)
    told(shop, "i4", "dwell", NOW - 9 * DAY, 31.0)
    told(shop, "i5", "dwell", NOW, 29.0)
    told(shop, "i6", "click", NO_TIME)
    assert out(home) == {"i0", "i2", "i4", "i6"}
    shop_clock.advance(DAY)
    assert out(home) == {"i2", "i4", "i6"}
    assert out(placed(shop, seen=Seen({}))) == set()


def test_impressions_have_a_cap_an_age_and_a_placement(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = placed(shop, k=2, seen=Seen({"impression": "1d"}, cap=2, at="here"))
    other = shop.place(
        Placement(name="other", arms={"top": "popularity"}, k=2, seen=Seen({"impression": "1d"}))
    )
    among = ["i0", "i1"]
    once = home.recommend("me", among=among)
    assert set(once.items) == set(among)
    twice = home.recommend("me", among=among)
    assert set(twice.items) == set(among)
    gone = home.recommend("me", among=among)
    assert gone.items == ()
    assert gone.filtered["seen"] == 2
    assert other.recommend("me", among=among).items == ()  # those of all placements count there
    shop_clock.advance(DAY + MINUTE)
    assert set(home.recommend("me", among=among).items) == set(among)


def test_a_list_that_nobody_saw_is_no_impression(shop: Workspace) -> None:
    home = placed(shop, seen=Seen({"impression": None}))
    mail = home.recommend("me", confirm="on_seen", among=["i0", "i1"])
    assert set(home.recommend("me", confirm="on_seen", among=["i0", "i1"]).items) == {"i0", "i1"}
    shop.feedback.seen(mail, [1])
    assert home.recommend("me", among=["i0", "i1"]).items == mail.items[1:]


def test_what_was_shown_recovers(shop: Workspace, shop_clock: ManualClock) -> None:
    home = placed(shop, arms={"top": "popularity"}, k=3, seen=Seen({"click": None}, recover="2h"))
    usual = home.recommend("me")
    assert set(home.recommend("me").items).isdisjoint(usual.items)
    shop_clock.advance(2 * HOUR)
    again = home.recommend("me", confirm="on_seen")
    assert again.items == usual.items


def test_what_the_archive_took_is_said(tmp_path: Path, shop_clock: ManualClock) -> None:
    with Workspace(f"sqlite:///{tmp_path}/other.db", clock=shop_clock) as ws:
        told(ws, "i0", "click", NOW - 10 * DAY)
        told(ws, "i1", "click", NOW)
        ws.store.archive(before=NOW - 5 * DAY)
        home = ws.place(Placement(name="home", arms={"top": "popularity"}, k=2))
        shown = home.recommend("me", request="after")
        assert shown.limit is not None
        assert "what was seen before may come back" in shown.limit
        assert home.recommend("me", request="after") == shown
        assert home.recommend(None).limit is None
        recent = placed(ws, seen=Seen({"click": "4d"}))
        assert recent.recommend("me").limit is None


def test_a_policy_survives_json_and_what_cannot_be_is_refused(shop: Workspace) -> None:
    seen = Seen({"click": None, "impression": "7d"}, cap=5, recover="2h", at="here")
    config = replace(shop.placement("home").config, seen=seen)
    assert Placement.from_json(config.to_json()) == config
    with pytest.raises(UnknownNameError, match="'clik'.*click"):
        Seen({"clik": None})
    with pytest.raises(InvalidParameterError, match="age of click"):
        Seen({"click": "a week"})
    with pytest.raises(InvalidParameterError, match="cap"):
        Seen({"click": None}, cap=5)
    with pytest.raises(InvalidParameterError, match="cap"):
        Seen(cap=0)
    with pytest.raises(InvalidParameterError, match="recover"):
        Seen(recover="soon")
    with pytest.raises(UnknownNameError, match="at"):
        Seen(at="there")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="setting of seen"):
        Placement.from_config({**config.to_config(), "seen": {"kind": {}}})
