"""Sample ratios by day and segment, and counts that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments import sample_ratio
from siamrec.experiments.analysis import sample_ratio_by, sample_ratio_within
from siamrec.statistics import adjust


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -5])
def test_counts_that_are_none_are_refused(bad: int) -> None:
    with pytest.raises(InvalidDataError, match="observed must hold finite counts of 0 or more"):
        sample_ratio({"a": bad, "b": 15})
    with pytest.raises(InvalidDataError, match="observed must hold finite counts of 0 or more"):
        sample_ratio_within({"mon": {"a": 3, "b": 4}, "tue": {"a": bad, "b": 15}})
    with pytest.raises(InvalidParameterError, match="finite shares of 0 or more"):
        sample_ratio({"a": 5, "b": 15}, {"a": 1.0, "b": bad})


def visits() -> dict[str, Any]:
    """Twelve days of 500 users, who come again on the next day; on day 10 new ones are lost."""
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(1, 13), 500)
    user = np.arange(6000)
    variant = np.where(rng.random(6000) < 0.5, "new", "control")
    lost = (day == 10) & (variant == "new") & (rng.random(6000) < 0.5)
    once = {"day": day[~lost], "user": user[~lost], "variant": variant[~lost]}
    return {
        name: np.concatenate([column + 1 if name == "day" else column, column])
        for name, column in once.items()
    }


def test_the_day_that_went_wrong_is_found() -> None:
    data = visits()
    found = sample_ratio_by(data, "day", unit="user")
    assert found.found() == ("10",)
    assert list(found.parts) == [str(day) for day in range(1, 13)]  # as numbers, not as text
    counts = {}
    for day in range(1, 13):
        rows = np.flatnonzero(data["day"] == day)
        first = [r for r in rows if data["day"][data["user"] == data["user"][r]].min() == day]
        names, n = np.unique(data["variant"][first], return_counts=True)
        counts[str(day)] = dict(zip(names.tolist(), n.tolist(), strict=True))
    assert {name: each.observed for name, each in found.parts.items()} == counts
    p = np.array([sample_ratio(each).p for each in counts.values()])
    assert list(found.adjusted_p.values()) == pytest.approx(adjust(p, "holm").tolist())
    assert found.together.p == pytest.approx(sample_ratio_within(counts).p)
    assert found.n_mixed == 0


def test_parts_may_have_their_own_shares() -> None:
    data = {
        "variant": ["new"] * 100 + ["control"] * 900 + ["new"] * 500 + ["control"] * 500,
        "version": [1] * 1000 + [2] * 1000,
    }
    shares = {"1": {"new": 0.1, "control": 0.9}}
    assert sample_ratio_by(data, "version").found() == ("1",)
    fitting = sample_ratio_by(data, "version", part_shares=shares)
    assert fitting.found() == ()
    assert fitting.together.p == pytest.approx(1.0)
    # A day without a variant is a mismatch too, not a ratio of one.
    gone = {"variant": ["new"] * 50 + ["control"] * 50, "day": [1] * 50 + [2] * 50}
    assert sample_ratio_by(gone, "day").found() == ("1", "2")


def test_units_of_several_variants_are_left_out() -> None:
    data = {"variant": ["a", "b", "a", "a", None], "user": [1, 1, 2, 3, 4], "s": list("xxxyy")}
    found = sample_ratio_by(data, "s", unit="user")
    assert found.n_mixed == 1
    assert {name: each.observed for name, each in found.parts.items()} == {
        "x": {"a": 1, "b": 0},
        "y": {"a": 1, "b": 0},
    }


def test_bad_input_is_refused() -> None:
    data = {"variant": ["a", "b"], "day": [1, None]}
    with pytest.raises(InvalidDataError, match="day must not be null, got 1 nulls"):
        sample_ratio_by(data, "day")
    with pytest.raises(UnknownNameError, match="Did you mean 'day'"):
        sample_ratio_by(data, "days")
    with pytest.raises(UnknownNameError, match="planned shares"):
        sample_ratio_by({"variant": ["a"], "day": [1]}, "day", shares={"b": 1.0})
    with pytest.raises(InvalidDataError, match="at least one row"):
        sample_ratio_by({"variant": [None], "day": [1]}, "day")
    for bad in ([data], {"a": Moments.of({"y": np.arange(3.0)})}):
        with pytest.raises(InvalidDataError, match="must be one frame"):
            sample_ratio_by(bad, "day")
