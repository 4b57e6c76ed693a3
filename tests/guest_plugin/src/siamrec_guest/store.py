"""A store: one file of JSON lines, with the promises of every other store."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data import Feedback
from siamrec.feedback import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@final
@dataclass(frozen=True)
class Receipt:
    """What became of a batch."""

    accepted: int
    duplicates: int
    conflicts: tuple[str, ...]


@final
class JsonLinesStore:
    """Keeps every event as a line `[key, event]` of one file; a lock lets one writer in at a time.

    Args:
        path: The file; made by the first write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write(self, feedback: Feedback, *, keys: Sequence[str] | None = None) -> Receipt:
        """Append the events whose keys are new."""
        rows = [json.dumps(row, sort_keys=True) for row in _rows(feedback)]
        accepted = duplicates = 0
        conflicts = []
        with self._locked() as file:
            known = dict(json.loads(line) for line in file)
            for key, row in zip(keys or rows, rows, strict=True):
                if key not in known:
                    known[key] = row
                    file.write(json.dumps([key, row]) + "\n")
                    accepted += 1
                elif known[key] == row:
                    duplicates += 1
                else:
                    conflicts.append(key)
            file.flush()
        return Receipt(accepted, duplicates, tuple(conflicts))

    def read(
        self, *, since: int | None = None, until: int | None = None, batch_rows: int = 65_536
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order."""
        with self._locked() as file:
            rows = [json.loads(json.loads(line)[1]) for line in file]
        source = MemoryFeedback(_feedback(rows))
        yield from source.read(since=since, until=until, batch_rows=batch_rows)

    @contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        with self.path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file


def _rows(feedback: Feedback) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = feedback.to_arrow().drop_columns(["time"]).to_pylist()
    return [{**row, "time": time} for row, time in zip(rows, feedback.time.tolist(), strict=True)]


def _feedback(rows: list[dict[str, Any]]) -> Feedback:
    if not rows:
        return Feedback.of(user=[], item=[])
    names = {name for row in rows for name in row} - {"time"}
    columns = {name: [row.get(name) for row in rows] for name in names}
    roles = {"value", "kind", "weight", "decision", "position", "propensity", "query"}
    given: dict[str, Any] = {name: name for name in roles & names}
    context = sorted(names - roles - {"user", "item"})
    feedback = Feedback.from_frame(columns, **given, context=context)
    return replace(feedback, time=np.asarray([row["time"] for row in rows], dtype=np.int64))
