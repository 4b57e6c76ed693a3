"""What feedback means: rewards by kind of event, "not interested", and what was taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.clock import DAY, SECOND, ManualClock
from siamrec.bandits import SuccessRule
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.lifecycle import Block, LivePlacement, Meaning, Placement, Seen, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.lifecycle import Recommendation

TABLE: dict[str, float | Block] = {
    "thumb_down": Block(), "dwell<3": 0.1, "dwell": 0.5, "click": 0.3, "convert": 1.0
}  # fmt: skip

TOP = {"top": "popularity"}


def placed(ws: Workspace, **changes: Any) -> LivePlacement:
    return ws.place(replace(ws.placement("home").config, arms=TOP, **changes))


def rewards(ws: Workspace, shown: Recommendation) -> dict[str, float]:
    """Return the newest reward of each arm of a list."""
    query = "SELECT arm, reward FROM reward WHERE decision = ? ORDER BY time"
    with ws.store._engine.connect() as connection:
        return dict(connection.exec_driver_sql(query, (shown.id,)).all())


@pytest.mark.parametrize(
    ("combine", "expected"), [("max", 1.0), ("sum", 1.0), ("first", 0.1), ("last", 0.3)]
)
def test_events_on_one_item_come_together(
    shop: Workspace, shop_clock: ManualClock, combine: Any, expected: float
) -> None:
    home = placed(shop, k=1, meaning=Meaning(TABLE, combine=combine))
    shown = home.recommend("me")
    item = shown.items[0]
    shop.feedback.dwell(shown, item, seconds=2.0)
    shop_clock.advance(SECOND)
    shop.feedback.convert(shown, item)
    shop_clock.advance(SECOND)
    shop.feedback.click(shown, item)
    shop_clock.advance(DAY)
    assert shop.settle("home") == 1
    assert rewards(shop, shown) == {shown.arms[0]: expected}


def test_the_first_entry_that_fits_speaks(shop: Workspace, shop_clock: ManualClock) -> None:
    home = placed(shop, k=2, meaning=Meaning(TABLE))
    shown = home.recommend("me")
    shop.feedback.dwell(shown, shown.items[0], seconds=2.0)
    shop.feedback.dwell(shown, shown.items[1], seconds=9.0)
    shop.feedback.comment("me", shown.items[0], "well", shown=shown)  # says nothing
    shop_clock.advance(2 * DAY)
    shop.settle("home")
    assert rewards(shop, shown) == {shown.arms[0]: pytest.approx((0.1 + 0.5) / 2)}


def test_not_interested_acts_on_the_next_list_and_can_be_taken_back(shop: Workspace) -> None:
    home = placed(shop, seen=Seen({}), meaning=Meaning(TABLE))
    shown = home.recommend("me")
    item, liked = shown.items[:2]
    shop.feedback.thumbs(shown, liked, up=True)
    told = shop.feedback.thumbs(shown, item, up=False)
    after = home.recommend("me", k=40)
    assert item not in after.items
    assert liked in after.items
    assert after.filtered == {"blocked": 1}
    assert shop.feedback.retract(told) == [shown.id]
    assert item in home.recommend("me", k=40).items
    shop.feedback.thumbs(shown, item, up=False, key="once more")
    assert item not in home.recommend("me", k=40).items


def test_what_is_taken_back_corrects_history_and_belief(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = placed(shop, k=2)
    shown = home.recommend("me")
    arm, item = shown.arms[0], shown.items[0]
    told = shop.feedback.click(shown, item)
    shop_clock.advance(2 * DAY)
    shop.settle()
    assert rewards(shop, shown) == {arm: 0.5}
    assert item not in home.recommend("me", k=40).items
    n_events = shop.feedback.summary().n_events
    shop.feedback.retract(told)
    assert shop.feedback.retract(told) == [shown.id]  # twice is once
    assert shop.feedback.summary().n_events == n_events - 1
    assert item in home.recommend("me", k=40, confirm="on_seen").items
    shop_clock.advance(SECOND)
    assert shop.settle() >= 1
    assert rewards(shop, shown) == {arm: 0.0}
    shop.verify()
    again = shop.feedback.click(shown, item)
    assert again.accepted == 1  # done once more, after it was taken back
    assert shop.feedback.click(shown, item).accepted == 0
    assert item not in home.recommend("me", k=40, confirm="on_seen").items
    shop.feedback.retract(again)
    assert shop.feedback.click(shown, item).accepted == 1
    shop.store.erase("me", decisions="delete")
    assert shop.store.counts()["retracted"] == 0


def test_what_cannot_be_taken_back_is_said(
    shop: Workspace, shop_clock: ManualClock, tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="key of an event"):
        shop.feedback.retract("nobody told this")
    many = shop.feedback.write(shop.feedback.read_all())
    with pytest.raises(InvalidParameterError, match="of one event"):
        shop.feedback.retract(many)
    with Workspace(f"sqlite:///{tmp_path}/other.db", clock=shop_clock) as other:
        told = other.feedback.rate("me", "i0", 5.0)
        shop_clock.advance(DAY)
        other.store.archive(before=shop_clock.now())
        with pytest.raises(InvalidDataError, match="archived or erased"):
            other.feedback.retract(told)


def test_a_changed_meaning_is_a_belief_beside_the_old(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = placed(shop)
    old, shown = home.config.belief, home.recommend("me")
    shop.feedback.click(shown, shown.items[0])
    new = placed(shop, meaning=Meaning({"click": 0.2})).config.belief
    later = home.recommend("you")
    assert later.decision is not None
    assert shown.decision is not None
    assert (shown.decision.bandit, later.decision.bandit) == (old, new)
    shop.feedback.click(later, later.items[0])
    shop_clock.advance(2 * DAY)
    shop.settle()
    # Each list is settled by the meaning of its time.
    assert rewards(shop, shown) == {shown.arms[0]: pytest.approx(1 / 6)}
    assert rewards(shop, later) == {later.arms[0]: pytest.approx(0.2 / 6)}
    assert placed(shop, meaning=None).config.belief == old
    shop.verify()


def test_an_old_log_is_reread_on_purpose_into_a_belief_beside_the_old(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = placed(shop, meaning=Meaning({"click": 1.0}), k=1)
    old, lists = home.config.belief, [home.recommend(f"p{n}") for n in range(6)]
    for shown in lists[:4]:
        shop.feedback.click(shown, shown.items[0])
    unseen = home.recommend("later", confirm="on_seen")
    shop_clock.advance(2 * DAY)
    shop.settle()
    fresh = home.recommend("fresh")  # its window is not over
    before = shop.store.roster(old), shop._ground.bandit(home.config).sums()
    assert before[1]["wins"].sum() == 4
    home = placed(shop, meaning=Meaning({"click": 0.25}), k=1)
    assert shop._ground.bandit(home.config).sums()["wins"].sum() == 0  # no silent change
    assert [home.reread(), home.reread()] == [6, 6]
    sums = shop._ground.bandit(home.config).sums()
    assert (sums["wins"].sum(), sums["losses"].sum()) == pytest.approx((1.0, 5.0))
    # What is told later is corrected by the next call; nothing counts twice.
    shop.feedback.seen(unseen)
    shop.feedback.click(unseen, unseen.items[0])
    shop.feedback.click(fresh, fresh.items[0])
    shop_clock.advance(2 * DAY)
    assert [home.reread(), home.reread()] == [8, 8]
    sums = shop._ground.bandit(home.config).sums()
    assert (sums["wins"].sum(), sums["losses"].sum()) == pytest.approx((1.5, 6.5))
    told = [each.body for each in shop.diary("home") if each.what == "reread"]
    assert told[-1] == {"belief": home.config.belief, "lists": 8}
    shop.verify()
    home = placed(shop, meaning=Meaning({"click": 1.0}), k=1)
    assert home.config.belief == old
    kept = shop._ground.bandit(home.config).sums()
    assert all((kept[name] == value).all() for name, value in before[1].items())
    shop.store.erase("p0", decisions="delete")
    shop.verify()


def test_a_success_rule_keeps_the_name_of_its_belief() -> None:
    plain = Placement(name="home", arms=TOP)
    config = plain.to_config()
    for name in ("where", "too_few", "seen", "meaning", "rules"):
        del config[name]  # as placements were written before
    assert Placement.from_config(config) == plain
    assert plain.belief == "home.4b6aee44"
    assert plain.settles == SuccessRule()


def test_a_meaning_survives_json_in_its_order() -> None:
    meaning = Meaning(TABLE, combine="sum", window="3h", learn="at_once")
    home = Placement(name="home", arms=TOP, meaning=meaning)
    assert Placement.from_json(home.to_json()) == home
    turned = Meaning({"convert": 1.0, **TABLE}, combine="sum", window="3h", learn="at_once")
    assert turned != meaning
    assert turned.version != meaning.version


def test_a_meaning_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'clik'.*click"):
        Meaning({"clik": 1.0})
    with pytest.raises(InvalidParameterError, match="reward of click"):
        Meaning({"click": 1.5})
    with pytest.raises(InvalidParameterError, match="such as 'click' or 'dwell<3'"):
        Meaning({"dwell<": 1.0})
    with pytest.raises(InvalidParameterError, match="alone"):
        Meaning({"thumb_up>3": 1.0})
    with pytest.raises(InvalidParameterError, match="one or more"):
        Meaning({})
    for table in (
        {"rating": 0.0, "rating>=4": 1.0},
        {"thumb": 0.5, "thumb_down": 0.0},
        {"dwell>=3": 1.0, "dwell>3": 0.5},
        {"convert": 1.0, "conversion": 0.5},
    ):
        narrow = list(table)[1]
        with pytest.raises(InvalidParameterError, match=f"all speak, got \"'{narrow}' after"):
            Meaning(table)
    Meaning({"dwell>3": 0.5, "dwell>=3": 1.0, "rating>=4": 1.0, "rating<=2": 0.0, "rating": 0.5})
    with pytest.raises(UnknownNameError, match="combine"):
        Meaning({"click": 1.0}, combine="most")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="window"):
        Meaning({"click": 1.0}, window="soon")
    with pytest.raises(InvalidParameterError, match="without a reward"):
        Placement(
            name="x", arms={"a": "ease"}, meaning=Meaning({"click": 1.0}),
            reward=SuccessRule(click=0.5),
        )  # fmt: skip
