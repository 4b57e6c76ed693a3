"""Feedback written in small batches by a thread, so that a request does not wait for a commit."""

from __future__ import annotations

import atexit
import os
import weakref
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND, duration
from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidParameterError, MissingInputError, StorageError
from siamrec.storage._spill import Spill
from siamrec.storage._terminated import Terminated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path
    from typing import Self

    from siamrec.data import Feedback
    from siamrec.storage.feedback import FeedbackLog

WhenFull = Literal["block", "drop", "spill"]
"""What happens to an event that finds the queue full."""


_WRITERS: weakref.WeakSet[FeedbackWriter] = weakref.WeakSet()
"""Writers of this process, for the moment after a fork."""


def _begin_in_child() -> None:
    for writer in list(_WRITERS):
        writer.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


@final
class FeedbackWriter(Shown):
    """Collects events and writes them together; made by `Store.writer`. Mutable, thread-safe.

    Events are checked when they are handed in, and are durable after `flush` or `close`; a
    process that is killed loses what is in the queue. `close` runs at exit by itself, and SIGTERM
    stores the queue before it does what it did before: what the host's handler does, or the end.
    A forked child has an empty queue and a thread of its own; what waits is its parent's.

    Attributes:
        n_accepted: Events stored.
        n_duplicates: Events that were there already.
        n_dropped: Events that found the queue full, with `when_full="drop"`.
        n_spilled: Events that went to the spill file.
        n_torn: Lines of the spill file that could not be read, after a crash: they are kept in a
            file beside it, whose name ends in `.torn`.
    """

    def __init__(
        self,
        log: FeedbackLog,
        *,
        max_rows: int,
        max_wait: str | timedelta | float,
        capacity: int,
        when_full: WhenFull,
        spill: str | Path | None,
    ) -> None:
        self._max_rows = check.count("max_rows", max_rows)
        self._capacity = check.count("capacity", capacity)
        self._seconds = duration("max_wait", max_wait) / SECOND
        self._when_full = check.one_of("when_full", when_full, ("block", "drop", "spill"))
        if when_full == "spill" and spill is None:
            raise MissingInputError(
                "spill", "store.writer(when_full='spill', spill='events.jsonl')"
            )
        if capacity < max_rows:
            raise InvalidParameterError("capacity", capacity, f"at least max_rows, {max_rows}")
        self._spill = None if spill is None else Spill(spill)
        self._log = log
        self.n_accepted = self.n_duplicates = self.n_dropped = self.n_spilled = self.n_torn = 0
        self._rows: list[tuple[Any, ...]] = []
        self._writing = 0
        self._urgent = self._closed = False
        self._error: StorageError | None = None
        self._begin()
        self._signal = Terminated(self)
        atexit.register(self.close)
        _WRITERS.add(self)

    def _begin(self) -> None:
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="siamrec-writer", daemon=True)
        self._thread.start()

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: what waits is the parent's, and so was the thread."""
        if self._closed:
            return
        self._rows, self._writing, self._urgent, self._error = [], 0, False, None
        self.n_accepted = self.n_duplicates = self.n_dropped = self.n_spilled = self.n_torn = 0
        self._signal.forget()
        self._begin()

    @override
    def title(self) -> str:
        state = "closed" if self._closed else f"{len(self._rows):,} waiting"
        return f"Feedback writer: {self.n_accepted:,} accepted, {state}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "accepted": self.n_accepted,
            "there already": self.n_duplicates,
            "dropped": self.n_dropped,
            "spilled": self.n_spilled,
            "torn": self.n_torn,
            "waiting": len(self._rows),
        }
        return Table.of(self.title(), facts)

    def write(self, feedback: Feedback, *, keys: Sequence[str] | None = None) -> bool:
        """Hand in events; return whether they were taken (False: dropped).

        Raises:
            siamrec.errors.InvalidDataError: If an id is neither text nor a whole number.
            siamrec.errors.StorageError: If the writer is closed, or the spill file cannot be
                written; the events are not taken then.
        """
        rows = self._log.rows(feedback, keys)
        with self._changed:
            while not self._closed and self._is_full(len(rows)):
                if self._when_full == "drop":
                    self.n_dropped += len(rows)
                    return False
                if self._when_full == "spill":
                    self._put_aside(rows)
                    return True
                self._urgent = True
                self._changed.notify_all()
                self._changed.wait()
            if self._closed:
                raise StorageError("The writer is closed; make another with store.writer().")
            self._rows += rows
            self._changed.notify_all()
        return True

    def flush(self) -> None:
        """Wait until everything handed in so far is stored, the spill file included.

        Raises:
            siamrec.errors.StorageError: If the database fails; the events stay in the queue.
        """
        with self._changed:
            self._error = None
            self._urgent = True
            self._changed.notify_all()
            while (self._rows or self._writing) and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._take_back()

    def close(self) -> None:
        """Store what is left and stop; a second call does nothing.

        Raises:
            siamrec.errors.StorageError: If the database fails. What is left goes to the spill
                file, where there is one.
        """
        if self._closed:
            return
        try:
            self.flush()
        except StorageError:
            with self._changed:
                if self._spill is not None:
                    self._put_aside(self._rows)
                    self._rows = []
            raise
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._thread.join()
            self._signal.remove()
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_full(self, n: int) -> bool:
        waiting = len(self._rows) + self._writing
        return waiting > 0 and waiting + n > self._capacity

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._rows or self._closed):
                    self._changed.wait()
                if not (self._urgent or self._closed or len(self._rows) >= self._max_rows):
                    self._changed.wait_for(self._is_due, timeout=self._seconds)
                if self._closed:
                    return
                batch, self._rows = self._rows[: self._max_rows], self._rows[self._max_rows :]
                self._writing = len(batch)
            self._write(batch)

    def _is_due(self) -> bool:
        return self._urgent or self._closed or len(self._rows) >= self._max_rows

    def _write(self, batch: list[tuple[Any, ...]]) -> None:
        try:
            receipt = self._log.store(batch, keyed=False)
        except Exception as caught:  # noqa: BLE001 - the thread lives on, and who waits is told
            error = caught if isinstance(caught, StorageError) else StorageError(str(caught))
            with self._changed:
                self._rows = batch + self._rows
                self._writing, self._error, self._urgent = 0, error, False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._urgent or self._closed, self._seconds)
            return
        with self._changed:
            self.n_accepted += receipt.accepted
            self.n_duplicates += receipt.duplicates
            self._writing = 0
            self._urgent = self._urgent and bool(self._rows)
            self._changed.notify_all()

    def _put_aside(self, rows: Sequence[tuple[Any, ...]]) -> None:
        assert self._spill is not None
        self._spill.put(rows)
        self.n_spilled += len(rows)

    def _take_back(self) -> None:
        """Store the spilled events; their keys make a second reading harmless."""
        if self._spill is not None:
            self.n_torn += self._spill.take(self._store)

    def _store(self, rows: list[tuple[Any, ...]]) -> None:
        receipt = self._log.store(rows, keyed=False)
        self.n_accepted += receipt.accepted
        self.n_duplicates += receipt.duplicates
