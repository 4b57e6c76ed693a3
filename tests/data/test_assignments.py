"""Assignments as columns."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data.assignments import Assignments
from siamrec.errors import InvalidDataError


def make(codes: list[int], propensity: list[float]) -> Assignments:
    return Assignments(
        units=tuple(f"u{place}" for place in range(3)),
        experiment="x",
        variants=("control", "new"),
        codes=np.array(codes, dtype=np.int8),
        propensity=np.array(propensity),
    )


def test_columns_and_counts() -> None:
    many = make([1, -1, 0], [0.5, 0.0, 0.5])
    assert many.names() == ["new", None, "control"]
    assert many.in_experiment.tolist() == [True, False, True]
    assert many.counts() == {"control": 1, "new": 1}
    assert many.to_arrow().column("variant").to_pylist() == ["new", None, "control"]
    assert len(many) == 3


def test_frames_bring_them_back() -> None:
    many = make([1, -1, 0], [0.5, 0.0, 0.5])
    again = Assignments.from_frame(many.to_arrow(), experiment="x", propensity="propensity")
    assert again.names() == many.names()
    assert again.units == many.units
    np.testing.assert_array_equal(again.propensity, many.propensity)
    bare = Assignments.from_frame({"unit": [1, 2], "variant": ["a", None]}, experiment="x")
    assert bare.propensity.tolist() == [1.0, 0.0]


def test_versions_are_those_of_each_unit() -> None:
    many = make([1, -1, 0], [0.5, 0.0, 0.5])
    assert many.versions.tolist() == [1, 1, 1]
    table = many.to_arrow()
    assert table.column("version").to_pylist() == [1, 1, 1]
    mixed = table.set_column(3, "version", [[1, 3, 0]])
    again = Assignments.from_frame(mixed, experiment="x", version="version")
    assert (again.version, again.versions.tolist()) == (3, [1, 3, 0])
    assert again.to_arrow().column("version").to_pylist() == [1, 3, 0]
    assert not again.versions.flags.writeable
    with pytest.raises(InvalidDataError, match="version must be finite"):
        Assignments.from_frame(
            table.set_column(3, "version", [[1, None, 0]]), experiment="x", version="version"
        )
    with pytest.raises(InvalidDataError, match="one length"):
        Assignments(
            units=("a",), experiment="x", variants=("v",), codes=np.array([0], dtype=np.int8),
            propensity=np.ones(1), versions=np.ones(2, dtype=np.int32),
        )  # fmt: skip


def test_bad_columns_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="codes must be -1 to 1"):
        make([2, 0, 0], [1, 1, 1])
    with pytest.raises(InvalidDataError, match="one entry per unit"):
        make([1, 0], [1, 1])
    with pytest.raises(InvalidDataError, match="one length"):
        make([1, 0, 1], [1, 1])
