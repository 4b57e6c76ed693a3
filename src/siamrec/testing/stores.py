"""What every store of feedback must satisfy, ours and those of others."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from typing_extensions import override

from siamrec.data import NO_TIME, Feedback, FeedbackKind
from siamrec.testing.feedback import FeedbackSinkContract, rows_of, sample_feedback


class StoreContract(FeedbackSinkContract):
    """Subclass it as `class TestMine(StoreContract)`; say how to open an empty store, and again.

    It asks for what `FeedbackSinkContract` asks for, and beyond: keys, conflicts, every column,
    writers beside each other, and that what was acknowledged is there when a store is opened
    again. `write(feedback, keys=...)` returns something with `accepted`, `duplicates` and
    `conflicts`.
    """

    @abstractmethod
    def reopened(self, store: Any) -> Any:
        """Return the same store as another process would open it."""

    @override
    def test_writing_twice_stores_once(self) -> None:
        store, feedback = self.empty(), sample_feedback()
        first, second = store.write(feedback), store.write(feedback)
        assert (first.accepted, first.duplicates) == (len(feedback), 0)
        assert (second.accepted, second.duplicates) == (0, len(feedback))
        assert sorted(rows_of(store.read())) == sorted(rows_of([feedback]))

    @override
    def test_order_of_writing_does_not_matter(self) -> None:
        feedback, store = sample_feedback(), self.empty()
        for row in reversed(range(len(feedback))):
            store.write(feedback.where(np.asarray([row])))
        assert sorted(rows_of(store.read())) == sorted(rows_of([feedback]))
        times = [row[-1] for row in rows_of(store.read())]
        assert times == sorted(times)

    def test_it_is_there_when_opened_again(self) -> None:
        store = self.empty()
        store.write(sample_feedback())
        again = self.reopened(store)
        assert rows_of(again.read()) == rows_of(store.read())
        assert again.write(sample_feedback()).duplicates == len(sample_feedback())

    def test_repeats_within_a_batch_are_stored_once(self) -> None:
        store = self.empty()
        twice = Feedback.concat([sample_feedback(), sample_feedback()])
        receipt = store.write(twice)
        n = len(sample_feedback())
        assert (receipt.accepted, receipt.duplicates) == (n, n)

    def test_a_key_with_other_content_is_a_conflict(self) -> None:
        store = self.empty()
        one, two = (Feedback.of(user=["a"], item=["x"], value=[v], time=[1]) for v in (1, 5))
        assert store.write(one, keys=["k"]).accepted == 1
        receipt = store.write(two, keys=["k"])
        assert (receipt.accepted, tuple(receipt.conflicts)) == (0, ("k",))
        assert store.write(one, keys=["k"]).duplicates == 1
        assert store.write(one, keys=["another"]).accepted == 1
        assert [row[2] for row in rows_of(store.read())] == [1.0, 1.0]

    def test_every_column_is_kept(self) -> None:
        store = self.empty()
        feedback = Feedback.from_frame(
            {
                "user": ["a", "b", "ü"],
                "item": ["x", "y", "x"],
                "value": [0.1, -2.5, 1e-7],
                "kind": ["click", "rating", "dwell"],
                "weight": [1.0, 0.5, 2.0],
                "query": ["red 'shoes'", None, "日本"],
                "position": [3, 1, 2],
                "propensity": [0.25, 1.0, 0.5],
                "decision": ["d1", "d2", "d3"],
                "device": ["phone", "web", "web"],
                "time": [30, 10, 20],
            },
            value="value", time="time", kind="kind", weight="weight", query="query",
            position="position", propensity="propensity", decision="decision",
            context=["device"],
        )  # fmt: skip
        store.write(feedback)
        (found,) = store.read()
        assert found.time.tolist() == sorted(feedback.time.tolist())
        stored = found.to_arrow().drop_columns(["time"])
        expected = feedback.sorted().to_arrow().select(stored.column_names)
        assert stored.to_pylist() == expected.to_pylist()
        assert set(expected.column_names) >= {"query", "position", "propensity", "device"}

    def test_events_without_a_time_come_first(self) -> None:
        store = self.empty()
        store.write(Feedback.of(user=["a", "b"], item=["x", "x"], time=[5, NO_TIME]))
        assert [row[0] for row in rows_of(store.read())] == ["b", "a"]
        assert [row[0] for row in rows_of(store.read(since=0))] == ["a"]

    def test_kinds_are_part_of_what_an_event_is(self) -> None:
        store = self.empty()
        for kind in FeedbackKind:
            assert store.write(
                Feedback.of(user=["a"], item=["x"], time=[1], kind=kind)
            ).accepted == 1  # fmt: skip

    def test_writers_beside_each_other_store_once(self) -> None:
        store = self.empty()
        parts = [sample_feedback().where(np.asarray([row, (row + 1) % 10])) for row in range(10)]
        with ThreadPoolExecutor(4) as pool:
            receipts = list(pool.map(store.write, parts * 2))
        assert sum(receipt.accepted for receipt in receipts) == 10
        assert sum(receipt.duplicates for receipt in receipts) == 30
        assert len(rows_of(store.read())) == 10
