"""The error tree: one root, and the builtin that a caller expects."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from siamrec import errors

TREE = [
    cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if cls.__module__ == errors.__name__ and not name.startswith("_")
]
BUILTINS = (
    ValueError,
    LookupError,
    OSError,
    RuntimeError,
    ArithmeticError,
    ImportError,
    AssertionError,
)


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_every_error_is_of_the_family_and_a_builtin(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.SiamrecError)
    assert cls is errors.SiamrecError or issubclass(cls, BUILTINS)


def test_all_is_complete_and_sorted() -> None:
    assert sorted(cls.__name__ for cls in TREE) == errors.__all__


def test_numbers_of_numpy_are_told_as_numbers() -> None:
    told = str(errors.InvalidParameterError("shares", {"a": [np.float64(0.5)]}, "sums of 1"))
    assert told == "shares must be sums of 1, got {'a': [0.5]}."


def test_errors_carry_their_parts() -> None:
    bad = errors.InvalidParameterError("k", -1, "above 0")
    assert (bad.name, bad.value, bad.expected) == ("k", -1, "above 0")
    unknown = errors.UnknownNameError("arm", "eas", ["ease", "svd"])
    assert (unknown.kind, unknown.name, unknown.known) == ("arm", "eas", ("ease", "svd"))
    assert "Did you mean 'ease'?" in str(unknown)
    assert "Did you mean 'ndcg'?" in str(
        errors.UnknownNameError("metric", "ngcd", ["ndcg", "mrr"])
    )
    assert errors.LeakageError("users overlap", {"users": 3}).overlap == {"users": 3}
    assert (
        errors.MissingInputError("popularity", "popularity=counts").remedy == "popularity=counts"
    )


def test_long_lists_of_names_are_cut() -> None:
    message = str(errors.UnknownNameError("arm", "x", [f"name{n:02d}" for n in range(40)]))
    assert "name19, …" in message
    assert "name20" not in message
