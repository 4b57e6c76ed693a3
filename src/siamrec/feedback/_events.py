"""Blocks of records as events: cells are read, bad rows set apart with their reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data import cells, times
from siamrec.data.feedback import FeedbackKind
from siamrec.data.times import NO_TIME
from siamrec.data.vocabulary import LONGEST_ID
from siamrec.feedback._expanded import (
    Expanded,
    code_of,
    lists_of,
    numbers_in,
    taken,
    without_nothing,
)
from siamrec.feedback._meaning import THUMBS, Meaning, number_in, plain_name, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from siamrec.feedback._records import Block
    from siamrec.typing import BoolArray, FloatArray, IntArray

_GREATEST = float(np.finfo(np.float32).max)
_CODED = {"user", "item", "query"}
_RATING, _THUMB, _DWELL = FeedbackKind.RATING, FeedbackKind.THUMB, FeedbackKind.DWELL


@final
@dataclass(frozen=True, slots=True)
class Events:
    """Events of a block.

    Attributes:
        columns: Columns by role and by name of context; ids as Arrow arrays, numbers as NumPy's.
        rows: Number of the record of each event.
        rejected: Records that were set apart: number, reason, their cells.
        left_out: Records that say nothing that was asked for, by reason.
        n_records: Records that were read.
        units: How times were told.
    """

    columns: dict[str, Any]
    rows: IntArray
    rejected: list[tuple[int, str, dict[str, str | None]]]
    left_out: Counter[str]
    n_records: int
    units: frozenset[str] = frozenset()


@final
class _Faults:
    """What is wrong with each row: the first reason stands."""

    def __init__(self, n: int) -> None:
        self.code: npt.NDArray[np.int16] = np.zeros(n, dtype=np.int16)
        self._reasons: list[tuple[str, Any]] = [("", None)]

    def mark(self, bad: BoolArray, reason: str, column: Any = None) -> None:
        """Say why rows are bad, with their cells of a column."""
        new = bad & (self.code == 0)
        if new.any():
            self._reasons.append((reason, column))
            self.code[new] = len(self._reasons) - 1

    def reason(self, row: int) -> str:
        """Return why a row is bad."""
        said, column = self._reasons[self.code[row]]
        return said if column is None else f"{said}: {_cell(column, row)}"


def _cell(column: Any, row: int) -> str | None:
    try:
        value = column[row].as_py()
    except (ValueError, OverflowError):  # a stamp that no calendar has
        return cells.told(column, row)
    return None if value is None else str(value)[:200]


def events_of(block: Block, meaning: Meaning, *, shown: int) -> Events:
    """Return the events of a block.

    Args:
        block: Records with the columns that the meaning asks for.
        meaning: What they mean.
        shown: Of how many rejected records the cells are kept.

    Raises:
        InvalidDataError: If a column is of a kind that its role cannot have, or a word for a kind
            is not known.
    """
    left_out: Counter[str] = Counter()
    table, rows = block.table.combine_chunks(), block.rows
    n_records = table.num_rows + len(block.broken)
    if meaning.where is not None and table.num_rows:
        kept = _held(table, meaning)
        left_out["left out by the filter"] += int((~kept).sum())
        table, rows = table.filter(_arrow_mask(kept)), rows[kept]
    reader = _Columns(table, meaning)
    columns, good, faults = reader.read()
    for reason, out in (("of a kind to skip", reader.skipped), ("not rated", reader.unrated)):
        left_out[reason] += int((out & good).sum())
        good &= ~out
    rejected = [
        (int(rows[row]), faults.reason(row), _told(table, row) if place < shown else {})
        for place, row in enumerate(np.flatnonzero(faults.code).tolist())
    ]
    rejected += [(number, reason, {}) for number, reason in block.broken]
    chosen = np.flatnonzero(good)
    if len(chosen) < table.num_rows:
        columns = {name: taken(column, chosen) for name, column in columns.items()}
    events, at = Expanded(table, meaning, chosen, columns).events()
    for name in _CODED & events.keys():  # each id once: what is kept stays small
        events[name] = events[name].dictionary_encode()
    return Events(
        events, rows[chosen][at], sorted(rejected, key=lambda each: each[0]), +left_out,
        n_records, reader.units,
    )  # fmt: skip


def _held(table: Any, meaning: Meaning) -> BoolArray:
    assert meaning.where is not None
    as_text = {meaning.roles.get(role) for role in ("user", "item", "kind", "query", "decision")}
    read = {}
    for name in meaning.where.names:
        column = table[name].combine_chunks() if name in table.column_names else None
        if column is None:
            continue
        plain = column.to_pylist()
        numeric = meaning.loose and name not in as_text
        read[name] = [number_in(cell) for cell in plain] if numeric else plain
    return meaning.where.mask(read)


def _arrow_mask(mask: BoolArray) -> Any:
    import pyarrow as pa

    return pa.array(mask)


def _told(table: Any, row: int) -> dict[str, str | None]:
    names = table.column_names[:20]
    return {name: _cell(table.column(name).chunk(0), row) for name in names}


@final
class _Columns:
    """Reads the columns of one table."""

    def __init__(self, table: Any, meaning: Meaning) -> None:
        self._table, self._meaning = table, meaning
        self._n = table.num_rows
        self._faults = _Faults(self._n)
        self.skipped: BoolArray = np.zeros(self._n, dtype=np.bool_)
        self.unrated: BoolArray = np.zeros(self._n, dtype=np.bool_)
        self.units: frozenset[str] = frozenset()

    def read(self) -> tuple[dict[str, Any], BoolArray, _Faults]:
        """Return the columns by role, and which rows are good."""
        roles = self._meaning.roles
        if self._meaning.loose:
            self._mark_headers()
        found: dict[str, Any] = {"user": self._ids("user")}
        if "item" in roles:
            found["item"] = self._ids("item")
        kind, said = self._kinds()
        if not self._meaning.wide and "impressions" not in roles:
            found |= {"kind": kind, "value": self._values(kind, said)}
        found["time"] = self._times()
        for role, read in self._others().items():
            if role in roles:
                found[role] = read()
        self._mark_cells()
        for name in self._meaning.context:
            found[f"context {name}"] = self._carried(name)
        return found, self._faults.code == 0, self._faults

    def _mark_headers(self) -> None:
        """Files that were put one after the other have their headers within."""
        import pyarrow as pa
        import pyarrow.compute as pc

        again: BoolArray = np.ones(self._n, dtype=np.bool_)
        for name in self._meaning.roles.values():
            column = self._column(name)
            if not pa.types.is_string(column.type) or not again.any():
                return
            again &= pc.equal(column, name).fill_null(False).to_numpy(zero_copy_only=False)
        self._faults.mark(again, "the header stands here again")

    def _mark_cells(self) -> None:
        """Look at the cells that become events of their own."""
        name = self._meaning.roles.get("impressions")
        if name is not None:
            column = self._column(name)
            mixed = lists_of(column, name).mixed(self._n)
            self._faults.mark(mixed, "impressions are written in two ways", column)
        for name in self._meaning.wide:
            values, column = self._cell_numbers(name)
            if self._meaning.scale is not None:
                low, high = self._meaning.scale
                rated = ~np.isnan(values) & ~np.isin(values, self._meaning.not_rated)
                outside = rated & ((values < low) | (values > high))
                self._faults.mark(outside, f"rating is outside [{low:g}, {high:g}]", column)
        for name, word, _ in self._meaning.marks:
            values, column = self._cell_numbers(name)
            if word.kind == _DWELL:
                self._faults.mark(values < 0, "dwell is below 0", column)

    def _cell_numbers(self, name: str) -> tuple[FloatArray, Any]:
        column = self._column(name)
        found = numbers_in(column, name)
        bad = found.bad | (np.abs(found.values) > _GREATEST)
        self._faults.mark(bad, f"{name} is not a number", column)
        return found.values, column

    def _others(self) -> Mapping[str, Callable[[], Any]]:
        return {
            "weight": self._weights,
            "position": self._positions,
            "propensity": self._propensities,
            "decision": lambda: self._optional("decision"),
            "query": lambda: self._optional("query"),
        }

    def _column(self, name: str) -> Any:
        column = self._table[name].combine_chunks()
        return column.chunk(0) if hasattr(column, "chunks") and column.num_chunks else column

    def _trimmed(self, name: str) -> Any:
        """A column whose texts are cleaned of blanks around them; nothing is null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = cells.simple(self._column(name), name)
        if not pa.types.is_string(column.type):
            return column
        if self._meaning.loose:
            column = pc.utf8_trim_whitespace(column)
            return pc.if_else(pc.is_in(column, pa.array(["", "\\N"])), None, column)
        return pc.if_else(pc.equal(column, ""), None, column)

    def _carried(self, name: str) -> Any:
        """A column of context, lists included."""
        import pyarrow as pa

        column = self._column(name)
        return column if pa.types.is_nested(column.type) else self._trimmed(name)

    def _spelt(self, name: str) -> Any:
        """A column of numbers or times, in which words for nothing are null."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = without_nothing(cells.simple(self._column(name), name))
        if self._meaning.decimal != "." and pa.types.is_string(column.type):
            column = pc.replace_substring(column, self._meaning.decimal, ".")
        return column

    def _ids(self, role: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        name = self._meaning.roles[role]
        column = self._trimmed(name)
        found, bad = typed_ids(column, name, self._meaning.ids)
        missing = _nulls(found) & ~bad
        self._faults.mark(missing, f"{role} is missing")
        self._faults.mark(bad, f"{role} is no id", column)
        if pa.types.is_string(found.type):
            long = pc.greater(pc.utf8_length(found), LONGEST_ID).fill_null(False)
            self._faults.mark(
                long.to_numpy(zero_copy_only=False),
                f"{role} is longer than {LONGEST_ID:,} letters",
            )
        return found

    def _optional(self, role: str) -> Any:
        name = self._meaning.roles[role]
        column = self._trimmed(name)
        found, bad = typed_ids(column, name, "text" if role == "query" else "written")
        self._faults.mark(bad, f"{role} is no text and no whole number", column)
        return found

    def _kinds(self) -> tuple[npt.NDArray[np.int8], FloatArray]:
        """Return the kind of each row, and the value that its word says."""
        roles, constant = self._meaning.roles, self._meaning.kind
        if "kind" not in roles:
            kind = np.full(self._n, code_of(constant), dtype=np.int8)
            return kind, np.full(self._n, np.nan if constant.value is None else constant.value)
        import pyarrow as pa

        column = self._trimmed(roles["kind"])
        texts = column if pa.types.is_string(column.type) else column.cast(pa.string())
        encoded = texts.dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        said = words_of(distinct, self._meaning.words)
        words = [said[word] for word in distinct]
        codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        kinds = np.array([*(code_of(word) for word in words), 0], dtype=np.int8)
        values = [np.nan if word.value is None else word.value for word in words]
        skipped = np.array([*(word.kind is None for word in words), False])
        self.skipped |= skipped[codes]
        self._faults.mark(_nulls(texts), "kind is missing")
        return kinds[codes], np.array([*values, np.nan])[codes]

    def _values(self, kind: npt.NDArray[np.int8], said: FloatArray) -> FloatArray:
        role = self._meaning.roles.get("value")
        if role is None:
            silent = np.isnan(said) & ~self.skipped
            self._faults.mark((kind == _RATING) & silent, "rating is missing")
            self._faults.mark((kind == _DWELL) & silent, "dwell is missing")
            return np.where(np.isnan(said), 1.0, said)
        import pyarrow as pa

        column = self._spelt(role)
        thumbs = kind == _THUMB
        values, bad = _values_of(column, role, thumbs)
        values = np.where(np.isnan(said), values, said)
        bad &= np.isnan(said)
        needed = (kind == _RATING) | (kind == _DWELL) | thumbs
        named = "rating" if (kind == _RATING).all() else "value"
        missing = np.isnan(values) & ~bad
        self._faults.mark(missing & needed & ~self.skipped, f"{named} is missing")
        bad |= np.abs(values) > _GREATEST
        if pa.types.is_boolean(column.type):
            bad |= kind == _RATING  # yes and no are thumbs
        self._faults.mark(bad & ~self.skipped, f"{named} is not a number", column)
        self._faults.mark((kind == _DWELL) & (values < 0), "dwell is below 0", column)
        none = thumbs & ~np.isin(values, (-1, 1))
        rated = kind == _RATING
        if self._meaning.not_rated:
            empty = (rated | thumbs) & np.isin(values, self._meaning.not_rated)
            self.unrated |= empty
            none &= ~empty
        self._faults.mark(none, "thumb is neither 1 nor -1", column)
        if self._meaning.scale is not None:
            low, high = self._meaning.scale
            outside = rated & ((values < low) | (values > high)) & ~(self.unrated | self.skipped)
            self._faults.mark(outside, f"rating is outside [{low:g}, {high:g}]", column)
        return np.where(np.isfinite(values), values, 1.0)

    def _times(self) -> IntArray:
        name = self._meaning.roles.get("time")
        if name is None:
            return np.full(self._n, NO_TIME)
        column = self._spelt(name)
        found = times.times(
            column, name, unit=self._meaning.time_unit, pattern=self._meaning.time_format
        )
        self.units = found.units
        if not self._meaning.untimed:
            self._faults.mark(_nulls(column) & ~found.bad, "time is missing")
        self._faults.mark(found.bad, "time cannot be read", column)
        return found.values

    def _numbers(self, role: str) -> tuple[FloatArray, Any]:
        name = self._meaning.roles[role]
        column = self._spelt(name)
        found = cells.numbers(column, name)
        self._faults.mark(found.bad, f"{role} is not a number", column)
        return found.values, column

    def _weights(self) -> FloatArray:
        values, column = self._numbers("weight")
        self._faults.mark(np.isnan(values), "weight is missing")
        bad = ~((values >= 0) & (values <= _GREATEST))
        self._faults.mark(bad, "weight is below 0 or too large", column)
        return values

    def _positions(self) -> npt.NDArray[np.int32]:
        values, column = self._numbers("position")
        filled = np.where(np.isnan(values), 0.0, values)
        bad = ~((filled >= 0) & (filled < 2**31) & (filled == np.floor(filled)))
        self._faults.mark(bad, "position is no place from 1", column)
        return np.where(bad, 0, filled).astype(np.int32)

    def _propensities(self) -> FloatArray:
        values, column = self._numbers("propensity")
        bad = ~np.isnan(values) & ~((values > 0) & (values <= 1))
        self._faults.mark(bad, "propensity is outside (0, 1]", column)
        return values


def _nulls(column: Any) -> BoolArray:
    nulls: BoolArray = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def typed_ids(column: Any, name: str, wanted: str) -> tuple[Any, BoolArray]:
    """Return ids as they are written, as texts, or as whole numbers."""
    import pyarrow as pa

    found, bad = cells.ids(column, name)
    if wanted == "text":
        return found.cast(pa.string()), bad
    if wanted == "number" and pa.types.is_string(found.type):
        parsed = cells.whole_numbers(found)
        return parsed, bad | (_nulls(parsed) & ~_nulls(found))
    return found, bad


def _values_of(column: Any, name: str, thumbs: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Return numbers; a word or a truth says which way a thumb points."""
    import pyarrow as pa

    if thumbs.any() and (pa.types.is_string(column.type) or pa.types.is_boolean(column.type)):
        encoded = column.cast(pa.string()).dictionary_encode()
        said = [THUMBS.get(plain_name(text), np.nan) for text in encoded.dictionary.to_pylist()]
        codes = encoded.indices.fill_null(len(said)).to_numpy(zero_copy_only=False)
        by_word = np.where(thumbs, np.array([*said, np.nan])[codes], np.nan)
        values, bad = cells.numbers(column, name)
        told = ~np.isnan(by_word)
        return np.where(told, by_word, values), bad & ~told
    return cells.numbers(column, name)
