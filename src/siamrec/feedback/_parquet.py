"""Parquet and Arrow files: columns that know their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.errors import InvalidDataError, shown
from siamrec.feedback._contents import FREE, RATIO, said
from siamrec.feedback._records import Block, Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siamrec.feedback._contents import Content

_ROWS = 131_072
_MOST = 2**31 - 1
"""Records of a file, at most: users and items are counted in 32 bits."""
_MANY = 10_000_000
_ROWS_A_BYTE = 64
"""Records that one byte may become, where they are many."""


def is_typed(head: bytes) -> bool:
    """Whether a file is Parquet or Arrow, by its first bytes."""
    return head[:4] == b"PAR1" or head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff"


def typed_records(content: Content, head: bytes) -> Records:
    """Return the records of a Parquet file, an Arrow file (Feather) or an Arrow stream.

    Raises:
        InvalidDataError: If it is damaged.
    """
    reader = _Typed(content, head)
    schema = next(reader.batches())
    try:
        names = tuple(path for field in schema for path in _paths(field))
    except UnicodeDecodeError as error:
        raise InvalidDataError(f"{content.name} cannot be read: {said(error)}.") from error
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidDataError(f"{content.name} has several columns named {shown(twice)}.")
    return Records(names, reader.blocks, {"written as": reader.said})


@final
class _Typed:
    """Yields the batches of one file."""

    def __init__(self, content: Content, head: bytes) -> None:
        self._content = content
        self._is_file = head[:6] == b"ARROW1"
        self.said = "Parquet" if head[:4] == b"PAR1" else "Arrow"

    def blocks(self, wanted: Sequence[str], _ids: Mapping[str, bool]) -> Iterator[Block]:
        """Yield blocks of the columns asked for; a column is of one kind, whatever it holds.

        Raises:
            InvalidDataError: If the file is damaged.
        """
        schema = next(self.batches())
        found = self.batches(list(dict.fromkeys(_top(path, schema) for path in wanted)))
        next(found)
        row = 1
        for batch in found:
            table = _picked(batch, wanted, self._content)
            yield Block(table, np.arange(row, row + batch.num_rows), [])
            row += batch.num_rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the schema, then the batches.

        Raises:
            InvalidDataError: If the file is damaged.
        """
        try:
            yield from self._of_parquet(columns) if self.said == "Parquet" else self._of_arrow()
        except InvalidDataError:
            raise
        except MemoryError as error:  # a damaged length is asked for
            raise InvalidDataError(
                f"{self._content.name} asks for more memory than there is; is it damaged?"
            ) from error
        except (ValueError, OSError, NotImplementedError, LookupError, TypeError) as error:
            raise InvalidDataError(
                f"{self._content.name} cannot be read as {self.said}: {said(error)}."
            ) from error

    def _unpacked(self) -> Any:
        import pyarrow as pa  # takes its time

        return pa.BufferReader(b"".join(self._content.blocks()))

    def _of_parquet(self, columns: Sequence[str] | None) -> Iterator[Any]:
        from pyarrow import parquet

        source = self._unpacked() if self._content.packing else self._content.file
        with parquet.ParquetFile(source) as file:
            self._check_size(file.metadata)
            yield file.schema_arrow
            yield from file.iter_batches(_ROWS, columns=columns, use_threads=False)

    def _check_size(self, metadata: Any) -> None:
        """Refuse what becomes far more than any data would."""
        size = self._content.file.stat().st_size
        groups = range(metadata.num_row_groups)
        unpacked = sum(metadata.row_group(group).total_byte_size for group in groups)
        most = min(_MOST, max(_MANY, _ROWS_A_BYTE * size))
        if metadata.num_rows > most or unpacked > max(FREE, RATIO * size):
            raise InvalidDataError(
                f"{self._content.name} becomes {metadata.num_rows:,} rows of "
                f"{unpacked >> 20:,} MB from {size:,} bytes: write it anew if that is right."
            )

    def _of_arrow(self) -> Iterator[Any]:
        import pyarrow as pa

        packed = self._content.packing
        with self._unpacked() if packed else pa.memory_map(str(self._content.file)) as source:
            read = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
            with read(source) as stream:
                yield stream.schema
                if self._is_file:
                    yield from map(stream.get_batch, range(stream.num_record_batches))
                else:
                    yield from stream


def _paths(field: Any, prefix: str = "") -> Iterator[str]:
    from pyarrow import types

    if types.is_struct(field.type) and field.type.num_fields:
        for inner in field.type:
            yield from _paths(inner, f"{prefix}{field.name}.")
    else:
        yield prefix + field.name


def _top(path: str, schema: Any) -> str:
    """Return the column that a path begins with."""
    names = set(schema.names)
    parts = path.split(".")
    return next(
        (top for n in range(len(parts), 0, -1) if (top := ".".join(parts[:n])) in names), path
    )


def _picked(batch: Any, wanted: Sequence[str], content: Content) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    try:
        batch.validate(full=True)
        for path in wanted:
            top = _top(path, batch.schema)
            column = batch.column(top)
            rest = path[len(top) + 1 :]
            for name in rest.split(".") if rest else ():
                column = pc.struct_field(column, name)
            columns.append(column)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise InvalidDataError(f"{content.name} cannot be read: {said(error)}.") from error
    return pa.table(columns, names=list(wanted))
