"""Labels by hand, bursts against a slow count, spam, and filters as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.data import NO_TIME, Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.feedback import (
    BurstFilter,
    FilteredFeedback,
    LabelRules,
    MemoryFeedback,
    Scale,
    SpamFilter,
)
from siamrec.testing.feedback import FeedbackSourceContract

if TYPE_CHECKING:
    from siamrec.protocols import FeedbackSource

SECOND = 10**9


class TestFiltered(FeedbackSourceContract):
    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        return FilteredFeedback(MemoryFeedback(feedback), ())


def test_rules_follow_a_scale() -> None:
    rules = LabelRules.on(Scale(1, 10))
    assert (rules.like, rules.dislike) == (8, 4)
    assert LabelRules.on(Scale(1, 5)) == LabelRules()
    assert (Scale(-10, 10).like, Scale(-10, 10).dislike) == (5, -5)
    assert Scale.around(-30, 7) == (-30, 7)


def test_every_kind_has_its_label() -> None:
    kinds = [
        (FeedbackKind.RATING, 4.0, 1.0), (FeedbackKind.RATING, 3.0, np.nan),
        (FeedbackKind.RATING, 2.0, 0.0), (FeedbackKind.THUMB, 1.0, 1.0),
        (FeedbackKind.THUMB, -1.0, 0.0), (FeedbackKind.DWELL, 30.0, 1.0),
        (FeedbackKind.DWELL, 10.0, np.nan), (FeedbackKind.DWELL, 3.0, 0.0),
        (FeedbackKind.CLICK, 1.0, 1.0), (FeedbackKind.CONVERSION, 1.0, 1.0),
        (FeedbackKind.VIEW, 1.0, np.nan), (FeedbackKind.COMMENT, 1.0, np.nan),
    ]  # fmt: skip
    n = len(kinds)
    feedback = Feedback.of(
        user=["a"] * n, item=range(n), value=[v for _, v, _ in kinds], kind=[k for k, *_ in kinds]
    )
    expected = np.asarray([label for *_, label in kinds])
    np.testing.assert_array_equal(LabelRules()(feedback), expected)
    shown = LabelRules(view="no")(feedback)
    assert shown[10] == 0
    labelled = LabelRules().labelled(feedback)
    assert labelled.value.tolist() == expected[~np.isnan(expected)].tolist()
    with pytest.raises(InvalidParameterError, match="dislike must be below like"):
        LabelRules(like=2.0)
    with pytest.raises(InvalidParameterError, match="bounce must be in"):
        LabelRules(stay=2.0)
    with pytest.raises(UnknownNameError, match="No view is named"):
        LabelRules(view="maybe")  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 30))), max_size=25),
    st.integers(1, 4),
    st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_a_burst_is_any_window_with_too_many(
    rows: list[tuple[int, int | None]], most: int, per: int
) -> None:
    feedback = Feedback.of(
        user=[user for user, _ in rows],
        item=["x"] * len(rows),
        time=np.asarray([NO_TIME if t is None else t * SECOND for _, t in rows], dtype=np.int64),
    )
    found = BurstFilter(most=most, per=f"{per}s").suspects(feedback)

    def is_suspect(row: int) -> bool:
        user, time = rows[row]
        if time is None:
            return False
        mine = [t for u, t in rows if u == user and t is not None]
        starts = [s for s in mine if s <= time < s + per]
        return any(sum(s <= t < s + per for t in mine) > most for s in starts)

    assert found.tolist() == [is_suspect(row) for row in range(len(rows))]


def test_spam_is_one_value_or_repetition() -> None:
    users = ["one"] * 20 + ["two"] * 20 + ["few"] * 3 + ["eager"] * 8
    items: list[Any] = [*range(20), *range(20), *range(3), *["x"] * 8]
    values = [5] * 20 + [5] * 18 + [1] * 2 + [5] * 3 + [1] * 8
    kinds = [FeedbackKind.RATING] * 43 + [FeedbackKind.CLICK] * 8
    feedback = Feedback.of(
        user=users, item=items, value=values, kind=kinds, time=np.arange(51)[::-1].copy()
    )
    suspects = SpamFilter(least=20, same=0.95, repeats=5).suspects(feedback)
    assert suspects[:20].all()
    assert not suspects[20:43].any()
    # of the eight clicks, in time order from the last row to the first, five count
    assert suspects[43:].tolist() == [True] * 3 + [False] * 5
    kept = list(FilteredFeedback(MemoryFeedback(feedback)).read())
    assert sum(map(len, kept)) == 51 - 20 - 3
    empty = FilteredFeedback(MemoryFeedback(Feedback.of(user=[], item=[])))
    assert list(empty.read()) == []
    for wrong in ({"least": 0}, {"same": 0.0}, {"repeats": 0}):
        with pytest.raises(InvalidParameterError):
            SpamFilter(**wrong)
    with pytest.raises(InvalidParameterError, match="per must be a duration"):
        BurstFilter(per="soon")
