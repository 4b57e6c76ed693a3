"""Tails, intervals, tests, resampling and corrections: each formula once, for every room above."""

from siamrec.statistics.bounded import bounded_difference, bounded_interval
from siamrec.statistics.contingency import independence
from siamrec.statistics.corrections import adjust, e_benjamini_hochberg
from siamrec.statistics.difference import TwoValues
from siamrec.statistics.effect import Effect
from siamrec.statistics.paired import PairedDifference, paired_difference
from siamrec.statistics.poisson_bootstrap import BootstrapTotals, poisson_bootstrap
from siamrec.statistics.proportions import newcombe, wilson
from siamrec.statistics.quantiles import quantile_with_error
from siamrec.statistics.ranks import wilcoxon
from siamrec.statistics.resampling import bootstrap_interval, sign_flip
from siamrec.statistics.rowwise import bootstrap, mann_whitney, permutation, two_proportions
from siamrec.statistics.tails import two_sided_t, two_sided_z

__all__ = [
    "BootstrapTotals",
    "Effect",
    "PairedDifference",
    "TwoValues",
    "adjust",
    "bootstrap",
    "bootstrap_interval",
    "bounded_difference",
    "bounded_interval",
    "e_benjamini_hochberg",
    "independence",
    "mann_whitney",
    "newcombe",
    "paired_difference",
    "permutation",
    "poisson_bootstrap",
    "quantile_with_error",
    "sign_flip",
    "two_proportions",
    "two_sided_t",
    "two_sided_z",
    "wilcoxon",
    "wilson",
]
