"""Interleaving: exact distributions by enumeration, fairness, credit, tests."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments import AsymptoticCS, ProbabilisticInterleaving, TeamDraft, preference
from siamrec.experiments.interleaving.deterministic import BalancedInterleaving, sign_test

rankings = st.lists(st.permutations(list("abcdef")), min_size=2, max_size=4)


@given(lists=rankings, k=st.integers(1, 8), request_id=st.text(max_size=5))
@settings(max_examples=60, deadline=None)
def test_lists_are_whole_and_teams_even(lists: list[list[str]], k: int, request_id: str) -> None:
    shown = TeamDraft().interleave(request_id, *lists, k=k)
    assert len(set(shown.items)) == len(shown.items) == min(k, 6)
    sizes = np.bincount(shown.teams, minlength=len(lists))
    assert sizes.max() - sizes.min() <= 1
    assert shown == TeamDraft().interleave(request_id, *lists, k=k)


def test_team_draft_follows_its_distribution() -> None:
    """[a, b] against [b, c], k = 2: two coins, four equally likely outcomes.

    Coin 1 for the first: a, then b for the second team; for the second: b, then a for the
    first. The second item ends round 1, so two lists remain, each with probability 1/2.
    """
    counts = Counter(
        TeamDraft().interleave(f"r{number}", ["a", "b"], ["b", "c"], k=2).items
        for number in range(4000)
    )
    assert set(counts) == {("a", "b"), ("b", "a")}
    assert counts["a", "b"] / 4000 == pytest.approx(0.5, abs=0.04)  # 5 sigma


def test_three_items_by_enumeration() -> None:
    # [a, b, c] and [b, d, e], k = 3. After {a, b} the next coin picks c or d.
    counts = Counter(
        TeamDraft().interleave(f"r{number}", ["a", "b", "c"], ["b", "d", "e"], k=3).items
        for number in range(8000)
    )
    expected = {("a", "b", "c"), ("a", "b", "d"), ("b", "a", "c"), ("b", "a", "d")}
    assert set(counts) == expected
    for items in expected:
        assert counts[items] / 8000 == pytest.approx(0.25, abs=0.025)  # 5 sigma


def test_orders_of_many_teams_are_even() -> None:
    first = Counter(
        TeamDraft().interleave(str(number), ["a"], ["b"], ["c"], k=1).items[0]
        for number in range(6000)
    )
    for share in first.values():
        assert share / 6000 == pytest.approx(1 / 3, abs=0.031)  # 5 sigma


def test_short_and_equal_rankings() -> None:
    shown = TeamDraft().interleave("r", ["a"], ["a"], k=5)
    assert shown.items == ("a",)
    assert TeamDraft().interleave("r", ["a", "b"], [], k=5).teams == (0, 0)


def test_credit_rules() -> None:
    shown = TeamDraft().interleave("r", ["a", "b"], ["c", "d"], k=4)
    mine = [item for item, team in zip(shown.items, shown.teams, strict=True) if team == 1]
    other = next(item for item, team in zip(shown.items, shown.teams, strict=True) if team == 0)
    clicked = [mine[0], mine[1], mine[0], other, "elsewhere"]
    assert shown.credit(clicked) == (1.0, 2.0)
    assert shown.credit(clicked, rule="first") == (0.0, 1.0)
    assert shown.credit(clicked, rule="binary") == (1.0, 1.0)
    with pytest.raises(UnknownNameError, match="rule"):
        shown.credit(clicked, rule="last")  # type: ignore[arg-type]


@given(first=st.permutations(list("abcd")), second=st.permutations(list("abcd")))
@settings(max_examples=30, deadline=None)
def test_balanced_lists_hold_the_tops_of_both(first: list[str], second: list[str]) -> None:
    for number in range(4):
        shown = BalancedInterleaving().interleave(str(number), first, second, k=3)
        depth = min(
            max(first.index(item) for item in shown.items if item in first[:3]),
            max(second.index(item) for item in shown.items if item in second[:3]),
        )
        assert len(shown.items) == 3
        assert set(first[: max(depth - 1, 1)]) <= set(shown.items)
        for item, team in zip(map(str, shown.items), shown.teams, strict=True):
            if first.index(item) != second.index(item):
                assert team == int(second.index(item) < first.index(item))


def test_preference_is_over_users() -> None:
    rng = np.random.default_rng(1)
    wins = rng.normal(0.3, 1, 200)
    credit = np.column_stack([wins < 0, wins > 0]).astype(float)
    alone = preference(credit)
    theirs = stats.ttest_1samp(np.sign(wins), 0)
    assert alone.p == pytest.approx(theirs.pvalue)
    assert alone.interval == pytest.approx(tuple(theirs.confidence_interval()))
    users = np.arange(200)
    repeated = preference(np.repeat(credit, 9, axis=0), users=np.repeat(users, 9).tolist())
    assert repeated.interval == pytest.approx(alone.interval)
    anytime = preference(credit, sequential=AsymptoticCS(planned=200))
    assert anytime.interval[0] < alone.interval[0]


def test_the_sign_test_is_exact() -> None:
    credit = np.array([[0.0, 1.0]] * 14 + [[1.0, 0.0]] * 5 + [[1.0, 1.0]] * 9)
    p, first, second = sign_test(credit)
    assert (first, second) == (5, 14)
    assert p == pytest.approx(stats.binomtest(5, 19).pvalue)
    assert sign_test(np.zeros((4, 2)))[0] == 1.0


def test_edge_cases_have_a_stated_result() -> None:
    same = preference(np.zeros((5, 2)))
    # Users who tie every time are, with 97.5 %, at least .025^(1/5) of all users.
    reach = 1 - 0.025 ** (1 / 5)
    assert (same.estimate, same.p) == (0.0, 1.0)
    assert same.interval == pytest.approx((-reach, reach))
    looked = preference(np.zeros((5, 2)), sequential=AsymptoticCS(planned=100))
    assert (looked.estimate, looked.p, looked.interval) == (0.0, 1.0, (-1.0, 1.0))
    agreed = preference(np.array([[0.0, 1.0]] * 8))
    assert agreed.p == pytest.approx(2 * 0.5**8)
    assert preference(np.array([[0.0, 1.0]])).interval == (-1.0, 1.0)
    assert preference(np.zeros((0, 2)), users=[]).interval == (-1.0, 1.0)
    assert sign_test(np.zeros((0, 2))) == (1.0, 0, 0)


def test_users_who_agree_are_judged_exactly() -> None:
    """Clopper and Pearson's lower end of n wins in n is (alpha / 2)^(1 / n)."""
    for n in (2, 5, 6, 40):
        agreed = preference(np.array([[0.0, 1.0]] * n))
        low = 2 * stats.binomtest(n, n).proportion_ci().low - 1
        assert agreed.interval == pytest.approx((low, 1.0))
        assert agreed.p == pytest.approx(2 * 0.5**n)
        assert agreed.significant == (agreed.p < 0.05) == (n >= 6)
        other = preference(np.array([[1.0, 0.0]] * n))
        assert other.interval == pytest.approx((-1.0, -low))
    # All win three of four requests: a say of 0.5.
    credit = np.tile([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], (9, 1))
    half = preference(credit, users=np.repeat(np.arange(9), 4).tolist())
    factor = 0.025 ** (1 / 9)
    assert half.interval == pytest.approx((1.5 * factor - 1, 1 - 0.5 * factor))
    assert half.significant == (half.p < 0.05)
    looking = preference(np.array([[0.0, 1.0]] * 4), sequential=AsymptoticCS(planned=100))
    assert not looking.significant


def test_p_values_of_preferences_are_never_zero() -> None:
    p, first, second = sign_test(np.array([[0.0, 1.0]] * 2000))
    assert (first, second) == (0, 2000)
    assert p == np.nextafter(0, 1)
    agreed = preference(np.array([[0.0, 1.0]] * 2000))
    assert agreed.p == np.nextafter(0, 1)
    assert agreed.log_p == pytest.approx(-1999 * np.log(2))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="Ranking 1 must not repeat"):
        TeamDraft().interleave("r", ["a"], ["b", "b"], k=2)
    with pytest.raises(InvalidParameterError, match="two or more"):
        TeamDraft().interleave("r", ["a"], k=2)
    with pytest.raises(InvalidParameterError, match="k must be"):
        TeamDraft().interleave("r", ["a"], ["b"], k=0)
    with pytest.raises(InvalidDataError, match="credit must have shape"):
        preference(np.ones((3, 3)))
    for test in (preference, sign_test):
        with pytest.raises(InvalidDataError, match=r"credit must have shape .* got \(4, 3\)"):
            test(np.zeros((4, 3)))
        with pytest.raises(InvalidDataError, match="credit must be finite, got nan"):
            test(np.array([[np.nan, 1.0]]))
    with pytest.raises(InvalidParameterError, match=r"alpha must be in \(0, 1\), got 5"):
        preference(np.ones((3, 2)), alpha=5)
    for mixing in (TeamDraft(), BalancedInterleaving(), ProbabilisticInterleaving()):
        same = (mixing.interleave(request, ["a"], ["b"], k=2) for request in (7, "7"))
        assert next(same) == next(same)
        for bad in (1.5, None, "\ud800"):
            with pytest.raises(InvalidParameterError, match="request must be text with a UTF-8"):
                mixing.interleave(bad, ["a"], ["b"], k=2)  # type: ignore[arg-type]
        with pytest.raises(InvalidDataError, match="Ranking 1 must not repeat"):
            mixing.interleave("r", ["a"], ["b", "b"], k=2)
    with pytest.raises(InvalidDataError, match="users must have 3 entries"):
        preference(np.ones((3, 2)), users=["a"])


def test_probabilistic_lists_by_enumeration() -> None:
    """[a, b] and [b, c] with tau = 1: the first item is a, b, c with 1/3, 1/6 + 1/3, 1/6."""
    mixing = ProbabilisticInterleaving(tau=1.0)
    counts = Counter(
        mixing.interleave(f"r{number}", ["a", "b"], ["b", "c"], k=1).items[0]
        for number in range(9000)
    )
    for item, share in (("a", 1 / 3), ("b", 1 / 2), ("c", 1 / 6)):
        assert counts[item] / 9000 == pytest.approx(share, abs=0.027)  # 5 sigma
    shown = next(
        each
        for number in range(50)
        for each in (mixing.interleave(f"r{number}", ["a", "b"], ["b", "c"], k=2),)
        if each.items[0] == "b"
    )
    # Ranker 0 places b with 1/3, ranker 1 with 2/3.
    assert shown.shares[0] == pytest.approx((1 / 3, 2 / 3))
    assert shown.credit(["b", "b", "elsewhere"]) == pytest.approx((1 / 3, 2 / 3))
    assert shown.credit([]) == (0.0, 0.0)


@given(lists=rankings, k=st.integers(1, 8), request_id=st.text(max_size=5))
@settings(max_examples=40, deadline=None)
def test_probabilistic_lists_are_whole(lists: list[list[str]], k: int, request_id: str) -> None:
    shown = ProbabilisticInterleaving().interleave(request_id, *lists, k=k)
    assert len(set(shown.items)) == len(shown.items) == min(k, 6)
    assert all(sum(share) == pytest.approx(1.0) for share in shown.shares)
    assert sum(shown.credit(shown.items)) == pytest.approx(min(k, 6))
    assert shown == ProbabilisticInterleaving().interleave(request_id, *lists, k=k)


def test_equal_rankers_share_evenly() -> None:
    shown = ProbabilisticInterleaving().interleave("r", list("abc"), list("abc"), k=3)
    assert shown.shares == ((0.5, 0.5),) * 3
    with pytest.raises(InvalidDataError, match="Ranking 0 must not repeat"):
        ProbabilisticInterleaving().interleave("r", ["a", "a"], ["b"], k=1)
    with pytest.raises(InvalidParameterError, match="tau"):
        ProbabilisticInterleaving(tau=0.0)
