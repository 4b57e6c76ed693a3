"""One sample for all suites: every column, ids of both kinds, untimed rows, odd instants."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data import NO_TIME, Feedback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["COLUMNS", "every_column", "no_global_chance", "records_of", "small_numbers"]

COLUMNS = (
    "user", "item", "value", "kind", "time", "weight", "decision", "position", "propensity",
    "query", "device",
)  # fmt: skip
"""What an event can carry; `device` stands for columns of context."""

_ODD = (1_767_225_600_123_456_789, -1, 0, -86_400_000_000_001, 1, 2**62)


def every_column(*, numbers: bool = False) -> Feedback:
    """Return eight events in which every column says something.

    Two have no time, others are before 1970, at its first instant, far ahead, or told to the
    nanosecond.

    Args:
        numbers: Whether users and items are whole numbers, beyond 32 bits too, rather than text.
    """
    texts = (["ann", "bób", "用户", "ann", "42", "dan o'", "bób", "ann"],
             ["x", "y", "x, 1", "z", "x", "y", "z", '"q"'])  # fmt: skip
    whole = ([7, 42, 2**40, 7, -3, 0, 42, 7], [1, 2, 1, 3, 1, 2, 3, 2**62])
    user, item = whole if numbers else texts
    frame = {
        "user": user,
        "item": item,
        "value": [5.0, 1.0, -1.0, 0.1, 12.5, 1.0, 1.0, 3.0],
        "kind": ["rating", "click", "thumb", "rating", "dwell", "conversion", "view", "comment"],
        "time": np.array([*_ODD, NO_TIME, NO_TIME], dtype="datetime64[ns]"),
        "weight": [1.0, 0.5, 2.0, 0.0, 1.0, 0.25, 3.0, 1.0],
        "decision": ["d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8"],
        "position": [1, 2, 3, 1, 10, 4, 7, 5],
        "propensity": [0.5, 1.0, 0.25, 1e-6, 0.125, 0.75, 0.3, 0.9],
        "query": ["red 'shoes'", "日本", "a,b", None, "red 'shoes'", "x", None, "y"],
        "device": ["phone", "web", "web", "tv", "web", "phone", "phone", "tv"],
    }
    roles: dict[str, Any] = {name: name for name in COLUMNS[2:-1]}
    return Feedback.from_frame(frame, **roles, context=["device"])


def records_of(
    batches: Iterable[Feedback], columns: Iterable[str] = COLUMNS
) -> list[dict[str, Any]]:
    """Return every event as a mapping from column to value, in order; None where it has none."""
    wanted = tuple(columns)
    return [
        {name: _cell(batch, name, row) for name in wanted}
        for batch in batches
        for row in range(len(batch))
    ]


def _cell(batch: Feedback, name: str, row: int) -> Any:
    if name in {"user", "item", "query"}:
        codes = getattr(batch, name)
        vocabulary = {"user": batch.users, "item": batch.items, "query": batch.queries}[name]
        return None if codes is None or codes[row] < 0 else vocabulary.ids[int(codes[row])]
    column = getattr(batch, name, None) if name in _FIELDS else batch.context.get(name)
    if column is None:
        return None
    value = column[row]
    value = value.item() if isinstance(value, np.generic) else value
    return round(value, 6) if isinstance(value, float) else value


_FIELDS = frozenset(field.name for field in fields(Feedback))


def small_numbers(feedback: Feedback) -> Feedback:
    """Return the same events with whole numbers for ids, in the order of the codes."""
    return Feedback.of(
        user=(feedback.user.astype(np.int64) + 100).tolist(),
        item=(feedback.item.astype(np.int64) + 1000).tolist(),
        value=feedback.value,
        time=feedback.time,
        kind=feedback.kind,
        weight=feedback.weight,
    )


@contextmanager
def no_global_chance() -> Iterator[None]:
    """Pass when nothing in the block draws from NumPy's global generator.

    The generator stands at two different places in two runs of a block that is entered twice, so
    what depends on it does not repeat either.
    """
    before = np.random.get_state()  # noqa: NPY002  what is looked for
    yield
    after = np.random.get_state()  # noqa: NPY002
    same = all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))
    assert same, "Chance must come from the arguments, never from NumPy's global generator."
