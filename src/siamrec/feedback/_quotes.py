"""Quotes around values: where records end, and quotes that would swallow rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np

UNIT = "\x1f"
"""Stands for a delimiter of several letters, which pyarrow does not know."""
PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

_NEWLINE = ord("\n")


@final
@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are split; an empty quote or escape is none."""

    delimiter: str
    quote: str
    escape: str = ""

    @property
    def split_at(self) -> str:
        return self.delimiter if len(self.delimiter) == 1 else UNIT

    def title(self) -> str:
        named = {"\t": "tab", " ": "blank"}.get(self.delimiter, self.delimiter)
        usual = '"'
        quoting = "" if self.quote == usual else f", quotes {self.quote or 'are letters'}"
        escaping = f", {self.escape} before a quote" if self.escape else ""
        return f"split at {named}{quoting}{escaping}"


@final
class UnclosedQuoteError(Exception):
    """A quote that is not closed as it should be; carries the place where it was opened."""

    def __init__(self, opened: int, said: str) -> None:
        super().__init__(said)
        self.opened, self.said = opened, said


def first_record(data: bytes, dialect: Dialect) -> int:
    """Return where the first record ends."""
    if not dialect.quote or dialect.quote.encode() not in data[: data.find(b"\n") + 1 or None]:
        return data.find(b"\n") + 1 or len(data)
    begins = {dialect.split_at.encode(), b"\n", b"\r", b"", dialect.quote.encode()}
    inside = False
    for found in re.finditer(rb"[\n" + re.escape(dialect.quote.encode()) + rb"]", data):
        before = data[max(found.start() - 1, 0) : found.start()]
        if found[0] != b"\n":
            inside = not inside and before in begins
        elif not inside:
            return found.end()
    if inside:
        raise UnclosedQuoteError(0, "a quote is opened and not closed")
    return len(data)


def whole_records(data: bytes, dialect: Dialect, *, last: bool = False) -> int:
    """Return where the last whole record ends, having looked at every quote before it.

    Raises:
        UnclosedQuoteError: If a quote is closed in the middle of a value, or what it encloses
            are rows by themselves, or it is still open at the last end.
    """
    quote = dialect.quote.encode()
    if not quote or quote not in data:
        return len(data) if last else data.rfind(b"\n") + 1
    looked = data
    if dialect.escape:
        escape = dialect.escape.encode()
        looked = looked.replace(escape * 2, b"__").replace(escape + quote, b"__")
    signs = np.frombuffer(looked, dtype=np.uint8)
    quotes = np.flatnonzero(signs == quote[0])
    if not _well_placed(signs, quotes, dialect):
        quotes = _real_quotes(looked, quotes, dialect)
    lines = np.flatnonzero(signs == _NEWLINE)
    inside = np.searchsorted(quotes, lines) % 2 == 1
    if inside.any():
        _look_inside(looked, quotes, lines, inside, dialect)
    if last:
        if len(quotes) % 2:
            raise UnclosedQuoteError(int(quotes[-1]), "a quote is opened and not closed")
        return len(data)
    ends = lines[~inside]
    return int(ends[-1]) + 1 if ends.size else 0


def _well_placed(signs: Any, quotes: Any, dialect: Dialect) -> bool:
    """Whether each opening quote begins a value and each closing one ends it."""
    around = np.zeros(256, dtype=np.bool_)
    around[[ord(dialect.split_at), _NEWLINE, ord("\r"), ord(dialect.quote)]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    before = signs[opening[opening > 0] - 1]
    after = signs[closing[closing < len(signs) - 1] + 1]
    return bool(around[before].all() and around[after].all())


def _real_quotes(data: bytes, quotes: Any, dialect: Dialect) -> Any:
    """Return the quotes that open and close values; one within a plain value is a letter.

    A loop over quotes, only for files in which some are letters.
    """
    quote, last = ord(dialect.quote), len(data) - 1
    begins = {ord(dialect.split_at), _NEWLINE, ord("\r")}
    real: list[int] = []
    opened, skipped = -1, -1
    for at in quotes.tolist():
        if at == skipped:
            real.append(at)
        elif opened < 0:
            if at == 0 or data[at - 1] in begins:
                opened = at
                real.append(at)
        elif at < last and data[at + 1] == quote:
            skipped = at + 1
            real.append(at)
        elif at == last or data[at + 1] in begins:
            opened = -1
            real.append(at)
        else:
            raise UnclosedQuoteError(
                opened, "a quote is opened and closed in the middle of a value"
            )
    return np.asarray(real, dtype=np.int64)


def _look_inside(data: bytes, quotes: Any, lines: Any, inside: Any, dialect: Dialect) -> None:
    """Refuse line breaks within quotes where the lines that they part are rows by themselves.

    A loop over the values that hold line breaks.
    """
    breaks = lines[inside]
    opened = quotes[np.searchsorted(quotes, breaks) - 1]
    for quote in np.unique(opened).tolist():
        own = breaks[np.searchsorted(opened, quote) : np.searchsorted(opened, quote, "right")]
        ends = [*own.tolist(), data.find(b"\n", int(own[-1]) + 1)]
        if ends[-1] < 0:
            ends[-1] = len(data)
        first = _pattern(data[data.rfind(b"\n", 0, quote) + 1 : ends[0]], dialect)
        others = [_pattern(data[a + 1 : b], dialect) for a, b in pairwise(ends)]
        rows = [other == first for other in others]
        if any(rows) if any(first) else len(first) > 1 and len(rows) > 1 and all(rows):
            raise UnclosedQuoteError(
                quote, "a quote is opened here, and what it encloses are rows by themselves"
            )


def _pattern(line: bytes, dialect: Dialect) -> tuple[bool, ...]:
    """Which values of a line are numbers: rows of a table agree in it, lines of a text do not."""
    values = line.rstrip(b"\r").split(dialect.split_at.encode())
    return tuple(PLAIN_NUMBER.fullmatch(v.decode("latin-1").strip()) is not None for v in values)
