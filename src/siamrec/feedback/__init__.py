"""Feedback: where it comes from, and how much each event counts."""

from siamrec.feedback.conport import (
    ConPortClient,
    ConPortDocuments,
    ConPortFeedback,
    LoadedConPort,
)
from siamrec.feedback.conport_mcp import (
    ConPortSession,
    McpSession,
    conport_entries,
    conport_server,
)
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
    "ConPortDocuments",
    "ConPortFeedback",
    "ConPortSession",
    "DatabaseConnection",
    "FileFeedback",
    "IterableFeedback",
    "LoadedConPort",
    "LoadedFeedback",
    "McpSession",
    "MemoryFeedback",
    "MergedFeedback",
    "QualityWeights",
    "RejectedRow",
    "SqlFeedback",
    "conport_entries",
    "conport_server",
    "read_catalog",
]
