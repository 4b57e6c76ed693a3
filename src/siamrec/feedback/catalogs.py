"""Catalogues in files: ids, texts and attributes of items."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from siamrec._core import check
from siamrec.data import Catalog, Vocabulary, cells
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.feedback._contents import contents_of
from siamrec.feedback._events import typed_ids
from siamrec.feedback._meaning import ROLES, TEXTS, plain_name, roles_of
from siamrec.feedback.files import records_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NOTHING = "(no genres listed)"
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")
_OWNER = "owner"


def read_catalog(
    path: str | Path,
    *,
    item: str | None = None,
    text: Sequence[str] = (),
    ids: Literal["written", "text", "number"] = "written",
) -> Catalog:
    """Return the catalogue in a file of any kind that feedback may be in.

    Every other column becomes an attribute: what a file keeps as numbers, truths or lists (as
    Parquet does) is that; a text is a number where all that is written in its column are numbers,
    without leading zeros, else texts; `owner` is an id, and a text. `genres` is split at `|`. Of
    rows with one id the first counts; rows without an id are left out.

    Args:
        path: The file.
        item: Column of item ids; recognised by its usual names without it.
        text: Columns that make the text of an item, in that order; without it those among the
            usual names (title, genres, overview, …) that are there.
        ids: As in `FileFeedback`.

    Raises:
        siamrec.errors.InvalidDataError: If the file cannot be read, or a row has no columns.
        siamrec.errors.UnknownNameError: If a column is not there.
    """
    check.one_of("ids", ids, ("written", "text", "number"))
    names, found = _columns(path)
    usual = {"item": (*ROLES["item"], "id")}
    if item is None and any(plain_name(name) in ROLES["item"] for name in names):
        usual = {"item": ROLES["item"]}
    given = {} if item is None else {"item": item}
    key = roles_of(names, given, required=("item",), roles=usual)["item"]
    for name in text:
        if name not in names:
            raise UnknownNameError("column for text", name, names)
    plain = {plain_name(name): name for name in names}
    chosen = list(text) or [plain[name] for name in TEXTS if name in plain]
    identified = typed_ids(found[key], key, ids)[0].to_pylist()
    first: dict[Any, int] = {}
    for row, id_ in enumerate(identified):
        if id_ is not None:
            first.setdefault(id_, row)
    kept = list(first.values())
    taken = {name: column.take(kept) for name, column in found.items()}
    columns = {name: _texts(column) for name, column in taken.items()}
    attributes: dict[str, Any] = {}
    for name, texts in columns.items():
        typed = _typed(taken[name])
        if name != key:
            told = _as_numbers(texts) if typed is None else typed
            attributes[name] = texts if name == _OWNER else told
    if "genres" in attributes and _typed(taken["genres"]) is None:
        attributes["genres"] = [
            tuple((t or "").split("|")) if t else () for t in attributes["genres"]
        ]
    made = [_joined([columns[name][row] for name in chosen], chosen) for row in range(len(kept))]
    return Catalog(items=Vocabulary(tuple(first)), text=tuple(made), attributes=attributes)


def _typed(column: Any) -> list[Any] | None:
    """Return the values of a column that its file keeps as numbers, truths or lists."""
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_list)
    if not any(is_kind(column.type) for is_kind in kinds):
        return None
    found = column.to_pylist()
    return [
        tuple(each) if isinstance(each, list) else None if each != each else each  # noqa: PLR0124
        for each in found
    ]


def _as_numbers(texts: Sequence[str | None]) -> Sequence[Any]:
    """Return a column as numbers, where each of its texts is one as a person would write it."""
    written = [text for text in texts if text is not None]
    if not written or not all(_NUMBER.fullmatch(text) for text in written):
        return texts
    kind = int if all("." not in text for text in written) else float
    return [None if text is None else kind(text) for text in texts]


def _columns(path: str | Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return all columns of a file, texts trimmed and empty ones null."""
    import pyarrow as pa  # takes its time
    import pyarrow.compute as pc

    (content,) = contents_of([path])
    records = records_of(content, None, content.head())
    blocks = list(records.blocks(records.names, {}))
    broken = [each for block in blocks for each in block.broken]
    if broken:
        row, reason = broken[0]
        raise InvalidDataError(
            f"{content.name} has {len(broken):,} rows that cannot be read, the first is row "
            f"{row:,}: {reason}."
        )
    found: dict[str, Any] = {}
    for name in records.names:
        parts = [block.table[name].combine_chunks() for block in blocks]
        column = _as_one(parts)
        if pa.types.is_string(column.type):
            column = pc.utf8_trim_whitespace(column)
            column = pc.if_else(pc.is_in(column, pa.array(["", "\\N"])), None, column)
        found[name] = column
    return records.names, found


def _as_one(parts: list[Any]) -> Any:
    import pyarrow as pa

    plain = [
        part if pa.types.is_nested(part.type) else cells.simple(part, "a column") for part in parts
    ]
    kinds = {part.type for part in plain}
    if len(kinds) > 1:
        plain = [part.cast(pa.string()) for part in plain]
    return pa.concat_arrays(plain) if plain else pa.nulls(0, pa.string())


def _texts(column: Any) -> list[str | None]:
    return [None if cell is None else _spelt(cell) for cell in column.to_pylist()]


def _spelt(cell: Any) -> str:
    return "|".join(map(str, cell)) if isinstance(cell, list) else str(cell)


def _joined(parts: Sequence[str | None], names: Sequence[str]) -> str | None:
    said = [
        part.replace("|", ", ") if plain_name(name) == "genres" else part
        for part, name in zip(parts, names, strict=True)
        if part is not None and part != _NOTHING
    ]
    return ". ".join([*(part.rstrip(".") for part in said[:-1]), *said[-1:]]) or None
