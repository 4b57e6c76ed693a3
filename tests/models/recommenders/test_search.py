"""Ranges of settings."""

from __future__ import annotations

import pytest

from siamrec.errors import InvalidParameterError
from siamrec.models.recommenders import Choice, Float, Integer


def test_grids_run_from_end_to_end() -> None:
    assert Float(0.0, 1.0).grid(3) == (0.0, 0.5, 1.0)
    assert Float(1.0, 100.0, log=True).grid(1) == (10.0,)
    assert Integer(1, 3).grid(9) == (1, 2, 3)
    assert Choice(None, "x").grid(1) == (None, "x")


def test_a_range_knows_its_values() -> None:
    assert 0.5 in Float(0.0, 1.0)
    assert 2 in Integer(1, 3)
    assert True not in Integer(0, 3)
    assert 2.0 not in Integer(1, 3)
    assert "y" not in Choice("x")


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))])
def test_the_ends_must_make_a_range(ends: tuple[float, float]) -> None:
    with pytest.raises(InvalidParameterError, match="high must be a finite number above low"):
        Float(*ends)


def test_a_logarithmic_scale_begins_above_zero() -> None:
    with pytest.raises(InvalidParameterError, match="low must be above 0 on a logarithmic scale"):
        Integer(0, 5, log=True)
    with pytest.raises(InvalidParameterError, match="values must be one or more values"):
        Choice()
