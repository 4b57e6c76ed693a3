"""Sample ratios by day and segment, outliers, and counts that are none."""

from __future__ import annotations

import pytest

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import sample_ratio, sample_ratio_within


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -5])
def test_counts_that_are_none_are_refused(bad: int) -> None:
    with pytest.raises(InvalidDataError, match="observed must hold finite counts of 0 or more"):
        sample_ratio({"a": bad, "b": 15})
    with pytest.raises(InvalidDataError, match="observed must hold finite counts of 0 or more"):
        sample_ratio_within({"mon": {"a": 3, "b": 4}, "tue": {"a": bad, "b": 15}})
    with pytest.raises(InvalidParameterError, match="finite shares of 0 or more"):
        sample_ratio({"a": 5, "b": 15}, {"a": 1.0, "b": bad})
