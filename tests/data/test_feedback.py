"""Feedback: columns in from any frame, checked once, read-only."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from siamrec.data import NO_TIME, Feedback, FeedbackKind, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS: dict[str, list[Any]] = {
    "userId": [1, 1, 2],
    "movieId": ["x", "y", "x"],
    "rating": [5.0, 3.5, 1.0],
    "timestamp": [964982703, 964982704, 964982705],
}
FRAMES: dict[str, Callable[[Any], Any]] = {
    "polars": pl.DataFrame,
    "pandas": pd.DataFrame,
    "pyarrow": pa.table,
    "duckdb": lambda columns: duckdb.from_arrow(pa.table(columns)),
    "mapping": lambda columns: columns,
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_every_frame_gives_the_same_feedback(make: Callable[[dict[str, Any]], object]) -> None:
    feedback = Feedback.from_frame(
        make(COLUMNS), user="userId", item="movieId", value="rating", time="timestamp"
    )
    assert feedback.users.ids == (1, 2)
    assert feedback.items.ids == ("x", "y")
    assert feedback.user.tolist() == [0, 0, 1]
    assert feedback.item.tolist() == [0, 1, 0]
    assert feedback.value.tolist() == [5.0, 3.5, 1.0]
    assert feedback.time.tolist() == [t * 10**9 for t in COLUMNS["timestamp"]]
    assert feedback.has_time


@pytest.mark.parametrize("column", [pl.Series, pd.Series, np.asarray, pa.array, list, tuple])
def test_a_mapping_may_hold_columns_of_any_kind(column: Callable[[Any], Any]) -> None:
    feedback = Feedback.from_frame({"user": column([1, 2]), "item": column([3, 3])})
    assert feedback.users.ids == (1, 2)
    assert feedback.items.ids == (3,)


@pytest.mark.parametrize(
    "times",
    [
        ["2020-01-01T00:00:00Z"] * 3,
        ["2020-01-01"] * 3,
        ["2020-01-01T02:00:00+02:00"] * 3,
        [dt.date(2020, 1, 1)] * 3,
        [dt.datetime(2020, 1, 1)] * 3,  # noqa: DTZ001  naive times count as UTC
        [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * 3,
        [1577836800] * 3,
        [1577836800_000] * 3,
        [1577836800_000_000] * 3,
        [1577836800_000_000_000] * 3,
        [1577836800.0] * 3,
    ],
)
def test_times_of_every_kind_become_nanoseconds(times: list[Any]) -> None:
    frame = {"user": [1, 2, 3], "item": [1, 1, 1], "time": times}
    feedback = Feedback.from_frame(frame, time="time")
    assert feedback.time.tolist() == [1577836800 * 10**9] * 3


def test_missing_times_are_marked() -> None:
    frame = {"user": [1, 2], "item": [1, 1], "time": [None, 5]}
    feedback = Feedback.from_frame(frame, time="time")
    assert feedback.time.tolist() == [NO_TIME, 5 * 10**9]
    assert not feedback.has_time


def test_optional_columns_travel() -> None:
    frame = {
        "user": ["a", "b"],
        "item": ["x", "y"],
        "kind": ["click", "rating"],
        "query": ["red shoes", None],
        "position": [3, None],
        "propensity": [0.25, None],
        "decision": ["d1", "d2"],
        "device": ["phone", "web"],
    }
    feedback = Feedback.from_frame(
        frame,
        kind="kind",
        query="query",
        position="position",
        propensity="propensity",
        decision="decision",
        context=["device"],
    )
    assert feedback.kind.tolist() == [FeedbackKind.CLICK, FeedbackKind.RATING]
    assert feedback.query is not None
    assert feedback.query.tolist() == [0, -1]
    assert feedback.position is not None
    assert feedback.position.tolist() == [3, 0]
    second = feedback.where(np.array([1])).to_arrow().to_pylist()[0]
    assert (second["device"], second["query"], second["decision"]) == ("web", None, "d2")


def test_to_arrow_and_back_is_the_same() -> None:
    feedback = Feedback.of(user=["b", "a"], item=[7, 7], value=[1, 2], time=[10, NO_TIME])
    table = feedback.to_arrow()
    again = Feedback.from_frame(table, value="value", time="time", kind="kind", weight="weight")
    assert again.fingerprint() == feedback.fingerprint()


def test_columns_are_read_only() -> None:
    feedback = Feedback.of(user=["a"], item=["x"])
    with pytest.raises(ValueError, match="read-only"):
        feedback.value[0] = 3.0


def test_sorting_keeps_rows_of_one_instant_in_order() -> None:
    feedback = Feedback.of(user=["a", "b", "c"], item=["x"] * 3, time=[5, 1, 5]).sorted()
    assert feedback.users.decode(feedback.user) == ["b", "a", "c"]


def test_compacting_drops_ids_that_do_not_occur() -> None:
    feedback = Feedback.of(user=["a", "b", "c"], item=["x", "y", "z"])
    part = feedback.where(np.array([2, 1])).compacted()
    assert part.users.ids == ("b", "c")
    assert part.users.decode(part.user) == ["c", "b"]
    assert part.items.decode(part.item) == ["z", "y"]


def test_joining_keeps_every_row() -> None:
    one = Feedback.of(user=["a", "b"], item=["x", "y"], value=[1, 2])
    two = Feedback.of(user=["b", "c"], item=["z", "x"], value=[3, 4])
    both = Feedback.concat([one, two])
    assert both.users.decode(both.user) == ["a", "b", "b", "c"]
    assert both.items.decode(both.item) == ["x", "y", "z", "x"]
    assert both.value.tolist() == [1, 2, 3, 4]


def test_joining_parts_of_different_shape_is_refused() -> None:
    one = Feedback.of(user=["a"], item=["x"])
    frame = {"user": ["a"], "item": ["x"], "position": [1]}
    two = Feedback.from_frame(frame, position="position")
    with pytest.raises(InvalidDataError, match="position must be present in all parts or in none"):
        Feedback.concat([one, two])
    with pytest.raises(InvalidDataError, match="at least one part"):
        Feedback.concat([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": np.array([np.nan])}, "value must be finite"),
        ({"weight": np.array([-1.0])}, "weight must not be below 0"),
        ({"user": np.array([1])}, r"user must hold codes in \[0, 1\)"),
        ({"item": np.array([-1])}, r"item must hold codes in \[0, 1\)"),
        ({"kind": np.array([99])}, "kind must hold codes"),
        ({"time": np.array([1, 2])}, "one length"),
        ({"propensity": np.array([0.0])}, r"propensity must lie in \(0, 1\]"),
        ({"position": np.array([-2])}, "position must be 1 or more"),
    ],
)
def test_bad_columns_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "users": Vocabulary(("a",)),
        "items": Vocabulary(("x",)),
        "user": np.zeros(1, np.int32),
        "item": np.zeros(1, np.int32),
        "value": np.ones(1),
        "kind": np.zeros(1, np.int8),
        "time": np.zeros(1, np.int64),
        "weight": np.ones(1),
    }
    Feedback(**good)
    with pytest.raises(InvalidDataError, match=message):
        Feedback(**{**good, **change})


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="column for user is named 'usr'"):
        Feedback.from_frame(COLUMNS, user="usr")
    with pytest.raises(InvalidDataError, match="A frame must export __arrow_c_stream__"):
        Feedback.from_frame([1, 2, 3])
    with pytest.raises(InvalidDataError, match="user must not be null, got 1 nulls"):
        Feedback.from_frame({"user": [None], "item": [1]})
    with pytest.raises(InvalidDataError, match="v must be numeric"):
        Feedback.from_frame({"user": [1], "item": [1], "v": ["many"]}, value="v")
    with pytest.raises(InvalidDataError, match="t must be times"):
        Feedback.from_frame({"user": [1], "item": [1], "t": ["yesterday"]}, time="t")
    with pytest.raises(InvalidParameterError, match="kind must be one of"):
        Feedback.from_frame({"user": [1], "item": [1], "k": ["nod"]}, kind="k")


def test_scalars_count_for_every_row() -> None:
    feedback = Feedback.of(user=["a", "b"], item=["x", "y"], value=3, kind="click")
    assert feedback.value.tolist() == [3, 3]
    assert set(feedback.kind.tolist()) == {FeedbackKind.CLICK}
    assert not feedback.has_time
