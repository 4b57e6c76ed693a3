"""What every feedback source and sink must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError
from siamrec.feedback import FILE_FORMATS, FileFeedback
from siamrec.protocols import FeedbackSink, FeedbackSource
from siamrec.testing.sample import COLUMNS, every_column, records_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from siamrec.feedback import FileFormat


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
    """Subclass it as `class TestMine(FeedbackSourceContract)` and say how to build one.

    Attributes:
        columns: What the source can carry of an event.
        numbers: Whether ids that are whole numbers stay what they are.
        instants: Whether times are told to the nanosecond, before 1970 too, and may be missing.
    """

    columns: tuple[str, ...] = COLUMNS
    numbers: bool = True
    instants: bool = True

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

    def test_every_column_survives(self) -> None:
        feedback = every_column()
        if not self.instants:
            seconds = 10**18 + 10**9 * np.arange(len(feedback))
            feedback = replace(feedback, time=seconds)
        found = records_of(self.make(feedback).read(), self.columns)
        assert sorted(found, key=repr) == sorted(records_of([feedback], self.columns), key=repr)

    def test_whole_numbers_stay_whole_numbers(self) -> None:
        if not self.numbers:
            pytest.skip("The source holds ids as text.")
        feedback = every_column(numbers=True)
        found = records_of(self.make(feedback).read(), ("user", "item"))
        expected = records_of([feedback], ("user", "item"))
        assert sorted(found, key=repr) == sorted(expected, key=repr)

    def test_events_without_a_time_come_first_and_outside_of_bounds(self) -> None:
        if not self.instants:
            pytest.skip("The source tells times by the second.")
        source = self.make(every_column())
        times = [row["time"] for row in records_of(source.read(), ("time",))]
        assert times == sorted(every_column().time.tolist())
        bounded = [row["time"] for row in records_of(source.read(since=-10, until=2), ("time",))]
        assert bounded == [-1, 0, 1]

    def test_nothing_is_read_from_nothing(self) -> None:
        assert not rows_of(self.make(Feedback.of(user=[], item=[])).read())
        assert not rows_of(self.make(sample_feedback()).read(since=10**6))

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


class FileFormatContract(ABC):
    """Subclass it as `class TestMine(FileFormatContract)`; say how a file of the format looks."""

    @abstractmethod
    def make(self) -> FileFormat:
        """Return the format under test."""

    @abstractmethod
    def sample(self) -> bytes:
        """Return a file of the format, with good rows only."""

    def test_a_sample_is_read_without_a_row_set_apart(self, tmp_path: Path) -> None:
        (tmp_path / "sample").write_bytes(self.sample())
        loaded = FileFeedback(path=tmp_path / "sample", format=self.make()).load()
        assert len(loaded.feedback)
        assert not loaded.rejected

    def test_a_sample_is_recognised_and_of_no_format_of_the_house(self, tmp_path: Path) -> None:
        (tmp_path / "sample").write_bytes(self.sample())
        known = self.make()
        loaded = FileFeedback(path=tmp_path / "sample", format=known).load()
        names = (*loaded.columns.values(), *loaded.unused)
        line = self.sample().split(b"\n", 1)[0].decode("utf-8", errors="replace").rstrip("\r")
        assert known.fits((*names, *known.header), line)
        for other in FILE_FORMATS.house().values():
            assert other is known or not other.fits(names, line)
