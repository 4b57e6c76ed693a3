"""Assignment, analysis and decisions that keep their error rates while people look."""

from siamrec.data.assignments import Assignment, Assignments
from siamrec.data.moments import Moments
from siamrec.experiments.allocation import Allocation
from siamrec.experiments.analysis import analyze
from siamrec.experiments.assigner import BoundAssigner, HashAssigner, MemorySticky, StickyStore
from siamrec.experiments.checks import sample_ratio
from siamrec.experiments.design import Design
from siamrec.experiments.experiment import Experiment
from siamrec.experiments.group_sequential import GroupSequential
from siamrec.experiments.interleaving import (
    BalancedInterleaving,
    Interleaved,
    TeamDraft,
    preference,
    sign_test,
)
from siamrec.experiments.metrics import Margin, Mean, Metric, Proportion, Ratio, Term
from siamrec.experiments.multiplicity import adjust, e_benjamini_hochberg
from siamrec.experiments.plan import Plan
from siamrec.experiments.report import Check, Comparison, Effect, Report, SampleRatio
from siamrec.experiments.sequential import AsymptoticCS, NormalMixture, Sequence
from siamrec.experiments.targeting import Condition

__all__ = [
    "Allocation",
    "Assignment",
    "Assignments",
    "AsymptoticCS",
    "BalancedInterleaving",
    "BoundAssigner",
    "Check",
    "Comparison",
    "Condition",
    "Design",
    "Effect",
    "Experiment",
    "GroupSequential",
    "HashAssigner",
    "Interleaved",
    "Margin",
    "Mean",
    "MemorySticky",
    "Metric",
    "Moments",
    "NormalMixture",
    "Plan",
    "Proportion",
    "Ratio",
    "Report",
    "SampleRatio",
    "Sequence",
    "StickyStore",
    "TeamDraft",
    "Term",
    "adjust",
    "analyze",
    "e_benjamini_hochberg",
    "preference",
    "sample_ratio",
    "sign_test",
]
