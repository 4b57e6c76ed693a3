"""Feedback that assistants keep in ConPort: its database, JSON files, a client, or entries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final, runtime_checkable

import numpy as np
from typing_extensions import override
from xxhash import xxh3_128_hexdigest

from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, counted
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidDataError, StorageError, shown
from siamrec.feedback.loaded import RejectedRow
from siamrec.feedback.memory import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siamrec.protocols import DocumentStore
    from siamrec.typing import Id, Instant

_DATABASE = Path("context_portal") / "context.db"
_LOCAL = ".conport_local"
_SOMETIMES = ("response", "sentiment", "is_follow_up")
_DETAILS = ("relevance", "completeness", "length")
_LOW, _HIGH = 1.0, 5.0


@runtime_checkable
class ConPortClient(Protocol):
    """What is used of a client: the entries of a category, as mappings or as JSON."""

    def get_custom_data(self, *, category: str) -> Any:
        """Return the entries of a category."""
        ...


Place: TypeAlias = "str | Path | ConPortClient | Sequence[Mapping[str, Any]]"
"""Where a ConPort is."""

Entry: TypeAlias = tuple[int, str, object]
"""Number, key and value; the number is 0 where there is none."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class LoadedConPort(Record):
    """What a ConPort holds.

    Attributes:
        feedback: One rating for each document of each good entry, with the context columns
            `feedback_id`, `comment`, `relevance`, `completeness` and `length`; and `response`,
            `sentiment` and `is_follow_up` where any entry has them.
        keys: Idempotency key of each event: an entry that was changed is a new event, one that
            was not is the same for ever. For `store.feedback.write(..., keys=...)`.
        rejected: Entries that could not be read, with their numbers (from 1) and reasons.
        last: The greatest number of an entry, for `load(after=...)`; 0 where entries have none.
    """

    feedback: Feedback
    keys: tuple[str, ...]
    rejected: tuple[RejectedRow, ...]
    last: int = 0

    @override
    def title(self) -> str:
        rejected = counted(len(self.rejected), "rejected row")
        return f"ConPort: {self.feedback.title()}, {rejected}"

    def catalog(self, documents: DocumentStore) -> Catalog:
        """Return the rated documents with their texts, None where the store has none.

        Args:
            documents: Finds the text of a document by its id: your vector database's, or
                `ConPortDocuments`.
        """
        items = self.feedback.items
        return Catalog(items=items, text=tuple(documents.texts(items.ids)))


@final
@dataclass(frozen=True, slots=True, repr=False)
class ConPortFeedback(Record):
    """A `FeedbackSource` over the entries of a ConPort category.

    An entry is `{"feedback_id", "timestamp", "session_id", "rating", "query", "document_ids",
    "detailed_feedback": {"relevance", "completeness", "length", "comments"}}`; the session is
    the user, each document an item.

    Args:
        place: The server's `context.db` (opened read-only), a folder `.conport_local` of JSON
            files, a workspace that has one of them, a client with
            `get_custom_data(category=...)` (`ConPortSession` is one for an MCP session), or the
            entries themselves.
        category: Name of the category.

    Examples:
        >>> class Client:
        ...     def get_custom_data(self, *, category):
        ...         value = {"rating": 4, "query": "boats", "session_id": "s1",
        ...                  "timestamp": 1.5, "document_ids": ["d1", "d2"]}
        ...         return [{"key": "f1", "value": value}]
        >>> loaded = ConPortFeedback(Client()).load()
        >>> loaded.feedback.items.ids, loaded.feedback.value.tolist()
        (('d1', 'd2'), [4.0, 4.0])
    """

    place: Place
    category: str = "UserFeedback"

    @override
    def title(self) -> str:
        return f"Feedback of ConPort, category {self.category}"

    def load(self, *, after: int = 0) -> LoadedConPort:
        """Return the good entries, and the others with their reasons.

        The server gives an entry a new number whenever it is written, so `after` the last number
        of an earlier `load` come the new entries and the changed ones. Deletions leave no trace,
        and JSON files have no numbers: all of them are read each time.

        Args:
            after: Entries up to this number are left out.

        Raises:
            siamrec.errors.InvalidDataError: If the client answers with something else than
                entries.
            siamrec.errors.StorageError: If there is no ConPort at the place, or it cannot be
                read.
        """
        events: list[dict[str, Any]] = []
        rejected = []
        last = after
        entries = entries_of(self.place, self.category, after=after)
        for number, (id_, key, value) in enumerate(entries, start=1):
            last = max(last, id_)
            try:
                events += _events(key, value)
            except InvalidDataError as error:
                rejected.append(RejectedRow(number, str(error), {"key": key}))
        keys = tuple(event["key"] for event in events)
        return LoadedConPort(_feedback(events), keys, tuple(rejected), last)

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches of the good entries with `since <= time < until`, in time order."""
        source = MemoryFeedback(self.load().feedback)
        yield from source.read(since=since, until=until, batch_rows=batch_rows)


@final
@dataclass(frozen=True, slots=True, repr=False)
class ConPortDocuments(Record):
    """A `DocumentStore` over the entries of a ConPort category.

    The key of an entry is the document's id; its value is the text, or has it in a field.

    Args:
        place: As for `ConPortFeedback`.
        category: Name of the category.
        field: Name of the field with the text, where values are mappings.

    Examples:
        >>> entries = [{"key": "d1", "value": {"content": "Boats float."}}]
        >>> ConPortDocuments(entries).texts(["d1", "d2"])
        ['Boats float.', None]
    """

    place: Place
    category: str = "Documents"
    field: str = "content"

    @override
    def title(self) -> str:
        return f"Documents of ConPort, category {self.category}"

    def texts(self, ids: Sequence[Id]) -> list[str | None]:
        """Return the text of each id, None where there is none."""
        known = {key: self._text(value) for _, key, value in entries_of(self.place, self.category)}
        return [known.get(str(id_)) for id_ in ids]

    def _text(self, value: object) -> str | None:
        if isinstance(value, str):
            with suppress(ValueError):
                value = json.loads(value)  # the database keeps JSON
        found = value.get(self.field) if isinstance(value, Mapping) else value
        return found if isinstance(found, str) else None


def entries_of(place: Place, category: str, *, after: int = 0) -> list[Entry]:
    """Return number (0: none), key and value of the entries of a category.

    Raises:
        StorageError: If there is no ConPort at the place, or it cannot be read.
    """
    if isinstance(place, ConPortClient):
        return _answered(place.get_custom_data(category=category), after)
    if not isinstance(place, str | Path):
        return _answered(place, after)
    path = Path(place)
    for found in (path, path / _DATABASE, path / _LOCAL):
        if found.is_file():
            return _of_database(found, category, after)
        if found.is_dir() and (found.name == _LOCAL or (found / category).is_dir()):
            return _of_folder(found / category)
    raise StorageError(f"There is no ConPort at {path}: no {_DATABASE} and no {_LOCAL}.")


def _of_database(path: Path, category: str, after: int) -> list[Entry]:
    query = "SELECT id, key, value FROM custom_data WHERE category = ? AND id > ? ORDER BY id"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            return base.execute(query, (category, after)).fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"The ConPort at {path} cannot be read: {error}.") from error


def _of_folder(folder: Path) -> list[Entry]:
    entries: list[Entry] = []
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            entries.append((0, path.stem, None))
            continue
        known = isinstance(entry, dict)
        entries.append((0, path.stem, entry.get("value") if known else None))
    return entries


def _answered(answer: Any, after: int) -> list[Entry]:
    if isinstance(answer, str | bytes):
        answer = _parsed(answer)
    if isinstance(answer, Mapping):
        answer = answer.get("result", answer.get("results", answer))
    if not isinstance(answer, list | tuple) or not all(isinstance(e, Mapping) for e in answer):
        raise InvalidDataError(
            f"The client must answer with a list of entries, got {answer!r:.100}."
        )
    entries = [(_number(e.get("id")), str(e.get("key", "")), e.get("value")) for e in answer]
    return [entry for entry in entries if not 0 < entry[0] <= after]


def _number(id_: object) -> int:
    return id_ if isinstance(id_, int) and not isinstance(id_, bool) else 0


def _events(key: str, value: object) -> list[dict[str, Any]]:
    """Return one event for each document of an entry.

    Raises:
        InvalidDataError: If the entry is no feedback.
    """
    entry = _parsed(value) if isinstance(value, str) else value
    if not isinstance(entry, Mapping):
        raise InvalidDataError("The value must be a JSON object.")
    rating = entry.get("rating")
    whole = isinstance(rating, int | float) and not isinstance(rating, bool)
    if not whole or not _LOW <= float(str(rating)) <= _HIGH:
        raise InvalidDataError(f"rating must be a number in [1, 5], got {shown(rating)}.")
    documents = entry.get("document_ids")
    if not isinstance(documents, list) or not documents:
        raise InvalidDataError(f"document_ids must be one or more ids, got {shown(documents)}.")
    details = entry.get("detailed_feedback")
    details = details if isinstance(details, Mapping) else {}
    said = {name: _score(details.get(name)) for name in _DETAILS}
    common = {
        "user": str(entry.get("session_id") or entry.get("feedback_id") or key),
        "value": float(str(rating)),
        "time": _instant(entry.get("timestamp")),
        "query": None if entry.get("query") is None else str(entry["query"]),
        "feedback_id": str(entry.get("feedback_id") or key),
        "comment": None if not details.get("comments") else str(details["comments"]),
        "response": _first("response", entry),
        "sentiment": _first("sentiment", entry, details, entry.get("metadata")),
        "is_follow_up": _first("is_follow_up", entry.get("conversation_context")),
        **said,
    }
    digest = xxh3_128_hexdigest(f"{key}\x1f{canonical_json(dict(entry))}".encode())
    items = dict.fromkeys(map(str, documents))
    return [
        {**common, "item": item, "key": f"{digest}{xxh3_128_hexdigest(item.encode())}"}
        for item in items
    ]


def _first(name: str, *places: object) -> str | float | None:
    """Return the first of several places that has a text, a number or a yes under a name."""
    for place in places:
        found = place.get(name) if isinstance(place, Mapping) else None
        if isinstance(found, str | int | float):
            return found
    return None


def _feedback(events: list[dict[str, Any]]) -> Feedback:
    def column(name: str) -> list[Any]:
        return [event[name] for event in events]

    users, user = Vocabulary.factorize(column("user"))
    items, item = Vocabulary.factorize(column("item"))
    queries = Vocabulary.of(text for text in column("query") if text is not None)
    context: dict[str, Any] = {name: np.asarray(column(name), dtype=float) for name in _DETAILS}
    for name in ("feedback_id", "comment"):
        context[name] = np.asarray(column(name), dtype=object)
    for name in _SOMETIMES:
        if any(value is not None for value in column(name)):
            context[name] = np.asarray(column(name), dtype=object)
    plain = Feedback.of(user=[], item=[])
    n = len(events)
    return Feedback(
        users=users if n else plain.users,
        items=items if n else plain.items,
        user=user,
        item=item,
        value=np.asarray(column("value"), dtype=np.float32),
        kind=np.zeros(n, dtype=np.int8),
        time=np.asarray(column("time"), dtype=np.int64),
        weight=np.ones(n, dtype=np.float32),
        queries=queries,
        query=queries.encode(column("query"), unknown="code") if len(queries) else None,
        context=context,
    )


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidDataError(f"The value must be JSON: {error}.") from error


def _score(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(str(value)) if known else float("nan")


def _instant(value: object) -> int:
    """Read seconds since the epoch, or ISO text (UTC unless it names a zone)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1e6) * 1_000
    try:
        stamp = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidDataError(
            f"timestamp must be seconds or ISO text, got {shown(value)}."
        ) from error
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1_000
