"""JSON lines, JSON arrays and documents that hold one: records with columns of any depth.

pyarrow reads the columns that are asked for, of the kinds that the beginning shows. What it does
not take as it stands (a value of another kind, a broken line, a line with two objects) is read
again by Python's own reader, line by line, so that one bad line costs one record.
"""

from __future__ import annotations

import io
import json
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from siamrec.errors import InvalidDataError
from siamrec.feedback._contents import BLOCK, said
from siamrec.feedback._meaning import mixed_ids
from siamrec.feedback._records import Block, Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siamrec.feedback._contents import Content
    from siamrec.feedback._records import Layout

_SAMPLE = 5_000
"""Records by which names and kinds are found out."""
_DEEP = 4
"""Levels of objects in objects whose values are columns: `data.meta.rating`."""
_SMALL = 64 << 10
"""Bytes that are read again line by line rather than halved once more."""
_WHOLE = 512 << 20
"""Bytes of one document, at most; lines have no bound."""
_MANY = 20_000
"""Records of an array that make a block."""
_LEAST, _GREATEST = -(2**63), 2**63 - 1


_Asked: TypeAlias = "tuple[Sequence[str], Mapping[str, bool]]"
"""Columns that are wanted, and which are ids; whether texts and numbers may stand in one."""
_LISTS = {b"[{", b"[[", b"[\n", b"[\r", b"[ "}


def is_json(content: Content, head: bytes) -> bool:
    """Whether a text is JSON by its name or its first sign."""
    named = content.plain_name.endswith((".json", ".jsonl", ".ndjson"))
    first = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:2]
    return named or first[:1] == b"{" or first in _LISTS


def json_records(content: Content, layout: Layout, head: bytes) -> Records:
    """Return the records of a JSON file.

    Raises:
        InvalidDataError: If it has no records, or a document is damaged.
    """
    encoding = content.encoding(layout.encoding, head)
    first = next(content.texts(encoding), b"")
    told = {"encoding": encoding}
    if _is_lines(first):
        lines = first.split(b"\n")[: _SAMPLE + 1]
        if len(lines) > 1 and len(first) >= BLOCK:
            lines.pop()
        if encoding == "utf-8":  # a name may come late
            lines += content.last().split(b"\n")[-_SAMPLE:]
        rows = [row for line in lines if isinstance(row := _parsed(line), dict)]
        kinds = _kinds(rows)
        dotted = {name for row in rows for name in row if "." in name}
        reader = _Lines(content, encoding, kinds, dotted)
        return Records(tuple(kinds), reader.blocks, {"written as": "JSON lines", **told})
    rows = _rows_of_document(content, encoding)
    kinds = _kinds(rows[:_SAMPLE])

    def blocks(wanted: Sequence[str], ids: Mapping[str, bool]) -> Iterator[Block]:
        for start in range(0, len(rows), _MANY):
            part = rows[start : start + _MANY]
            numbers = range(start + 1, start + 1 + len(part))
            yield _block_of_rows(zip(numbers, part, strict=True), wanted, ids)

    return Records(tuple(kinds), blocks, {"written as": "a JSON document", **told})


def _is_lines(first: bytes) -> bool:
    """Whether records stand one a line; a document begins with a list or goes over lines."""
    begin = first.lstrip()
    if begin[:1] == b"[":
        return False
    line, _, rest = begin.partition(b"\n")
    parsed = _parsed(line)
    if isinstance(parsed, dict):
        alone = not rest.strip()
        return not (alone and _lists_in(parsed))
    following = rest.split(b"\n", 50)[:50]  # a broken first line is no document
    return any(isinstance(_parsed(each), dict) for each in following)


def _parsed(line: bytes) -> Any:
    """Return what a line holds, None where it is no JSON."""
    try:
        return json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _rows_of_document(content: Content, encoding: str) -> list[Any]:
    parts, size = [], 0
    for part in content.texts(encoding):
        parts.append(part)
        size += len(part)
        if size > _WHOLE:
            raise InvalidDataError(
                f"{content.name} is one JSON document of more than {_WHOLE >> 20} MB: write it as "
                "JSON lines, one record a line."
            )
    try:
        document = json.loads(b"".join(parts), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"{content.name} cannot be read as JSON: {said(error)}.") from error
    if isinstance(document, list):
        return document
    lists = _lists_in(document) if isinstance(document, dict) else {}
    if len(lists) == 1:
        return next(iter(lists.values()))
    if isinstance(document, dict) and not lists:
        return [document]
    raise InvalidDataError(
        f"{content.name} must hold one list of records, found {', '.join(lists) or 'none'}."
    )


def _lists_in(document: Mapping[str, Any], prefix: str = "", depth: int = 3) -> dict[str, Any]:
    """Return lists of objects in a document by their path."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            found[prefix + name] = value
        elif isinstance(value, dict) and depth > 1:
            found |= _lists_in(value, f"{prefix}{name}.", depth - 1)
    return found


def _kinds(rows: Iterable[Any]) -> dict[str, set[type]]:
    """Return the kinds of values of each column, by path, in order of appearance."""
    kinds: dict[str, set[type]] = {}
    for row in rows:
        if isinstance(row, dict):
            for path, value in _leaves(row):
                kinds.setdefault(path, set()).add(type(value))
    return kinds


def _leaves(row: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        path = prefix + name
        if isinstance(value, dict) and value and depth < _DEEP:
            yield from _leaves(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _at(row: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path: a name with a dot in it, or a name within a name."""
    if path in row:
        return row[path]
    name, dot, rest = path.partition(".")
    while dot:
        inner = row.get(name)
        if isinstance(inner, dict):
            found = _at(inner, rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        name = f"{name}.{more}"
    return None


@final
class _Lines:
    """Records that stand one a line."""

    def __init__(
        self, content: Content, encoding: str, kinds: Mapping[str, set[type]], dotted: set[str]
    ) -> None:
        self._content, self._encoding = content, encoding
        self._kinds, self._dotted = kinds, dotted

    def blocks(self, wanted: Sequence[str], ids: Mapping[str, bool]) -> Iterator[Block]:
        """Yield blocks of the columns asked for.

        Raises:
            InvalidDataError: If the file cannot be read, or has a line without end.
        """
        schema = self._schema(wanted)
        rest, line = b"", 1
        for part in chain(self._content.texts(self._encoding), (b"",)):
            data = rest + part
            end = data.rfind(b"\n") + 1 if part else len(data)
            if len(data) - end > _WHOLE:
                raise InvalidDataError(f"{self._content.name}, line {line:,} has no end.")
            whole, rest = data[:end], data[end:]
            if whole.strip():
                yield from self._read(whole, line, (wanted, ids), schema)
            line += whole.count(b"\n")

    def _schema(self, wanted: Sequence[str]) -> Any:
        """Return what pyarrow is to expect, None where it knows no kind for a column."""
        import pyarrow as pa  # takes its time

        tree: dict[str, Any] = {}
        for path in wanted:
            kind = _ARROW.get(frozenset(self._kinds.get(path, {str}) - {type(None)}))
            if kind is None or path in self._dotted:
                return None
            *above, last = path.split(".")
            inner = tree
            for name in above:
                inner = inner.setdefault(name, {})
                if not isinstance(inner, dict):
                    return None
            inner[last] = kind

        def made(fields: Mapping[str, Any]) -> list[Any]:
            return [
                pa.field(n, pa.struct(made(k)) if isinstance(k, dict) else getattr(pa, k)())
                for n, k in fields.items()
            ]

        return pa.schema(made(tree))

    def _read(self, data: bytes, line: int, asked: _Asked, schema: Any) -> Iterator[Block]:
        table = None if schema is None else _by_arrow(data, asked[0], schema)
        n_lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if table is not None and table.num_rows == n_lines:
            yield Block(table, np.arange(line, line + n_lines), [])
            return
        middle = data.find(b"\n", len(data) // 2) + 1
        if schema is None or len(data) <= _SMALL or not 0 < middle < len(data):
            yield _by_line(data, line, *asked)
            return
        yield from self._read(data[:middle], line, asked, schema)
        second = line + data.count(b"\n", 0, middle)
        yield from self._read(data[middle:], second, asked, schema)


_ARROW: Mapping[frozenset[type], str] = {
    frozenset(): "string",
    frozenset({str}): "string",
    frozenset({int}): "int64",
    frozenset({float}): "float64",
    frozenset({int, float}): "float64",
    frozenset({bool}): "bool_",
}


def _by_arrow(data: bytes, wanted: Sequence[str], schema: Any) -> Any:
    """Return the columns as pyarrow reads them, None where it does not take them as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow

    try:
        data.decode("utf-8")
        table = arrow.read_json(
            io.BytesIO(data),
            arrow.ReadOptions(use_threads=False, block_size=len(data) + 16),
            arrow.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except ValueError:
        return None
    if b"NaN" in data or b"Infinity" in data:  # pyarrow takes them for numbers
        return None
    columns = []
    for path in wanted:
        name, *inner = path.split(".")
        column = table[name].combine_chunks() if name in table.column_names else None
        if column is None:
            return None
        for each in inner:
            column = pc.struct_field(column, each)
        if pa.types.is_float64(column.type) and _may_be_rounded(column):
            return None
        columns.append(column)
    return pa.table(columns, names=list(wanted))


def _may_be_rounded(column: Any) -> bool:
    """Whether there are numbers of a size at which whole ones are no floats."""
    import pyarrow.compute as pc

    greatest = pc.max(pc.abs(column)).as_py()
    return greatest is not None and greatest >= 2**53


def _by_line(data: bytes, line: int, wanted: Sequence[str], ids: Mapping[str, bool]) -> Block:
    rows: list[tuple[int, Any]] = []
    broken: list[tuple[int, str]] = []
    # each line alone, so that one may fail: only where pyarrow did not take them together
    for number, text in enumerate(data.split(b"\n"), start=line):
        if not text.strip():
            continue
        try:
            row = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        except RecursionError:
            broken.append((number, "no JSON that can be read: too deep"))
        except UnicodeDecodeError:
            broken.append((number, "not valid UTF-8"))
        except ValueError as error:
            broken.append((number, f"no JSON: {said(error)}"))
        else:
            rows.append((number, row))
    block = _block_of_rows(rows, wanted, ids)
    return Block(block.table, block.rows, sorted([*broken, *block.broken]))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in row if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} stands twice")
    return row


def _block_of_rows(
    rows: Iterable[tuple[int, Any]], wanted: Sequence[str], ids: Mapping[str, bool]
) -> Block:
    """Return records that Python has read as columns."""
    import pyarrow as pa

    kept: list[tuple[int, list[Any]]] = []
    broken: list[tuple[int, str]] = []
    for number, row in rows:
        if not isinstance(row, dict):
            broken.append((number, "no JSON object"))
            continue
        cells = [_at(row, path) for path in wanted]
        reason = next(filter(None, map(_odd, wanted, cells)), None)
        reason = reason or _no_id(wanted, cells, ids)
        if reason is None:
            kept.append((number, cells))
        else:
            broken.append((number, reason))
    columns = []
    for place, path in enumerate(wanted):
        listed = [_whole(cells[place]) if path in ids else cells[place] for _, cells in kept]
        if not ids.get(path, True) and {int, str} <= set(map(type, listed)):
            raise InvalidDataError(mixed_ids(path))
        columns.append(_column(listed))
    numbers = np.fromiter((number for number, _ in kept), dtype=np.int64, count=len(kept))
    return Block(pa.table(columns, names=list(wanted)), numbers, broken)


def _odd(path: str, cell: Any) -> str | None:
    """Why a cell cannot be held."""
    if isinstance(cell, int) and not _LEAST <= cell <= _GREATEST:
        return f"{path} is beyond 64 bits"
    if isinstance(cell, dict) and cell:
        return f"{path} is an object"
    if isinstance(cell, str) and not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError:
            return f"{path} is no valid Unicode"
    return None


def _no_id(wanted: Sequence[str], cells: Sequence[Any], ids: Mapping[str, bool]) -> str | None:
    """Why a record's ids are none: one is neither text nor a whole number."""
    for path, cell in zip(wanted, cells, strict=True):
        if path in ids and isinstance(_whole(cell), bool | float | list):
            return f"{path} is no id: {json.dumps(cell)[:200]}"
    return None


def _whole(cell: Any) -> Any:
    """A number that is whole as one, however it is written: 1.0 is the id 1."""
    if isinstance(cell, float) and cell.is_integer() and _LEAST <= cell < -_LEAST:
        return int(cell)
    return cell


def _column(cells: list[Any]) -> Any:
    """Return a column of one kind: texts where kinds are mixed, lists as lists of texts."""
    import pyarrow as pa

    cells = [None if cell == {} else cell for cell in cells]
    kinds = {type(cell) for cell in cells} - {type(None)}
    if list in kinds:
        lists = [
            [_text(each) for each in cell]
            if isinstance(cell, list)
            else None
            if cell is None
            else [_text(cell)]
            for cell in cells
        ]
        return pa.array(lists, pa.list_(pa.string()))
    if kinds <= {int} or kinds <= {int, float} or kinds <= {bool}:
        exact = kinds != {int, float} or all(
            abs(cell) < 2**53 for cell in cells if isinstance(cell, int)
        )
        if kinds and exact:
            return pa.array(cells)
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str:
    """A value as text: what JSON would write, texts as they are."""
    return cell if isinstance(cell, str) else json.dumps(cell)
