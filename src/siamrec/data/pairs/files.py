"""PairColumns in data frames and in CSV, JSON, JSONL and Parquet files."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec.data import frames
from siamrec.data.frames import NO_TIME
from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.pairs.splits import UNITS
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, StorageError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from siamrec.data.pairs.columns import PairColumns
    from siamrec.typing import CodeArray, IntArray

LIKED = "liked"
"""Origin, in files, of a row that says what a user likes and is no pair."""

SPLIT = "split"
"""Origin, in files, of the row that says by which unit the pairs were split."""

COLUMNS = (
    *("left", "right", "label", "weight", "origin", "user"),
    *("left_item", "right_item", "time", "negatives"),
)
_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
_ORIGINS = {origin.name.lower(): int(origin) for origin in PairOrigin}


def pairs_of_frame(frame: object, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the constructor arguments of the pairs in a data frame."""
    table = frames.table_of(frame)
    column = {role: frames.pick(table, name, role) for role, name in names.items()}
    n = table.num_rows
    label = frames.floats_of(column["label"], names["label"]) if "label" in column else np.ones(n)
    weight = (
        frames.floats_of(column["weight"], names["weight"]) if "weight" in column else np.ones(n)
    )
    users, user = (
        frames.optional_codes_of(column["user"])
        if "user" in column
        else (Vocabulary(), np.full(n, UNKNOWN, np.int32))
    )
    time = (
        frames.instants_of(column["time"], names["time"])
        if "time" in column
        else np.full(n, NO_TIME)
    )
    left, right = (_texts(column[side], names[side]) for side in ("left", "right"))
    table_of_texts, codes = Vocabulary.factorize([*left, *right])
    none = np.full(n, UNKNOWN, np.int32)
    origin = np.where(label >= 0.5, PairOrigin.POSITIVE, PairOrigin.NEGATIVE)
    return {
        "texts": table_of_texts.ids,
        "left": codes[:n],
        "right": codes[n:],
        "label": label.astype(np.float32),
        "weight": weight.astype(np.float32),
        "origin": origin.astype(np.int8),
        "user": user,
        "left_item": none,
        "right_item": none,
        "time": time,
        "users": users,
    }


def rows_of(pairs: PairColumns) -> dict[str, list[Any]]:
    """Return one row per pair with texts and ids written out, None for what is not known."""
    texts, none = pairs.texts, None
    users, items = (*pairs.users.ids, none), (*pairs.items.ids, none)
    none_mined: list[list[int]] = [[]] * len(pairs)
    negatives = none_mined if pairs.negatives is None else pairs.negatives.tolist()
    return {
        "left": [texts[code] for code in pairs.left.tolist()],
        "right": [texts[code] for code in pairs.right.tolist()],
        "label": pairs.label.tolist(),
        "weight": pairs.weight.tolist(),
        "origin": [PairOrigin(code).name.lower() for code in pairs.origin.tolist()],
        "user": [users[code] for code in pairs.user.tolist()],
        "left_item": [items[code] for code in pairs.left_item.tolist()],
        "right_item": [items[code] for code in pairs.right_item.tolist()],
        "time": [none if time == NO_TIME else time for time in pairs.time.tolist()],
        "negatives": [
            [none if code == UNKNOWN else texts[code] for code in row] for row in negatives
        ],
    }


def arrow_of(pairs: PairColumns) -> Any:
    """Return a pyarrow table of the pairs, without the liked texts."""
    import pyarrow as pa  # takes its time

    rows: dict[str, Any] = rows_of(pairs)
    rows["negatives"] = pa.array(rows["negatives"], type=pa.list_(pa.string()))
    rows["time"] = pa.array(rows["time"], type=pa.int64())
    for name in ("label", "weight"):
        rows[name] = pa.array(rows[name], type=pa.float32())
    return pa.table(rows)


def save(pairs: PairColumns, path: str | Path) -> None:
    """Write the file beside its place, then move it there: whole or not at all."""
    target = Path(path)
    check.one_of("suffix of a pairs file", target.suffix, _SUFFIXES)
    rows = rows_of(pairs)
    for name, table in (("user", pairs.users), ("item", pairs.items)):
        _require_ids(name, table.ids, target.suffix)
    for row in _beside(pairs):
        for name in COLUMNS:
            rows[name].append(row.get(name))
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        os.close(handle)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error}.") from error
    temporary = Path(name)
    try:
        _WRITERS[target.suffix](rows, temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _require_ids(name: str, ids: Sequence[object], suffix: str) -> None:
    kinds = {type(id_) for id_ in ids}
    if suffix == ".parquet" and len(kinds) > 1:
        named = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidDataError(
            f"{name} ids must be of one kind in a .parquet file, got {named}; save as .jsonl."
        )


def _beside(pairs: PairColumns) -> Iterator[dict[str, Any]]:
    """Rows of a file that are no pairs: what is liked, and the unit of the split."""
    likes = zip(pairs.liked_user.tolist(), pairs.liked_text.tolist(), strict=True)
    times = None if pairs.liked_time is None else pairs.liked_time.tolist()
    for place, (user, text) in enumerate(likes):
        time = NO_TIME if times is None else times[place]
        yield {
            "left": pairs.texts[text],
            "origin": LIKED,
            "user": pairs.users[user],
            "time": None if time == NO_TIME else time,
        }
    if pairs.split_by is not None:
        yield {"left": pairs.split_by, "origin": SPLIT}


def load(path: str | Path) -> dict[str, Any]:
    """Return the constructor arguments of the pairs in a file."""
    source = Path(path)
    check.one_of("suffix of a pairs file", source.suffix, _SUFFIXES)
    try:
        rows = _READERS[source.suffix](source)
    except OSError as error:
        raise StorageError(f"{source} cannot be read: {error}.") from error
    except (ValueError, TypeError, csv.Error) as error:
        said = str(error).rstrip(".")
        raise InvalidDataError(f"{source} is not a file of pairs: {said}.") from error
    try:
        return _parsed(rows)
    except (ValueError, TypeError) as error:
        raise InvalidDataError(f"{source} holds a value that cannot be read: {error}.") from error


def _parsed(rows: Mapping[str, list[Any]]) -> dict[str, Any]:
    liked = [origin == LIKED for origin in rows["origin"]]
    split = _kept(rows["left"], [origin == SPLIT for origin in rows["origin"]])
    pair = [origin not in {LIKED, SPLIT} for origin in rows["origin"]]
    column = {name: _kept(values, pair) for name, values in rows.items()}
    unknown = set(column["origin"]) - set(_ORIGINS)
    if unknown:
        raise UnknownNameError("origin", min(unknown, key=str), (*_ORIGINS, LIKED, SPLIT))
    liked_texts, liked_users = _kept(rows["left"], liked), _kept(rows["user"], liked)
    negatives = column["negatives"]
    spoken = [text for row in negatives for text in row if text is not None]
    texts = Vocabulary.of([*column["left"], *column["right"], *spoken, *liked_texts])
    users = Vocabulary.of(u for u in [*column["user"], *liked_users] if u is not None)
    items = Vocabulary.of(
        i for i in [*column["left_item"], *column["right_item"]] if i is not None
    )
    return {
        "texts": texts.ids,
        "left": texts.encode(column["left"]),
        "right": texts.encode(column["right"]),
        "label": np.asarray(column["label"], np.float32),
        "weight": np.asarray(column["weight"], np.float32),
        "origin": np.asarray([_ORIGINS[name] for name in column["origin"]], np.int8),
        "user": _optional(users, column["user"]),
        "left_item": _optional(items, column["left_item"]),
        "right_item": _optional(items, column["right_item"]),
        "time": _instants(column["time"]),
        "negatives": _negatives(texts, negatives),
        "users": users,
        "items": items,
        "liked_user": users.encode(liked_users),
        "liked_text": texts.encode(liked_texts),
        "liked_time": _instants(_kept(rows["time"], liked)),
        "split_by": check.one_of("unit of a split", split[0], UNITS) if split else None,
    }


def _negatives(texts: Vocabulary, rows: Sequence[Sequence[str | None]]) -> CodeArray | None:
    width = max((len(row) for row in rows), default=0)
    if width == 0:
        return None
    codes = np.full((len(rows), width), UNKNOWN, np.int32)
    for place, row in enumerate(rows):  # rows of a file may differ in length
        codes[place, : len(row)] = _optional(texts, row)
    return codes


def _instants(times: Sequence[Any]) -> IntArray:
    return np.asarray([NO_TIME if time is None else int(time) for time in times], np.int64)


def _optional(vocabulary: Vocabulary, ids: Sequence[Any]) -> CodeArray:
    return vocabulary.encode(ids, unknown="code")


def _kept(values: Sequence[Any], mask: Iterable[bool]) -> list[Any]:
    return [value for value, keep in zip(values, mask, strict=True) if keep]


def _texts(column: Any, name: str) -> list[str]:
    if column.null_count:
        raise InvalidDataError(
            f"{name} must have a text in every row, got {column.null_count} nulls."
        )
    listed = column.to_pylist()
    missing = sum(text != text for text in listed)  # noqa: PLR0124  (NaN alone differs from itself)
    if missing:
        raise InvalidDataError(f"{name} must have a text in every row, got {missing} NaN.")
    return [str(text) for text in listed]


# --- formats ----------------------------------------------------------------------------------


def _write_csv(rows: Mapping[str, list[Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in zip(*(rows[name] for name in COLUMNS), strict=True):
            cells = dict(zip(COLUMNS, row, strict=True))
            for name in ("user", "left_item", "right_item"):
                cells[name] = _id_cell(cells[name])
            cells["negatives"] = json.dumps(cells["negatives"] or [], ensure_ascii=False)
            writer.writerow(["" if cells[n] is None else cells[n] for n in COLUMNS])


def _read_csv(path: Path) -> dict[str, list[Any]]:
    csv.field_size_limit(2**31 - 1)  # texts may be longer than the default of 128 KiB
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        _require_columns(reader.fieldnames or ())
        listed = list(reader)
    rows: dict[str, list[Any]] = {name: [row[name] for row in listed] for name in COLUMNS}
    for name in ("user", "left_item", "right_item"):
        rows[name] = [_id_of_cell(cell) for cell in rows[name]]
    rows["time"] = [int(cell) if cell else None for cell in rows["time"]]
    rows["negatives"] = [json.loads(cell) if cell else [] for cell in rows["negatives"]]
    return rows


def _id_cell(id_: object) -> str:
    """Text as it is, unless it would read as another JSON value; numbers as JSON."""
    if id_ is None:
        return ""
    if isinstance(id_, str) and id_ and _id_of_cell(id_) == id_:
        return id_
    return json.dumps(id_, ensure_ascii=False)


def _id_of_cell(cell: str) -> Any:
    if not cell:
        return None
    try:
        value = json.loads(cell)
    except ValueError:
        return cell
    return value if isinstance(value, str | int | float) else cell


def _write_jsonl(rows: Mapping[str, list[Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*(rows[name] for name in COLUMNS), strict=True):
            file.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")


def _read_jsonl(path: Path) -> dict[str, list[Any]]:
    with path.open(encoding="utf-8") as file:
        return _of_records([json.loads(line) for line in file if line.strip()])


def _write_json(rows: Mapping[str, list[Any]], path: Path) -> None:
    records = [
        dict(zip(COLUMNS, row, strict=True))
        for row in zip(*(rows[name] for name in COLUMNS), strict=True)
    ]
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


def _read_json(path: Path) -> dict[str, list[Any]]:
    records = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(records, list):
        raise InvalidDataError(f"it holds {type(records).__name__}, not a list of rows")
    return _of_records(records)


def _require_columns(names: Collection[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidDataError(f"it has no column {shown(missing[0])}")


def _of_records(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    for record in records:
        if not isinstance(record, dict):
            raise InvalidDataError(f"it holds a row that is no object, {shown(record)}")
        _require_columns(record)
    rows: dict[str, list[Any]] = {name: [r[name] for r in records] for name in COLUMNS}
    rows["negatives"] = [row or [] for row in rows["negatives"]]
    return rows


def _write_parquet(rows: Mapping[str, list[Any]], path: Path) -> None:
    import pyarrow as pa  # takes its time
    from pyarrow import parquet  # takes its time

    kinds = {
        "label": pa.float32(),
        "weight": pa.float32(),
        "time": pa.int64(),
        "negatives": pa.list_(pa.string()),
    }
    columns = {}
    for name in COLUMNS:
        try:
            columns[name] = pa.array(rows[name], type=kinds.get(name))
        except (ValueError, TypeError) as error:  # Arrow's errors are of these kinds
            raise InvalidDataError(
                f"{name} must hold ids of one kind in a Parquet file: {error}; .jsonl holds "
                "texts and numbers."
            ) from error
    parquet.write_table(pa.table(columns), path)


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    from pyarrow import parquet  # takes its time

    rows: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    _require_columns(rows)
    rows["negatives"] = [row or [] for row in rows["negatives"]]
    return rows


_WRITERS = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
_READERS = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
