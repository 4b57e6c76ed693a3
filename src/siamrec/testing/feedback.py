"""What every feedback source and sink must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError
from siamrec.protocols import FeedbackSink, FeedbackSource

if TYPE_CHECKING:
    from collections.abc import Iterable


def sample_feedback() -> Feedback:
    """Return ten ratings out of time order, with two events in one instant."""
    return Feedback.of(
        user=["ann", "bob", "ann", "cid", "bob", "dan", "ann", "cid", "dan", "bob"],
        item=["x", "y", "z", "x", "x", "y", "y", "w", "w", "z"],
        value=[5, 3, 4, 1, 2.5, 5, 4, 3, 2, 1],
        time=[70, 20, 30, 30, 10, 90, 80, 60, 50, 40],
    )


def rows_of(batches: Iterable[Feedback]) -> list[tuple[Any, ...]]:
    """Return user, item, value and time of every event, in order."""
    return [
        row
        for batch in batches
        for row in zip(
            batch.users.decode(batch.user),
            batch.items.decode(batch.item),
            batch.value.tolist(),
            batch.time.tolist(),
            strict=True,
        )
    ]


class FeedbackSourceContract(ABC):
    """Subclass it as `class TestMine(FeedbackSourceContract)` and say how to build one."""

    @abstractmethod
    def make(self, feedback: Feedback) -> FeedbackSource:
        """Return a source that holds exactly these events."""

    def test_satisfies_the_protocol(self) -> None:
        assert isinstance(self.make(sample_feedback()), FeedbackSource)

    def test_reads_every_event_in_time_order(self) -> None:
        rows = rows_of(self.make(sample_feedback()).read())
        assert sorted(rows) == sorted(rows_of([sample_feedback()]))
        times = [row[-1] for row in rows]
        assert times == sorted(times)

    def test_reading_twice_gives_the_same(self) -> None:
        source = self.make(sample_feedback())
        assert rows_of(source.read()) == rows_of(source.read())

    @pytest.mark.parametrize("batch_rows", [1, 3, 10, 1000])
    def test_batches_do_not_change_what_is_read(self, batch_rows: int) -> None:
        source = self.make(sample_feedback())
        batches = list(source.read(batch_rows=batch_rows))
        assert all(0 < len(batch) <= batch_rows for batch in batches)
        assert rows_of(batches) == rows_of(source.read())

    def test_bounds_are_half_open(self) -> None:
        times = [row[-1] for row in rows_of(self.make(sample_feedback()).read(since=30, until=70))]
        assert times == [30, 30, 40, 50, 60]

    def test_batch_rows_must_be_positive(self) -> None:
        with pytest.raises(InvalidParameterError, match="batch_rows must be a whole number"):
            list(self.make(sample_feedback()).read(batch_rows=0))


class FeedbackSinkContract(FeedbackSourceContract):
    """A store is a source and a sink: writing an event twice stores it once."""

    @abstractmethod
    def empty(self) -> Any:
        """Return an empty store that is a `FeedbackSource` and a `FeedbackSink`."""

    @override
    def make(self, feedback: Feedback) -> FeedbackSource:
        store = self.empty()
        store.write(feedback)
        source: FeedbackSource = store
        return source

    def test_is_a_sink(self) -> None:
        assert isinstance(self.empty(), FeedbackSink)

    def test_writing_twice_stores_once(self) -> None:
        store, feedback = self.empty(), sample_feedback()
        first, second = store.write(feedback), store.write(feedback)
        assert (first.accepted, first.duplicates) == (len(feedback), 0)
        assert (second.accepted, second.duplicates) == (0, len(feedback))
        assert rows_of(store.read()) == rows_of(self.make(feedback).read())

    def test_order_of_writing_does_not_matter(self) -> None:
        feedback = sample_feedback()
        backwards = self.empty()
        for row in reversed(range(len(feedback))):
            backwards.write(feedback.where(np.asarray([row])))
        assert sorted(rows_of(backwards.read())) == sorted(rows_of(self.make(feedback).read()))
