"""What all columnar values have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import (
    Assignments,
    Catalog,
    Decision,
    Decisions,
    Feedback,
    Pairs,
    Rankings,
    Rewards,
    Truth,
    Vocabulary,
)
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from siamrec.data.columnar import Columnar

BATCHES: dict[str, Columnar] = {
    "feedback": Feedback.of(
        user=["ann", "bob", "ann"],
        item=["x", "x", "y"],
        value=[5, 1, 4],
        time=[10**18, 2 * 10**18, 3],
    ),
    "pairs": Pairs.of(["a heist", "love", "a heist"], ["Heat", "Amour", "Ronin"], label=[1, 1, 0]),
    "rankings": Rankings.from_lists(
        {"ann": ["x", "y"], "bob": ["y"], "eve": []},
        scores={"ann": [2.0, 1.0], "bob": [0.5], "eve": []},
    ),
    "truth": Truth.from_lists({"ann": {"x": 2.0, "y": 1.0}, "bob": ["y"], "eve": []}),
    "decisions": Decisions(
        id=np.arange(3),
        arm=np.array([0, 1, 0]),
        propensity=np.array([0.5, 0.5, 0.25]),
        cell=np.zeros(3, np.int32),
        time=np.array([1, 2, 3]),
        arms=("svd", "graph"),
    ),
    "rewards": Rewards(
        decision=np.array([3, 4, 5]), reward=np.array([1.0, 0.0, 0.5]), arm=("svd", "svd", "graph")
    ),
    "assignments": Assignments(
        units=("a", "b", "c"),
        experiment="x",
        variants=("control", "new"),
        codes=np.array([1, -1, 0]),
        propensity=np.array([0.5, 0.0, 0.5]),
    ),
}
every = pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)


def rows_of(batch: Columnar) -> list[Any]:
    return list(batch)


@every
def test_a_row_by_number_is_that_of_the_iteration(batch: Columnar) -> None:
    rows = rows_of(batch)
    assert len(rows) == len(batch) == 3
    assert [batch[place] for place in range(3)] == rows
    assert batch[-1] == rows[-1]
    assert batch[np.int64(1)] == rows[1]  # type: ignore[call-overload]


@every
def test_a_slice_a_mask_and_row_numbers_choose_the_same(batch: Columnar) -> None:
    wanted = rows_of(batch)[1:]
    assert rows_of(batch[1:]) == wanted
    assert rows_of(batch.where(np.array([False, True, True]))) == wanted
    assert rows_of(batch.where(np.array([1, 2]))) == wanted
    assert rows_of(batch.where(np.array([2, 1]))) == wanted[::-1]
    assert rows_of(batch.where(np.array([-2, -1]))) == wanted
    assert type(batch[1:]) is type(batch)


@every
def test_none_of_the_rows_is_a_batch_too(batch: Columnar) -> None:
    assert len(batch.where(np.zeros(3, dtype=bool))) == 0
    assert rows_of(batch[0:0]) == []
    assert "0" in repr(batch[0:0]) or "no" in repr(batch[0:0])


@every
def test_parts_joined_are_the_whole(batch: Columnar) -> None:
    parts = [batch[:1], batch[1:1], batch[1:]]
    assert rows_of(type(batch).concat(parts)) == rows_of(batch)
    with pytest.raises(InvalidDataError, match="at least one"):
        type(batch).concat([])


@every
def test_bad_choices_are_refused(batch: Columnar) -> None:
    with pytest.raises(IndexError, match="row must be below 3, got 3"):
        _ = batch[3]
    with pytest.raises(InvalidParameterError, match="row must be a whole number or a slice"):
        _ = batch["ann"]  # type: ignore[call-overload]
    with pytest.raises(InvalidDataError, match="a mask of 3 rows, got 2"):
        batch.where(np.array([True, False]))
    with pytest.raises(InvalidDataError, match="row numbers below 3, got 0 to 7"):
        batch.where(np.array([0, 7]))
    with pytest.raises(InvalidDataError, match="a mask or row numbers"):
        batch.where(np.array([0.5, 1.0]))


@every
def test_it_can_be_looked_at(batch: Columnar) -> None:
    assert len(repr(batch)) < 200
    assert type(batch).__name__ in repr(batch)
    assert batch.title() in str(batch)
    assert "<table>" in batch._repr_html_()
    assert "3" in repr(batch)


def test_decisions_of_several_bandits_are_not_joined() -> None:
    one = BATCHES["decisions"]
    assert isinstance(one, Decisions)
    other = Decisions(
        id=one.id, arm=one.arm, propensity=one.propensity, cell=one.cell, time=one.time,
        arms=("graph", "new"), bandit="other",
    )  # fmt: skip
    with pytest.raises(InvalidDataError, match="bandit must be the same"):
        Decisions.concat([one, other])


def test_codes_of_joined_decisions_follow_the_names() -> None:
    one = BATCHES["decisions"]
    assert isinstance(one, Decisions)
    other = Decisions(
        id=np.array([9]), arm=np.array([0]), propensity=np.ones(1), cell=np.zeros(1, np.int32),
        time=np.zeros(1, np.int64), arms=("graph",),
    )  # fmt: skip
    assert Decisions.concat([other, one]).names() == ["graph", "svd", "graph", "svd"]


def test_the_latest_event_decides_what_is_liked() -> None:
    feedback = Feedback.of(
        user=["ann"] * 3 + ["bob"] * 2,
        item=["x", "x", "y", "x", "x"],
        value=[2.0, 5.0, 4.0, 5.0, 1.0],
        time=[20, 10, 10, 5, 5],  # of one instant the later row counts
    )
    assert Truth.from_feedback(feedback, positive=4.0).lists() == {"ann": {"y": 1.0}, "bob": {}}
    graded = Truth.from_feedback(feedback, graded=True)
    assert graded.lists() == {"ann": {"x": 2.0, "y": 4.0}, "bob": {"x": 1.0}}
    everything = Truth.from_feedback(feedback)
    assert everything.lists() == {"ann": {"x": 1.0, "y": 1.0}, "bob": {"x": 1.0}}


@pytest.mark.parametrize(
    "call",
    [
        lambda: Truth.from_lists({"ann": "abc"}),
        lambda: Rankings.from_lists({"ann": "abc"}),
        lambda: Feedback.of(user="ann", item=["x", "y", "z"]),
        lambda: Vocabulary.of("abc"),
        lambda: Vocabulary(("a", "b")).encode("ab"),
        lambda: Vocabulary(("a",)).extend("ab"),
        lambda: Feedback.concat("ab"),  # type: ignore[arg-type]
    ],
)
def test_a_text_is_no_list_of_ids(call: Any) -> None:
    with pytest.raises(InvalidParameterError, match="must be a list of"):
        call()


def test_ids_that_no_log_can_hold_are_refused() -> None:
    for id_, why in (
        (None, "must not be None"),
        (float("nan"), "NaN"),
        (2**63, "within 64 bits"),
    ):
        with pytest.raises(InvalidDataError, match=why):
            Vocabulary.of(["a", id_])
    assert Vocabulary.of([-(2**63), 2**63 - 1]).ids == (-(2**63), 2**63 - 1)
    with pytest.raises(InvalidDataError, match="user must have at most 1000 letters, got 1,001"):
        Feedback.of(user=["x" * 1001], item=["a"])
    with pytest.raises(InvalidDataError, match="item must have at most 1000 letters"):
        Catalog(items=Vocabulary(("x" * 1001,)))
    assert len(Pairs.of(["x" * 1001], ["a text is no id"])) == 1


def test_a_name_that_is_not_known_does_not_print_a_catalogue() -> None:
    many = Vocabulary(tuple(range(100_000)))
    assert len(repr(many)) < 100
    with pytest.raises(UnknownNameError) as told:
        many.encode([-5])
    assert len(str(told.value)) < 500


def test_a_decision_shows_every_arm_and_is_written_whole() -> None:
    decision = Decision(
        id="7", bandit="home", arms=("svd", "graph"), propensities=(0.4, 0.5), unit="ann",
        means=(0.1, 0.2), intervals=((0.0, 0.3), (0.1, 0.4)), context={"day": "weekend"},
    )  # fmt: skip
    assert repr(decision) == "<Decision 7 of home for ann: svd, graph>"
    assert "[0, 0.3]" in str(decision)
    assert "context: day=weekend" in decision.to_markdown()
    assert Decision.from_json(decision.to_json()) == decision


def test_a_catalogue_shows_its_first_items() -> None:
    catalog = Catalog.from_frame(
        {"item": list(range(30)), "title": ["Heat"] * 29 + [None]}, text="title"
    )
    assert repr(catalog) == "<Catalog: 30 items, 29 of them with a text>"
    assert "… and 20 more" in str(catalog)
