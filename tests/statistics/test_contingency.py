"""Proportions of several variants at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidDataError
from siamrec.statistics import independence, two_proportions


def test_independence_is_that_of_scipy() -> None:
    events = {"a": 40, "b": 55, "c": 71}
    units = {"a": 400, "b": 410, "c": 405}
    table = np.array([[events[k], units[k] - events[k]] for k in events])
    assert independence(events, units)[0] == pytest.approx(
        stats.chi2_contingency(table, correction=False).pvalue, rel=1e-12
    )


def test_two_variants_are_the_pooled_z() -> None:
    found = independence({"a": 56, "b": 48}, {"a": 70, "b": 80})
    pooled = two_proportions((56, 48), (70, 80))
    assert found == pytest.approx((pooled.p, pooled.log_p))
    assert independence({"a": 0, "b": 0}, {"a": 7, "b": 8}) == (1.0, 0.0)


def test_bad_counts_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="same two variants or more"):
        independence({"a": 1}, {"a": 7})
    with pytest.raises(InvalidDataError, match="from 0 to the units of a variant, got 9 of 8"):
        independence({"a": 1, "b": 9}, {"a": 7, "b": 8})
