"""Policies that weigh arms, and the bandit that chooses, logs and learns."""

from siamrec.bandits._choice import ArmView
from siamrec.bandits.bandit import ContextualBandit
from siamrec.bandits.context import Bins, Context, DayKind, Factor, TimeOfDay
from siamrec.bandits.corral import Corral, MasterState
from siamrec.bandits.door import BanditDoor
from siamrec.bandits.insight import (
    ArmPerformance,
    ArmShare,
    calibration,
    delay_curve,
    exploration,
    imbalance,
    performance,
)
from siamrec.bandits.learning import Learning
from siamrec.bandits.limits import Baseline, Limits
from siamrec.bandits.log.changes import ChangePoint, change_point
from siamrec.bandits.log.delay import DelayCurve
from siamrec.bandits.log.journal import RewardReceipt
from siamrec.bandits.log.rewards import RewardRule, SuccessRule
from siamrec.bandits.log.snapshot import Snapshot
from siamrec.bandits.memory import Memory
from siamrec.bandits.neural_linear import NeuralLinear
from siamrec.bandits.policies._book import POLICIES
from siamrec.bandits.policies.adversarial import Exp3IX, TsallisINF
from siamrec.bandits.policies.amounts import GammaThompson, NormalThompson
from siamrec.bandits.policies.base import Policy
from siamrec.bandits.policies.hierarchical import HierarchicalBeta
from siamrec.bandits.policies.linear import LinearThompson, LinearUCB
from siamrec.bandits.policies.logistic import LogisticThompson
from siamrec.bandits.policies.simple import EpsilonGreedy, Uniform
from siamrec.bandits.policies.thompson import BetaThompson
from siamrec.bandits.policies.top_two import InformationDirected, TopTwoThompson
from siamrec.bandits.policies.ucb import KLUCB, UCB1, BayesUCB

__all__ = [
    "KLUCB",
    "POLICIES",
    "UCB1",
    "ArmPerformance",
    "ArmShare",
    "ArmView",
    "BanditDoor",
    "Baseline",
    "BayesUCB",
    "BetaThompson",
    "Bins",
    "ChangePoint",
    "Context",
    "ContextualBandit",
    "Corral",
    "DayKind",
    "DelayCurve",
    "EpsilonGreedy",
    "Exp3IX",
    "Factor",
    "GammaThompson",
    "HierarchicalBeta",
    "InformationDirected",
    "Learning",
    "Limits",
    "LinearThompson",
    "LinearUCB",
    "LogisticThompson",
    "MasterState",
    "Memory",
    "NeuralLinear",
    "NormalThompson",
    "Policy",
    "RewardReceipt",
    "RewardRule",
    "Snapshot",
    "SuccessRule",
    "TimeOfDay",
    "TopTwoThompson",
    "TsallisINF",
    "Uniform",
    "calibration",
    "change_point",
    "delay_curve",
    "exploration",
    "imbalance",
    "performance",
]
