"""Checks of arguments: what passes, and what the errors say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_positive_refuses(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match="x must be a finite number above 0, got"):
        check.positive("x", bad)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf])
def test_not_negative_refuses(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match="x must be a finite number not below 0"):
        check.not_negative("x", bad)


@pytest.mark.parametrize("bad", [0, -2, True, 1.5])
def test_count_refuses(bad: int) -> None:
    with pytest.raises(InvalidParameterError, match="n must be a whole number of at least 1"):
        check.count("n", bad)


def test_count_takes_numpy_integers() -> None:
    assert check.count("n", np.int64(3)) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_share_refuses(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match=r"s must be in \[0, 1\]"):
        check.share("s", bad)


@pytest.mark.parametrize("bad", [0.0, 1.0])
def test_open_share_refuses_its_ends(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match=r"s must be in \(0, 1\)"):
        check.share("s", bad, open_ends=True)


def test_one_of_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'adapter'"):
        check.one_of("strategy", "adaptor", ("adapter", "full"))


@pytest.mark.parametrize("bad", [(), ("a", "a"), "ab"])
def test_distinct_refuses(bad: tuple[str, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="names must be one or more different names"):
        check.distinct("names", bad)


def test_same_length_names_the_columns() -> None:
    with pytest.raises(InvalidDataError, match=r"got \{'a': \(2,\), 'b': \(3,\)\}"):
        check.same_length(a=np.zeros(2), b=np.zeros(3), c=None)


def test_finite_tells_the_first_bad_row() -> None:
    with pytest.raises(InvalidDataError, match=r"v must be finite, got nan in row 1 \(2 such"):
        check.finite("v", np.array([1.0, math.nan, math.inf]))


def test_frozen_leaves_the_callers_array_writable() -> None:
    own = np.zeros(3)
    view = check.frozen(own, np.float64)
    own[0] = 1.0
    assert view[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 2.0


@pytest.mark.parametrize("checks", [check.real, check.positive, check.not_negative, check.share])
def test_a_whole_number_beyond_every_column_is_no_number(checks: Any) -> None:
    for huge in (10**400, -(10**400), 2**1025):
        with pytest.raises(InvalidParameterError, match="x must be"):
            checks("x", huge)
    assert check.real("x", 2**1000) == 2**1000


def test_what_can_be_no_name_is_an_unknown_one() -> None:
    for odd in ([], {}, [1], {"a": 1}):
        with pytest.raises(UnknownNameError, match="Known: a"):
            check.one_of("thing", odd, {"a": 1})  # type: ignore[type-var]
