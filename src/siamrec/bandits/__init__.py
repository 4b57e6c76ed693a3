"""Policies that weigh arms, and the bandit that chooses, logs and learns."""

from siamrec.bandits._choice import ArmView
from siamrec.bandits._journal import Receipt
from siamrec.bandits.adversarial import Exp3IX, Losses, TsallisINF
from siamrec.bandits.bandit import ContextualBandit
from siamrec.bandits.base import Estimates, Outcomes, Policy, Rounds, Space, Sums, Weighing
from siamrec.bandits.context import Bins, Context, DayKind, Factor, TimeOfDay
from siamrec.bandits.corral import Corral, MasterState
from siamrec.bandits.counting import BetaPosterior, CountingPolicy
from siamrec.bandits.delay import DelayCurve
from siamrec.bandits.hierarchical import HierarchicalBeta, PooledPosterior
from siamrec.bandits.insight import (
    ArmPerformance,
    ArmShare,
    ChangePoint,
    calibration,
    change_point,
    imbalance,
)
from siamrec.bandits.limits import Baseline, Limits
from siamrec.bandits.linear import LinearPosterior, LinearSampler, LinearThompson, LinearUCB
from siamrec.bandits.logistic import LogisticPosterior, LogisticThompson
from siamrec.bandits.neural_linear import NeuralLinear
from siamrec.bandits.posterior import (
    GammaPosterior,
    GammaThompson,
    NormalThompson,
    StudentPosterior,
)
from siamrec.bandits.rewards import RewardRule, SuccessRule
from siamrec.bandits.simple import EpsilonGreedy, Uniform
from siamrec.bandits.snapshot import Snapshot
from siamrec.bandits.thompson import BetaThompson
from siamrec.bandits.toptwo import InformationDirected, TopTwoThompson
from siamrec.bandits.ucb import KLUCB, UCB1, BayesUCB
from siamrec.data.decisions import Decision, Decisions, Rewards

__all__ = [
    "KLUCB",
    "UCB1",
    "ArmPerformance",
    "ArmShare",
    "ArmView",
    "Baseline",
    "BayesUCB",
    "BetaPosterior",
    "BetaThompson",
    "Bins",
    "ChangePoint",
    "Context",
    "ContextualBandit",
    "Corral",
    "CountingPolicy",
    "DayKind",
    "Decision",
    "Decisions",
    "DelayCurve",
    "EpsilonGreedy",
    "Estimates",
    "Exp3IX",
    "Factor",
    "GammaPosterior",
    "GammaThompson",
    "HierarchicalBeta",
    "InformationDirected",
    "Limits",
    "LinearPosterior",
    "LinearSampler",
    "LinearThompson",
    "LinearUCB",
    "LogisticPosterior",
    "LogisticThompson",
    "Losses",
    "MasterState",
    "NeuralLinear",
    "NormalThompson",
    "Outcomes",
    "Policy",
    "PooledPosterior",
    "Receipt",
    "RewardRule",
    "Rewards",
    "Rounds",
    "Snapshot",
    "Space",
    "StudentPosterior",
    "SuccessRule",
    "Sums",
    "TimeOfDay",
    "TopTwoThompson",
    "TsallisINF",
    "Uniform",
    "Weighing",
    "calibration",
    "change_point",
    "imbalance",
]
