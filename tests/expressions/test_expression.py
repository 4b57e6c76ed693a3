"""Expressions: the same answer row by row and by columns, and nothing that runs."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec._core.clock import DAY
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    SiamrecError,
    UnknownNameError,
)
from siamrec.expressions import Columns, Expression

NOW = 1_767_225_600_000_000_000
ROW = {
    "stock": 3,
    "genres": ["noir", "heist"],
    "title": "Heat",
    "hidden": False,
    "released": datetime(2025, 12, 1, tzinfo=UTC),
    "score": float("nan"),
    "user": {"country": "TH", "age": 30},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("stock > 0 and 'kids' not in genres", True),
        ("'heist' in genres", True),
        ("contains(genres, 'heist')", True),
        ("contains(title, 'ea')", True),
        ("1 < stock <= 3", True),
        ("item.stock == 3", True),
        ("user.country == 'TH' and user.age >= 18", True),
        ("user.country in ['LA', 'VN']", False),
        ("user.city == 'Paris'", False),
        ("user.city != 'Paris'", True),
        ("user.city not in ('Paris',)", True),
        ("user.city is None", True),
        ("exists(user.country) and not exists(user.city)", True),
        ("hidden", False),
        ("not hidden", True),
        ("not (hidden or stock == 0)", True),
        ("released > now() - days(730)", True),
        ("released > now() - days(7)", False),
        ("stock * 2 - 1 == 5", True),
        ("stock / 0 == 5", False),
        ("stock / 0 != 5", True),
        ("-stock < 0", True),
        ("score > 0 or score <= 0", False),
        ("title > 5", False),
        ("title < 'Zoo'", True),
        ("nothing", False),
    ],
)
def test_known_answers(text: str, wanted: bool) -> None:  # noqa: FBT001  a row of a table
    assert Expression(text).holds(ROW, now=NOW) is wanted
    columns = {name: [value] for name, value in ROW.items() if name != "user"}
    scope = {"user": ROW["user"]}
    assert Expression(text).mask(columns, scope=scope, now=NOW).tolist() == [wanted]


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.0, float("nan"), float("inf")]),
    st.sampled_from(["a", "b", ""]),
    st.lists(st.sampled_from(["a", "b", 1]), max_size=2),
)
numbers = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([0.5, float("nan")]))
literals = st.sampled_from(["0", "1", "0.5", "-1", "'a'", "True", "None", "['a', 1]", "u.x"])
names = st.sampled_from(["m", "n", "o"])
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
compared = st.builds(
    lambda left, op, right, turn: f"{right} {op} {left}" if turn else f"{left} {op} {right}",
    names,
    operators,
    st.one_of(literals, names, st.just("(n + 1)")),
    st.booleans(),
)
texts = st.recursive(
    st.one_of(compared, names, st.builds("{} is not None".format, names)),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)


@given(text=texts, rows=st.lists(st.tuples(cells, numbers, cells), max_size=6), x=cells)
def test_columns_say_what_rows_say(text: str, rows: list[tuple[Any, Any, Any]], x: Any) -> None:
    expression = Expression(text)
    columns = {name: [row[k] for row in rows] for k, name in enumerate("mno")}
    mask = expression.mask(columns, scope={"u": {"x": x}})
    by_row = [
        expression.holds({**dict(zip("mno", row, strict=True)), "u": {"x": x}}) for row in rows
    ]
    assert mask.tolist() == by_row


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "open('x')",
        "stock.real.imag",
        "[x for x in genres]",
        "lambda: 1",
        "stock := 1",
        "genres[0]",
        "f'{stock}'",
        "stock if hidden else 1",
        "b'a' == title",
        "2 ** 9 == 1",
        "stock @ 2",
        "now(1) > 0",
        "days(n=2) > 0",
        "~stock",
        "1j",
        "a is b",
        "",
        "stock >",
        "x" * 5_000,
        "not " * 200 + "x",
        "(" * 300 + "x" + ")" * 300,
        "\ud800",
    ],
)
def test_what_is_not_of_the_language_is_refused_by_the_house(text: str) -> None:
    with pytest.raises(SiamrecError):
        Expression(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = Expression(text)
    except SiamrecError:
        return
    assert isinstance(read.holds({}, now=NOW), bool)


def test_functions_that_are_near_are_offered() -> None:
    with pytest.raises(UnknownNameError, match="'contains'"):
        Expression("contain(genres, 'x')")


def test_time_is_passed_in() -> None:
    with pytest.raises(MissingInputError, match="now"):
        Expression("released > now()").holds(ROW)
    with pytest.raises(InvalidParameterError, match="no zone"):
        Expression("released > 0").holds({"released": datetime(2025, 1, 1)})  # noqa: DTZ001


def test_the_present_is_an_instant_at_every_door() -> None:
    recent = Expression("a < now() - days(3)")
    assert (recent.timed, Expression("a < days(3)").timed) == (True, False)
    day = datetime(2024, 1, 1, tzinfo=UTC)
    assert recent.holds({"a": 1}, now=day)
    assert recent.mask({"a": [1, 2**62]}, now=day).tolist() == [True, False]
    wrong: Any
    for wrong in ("x", datetime(2024, 1, 1), 1.5, True):  # noqa: DTZ001
        for text in ("a < now()", "a < 1"):
            with pytest.raises(InvalidParameterError, match="now must be nanoseconds"):
                Expression(text).holds({"a": 1}, now=wrong)
            with pytest.raises(InvalidParameterError, match="now must be nanoseconds"):
                Expression(text).mask({"a": [1]}, now=wrong)


@pytest.mark.parametrize("text", ["days(a) > 3", "days(a) != 3", "days(a - a) == 0"])
def test_a_duration_without_end_is_not_known(text: str) -> None:
    ages = [float("inf"), -float("inf"), float("nan"), 1e308, 4, None]
    mask = Expression(text).mask({"a": ages}).tolist()
    assert mask == [Expression(text).holds({"a": age}) for age in ages]
    assert mask[0] is ("!=" in text)


BIG = [
    0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**63 - 1, 2**63, 2**63 + 1,
    -(2**63), -(2**63) - 1, 10**400,
]  # fmt: skip
big = st.one_of(
    st.none(),
    st.sampled_from(BIG),
    st.sampled_from([float(each) for each in BIG[:-1]]),
    st.sampled_from([0.5, float("inf"), -float("inf"), float("nan")]),
)


@given(
    op=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    values=st.lists(big, max_size=6),
    bound=big,
    turn=st.booleans(),
)
def test_large_numbers_are_what_they_are_in_columns_too(
    op: str,
    values: list[Any],
    bound: Any,
    turn: bool,  # noqa: FBT001  a drawn value
) -> None:
    expression = Expression(f"u.x {op} n" if turn else f"n {op} u.x")
    mask = expression.mask({"n": values}, scope={"u": {"x": bound}})
    rows = [expression.holds({"n": value, "u": {"x": bound}}) for value in values]
    assert mask.tolist() == rows


def test_a_bound_beyond_64_bits_is_a_number() -> None:
    wanted = Expression("a <= 9223372036854775808")
    assert wanted.mask({"a": [1, 0]}).tolist() == [True, True]
    assert Expression("a < 9007199254740993").mask({"a": [2.0**53]}).tolist() == [True]
    assert Columns.of({"a": [2**70, 1]}).kinds() == {"a": "number"}


def test_an_expression_travels_as_its_text() -> None:
    sent = Expression("a > 1 and b < now()")
    for found in (pickle.loads(pickle.dumps(sent)), copy.deepcopy(sent)):  # noqa: S301
        assert found == sent
        assert found.names == sent.names
        assert found.holds({"a": 2, "b": 0}, now=1)


def test_names_are_checked_when_saved() -> None:
    kinds = Columns.of({"stock": [1], "genres": [["a"]], "title": ["x"]}).kinds()
    wanted = Expression("stock > 0 and 'a' in genres and user.country == 'TH'")
    wanted.check({**kinds, "user.*": "mixed"})
    with pytest.raises(UnknownNameError, match="'stock'"):
        Expression("stok > 0").check(kinds)
    with pytest.raises(UnknownNameError, match=r"user\.country"):
        wanted.check(kinds)
    for text in ("title > 5", "stock == 'many'", "not (title < stock + 1)", "genres == 'a'"):
        with pytest.raises(InvalidParameterError, match="one kind on both sides"):
            Expression(text).check(kinds)


def test_whole_nanoseconds_keep_their_last_digit() -> None:
    late = NOW + 1
    mask = Expression("time > now()").mask({"time": [NOW, late, None]}, now=NOW)
    assert mask.tolist() == [False, True, False]


def test_columns_must_be_columns() -> None:
    with pytest.raises(InvalidDataError, match="one length"):
        Columns.of({"a": [1], "b": [1, 2]})
    with pytest.raises(InvalidParameterError, match="a list of values"):
        Columns.of({"a": "text"})
    with pytest.raises(UnknownNameError):
        _ = Columns.of({"a": [1]})["b"]


def test_equal_texts_are_equal_expressions() -> None:
    assert Expression("a > 1") == Expression("a > 1")
    assert hash(Expression("a > 1")) == hash(Expression("a > 1"))
    assert repr(Expression("a > 1")) == "Expression(text='a > 1')"
    assert Expression.read("where", "a > 1") == Expression.read("where", Expression("a > 1"))
    assert Expression("b in [1, a] and a < now() - days(3)").names == ("b", "a")


def test_numpy_columns_and_durations() -> None:
    columns: dict[str, Any] = {
        "n": np.arange(4),
        "d": [date(2025, 12, 31), None, None, None],
        "t": np.array(["2025-12-31", "2020-01-01", "NaT", "2026-01-01"], dtype="datetime64[D]"),
    }
    mask = Expression("t >= now() - days(1) and n != 3").mask(columns, now=NOW)
    assert mask.tolist() == [True, False, False, False]
    assert Expression("d == now() - days(1)").mask(columns, now=NOW).tolist() == mask.tolist()
    assert Expression("hours(24) == days(1) and minutes(60) == seconds(3600)").holds({})
    assert Expression(f"days(1) == {DAY}").holds({})


def test_conditions_are_what_and_joins() -> None:
    whole = Expression("stock > 0 and (new or 'kids' in tags) and not old")
    assert [each.text for each in whole.conditions] == [
        "stock > 0", "new or 'kids' in tags", "not old"
    ]  # fmt: skip
    assert Expression("a or b").conditions == (Expression("a or b"),)
    assert Expression("user.age > 3 and current.genre == genre").scopes == {"user", "current"}
    assert Expression("item.stock > 3").scopes == frozenset()


def test_a_row_lacks_what_is_read_and_not_asked_after() -> None:
    rows: dict[str, list[Any]] = {"stock": [3, None, 1], "tags": [None, ["new"], []]}
    for text, expected in (
        ("stock > 0", [False, True, False]),
        ("'new' not in tags", [True, False, False]),
        ("stock > 0 and 'new' in tags", [True, True, False]),
        ("stock is None or stock > 0", [False] * 3),
        ("exists(tags) and stock > 0", [False, True, False]),
        ("user.age > 3", [False] * 3),
        ("price > 3", [True] * 3),  # a column that is not there
    ):
        assert Expression(text).lacking(rows).tolist() == expected, text
