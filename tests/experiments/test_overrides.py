"""Overrides: by unit in every experiment that has the variant, or by experiment and unit."""

from __future__ import annotations

from typing import Any

import pytest

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments import Experiment, HashAssigner

COLOUR = Experiment(key="colour", variants={"control": 0.5, "red": 0.5})
SIZE = Experiment(key="size", variants={"control": 0.5, "large": 0.5})


@pytest.mark.parametrize(
    "overrides", [{42: "red"}, {"42": "red"}, {"colour": {42: "red"}}, {"colour": {"42": "red"}}]
)
@pytest.mark.parametrize("unit", [42, "42"])
def test_42_and_its_digits_are_one_unit(overrides: Any, unit: str | int) -> None:
    assigner = HashAssigner([COLOUR, SIZE], overrides=overrides)
    one = assigner.assign(unit, "colour")
    assert (one.variant, one.reason, one.propensity) == ("red", "override", 1.0)
    many = assigner.assign_many([unit, "other"], "colour")
    assert (many.names()[0], many.propensity[0]) == ("red", 1.0)
    assert assigner.assign(unit, "size").reason == "split"


def test_by_unit_holds_where_the_variant_is() -> None:
    assigner = HashAssigner([COLOUR, SIZE], overrides={"a": "red", "b": "large", "c": "control"})
    reasons = {
        (unit, key): assigner.assign(unit, key).reason
        for unit in "abc"
        for key in ("colour", "size")
    }
    assert reasons == {
        ("a", "colour"): "override",
        ("a", "size"): "split",
        ("b", "colour"): "split",
        ("b", "size"): "override",
        ("c", "colour"): "override",
        ("c", "size"): "override",
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"qa": "blue"}, "No variant is named 'blue'"),
        ({"colour": {"qa": "large"}}, "No variant is named 'large'"),
        ({"color": {"qa": "red"}}, "No experiment is named 'color'. Did you mean 'colour'"),
    ],
)
def test_unknown_names_are_refused(overrides: Any, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        HashAssigner([COLOUR, SIZE], overrides=overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"qa": None}, r"overrides\['qa'\] must be the name of a variant, got None"),
        ({"colour": {"qa": None}}, r"overrides\['colour'\]\['qa'\] must be the name of a variant"),
        ({"qa": "red", "colour": {"b": "red"}}, "overrides must be by unit, or by experiment"),
        (["qa"], "overrides must be a mapping of units to variants"),
    ],
)
def test_other_forms_are_refused(overrides: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        HashAssigner([COLOUR, SIZE], overrides=overrides)


def test_what_cannot_be_a_unit_is_refused() -> None:
    overrides: Any = {1.5: "red"}
    with pytest.raises(InvalidDataError, match="A unit must be text"):
        HashAssigner([COLOUR], overrides=overrides)


def test_a_removed_arm_cannot_be_forced() -> None:
    three = Experiment(key="x", variants={"control": 0.5, "new": 0.25, "newer": 0.25})
    two = three.reweighted({"control": 0.5, "new": 0.5})
    with pytest.raises(UnknownNameError, match="No variant is named 'newer'"):
        HashAssigner([two], overrides={"qa": "newer"})
