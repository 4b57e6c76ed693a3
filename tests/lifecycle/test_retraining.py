"""When a training is due: a table by hand, the facts it rests on, and rules that contradict."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.lifecycle import Below, Drop, LivePlacement, Placement, Retraining, Workspace
from siamrec.lifecycle.retraining import Facts, Figure, due

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 20_000 * DAY
RULES = Retraining(
    every="6h", new_events=500, age="30d", below=Below("accuracy", 0.5), drop=Drop("ctr", 0.10)
)
BAD, FAIR = Figure(0.3, 0.2, 0.4, 200), Figure(0.45, 0.3, 0.6, 200)
FIRST, LOST, KEPT = (Figure(v, v - 0.02, v + 0.02, 300) for v in (0.5, 0.3, 0.44))


def by_hand(
    ago: int | None, n: int, old: int, *, below: Figure | None, drop: Figure | None, failed: int
) -> bool:
    """The table as its sentences say it, written apart from the code."""
    if n == 0:
        return False
    if failed == 1 and ago != 0:  # half an hour ago: the pause after one failure is an hour
        return False
    if ago is None:
        return True
    if ago < 1:
        return False
    return ago >= 6 or n >= 500 or old >= 30 or below is BAD or drop is LOST


@pytest.mark.parametrize("ago", [None, 0, 2, 6])
def test_due_is_the_table_by_hand(ago: int | None) -> None:
    n_due = 0
    grid = product((0, 499, 500), (1, 30), (None, BAD, FAIR), (None, LOST, KEPT), (0, 1))
    for n, old, below, drop, failed in grid:
        if failed and ago == 0:
            continue  # a failure is counted since the last training
        facts = Facts(
            trained=None if ago is None else NOW - ago * HOUR,
            new_events=n,
            made=None if ago is None else NOW - old * DAY,
            below=below,
            drop=None if drop is None else (FIRST, drop),
            failures=failed,
            failed=NOW - HOUR // 2 if failed else None,
        )
        told = due(RULES, facts, NOW)
        assert told.yes == by_hand(ago, n, old, below=below, drop=drop, failed=failed), facts
        assert told.reasons
        n_due += told.yes
        assert not due(RULES, facts._replace(busy=True), NOW).yes
    assert n_due == {None: 36, 0: 0, 2: 32, 6: 36}[ago]


def test_every_rule_that_asks_for_it_is_a_reason() -> None:
    facts = Facts(
        trained=NOW - 31 * DAY, new_events=1_200, made=NOW - 31 * DAY, below=BAD,
        drop=(FIRST, LOST),
    )  # fmt: skip
    assert due(RULES, facts, NOW).reasons == (
        "31 days since the last training, every 6h",
        "1,200 new events, from 500 on",
        "What serves is 31 days old, at most 30d",
        "accuracy 0.3 [0.2, 0.4] of 200 in 30d: below 0.5",
        "ctr 0.5 at first to 0.3 in 7d: lost more than 10%",
    )


@pytest.mark.parametrize(
    ("failures", "hours"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 24), (60, 24)]
)
def test_the_pause_after_failures_doubles_up_to_a_day(failures: int, hours: int) -> None:
    facts = Facts(trained=NOW - 9 * DAY, new_events=9, failures=failures, failed=NOW)
    assert not due(RULES, facts, NOW + hours * HOUR - 1).yes
    assert due(RULES, facts, NOW + hours * HOUR).yes


def test_few_counts_prove_nothing() -> None:
    facts = Facts(trained=NOW - 2 * HOUR, new_events=9, below=BAD._replace(n=29))
    assert not due(RULES, facts, NOW).yes
    assert due(RULES, facts._replace(below=BAD._replace(n=30)), NOW).yes
    few = facts._replace(drop=(FIRST, LOST._replace(n=99)))
    assert not due(RULES, few, NOW).yes
    assert not due(RULES, facts._replace(drop=(FIRST._replace(n=99), LOST)), NOW).yes


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (Retraining, MissingInputError, "a rule"),
        (lambda: Retraining(every="10m"), InvalidParameterError, "at least the rest of 1h"),
        (lambda: Retraining(age="5h", every="6h"), InvalidParameterError, "at least 6h"),
        (lambda: Retraining(every="soon"), InvalidParameterError, "a duration"),
        (lambda: Retraining(new_events=0), InvalidParameterError, "at least 1"),
        (lambda: Below("acuracy", 0.5), UnknownNameError, "'accuracy'"),
        (lambda: Below("accuracy", 1.5), InvalidParameterError, r"in \[0, 1\]"),
        (lambda: Below("ctr", 0.1, min_per_item=5), InvalidParameterError, "left out"),
        (lambda: Drop("accuracy", 0.1), InvalidParameterError, "Below"),
        (lambda: Drop("ctr", 1.0), InvalidParameterError, r"in \[0, 1\)"),
        (lambda: Drop("cttr", 0.1), UnknownNameError, "'ctr'"),
        (lambda: Retraining(below=Drop("ctr", 0.1)), InvalidParameterError, "Below"),  # type: ignore[arg-type]
        (
            lambda: Placement(name="p", arms={"t": "popularity"}, retraining={"every": "6h"}),  # type: ignore[arg-type]
            InvalidParameterError,
            "Retraining",
        ),
        (
            lambda: Retraining.from_config({"every": "6h", "evry": "7h"}),
            UnknownNameError,
            "'every'",
        ),
    ],
)
def test_bad_rules_are_refused_by_name(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make()


def test_rules_are_part_of_a_placement_and_of_no_variant(shelf: LivePlacement) -> None:
    placement = replace(shelf.config, retraining=RULES)
    assert Placement.from_json(placement.to_json()) == placement
    assert (placement.recipe, placement.belief) == (shelf.config.recipe, shelf.config.belief)
    with pytest.raises(InvalidParameterError, match="a variant may change"):
        placement.overridden({"retraining": None})


def events(shop: Workspace, n: int, time: int, name: str = "new") -> None:
    users, items = [f"u{k % 80}" for k in range(n)], [f"i{k % 35}" for k in range(n)]
    told = Feedback.of(user=users, item=items, kind="click", time=[time + k for k in range(n)])
    shop.feedback.write(told)


def ruled(shop: Workspace, rules: Retraining) -> LivePlacement:
    return shop.place(replace(shop.placement("home").config, retraining=rules))


def test_events_and_time_are_counted_since_the_last_training(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = ruled(shop, Retraining(every="6h", new_events=5))
    assert home.due().reasons == ("No new event",)
    events(shop, 4, shop_clock.now())
    shop_clock.advance(2 * HOUR)
    assert not home.due().yes
    assert home.due(shop_clock.now() + 4 * HOUR).yes  # asked of later, and nothing is begun
    assert shop.jobs.list() == []
    events(shop, 1, shop_clock.now())
    assert home.due().reasons == ("5 new events, from 5 on",)
    shop.train("home")
    assert home.due().reasons == ("No new event",)


def test_an_archived_log_is_no_new_event(shop: Workspace, shop_clock: ManualClock) -> None:
    home = ruled(shop, Retraining(new_events=3))
    events(shop, 3, shop_clock.now() - 400 * DAY)
    shop.train("home")
    shop_clock.advance(2 * HOUR)
    shop.store.archive(shop_clock.now() - 100 * DAY)
    assert home.due().reasons == ("No new event",)


def test_a_low_click_rate_is_measured_on_what_was_served_since(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = ruled(shop, Retraining(below=Below("ctr", 0.2, window="7d", least=20)))
    shop_clock.advance(2 * HOUR)
    for n in range(30):
        shown = home.recommend(f"u{n}", request=f"r{n}")
        if n % 10 == 0:
            shop.feedback.click(shown, shown.items[0])
    shop_clock.advance(HOUR)
    told = home.due()
    assert told.yes
    assert told.reasons[0].startswith("ctr 0.0167")
    shop.train("home")  # what was served before it proves nothing of now
    events(shop, 1, shop_clock.now())
    shop_clock.advance(2 * HOUR)
    assert not home.due().yes


def test_a_lost_click_rate_is_measured_against_the_releases_first_days(
    shop: Workspace, shop_clock: ManualClock
) -> None:
    home = ruled(shop, Retraining(drop=Drop("ctr", 0.10, window="7d", least=40)))

    def week(name: str, clicked: int) -> None:
        for n in range(60):
            shown = home.recommend(f"u{n}", request=f"{name}{n}")
            for item in shown.items[:clicked]:
                shop.feedback.click(shown, item)

    shop_clock.advance(HOUR)
    week("a", 3)
    shop_clock.advance(8 * DAY)
    week("b", 3)
    shop_clock.advance(HOUR)
    assert not home.due().yes
    shop_clock.advance(8 * DAY)
    week("c", 1)
    shop_clock.advance(HOUR)
    assert home.due().reasons[0].startswith("ctr 0.5 at first to 0.16")


def test_a_low_accuracy_is_that_of_the_tracker(shop: Workspace, shop_clock: ManualClock) -> None:
    rule = Below("accuracy", 0.5, window="30d", min_per_item=1, least=20)
    home = ruled(shop, Retraining(below=rule))
    shop_clock.advance(2 * HOUR)
    for n in range(30):
        shown = home.recommend(f"u{n}", request=f"r{n}")
        shop.feedback.thumbs(shown, shown.items[0], up=n < 3)
    shop_clock.advance(HOUR)
    assert home.due().reasons[0].startswith("accuracy 0.1 [")
