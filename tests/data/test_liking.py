"""Which event speaks for a pair, what is a like, and where a scale has its good place."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data import Feedback, FeedbackKind, Rewards, Truth
from siamrec.data.liking import (
    disliked,
    liked,
    places,
    places_of,
    require_places,
    require_threshold,
    speakers,
    threshold,
    top_of,
    voice,
)
from siamrec.errors import InvalidParameterError

KIND = FeedbackKind


def test_every_kind_has_a_voice() -> None:
    assert {kind.name for kind in KIND if voice(np.array([kind]))[0] == 2} == {"RATING", "THUMB"}
    assert {kind.name for kind in KIND if voice(np.array([kind]))[0] == 0} == {
        "IMPRESSION",
        "VIEW",
    }


def test_the_strongest_and_latest_speaks_in_any_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    n = 400
    feedback = Feedback.of(
        user=rng.integers(0, 9, n),
        item=rng.integers(0, 9, n),
        value=rng.integers(1, 6, n),
        kind=rng.integers(0, len(KIND), n),
        time=rng.permutation(n),
    )
    best: dict[tuple[int, int], tuple[int, int, int]] = {}
    for row in range(n):
        pair = (int(feedback.user[row]), int(feedback.item[row]))
        said = (int(voice(feedback.kind[[row]])[0]), int(feedback.time[row]), row)
        best[pair] = max(best.get(pair, said), said)
    expected = {row for *_, row in best.values()}
    rows = speakers(feedback)
    assert set(rows.tolist()) == expected
    assert (np.diff(feedback.time[rows]) > 0).all()
    turned = rng.permutation(n)
    assert set(turned[speakers(feedback.where(turned))].tolist()) == expected


def test_within_a_query_each_has_its_own_speaker() -> None:
    feedback = Feedback.of(user=["a"] * 3, item=["x"] * 3, value=[5, 1, 2], time=[1, 2, 3])
    assert speakers(feedback, np.array([0, -1, 0], np.int32)).tolist() == [1, 2]


def test_what_is_liked_and_disliked_hangs_on_the_kind() -> None:
    kind = np.array([KIND.RATING, KIND.RATING, KIND.THUMB, KIND.THUMB, *(3 * [KIND.DWELL]),
                     KIND.CLICK, KIND.VIEW, KIND.COMMENT])  # fmt: skip
    value = np.array([4, 2, 1, -1, 900, 1, 0, 1, 1, 1], dtype=float)
    assert np.flatnonzero(liked(kind, value, 4.0)).tolist() == [0, 2, 7]
    assert np.flatnonzero(~liked(kind, value, None)).tolist() == [3]
    assert np.flatnonzero(disliked(kind, value, 2.0)).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 5], (4.0, 2.0)),
        ([0.5, 4.5], (4.0, 2.0)),
        ([4, 5], (4.0, 2.0)),
        ([1, 9], (8.0, 4.0)),
        ([0, 100], (80.0, 40.0)),
        ([0, 1], (0.8, 0.4)),
        ([-10, 10], (5.0, -5.0)),
        ([-1, 1], (0.5, -0.5)),
        ([3, 3], (3.0, -np.inf)),
        ([], (4.0, 2.0)),
    ],
)
def test_the_good_place_of_a_scale(values: list[float], expected: tuple[float, float]) -> None:
    assert places_of(np.array(values, dtype=float)) == expected


def test_amounts_have_no_top() -> None:
    like, dislike = places_of(np.array([0.0, 3.0, 7200.0]))
    assert 0 < like < 1e-300
    assert dislike == -np.inf
    assert top_of(np.array([3.0, 7200.0])) == 7200


def test_a_threshold_by_the_scale_takes_what_there_is() -> None:
    rating, view = np.array([KIND.RATING] * 2), np.array([KIND.VIEW] * 2)
    assert threshold("scale", rating, np.array([1.0, 9.0])) == 8.0
    assert threshold("scale", view, np.ones(2)) is None
    assert threshold("scale", np.array([KIND.CLICK]), np.ones(1)) == 4.0
    assert threshold(None, rating, np.ones(2)) is None
    assert threshold(3, rating, np.ones(2)) == 3


def test_thresholds_are_checked() -> None:
    require_threshold("positive", None)
    require_places("scale", 4.0)
    with pytest.raises(InvalidParameterError, match="positive must be a finite number or 'scale'"):
        require_threshold("positive", "stars")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="positive must be"):
        require_threshold("positive", None, optional=False)
    with pytest.raises(InvalidParameterError, match="negative must be below positive, 3"):
        require_places(3.0, 3.0)
    with pytest.raises(InvalidParameterError, match="negative must be below positive, 4"):
        places("scale", 4.5, Feedback.of(user=["a", "a"], item=["x", "y"], value=[1, 5]))


def test_a_truth_is_not_undone_by_a_view() -> None:
    feedback = Feedback.of(
        user=["a"] * 4, item=["x", "x", "y", "z"], value=[5, 1, -1, 200],
        kind=[KIND.RATING, KIND.VIEW, KIND.THUMB, KIND.DWELL], time=[1, 2, 3, 4],
    )  # fmt: skip
    assert Truth.from_feedback(feedback, positive=4).lists() == {"a": {"x": 1.0}}
    assert Truth.from_feedback(feedback, graded=True).lists() == {"a": {"x": 5.0}}
    assert set(Truth.from_feedback(feedback).lists()["a"]) == {"x", "z"}


def test_the_latest_reward_in_time_counts() -> None:
    rewards = Rewards(
        decision=np.array(["p", "p", "q"]), reward=np.array([1.0, 0.0, 1.0]),
        time=np.array([9, 3, 4]), weight=np.array([1.0, 1.0, 0.0]),
    )  # fmt: skip
    assert rewards.by_decision() == {"p": 1.0}
