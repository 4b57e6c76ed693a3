"""Feedback and catalogues in files: usual column names are recognised, bad rows are set apart."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, Shown, Table, counted
from siamrec.data import NO_TIME, Catalog, Feedback, Vocabulary, frames
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.feedback._tables import RawTable, read_raw
from siamrec.feedback.memory import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siamrec.typing import Instant, IntArray

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")

KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "customer", "customerid", "reviewerid", "visitorid"),
    "item": (
        "item",
        "itemid",
        "movie",
        "movieid",
        "product",
        "productid",
        "asin",
        "documentid",
        "articleid",
        "songid",
        "bookid",
        "id",
    ),
    "value": ("rating", "value", "score", "stars", "overall"),
    "time": ("timestamp", "time", "date", "datetime", "createdat", "ratedat", "unixreviewtime"),
    "text": (
        "title",
        "name",
        "genres",
        "overview",
        "description",
        "plot",
        "summary",
        "text",
        "abstract",
        "keywords",
    ),
}
"""Column names that are recognised, in lower case without '_', '-' and blanks."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class RejectedRow(Record):
    """A row that was set apart.

    Attributes:
        row: Its number in the file, from 1.
        reason: What is wrong with it.
        data: Its values as they stood.
        file: The file, where several were read.
    """

    row: int
    reason: str
    data: Mapping[str, str | None]
    file: str = ""

    @override
    def title(self) -> str:
        return f"Row {self.row:,}: {self.reason}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class LoadedFeedback(Shown):
    """The good rows of a file, and the others with their reasons.

    Attributes:
        feedback: The good rows in the order of the file.
        rejected: The other rows.
        columns: Which column was taken for what.
    """

    feedback: Feedback
    rejected: tuple[RejectedRow, ...]
    columns: Mapping[str, str]

    @override
    def title(self) -> str:
        rejected = counted(len(self.rejected), "rejected row")
        return f"Loaded: {self.feedback.title()}, {rejected}"

    @override
    def table(self) -> Table:
        """Return how many rows there are of each kind, and why some were set apart."""
        rows = (("good", len(self.feedback)), *self.reasons.items())
        return Table(head=("rows", "number"), rows=rows, title=self.title())

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for each kind of reason, most frequent first."""
        kinds = Counter(rejected.reason.split(":")[0] for rejected in self.rejected)
        return dict(kinds.most_common())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FileFeedback:
    """A `FeedbackSource` over CSV, JSON-lines or Parquet files, gzipped or not.

    Args:
        path: A file, a folder (every such file in it and below), or a pattern such as
            `"logs/2026-*.jsonl.gz"`.
        columns: Names of the columns for `user`, `item`, `value` and `time`; those not named are
            recognised by their usual names.
        rating_range: Smallest and largest rating that is accepted.

    Raises:
        siamrec.errors.InvalidParameterError: If the range is empty or a key is unknown.
    """

    path: str | Path
    columns: Mapping[str, str] = field(default_factory=dict)
    rating_range: tuple[float, float] = (0.0, 5.0)

    def __post_init__(self) -> None:
        low, high = self.rating_range
        if not low < high:
            raise InvalidParameterError(
                "rating_range", self.rating_range, "(low, high), low < high"
            )
        for key in self.columns:
            if key not in KNOWN_NAMES:
                raise UnknownNameError("column role", key, KNOWN_NAMES)

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield the good rows with `since <= time < until`, in time order."""
        source = MemoryFeedback(self.load().feedback)
        return source.read(since=since, until=until, batch_rows=batch_rows)

    def load(self) -> LoadedFeedback:
        """Return good and rejected rows.

        Raises:
            siamrec.errors.InvalidDataError: If the file cannot be read at all.
            siamrec.errors.UnknownNameError: If no column stands for users or items; the message
                lists the columns and the option that maps them.
        """
        files = files_at(self.path)
        parts = [self.of_table(read_raw(file)) for file in files]
        if len(parts) == 1:
            return parts[0]
        rejected = (
            replace(row, file=str(file))
            for file, part in zip(files, parts, strict=True)
            for row in part.rejected
        )
        feedback = Feedback.concat(part.feedback for part in parts)
        return LoadedFeedback(feedback, tuple(rejected), parts[0].columns)

    def of_table(self, table: RawTable) -> LoadedFeedback:
        """Return good and rejected rows of columns of text.

        Raises:
            siamrec.errors.UnknownNameError: If no column stands for users or items.
        """
        found = recognised(table.columns, self.columns, required=("user", "item"))
        reasons: dict[int, str] = {}
        user = _ids(table, found["user"], "user", reasons)
        item = _ids(table, found["item"], "item", reasons)
        value = _values(table, found.get("value"), self.rating_range, reasons)
        time = _times(table, found.get("time"), reasons)
        good = np.asarray([place not in reasons for place in range(len(table))], dtype=bool)
        kept = np.flatnonzero(good).tolist()
        feedback = Feedback.of(
            user=[user[place] for place in kept],
            item=[item[place] for place in kept],
            value=value[good],
            time=time[good],
        )
        return LoadedFeedback(feedback, tuple(_rejected(table, reasons)), found)


def files_at(path: str | Path) -> list[Path]:
    """Return the files that a path, a folder or a pattern stands for, sorted.

    Raises:
        siamrec.errors.InvalidDataError: If a folder or a pattern has none.
    """
    place = Path(path)
    if place.is_dir():
        inside = (each for each in place.rglob("*") if each.is_file())
        found = sorted(each for each in inside if each.name.removesuffix(".gz").endswith(_ENDINGS))
    elif not place.exists() and any(letter in str(path) for letter in "*?["):
        found = sorted(map(Path, glob(str(path), recursive=True)))  # noqa: PTH207 - any anchor
    else:
        return [place]
    if not found:
        raise InvalidDataError(f"{path} has no CSV, JSON-lines or Parquet files.")
    return found


def read_catalog(
    path: str | Path, *, item: str | None = None, text: Sequence[str] = ()
) -> Catalog:
    """Return the catalogue in a CSV, JSON-lines or Parquet file, gzipped or not.

    Every other column becomes an attribute; `genres` is split at `|`.

    Args:
        path: The file.
        item: Column of item ids; recognised by its usual names without it.
        text: Columns that make the text of an item, in that order; without it those among the
            usual names (title, genres, overview, …) that are there.

    Raises:
        siamrec.errors.InvalidDataError: If the file cannot be read.
        siamrec.errors.UnknownNameError: If a column is not there.
    """
    table = read_raw(path)
    mapping = {} if item is None else {"item": item}
    found = recognised(table.columns, mapping, required=("item",))
    for name in text:
        if name not in table.columns:
            raise UnknownNameError("column for text", name, table.columns)
    plain = {_plain_name(name): name for name in table.columns}
    names = list(text) or [plain[name] for name in KNOWN_NAMES["text"] if name in plain]
    rows = [place for place, id_ in enumerate(table.columns[found["item"]]) if id_ is not None]
    ids = [str(table.columns[found["item"]][place]) for place in rows]
    first = dict(zip(reversed(ids), reversed(rows), strict=True))
    items = Vocabulary.of(ids)
    kept = [first[str(id_)] for id_ in items.ids]
    attributes = {
        name: [column[place] for place in kept]
        for name, column in table.columns.items()
        if name != found["item"]
    }
    if "genres" in attributes:
        split = [
            tuple((value or "").split("|")) if value else () for value in attributes["genres"]
        ]
        attributes["genres"] = split  # type: ignore[assignment]
    texts = [_text([table.columns[name][place] for name in names], names) for place in kept]
    return Catalog(items=items, text=tuple(texts), attributes=attributes)


def recognised(
    columns: Mapping[str, Any], mapping: Mapping[str, str], *, required: Sequence[str]
) -> dict[str, str]:
    """Return which column stands for what.

    Raises:
        siamrec.errors.UnknownNameError: If a mapped column is not there, or a required role has
            no column.
    """
    plain = {_plain_name(name): name for name in reversed(list(columns))}
    found: dict[str, str] = {}
    for role in ("user", "item", "value", "time"):
        if role in mapping:
            if mapping[role] not in columns:
                raise UnknownNameError(f"column for {role}", mapping[role], columns)
            found[role] = mapping[role]
            continue
        match = next((plain[name] for name in KNOWN_NAMES[role] if name in plain), None)
        if match is not None:
            found[role] = match
        elif role in required:
            raise InvalidDataError(
                f"No column stands for the {role}; found {', '.join(columns) or 'none'}. "
                f"Name it with --{role} (columns={{'{role}': …}} from Python)."
            )
    return found


def _plain_name(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _ids(table: RawTable, name: str, role: str, reasons: dict[int, str]) -> list[str]:
    column = table.columns[name]
    for place, value in enumerate(column):
        if value is None:
            reasons.setdefault(place, f"{role} is missing")
    return [value or "" for value in column]


def _values(
    table: RawTable, name: str | None, limits: tuple[float, float], reasons: dict[int, str]
) -> Any:
    if name is None:
        return np.ones(len(table), dtype=np.float32)
    low, high = limits
    values = np.asarray([_number(text) for text in table.columns[name]], dtype=np.float64)
    outside = ~((values >= low) & (values <= high))
    for place in np.flatnonzero(outside).tolist():
        text = table.columns[name][place]
        if text is None:
            reason = "rating is missing"
        elif math.isnan(values[place]):
            reason = f"rating is not a number: {text}"
        else:
            reason = f"rating is outside [{low:g}, {high:g}]: {text}"
        reasons.setdefault(place, reason)
    return np.where(outside, 0.0, values).astype(np.float32)


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan


def _times(table: RawTable, name: str | None, reasons: dict[int, str]) -> IntArray:
    if name is None:
        return np.full(len(table), NO_TIME)
    column = table.columns[name]
    numbers = np.asarray([_number(text) for text in column], dtype=np.float64)
    if np.isfinite(numbers).any():
        times = frames.instants_of_numbers(numbers)
    else:
        times = np.asarray([_date(text) for text in column], dtype=np.int64)
    for place in np.flatnonzero(times == NO_TIME).tolist():
        text = column[place]
        missing = "time is missing" if text is None else f"time cannot be read: {text}"
        reasons.setdefault(place, missing)
    return times


def _date(text: str | None) -> int:
    """Read one ISO date, taken as UTC unless it names a zone; one bad date costs one row."""
    try:
        stamp = datetime.fromisoformat((text or "").replace("/", "-"))
    except ValueError:
        return int(NO_TIME)
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1_000


def _rejected(table: RawTable, reasons: Mapping[int, str]) -> Iterator[RejectedRow]:
    rows: list[tuple[int, str, dict[str, str | None]]] = [
        (number, reason, {}) for number, reason in table.broken
    ]
    for place, reason in reasons.items():
        data = {name: column[place] for name, column in table.columns.items()}
        rows.append((table.row[place], reason, data))
    for row in sorted(rows, key=lambda row: row[0]):
        yield RejectedRow(*row)


def _text(parts: Sequence[str | None], names: Sequence[str]) -> str | None:
    said = [
        part.replace("|", ", ") if _plain_name(name) == "genres" else part
        for part, name in zip(parts, names, strict=True)
        if part is not None and part != "(no genres listed)"
    ]
    return ". ".join([*(part.rstrip(".") for part in said[:-1]), *said[-1:]]) or None
