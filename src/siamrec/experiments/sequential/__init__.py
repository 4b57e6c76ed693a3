"""Rules by which one may look at an experiment more than once."""

from siamrec.experiments.sequential._book import LOOKING_RULES
from siamrec.experiments.sequential.confidence_sequences import (
    AsymptoticCS,
    NormalMixture,
    Sequence,
)
from siamrec.experiments.sequential.group_sequential import Futility, GroupSequential

__all__ = [
    "LOOKING_RULES",
    "AsymptoticCS",
    "Futility",
    "GroupSequential",
    "NormalMixture",
    "Sequence",
]
