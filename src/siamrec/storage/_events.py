"""Feedback as rows of the event table, and rows as feedback."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest, xxh3_128_hexdigest

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, shown
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.typing import CodeArray, Instant, IntArray

COLUMNS = [column for column in event.columns if column.name not in {"seq", "xid"}]
"""Columns that a writer fills."""
NAMES = [column.name for column in COLUMNS]
_WHOLE_USER, _WHOLE_ITEM = 1, 2
LONGEST_TEXT = 10_000_000
"""Letters of a text, at most."""
_LONGEST_BYTES = 2_000
"""Bytes of what is looked for: PostgreSQL has no longer rows in an index."""
_ONCE = "once:"
_64_BITS = 2**64 - 1


def rows_of(
    feedback: Feedback, received: Instant, keys: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    n = len(feedback)
    user, item = (
        _Texts.of_ids(feedback.users, feedback.user),
        _Texts.of_ids(feedback.items, feedback.item),
    )
    query = _Texts.of_queries(feedback)
    decision = _optional(feedback.decision, n, as_text=True)
    context = _contexts(feedback)
    propensity = feedback.propensity
    columns: dict[str, list[Any]] = {
        "kind": feedback.kind.tolist(),
        "time": feedback.time.tolist(),
        "user": user.texts,
        "item": item.texts,
        "whole_ids": (user.whole + _WHOLE_ITEM * item.whole).tolist(),
        "value": feedback.value.tolist(),
        "weight": feedback.weight.tolist(),
        "decision": decision,
        "position": _optional(feedback.position, n),
        "propensity": [None if p is None or math.isnan(p) else p for p in _optional(propensity, n)]
        if propensity is not None
        else [None] * n,
        "query": query.texts,
        "context": context,
        "received": [received] * n,
    }
    hashes = {
        "user": user.hashes,
        "item": item.hashes,
        "query": query.hashes,
        "decision": _hashes(decision),
        "context": _hashes(context),
    }
    content = _content(columns, feedback.time, hashes)
    columns["digest"] = _digests(content)
    columns["key"] = _keys(columns, keys)
    if (feedback.time == NO_TIME).any():
        columns["time"] = [None if t == NO_TIME else t for t in columns["time"]]
    return list(zip(*(columns[name] for name in NAMES), strict=True))


def digests_of(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the digests that stored events should have, by what they hold."""
    texts = ("user", "item", "query", "decision", "context")
    hashes = {name: _hashes(columns[name]) for name in texts}
    return _digests(_content(columns, _instants(columns["time"]), hashes))


def _content(
    columns: Mapping[str, Sequence[Any]], time: IntArray, hashes: Mapping[str, Any]
) -> Any:
    """Return all that an event says as rows of numbers; what is not there is 0."""
    content = np.zeros((len(time), 12), dtype=np.uint64)
    content[:, 0] = columns["kind"]
    content[:, 1] = time.view(np.uint64)
    content[:, 2], content[:, 3] = hashes["user"], hashes["item"]
    content[:, 4] = columns["whole_ids"]
    content[:, 5] = _bits(np.asarray(columns["value"], dtype=np.float64))
    content[:, 6] = _bits(np.asarray(columns["weight"], dtype=np.float64))
    content[:, 7] = [position or 0 for position in columns["position"]]
    content[:, 8] = _bits(np.asarray([p or 0.0 for p in columns["propensity"]], np.float64))
    content[:, 9] = hashes["query"]
    content[:, 10], content[:, 11] = hashes["decision"], hashes["context"]
    return content


@final
@dataclass(frozen=True, slots=True)
class _Texts:
    """A coded column as texts, whether they stood for whole numbers, and 64-bit hashes."""

    texts: list[str | None]
    whole: Any
    hashes: Any

    @classmethod
    def of_ids(cls, vocabulary: Vocabulary, codes: CodeArray) -> _Texts:
        ids, codes = _used(vocabulary, codes)
        for id_ in ids:
            if isinstance(id_, bool) or not isinstance(id_, str | int):
                raise InvalidDataError(
                    f"Ids in a store must be text or whole numbers, got {shown(id_)}."
                )
        whole = np.fromiter((isinstance(id_, int) for id_ in ids), dtype=np.int64, count=len(ids))
        texts = storable("Ids", map(str, ids))
        if any(map(_too_long, texts)):
            raise InvalidDataError(f"Ids in a store must have at most {_LONGEST_BYTES:,} bytes.")
        rows = codes.tolist()
        return cls([texts[row] for row in rows], whole[codes], _hashes(texts)[codes])

    @classmethod
    def of_queries(cls, feedback: Feedback) -> _Texts:
        n = len(feedback)
        if feedback.query is None:
            return cls([None] * n, None, 0)
        asked = feedback.query >= 0
        ids, codes = _used(feedback.queries, feedback.query[asked])
        texts = storable("Queries", map(str, ids))
        if any(len(text) > LONGEST_TEXT for text in texts):
            raise InvalidDataError(f"Queries must have at most {LONGEST_TEXT:,} letters.")
        listed: list[str | None] = [None] * n
        hashes = np.zeros(n, dtype=np.uint64)
        hashes[asked] = _hashes(texts)[codes]
        for row, code in zip(np.flatnonzero(asked).tolist(), codes.tolist(), strict=True):
            listed[row] = texts[code]
        return cls(listed, None, hashes)


def _used(vocabulary: Vocabulary, codes: CodeArray) -> tuple[Sequence[Any], CodeArray]:
    """Return ids and codes; of a vocabulary longer than the column, the ids that it uses."""
    if len(vocabulary) <= codes.size:
        return vocabulary.ids, codes
    used, inverse = np.unique(codes, return_inverse=True)
    return [vocabulary[code] for code in used.tolist()], inverse.reshape(-1).astype(np.int32)


def _hashes(texts: Sequence[str | None]) -> Any:
    if texts.count(None) == len(texts):
        return np.zeros(len(texts), dtype=np.uint64)
    numbers = (0 if text is None else xxh3_64_intdigest(text.encode()) for text in texts)
    return np.fromiter(numbers, dtype=np.uint64, count=len(texts))


def _bits(numbers: Any) -> Any:
    return (numbers.astype(np.float64) + 0.0).view(np.uint64)  # one zero, not two


def _digests(content: Any) -> list[str]:
    """Return the hash of each row of numbers."""
    data = memoryview(content.astype("<u8").tobytes())
    width = content.shape[1] * content.itemsize
    return [xxh3_64_hexdigest(data[start : start + width]) for start in range(0, len(data), width)]


def _keys(columns: dict[str, list[Any]], keys: Sequence[str] | None) -> list[str]:
    """Keys that begin with the time keep the index growing at its end, ten times faster."""
    if keys is None:
        pairs = zip(columns["time"], columns["digest"], strict=True)
        return [f"{time & _64_BITS:016x}{digest}" for time, digest in pairs]
    keys = check.many("keys", keys, what="texts")
    if len(keys) != len(columns["time"]) or any(not 0 < len(key) <= 64 for key in keys):
        raise InvalidDataError("keys must be one text of 1 to 64 characters for each event.")
    return storable("Keys", keys)


def erased_key(key: str) -> str:
    """Return what stays of the key of an erased event: enough to know it when it comes again."""
    return f"erased:{xxh3_128_hexdigest(key.encode())}"


def id_of(name: str, value: object) -> str | int:
    """Return an id as it is stored: numbers of NumPy and members of enumerations as their value.

    Raises:
        InvalidParameterError: If it is no id that a store can keep.
    """
    expected = "one id, a text or a whole number that a store can keep"
    try:
        (id_,) = Vocabulary((value,)).checked(name).ids
    except (InvalidDataError, TypeError) as error:
        raise InvalidParameterError(name, value, expected) from error
    assert isinstance(id_, str | int)
    if isinstance(id_, str) and _too_long(id_):
        raise InvalidParameterError(name, value, expected)
    return id_


def _too_long(text: str) -> bool:
    return 4 * len(text) > _LONGEST_BYTES and len(text.encode()) > _LONGEST_BYTES


def once(event: Mapping[str, object]) -> str:
    """Return the key of an event on a list that has no time: the same event told again has it."""
    said = {name: repr(value) for name, value in event.items() if name not in {"key", "time"}}
    return f"{_ONCE}{xxh3_128_hexdigest(canonical_json(said).encode())}"


def is_once(key: str) -> bool:
    """Whether a key was made by `once`."""
    return key.startswith(_ONCE)


def json_of(name: str, value: Mapping[str, Any]) -> str:
    """Return a mapping as the JSON text that a store keeps.

    Raises:
        InvalidDataError: If it holds what JSON has no form for.
    """
    try:
        return storable(name, [canonical_json(dict(value))])[0]
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDataError(
            f"{name} must be JSON values, no NaN among them: {error}."
        ) from error


def storable(name: str, texts: Iterable[str]) -> list[str]:
    """Return texts that every database can hold.

    Raises:
        InvalidDataError: If one has a NUL or a lone surrogate.
    """
    kept = list(texts)
    for text in kept:
        if "\0" in text or (not text.isascii() and _has_surrogate(text)):
            raise InvalidDataError(
                f"{name} in a store must have no NUL and no lone surrogate, got {shown(text)}."
            )
    return kept


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _optional(column: Any, n: int, *, as_text: bool = False) -> list[Any]:
    if column is None:
        return [None] * n
    values: list[Any] = column.tolist()
    if not as_text:
        return values
    # An event of no decision is the same event whether others of its batch have one or not.
    texts = storable("Decision ids", map(str, values))
    if any(map(_too_long, texts)):
        raise InvalidDataError(
            f"Decision ids in a store must have at most {_LONGEST_BYTES:,} bytes."
        )
    return [text or None for text in texts]


def _contexts(feedback: Feedback) -> list[str | None]:
    if not feedback.context:
        return [None] * len(feedback)
    names = list(feedback.context)
    columns = (feedback.context[name].tolist() for name in names)
    try:
        known = (
            {
                name: value
                for name, value in zip(names, row, strict=True)
                if not (value is None or value != value)  # noqa: PLR0124 - NaN: not known
            }
            for row in zip(*columns, strict=True)
        )
        texts = [canonical_json(row) if row else None for row in known]
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"Context columns must be JSON values: {error}.") from error
    for text in storable("Context columns", filter(None, texts)):
        if len(text) > LONGEST_TEXT:
            raise InvalidDataError(f"Context columns must have at most {LONGEST_TEXT:,} letters.")
    return texts


def feedback_of(
    columns: Mapping[str, Sequence[Any]], *, whose: str | int | None = None
) -> Feedback:
    """Return rows of the log as feedback.

    Args:
        columns: The rows, by column.
        whose: The person of all of them; None for persons of every kind.
    """
    whole = np.asarray(columns["whole_ids"])
    if whose is None:
        users, user = _vocabulary(columns["user"], whole & _WHOLE_USER)
    else:
        users, user = Vocabulary((whose,)), np.zeros(len(whole), dtype=np.int32)
    items, item = _vocabulary(columns["item"], whole & _WHOLE_ITEM)
    asked = columns["query"] if _has_any(columns["query"]) else ()
    queries = Vocabulary.of(query for query in asked if query is not None)
    extra: dict[str, Any] = {}
    if len(queries):
        extra |= {"queries": queries, "query": queries.encode(columns["query"], unknown="code")}
    if _has_any(columns["decision"]):
        extra["decision"] = np.asarray([value or "" for value in columns["decision"]])
    if _has_any(columns["position"]):
        extra["position"] = np.asarray([value or 0 for value in columns["position"]], np.int32)
    if _has_any(columns["propensity"]):
        extra["propensity"] = np.asarray(columns["propensity"], dtype=np.float64)
    if _has_any(columns["context"]):
        extra["context"] = _context_columns(columns["context"])
    return Feedback(
        users=users,
        items=items,
        user=user,
        item=item,
        value=np.asarray(columns["value"], dtype=np.float32),
        kind=np.asarray(columns["kind"], dtype=np.int8),
        time=_instants(columns["time"]),
        weight=np.asarray(columns["weight"], dtype=np.float32),
        **extra,
    )


def _has_any(values: Sequence[Any]) -> bool:
    return values.count(None) < len(values)


def _instants(times: Sequence[int | None]) -> IntArray:
    if None in times:
        times = [int(NO_TIME) if time is None else time for time in times]
    return np.asarray(times, dtype=np.int64)


def _vocabulary(texts: Sequence[str], whole: Any) -> tuple[Vocabulary, Any]:
    if whole.all():
        return Vocabulary.factorize(np.asarray(texts, dtype=np.int64))
    if not whole.any():
        return Vocabulary.factorize(texts)
    pairs = zip(texts, whole.tolist(), strict=True)
    return Vocabulary.factorize([int(text) if is_whole else text for text, is_whole in pairs])


def _context_columns(texts: Sequence[str | None]) -> dict[str, Any]:
    rows = [json.loads(text) if text else {} for text in texts]
    names = sorted({name for row in rows for name in row})
    return {name: _context_column([row.get(name) for row in rows]) for name in names}


def _context_column(values: list[Any]) -> Any:
    """Return an array; a column of fractions has NaN where nothing is known."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) and all(isinstance(value, float) for value in known):
        return np.asarray(values, dtype=np.float64)
    return np.asarray(values)
