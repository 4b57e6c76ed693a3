"""A normal walk between bounds, look by look: the integrals behind group-sequential tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import special
from siamrec._core.roots import root

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(96)
_FARTHEST = 37.0
"""A bound nobody reaches: the normal tail beyond it is below 1e-299."""
_LEAST_STEP = 1e-290
_BEYOND = 9.0
"""Standard deviations beyond which a step of the walk does not matter (1e-19)."""


@final
@dataclass(frozen=True, slots=True)
class Walk:
    """The score of an experiment among those that have stayed inside the bounds so far.

    At a share t of the planned information the score is normal around `drift` t with variance t;
    z = score / sqrt t.

    Attributes:
        drift: Expected z at share 1.
        time: Share of the last look.
        node: Points of the score there.
        mass: Probability at the points; they sum to that of not having stopped.
    """

    drift: float
    time: float
    node: FloatArray
    mass: FloatArray

    @classmethod
    def start(cls, drift: float) -> Walk:
        """Return the walk before the first look."""
        return cls(drift, 0.0, np.zeros(1), np.ones(1))

    def above(self, time: float, z: float) -> float:
        """Return the probability of staying inside until now and then being above z."""
        moved, deviation = self._moved(time)
        return float(self.mass @ special.ndtr((moved - z * np.sqrt(time)) / deviation))

    def below(self, time: float, z: float) -> float:
        """Return the probability of staying inside until now and then being below z."""
        moved, deviation = self._moved(time)
        return float(self.mass @ special.ndtr((z * np.sqrt(time) - moved) / deviation))

    def upper(self, time: float, step: float, *, least: float = 0.0) -> float:
        """Return the z, from `least` up, with so much probability above it."""
        if step < _LEAST_STEP or self.above(time, _FARTHEST) >= step:
            return _FARTHEST
        if self.above(time, least) <= step:
            return least
        excess = lambda z: self.above(time, z) - step  # noqa: E731
        return root(excess, least, _FARTHEST, xtol=1e-12)

    def lower(self, time: float, step: float) -> float:
        """Return the z with so much probability below it."""
        if step < _LEAST_STEP or self.below(time, -_FARTHEST) >= step:
            return -_FARTHEST
        if self.below(time, _FARTHEST) <= step:
            return _FARTHEST
        excess = lambda z: self.below(time, z) - step  # noqa: E731
        return root(excess, -_FARTHEST, _FARTHEST, xtol=1e-12)

    def inside(self, time: float, low: float, high: float) -> Walk:
        """Return the walk after a look, for those with z between two bounds."""
        moved, deviation = self._moved(time)
        root = np.sqrt(time)
        first = max(low * root, float(moved.min()) - _BEYOND * deviation)
        last = min(high * root, float(moved.max()) + _BEYOND * deviation)
        if last <= first:
            return Walk(self.drift, time, np.zeros(1), np.zeros(1))
        after = (last + first) / 2 + (last - first) / 2 * _NODE
        z = (after[:, None] - moved) / deviation
        density = np.exp(-0.5 * z * z) @ self.mass / (deviation * np.sqrt(2 * np.pi))
        return Walk(self.drift, time, after, density * _WEIGHT * (last - first) / 2)

    def _moved(self, time: float) -> tuple[FloatArray, float]:
        gone = time - self.time
        moved: FloatArray = self.node + self.drift * gone
        return moved, float(np.sqrt(gone))


def symmetric_bounds(times: FloatArray, steps: FloatArray) -> FloatArray:
    """Return the bounds, the same on both sides, that spend `steps` on each side at `times`."""
    bounds = np.empty(times.size)
    walk = Walk.start(0.0)
    for look, (time, step) in enumerate(zip(times.tolist(), steps.tolist(), strict=True)):
        bounds[look] = walk.upper(time, step)
        walk = walk.inside(time, -bounds[look], bounds[look])
    return bounds


def bounds_above(times: FloatArray, low: FloatArray, steps: FloatArray) -> FloatArray:
    """Return the upper bounds that spend `steps` on those who were never below `low`."""
    bounds = np.empty(times.size)
    walk = Walk.start(0.0)
    for look, (time, step) in enumerate(zip(times.tolist(), steps.tolist(), strict=True)):
        bounds[look] = walk.upper(time, step, least=-_FARTHEST)
        walk = walk.inside(time, min(float(low[look]), bounds[look]), bounds[look])
    return bounds


def crossing(times: FloatArray, low: FloatArray, high: FloatArray, drift: float) -> FloatArray:
    """Return the probability of crossing the upper bound first, at each look."""
    crossed = np.empty(times.size)
    walk = Walk.start(drift)
    for look, time in enumerate(times.tolist()):
        crossed[look] = walk.above(time, float(high[look]))
        walk = walk.inside(time, float(low[look]), float(high[look]))
    return crossed


def futility_bounds(
    times: FloatArray,
    steps: FloatArray,
    drift: float,
    *,
    high: FloatArray | None,
    alpha_steps: FloatArray,
) -> tuple[FloatArray, FloatArray, float]:
    """Return futility bounds, efficacy bounds, and the miss that is left for the last look.

    Args:
        times: Share of each look.
        steps: What may be missed at each look under the drift.
        drift: The drift that is not to be missed.
        high: Efficacy bounds that disregard futility (non-binding), or None to solve them
            along with it (binding).
        alpha_steps: What efficacy may spend at each look, for the latter.

    Returns:
        Bounds below which to give up and above which to have found, and the probability of not
        having found by the end, less what may be missed: 0 for the drift of the design.
    """
    low, found = np.empty(times.size), np.empty(times.size)
    null, walk = Walk.start(0.0), Walk.start(drift)
    for look, time in enumerate(times.tolist()):
        if high is None:
            found[look] = null.upper(time, float(alpha_steps[look]), least=-_FARTHEST)
        else:
            found[look] = high[look]
        low[look] = min(walk.lower(time, float(steps[look])), found[look])
        if look == times.size - 1:
            break
        null = null.inside(time, low[look], found[look]) if high is None else null
        walk = walk.inside(time, low[look], found[look])
    missed = walk.below(float(times[-1]), float(found[-1])) - float(steps[-1])
    return low, found, missed
