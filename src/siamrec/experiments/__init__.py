"""Assignment, analysis and decisions that keep their error rates while people look."""

from siamrec.data.assignments import Assignment, Assignments
from siamrec.data.moments import Moments
from siamrec.experiments.allocation import Allocation
from siamrec.experiments.analysis import analyze
from siamrec.experiments.anytime import adaptive_effect, sequential_sample_ratio
from siamrec.experiments.assigner import BoundAssigner, HashAssigner
from siamrec.experiments.bayes import (
    BestOf,
    NormalPosterior,
    PosteriorRates,
    best_proportion,
    best_rate,
)
from siamrec.experiments.bounded import bounded_difference, bounded_interval
from siamrec.experiments.checks import sample_ratio, sample_ratio_within
from siamrec.experiments.contingency import independence
from siamrec.experiments.design import Design
from siamrec.experiments.experiment import Experiment
from siamrec.experiments.exposure import ExposureLog, ExposureSink, MemoryExposures
from siamrec.experiments.group_sequential import Futility, GroupSequential
from siamrec.experiments.hashers import (
    EppoMd5,
    ExposureRule,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    LayerRule,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.experiments.history import NullReport, PowerReport, null_check, simulate_power
from siamrec.experiments.hypotheses import equivalence, one_sided
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
from siamrec.experiments.metrics import (
    Count,
    CrossFitted,
    Margin,
    Mean,
    Metric,
    Proportion,
    Quantile,
    Ratio,
    Term,
)
from siamrec.experiments.multiplicity import adjust, e_benjamini_hochberg
from siamrec.experiments.outliers import OutlierReport, outlier_sensitivity
from siamrec.experiments.plan import Plan
from siamrec.experiments.probabilistic import ProbabilisticInterleaving, SharedList
from siamrec.experiments.quantiles import quantile_with_error
from siamrec.experiments.report import Check, Comparison, Effect, Report, SampleRatio
from siamrec.experiments.rowwise import bootstrap, mann_whitney, permutation, two_proportions
from siamrec.experiments.sample_ratios import SampleRatios, sample_ratio_by
from siamrec.experiments.segments import SegmentReport, analyze_segments
from siamrec.experiments.sequential import AsymptoticCS, NormalMixture, Sequence
from siamrec.experiments.sticky import MemorySticky, StickyStore, StickyVariant
from siamrec.experiments.streaming_bootstrap import BootstrapTotals, poisson_bootstrap
from siamrec.experiments.targeting import Condition

__all__ = [
    "Allocation",
    "Assignment",
    "Assignments",
    "AsymptoticCS",
    "AuditEntry",
    "BalancedInterleaving",
    "BestOf",
    "BootstrapTotals",
    "BoundAssigner",
    "Check",
    "Comparison",
    "Condition",
    "Count",
    "CrossFitted",
    "Design",
    "Effect",
    "EppoMd5",
    "Experiment",
    "ExperimentManager",
    "ExperimentRecord",
    "ExperimentStore",
    "ExposureLog",
    "ExposureRule",
    "ExposureSink",
    "Futility",
    "GroupSequential",
    "GrowthBookV1",
    "GrowthBookV2",
    "HashAssigner",
    "Hasher",
    "Interleaved",
    "LayerRule",
    "Margin",
    "Mean",
    "MemoryExperiments",
    "MemoryExposures",
    "MemorySticky",
    "Metric",
    "Moments",
    "NormalMixture",
    "NormalPosterior",
    "NullReport",
    "OutlierReport",
    "Plan",
    "PlanOutSha1",
    "PosteriorRates",
    "PowerReport",
    "ProbabilisticInterleaving",
    "Proportion",
    "Quantile",
    "Ratio",
    "Report",
    "SampleRatio",
    "SampleRatios",
    "SegmentReport",
    "Sequence",
    "SharedList",
    "StickyStore",
    "StickyVariant",
    "TeamDraft",
    "Term",
    "UnleashMurmur3",
    "Xxh3",
    "adaptive_effect",
    "adjust",
    "analyze",
    "analyze_segments",
    "best_proportion",
    "best_rate",
    "bootstrap",
    "bounded_difference",
    "bounded_interval",
    "e_benjamini_hochberg",
    "equivalence",
    "independence",
    "mann_whitney",
    "null_check",
    "one_sided",
    "outlier_sensitivity",
    "permutation",
    "poisson_bootstrap",
    "preference",
    "quantile_with_error",
    "sample_ratio",
    "sample_ratio_by",
    "sample_ratio_within",
    "sequential_sample_ratio",
    "sign_test",
    "simulate_power",
    "two_proportions",
]
