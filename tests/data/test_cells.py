"""Columns of every Arrow kind: ids, numbers and times are read right, or refused by name."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data import NO_TIME, Decisions, Feedback, Rankings, Truth
from siamrec.errors import InvalidDataError, SiamrecError
from siamrec.simulation import World

TEXTS = ["ann", "bób", "ann"]
WHOLE = [3, 2**40, 3]
DICTIONARY = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(TEXTS[:2]))
IDS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "string": (pa.array(TEXTS), ("ann", "bób")),
    "large_string": (pa.array(TEXTS, pa.large_string()), ("ann", "bób")),
    "string_view": (pa.array(TEXTS, pa.string_view()), ("ann", "bób")),
    "binary": (pa.array([t.encode() for t in TEXTS]), ("ann", "bób")),
    "large_binary": (pa.array([t.encode() for t in TEXTS], pa.large_binary()), ("ann", "bób")),
    "binary_view": (pa.array([t.encode() for t in TEXTS], pa.binary_view()), ("ann", "bób")),
    "fixed binary": (pa.array([b"ab", b"cd", b"ab"], pa.binary(2)), ("ab", "cd")),
    "dictionary": (DICTIONARY, ("ann", "bób")),
    "dictionary of whole numbers": (pa.array(WHOLE).dictionary_encode(), (3, 2**40)),
    "dictionary of views": (
        pa.DictionaryArray.from_arrays([0, 1, 0], pa.array(TEXTS[:2], pa.string_view())),
        ("ann", "bób"),
    ),
    "chunks": (pa.chunked_array([TEXTS[:1], TEXTS[1:]]), ("ann", "bób")),
    "chunks of dictionaries": (
        pa.chunked_array([pa.array(TEXTS[1:]).dictionary_encode()] * 2), ("bób", "ann"),
    ),
    "a slice": (pa.array(["x", *TEXTS, "y"])[1:4], ("ann", "bób")),
    "a slice of a dictionary": (DICTIONARY[1:], ("bób", "ann")),
    "uuid": (pa.array([uuid.UUID(int=n).bytes for n in (1, 2)], pa.uuid()),
             (str(uuid.UUID(int=1)), str(uuid.UUID(int=2)))),
    **{str(kind): (pa.array([3, 7, 3], kind), (3, 7))
       for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(),
                    pa.int64(), pa.uint64())},
    "int64": (pa.array(WHOLE), (3, 2**40)),
    "uint64": (pa.array([2**63 - 1, 5], pa.uint64()), (2**63 - 1, 5)),
    "whole floats": (pa.array([1.0, 2.0, 1.0]), (1, 2)),
    "whole halves": (pa.array(np.array([1, 2], np.float16)), (1, 2)),
    "whole decimals": (pa.array([Decimal("1.00"), Decimal("2.00")]), (1, 2)),
    "pandas Int64": (pd.Series(WHOLE, dtype="Int64"), (3, 2**40)),
    "pandas string": (pd.Series(TEXTS, dtype="string"), ("ann", "bób")),
    "pandas category": (pd.Series(TEXTS, dtype="category"), ("ann", "bób")),
    "pandas object": (pd.Series(TEXTS, dtype=object), ("ann", "bób")),
    "polars": (pl.Series(TEXTS), ("ann", "bób")),
    "polars categorical": (pl.Series(TEXTS, dtype=pl.Categorical), ("ann", "bób")),
    "polars enum": (pl.Series(TEXTS, dtype=pl.Enum(TEXTS[:2])), ("ann", "bób")),
    "polars binary": (pl.Series([t.encode() for t in TEXTS]), ("ann", "bób")),
    "numpy": (np.array(TEXTS), ("ann", "bób")),
    "numpy numbers": (np.array(WHOLE), (3, 2**40)),
    "nothing": (pa.array([], pa.string()), ()),
    "nothing in chunks": (pa.chunked_array([], pa.int64()), ()),
    "nothing of no kind": (pa.nulls(0), ()),
}  # fmt: skip
NO_IDS: dict[str, tuple[Any, str]] = {
    "floats that may be two numbers": (
        pa.array([1.0, 2.0**53]), r"whole numbers.*got 9007199254740992\.0 in row 1",
    ),
    "a decimal that a float would round": (
        pa.array([Decimal("9007199254740993.5")]), r"got .*9007199254740993\.5'\) in row 0",
    ),
    "a null": (pa.array(["a", None]), "user must not be null, got 1 nulls"),
    "a null in a dictionary": (
        pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", None])), "must not be null, got 1",
    ),
    "only nulls": (pa.nulls(2), "got 2 nulls"),
    "NaN": (pa.array([1.0, float("nan")]), "must not be null, got 1"),
    "pandas NA": (pd.Series([1, None], dtype="Int64"), "must not be null, got 1"),
    "a fraction": (pa.array([1.0, 2.5]), r"whole numbers within 64 bits.*, got 2\.5 in row 1"),
    "infinity": (pa.array([float("inf")]), "got inf in row 0"),
    "a decimal fraction": (pa.array([Decimal("1.5")]), r"got Decimal\('1.5'\)"),
    "beyond 64 bits": (pa.array([2**63], pa.uint64()), "got 9223372036854775808"),
    "truths": (pa.array([True]), "user must be texts or whole numbers, got bool"),
    "dates": (pa.array([dt.date(2026, 1, 1)]), "got date32"),
    "stamps": (pa.array([1], pa.timestamp("ns")), "got timestamp"),
    "lists": (pa.array([[1]]), "must be one text, number or time a row, got list"),
    "structs": (pa.array([{"a": 1}]), "got struct"),
    "maps": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "got map"),
    "bytes of no text": (pa.array([b"\xff"]), "got binary: Invalid UTF8"),
    "mixed kinds": (["a", 1], "columns of one kind each"),
}  # fmt: skip
AT = 1767225600
TIMES: dict[str, tuple[Any, int]] = {
    **{unit: (pa.array([AT * scale + 1], pa.timestamp(unit)), AT * 10**9 + 10**9 // scale)
       for unit, scale in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))},
    "a zone": (pa.array([AT], pa.timestamp("s", "Asia/Tokyo")), AT * 10**9),
    "pandas, a zone": (
        pd.Series(pd.to_datetime(["2026-01-01T09:00"]).tz_localize("Asia/Tokyo")), AT * 10**9,
    ),
    "date32": (pa.array([dt.date(2026, 1, 1)]), AT * 10**9),
    "date64": (pa.array([dt.date(2026, 1, 1)], pa.date64()), AT * 10**9),
    "whole s": (pa.array([AT]), AT * 10**9),
    "whole ms": (pa.array([AT * 1000 + 1]), AT * 10**9 + 10**6),
    "whole us": (pa.array([AT * 10**6 + 1]), AT * 10**9 + 1000),
    "whole ns": (pa.array([AT * 10**9 + 1]), AT * 10**9 + 1),
    "unsigned ns": (pa.array([AT * 10**9 + 1], pa.uint64()), AT * 10**9 + 1),
    "floats of s": (pa.array([AT + 0.123456]), AT * 10**9 + 123_456_000),
    "decimals": (pa.array([Decimal("1767225600.123456789")]), AT * 10**9 + 123_456_789),
    "texts of numbers": (pa.array(["1767225600.123456789"]), AT * 10**9 + 123_456_789),
    "texts of ns": (pa.array([str(AT * 10**9 + 1)]), AT * 10**9 + 1),
    "texts": (pa.array(["2026-01-01T00:00:00.000000001Z"]), AT * 10**9 + 1),
    "texts with a zone": (pa.array(["2026-01-01 09:00+09:00"]), AT * 10**9),
    "views": (pl.Series(["2026-01-01"]), AT * 10**9),
    "dictionary": (pa.array(["2026-01-01"]).dictionary_encode(), AT * 10**9),
    "null": (pa.nulls(1), int(NO_TIME)),
    "NaN": (pa.array([float("nan")]), int(NO_TIME)),
    "before 1970": (pa.array([-1], pa.timestamp("ns")), -1),
}  # fmt: skip
NO_TIMES: dict[str, tuple[Any, str]] = {
    "two units": (pa.array([AT, AT * 1000]), "at must be times of one unit, got ms and s"),
    "a text and a number": (pa.array(["2026-01-01", str(AT)]), "one unit, got s and text"),
    "dates as numbers": (pa.array([20260131, 20260201]), "numbers such as 20260131"),
    "a text": (pa.array(["soon"]), "years 1677 to 2262, got 'soon' in row 0"),
    "a day of no calendar": (pa.array(["2026-02-30"]), "got '2026-02-30'"),
    "too far": (pa.array(["9999-01-01"]), "got '9999-01-01'"),
    "a stamp too far": (pa.array([10**12], pa.timestamp("s")), "1677 to 2262"),
    "infinity": (pa.array([float("inf")]), "got inf"),
    "a time of day": (pa.array([dt.time(1)]), "at must be times, got time64"),
    "a duration": (pa.array([dt.timedelta(1)]), "at must be times, got duration"),
    "truths": (pa.array([True]), "at must be times, got bool"),
    "lists": (pa.array([[1]]), "got list"),
}  # fmt: skip
NUMBERS: dict[str, tuple[Any, float]] = {
    **{str(kind): (pa.array([3], kind), 3.0)
       for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(5, 2),
                    pa.decimal256(50, 2))},
    "half": (pa.array(np.array([1.5], np.float16)), 1.5),
    "texts": (pa.array(["1.5"]), 1.5),
    "views": (pa.array(["1.5"], pa.string_view()), 1.5),
    "truths": (pa.array([True]), 1.0),
    "a dictionary": (pa.array([2.5]).dictionary_encode(), 2.5),
    "pandas Float64": (pd.Series([2.5], dtype="Float64"), 2.5),
    "polars decimal": (pl.Series([Decimal("2.5")]), 2.5),
}  # fmt: skip
NO_NUMBERS: dict[str, tuple[Any, str]] = {
    "words": (pa.array(["many"]), "value must be numeric, got 'many' in row 0"),
    "an underscore": (pa.array(["1_0"]), "got '1_0'"),
    "dates": (pa.array([dt.date(2026, 1, 1)]), "value must be numeric, got date32"),
    "lists": (pa.array([[1.0]]), "got list"),
    "null": (pa.array([1.0, None]), "value must be finite"),
    "infinity": (pa.array([float("inf")]), "value must be finite"),
    "beyond float32": (pa.array([1e300]), "value must be finite"),
}  # fmt: skip


def of(n: int, **columns: Any) -> Feedback:
    frame = {"user": pa.array(["u"] * n), "item": pa.array(["x"] * n), **columns}
    given: dict[str, Any] = {role: role for role in ("value",) if role in columns}
    return Feedback.from_frame(frame, **given, time="at" if "at" in columns else None)


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_kind(kind: str) -> None:
    column, expected = IDS[kind]
    feedback = of(len(column), user=column)
    assert feedback.users.ids == expected
    assert len(feedback) == len(column)


@pytest.mark.parametrize("kind", NO_IDS)
def test_what_is_no_id_is_refused_by_name(kind: str) -> None:
    column, message = NO_IDS[kind]
    with pytest.raises(InvalidDataError, match=message):
        of(len(column), user=column)


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_kind(kind: str) -> None:
    column, expected = TIMES[kind]
    assert of(1, at=column).time.tolist() == [expected]


@pytest.mark.parametrize("kind", NO_TIMES)
def test_what_is_no_time_is_refused_by_name(kind: str) -> None:
    column, message = NO_TIMES[kind]
    with pytest.raises(InvalidDataError, match=message):
        of(len(column), at=column)


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_kind(kind: str) -> None:
    column, expected = NUMBERS[kind]
    assert of(1, value=column).value.tolist() == [expected]


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_number_is_refused_by_name(kind: str) -> None:
    column, message = NO_NUMBERS[kind]
    with pytest.raises(InvalidDataError, match=message):
        of(len(column), value=column)


def test_every_door_for_frames_reads_ids_alike() -> None:
    frame = pl.DataFrame({"user": [1.0, 2.0], "item": ["x", "y"], "score": [1, 2]})
    cat = frame.with_columns(pl.col("item").cast(pl.Categorical))
    assert Truth.from_frame(cat).users.ids == (1, 2)
    assert Rankings.from_frame(cat, score="score").items.ids == ("x", "y")
    bad = frame.with_columns(pl.Series("user", [[1], [2]]))
    for door in (Truth, Rankings, Decisions):
        with pytest.raises(SiamrecError):
            door.from_frame(bad)


def test_names_that_repeat_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1])] * 3, names=["user", "item", "user"])
    with pytest.raises(InvalidDataError, match="Names of columns must differ"):
        Feedback.from_frame(table)
    with pytest.raises(InvalidDataError, match="columns of one kind each|one length"):
        Feedback.from_frame({"user": [1, 2], "item": [1]})


def test_what_a_world_exports_comes_back() -> None:
    feedback = World(n_users=20, n_items=24).simulate(np.random.default_rng(3)).feedback
    again = Feedback.from_frame(
        feedback.to_arrow(), value="value", time="time", kind="kind", weight="weight"
    )
    assert again.to_arrow().equals(feedback.to_arrow())


CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(
    max_size=3
) | st.dates() | st.datetimes() | st.lists(st.integers(0, 3), max_size=2)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=4), st.sampled_from(["user", "value", "at", "kind"]))
def test_any_column_is_read_or_refused_by_the_house(cells: list[Any], role: str) -> None:
    columns: dict[str, Any] = {"user": ["u"] * len(cells), "item": ["x"] * len(cells), role: cells}
    roles = {"value": "value", "at": "time", "kind": "kind"}
    given_: dict[str, Any] = {roles[role]: role} if role in roles else {}
    try:
        feedback = Feedback.from_frame(columns, **given_)
    except SiamrecError:
        return
    assert len(feedback) == len(cells)
