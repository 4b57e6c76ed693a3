"""Records of a file in blocks of columns, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from siamrec.typing import IntArray


class Block(NamedTuple):
    """Some records of a file.

    Attributes:
        table: Columns by name, as a pyarrow table; texts where the format knows no types.
        rows: Number of each record in the file, from 1.
        broken: Records that have no columns: number and reason.
    """

    table: Any
    rows: IntArray
    broken: list[tuple[int, str]]


@final
@dataclass(frozen=True, slots=True)
class Records:
    """What a file holds.

    Attributes:
        names: Names of its columns.
        blocks: Yields blocks of the columns asked for; it is told which hold ids, and whether
            texts and numbers may stand in one, where the format has kinds of its own a cell.
        told: How the file is written, for the report.
    """

    names: tuple[str, ...]
    blocks: Callable[[Sequence[str], Mapping[str, bool]], Iterator[Block]]
    told: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a text file is written, where it is not to be found out.

    Attributes:
        names: Names of the columns of a file without a header; empty where it has one.
        delimiter: What stands between two values.
        quote: What stands around a value that holds a delimiter; empty where nothing does.
        encoding: How letters are written.
        numbered: Whether names of columns may be numbers, as items of a wide table are.
    """

    names: tuple[str, ...] = ()
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    numbered: bool = False
