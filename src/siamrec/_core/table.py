"""What a result looks like: a small table, as text, Markdown, HTML, JSON or Arrow.

A class that has something to show inherits `Shown` and says two things, its `title()` and its
`table()`; the rest (`repr`, `str`, what a notebook draws, what is written to a page) follows from
them. A small frozen value inherits `Record`: its fields are its table.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from html import escape
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias, final

from typing_extensions import override

from siamrec.errors import InvalidDataError, shown, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.typing import Instant

Cell: TypeAlias = "str | bool | int | float | tuple[float, float] | None"
"""A text, a number, an interval, or None where there is nothing to say."""

_LONGEST_TITLE = 400
_LONGEST_CELL = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = "–"
_MANY = 20
"""Entries of a mapping or a list that are told one by one."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Table:
    """A head, rows as long as the head, one line above and some below.

    Numbers are rounded to four significant digits where people read them (text, Markdown, HTML)
    and exact where programs do (JSON, Arrow).

    Args:
        head: Names of the columns.
        rows: Cells: texts, numbers, intervals `(low, high)`, or None.
        title: One line: what it is, how many, from when to when.
        notes: What has to be known to read it.

    Raises:
        InvalidDataError: If a row is not as long as the head, or a name repeats.

    Examples:
        >>> table = Table(
        ...     head=("arm", "share", "95 % interval"),
        ...     rows=(("svd", 0.123456, (0.1, 0.15)), ("graph", None, None)), title="Two arms",
        ... )
        >>> print(table)
        Two arms
        arm     share  95 % interval
        svd    0.1235    [0.1, 0.15]
        graph       –              –
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", tuple(map(str, self.head)))
        if len(set(self.head)) < len(self.head):
            raise InvalidDataError(f"Columns of a table must differ, got {shown(self.head)}.")
        rows = tuple(tuple(map(_plain, row)) for row in self.rows)
        object.__setattr__(self, "rows", rows)
        for place, row in enumerate(rows):
            if len(row) != len(self.head):
                raise InvalidDataError(
                    f"Row {place} of a table must have {len(self.head)} cells, got {len(row)}."
                )

    @classmethod
    def of(cls, title: str, facts: Mapping[str, Any]) -> Table:
        """Return a table with a row for each fact; what a fact holds has rows of its own."""
        rows = (row for name, value in facts.items() for row in _cells(name, value))
        return cls(head=("field", "value"), rows=tuple(rows), title=title)

    @override
    def __str__(self) -> str:
        return self.text()

    @override
    def __repr__(self) -> str:
        return f"<{_cut(self.title, _LONGEST_TITLE) or 'Table'}: {len(self.rows)} rows>"

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def text(self) -> str:
        """Return the table for a terminal, in columns of equal width."""
        cells = [self._names(), *self._words()]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.head))]
        right = self._numeric()
        lines = [
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([*filter(None, [spelt(self.title)]), *lines, *map(spelt, self.notes)])

    def markdown(self) -> str:
        """Return the table as Markdown, the title in front and the notes as a list."""
        rulers = ["---:" if to_right else "---" for to_right in self._numeric()]
        body = [self._names(), rulers, *self._words()]
        lines = ["| " + " | ".join(map(_safe_in_markdown, row)) + " |" for row in body]
        notes = "\n".join(f"- {_escaped(note)}" for note in self.notes)
        parts = [_escaped(self.title), "\n".join(lines), notes]
        return "\n\n".join(part for part in parts if part) + "\n"

    def html(self) -> str:
        """Return the table as HTML; every text is escaped."""
        align = [' style="text-align:right"' if right else "" for right in self._numeric()]

        def row(cells: Sequence[str], tag: str) -> str:
            made = (f"<{tag}{a}>{escape(c)}</{tag}>" for a, c in zip(align, cells, strict=True))
            return "<tr>" + "".join(made) + "</tr>"

        title = f"<caption>{escape(spelt(self.title))}</caption>" if self.title else ""
        notes = "".join(f"<li>{escape(spelt(note))}</li>" for note in self.notes)
        return (
            f"<table>{title}<thead>{row(self._names(), 'th')}</thead><tbody>"
            + "".join(row(cells, "td") for cells in self._words())
            + "</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )

    def latex(self) -> str:
        """Return the rows as a LaTeX table (booktabs); title and notes are for its caption."""
        columns = "".join("r" if to_right else "l" for to_right in self._numeric())
        cells = [self._names(), *self._words()]
        head, *rows = (" & ".join(map(_safe_in_latex, row)) + r" \\" for row in cells)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def json(self) -> str:
        """Return the table as JSON: rows by column name, numbers exact; not finite is null."""
        return json.dumps(
            {
                "title": self.title,
                "rows": [dict(zip(self.head, map(_exact, row), strict=True)) for row in self.rows],
                "notes": self.notes,
            },
            ensure_ascii=False,
        )

    def arrow(self) -> Any:
        """Return a pyarrow table; an interval is a list, a column of several kinds is text."""
        import pyarrow as pa  # takes its time

        def made(column: Sequence[Cell]) -> Any:
            try:
                return pa.array([list(c) if isinstance(c, tuple) else c for c in column])
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                return pa.array([None if c is None else words(c) for c in column])

        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.head)
        return pa.table([made(column) for column in columns], names=list(self.head))

    def _names(self) -> list[str]:
        return list(map(spelt, self.head))

    def _words(self) -> list[list[str]]:
        return [[_cut(words(cell), _LONGEST_CELL) for cell in row] for row in self.rows]

    def _numeric(self) -> list[bool]:
        """Whether a column holds numbers, which stand to the right."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.head)
        return [
            any(cell is not None for cell in column)
            and not any(isinstance(cell, str | bool) for cell in column)
            for column in columns
        ]


class Shown(ABC):
    """Something that can be looked at: inherit it and write `title()` and `table()`.

    `repr` is the title, `str` the text of the table, and a notebook draws it.
    """

    __slots__ = ()

    @abstractmethod
    def title(self) -> str:
        """Return one line: what it is, how many, from when to when.

        It costs next to nothing: no connection is opened, no model loaded, no column read twice.
        """

    @abstractmethod
    def table(self) -> Table:
        """Return what there is to see, with one line on top that says what it is."""

    @override
    def __repr__(self) -> str:
        return f"<{_cut(self.title(), _LONGEST_TITLE)}>"

    @override
    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_markdown_(self) -> str:
        return self.table().markdown()

    def to_text(self) -> str:
        """Return what there is to see as text in columns."""
        return self.table().text()

    def to_markdown(self) -> str:
        """Return what there is to see as Markdown."""
        return self.table().markdown()

    def to_html(self) -> str:
        """Return what there is to see as HTML."""
        return self.table().html()

    def to_json(self) -> str:
        """Return what there is to see as JSON, with exact numbers."""
        return self.table().json()


class Record(Shown):
    """A frozen dataclass that is shown field by field: inherit it and write `title()`.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, repr=False)
        ... class Lap(Record):
        ...     seconds: float
        ...     interval: tuple[float, float]
        ...     def title(self) -> str:
        ...         return f"Lap of {number(self.seconds)} seconds"
        >>> Lap(61.23456, (60.0, 62.0))
        <Lap of 61.23 seconds>
        >>> print(Lap(61.23456, (60.0, 62.0)))
        Lap of 61.23 seconds
        field     value
        seconds   61.23
        interval  [60, 62]
    """

    __slots__ = ()

    @override
    def table(self) -> Table:
        """Return a row for each field; what a field holds has rows of its own."""
        told = (field.name for field in fields(self) if not field.name.startswith("_"))  # type: ignore[arg-type]
        facts = {name.replace("_", " "): getattr(self, name) for name in told}
        return Table.of(self.title(), facts)


class Arrays(Record):
    """A frozen dataclass of arrays, which is known by their shapes."""

    __slots__ = ()

    @override
    def title(self) -> str:
        """Return the name of its class and the shape of each array."""
        held = ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        shapes = [f"{name} {_shape(value)}" for name, value in held if hasattr(value, "ndim")]
        return f"{type(self).__name__}: {', '.join(shapes)}"


def _cells(name: str, value: Any) -> Iterator[tuple[str, Cell]]:
    """Yield rows for a value: one, or one for each entry of a mapping."""
    if isinstance(value, Mapping) and value:
        for key, entry in list(value.items())[:_MANY]:
            yield from _cells(f"{name} {key}", entry)
        if len(value) > _MANY:
            yield name, f"… and {len(value) - _MANY:,} more"
    elif isinstance(value, Shown):
        yield name, value.title()
    elif getattr(value, "ndim", 0):
        yield name, f"{_shape(value)} numbers"
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield name, _listing(value)
    else:
        yield name, _plain(value)


def _shape(value: Any) -> str:
    return " × ".join(f"{n:,}" for n in value.shape)


def _listing(values: Sequence[Any]) -> Cell:
    if len(values) == 2 and all(type(value) is float for value in values):
        return float(values[0]), float(values[1])
    parts = [v.title() if isinstance(v, Shown) else words(_plain(v)) for v in values[:_MANY]]
    return ", ".join(parts) + (", …" if len(values) > _MANY else "") if parts else None


def line(value: object) -> str:
    """Return any value in one short line: its title where it is `Shown`."""
    return value.title() if isinstance(value, Shown) else shown(value)


def words(cell: Cell) -> str:
    """Return a cell as people read it.

    Examples:
        >>> words(0.123456), words((-0.5, math.inf)), words(12345), words(None), words(True)
        ('0.1235', '[-0.5, unbounded]', '12,345', '–', 'yes')
    """
    if cell is None:
        return _NOTHING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, tuple):
        return span(*cell)
    return cell if isinstance(cell, str) else number(cell)


def number(value: float) -> str:
    """Return a number to four significant digits, whole ones whole; what is not finite in words.

    Examples:
        >>> number(0.000123456), number(123456.7), number(1e12), number(math.nan)
        ('0.0001235', '123,457', '1e+12', 'undefined')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "unbounded"
    large = 1e4 <= abs(value) < 1e9
    return f"{value:,.0f}" if large else f"{value:.4g}"


def span(low: float, high: float) -> str:
    """Return an interval as `[low, high]`."""
    return f"[{number(low)}, {number(high)}]"


def counted(n: int, what: str, plural: str | None = None) -> str:
    """Return how many of what there are.

    Examples:
        >>> counted(1, "event"), counted(12000, "event"), counted(2, "query", "queries")
        ('1 event', '12,000 events', '2 queries')
    """
    return f"{n:,} {what if n == 1 else plural or what + 's'}"


def day(instant: Instant) -> str:
    """Return the day of an instant in UTC, at any distance from today.

    Examples:
        >>> day(0), day(2**62)
        ('1970-01-01', '2116-02-20')
    """
    return (_EPOCH + timedelta(days=int(instant) // 86_400_000_000_000)).date().isoformat()


def _plain(cell: Any) -> Cell:
    """Numbers of NumPy become those of Python, which JSON and people can read.

    Two numbers are an interval; other things that belong together are told one after the other.
    """
    if isinstance(cell, tuple | list):
        if len(cell) == 2 and all(isinstance(end, Real) for end in cell):
            return float(cell[0]), float(cell[1])
        return " ".join(words(_plain(part)) for part in cell)
    if type(cell).__module__ == "numpy" and hasattr(cell, "item"):
        cell = cell.item()
    return cell if cell is None or isinstance(cell, str | bool | int | float) else str(cell)


def _exact(cell: Cell) -> Any:
    if isinstance(cell, tuple):
        return [_exact(end) for end in cell]
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _safe_in_markdown(cell: str) -> str:
    return _escaped(cell).replace("|", "\\|")


def _escaped(line: str) -> str:
    # Brackets before a parenthesis would be a link or a picture.
    return escape(spelt(line), quote=False).replace("\n", " ").replace("](", "]&#40;")


def _safe_in_latex(cell: str) -> str:
    return cell.translate(_LATEX)  # a backslash would begin a command, such as \\input


_LATEX = str.maketrans(
    {sign: "\\" + sign for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {sign: f"${sign}$" for sign in "<>"}
)


def _cut(line: str, longest: int) -> str:
    one = spelt(" ".join(line.split()))
    return one if len(one) <= longest else one[: longest - 1] + "…"
