"""What an expression is made of goes together, or is refused by the part and its kind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec.errors import InvalidParameterError
from siamrec.experiments import Experiment
from siamrec.expressions import Columns, Expression

COLUMNS: dict[str, list[Any]] = {
    "stock": [3, 0, None],
    "price": [1.5, 2.0, 0.0],
    "fresh": [True, False, None],
    "genre": ["noir", "kids", None],
    "genres": [["noir"], [], ["kids", "war"]],
    "sizes": [[38, 39], [], [40]],
    "released": [1_700_000_000_000_000_000] * 3,
    "odd": ["x", 3, None],
    "empty": [None] * 3,
}
KINDS = {**Columns.of(COLUMNS).kinds(), "user.*": "mixed", "current.genre": "text"}


def test_columns_tell_what_they_hold() -> None:
    assert Columns.of(COLUMNS).kinds() == {
        "stock": "number", "price": "number", "fresh": "number", "genre": "text",
        "genres": "list of texts", "sizes": "list of numbers", "released": "number",
        "odd": "mixed", "empty": "nothing",
    }  # fmt: skip
    lists = Columns.of({"a": [[]], "b": [["x", 1]], "c": [[["x"]]]}).kinds()
    assert lists == {"a": "list", "b": "list", "c": "list"}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("genre", "a condition; 'genre' is a text"),
        ("genres", "'genres' is a list of texts"),
        ("not genre", "'genre' is a text"),
        ("stock > 0 and genre", "'genre' is a text"),
        ("stock > 0 or 'kids'", "\"'kids'\" is a text"),
        ("5", "'5' is a number"),
        ("now()", "'now()' is an instant"),
        ("stock > 0 and days(3)", "'days(3)' is a duration"),
        ("None", "'None' is None"),
        ("stock > 0 and [1]", "'[1]' is a list of numbers"),
        ("'x' in stock", "'stock' is a number"),
        ("contains(stock, 'x')", "'stock' is a number"),
        ("stock in 5", "'5' is a number"),
        ("stock in now()", "'now()' is an instant"),
        ("stock in ['a', 'b']", "'stock' is a number"),
        ("genre in [1, 2]", "'genre' is a text"),
        ("5 in genres", "'5' is a number"),
        ("'38' in sizes", "\"'38'\" is a text"),
        ("genres in ['noir', 'war']", "'genres' is a list of texts"),
        ("5 in genre", "'5' is a number"),
        ("days('x') > days(1)", "\"'x'\" is a text"),
        ("released > now() - days(genre)", "'genre' is a text"),
        ("released > now() - days(days(1))", "'days(1)' is a duration"),
        ("released > now() - hours(now())", "'now()' is an instant"),
        ("released > now() - 3", "'now() - 3' is an instant - a number, and lengths of time are"),
        ("released > 3 + now()", "'3 + now()' is a number + an instant"),
        ("released > now() + now()", "'now() + now()' is an instant + an instant"),
        ("released > now() * 2", "'now() * 2'"),
        ("now() - released > hours(1) + 5", "'hours(1) + 5' is a duration + a number"),
        ("released > now() - 'x'", "\"'x'\" is a text"),
        ("genre + 1 > 2", "'genre' is a text"),
        ("-genre > 2", "'genre' is a text"),
        ("genre > 5", "'genre > 5', not a text and a number"),
        ("5 == genre", "'5 == genre', not a number and a text"),
        ("stock == 'three'", "\"stock == 'three'\", not a number and a text"),
        ("1 < stock < 'a'", "not a number and a text"),
        ("genres == 'noir'", "not a list of texts and a text; `in` looks into a list"),
        ("genres > ['a']", "not a list of texts and a list of texts"),
        ("now() - (now() - days(1)) > 3", "not a duration and a number; lengths of time are"),
        ("now() > days(3)", "not an instant and a duration"),
        ("now() > 1700000000", "not an instant and a number"),  # seconds
        ("genre == None", "with `is None` or `is not None`; 'None' is None"),
        ("current.genre > 2", "not a text and a number"),
    ],
)
def test_what_can_never_hold_is_refused_by_part_and_kind(text: str, part: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(part)) as raised:
        Expression(text).check(KINDS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "stock > 0 and 'kids' not in genres and released > now() - days(730)",
        "fresh", "not fresh and stock", "fresh == True", "(stock > 0) == fresh",
        "(stock > 0) + fresh >= 1", "-stock < 0", "stock / price > 2 * price + 1",
        "genre in ['noir', 'war']", "'oi' in genre", "38 in sizes", "stock in sizes",
        "'x' in odd", "odd > 3", "odd", "empty", "'x' in empty", "genre in ['a', 1]",
        "genres == ['noir']", "genre is None", "genres is not None", "exists(genre)",
        "contains(genres, 'noir')", "contains(genre, 'noi')", "genre == current.genre",
        "now() - released > days(3)", "now() - released > 0", "released > 1700000000000000000",
        "now() > 1700000000000000000", "(now() - released) / days(1) > 30",
        "released + days(7) > now()", "now() - hours(2) * 3 < released", "days(stock) > hours(5)",
        "released - now() < days(user.patience)", "user.country == 'TH' and user.age >= 18",
        "user.adult", "user.anything in genres", "genre in user.likes", "stock > user.least",
        "True", "not False",
    ],
)  # fmt: skip
def test_what_goes_together_passes(text: str) -> None:
    Expression(text).check(KINDS)


def test_targeting_is_checked_as_far_as_it_can_be_told() -> None:
    for text, part in (
        ("'TH'", "a condition"),
        ("age > now() - 3", "'now() - 3'"),
        ("days('x') > days(age)", "\"'x'\" is a text"),
        ("age >= 18 and 'adult'", "\"'adult'\" is a text"),
    ):
        for given_as in (text, Expression(text)):
            with pytest.raises(InvalidParameterError, match=re.escape(part)):
                Experiment(key="e", variants={"a": 0.5, "b": 0.5}, targeting=given_as)
    Experiment(
        key="e", variants={"a": 0.5, "b": 0.5}, targeting="country in ['TH', 'LA'] and age >= 18"
    )


names = st.sampled_from([name for name in COLUMNS if name not in {"odd", "empty"}])
literals = st.sampled_from(
    ["3", "0.5", "'noir'", "['noir', 'kids']", "[1, 2]", "now()", "days(2)"]
)
sums = st.builds("({} {} {})".format, names, st.sampled_from("+-*/"), st.one_of(names, literals))
sides = st.one_of(names, literals, sums)
signs = st.sampled_from(["==", "<", "<=", ">", ">=", "in"])


@given(left=sides, sign=signs, right=sides)
def test_what_holds_somewhere_is_never_refused(left: str, sign: str, right: str) -> None:
    """A refused comparison holds for no row; `!=` and `not in` are its opposites."""
    wanted = Expression(f"{left} {sign} {right}")
    of_time = "now" in wanted.text or "days" in wanted.text  # 3 nanoseconds could be meant
    try:
        wanted.check(KINDS)
    except InvalidParameterError:
        assert of_time or not wanted.mask(COLUMNS, now=1).any()
