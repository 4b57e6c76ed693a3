"""Columnar values that travel between rooms: frozen, validated once, read-only."""

from siamrec.data.assignments import Assignment, Assignments
from siamrec.data.catalog import Catalog
from siamrec.data.decisions import Decision, Decisions
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.data.frames import NO_TIME
from siamrec.data.moments import Moments
from siamrec.data.pairs import PairOrigin, Pairs, PairStatistics
from siamrec.data.rankings import Rankings
from siamrec.data.rewards import Rewards
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import UNKNOWN, Vocabulary

__all__ = [
    "NO_TIME",
    "UNKNOWN",
    "Assignment",
    "Assignments",
    "Catalog",
    "Decision",
    "Decisions",
    "Feedback",
    "FeedbackKind",
    "Moments",
    "PairOrigin",
    "PairStatistics",
    "Pairs",
    "Rankings",
    "Rewards",
    "Truth",
    "Vocabulary",
]
