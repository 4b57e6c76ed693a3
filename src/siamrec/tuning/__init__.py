"""Tuning: search over the settings of arms, with a winner measured on unseen events."""

from siamrec.tuning.result import Tuned
from siamrec.tuning.space import space_of, with_settings
from siamrec.tuning.study import Pruner, Sampler, Trial, TrialScore, search
from siamrec.tuning.tune import tune

__all__ = [
    "Pruner",
    "Sampler",
    "Trial",
    "TrialScore",
    "Tuned",
    "search",
    "space_of",
    "tune",
    "with_settings",
]
