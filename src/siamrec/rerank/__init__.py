"""More diverse lists from scored candidates: score adjusters, then one selector."""

from siamrec.rerank._book import ADJUSTERS, SELECTORS
from siamrec.rerank.adjusters import LongTailBoost, NicheBoost, PopularityDamping, Serendipity
from siamrec.rerank.base import Adjuster, Selector
from siamrec.rerank.candidates import Candidates, Inputs
from siamrec.rerank.dpp import DPP
from siamrec.rerank.exposure import ExposureCoverage, ItemExposure, in_turns
from siamrec.rerank.greedy import MMR, MaxSum
from siamrec.rerank.limits import MaxPerGroup, Quotas, SlidingWindow
from siamrec.rerank.normalise import normalised
from siamrec.rerank.pipeline import Explained, Pipeline
from siamrec.rerank.spectrum import SSD, FacilityCoverage
from siamrec.rerank.topical import Calibrated, XQuAD
from siamrec.rerank.tuning import Front, Point, tune_trade_off

__all__ = [
    "ADJUSTERS",
    "DPP",
    "MMR",
    "SELECTORS",
    "SSD",
    "Adjuster",
    "Calibrated",
    "Candidates",
    "Explained",
    "ExposureCoverage",
    "FacilityCoverage",
    "Front",
    "Inputs",
    "ItemExposure",
    "LongTailBoost",
    "MaxPerGroup",
    "MaxSum",
    "NicheBoost",
    "Pipeline",
    "Point",
    "PopularityDamping",
    "Quotas",
    "Selector",
    "Serendipity",
    "SlidingWindow",
    "XQuAD",
    "in_turns",
    "normalised",
    "tune_trade_off",
]
