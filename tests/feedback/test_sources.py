"""Sources over queries, iterables and several sources."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import NO_TIME, Feedback
from siamrec.errors import InvalidDataError
from siamrec.feedback import IterableFeedback, MemoryFeedback, MergedFeedback, SqlFeedback
from siamrec.testing.feedback import FeedbackSourceContract, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import FeedbackSource


class TestIterableFeedback(FeedbackSourceContract):
    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        middle = len(feedback) // 2
        rows = np.arange(len(feedback))
        halves = [feedback.where(rows[:middle]), feedback.where(rows[middle:])]
        return IterableFeedback(lambda: iter(halves))


class TestMergedFeedback(FeedbackSourceContract):
    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        rows = np.arange(len(feedback))
        first, second = feedback.where(rows[:7]), feedback.where(rows[3:])
        return MergedFeedback((MemoryFeedback(first), MemoryFeedback(second)))


class TestSqlFeedback(FeedbackSourceContract):
    columns = ("user", "item", "value")  # what the query asks for
    instants = False

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> None:
        self.path = tmp_path / "shop.db"

    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        with sqlite3.connect(self.path) as base:
            base.execute("CREATE TABLE IF NOT EXISTS said (who, what, stars, at)")
            base.execute("DELETE FROM said")
            rows = [(*row, None if at == NO_TIME else at) for *row, at in rows_of([feedback])]
            base.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)
        base.close()
        # Small whole numbers are read as seconds; these are nanoseconds written as seconds.
        query = 'SELECT who AS "user", what AS item, stars AS value, at / 1e9 AS time FROM said'
        return SqlFeedback(connect=lambda: sqlite3.connect(self.path), query=query)


def test_a_query_takes_parameters_and_the_known_columns() -> None:
    query = "SELECT ? AS user, 'x' AS item, 'click' AS kind, 'red' AS query, 3 AS unknown"
    source = SqlFeedback(
        connect=lambda: sqlite3.connect(":memory:"), query=query, parameters=("ann",)
    )
    (batch,) = source.read()
    assert (batch.users.ids, batch.queries.ids, batch.kind.tolist()) == (("ann",), ("red",), [1])
    with pytest.raises(InvalidDataError, match="must give the columns user and item, got a"):
        list(
            SqlFeedback(connect=lambda: sqlite3.connect(":memory:"), query="SELECT 1 AS a").read()
        )
    empty = "SELECT 'a' AS user, 'b' AS item WHERE 0"
    assert list(SqlFeedback(connect=lambda: sqlite3.connect(":memory:"), query=empty).read()) == []


def test_merging_keeps_what_one_source_repeats() -> None:
    twice = MemoryFeedback(Feedback.of(user=["a", "a"], item=["x", "x"], time=[1, 1]))
    once = MemoryFeedback(Feedback.of(user=["a", "b"], item=["x", "x"], time=[1, 1]))
    assert len(rows_of(MergedFeedback((twice, once)).read())) == 3
    assert len(rows_of(MergedFeedback((once, twice)).read())) == 2
    assert len(rows_of(MergedFeedback((twice, once), within=True).read())) == 2
    assert list(MergedFeedback(()).read()) == []


def test_merging_fills_columns_that_a_source_has_not() -> None:
    rich = Feedback.from_frame(
        {"user": ["a"], "item": ["x"], "decision": ["d"], "query": ["q"], "device": ["web"]},
        decision="decision", query="query", context=["device"],
    )  # fmt: skip
    plain = Feedback.of(user=["a"], item=["x"])
    (merged,) = MergedFeedback((MemoryFeedback(rich), MemoryFeedback(plain))).read()
    assert merged.decision is not None
    assert merged.query is not None
    assert sorted(merged.decision.tolist()) == ["", "d"]
    assert sorted(merged.query.tolist()) == [-1, 0]
    assert set(merged.context["device"].tolist()) == {"web", None}
