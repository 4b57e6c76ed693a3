"""Tukey's range over a plain table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.statistics import tukey


def test_two_columns_are_a_paired_t_test() -> None:
    table = np.random.default_rng(0).normal(size=(30, 2))
    (pair,) = tukey(table)
    theirs = stats.ttest_rel(table[:, 0], table[:, 1])
    assert pair.p == pytest.approx(theirs.pvalue, rel=1e-6)
    assert (pair.low, pair.high) == pytest.approx(theirs.confidence_interval(), rel=1e-6)
    assert (pair.first, pair.second) == (0, 1)


def test_rows_are_blocks_and_pairs_hold_together() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(0, 1, (40, 3))
    moved = tukey(table + rng.normal(0, 100, (40, 1)))
    for own, other in zip(tukey(table), moved, strict=True):
        assert other.difference == pytest.approx(own.difference)
        assert other.p == pytest.approx(own.p, rel=1e-6)
        alone = stats.ttest_rel(table[:, own.first], table[:, own.second])
        assert own.p > alone.pvalue / 2


def test_a_table_without_spread_is_judged_by_nothing() -> None:
    table = np.array([[0.1, 0.3], [0.2, 0.4], [0.3, 0.5]])
    (pair,) = tukey(table, within=(-1.0, 1.0))
    assert (pair.low, pair.high, pair.p) == (-1.0, 1.0, 1.0)
    with pytest.raises(InvalidDataError, match="two or more rows and columns"):
        tukey(np.ones((1, 3)))
    with pytest.raises(InvalidParameterError, match="confidence"):
        tukey(table, confidence=2)
