"""Feedback as rows of the event table, and rows as feedback."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from xxhash import xxh3_64_hexdigest, xxh3_128_hexdigest

from siamrec._core.hashing import canonical_json
from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.typing import Instant

COLUMNS = [column for column in event.columns if column.name not in {"seq", "xid"}]
"""Columns that a writer fills."""
NAMES = [column.name for column in COLUMNS]
_WHOLE_USER, _WHOLE_ITEM = 1, 2


def rows_of(
    feedback: Feedback, received: Instant, keys: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    n = len(feedback)
    user, whole_user = _text_ids(feedback.users)
    item, whole_item = _text_ids(feedback.items)
    time = [None if t == NO_TIME else t for t in feedback.time.tolist()]
    queries: list[str | None] = [*storable("Queries", map(str, feedback.queries.ids)), None]
    context = _contexts(feedback)
    columns: dict[str, list[Any]] = {
        "kind": feedback.kind.tolist(),
        "time": time,
        "user": [user[code] for code in feedback.user.tolist()],
        "item": [item[code] for code in feedback.item.tolist()],
        "whole_ids": (whole_user[feedback.user] + 2 * whole_item[feedback.item]).tolist(),
        "value": feedback.value.tolist(),
        "weight": feedback.weight.tolist(),
        "decision": _optional(feedback.decision, n, as_text=True),
        "position": _optional(feedback.position, n),
        "propensity": [
            None if p is None or math.isnan(p) else p for p in _optional(feedback.propensity, n)
        ],
        "query": [None] * n if feedback.query is None else [queries[q] for q in feedback.query],
        "context": context,
    }
    content = map(repr, zip(*columns.values(), strict=True))
    columns["digest"] = [xxh3_64_hexdigest(text.encode()) for text in content]
    columns["key"] = _keys(columns, keys)
    columns["received"] = [received] * n
    return list(zip(*(columns[name] for name in NAMES), strict=True))


def _keys(columns: dict[str, list[Any]], keys: Sequence[str] | None) -> list[str]:
    """Keys that begin with the time keep the index growing at its end, ten times faster."""
    if keys is None:
        pairs = zip(columns["time"], columns["digest"], strict=True)
        return [f"{(time or 0) % 2**64:016x}{digest}" for time, digest in pairs]
    if len(keys) != len(columns["time"]) or any(not 0 < len(key) <= 64 for key in keys):  # noqa: PLR2004
        raise InvalidDataError("keys must be one text of 1 to 64 characters for each event.")
    return storable("Keys", keys)


def _text_ids(vocabulary: Vocabulary) -> tuple[list[str], Any]:
    whole = np.zeros(len(vocabulary), dtype=np.int64)
    for code, id_ in enumerate(vocabulary.ids):
        if isinstance(id_, bool) or not isinstance(id_, str | int):
            raise InvalidDataError(f"Ids in a store must be text or whole numbers, got {id_!r}.")
        whole[code] = isinstance(id_, int)
    return storable("Ids", map(str, vocabulary.ids)), whole


def erased_key(key: str) -> str:
    """Return what stays of the key of an erased event: enough to know it when it comes again."""
    return f"erased:{xxh3_128_hexdigest(key.encode())}"


def storable(name: str, texts: Iterable[str]) -> list[str]:
    """Return texts that every database can hold.

    Raises:
        InvalidDataError: If one has a NUL or a lone surrogate.
    """
    kept = list(texts)
    for text in kept:
        if "\0" in text or (not text.isascii() and _has_surrogate(text)):
            raise InvalidDataError(
                f"{name} in a store must have no NUL and no lone surrogate, got {text!r}."
            )
    return kept


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _optional(column: Any, n: int, *, as_text: bool = False) -> list[Any]:
    if column is None:
        return [None] * n
    values: list[Any] = column.tolist()
    return storable("Decision ids", map(str, values)) if as_text else values


def _contexts(feedback: Feedback) -> list[str | None]:
    if not feedback.context:
        return [None] * len(feedback)
    names = list(feedback.context)
    columns = (feedback.context[name].tolist() for name in names)
    try:
        return [
            canonical_json(
                {
                    name: value
                    for name, value in zip(names, row, strict=True)
                    if not (value is None or value != value)  # noqa: PLR0124 - NaN: not known
                }
            )
            for row in zip(*columns, strict=True)
        ]
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"Context columns must be JSON values: {error}.") from error


def feedback_of(columns: Mapping[str, Sequence[Any]]) -> Feedback:
    whole = np.asarray(columns["whole_ids"])
    users, user = _vocabulary(columns["user"], whole & _WHOLE_USER)
    items, item = _vocabulary(columns["item"], whole & _WHOLE_ITEM)
    queries = Vocabulary.of(query for query in columns["query"] if query is not None)
    extra: dict[str, Any] = {}
    if len(queries):
        extra |= {"queries": queries, "query": queries.encode(columns["query"], unknown="code")}
    if any(value is not None for value in columns["decision"]):
        extra["decision"] = np.asarray([value or "" for value in columns["decision"]])
    if any(value is not None for value in columns["position"]):
        extra["position"] = np.asarray([value or 0 for value in columns["position"]], np.int32)
    if any(value is not None for value in columns["propensity"]):
        extra["propensity"] = np.asarray(columns["propensity"], dtype=np.float64)
    if any(value is not None for value in columns["context"]):
        extra["context"] = _context_columns(columns["context"])
    return Feedback(
        users=users,
        items=items,
        user=user,
        item=item,
        value=np.asarray(columns["value"], dtype=np.float32),
        kind=np.asarray(columns["kind"], dtype=np.int8),
        time=np.asarray([NO_TIME if t is None else t for t in columns["time"]], dtype=np.int64),
        weight=np.asarray(columns["weight"], dtype=np.float32),
        **extra,
    )


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
