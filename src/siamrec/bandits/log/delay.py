"""How long successes take to be seen, worked out from picks that are still waiting as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray, IntArray

_MOST_STEPS = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DelayCurve(Record):
    """The share of successes that has been seen after some time; rises in steps to 1.

    Attributes:
        after: Ages at which the curve rises, in nanoseconds, rising, not below 0.
        share: Share of successes seen by each of these ages, in (0, 1], rising, 1 at the end.

    Raises:
        InvalidDataError: If there is no step, the lengths differ, or a column does not rise.

    Examples:
        >>> curve = DelayCurve(after=(10, 30), share=(0.25, 1.0))
        >>> curve.seen(np.array([0, 10, 29, 30])).tolist()
        [0.0, 0.25, 0.25, 1.0]
    """

    after: tuple[int, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        after, share = np.array(self.after), np.array(self.share)
        if not after.size or after.size != share.size:
            raise InvalidDataError("after and share must have one length, at least 1.")
        if after[0] < 0 or (np.diff(after) <= 0).any():
            raise InvalidDataError("after must rise from 0 or above.")
        if not (share[0] > 0 and (np.diff(share) >= 0).all() and abs(share[-1] - 1) < 1e-9):
            raise InvalidDataError("share must rise within (0, 1] to 1.")

    @override
    def title(self) -> str:
        return f"Delay curve with {counted(len(self.after), 'step')}"

    @classmethod
    def estimate(cls, waited: IntArray, seen: BoolArray) -> DelayCurve:
        """Return the Kaplan-Meier estimate of the curve.

        With n(t) picks that have waited for t or longer and d(t) successes after exactly t,

            F(t) = 1 - product over s <= t of (1 - d(s) / n(s)),    share(t) = F(t) / F(latest).

        The plain mean of the delays seen would be too short: those that take long have not been
        seen yet. F levels off at the success rate, since most picks never succeed; dividing by
        the plateau leaves the delay of those that do. Reliable as far as picks have been
        watched: what takes longer than any success so far is unknown to it.

        Args:
            waited: Time until the success was seen, or for which a pick has been waiting in
                vain, in nanoseconds, not below 0.
            seen: Whether a success was seen.

        Raises:
            InvalidDataError: If no success was seen, a time is below 0, or lengths differ.

        References:
            Kaplan and Meier (1958), Journal of the American Statistical Association 53; Maller
            and Zhou (1992), Biometrika 79: the plateau of long-term survivors.
        """
        age, event = np.asarray(waited, dtype=np.int64), np.asarray(seen, dtype=np.bool_)
        check.same_length(waited=age, seen=event)
        if not event.any():
            raise InvalidDataError("seen must hold at least one success.")
        if age.min() < 0:
            raise InvalidDataError("waited must not be below 0.")
        after, successes = np.unique(age[event], return_counts=True)
        at_risk = age.size - np.searchsorted(np.sort(age), after, side="left")
        found = 1.0 - np.cumprod(1.0 - successes / at_risk)
        share = found / found[-1]
        if after.size > _MOST_STEPS:  # what a snapshot carries stays small
            kept = np.linspace(0, after.size - 1, _MOST_STEPS).round().astype(np.int64)
            after, share = after[kept], share[kept]
        return cls(after=tuple(after.tolist()), share=tuple(share.tolist()))

    def seen(self, age: IntArray) -> FloatArray:
        """Return the share of successes that has been seen by each age."""
        steps = np.concatenate([[0.0], self.share])
        found: FloatArray = steps[np.searchsorted(np.array(self.after), age, side="right")]
        return found


def seen_share(delay: int | DelayCurve, age: IntArray) -> FloatArray:
    """Return the share of successes seen by each age; a number is the mean of an exponential."""
    if isinstance(delay, DelayCurve):
        return delay.seen(age)
    return np.asarray(-np.expm1(-age / delay), dtype=np.float64)


def ageing_step(delay: int | DelayCurve) -> int:
    """Return by how much waiting picks age at once, so that equal steps share work."""
    horizon = delay.after[-1] if isinstance(delay, DelayCurve) else 4 * delay
    return max(horizon // _MOST_STEPS, 1)
