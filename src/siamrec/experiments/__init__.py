"""Assignment, analysis and decisions that keep their error rates while people look."""

from siamrec.data.assignments import Assignment, Assignments
from siamrec.data.moments import Moments
from siamrec.experiments.allocation import Allocation
from siamrec.experiments.analysis import analyze
from siamrec.experiments.anytime import (
    adaptive_effect,
    bounded_interval,
    sequential_sample_ratio,
)
from siamrec.experiments.assigner import BoundAssigner, HashAssigner
from siamrec.experiments.bayes import BestOf, NormalPosterior, best_proportion, best_rate
from siamrec.experiments.checks import sample_ratio
from siamrec.experiments.design import Design
from siamrec.experiments.experiment import Experiment
from siamrec.experiments.group_sequential import GroupSequential
from siamrec.experiments.hashers import (
    EppoMd5,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.experiments.interleaving import (
    BalancedInterleaving,
    Interleaved,
    TeamDraft,
    preference,
    sign_test,
)
from siamrec.experiments.manager import (
    AuditEntry,
    ExperimentManager,
    ExperimentRecord,
    ExperimentStore,
    MemoryExperiments,
)
from siamrec.experiments.metrics import Margin, Mean, Metric, Proportion, Quantile, Ratio, Term
from siamrec.experiments.multiplicity import adjust, e_benjamini_hochberg
from siamrec.experiments.plan import Plan
from siamrec.experiments.quantiles import quantile_with_error
from siamrec.experiments.report import Check, Comparison, Effect, Report, SampleRatio
from siamrec.experiments.sequential import AsymptoticCS, NormalMixture, Sequence
from siamrec.experiments.sticky import MemorySticky, StickyStore
from siamrec.experiments.targeting import Condition

__all__ = [
    "Allocation",
    "Assignment",
    "Assignments",
    "AsymptoticCS",
    "AuditEntry",
    "BalancedInterleaving",
    "BestOf",
    "BoundAssigner",
    "Check",
    "Comparison",
    "Condition",
    "Design",
    "Effect",
    "EppoMd5",
    "Experiment",
    "ExperimentManager",
    "ExperimentRecord",
    "ExperimentStore",
    "GroupSequential",
    "GrowthBookV1",
    "GrowthBookV2",
    "HashAssigner",
    "Hasher",
    "Interleaved",
    "Margin",
    "Mean",
    "MemoryExperiments",
    "MemorySticky",
    "Metric",
    "Moments",
    "NormalMixture",
    "NormalPosterior",
    "Plan",
    "PlanOutSha1",
    "Proportion",
    "Quantile",
    "Ratio",
    "Report",
    "SampleRatio",
    "Sequence",
    "StickyStore",
    "TeamDraft",
    "Term",
    "UnleashMurmur3",
    "Xxh3",
    "adaptive_effect",
    "adjust",
    "analyze",
    "best_proportion",
    "best_rate",
    "bounded_interval",
    "e_benjamini_hochberg",
    "preference",
    "quantile_with_error",
    "sample_ratio",
    "sequential_sample_ratio",
    "sign_test",
]
