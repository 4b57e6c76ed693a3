"""Ensembles: arms made of arms, by sum, regression, choice, or in a row."""

from siamrec.models.ensembles.base import FittedEnsemble
from siamrec.models.ensembles.cascade import Cascade, FittedCascade
from siamrec.models.ensembles.fallback import Fallback, FittedFallback
from siamrec.models.ensembles.mixture import BanditMixture, Mixed
from siamrec.models.ensembles.scales import Scale, rescaled
from siamrec.models.ensembles.stacking import FittedStacking, Stacking
from siamrec.models.ensembles.switching import FittedSwitching, Switching
from siamrec.models.ensembles.weighted import FittedWeighted, Weighted

__all__ = [
    "BanditMixture",
    "Cascade",
    "Fallback",
    "FittedCascade",
    "FittedEnsemble",
    "FittedFallback",
    "FittedStacking",
    "FittedSwitching",
    "FittedWeighted",
    "Mixed",
    "Scale",
    "Stacking",
    "Switching",
    "Weighted",
    "rescaled",
]
