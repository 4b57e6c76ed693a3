"""From data and a plan to effects, checks and a decision."""

from siamrec.experiments.analysis.analysis import analyze
from siamrec.experiments.analysis.anytime import adaptive_effect, sequential_sample_ratio
from siamrec.experiments.analysis.bayes import (
    BestOf,
    NormalPosterior,
    PosteriorRates,
    best_proportion,
    best_rate,
)
from siamrec.experiments.analysis.checks import sample_ratio, sample_ratio_within
from siamrec.experiments.analysis.hypotheses import equivalence, one_sided
from siamrec.experiments.analysis.outliers import OutlierReport, outlier_sensitivity
from siamrec.experiments.analysis.report import Check, Comparison, ExperimentReport, SampleRatio
from siamrec.experiments.analysis.sample_ratios import SampleRatios, sample_ratio_by
from siamrec.experiments.analysis.segments import SegmentReport, analyze_segments

__all__ = [
    "BestOf",
    "Check",
    "Comparison",
    "ExperimentReport",
    "NormalPosterior",
    "OutlierReport",
    "PosteriorRates",
    "SampleRatio",
    "SampleRatios",
    "SegmentReport",
    "adaptive_effect",
    "analyze",
    "analyze_segments",
    "best_proportion",
    "best_rate",
    "equivalence",
    "one_sided",
    "outlier_sensitivity",
    "sample_ratio",
    "sample_ratio_by",
    "sample_ratio_within",
    "sequential_sample_ratio",
]
