"""The steps of the house by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec.rerank.adjusters import LongTailBoost, NicheBoost, PopularityDamping, Serendipity
from siamrec.rerank.dpp import DPP
from siamrec.rerank.exposure import ExposureCoverage
from siamrec.rerank.greedy import MMR, MaxSum
from siamrec.rerank.limits import MaxPerGroup, Quotas, SlidingWindow
from siamrec.rerank.spectrum import SSD, FacilityCoverage
from siamrec.rerank.topical import Calibrated, XQuAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.rerank.base import Adjuster, Selector

SELECTORS: Mapping[str, Callable[..., Selector]] = {
    "calibrated": Calibrated,
    "dpp": DPP,
    "facility-coverage": FacilityCoverage,
    "max-per-group": MaxPerGroup,
    "max-sum": MaxSum,
    "mmr": MMR,
    "quotas": Quotas,
    "sliding-window": SlidingWindow,
    "ssd": SSD,
    "xquad": XQuAD,
}
"""Factory of every selector of the house."""

ADJUSTERS: Mapping[str, Callable[..., Adjuster]] = {
    "exposure-coverage": ExposureCoverage,
    "long-tail-boost": LongTailBoost,
    "niche-boost": NicheBoost,
    "popularity-damping": PopularityDamping,
    "serendipity": Serendipity,
}
"""Factory of every score adjuster of the house."""
