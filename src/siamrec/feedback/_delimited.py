"""Values between delimiters: CSV, TSV and their kin, with quoting that is checked.

pyarrow splits the records; what it would take without a word is looked at before: a quote that is
never closed, or that closes in the middle of a value, swallows the rows behind it.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError, shown
from siamrec.feedback._contents import said
from siamrec.feedback._quotes import (
    PLAIN_NUMBER,
    UNIT,
    Dialect,
    UnclosedQuoteError,
    first_record,
    whole_records,
)
from siamrec.feedback._records import Block, Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siamrec.feedback._contents import Content
    from siamrec.feedback._records import Layout

_DELIMITERS = (",", "\t", ";", "|", "::")
_LONGEST = 64 << 20
"""Bytes of one record, at most."""
_SAMPLE = 64 << 10


def delimited(content: Content, layout: Layout, head: bytes) -> Records:
    """Return the records of a file of values between delimiters.

    Raises:
        InvalidDataError: If there is no header, names repeat, or a quote is left open.
        InvalidParameterError: If a delimiter or quote is none.
    """
    encoding = content.encoding(layout.encoding, head)
    first = next(content.texts(encoding), b"").lstrip(b"\r\n")
    dialect = _dialect_of(content, layout, first)
    names = layout.names or _header(content, dialect, first, numbered=layout.numbered)
    reader = _Reader(content, dialect, encoding, tuple(names), headed=not layout.names)
    told = {"written as": dialect.title(), "encoding": encoding}
    return Records(tuple(names), reader.blocks, told)


def _dialect_of(content: Content, layout: Layout, first: bytes) -> Dialect:
    _check_signs(layout)
    delimiter = layout.delimiter or _delimiter(content, layout, first)
    if layout.quote is not None:
        return Dialect(delimiter, layout.quote)
    plain = Dialect(delimiter, '"')
    tried = [plain, replace(plain, escape="\\")]
    if delimiter in {"\t", "::"}:  # where tabs split, a quote is often a letter like any other
        tried.append(replace(plain, quote=""))
    data = _united(first, plain)
    for dialect in tried:
        try:
            whole_records(data, dialect)
        except UnclosedQuoteError:
            continue
        return dialect
    return plain


def _check_signs(layout: Layout) -> None:
    said = "ASCII letters that stand in one line"
    if layout.quote is not None and not re.fullmatch(r"[ -~]?", layout.quote):
        raise InvalidParameterError("quote", layout.quote, f"one of the {said}, or empty")
    if layout.delimiter is not None and not re.fullmatch(r"[ -~\t\x01-\x08]+", layout.delimiter):
        raise InvalidParameterError("delimiter", layout.delimiter, f"one or more {said}")
    quote = '"' if layout.quote is None else layout.quote
    if quote and layout.delimiter == quote:
        raise InvalidParameterError("quote", layout.quote, "another letter than the delimiter")


def _delimiter(content: Content, layout: Layout, first: bytes) -> str:
    """The one that splits the first lines into equally many values, the most of them."""
    lines = first[:_SAMPLE].decode("utf-8", errors="replace").split("\n")
    lines = [line.rstrip("\r") for line in lines[:20] if line.strip()]
    if len(lines) > 1 and len(first) > _SAMPLE:
        lines.pop()

    def width(line: str, delimiter: str) -> int:
        return re.sub(r'"[^"]*"', "", line).count(delimiter)

    counts = {d: [width(line, d) for line in lines] for d in _DELIMITERS}
    scores = {
        d: (sum(n == found[0] for n in found) * 2 > len(found), found[0])
        for d, found in counts.items()
        if found and found[0]
    }
    if not scores:
        if len(layout.names) == 1:
            return ","
        raise InvalidDataError(
            f"{content.name} has one column only ({shown(lines[0][:80] if lines else '')}): name "
            "what stands between values (--delimiter)."
        )
    return max(scores, key=lambda d: (*scores[d], len(d)))


def _header(
    content: Content, dialect: Dialect, first: bytes, *, numbered: bool
) -> tuple[str, ...]:
    try:
        end = first_record(_united(first, dialect), dialect)
    except UnclosedQuoteError as error:
        raise InvalidDataError(f"{content.name}, line 1: {error.said}.") from error
    try:
        line = _united(first, dialect)[:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDataError(_not_utf8(content, 1)) from error
    names = [name.strip() for name in _split(line, dialect)]
    numbers = sum(bool(PLAIN_NUMBER.fullmatch(name)) for name in names)
    if numbers * 2 >= len(names) and not numbered:
        raise InvalidDataError(
            f"{content.name} has no header: its first line is {shown(', '.join(names))}. Name the "
            "columns in their order, such as --columns user,item,rating,timestamp."
        )
    if any(name.strip()[:1] == dialect.quote != "" for name in names):
        raise InvalidDataError(
            f"{content.name}, line 1: a blank stands between {dialect.split_at!r} and a quote, "
            "which makes the quote a letter; write the file without such blanks."
        )
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        places = [str(p) for p, name in enumerate(names, start=1) if name == twice]
        raise InvalidDataError(
            f"{content.name} has {len(places)} columns named {shown(twice)} (columns "
            f"{', '.join(places)}): rename all but one."
        )
    return tuple(names)


def _split(line: str, dialect: Dialect) -> list[str]:
    reader = csv.reader(
        io.StringIO(line, newline=""),
        delimiter=dialect.split_at,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape or None,
    )
    try:
        return next(reader, [])
    except csv.Error:  # a value of more letters than its limit is no name
        return line.split(dialect.split_at)


def end_of_records(header: bytes, data: bytes, delimiter: str | None) -> int:
    """Return where the last whole record of a growing file ends."""
    if delimiter is None:
        delimiter = max(
            (d for d in _DELIMITERS if len(d) == 1), key=header.decode("latin-1").count
        )
    try:
        return whole_records(data, Dialect(delimiter, '"'))
    except UnclosedQuoteError:  # told when it is read
        return data.rfind(b"\n") + 1


def _united(data: bytes, dialect: Dialect) -> bytes:
    """Delimiters of several letters become one."""
    if len(dialect.delimiter) == 1:
        return data
    if UNIT.encode() in data:
        raise InvalidDataError(f"A delimiter such as {dialect.delimiter} goes without \\x1f.")
    return data.replace(dialect.delimiter.encode(), UNIT.encode())


@final
@dataclass(frozen=True, slots=True)
class _Reader:
    """Yields the records of one file."""

    content: Content
    dialect: Dialect
    encoding: str
    names: tuple[str, ...]
    headed: bool

    def blocks(self, wanted: Sequence[str], _ids: Mapping[str, bool]) -> Iterator[Block]:
        """Yield blocks of the columns asked for; a column is of one kind, whatever it holds.

        Raises:
            InvalidDataError: If a quote is left open, or the file is not of its encoding.
        """
        letters = _Letters(self.content)
        rest, line, row, begun = b"", 1, 1, not self.headed
        for part in chain(self.content.texts(self.encoding), (b"",)):
            data = rest + _united(part, self.dialect)
            whole, rest = self._cut(data, line, last=not part)
            if not begun and whole.strip():
                begun = True
                blank = len(whole) - len(whole.lstrip(b"\r\n"))
                first = blank + first_record(whole[blank:], self.dialect)
                line += whole.count(b"\n", 0, first)
                whole = whole[first:]
            if whole.strip():
                block = self._block(whole, wanted, row, letters, line)
                yield block
                row += len(block.rows) + len(block.broken)
            line += whole.count(b"\n")
        letters.judge()

    def _cut(self, data: bytes, line: int, *, last: bool) -> tuple[bytes, bytes]:
        """Return the whole records, and the beginning of the next."""
        try:
            end = whole_records(data, self.dialect, last=last)
        except UnclosedQuoteError as error:
            at = line + data.count(b"\n", 0, error.opened)
            raise InvalidDataError(
                f"{self.content.name}, line {at:,}: {error.said}. Close it, or say that quotes "
                "are letters like others (--quote '', quote='' from Python)."
            ) from error
        if len(data) - end > _LONGEST:
            at = line + data.count(b"\n", 0, end)
            raise InvalidDataError(
                f"{self.content.name}, line {at:,}: a record is longer than {_LONGEST >> 20} MB; "
                "is a quote left open?"
            )
        return data[:end], data[end:]

    def _block(
        self, data: bytes, wanted: Sequence[str], row: int, letters: _Letters, line: int
    ) -> Block:
        from pyarrow import csv as arrow  # takes its time

        data, damaged = letters.looked_at(data, line, self.dialect)
        broken: list[tuple[int, str]] = []

        def skip(invalid: Any) -> str:
            broken.append(
                (
                    row - 1 + invalid.number,
                    f"{invalid.actual_columns} values where the header has {len(self.names)}",
                )
            )
            return "skip"

        try:
            table = arrow.read_csv(
                io.BytesIO(data),
                arrow.ReadOptions(
                    column_names=self.names, use_threads=False, block_size=len(data) + 16
                ),
                self._parsing(arrow, skip),
                self._converting(arrow, wanted),
            )
        except (ValueError, OSError, NotImplementedError) as error:
            raise InvalidDataError(
                f"{self.content.name} cannot be read as CSV near line {line:,}: {said(error)}."
            ) from error
        rows = np.arange(row, row + table.num_rows + len(broken))
        if broken:
            rows = np.delete(rows, [number - row for number, _ in broken])
        if damaged:
            return _without(Block(table, rows, broken), damaged)
        return Block(table, rows, broken)

    def _parsing(self, arrow: Any, skip: Any) -> Any:
        return arrow.ParseOptions(
            delimiter=self.dialect.split_at,
            quote_char=self.dialect.quote or False,
            escape_char=self.dialect.escape or False,
            newlines_in_values=True,
            invalid_row_handler=skip,
        )

    def _converting(self, arrow: Any, wanted: Sequence[str]) -> Any:
        import pyarrow as pa

        return arrow.ConvertOptions(
            column_types=dict.fromkeys(self.names, pa.string()),
            strings_can_be_null=False,
            include_columns=list(wanted),
        )


_DAMAGED = "\ufffe"
"""Stands for what is no UTF-8 until its record is set apart: no text may hold it."""


@final
class _Letters:
    """Looks for what is no UTF-8; a line of it costs its record, many say it is not UTF-8."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._first = 0
        self._n_bad = self._n_good = 0

    def looked_at(self, data: bytes, line: int, dialect: Dialect) -> tuple[bytes, str]:
        """Return the data with a mark in each damaged line, and the mark, if there is one."""
        if data.isascii():
            return data, ""
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            self._n_good += data.count(b"\n")
            return data, ""
        lines = data.split(b"\n")
        for place, each in enumerate(lines):  # only in a block that is damaged
            try:
                self._n_good += not each.isascii() and bool(each.decode("utf-8"))
            except UnicodeDecodeError:
                self._n_bad += 1
                self._first = self._first or line + place
                # every value is marked: which of them will be asked for is not known here
                kept = each.decode("utf-8", errors="ignore")
                lines[place] = _marked(kept, dialect).encode()
        return b"\n".join(lines), _DAMAGED

    def judge(self) -> None:
        """Refuse a file in which damage is the rule.

        Raises:
            InvalidDataError: If more lines are no UTF-8 than are.
        """
        if self._n_bad > self._n_good:
            raise InvalidDataError(_not_utf8(self._content, self._first))


def _marked(line: str, dialect: Dialect) -> str:
    parts = line.split(dialect.split_at)
    return dialect.split_at.join(
        part[:1] + _DAMAGED + part[1:]
        if dialect.quote and part[:1] == dialect.quote
        else _DAMAGED + part
        for part in parts
    )


def _without(block: Block, mark: str) -> Block:
    import pyarrow as pa
    import pyarrow.compute as pc

    held = np.zeros(block.table.num_rows, dtype=np.bool_)
    for name in block.table.column_names:
        held |= pc.match_substring(block.table[name], mark).to_numpy()
    bad = [(int(row), "not valid UTF-8") for row in block.rows[held]]
    return Block(block.table.filter(pa.array(~held)), block.rows[~held], [*block.broken, *bad])


def _not_utf8(content: Content, line: int) -> str:
    return (
        f"{content.name} is not UTF-8 (first in line {line:,}). Name its encoding, such as "
        "--encoding cp1252 for Western Europe (encoding='cp1252' from Python)."
    )
