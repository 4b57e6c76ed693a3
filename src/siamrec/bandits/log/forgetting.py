"""How a bandit forgets: forward decay by half-life, or a sliding window of time buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.bandits.policies.base import Outcomes, Sums, add_sums, widen

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from siamrec.bandits.policies.base import Policy, Space
    from siamrec.typing import FloatArray, Instant, IntArray

_TICKS = 1024
"""Decay advances in steps of this part of a half-life (0.07 %), so that equal ticks share work."""
_LANDMARK = 64
"""Landmarks stand at multiples of so many half-lives: moving one multiplies by a power of two."""
_REBASE = 512
"""Half-lives after which the landmark moves, well before 2**1024 would overflow."""
_N_BUCKETS = 32


@final
class FadingSums:
    """Sums of everything learned, kept so that they can be looked at from any later instant.

    With a half-life h, an outcome of instant t is stored with weight 2^((t - L) / h) for a
    fixed landmark L, and looked at from instant s through the factor 2^(-(s - L) / h). Adding
    is all that ever happens to the sums, so order and batching do not matter. With a window,
    outcomes go to the bucket of their instant, and old buckets are left out when looking.

    References:
        Cormode, Shkapenyuk, Srivastava, Xu (2009), ICDE: forward decay.
    """

    def __init__(
        self, policy: Policy[Any], space: Space, half_life: int | None, window: int | None
    ) -> None:
        self._policy = policy
        self.space = space
        self.half_life = half_life
        self.bucket = None if window is None else max(window // _N_BUCKETS, 1)
        self.landmark: int | None = None
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
        weighed = self._weighed(outcomes, times)
        if self.bucket is None:
            self._policy.accumulate(self._bucket(0), weighed)
            return
        keys = times // self.bucket
        for key in np.unique(keys).tolist():  # few buckets, never per outcome
            self._policy.accumulate(self._bucket(key), weighed.rows(keys == key))

    def look(self, now: Instant) -> Sums:
        """Return the sums as they count at the tick of `now`."""
        tick = self.tick(now)
        oldest = None if self.bucket is None else tick // self.bucket - _N_BUCKETS
        total = self._policy.init(self.space)
        for key, sums in self.buckets.items():
            if oldest is None or key > oldest:
                total = add_sums(total, sums)
        if self.half_life is not None and self.landmark is not None:
            factor = 2.0 ** (-(tick - self.landmark) / self.half_life)
            total = {name: value * factor for name, value in total.items()}
        return total

    def widen(self, space: Space) -> None:
        """Make room for added arms."""
        self.space = space
        self.buckets = {
            key: widen(sums, self._policy.init(space)) for key, sums in self.buckets.items()
        }

    def move(self, landmark: int) -> None:
        """Move the landmark; every sum is multiplied by one power of two."""
        if self.half_life is None or self.landmark == landmark:
            return
        if self.landmark is not None:
            factor = 2.0 ** (-(landmark - self.landmark) / self.half_life)
            self.map(lambda value: value * factor)
        self.landmark = landmark

    def map(self, change: Callable[[FloatArray], FloatArray]) -> None:
        """Replace every array by `change` of it."""
        self.buckets = {
            key: {name: change(value) for name, value in sums.items()}
            for key, sums in self.buckets.items()
        }

    def absorb(self, other: FadingSums) -> None:
        """Add what another memory of the same kind holds."""
        if other.landmark is not None:
            if self.landmark is None:
                self.landmark = other.landmark
            high = max(self.landmark, other.landmark)
            self.move(high)
            other.move(high)
        for key, sums in other.buckets.items():
            self.buckets[key] = add_sums(self._bucket(key), sums)

    def copy(self) -> FadingSums:
        """Return a memory that changes apart from this one."""
        twin = FadingSums(self._policy, self.space, self.half_life, None)
        twin.bucket, twin.landmark = self.bucket, self.landmark
        twin.buckets = {
            key: {name: value.copy() for name, value in sums.items()}
            for key, sums in self.buckets.items()
        }
        return twin

    def _bucket(self, key: int) -> Sums:
        if key not in self.buckets:
            self.buckets[key] = self._policy.init(self.space)
        return self.buckets[key]

    def _weighed(self, outcomes: Outcomes, times: IntArray) -> Outcomes:
        if self.half_life is None:
            return outcomes
        period = _LANDMARK * self.half_life
        latest = int(times.max())
        if self.landmark is None or latest - self.landmark > _REBASE * self.half_life:
            self.move(latest // period * period)
        growth = 2.0 ** ((times - (self.landmark or 0)) / self.half_life)
        return Outcomes(
            cell=outcomes.cell,
            arm=outcomes.arm,
            reward=outcomes.reward,
            weight=outcomes.weight * growth,
            propensity=outcomes.propensity,
            features=outcomes.features,
        )
