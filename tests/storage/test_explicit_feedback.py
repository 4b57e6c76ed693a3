"""One event at a time, as applications collect it, and the summary of what was collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson
from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def shop(url: str) -> Iterator[Store]:
    opened = Store(url, clock=ManualClock(100))
    yield opened
    opened.close()


def test_each_call_is_one_event(shop: Store) -> None:
    decision = shop.bandit("home", BetaThompson(), ("a", "b")).select(unit="ann")
    log = shop.feedback
    assert log.rate("ann", "x", 4, query="red shoes", decision=decision, time=1).accepted == 1
    assert log.click(decision, "y", 3, time=2).accepted == 1
    assert log.click(decision.id, "y", time=3).accepted == 1
    assert log.thumbs("bob", 7, up=False, time=4).accepted == 1
    assert log.comment("bob", 7, "too long", time=5).accepted == 1
    assert log.dwell("bob", 7, 12.5).accepted == 1
    found = log.read_all()
    assert found.users.decode(found.user) == ["ann", "ann", "ann", "bob", "bob", "bob"]
    assert found.items.decode(found.item) == ["x", "y", "y", 7, 7, 7]
    assert found.value.tolist() == [4, 1, 1, -1, 1, 12.5]
    assert [FeedbackKind(kind).name for kind in found.kind.tolist()] == [
        "RATING", "CLICK", "CLICK", "THUMB", "COMMENT", "DWELL",
    ]  # fmt: skip
    assert found.time.tolist() == [1, 2, 3, 4, 5, 100]
    assert found.position is not None
    assert found.position.tolist() == [0, 3, 0, 0, 0, 0]
    assert found.decision is not None
    assert found.decision.tolist() == [decision.id] * 3 + [""] * 3
    assert found.context["comment"].tolist() == [None] * 4 + ["too long", None]
    assert found.query is not None
    assert found.queries.ids == ("red shoes",)
    assert found.query.tolist() == [0, -1, -1, -1, -1, -1]


def test_a_repeated_request_counts_once(shop: Store) -> None:
    assert shop.feedback.rate("ann", "x", 4, key="request-1").accepted == 1
    assert shop.feedback.rate("ann", "x", 4, key="request-1").duplicates == 1
    assert shop.feedback.rate("ann", "x", 5, key="request-1").conflicts == ("request-1",)


def test_the_summary_by_hand(shop: Store) -> None:
    shop.feedback.write(
        Feedback.of(user=["a", "a", "b", "b"], item=["x", "y", "x", "y"], value=[5, 4, 4, 1])
    )
    shop.feedback.thumbs("c", "z", up=True)
    summary = shop.feedback.summary(n_items=12)
    assert (summary.n_events, summary.n_users, summary.n_items) == (5, 3, 3)
    assert summary.kinds == {"rating": 4, "thumb": 1}
    assert summary.ratings == {1.0: 1, 4.0: 2, 5.0: 1}
    assert summary.mean_rating == 3.5
    # a: (1.5 + 0.5) / (2 + 5); b: (0.5 - 2.5) / 7
    assert summary.user_bias == pytest.approx({"a": 2 / 7, "b": -2 / 7})
    assert summary.item_bias == pytest.approx({"x": 2 / 7, "y": -2 / 7})
    assert summary.low_rated == pytest.approx({"y": 1 / 7})
    assert summary.coverage == 0.25


def test_an_empty_store_has_a_summary(shop: Store) -> None:
    summary = shop.feedback.summary()
    assert (summary.n_events, summary.mean_rating, summary.coverage) == (0, None, None)
    assert summary.user_bias == {}


def test_bad_events_are_refused(shop: Store) -> None:
    log = shop.feedback
    with pytest.raises(InvalidParameterError, match=r"value must be in \[1, 5\], got 6"):
        log.rate("ann", "x", 6)
    with pytest.raises(InvalidParameterError, match="seconds must be"):
        log.dwell("ann", "x", -1)
    with pytest.raises(InvalidParameterError, match="position must be"):
        log.click(None, "x", 0, user="ann")
    with pytest.raises(MissingInputError, match="user is needed here"):
        log.click(None, "x")
    with pytest.raises(MissingInputError, match="user is needed here"):
        log.click("no such decision", "x")
    for text in ("a\0b", "\ud800"):
        with pytest.raises(InvalidDataError, match="no NUL and no lone surrogate"):
            log.rate(text, "x", 4)
        with pytest.raises(InvalidParameterError, match="query must be .*(NUL|Unicode)"):
            log.rate("ann", "x", 4, query=text)
        with pytest.raises(InvalidParameterError, match="decision must be .*(NUL|Unicode)"):
            log.rate("ann", "x", 4, decision=text)
        with pytest.raises(InvalidParameterError, match="key must be .*(NUL|Unicode)"):
            log.rate("ann", "x", 4, key=text)
    assert shop.counts()["event"] == 0


def test_context_that_is_not_known_is_left_out(shop: Store) -> None:
    frame = {"user": ["a", "b"], "item": ["x", "y"], "score": [np.nan, 0.5], "at": [1, 2]}
    shop.feedback.write(Feedback.from_frame(frame, context=["score"], time="at"))
    found = shop.feedback.read_all().context["score"]
    np.testing.assert_array_equal(found, [np.nan, 0.5])
    endless = Feedback.from_frame({**frame, "score": [1.0, np.inf]}, context=["score"])
    with pytest.raises(InvalidDataError, match="Context columns must be JSON values"):
        shop.feedback.write(endless)
