"""Sums of a log from which estimates follow; they merge, so that any log streams through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec.bandits.ope.estimate import Diagnostics, ValueEstimate, diagnosis, held
from siamrec.data.moments import Moments
from siamrec.statistics.means import UNBOUNDED, Range, has_spread, mean_interval

if TYPE_CHECKING:
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray

_COLUMNS = ("weight", "gain", "weight²", "weight gain", "gain²")


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tally(Record):
    """Moments from which IPS and SNIPS follow.

    Attributes:
        moments: Those of the weights w, the gains g = w (r - centre), and of w², w g and g², over
            rows: up to the fourth power of a gain.
        centre: What rewards are taken from, near their mean, so that no digits are lost.
        most: Greatest weight.
        reward_range: Least and greatest reward that there can be.

    Examples:
        >>> from siamrec.bandits.ope import Log
        >>> log = Log(action=np.zeros(90), reward=np.arange(90) % 2.0, propensity=np.ones(90))
        >>> found = (Tally.of(log, np.ones(90)) + Tally.of(log, np.ones(90))).snips()
        >>> found.value, [round(end, 3) for end in found.interval]
        (0.5, [0.426, 0.574])
    """

    moments: Moments
    centre: float
    most: float
    reward_range: Range = UNBOUNDED

    @override
    def title(self) -> str:
        return f"Tally of {counted(self.moments.n, 'decision')}"

    @classmethod
    def of(cls, log: Log, target: FloatArray) -> Tally:
        """Return the moments of one part of a log."""
        weight, centre = log.weights(target), float(log.reward.mean())
        gain = weight * (log.reward - centre)
        columns = (weight, gain, weight**2, weight * gain, gain**2)
        return cls(
            moments=Moments.of(dict(zip(_COLUMNS, columns, strict=True))),
            centre=centre,
            most=float(weight.max()),
            reward_range=log.reward_range,
        )

    def __add__(self, other: Tally) -> Tally:
        low, high = zip(self.reward_range, other.reward_range, strict=True)
        return Tally(
            moments=self.moments + other.around(self.centre),
            centre=self.centre,
            most=max(self.most, other.most),
            reward_range=(min(low), max(high)),
        )

    def around(self, centre: float) -> Moments:
        """Return the moments for another centre: gains move by d w, their squares with them."""
        d = self.centre - centre
        turn = np.eye(len(_COLUMNS))
        turn[1, 0] = turn[3, 2] = d
        turn[4, 2:4] = d * d, 2 * d
        kept = self.moments
        product = turn @ kept.product @ turn.T
        return Moments(names=kept.names, n=kept.n, mean=turn @ kept.mean, product=product)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.moments.n

    @property
    def effective_sample_size(self) -> float:
        """`(sum w)² / sum w²`."""
        mean, square = float(self.moments.mean[0]), float(self.moments.product[0, 0])
        whole = self.n * mean * mean
        return self.n * whole / (square + whole) if whole > 0 else 0.0

    def snips(self, *, confidence: float = 0.95) -> ValueEstimate:
        """Return the self-normalised estimate, as `SNIPS` does of the whole log."""
        return self._estimate("snips", self._mean(), float(self.moments.mean[0]), confidence)

    def ips(self, *, confidence: float = 0.95) -> ValueEstimate:
        """Return the IPS estimate, as `IPS` does of the whole log."""
        return self._estimate("ips", 0.0, 1.0, confidence)

    def _mean(self) -> float:
        """Return the weighted mean reward."""
        weight, gain = self.moments.mean[:2].tolist()
        return float(self.centre + (gain / weight if weight > 0 else 0.0))

    def _estimate(
        self, name: str, centre: float, below: float, confidence: float
    ) -> ValueEstimate:
        """Return the estimate `centre + mean of w (r - centre) / below`."""
        check.share("confidence", confidence, open_ends=True)
        n, alike, moments = self.n, self.effective_sample_size, self.around(centre)
        away = _Powers.of(moments)
        value = held(centre + float(moments.mean[1]) if below == 1 else centre, self.reward_range)
        error = math.sqrt(away.second / max(n - 1, 1) / n) / below if below > 0 else math.inf
        interval = mean_interval(
            value,
            error if n > 1 else math.inf,
            alike,
            confidence=confidence,
            within=self.reward_range,
            freedom=n - 1,
            skewness=away.third / away.second**1.5 if away.second > 0 else 0.0,
        )
        return ValueEstimate(
            estimator=name,
            raw=value,
            interval=interval,
            error=error if n > 1 else math.inf,
            diagnostics=self._diagnosis(),
        )

    def _diagnosis(self) -> Diagnostics:
        n, mean, spread = self.n, float(self.moments.mean[0]), float(self.moments.product[0, 0])
        centre = self._mean()
        away = _Powers.of(self.around(centre))
        told = has_spread(self.most * centre, math.sqrt(away.second)) and away.fourth > 0
        return diagnosis(
            n=n,
            effective=self.effective_sample_size,
            most=self.most,
            mean=mean,
            error=math.sqrt(max(spread, 0.0) / (n - 1) / n) if n > 1 else math.inf,
            rewards=away.second**2 / away.fourth if told else 0.0,
        )


class _Powers(NamedTuple):
    """Sums of the second, third and fourth powers of the gains less their mean."""

    second: float
    third: float
    fourth: float

    @classmethod
    def of(cls, moments: Moments) -> _Powers:
        mean, (own, with_square, square) = moments.mean[1], moments.product[[1, 1, 4], [1, 4, 4]]
        # Of (g - mean)² = g² - 2 mean g + mean², its covariance with g and its own variance.
        spread = square - 4 * mean * with_square + 4 * mean * mean * own
        return cls(
            second=max(float(own), 0.0),
            third=float(with_square - 2 * mean * own),
            fourth=max(float(spread), 0.0) + float(own) ** 2 / max(moments.n, 1),
        )
