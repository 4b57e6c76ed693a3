"""How good recommendations are: one suite of metrics with intervals, tests and stated policies."""

from siamrec.metrics._builtin import METRICS
from siamrec.metrics.base import Metric, PooledMetric
from siamrec.metrics.comparison import PairedComparison, ReportComparison
from siamrec.metrics.estimate import Estimate
from siamrec.metrics.families.debiased import popularity_propensity
from siamrec.metrics.pairs import (
    Threshold,
    alignment,
    best_accuracy,
    best_f1,
    pair_accuracy,
    pair_auc,
    pair_spearman,
    triplet_accuracy,
    uniformity,
)
from siamrec.metrics.policies import Policies, SampledMetricWarning, SeenItemsWarning
from siamrec.metrics.ratio import RatioOfSums
from siamrec.metrics.report import Report, Slices
from siamrec.metrics.slices import by_cold, by_history_length, by_popularity
from siamrec.metrics.state import EvaluationState
from siamrec.metrics.suite import Suite
from siamrec.metrics.tukey import PairOfSystems, tukey_hsd
from siamrec.metrics.view import EvaluationView

__all__ = [
    "METRICS",
    "Estimate",
    "EvaluationState",
    "EvaluationView",
    "Metric",
    "PairOfSystems",
    "PairedComparison",
    "Policies",
    "PooledMetric",
    "RatioOfSums",
    "Report",
    "ReportComparison",
    "SampledMetricWarning",
    "SeenItemsWarning",
    "Slices",
    "Suite",
    "Threshold",
    "alignment",
    "best_accuracy",
    "best_f1",
    "by_cold",
    "by_history_length",
    "by_popularity",
    "pair_accuracy",
    "pair_auc",
    "pair_spearman",
    "popularity_propensity",
    "triplet_accuracy",
    "tukey_hsd",
    "uniformity",
]
