"""What happens in the cases that definitions leave open, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    LeakageError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.metrics import SampledMetricWarning, SeenItemsWarning, Suite

LISTS = Rankings.from_lists({"full": ["a", "b"], "short": ["a"], "idle": ["c"], "bare": []})
TRUTH = Truth.from_lists(
    {
        "full": ["b"],
        "short": ["a"],
        "bare": ["a"],
        "absent": ["a"],
        "idle": {"c": 0.0},
    }
)


def test_users_keep_the_order_of_the_rankings_and_missing_ones_follow() -> None:
    report = Suite(["precision@2"]).evaluate(LISTS, TRUTH)
    assert report.users.ids == ("full", "short", "idle", "bare", "absent")
    np.testing.assert_array_equal(report.per_user("precision@2"), [0.5, 0.5, np.nan, 0.0, 0.0])
    assert report["precision@2"].n == 4
    assert report.policies["empty_truth"] == "exclude (1 users without a relevant item)"
    assert report.policies["missing_user"] == "zero (2 users with relevant items but no list)"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"empty_truth": "exclude"}, 0.25),
        ({"empty_truth": "zero"}, 0.2),
        ({"missing_user": "exclude"}, 0.5),
        ({"short_list": "actual"}, (0.5 + 1 + 0 + 0) / 4),
    ],
)
def test_policies_for_users_and_short_lists(policy: dict[str, str], expected: float) -> None:
    report = Suite(["precision@2"], **policy).evaluate(LISTS, TRUTH)  # type: ignore[arg-type]
    assert report["precision@2"].mean == expected


def test_nan_policy_makes_the_mean_nan() -> None:
    report = Suite(["precision@2"], empty_truth="nan").evaluate(LISTS, TRUTH)
    assert np.isnan(report["precision@2"].mean)
    assert report["precision@2"].interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"empty_truth": "raise"}, "must have a relevant item, got none for 'idle'"),
        ({"missing_user": "raise"}, "must have a list, got none for 'bare'"),
    ],
)
def test_policies_that_refuse(policy: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidDataError, match=message):
        Suite(["hit@1"], **policy).evaluate(LISTS, TRUTH)  # type: ignore[arg-type]


def test_repeated_items_are_refused_or_only_the_first_counts() -> None:
    lists = Rankings.from_lists({"u": ["a", "a", "b"]})
    truth = Truth.from_lists({"u": ["a", "b"]})
    with pytest.raises(InvalidDataError, match="must not repeat an item, got 1 repeated"):
        Suite(["recall@2"]).evaluate(lists, truth)
    report = Suite(["recall@2", "repeats"], duplicates="first").evaluate(lists, truth)
    assert report["recall@2"].mean == 1.0  # b moved up
    assert report["repeats"].mean == pytest.approx(1 / 3)
    assert report.policies["duplicates"] == "first (1 repeated places)"


def test_seen_items_are_warned_of_removed_refused_or_allowed() -> None:
    lists = Rankings.from_lists({"u": ["a", "b"]})
    truth, past = Truth.from_lists({"u": ["b"]}), Truth.from_lists({"u": ["a", "z"]})
    with pytest.warns(SeenItemsWarning, match="1 places in 1 lists hold items of history="):
        Suite(["mrr@2"]).evaluate(lists, truth, history=past)
    removed = Suite(["mrr@2"], seen_items="remove").evaluate(lists, truth, history=past)
    assert removed["mrr@2"].mean == 1.0
    assert Suite(["mrr@2"], seen_items="allow").evaluate(lists, truth, history=past)[
        "mrr@2"
    ].mean == pytest.approx(0.5)
    with pytest.raises(LeakageError, match="seen_items='remove'"):
        Suite(["mrr@2"], seen_items="raise").evaluate(lists, truth, history=past)


def tied() -> tuple[Rankings, Truth]:
    lists = Rankings.from_lists({"u": ["b", "a", "d", "c"]}, scores={"u": [2.0, 1.0, 1.0, 1.0]})
    return lists, Truth.from_lists({"u": ["d"]})


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("given", 1 / 3),
        ("id-descending", 1 / 2),
        ("optimistic", 1 / 2),
        ("pessimistic", 1 / 4),
    ],
)
def test_ties_are_ordered_by_the_policy(ties: str, expected: float) -> None:
    lists, truth = tied()
    report = Suite(["mrr@4"], ties=ties).evaluate(lists, truth)  # type: ignore[arg-type]
    assert report["mrr@4"].mean == pytest.approx(expected)


def test_expected_ties_are_the_mean_over_all_orders() -> None:
    lists, truth = tied()
    report = Suite(["precision@2", "recall@3", "ndcg@3"], ties="expected").evaluate(lists, truth)
    assert report["precision@2"].mean == pytest.approx(1 / 6)
    assert report["recall@3"].mean == pytest.approx(2 / 3)
    gains = [1 / np.log2(rank + 1) if rank <= 3 else 0.0 for rank in (2, 3, 4)]
    assert report["ndcg@3"].mean == pytest.approx(np.mean(gains))
    with pytest.raises(InvalidParameterError, match="another choice for 'mrr@3'"):
        Suite(["mrr@3"], ties="expected").evaluate(lists, truth)


def test_ties_need_scores_that_fall() -> None:
    truth = Truth.from_lists({"u": ["a"]})
    with pytest.raises(MissingInputError, match="scores"):
        Suite(["ndcg@2"], ties="expected").evaluate(Rankings.from_lists({"u": ["a"]}), truth)
    rising = Rankings.from_lists({"u": ["a", "b"]}, scores={"u": [1.0, 2.0]})
    with pytest.raises(InvalidDataError, match="score must fall along each list"):
        Suite(["ndcg@2"], ties="optimistic").evaluate(rising, truth)


def test_sampled_candidates_cause_a_warning() -> None:
    with pytest.warns(SampledMetricWarning, match="sampled candidates"):
        Suite(["hit@1"]).evaluate(LISTS, TRUTH, sampled=True)


def test_negative_scores_and_shifts_change_nothing() -> None:
    truth = Truth.from_lists({"u": ["b"]})
    names = ["ndcg@2", "map@2", "mrr@2", "recall@1", "auc"]
    reports = [
        Suite(names).evaluate(
            Rankings.from_lists({"u": ["b", "a"]}, scores={"u": [s + 0.5, s]}), truth
        )
        for s in (3.0, 0.0, -9.0)
    ]
    for name in names:
        assert {report[name].mean for report in reports} == {1.0}


def test_empty_everything() -> None:
    nothing = Suite(["ndcg@3", "coverage@3"]).evaluate(
        Rankings.from_lists({}), Truth.from_lists({}), catalog_size=5
    )
    assert np.isnan(nothing["ndcg@3"].mean)
    assert nothing["ndcg@3"].n == 0
    assert nothing["ndcg@3"].interval == (0.0, 1.0)
    assert nothing["coverage@3"].mean == 0.0
    no_items = Suite(["ndcg@3", "ild@3"]).evaluate(
        Rankings.from_lists({"u": []}), Truth.from_lists({"u": ["a"]}), embeddings={"a": [1.0]}
    )
    assert no_items["ndcg@3"].mean == 0.0
    assert np.isnan(no_items["ild@3"].mean)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ndgc@10", UnknownNameError, "Did you mean 'ndcg'"),
        ("ndcg@0", InvalidParameterError, "k must be a whole number of at least 1, got 0"),
        ("ndcg(gain=cubic)@3", UnknownNameError, "No gain is named 'cubic'"),
        ("ndcg(colour=red)@3", InvalidParameterError, "a name whose settings 'ndcg' knows"),
        ("ndcg@", InvalidParameterError, "metric must be a name such as 'ndcg@10'"),
        ("recall(rel>=0)@3", InvalidParameterError, "rel must be a finite number above 0"),
        ("ndcg(gain)@3", InvalidParameterError, "settings such as 'gain=exp'"),
    ],
)
def test_bad_names_are_refused(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Suite([name])


def test_names_must_differ_and_there_must_be_one() -> None:
    with pytest.raises(InvalidParameterError, match="must be different names"):
        Suite(["hit@1", "hit@{1,2}"])
    with pytest.raises(InvalidParameterError, match="one or more metrics"):
        Suite([])
    with pytest.raises(InvalidParameterError, match="one or more metrics"):
        Suite("hit@1")


def test_missing_inputs_name_metric_and_remedy() -> None:
    with pytest.raises(
        MissingInputError, match=r"popularity .for metric 'novelty@2'. .* popularity=counts"
    ):
        Suite(["novelty@2"]).evaluate(LISTS, TRUTH)
    with pytest.raises(MissingInputError, match="truth .for metric 'hit@1'."):
        Suite(["hit@1"]).evaluate(LISTS)


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="catalog_size must be at least the 3 items"):
        Suite(["coverage@2"]).evaluate(LISTS, TRUTH, catalog_size=2)
    with pytest.raises(InvalidDataError, match="popularity must have one entry for each of the 3"):
        Suite(["novelty@2"]).evaluate(LISTS, TRUTH, popularity=[1, 2])
    with pytest.raises(InvalidDataError, match="popularity must not be negative"):
        Suite(["novelty@2"]).evaluate(LISTS, TRUTH, popularity=[1, 2, -1])
    with pytest.raises(InvalidDataError, match="got none for 'c'"):
        Suite(["awrf@2"]).evaluate(LISTS, TRUTH, groups={"a": "x", "b": "y"})
    with pytest.raises(InvalidDataError, match="groups must name one group for each item"):
        Suite(["awrf@2"]).evaluate(LISTS, TRUTH, groups={"a": "x", "b": ["x", "y"], "c": "x"})
    with pytest.raises(InvalidDataError, match="zero vector for 'b'"):
        Suite(["ild@2"]).evaluate(LISTS, TRUTH, embeddings=[[1, 0], [0, 0], [1, 1]])
    with pytest.raises(InvalidDataError, match="embeddings must hold every listed item"):
        Suite(["ild@2"]).evaluate(LISTS, TRUTH, embeddings={"a": [1.0]})
    with pytest.raises(InvalidDataError, match="propensity must be in"):
        Suite(["ips@2"]).evaluate(LISTS, TRUTH, propensity=[0.0, 1.0, 1.0])


def test_a_user_may_be_in_one_batch_only() -> None:
    state = Suite(["hit@1"]).start()
    with pytest.raises(InvalidDataError, match="must have taken in a batch"):
        state.compute()
    state.update(LISTS, TRUTH)
    state.update(LISTS, TRUTH)
    with pytest.raises(InvalidDataError, match="must differ"):
        state.compute()
    with pytest.raises(InvalidDataError, match="equal metrics and policies"):
        state.merge(Suite(["hit@2"]).start())


def test_a_batch_that_is_refused_leaves_no_trace() -> None:
    state = Suite(["hit@1", "ild@1", "coverage@1"]).start(
        catalog_size=9, embeddings={"a": [1.0], "b": [1.0]}
    )
    state.update(Rankings.from_lists({"u": ["a"]}), Truth.from_lists({"u": ["a"]}))
    before = state.compute().to_json()
    with pytest.raises(InvalidDataError, match="embeddings must hold every listed item"):
        state.update(Rankings.from_lists({"v": ["z"]}), Truth.from_lists({"v": ["z"]}))
    assert state.compute().to_json() == before


def test_popularity_by_id_knows_the_whole_catalogue() -> None:
    lists = Rankings.from_lists({"u": ["rare"]})
    counts = {"hit": 90.0, "rare": 10.0}
    report = Suite(["long_tail_share@1", "popularity_rank@1"]).evaluate(lists, popularity=counts)
    assert report["long_tail_share@1"].mean == 1.0
    assert report["popularity_rank@1"].mean == 2.0
