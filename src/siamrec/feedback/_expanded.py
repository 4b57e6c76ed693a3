"""Rows that hold several events: lists of impressions, cells of a matrix, marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from siamrec.data import cells
from siamrec.data.feedback import FeedbackKind

if TYPE_CHECKING:
    from siamrec.feedback._meaning import Meaning, Word
    from siamrec.typing import BoolArray, IntArray

_MISSING = ("", "nan", "null", "none", "na", "n/a", "nat", "\\n")
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


class Lists(NamedTuple):
    """Entries of lists of what was shown.

    Attributes:
        at: Row of each entry.
        text: The entry as it stands.
        item: The item of an entry such as `N1-0`, null where it is not written so.
        clicked: Whether it ends in 1.
    """

    at: IntArray
    text: Any
    item: Any
    clicked: BoolArray

    @property
    def labelled(self) -> BoolArray:
        """Whether an entry says if it was clicked."""
        known: BoolArray = ~np.asarray(self.item.is_null().to_numpy(zero_copy_only=False))
        return known

    def mixed(self, n: int) -> BoolArray:
        """Return which of `n` rows have entries of both forms."""
        told = np.bincount(self.at, self.labelled, minlength=n)
        mixed: BoolArray = (told > 0) & (told < np.bincount(self.at, minlength=n))
        return mixed


def lists_of(column: Any, name: str) -> Lists:
    """Return the entries of a column of lists, or of texts with blanks between."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        texts = pc.utf8_trim_whitespace(cells.simple(column, name).cast(pa.string()))
        column = pc.utf8_split_whitespace(pc.if_else(pc.equal(texts, ""), None, texts))
    flat = pc.list_flatten(column).cast(pa.string())
    parts = pc.extract_regex(flat, r"^(?P<item>.+)-(?P<label>[01])$")
    label = pc.equal(pc.struct_field(parts, "label"), "1").fill_null(False)
    return Lists(
        pc.list_parent_indices(column).to_numpy().astype(np.int64),
        flat,
        pc.struct_field(parts, "item"),
        label.to_numpy(zero_copy_only=False),
    )


def numbers_in(column: Any, name: str) -> cells.Numbers:
    """Return numbers of a column; words for nothing are none, and truths are 1 and 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = without_nothing(cells.simple(column, name))
    if pa.types.is_string(column.type):
        low = pc.utf8_lower(column)
        column = pc.if_else(pc.is_in(low, pa.array(["true", "yes"])), "1", column)
        column = pc.if_else(pc.is_in(low, pa.array(["false", "no"])), "0", column)
    return cells.numbers(column, name)


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
        """An impression of each entry, and a click on those that say so."""
        import pyarrow.compute as pc

        name = self._meaning.roles["impressions"]
        lists = lists_of(self._column(name), name)
        n = len(lists.at)
        first = np.searchsorted(lists.at, lists.at)  # where the list of each entry begins
        clicked = np.flatnonzero(lists.clicked)
        entry = np.concatenate([np.arange(n), clicked])
        kinds = np.repeat([FeedbackKind.IMPRESSION, FeedbackKind.CLICK], [n, len(clicked)])
        return self._joined(
            lists.at[entry],
            np.argsort(entry, kind="stable"),
            item=taken(pc.coalesce(lists.item, lists.text), entry),
            kind=kinds.astype(np.int8),
            value=np.ones(len(entry)),
            position=(entry - first[entry] + 1).astype(np.int32),
        )

    def _of_cells(self) -> tuple[dict[str, Any], IntArray]:
        """A rating for each cell that holds one."""
        import pyarrow as pa

        names = self._meaning.wide
        values = np.stack([numbers_in(self._column(n), n).values for n in names], axis=1)
        at, place = np.nonzero(~np.isnan(values) & ~np.isin(values, self._meaning.not_rated))
        kind = np.full(len(at), code_of(self._meaning.kind), dtype=np.int8)
        item = pa.array(names).take(pa.array(place))
        value = values[at, place]
        return self._joined(at, np.arange(len(at)), item=item, kind=kind, value=value)

    def _of_marks(self) -> tuple[dict[str, Any], IntArray]:
        """The event of the row itself, and one for each mark that is set."""
        at = [np.arange(len(self._chosen))]
        kinds, values = [self._columns["kind"]], [self._columns["value"]]
        for name, word, divisor in self._meaning.marks:
            number = np.nan_to_num(numbers_in(self._column(name), name).values) / divisor
            both_ways = word.kind == FeedbackKind.THUMB and word.value is None
            marked = np.flatnonzero(number if both_ways else number > 0)
            own = np.full(len(marked), word.value or 1.0)
            if word.kind == FeedbackKind.DWELL:
                own = number[marked]
            elif both_ways:
                own = np.sign(number[marked])
            at.append(marked)
            kinds.append(np.full(len(marked), code_of(word), dtype=np.int8))
            values.append(own)
        places = np.concatenate(at)
        return self._joined(
            places,
            np.argsort(places, kind="stable"),
            kind=np.concatenate(kinds),
            value=np.concatenate(values),
        )
