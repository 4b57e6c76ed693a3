"""Conditions written as JSON: what they hold for, and which ones are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.experiments import Condition


@pytest.mark.parametrize(
    ("rule", "attributes", "expected"),
    [
        ({}, {}, True),
        ({"country": "TH"}, {"country": "TH"}, True),
        ({"country": "TH"}, {}, False),
        ({"country": {"in": ["TH", "LA"], "ne": "LA"}}, {"country": "LA"}, False),
        ({"age": {"ge": 18, "lt": 65}}, {"age": 18}, True),
        ({"age": {"ge": 18}}, {"age": "old"}, False),
        ({"age": {"not_in": [3]}}, {}, True),
        ({"any": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
        ({"all": [{"a": 1}, {"b": 2}]}, {"b": 2}, False),
        ({"not": {"a": 1}}, {"a": 2}, True),
        ({"a": {"exists": False}}, {}, True),
        ({"a": {"exists": True, "gt": 1, "le": 2}}, {"a": 2}, True),
        ({"country": {"in": ("TH", "LA")}}, {"country": "TH"}, True),
        ({"country": {"in": {"TH", "LA"}}}, {"country": "HL"}, False),
        ({"a": {"in": [1, 2]}}, {"a": [1]}, False),
        # An array, a column and a missing value answer a comparison with neither true nor false.
        ({"a": 1}, {"a": np.array([1, 1])}, False),
        ({"a": 1}, {"a": np.array([])}, False),
        ({"a": {"ne": 1}}, {"a": np.array([1, 1])}, True),
        ({"a": {"in": [1, 2]}}, {"a": np.array([1, 2])}, False),
        ({"a": {"not_in": [1, 2]}}, {"a": np.array([1, 2])}, True),
        ({"a": {"ge": 1}}, {"a": np.array([1, 2])}, False),
        ({"a": {"ge": 1}}, {"a": np.float64(2)}, True),
    ],
)
def test_conditions(rule: dict[str, Any], attributes: dict[str, object], expected: object) -> None:
    assert Condition(rule)(attributes) is expected


def test_bad_conditions_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="operator"):
        Condition({"a": {"geq": 1}})
    with pytest.raises(InvalidParameterError, match="list of conditions"):
        Condition({"any": "a"})
    with pytest.raises(InvalidParameterError, match="rule must be a mapping"):
        Condition({"not": 3})
    for bound in ("THLA", 5, {1: 2}, None):
        with pytest.raises(InvalidParameterError, match="in must be a list of values"):
            Condition({"country": {"in": bound}})
        with pytest.raises(InvalidParameterError, match="not_in must be a list of values"):
            Condition({"all": [{"country": {"not_in": bound}}]})
    with pytest.raises(InvalidParameterError, match="age must be a value, or at least one oper"):
        Condition({"age": {}})
    with pytest.raises(InvalidParameterError, match="exists must be true or false, got 'false'"):
        Condition({"a": {"exists": "false"}})
    for name in ("$and", "$or", "$not", "$nor"):
        with pytest.raises(InvalidParameterError, match='rule must be made of .* "all", "any"'):
            Condition({name: [{"a": 1}]})
    with pytest.raises(UnknownNameError, match=r"operator is named '\$gt'. Did you mean 'gt'"):
        Condition({"a": {"$gt": 1}})
