"""Who gets which variant: experiments, hashes of units, and what is remembered of them."""

from siamrec.experiments.assignment._book import HASHERS
from siamrec.experiments.assignment.allocation import Allocation
from siamrec.experiments.assignment.assigner import BoundAssigner, HashAssigner
from siamrec.experiments.assignment.experiment import Experiment
from siamrec.experiments.assignment.exposure import ExposureLog, ExposureSink, MemoryExposures
from siamrec.experiments.assignment.hashers import (
    EppoMd5,
    ExposureRule,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    HashRecipe,
    LayerRule,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.experiments.assignment.sticky import MemorySticky, StickyStore, StickyVariant

__all__ = [
    "HASHERS",
    "Allocation",
    "BoundAssigner",
    "EppoMd5",
    "Experiment",
    "ExposureLog",
    "ExposureRule",
    "ExposureSink",
    "GrowthBookV1",
    "GrowthBookV2",
    "HashAssigner",
    "HashRecipe",
    "Hasher",
    "LayerRule",
    "MemoryExposures",
    "MemorySticky",
    "PlanOutSha1",
    "StickyStore",
    "StickyVariant",
    "UnleashMurmur3",
    "Xxh3",
]
