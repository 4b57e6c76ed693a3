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
from siamrec.metrics.multiplicity import adjusted
from siamrec.statistics import paired_difference
from siamrec.statistics.ranks import wilcoxon
from siamrec.statistics.resampling import bootstrap_interval, sign_flip, sign_flips

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


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_interval_is_near_scipy(method: str) -> None:
    values = np.random.default_rng(0).gamma(1.0, 1.0, 60)
    own = bootstrap_interval(values, method=method, rng=np.random.default_rng(1), resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method=method, n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert own == pytest.approx((theirs.low, theirs.high), abs=0.02)


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
    assert json.loads(table.to_json())["rows"][0]["name"] == "ndcg@5"
    again = better.compare(worse, test="sign-flip", correction="holm")
    assert again == table


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


def test_wilcoxon_is_exact_for_few_and_corrected_for_ties() -> None:
    moved = np.array([0.3, -0.1, 0.5, 0.9, 1.2, -0.4])
    assert wilcoxon(moved) == pytest.approx(stats.wilcoxon(moved).pvalue)
    tied = np.array([1.0, 1.0, -1.0, 2.0, 2.0, 3.0, 0.0] * 6)
    expected = stats.wilcoxon(tied, correction=True, method="asymptotic").pvalue
    assert wilcoxon(tied) == pytest.approx(expected)
    assert wilcoxon(np.zeros(4)) == 1.0


def test_sign_flip_is_exact_for_few_and_seeded_for_many() -> None:
    moved = np.array([1.0, 2.0, 0.5, -0.25, 0.0])
    p, exact = sign_flip(moved, rng=np.random.default_rng(0))
    assert exact
    assert p == 4 / 16  # sums of at least 3.25 in size: signs ++++, +++-, and their mirrors
    many = np.random.default_rng(3).normal(0.05, 1, 500)
    first, second = (sign_flip(many, rng=np.random.default_rng(7))[0] for _ in range(2))
    assert first == second
    assert first == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)
    sure = np.ones(100)
    assert sign_flip(sure, rng=np.random.default_rng(0), resamples=1000)[0] == 1 / 1001


def test_sign_flips_of_a_column_do_not_depend_on_the_others() -> None:
    table = np.random.default_rng(0).normal(0.05, 1, (400, 3))
    table[:390, 2] = 0.0  # few differences: exact
    whole, alone = (
        sign_flips(part, rng=np.random.default_rng(1), resamples=2000)
        for part in (table, table[:, 1:2])
    )
    assert whole[1] == alone[0]
    assert whole[2] == sign_flip(table[390:, 2], rng=np.random.default_rng(9))[0]


def test_sign_flip_keeps_its_level() -> None:
    # 400 null samples of 12 users: P(p <= 0.05) <= 0.05; 5 sigma above is 10.5 %.
    rng = np.random.default_rng(5)
    found = [sign_flip(rng.normal(0, 1, 12), rng=rng)[0] <= 0.05 for _ in range(400)]
    assert np.mean(found) < 0.105


def test_corrections_equal_known_values() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    logs = [float(np.log(value)) for value in p]
    assert adjusted(logs, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(logs, "bh") == pytest.approx(stats.false_discovery_control(p))
    assert adjusted(logs, "by") == pytest.approx(stats.false_discovery_control(p, method="by"))
    assert adjusted(logs, "none") == pytest.approx(p)
    with pytest.raises(UnknownNameError, match="Did you mean 'holm'"):
        adjusted(logs, "hom")


def test_paired_difference_and_tiny_p_values() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 1, 50), rng.normal(0, 1, 50)
    found = paired_difference(a, b)
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.log_p == pytest.approx(np.log(found.p))
    huge = paired_difference(rng.normal(50, 1, 3000), np.zeros(3000))
    assert 0 < huge.p < 1e-300
    t = 50 * np.sqrt(3000)
    assert huge.log_p == pytest.approx(-1500 * np.log1p(t * t / 3000), rel=0.05)
    one = paired_difference([1.0], [0.0])
    assert (one.p, one.low, one.high) == (1.0, -np.inf, np.inf)
    assert not one.significant
    with pytest.raises(InvalidDataError, match="of one length"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(InvalidDataError, match="defined for some user"):
        paired_difference([np.nan], [1.0])


def test_log_p_joins_the_float_range_smoothly() -> None:
    from siamrec.statistics.paired import _log_tail

    for t, df in ((3.0, 7.0), (12.0, 60.0), (25.0, 400.0)):
        assert _log_tail(t, df) == pytest.approx(np.log(2 * stats.t.sf(t, df)), rel=1e-9)


def test_tukey_equals_scipys_range_and_takes_users_as_blocks() -> None:
    reports = {"a": system(0.5, 0), "b": system(0.2, 1), "c": system(0.2, 2)}
    rows = tukey_hsd(reports, "ndcg@5")
    assert [(row.first, row.second) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert rows[0].p < 0.001
    assert rows[2].low < 0 < rows[2].high
    two = tukey_hsd({"a": reports["a"], "b": reports["b"]}, "ndcg@5")
    paired = stats.ttest_rel(reports["a"].per_user("ndcg@5"), reports["b"].per_user("ndcg@5"))
    assert two[0].p == pytest.approx(max(paired.pvalue, 1e-300), rel=1e-3, abs=1e-12)


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
    report = Suite(["recall(rel>=2)@5", "r_precision"]).evaluate(
        Rankings.from_lists({"u": ["a"]}), Truth.from_lists({"u": {"a": 2.0}})
    )
    loaded = json.loads(report.to_json())
    assert loaded["metrics"][0] == {
        "name": "recall(rel>=2)@5",
        "mean": 1.0,
        "low": None,
        "high": None,
        "standard_error": None,
        "n": 1,
        "method": "t",
    }
    assert r"r\_precision" in report.to_latex()
    assert "recall(rel&gt;=2)@5" in report.to_html()
    assert "unbounded" in report.to_markdown()
    assert "empty_truth: exclude" in report.to_markdown()
    assert "Report over 1 users" in repr(report)
    assert report.to_arrow().to_pydict()["recall(rel>=2)@5"] == [1.0]
