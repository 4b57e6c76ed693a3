"""A difference with its interval and p-value: what every comparison of two samples returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from typing_extensions import override

from siamrec._core.table import Record, number, span


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Effect(Record):
    """A difference with its interval and p-value.

    Attributes:
        estimate: The difference, treatment minus control.
        interval: `(low, high)`; infinite where the data do not bound it.
        p: p-value against no difference, never 0: see `log_p` for very small ones.
        log_p: Its natural logarithm.
        error: Standard error.
        rule: How interval and p-value were made.
        freedom: Degrees of freedom of the error.
        anytime: Whether interval and p-value hold at every look; if not, they are to be read
            once, at the end.
    """

    estimate: float
    interval: tuple[float, float]
    p: float
    log_p: float
    error: float
    rule: str
    freedom: float = math.inf
    anytime: bool = False

    @override
    def title(self) -> str:
        return f"Effect {number(self.estimate)} {span(*self.interval)}, p {number(self.p)}"

    @property
    def significant(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval[0] > 0 or self.interval[1] < 0
