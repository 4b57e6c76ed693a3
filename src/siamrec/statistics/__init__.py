"""Tails, intervals, tests, resampling and corrections: each formula once, for every room above."""

from siamrec.statistics.bounded import bounded_difference, bounded_interval
from siamrec.statistics.contingency import independence
from siamrec.statistics.corrections import adjust, e_benjamini_hochberg
from siamrec.statistics.difference import TwoValues
from siamrec.statistics.effect import Effect
from siamrec.statistics.means import (
    PairedDifference,
    fieller,
    jackknife_error,
    mean_interval,
    mean_test,
    paired_difference,
    welch_freedom,
)
from siamrec.statistics.poisson_bootstrap import BootstrapTotals, poisson_bootstrap
from siamrec.statistics.proportions import newcombe, two_proportions, wilson
from siamrec.statistics.quantiles import quantile_with_error
from siamrec.statistics.ranks import average_ranks, mann_whitney, wilcoxon
from siamrec.statistics.resampling import (
    bootstrap,
    bootstrap_interval,
    permutation,
    sign_flip,
    sign_flips,
)
from siamrec.statistics.sequences import mixture_log_e, mixture_reach, tightest_at
from siamrec.statistics.tails import chi_square_tail, log_beta_tail, two_sided_t, two_sided_z
from siamrec.statistics.tukey import PairOfColumns, tukey

__all__ = [
    "BootstrapTotals",
    "Effect",
    "PairOfColumns",
    "PairedDifference",
    "TwoValues",
    "adjust",
    "average_ranks",
    "bootstrap",
    "bootstrap_interval",
    "bounded_difference",
    "bounded_interval",
    "chi_square_tail",
    "e_benjamini_hochberg",
    "fieller",
    "independence",
    "jackknife_error",
    "log_beta_tail",
    "mann_whitney",
    "mean_interval",
    "mean_test",
    "mixture_log_e",
    "mixture_reach",
    "newcombe",
    "paired_difference",
    "permutation",
    "poisson_bootstrap",
    "quantile_with_error",
    "sign_flip",
    "sign_flips",
    "tightest_at",
    "tukey",
    "two_proportions",
    "two_sided_t",
    "two_sided_z",
    "welch_freedom",
    "wilcoxon",
    "wilson",
]
