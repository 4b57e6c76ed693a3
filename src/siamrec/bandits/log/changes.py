"""Since when each arm has been what it is: the change points of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Record, number
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.bandits.log.ledger import Ledger
    from siamrec.bandits.policies.base import Space
    from siamrec.typing import FloatArray, IntArray

ALWAYS = np.iinfo(np.int64).min
"""Start of an arm that never changed."""


def starts(ledger: Ledger, space: Space, false_alarm: float) -> IntArray:
    """Return the instant since which each arm has not changed in each cell.

    Every (cell, arm) is tested apart, so that an arm which comes to be chosen in other contexts
    does not look changed. Rewards are in the order of their decisions, whoever made them; after
    a change the rest is searched again. The levels of all tests together are `false_alarm`.

    Returns:
        Shape `(n_cells, n_arms)`; `ALWAYS` where nothing changed.
    """
    found = np.full((space.n_cells, space.n_arms), ALWAYS)
    rows = ledger.rewarded()
    if not rows.size:
        return found
    stream = ledger.column("cell").astype(np.int64) * space.n_arms + ledger.column("arm")
    time = ledger.column("time")
    names = ledger.row_ids()[rows]
    order = rows[np.lexsort((ledger.column("rank")[rows], names, time[rows], stream[rows]))]
    cuts = np.flatnonzero(np.diff(stream[order])) + 1
    rewards = ledger.column("reward").astype(np.float64)
    for part in np.split(order, cuts):  # cells and arms, not outcomes
        place = 0
        while change := change_point(rewards[part[place:]], false_alarm=false_alarm / found.size):
            place += change.place
        if place:
            found.flat[stream[part[0]]] = time[part[place]]
    return found


@final
@dataclass(frozen=True, slots=True, repr=False)
class ChangePoint(Record):
    """Where a stream of rewards changed.

    Attributes:
        place: Number of rewards before the change.
        before: Their mean.
        after: Mean of the rewards since.
        excess: By how much the statistic exceeds its threshold.
    """

    place: int
    before: float
    after: float
    excess: float

    @override
    def title(self) -> str:
        return (
            f"Change after {self.place:,} rewards: {number(self.before)} to {number(self.after)}"
        )


def change_point(rewards: FloatArray, *, false_alarm: float = 0.01) -> ChangePoint | None:
    """Return where the mean of rewards in [0, 1] has changed, None if nowhere for certain.

    The generalised likelihood ratio of Bernoulli (or bounded) rewards,

        max over s of  s kl(mean_1..s, mean) + (n - s) kl(mean_s+1..n, mean),

    against the threshold ln(3 n sqrt n / false_alarm), under which a stream that never changes
    raises an alarm at any time with probability at most `false_alarm`.

    Args:
        rewards: Rewards of one arm in time order, in [0, 1].
        false_alarm: In (0, 1).

    Raises:
        InvalidDataError: If a reward is outside [0, 1].
        InvalidParameterError: If `false_alarm` is outside (0, 1).

    References:
        Besson, Kaufmann, Maillard, Seznec (2022), JMLR 23: efficient change-point detection for
        piecewise-stationary bandits.

    Examples:
        >>> change_point(np.repeat([0.0, 1.0], 30)).place
        30
    """
    check.share("false_alarm", false_alarm, open_ends=True)
    values = check.finite("rewards", rewards)
    n = values.size
    if n and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidDataError("rewards must be in [0, 1].")
    if n < 2:
        return None
    total = np.cumsum(values)
    size = np.arange(1, n)
    before = total[:-1] / size
    after = (total[-1] - total[:-1]) / (n - size)
    mean = total[-1] / n
    statistic = size * _divergence(before, mean) + (n - size) * _divergence(after, mean)
    place = int(np.argmax(statistic))
    excess = float(statistic[place] - np.log(3 * n * np.sqrt(n) / false_alarm))
    if excess < 0:
        return None
    return ChangePoint(place + 1, float(before[place]), float(after[place]), excess)


def _divergence(p: FloatArray, q: float) -> FloatArray:
    kl: FloatArray = special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)
    return kl
