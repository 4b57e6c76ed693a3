"""Which events a word means: `"click"`, `"thumb_down"`, `"dwell<3"`."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec.data import FeedbackKind
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Feedback
    from siamrec.typing import BoolArray

_COMPARES: Mapping[str, Callable[[Any, float], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_FORM = re.compile(rf"\s*(\w+)\s*(?:(<=|>=|==|<|>)\s*({_NUMBER}))?\s*")


def _always(value: Any, _bound: float) -> Any:
    return np.ones(len(value), dtype=np.bool_)


KINDS: Mapping[str, tuple[FeedbackKind, Callable[[Any, float], Any], float]] = {
    **{
        kind.name.lower(): (kind, _always, 0.0)
        for kind in FeedbackKind
        if kind != FeedbackKind.IMPRESSION  # nobody's deed
    },
    "convert": (FeedbackKind.CONVERSION, _always, 0.0),
    "thumb_up": (FeedbackKind.THUMB, operator.gt, 0.0),
    "thumb_down": (FeedbackKind.THUMB, operator.lt, 0.0),
}
"""What a word means: a kind of event, and values of it."""


@final
@dataclass(frozen=True, slots=True)
class Word:
    """A word for events: a kind, and values of it."""

    kind: FeedbackKind
    compare: Callable[[Any, float], Any]
    bound: float

    @classmethod
    def of(cls, name: str, text: object) -> Word:
        """Return what a text means.

        Raises:
            siamrec.errors.InvalidParameterError: If it is not of the form.
            siamrec.errors.UnknownNameError: If no event is called so.
        """
        found = _FORM.fullmatch(check.text(name, text))
        if found is None:
            raise InvalidParameterError(name, text, "a kind of event such as 'click' or 'dwell<3'")
        word, sign, bound = found.groups()
        kind, compare, usual = KINDS[check.one_of("kind of event", word, KINDS)]
        if sign is None:
            return cls(kind, compare, usual)
        if compare is not _always:
            raise InvalidParameterError(name, text, f"{word!r} alone, or 'thumb' with a bound")
        return cls(kind, _COMPARES[sign], float(bound))

    def covers(self, other: Word) -> bool:
        """Whether every event that another word means is meant by this one too."""
        bounds = np.array([self.bound, other.bound])
        # Words are half-lines, points or all values: what holds around the bounds holds for all.
        near = np.concatenate([
            bounds, np.nextafter(bounds, -np.inf), np.nextafter(bounds, np.inf), [-np.inf, np.inf],
        ])  # fmt: skip
        more = other.compare(near, other.bound) & ~self.compare(near, self.bound)
        return self.kind == other.kind and not more.any()

    def meant(self, events: Feedback) -> BoolArray:
        """Return which events are meant."""
        right: BoolArray = (events.kind == self.kind) & self.compare(events.value, self.bound)
        return right
