"""What can be recommended: items with their texts and attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.hashing import content_hash
from siamrec._core.table import Shown, Table, counted
from siamrec.data import frames
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from siamrec.typing import BoolArray


_SHOWN = 10
"""Items that a view shows."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Catalog(Shown):
    """Items, the text of each, and named attributes.

    Attributes:
        items: Ids of items.
        text: Text of each item in the order of `items`; None where an item has none, which is
            never the same as an empty text with a vector.
        attributes: Values by attribute name, one for each item in the order of `items`: texts,
            numbers, or tuples of texts such as genres. None where a value is missing.

    Raises:
        InvalidDataError: If a column is not as long as `items`.

    Examples:
        >>> catalog = Catalog.from_frame(
        ...     {"id": [1, 2], "title": ["Alien", "Up"], "plot": ["A ship answers.", None]},
        ...     item="id", text=["title", "plot"],
        ... )
        >>> catalog.text
        ('Alien. A ship answers.', 'Up')
    """

    items: Vocabulary
    text: tuple[str | None, ...] = ()
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.items.checked("an item")
        text = tuple(t if t is not None and t.strip() else None for t in self.text)
        object.__setattr__(self, "text", text or (None,) * len(self.items))
        for name, column in {"text": self.text, **self.attributes}.items():
            if len(column) != len(self.items):
                raise InvalidDataError(
                    f"{name} must have one value for each of the {len(self.items)} items, "
                    f"got {len(column)}."
                )
        columns = {name: tuple(column) for name, column in self.attributes.items()}
        object.__setattr__(self, "attributes", MappingProxyType(columns))

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        item: str = "item",
        text: str | Sequence[str] = (),
        attributes: Sequence[str] = (),
        lists: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a catalogue from a data frame; of rows with one id the first counts.

        Args:
            frame: A polars, pandas, pyarrow or DuckDB table, or a mapping of columns.
            item: Column of item ids.
            text: Columns that make the text, joined by ". "; missing parts are left out.
            attributes: Columns to carry along as they are.
            lists: Columns of texts to split into tuples, with the separator of each, such as
                `{"genres": "|"}`.

        Raises:
            siamrec.errors.UnknownNameError: If a column is absent.
            InvalidDataError: If an id is null.
        """
        table = frames.table_of(frame)
        items, codes = frames.codes_of(frames.pick(table, item, "item"), item)
        _, rows = np.unique(codes, return_index=True)  # codes follow first appearance
        names = [text] if isinstance(text, str) else list(text)
        parts = [frames.pick(table, name, "text").to_pylist() for name in names]
        columns: dict[str, Sequence[Any]] = {}
        for name in attributes:
            values = frames.pick(table, name, "attribute").to_pylist()
            columns[name] = [values[row] for row in rows]
        for name, separator in (lists or {}).items():
            values = frames.pick(table, name, "attribute").to_pylist()
            columns[name] = [_split(values[row], separator) for row in rows]
        return cls(
            items=items,
            text=tuple(_join([part[row] for part in parts]) for row in rows),
            attributes=columns,
        )

    @override
    def title(self) -> str:
        texts = sum(text is not None for text in self.text)
        return f"Catalog: {counted(len(self), 'item')}, {texts:,} of them with a text"

    @override
    def table(self) -> Table:
        """Return the first items with text and attributes."""
        head = ("item", "text", *self.attributes)
        columns = (self.items.ids, self.text, *self.attributes.values())
        hidden = len(self) - min(len(self), _SHOWN)
        return Table(
            head=head,
            rows=tuple(
                tuple(", ".join(c) if isinstance(c, tuple) else c for c in row)
                for row in zip(*(column[:_SHOWN] for column in columns), strict=True)
            ),
            title=self.title(),
            notes=(f"… and {hidden:,} more",) if hidden else (),
        )

    def __len__(self) -> int:
        return len(self.items)

    @property
    def has_text(self) -> BoolArray:
        """Whether each item has a text, shape `(n_items,)`."""
        return np.fromiter((t is not None for t in self.text), dtype=bool, count=len(self))

    def aligned(self, items: Vocabulary) -> Self:
        """Return the catalogue of exactly `items`; an item that is not here has no text."""
        codes = items.translate(self.items).tolist()

        def taken(column: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(None if code == UNKNOWN else column[code] for code in codes)

        return type(self)(
            items=items,
            text=taken(self.text),
            attributes={name: taken(column) for name, column in self.attributes.items()},
        )

    def fingerprint(self) -> str:
        """Return a hash of ids and texts, as 64 hexadecimal digits."""
        return content_hash(self.items.fingerprint(), list(self.text))

    def to_arrow(self) -> Any:
        """Return a pyarrow table with the columns `item`, `text` and the attributes."""
        return frames.arrow_table(
            {"item": list(self.items.ids), "text": list(self.text), **self.attributes}
        )


def _join(parts: Sequence[object]) -> str | None:
    said = [str(part).strip() for part in parts if part is not None]
    return ". ".join(part.rstrip(".") if last else part for part, last in _marked(said)) or None


def _marked(said: list[str]) -> list[tuple[str, bool]]:
    """Drop the full stop of all but the last part, since the joint brings its own."""
    kept = [part for part in said if part]
    return [(part, place < len(kept) - 1) for place, part in enumerate(kept)]


def _split(value: object, separator: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(part for part in str(value).split(separator) if part)
