"""How a bandit forgets: forward decay by half-life, or a sliding window of time buckets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.bandits.policies.base import add_sums, widen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from siamrec.bandits.policies.base import Outcomes, Policy, Space, Sums
    from siamrec.typing import Instant, IntArray

_TICKS = 1024
"""Decay advances in steps of this part of a half-life (0.07 %), so that equal ticks share work."""
_N_BUCKETS = 32
_KEPT = 4
"""Half-lives that stand apart; what is older is added up."""
FORGOTTEN = 128
"""Half-lives after which nothing is left that a sum of floats could tell."""


@final
class FadingSums:
    """Sums of everything learned, kept so that they can be looked at from any later instant.

    Outcomes go to the bucket of their instant. With a half-life h a bucket is one half-life long
    and ends at E: an outcome of instant t is stored with weight 2^((t - E) / h), at most 1, and
    looked at from instant s through the factor 2^((E - s) / h). Adding is all that ever happens
    to the sums, so order and batching do not matter. With a window, old buckets are left out
    when looking.

    Clocks differ: a bucket that begins after s is looked at through the factor 1, so that an
    outcome from ahead counts like one of now, to within its half-life, and changes no other.

    References:
        Cormode, Shkapenyuk, Srivastava, Xu (2009), ICDE: forward decay.
    """

    def __init__(
        self, policy: Policy[Any], space: Space, half_life: int | None, window: int | None
    ) -> None:
        self._policy = policy
        self.space = space
        self.half_life = half_life
        self.bucket = half_life if window is None else max(window // _N_BUCKETS, 1)
        self.buckets: dict[int, Sums] = {}

    def tick(self, now: Instant) -> int:
        """Return the instant from which the sums are looked at: `now`, rounded down."""
        if self.half_life is not None:
            step = max(self.half_life // _TICKS, 1)
        elif self.bucket is not None:
            step = self.bucket
        else:
            return 0
        return now // step * step

    def add(self, outcomes: Outcomes, times: IntArray) -> None:
        """Take in outcomes, weighed by the instants of their decisions."""
        if not outcomes.arm.size:
            return
        if self.bucket is None:
            self._policy.accumulate(self._bucket(0), outcomes)
            return
        keys = times // self.bucket
        if self.half_life is not None:
            age = (keys + 1) * self.half_life - times
            outcomes = replace(outcomes, weight=outcomes.weight * 2.0 ** (-age / self.half_life))
        for key in np.unique(keys).tolist():  # few buckets, never per outcome
            self._policy.accumulate(self._bucket(key), outcomes.rows(keys == key))

    def look(self, now: Instant) -> Sums:
        """Return the sums as they count at the tick of `now`."""
        tick = self.tick(now)
        total = self._policy.init(self.space)
        if self.half_life is not None:
            self.buckets = gathered(self.buckets, tick, self.half_life)
            for key, sums in self.buckets.items():
                ahead = (key + 1) * self.half_life - tick
                power = ahead / self.half_life if tick >= key * self.half_life else 0.0
                if power > -FORGOTTEN:
                    total = add_sums(total, scaled(sums, 2.0**power))
            return total
        oldest = None if self.bucket is None else tick // self.bucket - _N_BUCKETS
        for key, sums in self.buckets.items():
            if oldest is None or key > oldest:
                total = add_sums(total, sums)
        return total

    def widen(self, space: Space) -> None:
        """Make room for added arms."""
        self.space = space
        self.buckets = {
            key: widen(sums, self._policy.init(space)) for key, sums in self.buckets.items()
        }

    def absorb(self, other: FadingSums) -> None:
        """Add what another memory of the same kind holds."""
        for key, sums in other.buckets.items():
            self.buckets[key] = add_sums(self._bucket(key), sums)

    def copy(self) -> FadingSums:
        """Return a memory that changes apart from this one."""
        twin = FadingSums(self._policy, self.space, self.half_life, None)
        twin.bucket = self.bucket
        twin.buckets = {
            key: {name: value.copy() for name, value in sums.items()}
            for key, sums in self.buckets.items()
        }
        return twin

    def _bucket(self, key: int) -> Sums:
        if key not in self.buckets:
            self.buckets[key] = self._policy.init(self.space)
        return self.buckets[key]


def scaled(sums: Sums, factor: float) -> Sums:
    """Return sums times a factor."""
    return {name: value * factor for name, value in sums.items()}


def gathered(buckets: Mapping[int, Sums], tick: int, half_life: int) -> dict[int, Sums]:
    """Return buckets of which those that ended some half-lives before `tick` are one.

    They count the same from any later instant, and from an earlier one at most once.
    """
    if len(buckets) <= _KEPT:
        return dict(buckets)
    old = sorted(key for key in buckets if key + 1 + _KEPT <= tick // half_life)
    if len(old) <= _KEPT:  # not one by one, at every look
        return dict(buckets)
    kept = {key: sums for key, sums in buckets.items() if key not in set(old)}
    last = old[-1]
    kept[last] = buckets[last]
    for key in old[:-1]:
        if key > last - FORGOTTEN:
            kept[last] = add_sums(kept[last], scaled(buckets[key], 2.0 ** (key - last)))
    return kept
