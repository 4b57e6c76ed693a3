"""Files that were opened as one value: blocks of events put together and judged as a whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.errors import InvalidDataError
from siamrec.feedback._assembled import (
    are_thumbs,
    assembled,
    far_times,
    nothing_times,
    one_unit,
    sentinels,
)
from siamrec.feedback._events import events_of
from siamrec.feedback.labels import Scale
from siamrec.feedback.loaded import LoadedFeedback, RejectedRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.feedback._contents import Content
    from siamrec.feedback._events import Events
    from siamrec.feedback._meaning import Meaning
    from siamrec.feedback._records import Records
    from siamrec.typing import BoolArray, IntArray

_SHOWN = 1_000
"""Rejected rows whose cells are kept."""


@final
@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose beginning was read: how it is written, its records, and what they mean."""

    content: Content
    told: Mapping[str, str]
    records: Records
    meaning: Meaning


@final
class _Rows:
    """Where events come from, and which records were set apart; grows."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._rows: list[IntArray] = [np.zeros(0, dtype=np.int64)]
        self._blocks: list[IntArray] = [np.zeros(0, dtype=np.int64)]
        self.rejected: list[RejectedRow] = []
        self.left_out: Counter[str] = Counter()
        self.units: frozenset[str] = frozenset()
        self.n = 0

    def add(self, file: str, events: Events) -> None:
        """Take what a block says of its records."""
        number = np.broadcast_to(np.int64(len(self._files)), events.rows.shape)
        self._files.append(file)
        self._blocks.append(number)
        self._rows.append(events.rows)
        self.rejected += [RejectedRow(*row, file=file) for row in events.rejected]
        self.left_out += events.left_out
        self.units |= events.units
        self.n += events.n_records

    def without(self, feedback: Feedback, bad: BoolArray, reason: str) -> Feedback:
        """Set events apart, and return the others."""
        if not bad.any():
            return feedback
        rows, blocks = np.concatenate(self._rows), np.concatenate(self._blocks)
        self._rows, self._blocks = [rows[~bad]], [blocks[~bad]]
        for event in np.flatnonzero(bad).tolist():
            data = {name: str(cell) for name, cell in feedback.row(event).items()}
            told = f"{reason}: {_strange(feedback, event, reason)}"
            self.rejected.append(
                RejectedRow(int(rows[event]), told, data, self._files[blocks[event]])
            )
        return feedback.where(~bad)


def _strange(feedback: Feedback, place: int, reason: str) -> str:
    if reason.startswith("time"):
        return str(np.datetime64(int(feedback.time[place]), "ns"))[:19]
    return f"{feedback.value[place]:g}"


def loaded_from(files: Sequence[Opened]) -> LoadedFeedback:
    """Return what files hold, as one.

    Raises:
        InvalidDataError: If they differ in their columns, or cannot be read.
    """
    first = files[0]
    for other in files[1:]:
        _check_alike(first, other)
    rows, blocks = _Rows(), []
    for file in files:
        name = file.content.name if len(files) > 1 else ""
        for block in file.records.blocks(file.meaning.wanted, file.meaning.id_columns):
            events = events_of(block, file.meaning, shown=max(0, _SHOWN - len(rows.rejected)))
            blocks.append(events.columns)
            rows.add(name, events)
    feedback = assembled(blocks) if blocks else Feedback.of(user=[], item=[])
    feedback, told = _judged(feedback, rows, first.meaning)
    meaning = first.meaning
    used = {*meaning.roles.values(), *meaning.wanted}
    return LoadedFeedback(
        feedback,
        tuple(sorted(rows.rejected, key=lambda row: (row.file, row.row))),
        {role: column for role, column in meaning.roles.items() if column},
        unused=tuple(name for name in first.records.names if name not in used),
        told={**_told_of(files), **told},
        left_out=dict(rows.left_out),
        n_rows=rows.n,
        declared=None if meaning.scale is None else Scale(*meaning.scale),
    )


def _judged(feedback: Feedback, rows: _Rows, meaning: Meaning) -> tuple[Feedback, dict[str, str]]:
    """Set apart what is strange beside the rest, and refuse what can be read in two ways."""
    told: dict[str, str] = {}
    if meaning.wide:
        told["items"] = f"each of {len(meaning.wide):,} further columns"
    if meaning.untimed:
        return feedback, told
    if "time" in meaning.roles:
        column = meaning.roles["time"]
        nothing = nothing_times(feedback.time)
        feedback = rows.without(feedback, nothing, "time is that of nothing")
        if meaning.time_unit is None:
            one_unit(rows.units, column)
            far = far_times(feedback.time, rows.units, column)
            feedback = rows.without(feedback, far, "time is decades away from the rest")
        if rows.units:
            told["times are told as"] = ", ".join(sorted(rows.units - {"small"}) or ["s"])
    if meaning.scale is None and ("value" in meaning.roles or meaning.wide):
        column = meaning.roles.get("value", "the cells")
        rated = feedback.kind == FeedbackKind.RATING
        odd = sentinels(feedback.value, rated, column)
        feedback = rows.without(feedback, odd, "rating stands apart from the others")
        if "kind" not in meaning.roles and are_thumbs(feedback.value, feedback.kind):
            told["kind of all"] = "thumb, for every value is 1 or -1"
            kind = np.full(len(feedback), FeedbackKind.THUMB, dtype=np.int8)
            return replace(feedback, kind=kind), told
    lists = "impressions" in meaning.roles
    if "kind" not in meaning.roles and not lists and meaning.kind.kind is not None:
        told["kind of all"] = meaning.kind.kind.name.lower()
    return feedback, told


def _told_of(files: Sequence[Opened]) -> dict[str, str]:
    names = [file.content.name for file in files]
    listed = ", ".join(names[:5]) + (f", … and {len(names) - 5} more" if len(names) > 5 else "")
    told = {"file" if len(names) == 1 else "files": listed}
    for key in dict.fromkeys(key for file in files for key in file.told):
        told[key] = "; ".join(dict.fromkeys(f.told[key] for f in files if key in f.told))
    return told


def _check_alike(one: Opened, other: Opened) -> None:
    """Refuse files that mean different things.

    Raises:
        InvalidDataError: If their columns differ, or stand for different things.
    """
    told = f"{other.content.name} has other columns than {one.content.name}"
    json = "JSON" in one.told["written as"] + other.told["written as"]
    mine, theirs = set(one.records.names), set(other.records.names)
    if not json and mine != theirs:
        lacking = ", ".join(sorted(mine - theirs)[:5])
        more = ", ".join(sorted(theirs - mine)[:5])
        said = f"it lacks {lacking}" if lacking else f"it also has {more}"
        raise InvalidDataError(f"{told}: {said}. Name the files that belong together.")
    if one.meaning.roles != other.meaning.roles:
        raise InvalidDataError(
            f"{told}: {_spelt(other.meaning.roles)}, not {_spelt(one.meaning.roles)}. Name the "
            "files that belong together."
        )


def _spelt(roles: Mapping[str, str]) -> str:
    return ", ".join(f"{role} {name}" for role, name in roles.items())
