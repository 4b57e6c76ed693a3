"""Interleaving: two or more rankers share one list, and clicks tell which one is better."""

from siamrec.experiments.interleaving.deterministic import (
    BalancedInterleaving,
    Interleaved,
    TeamDraft,
    preference,
    sign_test,
)
from siamrec.experiments.interleaving.probabilistic import ProbabilisticInterleaving, SharedList

__all__ = [
    "BalancedInterleaving",
    "Interleaved",
    "ProbabilisticInterleaving",
    "SharedList",
    "TeamDraft",
    "preference",
    "sign_test",
]
