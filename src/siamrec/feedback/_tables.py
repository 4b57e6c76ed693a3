"""Reads CSV, JSON lines and Parquet into columns of text, without trusting any row."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast, final

from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "\\n"})
_HEAD = 8192


@final
@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns of text as they stood in a file; None where a value is missing.

    Attributes:
        columns: Values by column name, all of one length.
        row: Number of each row in the file, from 1 (the first row after a header).
        broken: Rows that could not be split into columns: number and reason.
    """

    columns: dict[str, list[str | None]]
    row: list[int]
    broken: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row)


def read_raw(path: str | Path) -> RawTable:
    """Return the columns of a file; its kind follows from its name and its first bytes.

    Raises:
        InvalidDataError: If the file is absent, empty, or of no kind that can be read.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidDataError(f"{file} is not a file.")
    try:
        with _opened(file) as stream:
            head = stream.read(_HEAD)
    except (OSError, EOFError) as error:
        raise InvalidDataError(f"{file} cannot be read: {error}.") from error
    if not head.strip():
        raise InvalidDataError(f"{file} is empty.")
    if head[:4] == b"PAR1":
        return _parquet(file)
    if b"\x00" in head or not _is_text(head):
        raise InvalidDataError(
            f"{file} is neither text nor Parquet; CSV, JSON lines and Parquet can be read."
        )
    with _opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        return raw_of_text(text, file)


def raw_of_text(text: TextIO, file: Path) -> RawTable:
    """Return the columns of a text; its kind follows from the file's name and its beginning.

    Raises:
        InvalidDataError: If it cannot be read.
    """
    name = file.name.removesuffix(".gz")
    is_json = name.endswith((".jsonl", ".ndjson", ".json")) or text.read(_HEAD).lstrip()[:1] == "{"
    text.seek(0)
    return _json_lines(text) if is_json else _csv(text, file)


def _opened(file: Path) -> IO[bytes]:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(file, "rb")) if packed else file.open("rb")


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut at the end of the head; Latin-1 text stays readable.
        control = sum(byte < 9 or 13 < byte < 32 for byte in head)
        return error.start > len(head) - 4 or control == 0
    return True


def _csv(text: TextIO, file: Path) -> RawTable:
    sample = text.read(_HEAD)
    text.seek(0)
    delimiter = max(",;\t|", key=sample.split("\n", 1)[0].count)
    reader = csv.reader(text, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader)]
        return _rows(header, list(reader))
    except (csv.Error, OSError, EOFError) as error:
        raise InvalidDataError(f"{file} cannot be read as CSV: {error}.") from error


def _rows(header: Sequence[str], rows: list[list[str]]) -> RawTable:
    width = len(header)
    broken = [
        (number, f"{len(row)} values where the header has {width}")
        for number, row in enumerate(rows, start=1)
        if len(row) != width and row
    ]
    numbers = [number for number, row in enumerate(rows, start=1) if len(row) == width]
    columns = zip(*(rows[number - 1] for number in numbers), strict=True)
    values = [[_value(text) for text in column] for column in columns] or [[] for _ in header]
    return RawTable(dict(zip(header, values, strict=True)), numbers, broken)


def _value(text: str) -> str | None:
    stripped = text.strip()
    return None if stripped.lower() in _MISSING else stripped


def _json_lines(text: TextIO) -> RawTable:
    rows, numbers, broken = [], [], []
    for number, line in enumerate(text, start=1):  # each line is parsed alone, so one may fail
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            broken.append((number, f"no JSON: {error}"))
            continue
        if not isinstance(row, dict):
            broken.append((number, "no JSON object"))
            continue
        rows.append(row)
        numbers.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [_plain(row.get(name)) for row in rows] for name in names}
    return RawTable(columns, numbers, broken)


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return "|".join(str(part) for part in value)
    return _value(str(value))


def _parquet(file: Path) -> RawTable:
    from pyarrow import parquet  # CSV needs none of it

    try:
        table = parquet.read_table(file)
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{file} cannot be read as Parquet: {error}.") from error
    columns = {name: [_plain(v) for v in table[name].to_pylist()] for name in table.column_names}
    return RawTable(columns, list(range(1, table.num_rows + 1)))
