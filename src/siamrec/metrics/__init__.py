"""How good recommendations are: one suite of metrics with intervals, tests and stated policies."""

from siamrec.metrics.base import Metric, PooledMetric
from siamrec.metrics.comparison import Comparison, Difference
from siamrec.metrics.estimate import Estimate
from siamrec.metrics.paired import PairedDifference, paired_difference
from siamrec.metrics.policies import Policies, SampledMetricWarning, SeenItemsWarning
from siamrec.metrics.report import Report
from siamrec.metrics.state import EvaluationState
from siamrec.metrics.suite import Suite
from siamrec.metrics.view import EvaluationView

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "EvaluationState",
    "EvaluationView",
    "Metric",
    "PairedDifference",
    "Policies",
    "PooledMetric",
    "Report",
    "SampledMetricWarning",
    "SeenItemsWarning",
    "Suite",
    "paired_difference",
]
