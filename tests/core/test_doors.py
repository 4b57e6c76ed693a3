"""What every public door takes and refuses, in one line with the remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from siamrec._core import check
from siamrec.data import Truth
from siamrec.errors import InvalidDataError, InvalidParameterError, SiamrecError, shown


@pytest.mark.parametrize(
    "values", [["a"], ("a",), {"a"}, np.array(["a"]), (each for each in "a"), {"a": 1}.keys()]
)
def test_many_takes_any_collection(values: Any) -> None:
    assert check.many("users", values) == ["a"]


@pytest.mark.parametrize("values", ["ab", b"ab", {"a": 1}, 5, None, np.array([["a"]])])
def test_many_refuses_what_is_one_thing(values: Any) -> None:
    with pytest.raises(InvalidParameterError, match="users must be a list of ids"):
        check.many("users", values)


def test_kind_tells_the_remedy() -> None:
    truth = Truth.from_lists({})
    assert check.kind("truth", truth, Truth) is truth
    with pytest.raises(InvalidParameterError, match=r"by Truth\(\.\.\.\), the class alone"):
        check.kind("truth", Truth, Truth)
    with pytest.raises(InvalidParameterError, match=r"make one by Truth\.from_lists\(\.\.\.\)"):
        check.kind("truth", {"ann": ["a"]}, Truth)
    with pytest.raises(InvalidParameterError, match=r"truth must be a Truth, got 'ease'\."):
        check.kind("truth", "ease", Truth)


def test_methods_names_all_that_is_missing_at_once() -> None:
    class Half:
        def fit(self) -> None: ...

    check.methods("arm", Half(), ["fit"], what="a recommender")
    with pytest.raises(InvalidParameterError, match="a recommender, which also has save, score"):
        check.methods("arm", Half(), ["fit", "save", "score"], what="a recommender")
    with pytest.raises(InvalidParameterError, match="a class is not enough"):
        check.methods("arm", Half, ["fit"], what="a recommender")


def test_an_instant_is_exact_in_every_form() -> None:
    exact = 1_767_225_600_123_456_789
    assert check.instant("since", exact) == exact
    assert check.instant("since", np.int64(exact)) == exact
    assert check.instant("since", np.datetime64(exact, "ns")) == exact
    stamp = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert check.instant("since", stamp) == 1_767_225_600_123_456_000
    assert check.instant("since", stamp.astimezone(timezone(timedelta(hours=7)))) == (
        1_767_225_600_123_456_000
    )


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001  the slip that is told
        1.5,
        True,
        "2026-01-01",
        None,
        2**63,
        datetime(9999, 1, 1, tzinfo=UTC),
        np.datetime64("NaT"),
        np.datetime64("9999-01-01"),
    ],
)
def test_an_instant_that_is_not_one_is_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError, match="since must be nanoseconds since 1970"):
        check.instant("since", value)


@pytest.mark.parametrize("value", ["", "\ud800", "x" * 1_000_001, None, 5])
def test_a_text_that_cannot_be_written_is_refused(value: object) -> None:
    with pytest.raises(InvalidParameterError):
        check.text("name", value)


def test_numbers_that_are_none_are_told_by_name() -> None:
    with pytest.raises(InvalidDataError, match=r"value must be finite, got nan\."):
        check.finite("value", np.array(np.nan))
    with pytest.raises(InvalidDataError, match="value must be numbers, got"):
        check.finite("value", np.array(["a"]))


def test_a_message_is_never_endless() -> None:
    told = InvalidParameterError("x", list(range(100_000)), "short")
    assert len(str(told)) < 200
    assert len(str(SiamrecError("x" * 689_000))) == 1_000
    assert shown(np.float64(0.5)) == "0.5"
    assert shown({"a": np.arange(100_000)}) == shown({"a": np.arange(100_000)})[:400]
