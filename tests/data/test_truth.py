"""Truth: rows, order, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, UnknownNameError

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")


def test_lists_sets_and_grades_give_rows_in_item_order() -> None:
    truth = Truth.from_lists({"ann": {"z": 2.0, "a": 1.0}, "bob": ["a"], "eve": set()})
    assert truth.items.ids == ("z", "a")
    assert truth.start.tolist() == [0, 2, 3, 3]
    assert truth.item.tolist() == [0, 1, 1]
    assert truth.grade.tolist() == [2.0, 1.0, 1.0]
    assert truth.lists() == {"ann": {"z": 2.0, "a": 1.0}, "bob": {"a": 1.0}, "eve": {}}


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, dict])
def test_frames_of_any_kind_come_in(make: type) -> None:
    frame = make({"who": ["b", "a", "b"], "what": [7, 7, 3], "stars": [4.0, 5.0, 0.0]})
    truth = Truth.from_frame(frame, user="who", item="what", grade="stars")
    assert truth.lists() == {"b": {7: 4.0, 3: 0.0}, "a": {7: 5.0}}


def test_arrow_round_trip() -> None:
    truth = Truth.from_lists({"ann": {"z": 2.0, "a": 1.0}, "bob": ["a"]})
    again = Truth.from_frame(truth.to_arrow(), grade="grade")
    assert again.lists() == truth.lists()


def test_arrays_of_codes_are_their_own_ids() -> None:
    truth = Truth.from_arrays(user=[1, 0, 1], item=[2, 0, 1])
    assert truth.lists() == {0: {0: 1.0}, 1: {1: 1.0, 2: 1.0}}


def test_columns_are_read_only() -> None:
    truth = Truth.from_lists({"ann": ["a"]})
    with pytest.raises(ValueError, match="read-only"):
        truth.grade[0] = 3.0


def test_nobody_is_a_truth() -> None:
    assert len(Truth.from_lists({})) == 0
    assert Truth.from_lists({"ann": []}).n_judged.tolist() == [0]


def test_negative_grade_is_refused() -> None:
    with pytest.raises(InvalidDataError, match=r"grade must not be negative, got -1\.0"):
        Truth.from_lists({"ann": {"a": -1.0}})


def test_nan_grade_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="grade must be finite"):
        Truth.from_lists({"ann": {"a": float("nan")}})


def test_an_item_judged_twice_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="out of order or twice"):
        Truth.from_arrays(user=[0, 0], item=[1, 1])


def test_unsorted_rows_are_refused() -> None:
    two = Vocabulary((0, 1))
    with pytest.raises(InvalidDataError, match="must rise within each user"):
        Truth(
            users=Vocabulary((0,)),
            items=two,
            start=np.array([0, 2]),
            item=np.array([1, 0], dtype=np.int32),
            grade=np.ones(2),
        )


def test_codes_may_fall_from_one_user_to_the_next_over_empty_rows() -> None:
    truth = Truth.from_arrays(user=[0, 3], item=[5, 0], users=Vocabulary((0, 1, 2, 3)))
    assert truth.n_judged.tolist() == [1, 0, 0, 1]


def test_code_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="item must hold codes below 2, got 2 in row 0"):
        Truth.from_arrays(user=[0], item=[2], items=Vocabulary(("a", "b")))


def test_unknown_column_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'usr'"):
        Truth.from_frame({"user": ["a"], "item": ["b"]}, user="usr")
