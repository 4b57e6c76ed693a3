"""Intervals and slices of metrics that are one number for all users."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data import Rankings, Truth
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.metrics import Suite

RNG = np.random.default_rng(4)
LISTS = Rankings.from_scores(RNG.random((400, 60)) * np.linspace(0.2, 1.0, 60), k=10)
TRUTH = Truth.from_lists({user: [int(RNG.integers(60))] for user in range(400)})
SUITE = Suite(["gini@10", "coverage@10", "ndcg@10"])
REPORT = SUITE.evaluate(LISTS, TRUTH, catalog_size=60)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_and_jackknife_agree_on_a_smooth_metric(method: str) -> None:
    estimate = REPORT["gini@10"]
    low, high = REPORT.interval("gini@10", method=method, rng=np.random.default_rng(1))
    width = estimate.interval[1] - estimate.interval[0]
    assert low < estimate.mean < high
    # 2000 resamples of 100 or so groups: both ends within a third of the interval's width.
    assert abs(low - estimate.interval[0]) < width / 3
    assert abs(high - estimate.interval[1]) < width / 3


def test_the_same_generator_gives_the_same_interval() -> None:
    one, two = (REPORT.interval("gini@10", rng=np.random.default_rng(2)) for _ in range(2))
    assert one == two


def test_unknown_method_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="No method is named 'bcaa'. Did you mean 'bca'"):
        REPORT.interval("gini@10", method="bcaa", rng=np.random.default_rng(0))


def test_slices_measure_each_part_anew() -> None:
    half = {user: "even" if user % 2 == 0 else "odd" for user in range(400)}
    parts = SUITE.slices(LISTS, TRUTH, by=half, catalog_size=60)
    assert parts.labels == ("even", "odd")
    lists, truth = LISTS.lists(), TRUTH.lists()
    for label, remainder in (("even", 0), ("odd", 1)):
        users = [user for user in range(400) if user % 2 == remainder]
        alone = SUITE.evaluate(
            Rankings.from_lists({user: lists[user] for user in users}),
            Truth.from_lists({user: truth[user] for user in users}),
            catalog_size=60,
        )
        for name in SUITE.names:
            assert parts[label][name].mean == pytest.approx(alone[name].mean)
    per_user = REPORT.slices(half)["even"]["ndcg@10"]
    assert parts["even"]["ndcg@10"].mean == pytest.approx(per_user.mean)


def test_users_without_a_list_belong_to_their_part() -> None:
    lists = Rankings.from_lists({"ann": ["a"]})
    truth = Truth.from_lists({"ann": ["a"], "bob": ["a"]})
    parts = Suite(["hit@1"]).slices(lists, truth, by={"ann": 1, "bob": 2})
    assert parts[1]["hit@1"].mean == 1.0
    assert parts[2]["hit@1"].mean == 0.0
    with pytest.raises(InvalidDataError, match="by must name every user, got none for 'bob'"):
        Suite(["hit@1"]).slices(lists, truth, by={"ann": 1})
