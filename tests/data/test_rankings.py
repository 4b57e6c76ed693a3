"""Rankings: constructors agree, order is kept, bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

LISTS = {"ann": ["a", "b", "c"], "bob": ["c"], "eve": []}


def test_lists_round_trip() -> None:
    rankings = Rankings.from_lists(LISTS)
    assert rankings.lists() == LISTS
    assert rankings.length.tolist() == [3, 1, 0]
    assert rankings.rank.tolist() == [0, 1, 2, 0]
    assert rankings.owner.tolist() == [0, 0, 0, 1]


def test_padding_and_cutting() -> None:
    rankings = Rankings.from_lists(LISTS)
    assert rankings.padded(2).tolist() == [[0, 1], [2, -1], [-1, -1]]
    assert rankings.padded(4).tolist() == [[0, 1, 2, -1], [2, -1, -1, -1], [-1] * 4]
    assert rankings.top(1).lists() == {"ann": ["a"], "bob": ["c"], "eve": []}
    assert rankings.top(9) is rankings


def test_padding_equal_lists_is_free() -> None:
    codes = np.array([[0, 1], [1, 0]], dtype=np.int32)
    rankings = Rankings.from_arrays(codes)
    assert np.shares_memory(rankings.padded(2), codes)
    assert np.shares_memory(rankings.padded(1), codes)
    assert not rankings.padded(1).flags.writeable
    assert codes.flags.writeable


def test_minus_one_is_no_item_wherever_it_stands() -> None:
    rankings = Rankings.from_arrays([[3, -1, 1], [-1, -1, -1]], score=[[9, 8, 7], [0, 0, 0]])
    assert rankings.lists() == {0: [3, 1], 1: []}
    assert rankings.score is not None
    assert rankings.score.tolist() == [9.0, 7.0]


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, dict])
def test_frames_are_ordered_by_rank_or_by_score(make: type) -> None:
    columns = {"user": ["b", "a", "b"], "item": [1, 2, 3], "rank": [2, 1, 1], "score": [5, 6, 4]}
    frame = make(columns)
    assert Rankings.from_frame(frame, rank="rank").lists() == {"b": [3, 1], "a": [2]}
    assert Rankings.from_frame(frame, score="score").lists() == {"b": [1, 3], "a": [2]}
    assert Rankings.from_frame(frame).lists() == {"b": [1, 3], "a": [2]}


def test_arrow_holds_rank_score_and_source() -> None:
    rankings = Rankings(
        users=Vocabulary(("ann",)),
        items=Vocabulary(("a", "b")),
        item=np.array([1, 0], dtype=np.int32),
        start=np.array([0, 2]),
        score=np.array([2.0, 1.0]),
        source=np.array([0, -1], dtype=np.int32),
        arms=("svd",),
    )
    assert rankings.to_arrow().to_pydict() == {
        "user": ["ann", "ann"],
        "item": ["b", "a"],
        "rank": [1, 2],
        "score": [2.0, 1.0],
        "source": ["svd", None],
    }


def test_scores_leave_out_seen_items_and_minus_infinity() -> None:
    scores = [[0.1, 0.9, 0.5], [0.3, -np.inf, 0.2]]
    seen = Truth.from_arrays(user=[0], item=[1], users=Vocabulary((0, 1)))
    assert Rankings.from_scores(scores, k=2, exclude=seen).lists() == {0: [2, 0], 1: [0, 2]}
    mask = np.array([[True, True, True], [False, False, True]])
    assert Rankings.from_scores(scores, k=2, exclude=mask).lists() == {0: [], 1: [0]}


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=6),
    st.integers(1, 7),
)
@settings(max_examples=100, deadline=None)
def test_best_first_with_ties_in_order_of_item(rows: list[list[int]], k: int) -> None:
    expected = {
        user: sorted(range(5), key=lambda item: (-row[item], item))[:k]
        for user, row in enumerate(rows)
    }
    assert Rankings.from_scores(np.array(rows, dtype=np.float64), k=k).lists() == expected


@given(st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=6))
@settings(max_examples=100, deadline=None)
def test_repeats_are_counted(lists: list[list[int]]) -> None:
    rankings = Rankings.from_lists(dict(enumerate(lists)))
    assert rankings.n_repeats == sum(len(row) - len(set(row)) for row in lists)


def test_places_keep_the_columns_together() -> None:
    rankings = Rankings.from_lists(
        {"ann": ["a", "b"], "bob": ["c"]}, scores={"ann": [2.0, 1.0], "bob": [3.0]}
    )
    turned = rankings.places(np.array([1, 0, 2]))
    assert turned.lists() == {"ann": ["b", "a"], "bob": ["c"]}
    assert turned.score is not None
    assert turned.score.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(InvalidDataError, match="rising users"):
        rankings.places(np.array([2, 0]))


def test_nothing_is_a_ranking() -> None:
    assert Rankings.from_lists({}).padded().shape == (0, 0)
    assert Rankings.from_arrays(np.empty((2, 0), dtype=np.int32)).lists() == {0: [], 1: []}


@pytest.mark.parametrize("bad", [0, -1, 1.5, True])
def test_cut_off_must_be_a_count(bad: float) -> None:
    with pytest.raises(InvalidParameterError, match="k must be a whole number of at least 1"):
        Rankings.from_lists(LISTS).top(bad)  # type: ignore[arg-type]


def test_bad_columns_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="scores must be finite or minus infinity"):
        Rankings.from_scores([[np.nan]], k=1)
    with pytest.raises(InvalidDataError, match="score must be finite"):
        Rankings.from_arrays([[0]], score=[[np.nan]])
    with pytest.raises(InvalidDataError, match="item must hold codes below 1, got 5 in row 0"):
        Rankings.from_arrays([[5]], items=Vocabulary(("a",)))
    with pytest.raises(InvalidDataError, match="matrix of whole numbers"):
        Rankings.from_arrays([[0.5]])
    with pytest.raises(InvalidDataError, match="shape of item"):
        Rankings.from_arrays([[0]], score=[[1.0, 2.0]])
    with pytest.raises(InvalidDataError, match="as long as its scores"):
        Rankings.from_lists({"ann": ["a"]}, scores={"ann": []})
    with pytest.raises(InvalidDataError, match="start of a Rankings must have 2 entries"):
        Rankings(
            users=Vocabulary(("a",)),
            items=Vocabulary(),
            item=np.empty(0, dtype=np.int32),
            start=np.array([0]),
        )
    with pytest.raises(UnknownNameError, match="'rnk'"):
        Rankings.from_frame({"user": ["a"], "item": ["b"]}, rank="rnk")
    with pytest.raises(InvalidParameterError, match="exclude must be a mask of shape"):
        Rankings.from_scores([[1.0]], k=1, exclude=np.zeros((2, 1), dtype=bool))
