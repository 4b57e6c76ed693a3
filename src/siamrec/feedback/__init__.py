"""Feedback: where it comes from, and how much each event counts."""

from siamrec.feedback.files import (
    FileFeedback,
    LoadedFeedback,
    RejectedRow,
    read_catalog,
)
from siamrec.feedback.memory import MemoryFeedback
from siamrec.feedback.quality import QualityWeights

__all__ = [
    "FileFeedback",
    "LoadedFeedback",
    "MemoryFeedback",
    "QualityWeights",
    "RejectedRow",
    "read_catalog",
]
