"""Feedback: where it comes from, and how much each event counts."""

from siamrec.feedback.conport import ConPortClient, ConPortFeedback, LoadedConPort
from siamrec.feedback.files import (
    FileFeedback,
    LoadedFeedback,
    RejectedRow,
    read_catalog,
)
from siamrec.feedback.memory import MemoryFeedback
from siamrec.feedback.quality import QualityWeights
from siamrec.feedback.sources import (
    DatabaseConnection,
    IterableFeedback,
    MergedFeedback,
    SqlFeedback,
)

__all__ = [
    "ConPortClient",
    "ConPortFeedback",
    "DatabaseConnection",
    "FileFeedback",
    "IterableFeedback",
    "LoadedConPort",
    "LoadedFeedback",
    "MemoryFeedback",
    "MergedFeedback",
    "QualityWeights",
    "RejectedRow",
    "SqlFeedback",
    "read_catalog",
]
