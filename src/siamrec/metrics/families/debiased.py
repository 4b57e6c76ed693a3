"""Accuracy corrected for which items had a chance to be observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

_PROPENSE = frozenset({"propensity", "truth"})


def popularity_propensity(popularity: npt.ArrayLike, *, gamma: float = 1.0) -> FloatArray:
    """Return observation probabilities that rise with popularity: `(c / max c)^((gamma + 1) / 2)`.

    An item without interactions gets that of one interaction.

    Args:
        popularity: Past interactions of each item, not negative, shape `(n_items,)`.
        gamma: Exponent of the popularity that generated the feedback; 1 to 3 fit real data.

    References:
        Yang, Cui, Xuan, Wang, Belongie, Estrin (2018), "Unbiased offline recommender evaluation
        for missing-not-at-random implicit feedback", RecSys.

    Examples:
        >>> popularity_propensity([4, 2, 1]).tolist()
        [1.0, 0.5, 0.25]
    """
    check.not_negative("gamma", gamma)
    counts = np.maximum(np.asarray(popularity, dtype=np.float64), 1.0)
    share: FloatArray = (counts / counts.max(initial=1.0)) ** ((gamma + 1.0) / 2.0)
    return share


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InversePropensity(Metric):
    """Mean over a user's relevant items of gain over the probability of having been observed.

    `IPS = (1 / |R|) sum over hits of c_r / max(p, clip)`, with `c_r = 1` (`"recall"`) or
    `1 / log2(r + 1)` (`"dcg"`). Unbiased, but may exceed 1 and varies strongly; clipping trades
    bias for variance.

    Args:
        k: Cut-off; without it, whole lists.
        gain: What a hit is worth.
        clip: Smallest probability that is believed, in [0, 1].

    References:
        Schnabel et al. (2016), "Recommendations as treatments", ICML; Yang et al. (2018), RecSys.
    """

    stem: ClassVar[str] = "ips"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _PROPENSE

    k: int | None = None
    gain: Literal["recall", "dcg"] = "recall"
    clip: float = 0.0

    @override
    def _check(self) -> None:
        check.one_of("gain", self.gain, ("recall", "dcg"))
        check.share("clip", self.clip)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return divided(_weighted_hits(view, self.k, self.gain, self.clip), view.n_relevant())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SelfNormalisedPropensity(Metric):
    """Gain of the hits weighted by 1 / probability, over the same weights of all relevant items.

    `SNIPS = sum over hits of c_r / p / sum over R of 1 / p`; nearly unbiased, in [0, 1], and far
    steadier than IPS.

    Args:
        k: Cut-off; without it, whole lists.
        gain: What a hit is worth: `"recall"` (1) or `"dcg"` (`1 / log2(r + 1)`).
        clip: Smallest probability that is believed, in [0, 1].

    References:
        Swaminathan and Joachims (2015), NeurIPS; Yang et al. (2018), RecSys.
    """

    stem: ClassVar[str] = "snips"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _PROPENSE

    k: int | None = None
    gain: Literal["recall", "dcg"] = "recall"
    clip: float = 0.0

    @override
    def _check(self) -> None:
        check.one_of("gain", self.gain, ("recall", "dcg"))
        check.share("clip", self.clip)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        wanted = view.relevant()
        weight = 1.0 / np.maximum(view.of_item.propensity[wanted.item], self.clip)
        order = np.lexsort((weight, wanted.owner))  # by value: codes of items leave no trace
        whole = view.sum_by_user(wanted.owner[order], weight[order])
        return divided(_weighted_hits(view, self.k, self.gain, self.clip), whole)


def _weighted_hits(view: EvaluationView, k: int | None, gain: str, clip: float) -> FloatArray:
    found = view.found(k)
    chance = view.of_item.propensity[view.table[found.user, found.rank]]
    worth = 1.0 if gain == "recall" else view.discount[found.rank]
    return view.sum_by_user(found.user, worth / np.maximum(chance, clip))
