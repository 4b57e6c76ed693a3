"""Rows that hold several events: lists of impressions, cells of a matrix, marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data import cells
from siamrec.data.feedback import FeedbackKind
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.feedback._meaning import Meaning, Word
    from siamrec.typing import IntArray

_MISSING = ("", "nan", "null", "none", "na", "n/a", "\\n")
"""What stands for a number or a time that is not there; an id may be any of these but the first
and the last."""


def without_nothing(column: Any) -> Any:
    """Return texts trimmed, with null for words that say nothing; other columns as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return column
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(pc.utf8_lower(column), pa.array(_MISSING)), None, column)


def taken(column: Any, rows: IntArray) -> Any:
    """Return rows of an Arrow or a NumPy column."""
    import pyarrow as pa

    return column[rows] if isinstance(column, np.ndarray) else column.take(pa.array(rows))


def code_of(word: Word) -> int:
    """Return the kind of a word as a number; what is left out has none."""
    return int(FeedbackKind.RATING if word.kind is None else word.kind)


@final
class Expanded:
    """Rows that hold several events: lists of impressions, cells of a matrix, marks."""

    def __init__(
        self, table: Any, meaning: Meaning, chosen: IntArray, columns: dict[str, Any]
    ) -> None:
        self._table, self._meaning, self._chosen, self._columns = table, meaning, chosen, columns

    def events(self) -> tuple[dict[str, Any], IntArray]:
        """Return the columns of the events, and the place of the row of each."""
        if "impressions" in self._meaning.roles:
            return self._of_impressions()
        if self._meaning.wide:
            return self._of_cells()
        if self._meaning.marks:
            return self._of_marks()
        return self._columns, np.arange(len(self._chosen))

    def _column(self, name: str) -> Any:
        return taken(self._table[name].combine_chunks(), self._chosen)

    def _joined(
        self, at: IntArray, order: IntArray, **own: Any
    ) -> tuple[dict[str, Any], IntArray]:
        """Return the rows at places in an order, with columns of their own."""
        at = at[order]
        columns = {name: taken(column, at) for name, column in self._columns.items()}
        return {**columns, **{name: taken(column, order) for name, column in own.items()}}, at

    def _of_impressions(self) -> tuple[dict[str, Any], IntArray]:
        import pyarrow as pa
        import pyarrow.compute as pc

        name = self._meaning.roles["impressions"]
        column = self._column(name)
        lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        if not lists:
            column = pc.utf8_split_whitespace(cells.simple(column, name).cast(pa.string()))
        at = pc.list_parent_indices(column).to_numpy().astype(np.int64)
        flat = pc.list_flatten(column).cast(pa.string())
        parts = pc.extract_regex(flat, r"^(?P<item>.+)-(?P<label>[01])$")
        labelled = bool(len(flat)) and not parts.null_count
        item = pc.struct_field(parts, "item") if labelled else flat
        first = np.searchsorted(at, at)  # where the list of each entry begins
        position = (np.arange(len(at)) - first + 1).astype(np.int32)
        clicked: IntArray = np.zeros(0, dtype=np.int64)
        if labelled:
            label = pc.equal(pc.struct_field(parts, "label"), "1")
            clicked = np.flatnonzero(label.to_numpy(zero_copy_only=False))
        shown = np.arange(len(at))
        entry = np.concatenate([shown, clicked])
        kinds = np.repeat([FeedbackKind.VIEW, FeedbackKind.CLICK], [len(shown), len(clicked)])
        order = np.argsort(entry, kind="stable")
        return self._joined(
            at[entry],
            order,
            item=taken(item, entry),
            kind=kinds.astype(np.int8),
            value=np.ones(len(entry)),
            position=position[entry],
        )

    def _of_cells(self) -> tuple[dict[str, Any], IntArray]:
        import pyarrow as pa

        names = self._meaning.wide
        values = np.empty((len(self._chosen), len(names)))
        for number, name in enumerate(names):
            column = cells.simple(self._column(name), name)
            found = cells.numbers(without_nothing(column), name)
            if found.bad.any():
                row = int(np.argmax(found.bad))
                raise InvalidDataError(
                    f"{name} of a wide table must be numeric, got {cells.told(column, row)}."
                )
            values[:, number] = found.values
        rated = np.isfinite(values) & ~np.isin(values, self._meaning.not_rated)
        if self._meaning.scale is not None:
            low, high = self._meaning.scale
            rated &= (values >= low) & (values <= high)
        at, place = np.nonzero(rated)
        kind = np.full(len(at), code_of(self._meaning.kind), dtype=np.int8)
        item = pa.array(names).take(pa.array(place))
        value = values[at, place]
        return self._joined(at, np.arange(len(at)), item=item, kind=kind, value=value)

    def _of_marks(self) -> tuple[dict[str, Any], IntArray]:
        n = len(self._chosen)
        at = [np.arange(n)]
        kinds = [self._columns["kind"]]
        values = [self._columns["value"]]
        for name, word, divisor in self._meaning.marks:
            column = without_nothing(cells.simple(self._column(name), name))
            number = cells.numbers(column, name).values / divisor
            marked = np.flatnonzero(np.nan_to_num(number) > 0)
            own = (
                number[marked]
                if word.kind == FeedbackKind.DWELL
                else np.full(len(marked), word.value or 1.0)
            )
            at.append(marked)
            kinds.append(np.full(len(marked), code_of(word), dtype=np.int8))
            values.append(own)
        places = np.concatenate(at)
        order = np.argsort(places, kind="stable")
        return self._joined(
            places, order, kind=np.concatenate(kinds), value=np.concatenate(values)
        )
