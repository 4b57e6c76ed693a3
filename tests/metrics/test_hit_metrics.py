"""Precision, recall, MAP, MRR, NDCG and their kin against a slow reference, and their laws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.metrics import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.metrics import Report

ITEMS = 12
Lists = dict[int, list[int]]
Grades = dict[int, dict[int, float]]


def gains(grades: list[float], kind: str) -> list[float]:
    return grades if kind == "linear" else [2**grade - 1 for grade in grades]


def dcg(shown: list[int], judged: dict[int, float], k: int, kind: str) -> float:
    found = gains([judged.get(item, 0.0) for item in shown[:k]], kind)
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(found))


def ndcg(shown: list[int], judged: dict[int, float], k: int, kind: str = "linear") -> float:
    ideal = sorted(judged, key=lambda item: -judged[item])
    return dcg(shown, judged, k, kind) / dcg(ideal, judged, k, kind)


def average_precision(shown: list[int], judged: dict[int, float], k: int, divisor: int) -> float:
    total, hits = 0.0, 0
    for rank, item in enumerate(shown[:k], start=1):
        if item in judged:
            hits += 1
            total += hits / rank
    return total / divisor


def reciprocal(shown: list[int], judged: dict[int, float], k: int) -> float:
    return next((1 / r for r, i in enumerate(shown[:k], start=1) if i in judged), 0.0)


def hits(shown: list[int], judged: dict[int, float], k: int) -> int:
    return sum(item in judged for item in shown[:k])


def f_score(shown: list[int], judged: dict[int, float], k: int, beta: float) -> float:
    precision, recall = hits(shown, judged, k) / k, hits(shown, judged, k) / len(judged)
    if not precision:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


REFERENCE: dict[str, Callable[[list[int], dict[int, float], int], float]] = {
    "precision": lambda s, j, k: hits(s, j, k) / k,
    "recall": lambda s, j, k: hits(s, j, k) / len(j),
    "recall(capped=true)": lambda s, j, k: hits(s, j, k) / min(k, len(j)),
    "f": lambda s, j, k: f_score(s, j, k, 1.0),
    "f(beta=2)": lambda s, j, k: f_score(s, j, k, 2.0),
    "hit": lambda s, j, k: float(hits(s, j, k) > 0),
    "mrr": reciprocal,
    "map": lambda s, j, k: average_precision(s, j, k, len(j)),
    "map(denominator=min)": lambda s, j, k: average_precision(s, j, k, min(k, len(j))),
    "map(denominator=k)": lambda s, j, k: average_precision(s, j, k, k),
    "ndcg": ndcg,
    "ndcg(gain=exp)": lambda s, j, k: ndcg(s, j, k, "exp"),
    "dcg": lambda s, j, k: dcg(s, j, k, "linear"),
    "r_precision": lambda s, j, k: hits(s, j, min(k, len(j))) / len(j),
}

lists_of = st.lists(
    st.permutations(range(ITEMS)).flatmap(
        lambda order: st.integers(0, ITEMS).map(lambda size: list(order)[:size])
    ),
    min_size=1,
    max_size=6,
)
grades_of = st.dictionaries(
    st.integers(0, ITEMS + 2), st.sampled_from([1.0, 2.0, 3.5]), max_size=ITEMS
)


def evaluated(lists: Lists, grades: Grades, names: list[str], **policies: str) -> Report:
    return Suite(names, **policies).evaluate(  # type: ignore[arg-type]
        Rankings.from_lists(lists), Truth.from_lists(grades)
    )


@pytest.mark.parametrize("stem", REFERENCE)
@given(rows=lists_of, data=st.data(), k=st.integers(1, ITEMS + 2))
@settings(max_examples=60, deadline=None)
def test_equals_the_slow_reference(
    stem: str, rows: list[list[int]], data: st.DataObject, k: int
) -> None:
    lists = dict(enumerate(rows))
    grades = {user: data.draw(grades_of) for user in lists}
    expected = [
        REFERENCE[stem](lists[user], grades[user], k) if grades[user] else np.nan for user in lists
    ]
    found = evaluated(lists, grades, [f"{stem}@{k}"]).per_user(f"{stem}@{k}")
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("n_users", "n_items", "depth", "relevant"),
    [
        (300, 50, 20, 60),
        (200, 3_000, 40, 300),
        (50, 70_000, 30, 10),
        (20, 70_000, 30, 400),
    ],
)
def test_every_kernel_finds_the_same_hits(
    n_users: int, n_items: int, depth: int, relevant: int
) -> None:
    # few and many relevant items, catalogues below and above the range of 16-bit codes
    rng = np.random.default_rng(1)
    lists = {u: rng.permutation(min(n_items, 4_000))[:depth].tolist() for u in range(n_users)}
    grades: Grades = {
        u: {
            int(i): float(rng.integers(1, 4))
            for i in np.unique(
                np.concatenate(
                    [
                        rng.choice(lists[u], rng.integers(0, depth)),
                        rng.integers(0, n_items, rng.integers(1, relevant)),
                    ]
                )
            )
        }
        for u in range(n_users)
    }
    report = evaluated(lists, grades, ["ndcg@15", "map", "recall@7"])
    for name, stem, k in (
        ("ndcg@15", "ndcg", 15),
        ("map", "map", depth),
        ("recall@7", "recall", 7),
    ):
        expected = [REFERENCE[stem](lists[user], grades[user], k) for user in range(n_users)]
        np.testing.assert_allclose(report.per_user(name), expected, rtol=1e-12)


def test_hand_computed() -> None:
    # list a b c d, relevant b (grade 3) and d (grade 1) and z (grade 2)
    names = ["precision@4", "recall@4", "map@4", "mrr@4", "hit@1", "r_precision", "ndcg@4"]
    report = evaluated({0: [0, 1, 2, 3]}, {0: {1: 3.0, 3: 1.0, 9: 2.0}}, names)
    gain = 3 / math.log2(3) + 1 / math.log2(5)
    best = 3 + 2 / math.log2(3) + 1 / 2
    expected = [2 / 4, 2 / 3, (1 / 2 + 2 / 4) / 3, 1 / 2, 0.0, 1 / 3, gain / best]
    assert [report[name].mean for name in names] == pytest.approx(expected, rel=1e-14)


@given(rows=lists_of, data=st.data())
@settings(max_examples=100, deadline=None)
def test_ndcg_is_in_the_unit_interval_and_one_for_the_ideal_list(
    rows: list[list[int]], data: st.DataObject
) -> None:
    lists = dict(enumerate(rows))
    grades = {user: data.draw(grades_of.filter(bool)) for user in lists}
    values = evaluated(lists, grades, ["ndcg@5"]).per_user("ndcg@5")
    assert ((values >= 0) & (values <= 1)).all()
    for user, value in enumerate(values):
        got = [grades[user].get(item, 0.0) for item in lists[user][:5]]
        best = sorted(grades[user].values(), reverse=True)[:5]
        assert (value == 1.0) == (got + [0.0] * (5 - len(got)) == best + [0.0] * (5 - len(best)))


@pytest.mark.parametrize("stem", REFERENCE)
def test_places_below_the_cut_do_not_matter(stem: str) -> None:
    grades = {0: {1: 2.0, 4: 1.0, 7: 3.0}}
    whole = evaluated({0: [5, 1, 3, 4, 7, 2]}, grades, [f"{stem}@3"])
    cut = evaluated({0: [5, 1, 3]}, grades, [f"{stem}@3"])
    other = evaluated({0: [5, 1, 3, 8, 9]}, grades, [f"{stem}@3"])
    assert whole[f"{stem}@3"].mean == cut[f"{stem}@3"].mean == other[f"{stem}@3"].mean


@given(rows=lists_of, data=st.data(), k=st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_a_hit_in_place_of_a_miss_never_lowers(
    rows: list[list[int]], data: st.DataObject, k: int
) -> None:
    lists = dict(enumerate(rows))
    grades = {user: data.draw(grades_of.filter(bool)) for user in lists}
    grades[0] = {**grades[0], ITEMS + 9: 1.0}
    better = dict(lists)
    misses = [rank for rank, item in enumerate(lists[0]) if item not in grades[0]]
    if misses:
        place = data.draw(st.sampled_from(misses))
        better[0] = [*lists[0][:place], ITEMS + 9, *lists[0][place + 1 :]]
    names = [f"{stem}@{k}" for stem in REFERENCE]
    before, after = evaluated(lists, grades, names), evaluated(better, grades, names)
    for name in names:
        assert after.per_user(name)[0] >= before.per_user(name)[0]


@given(rows=lists_of, data=st.data(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_order_of_users_and_names_of_items_change_no_bit(
    rows: list[list[int]], data: st.DataObject, seed: int
) -> None:
    lists = dict(enumerate(rows))
    grades = {user: data.draw(grades_of) for user in lists}
    names = [f"{stem}@5" for stem in REFERENCE]
    plain = evaluated(lists, grades, names)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lists)).tolist()
    label = {item: f"item-{place}" for item, place in enumerate(rng.permutation(ITEMS + 3))}
    other = Suite(names).evaluate(
        Rankings.from_lists({u: [label[i] for i in lists[u]] for u in order}),
        Truth.from_lists(
            {u: {label[i]: g for i, g in grades[u].items()} for u in reversed(order)}
        ),
    )
    for name in names:
        np.testing.assert_array_equal(other.per_user(name), plain.per_user(name)[order])


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_batches_and_merges_change_no_bit(cut: int) -> None:
    rng = np.random.default_rng(3)
    lists = {u: rng.permutation(ITEMS)[:8].tolist() for u in range(20)}
    grades = {u: {int(i): 1.0 + i % 3 for i in rng.permutation(ITEMS)[: u % 5]} for u in lists}
    names = [*(f"{stem}@5" for stem in REFERENCE), "coverage@5", "gini@5", "personalisation@5"]
    suite = Suite(names)
    whole = suite.evaluate(Rankings.from_lists(lists), Truth.from_lists(grades), catalog_size=40)
    states = []
    for low in range(0, 20, cut):
        state = suite.start(catalog_size=40)
        part = [u for u in lists if low <= u < low + cut]
        state.update(
            Rankings.from_lists({u: lists[u] for u in part}),
            Truth.from_lists({u: grades[u] for u in part}),
        )
        states.append(state)
    merged = states[0]
    for state in states[1:]:
        merged = merged.merge(state)
    parts = merged.compute()
    assert parts.policies == whole.policies
    for name in whole.per_user_names:
        np.testing.assert_array_equal(parts.per_user(name), whole.per_user(name))
    for name in names:
        assert parts[name].mean == pytest.approx(whole[name].mean, rel=1e-14)
        assert parts[name].interval == pytest.approx(whole[name].interval, rel=1e-12)


def test_constant_memory_keeps_means_and_intervals() -> None:
    rng = np.random.default_rng(4)
    lists = {u: rng.permutation(ITEMS)[:8].tolist() for u in range(30)}
    grades = {u: {int(i): 1.0 for i in rng.permutation(ITEMS)[: u % 5]} for u in lists}
    suite = Suite(["ndcg@5", "mrr@5", "coverage@5"])
    whole = suite.evaluate(Rankings.from_lists(lists), Truth.from_lists(grades), catalog_size=40)
    states = []
    for low in range(0, 30, 10):
        state = suite.start(catalog_size=40, keep_users=False)
        for user in range(low, low + 10):
            state.update(
                Rankings.from_lists({user: lists[user]}), Truth.from_lists({user: grades[user]})
            )
        states.append(state)
    report = states[0].merge(states[1]).merge(states[2]).compute()
    for name in suite.names:
        assert report[name].mean == pytest.approx(whole[name].mean, rel=1e-12)
        assert report[name].interval == pytest.approx(whole[name].interval, rel=1e-9)
        assert report[name].n == whole[name].n
    assert "30 users" in report.to_markdown()
    with pytest.raises(InvalidParameterError, match="a metric with per-user values"):
        report.per_user("ndcg@5")
    with pytest.raises(InvalidDataError, match="equal metrics and policies"):
        states[0].merge(suite.start(catalog_size=40))
    with pytest.raises(InvalidParameterError, match="keep_users must be True with"):
        Suite(["mrr"], empty_truth="nan").start(keep_users=False)


def test_relevance_threshold_for_a_suite_or_for_one_metric() -> None:
    lists, grades = {0: [1, 2, 3]}, {0: {1: 1.0, 3: 4.0}}
    strict = Suite(["mrr@3", "recall@3"], relevance=4.0).evaluate(
        Rankings.from_lists(lists), Truth.from_lists(grades)
    )
    assert strict["mrr@3"].mean == pytest.approx(1 / 3)
    one = evaluated(lists, grades, ["mrr(rel>=4)@3", "mrr@3"])
    assert one["mrr(rel>=4)@3"].mean == pytest.approx(1 / 3)
    assert one["mrr@3"].mean == 1.0
