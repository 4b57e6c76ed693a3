"""Metrics that are one number for all users, on parts of the users."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data import Rankings, Truth
from siamrec.errors import InvalidDataError
from siamrec.metrics import Suite

RNG = np.random.default_rng(4)
LISTS = Rankings.from_scores(RNG.random((400, 60)) * np.linspace(0.2, 1.0, 60), k=10)
TRUTH = Truth.from_lists({user: [int(RNG.integers(60))] for user in range(400)})
SUITE = Suite(["gini@10", "coverage@10", "ndcg@10"])
REPORT = SUITE.evaluate(LISTS, TRUTH, catalog_size=60)


def test_a_bootstrap_of_the_gini_index_would_be_biased() -> None:
    # Why pooled metrics have the jackknife alone: of an even spread, every resample is less even.
    even = Rankings.from_lists({user: [user % 40] for user in range(400)})
    assert Suite(["gini@1"]).evaluate(even, catalog_size=40)["gini@1"].mean == pytest.approx(0.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = Rankings.from_lists(
            {row: [int(u) % 40] for row, u in enumerate(rng.integers(0, 400, 400))}
        )
        assert Suite(["gini@1"]).evaluate(drawn, catalog_size=40)["gini@1"].mean > 0.05


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
