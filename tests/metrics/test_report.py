"""Reports: intervals, comparisons, regressions, slices, output."""

from __future__ import annotations

import json

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    RegressionFound,
    UnknownNameError,
)
from siamrec.metrics import Report, Suite, by_cold, by_history_length, by_popularity, tukey_hsd

stats = pytest.importorskip("scipy.stats")
NAMES = ["ndcg@5", "mrr@5", "coverage@5", "gini@5"]


def system(skill: float, seed: int = 0, n_users: int = 200) -> Report:
    rng = np.random.default_rng(1)
    liked = {u: rng.permutation(40)[:5].tolist() for u in range(n_users)}
    noise = np.random.default_rng(seed)
    lists = {}
    for user, items in liked.items():
        score = noise.uniform(0, 1, 40)
        score[items] += skill
        lists[user] = np.argsort(-score)[:10].tolist()
    return Suite(NAMES).evaluate(
        Rankings.from_lists(lists), Truth.from_lists(liked), catalog_size=40
    )


def test_interval_is_students() -> None:
    report = system(0.3)
    values = report.per_user("ndcg@5")
    expected = stats.t.interval(0.95, values.size - 1, values.mean(), stats.sem(values))
    assert report["ndcg@5"].interval == pytest.approx(expected)
    assert report["ndcg@5"].n == 200


def test_pooled_interval_covers_in_repeated_samples() -> None:
    # Gini of item counts over samples of users: the 95 % jackknife interval should hold the mean
    # over samples in about 95 % of 120 of them; 5 sigma below is 85 %.
    rng = np.random.default_rng(2)
    found = []
    for _ in range(120):
        lists = {
            int(u): (rng.permutation(30)[:3] // rng.integers(1, 3)).tolist()
            for u in rng.integers(0, 10**9, 150)
        }
        report = Suite(["gini@3"], duplicates="first").evaluate(
            Rankings.from_lists(lists), catalog_size=30
        )
        found.append((report["gini@3"].mean, *report["gini@3"].interval))
    table = np.array(found)
    target = table[:, 0].mean()
    covered = ((table[:, 1] <= target) & (target <= table[:, 2])).mean()
    assert covered > 0.85


def test_report_offers_bootstrap_intervals() -> None:
    report = system(0.2)
    low, high = report.interval("mrr@5", method="bca", rng=np.random.default_rng(0))
    assert low < report["mrr@5"].mean < high
    with pytest.raises(InvalidParameterError, match="a metric with per-user values"):
        report.interval("gini@5", rng=np.random.default_rng(0))


def test_comparison_has_all_columns() -> None:
    better, worse = system(0.6), system(0.1)
    table = better.compare(worse, test="sign-flip", correction="holm")
    row = table["ndcg@5"]
    difference = better.per_user("ndcg@5") - worse.per_user("ndcg@5")
    assert row.difference == pytest.approx(difference.mean())
    assert row.p == pytest.approx(1 / 10_001)
    assert row.adjusted_p >= row.p
    assert (row.wins, row.ties, row.losses) == (
        (difference > 0).sum(),
        (difference == 0).sum(),
        (difference < 0).sum(),
    )
    assert row.effect == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert table["coverage@5"].n <= 20  # groups of users
    assert table["coverage@5"].mean == better["coverage@5"].mean
    assert "ndcg@5" in table.to_markdown()
    assert r"\toprule" in table.to_latex()
    assert json.loads(table.to_json())["rows"][0]["metric"] == "ndcg@5"
    again = better.compare(worse, test="sign-flip", correction="holm")
    assert again == table


def test_reports_are_paired_by_user_id() -> None:
    report = system(0.3)
    turned = report.where(np.arange(199, 49, -1))
    row = report.compare(turned, correction="none")["mrr@5"]
    assert (row.n, row.difference, row.ties) == (150, 0.0, 150)
    stranger = Report(
        names=["mrr@5"], users=type(report.users)(("x",)), values={"mrr@5": np.array([1.0])}
    )
    with pytest.raises(InvalidDataError, match="must share users"):
        report.compare(stranger)
    with pytest.raises(UnknownNameError, match="No metric of this report is named 'ndcg@7'"):
        report["ndcg@7"]


def test_a_regression_is_found_with_its_evidence() -> None:
    good, bad = system(0.6), system(0.2)
    good.assert_not_worse(bad, "ndcg@5")
    good.assert_not_worse(good, "ndcg@5")
    with pytest.raises(RegressionFound, match=r"ndcg@5 may be worse .* n = 200"):
        bad.assert_not_worse(good, "ndcg@5", margin=0.01)


def test_tukey_equals_scipys_range_and_takes_users_as_blocks() -> None:
    reports = {"a": system(0.5, 0), "b": system(0.2, 1), "c": system(0.2, 2)}
    rows = tukey_hsd(reports, "ndcg@5")
    assert [(row.first, row.second) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert rows[0].p < 0.001
    assert rows[2].low < 0 < rows[2].high
    two = tukey_hsd({"a": reports["a"], "b": reports["b"]}, "ndcg@5")
    paired = stats.ttest_rel(reports["a"].per_user("ndcg@5"), reports["b"].per_user("ndcg@5"))
    assert two[0].p == pytest.approx(max(paired.pvalue, 1e-300), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("test", ["t", "wilcoxon"])
def test_comparison_tests_equal_scipy(test: str) -> None:
    first, second = system(0.35), system(0.3, seed=9)
    row = first.compare(second, test=test, correction="none")["ndcg@5"]
    a, b = first.per_user("ndcg@5"), second.per_user("ndcg@5")
    if test == "t":
        assert row.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    else:
        expected = stats.wilcoxon(a, b, correction=True, method="asymptotic").pvalue
        assert row.p == pytest.approx(expected)


def test_slices_have_their_own_intervals() -> None:
    report = system(0.3)
    halves = report.slices(["first"] * 100 + ["second"] * 100)
    assert halves.labels == ("first", "second")
    assert halves["first"]["mrr@5"].mean == report.per_user("mrr@5")[:100].mean()
    assert halves.gap("mrr@5") == pytest.approx(
        abs(halves["first"]["mrr@5"].mean - halves["second"]["mrr@5"].mean)
    )
    assert halves.worst("mrr@5")[1] == min(halves[x]["mrr@5"].mean for x in halves)
    assert 0 <= halves.inequality("mrr@5") < 0.1
    assert "second" in halves.to_markdown()
    assert len(report.slices(lambda user: hash(user) % 3)) == 3
    with pytest.raises(InvalidDataError, match="by must name every user"):
        report.slices({0: "a"})
    with pytest.raises(UnknownNameError, match="No slice is named 'third'"):
        halves["third"]


def test_slices_by_history() -> None:
    past = Truth.from_lists({0: ["a"], 1: ["a", "b", "c"], 2: ["c", "d"], 3: []})
    length = by_history_length(past, edges=(1, 2))
    assert [length(u) for u in (0, 1, 2, 3, 9)] == ["1", "2+", "2+", "0", "0"]
    cold = by_cold(past, least=2)
    assert [cold(u) for u in (0, 1, 9)] == ["cold", "warm", "cold"]
    taste = by_popularity(past, {"a": 100, "b": 50, "c": 2, "d": 1}, buckets=2)
    assert [taste(u) for u in (0, 1, 2, 3)] == ["taste 2", "taste 2", "taste 1", "no history"]


def test_output_is_complete_and_safe() -> None:
    report = Suite(["recall(rel>=2)@5", "r_precision", "dcg@5"]).evaluate(
        Rankings.from_lists({"u": ["a"]}), Truth.from_lists({"u": {"a": 2.0}})
    )
    loaded = json.loads(report.to_json())
    assert loaded["rows"][0] == {
        "metric": "recall(rel>=2)@5",
        "mean": 1.0,
        "interval": [0.0, 1.0],
        "standard error": None,
        "users": 1,
        "method": "t",
    }
    assert r"r\_precision" in report.to_latex()
    assert "recall(rel&gt;=2)@5" in report.to_html()
    assert "unbounded" in report.to_markdown()
    assert "empty_truth: exclude" in report.to_markdown()
    assert repr(report) == "<Report: 3 metrics over 1 user, 95% intervals>"
    assert report.to_arrow().to_pydict()["recall(rel>=2)@5"] == [1.0]
