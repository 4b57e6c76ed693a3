"""Off-policy evaluation: what another policy would have earned, from a log with propensities."""

from siamrec.bandits.ope._book import ESTIMATORS
from siamrec.bandits.ope.base import Estimator
from siamrec.bandits.ope.estimate import Diagnostics, Parts, ValueEstimate, diagnose
from siamrec.bandits.ope.evaluation import Evaluation, Slope, adaptive_value, evaluate
from siamrec.bandits.ope.log import Log
from siamrec.bandits.ope.models import RewardModel, Ridge
from siamrec.bandits.ope.robust import MRDR, DirectMethod, DoublyRobust, DRos, SwitchDR
from siamrec.bandits.ope.slates import (
    pooled_propensity,
    pseudo_inverse_value,
    slate_value,
    uniform_ranking_moments,
)
from siamrec.bandits.ope.tally import Tally
from siamrec.bandits.ope.weighting import IPS, MIPS, SNIPS, Replay, SubGaussian

__all__ = [
    "ESTIMATORS",
    "IPS",
    "MIPS",
    "MRDR",
    "SNIPS",
    "DRos",
    "Diagnostics",
    "DirectMethod",
    "DoublyRobust",
    "Estimator",
    "Evaluation",
    "Log",
    "Parts",
    "Replay",
    "RewardModel",
    "Ridge",
    "Slope",
    "SubGaussian",
    "SwitchDR",
    "Tally",
    "ValueEstimate",
    "adaptive_value",
    "diagnose",
    "evaluate",
    "pooled_propensity",
    "pseudo_inverse_value",
    "slate_value",
    "uniform_ranking_moments",
]
