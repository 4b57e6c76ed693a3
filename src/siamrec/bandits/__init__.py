"""Policies that weigh arms, and the bandit that chooses, logs and learns."""

from siamrec.bandits._journal import Receipt
from siamrec.bandits.bandit import ArmView, ContextualBandit
from siamrec.bandits.base import Estimates, Outcomes, Policy, Rounds, Space, Sums, Weighing
from siamrec.bandits.context import Bins, Context, DayKind, Factor, TimeOfDay
from siamrec.bandits.hierarchical import HierarchicalBeta, PooledPosterior
from siamrec.bandits.limits import Limits
from siamrec.bandits.simple import EpsilonGreedy, Uniform
from siamrec.bandits.snapshot import Snapshot
from siamrec.bandits.thompson import BetaPosterior, BetaThompson
from siamrec.data.decisions import Decision, Decisions, Rewards

__all__ = [
    "ArmView",
    "BetaPosterior",
    "BetaThompson",
    "Bins",
    "Context",
    "ContextualBandit",
    "DayKind",
    "Decision",
    "Decisions",
    "EpsilonGreedy",
    "Estimates",
    "Factor",
    "HierarchicalBeta",
    "Limits",
    "Outcomes",
    "Policy",
    "PooledPosterior",
    "Receipt",
    "Rewards",
    "Rounds",
    "Snapshot",
    "Space",
    "Sums",
    "TimeOfDay",
    "Uniform",
    "Weighing",
]
