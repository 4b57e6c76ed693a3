"""Events as applications send them, one mapping each: good ones apart from bad ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record
from siamrec.data import Feedback, FeedbackKind, Vocabulary
from siamrec.data.rewards import LONGEST_DECISION
from siamrec.errors import InvalidDataError, InvalidParameterError, shown
from siamrec.feedback import RejectedRow
from siamrec.storage._events import LONGEST_TEXT, id_of, once, storable

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import Instant

_KINDS = {kind.name.lower(): int(kind) for kind in FeedbackKind}
_LONGEST_KEY = 64
_SHORT = 500


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Written(Record):
    """What became of many events.

    Attributes:
        accepted: Events stored now.
        duplicates: Events that were there already, with the same content.
        conflicts: Keys that were there already with other content.
        rejected: Events that could not be read, with their numbers (from 1) and reasons.
    """

    accepted: int
    duplicates: int
    conflicts: tuple[str, ...]
    rejected: tuple[RejectedRow, ...]

    @override
    def title(self) -> str:
        said = f"{self.duplicates:,} there already, {len(self.conflicts):,} in conflict"
        return f"Written: {self.accepted:,} accepted, {said}, {len(self.rejected):,} rejected"


def sorted_out(
    events: Iterable[object], now: Instant
) -> tuple[list[tuple[Feedback, list[str] | None]], tuple[RejectedRow, ...]]:
    """Return the good events, without and with keys, and the bad ones with their reasons."""
    if isinstance(events, Mapping | str | bytes) or not isinstance(events, Iterable):
        raise InvalidParameterError("events", events, "a list of mappings, one for each event")
    good: list[dict[str, Any]] = []
    rejected = []
    for number, event in enumerate(events, start=1):  # one event at a time: each can be bad
        try:
            good.append(_checked(event, now))
        except InvalidDataError as error:
            shown = event if isinstance(event, Mapping) else {"": event}
            data = {str(name): repr(value)[:200] for name, value in shown.items()}
            rejected.append(RejectedRow(number, str(error), data))
    parts: list[tuple[Feedback, list[str] | None]] = []
    plain = [event for event in good if event["key"] is None]
    keyed = [event for event in good if event["key"] is not None]
    if plain:
        parts.append((_feedback(plain), None))
    if keyed:
        parts.append((_feedback(keyed), [event["key"] for event in keyed]))
    return parts, tuple(rejected)


def _checked(event: object, now: Instant) -> dict[str, Any]:
    if not isinstance(event, Mapping):
        raise InvalidDataError(f"An event must be a mapping, got {event!r:.100}.")
    defaults = {**_DEFAULTS, "time": now}
    unknown = sorted(set(map(str, event)) - set(_FIELDS))
    if unknown:
        raise InvalidDataError(
            f"An event has no field {shown(unknown[0])}; known: {', '.join(_FIELDS)}."
        )
    checked = {
        name: check(name, event.get(name, defaults.get(name))) for name, check in _FIELDS.items()
    }
    if checked["decision"] is not None and "time" not in event and checked["key"] is None:
        checked["key"] = once(checked)  # told once more, it has another time
    return checked


def _id(name: str, value: object) -> str | int:
    if type(value) is str and len(value) <= _SHORT and value.isascii() and "\0" not in value:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
        raise InvalidDataError(f"{name} must be text or a whole number, got {value!r:.100}.")
    try:
        return id_of(name, value)
    except InvalidParameterError as error:
        raise InvalidDataError(str(error.__cause__ or error)) from error


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidDataError(f"{name} must be text, got {value!r:.100}.")
    longest = LONGEST_DECISION if name == "decision" else LONGEST_TEXT
    if len(value) > longest:
        raise InvalidDataError(
            f"{name} must have at most {longest:,} letters, got {len(value):,}."
        )
    return storable(name, [value])[0] or None


def _key(name: str, value: object) -> str | None:
    text = _text(name, value)
    if value == "" or (text is not None and len(text) > _LONGEST_KEY):
        raise InvalidDataError(
            f"key must have 1 to {_LONGEST_KEY} characters, got {value!r:.100}."
        )
    return text


def _kind(_: str, value: object) -> int:
    if isinstance(value, FeedbackKind):
        return int(value)
    code = _KINDS.get(str(value).lower())
    if code is None:
        raise InvalidDataError(f"kind must be one of {', '.join(_KINDS)}, got {value!r:.100}.")
    return code


def _number(low: float, high: float) -> Callable[[str, object], float]:
    def check(name: str, value: object) -> float:
        if isinstance(value, np.generic):
            value = value.item()
        number = value if isinstance(value, int | float) else math.nan
        if isinstance(value, bool) or not low <= number <= high:
            raise InvalidDataError(
                f"{name} must be a number in [{low:g}, {high:g}], got {value!r:.100}."
            )
        return number

    return check


def _whole(low: int, high: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if type(value) is int and low <= value < high:
            return value
        if isinstance(value, np.integer):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
            raise InvalidDataError(
                f"{name} must be a whole number from {low} to below {high}, got {value!r:.100}."
            )
        return value

    return check


def _propensity(name: str, value: object) -> float:
    if value is None:
        return math.nan
    number = _number(0.0, 1.0)(name, value)
    if number <= 0:
        raise InvalidDataError(f"propensity must be in (0, 1], got {value!r:.100}.")
    return number


_LARGEST = float(np.finfo(np.float32).max)
_FIELDS: dict[str, Callable[[str, object], object]] = {
    "user": _id,
    "item": _id,
    "value": _number(-_LARGEST, _LARGEST),
    "kind": _kind,
    "time": _whole(-(2**62), 2**62),
    "weight": _number(0.0, _LARGEST),
    "decision": _text,
    "position": _whole(0, 2**31),
    "propensity": _propensity,
    "query": _text,
    "key": _key,
}
_DEFAULTS: dict[str, object] = {"value": 1.0, "kind": "rating", "weight": 1.0, "position": 0}


def _feedback(events: list[dict[str, Any]]) -> Feedback:
    columns = {name: [event[name] for event in events] for name in _FIELDS}
    users, user = Vocabulary.factorize(columns["user"])
    items, item = Vocabulary.factorize(columns["item"])
    queries = Vocabulary.of(text for text in columns["query"] if text is not None)
    propensity = np.asarray(columns["propensity"])
    return Feedback(
        users=users,
        items=items,
        user=user,
        item=item,
        value=np.asarray(columns["value"], dtype=np.float32),
        kind=np.asarray(columns["kind"], dtype=np.int8),
        time=np.asarray(columns["time"], dtype=np.int64),
        weight=np.asarray(columns["weight"], dtype=np.float32),
        decision=np.asarray([text or "" for text in columns["decision"]])
        if any(columns["decision"])
        else None,
        position=np.asarray(columns["position"], dtype=np.int32)
        if any(columns["position"])
        else None,
        propensity=None if np.isnan(propensity).all() else propensity,
        queries=queries,
        query=queries.encode(columns["query"], unknown="code") if len(queries) else None,
    )
