"""Who may enter an experiment: a predicate, or the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError

Attributes: TypeAlias = Mapping[str, object]
"""What is known about a unit when it is assigned."""

Predicate: TypeAlias = Callable[[Attributes], bool]
"""Tells whether a unit with these attributes may take part."""

_MISSING = object()


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """A predicate written as JSON, so that it can be stored and read.

    A mapping of attributes to what they must be: a value (equality), or operators
    `{"eq", "ne", "in", "not_in", "gt", "ge", "lt", "le", "exists"}`. All must hold. The keys
    `"all"`, `"any"` (lists of conditions) and `"not"` (one condition) combine. `in` and `not_in`
    take a list, `exists` true or false. An attribute that is missing, or of a kind that cannot
    be compared (an array with a number, say), fulfils `ne`, `not_in` and `{"exists": false}`
    only.

    Args:
        rule: The condition.

    Raises:
        InvalidParameterError: If the rule is not of this form, or a key begins with `$`, as in
            the dialects of others.
        UnknownNameError: If an operator is not known.

    Examples:
        >>> thai = Condition({"country": {"in": ["TH", "LA"]}, "age": {"ge": 18}})
        >>> thai({"country": "TH", "age": 30}), thai({"country": "TH"})
        (True, False)
    """

    rule: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check(self.rule)

    def __call__(self, attributes: Attributes) -> bool:
        """Return whether the attributes fulfil the rule."""
        return _holds(self.rule, attributes)


def _check(rule: object) -> None:
    if not isinstance(rule, Mapping):
        raise InvalidParameterError("rule", rule, "a mapping of attributes to conditions")
    for name, wanted in rule.items():
        if name in {"all", "any"}:
            if isinstance(wanted, str) or not isinstance(wanted, Sequence):
                raise InvalidParameterError(str(name), wanted, "a list of conditions")
            for each in wanted:
                _check(each)
        elif name == "not":
            _check(wanted)
        elif str(name).startswith("$"):
            raise InvalidParameterError(
                "rule", name, 'made of attributes, "all", "any" and "not" (not of "$and" or "$or")'
            )
        elif isinstance(wanted, Mapping):
            _check_operators(str(name), wanted)


def _check_operators(name: str, wanted: Mapping[Any, Any]) -> None:
    if not wanted:  # it would hold for everybody
        raise InvalidParameterError(name, wanted, "a value, or at least one operator")
    for operator, bound in wanted.items():
        _check_bound(check.one_of("operator", operator, _OPERATORS), bound)


def _check_bound(operator: str, bound: object) -> None:
    if operator in {"in", "not_in"} and (
        isinstance(bound, str | bytes) or not isinstance(bound, Sequence | AbstractSet)
    ):
        raise InvalidParameterError(operator, bound, "a list of values")
    if operator == "exists" and not isinstance(bound, bool):
        raise InvalidParameterError(operator, bound, "true or false")


def _holds(rule: Mapping[str, Any], attributes: Attributes) -> bool:
    return all(_clause(name, wanted, attributes) for name, wanted in rule.items())


def _clause(name: str, wanted: Any, attributes: Attributes) -> bool:
    if name == "all":
        return all(_holds(each, attributes) for each in wanted)
    if name == "any":
        return any(_holds(each, attributes) for each in wanted)
    if name == "not":
        return not _holds(wanted, attributes)
    value = attributes.get(name, _MISSING)
    tests = wanted if isinstance(wanted, Mapping) else {"eq": wanted}
    return all(_test(operator, value, bound) for operator, bound in tests.items())


def _test(operator: str, value: object, bound: Any) -> bool:
    if operator == "exists":
        return (value is not _MISSING) == bool(bound)
    if value is _MISSING:
        return operator in {"ne", "not_in"}
    try:
        found: object = _OPERATORS[operator](value, bound)
    except (TypeError, ValueError):  # an array in a list asks for its truth, which it has not
        found = None
    if isinstance(found, bool | np.bool_):
        return bool(found)
    return operator in {"ne", "not_in"}  # a column's answer is a column, a missing value's none


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, bound: value == bound,
    "ne": lambda value, bound: value != bound,
    "in": lambda value, bound: value in bound,
    "not_in": lambda value, bound: value not in bound,
    "gt": lambda value, bound: value > bound,
    "ge": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "le": lambda value, bound: value <= bound,
    "exists": lambda _value, _bound: True,
}
