"""Policies: how arms are weighed by what is known of them."""

from siamrec.bandits.policies.adversarial import Exp3IX, Losses, TsallisINF
from siamrec.bandits.policies.amounts import (
    GammaPosterior,
    GammaThompson,
    NormalThompson,
    StudentPosterior,
)
from siamrec.bandits.policies.base import (
    Estimates,
    Outcomes,
    Policy,
    Rounds,
    Space,
    Sums,
    Weighing,
)
from siamrec.bandits.policies.counting import BetaPosterior, CountingPolicy
from siamrec.bandits.policies.hierarchical import HierarchicalBeta, PooledPosterior
from siamrec.bandits.policies.linear import (
    LinearPosterior,
    LinearSampler,
    LinearThompson,
    LinearUCB,
)
from siamrec.bandits.policies.logistic import LogisticPosterior, LogisticThompson
from siamrec.bandits.policies.simple import EpsilonGreedy, Uniform
from siamrec.bandits.policies.thompson import BetaThompson
from siamrec.bandits.policies.top_two import InformationDirected, TopTwoThompson
from siamrec.bandits.policies.ucb import KLUCB, UCB1, BayesUCB

__all__ = [
    "KLUCB",
    "UCB1",
    "BayesUCB",
    "BetaPosterior",
    "BetaThompson",
    "CountingPolicy",
    "EpsilonGreedy",
    "Estimates",
    "Exp3IX",
    "GammaPosterior",
    "GammaThompson",
    "HierarchicalBeta",
    "InformationDirected",
    "LinearPosterior",
    "LinearSampler",
    "LinearThompson",
    "LinearUCB",
    "LogisticPosterior",
    "LogisticThompson",
    "Losses",
    "NormalThompson",
    "Outcomes",
    "Policy",
    "PooledPosterior",
    "Rounds",
    "Space",
    "StudentPosterior",
    "Sums",
    "TopTwoThompson",
    "TsallisINF",
    "Uniform",
    "Weighing",
]
