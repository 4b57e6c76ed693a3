"""Assignment, analysis and decisions that keep their error rates while people look."""

from siamrec.experiments.analysis.analysis import analyze
from siamrec.experiments.analysis.checks import sample_ratio
from siamrec.experiments.analysis.report import ExperimentReport
from siamrec.experiments.analysis.segments import analyze_segments
from siamrec.experiments.assignment.allocation import Allocation
from siamrec.experiments.assignment.assigner import BoundAssigner, HashAssigner
from siamrec.experiments.assignment.experiment import Experiment
from siamrec.experiments.assignment.exposure import ExposureLog
from siamrec.experiments.assignment.sticky import MemorySticky
from siamrec.experiments.interleaving.deterministic import TeamDraft, preference
from siamrec.experiments.interleaving.probabilistic import ProbabilisticInterleaving
from siamrec.experiments.manager import ExperimentManager, MemoryExperiments
from siamrec.experiments.metrics import (
    Count,
    ExperimentMetric,
    Margin,
    Mean,
    Proportion,
    Quantile,
    Ratio,
)
from siamrec.experiments.plan import Plan
from siamrec.experiments.planning.design import Design
from siamrec.experiments.planning.rehearsal import null_check, simulate_power
from siamrec.experiments.sequential.confidence_sequences import AsymptoticCS, NormalMixture
from siamrec.experiments.sequential.group_sequential import GroupSequential

__all__ = [
    "Allocation",
    "AsymptoticCS",
    "BoundAssigner",
    "Count",
    "Design",
    "Experiment",
    "ExperimentManager",
    "ExperimentMetric",
    "ExperimentReport",
    "ExposureLog",
    "GroupSequential",
    "HashAssigner",
    "Margin",
    "Mean",
    "MemoryExperiments",
    "MemorySticky",
    "NormalMixture",
    "Plan",
    "ProbabilisticInterleaving",
    "Proportion",
    "Quantile",
    "Ratio",
    "TeamDraft",
    "analyze",
    "analyze_segments",
    "null_check",
    "preference",
    "sample_ratio",
    "simulate_power",
]
