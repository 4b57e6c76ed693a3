"""Feedback: where it comes from, and how much each event counts."""

from siamrec.feedback._book import FEEDBACK_SOURCES
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
from siamrec.feedback.file_tail import FileTail
from siamrec.feedback.files import (
    FileFeedback,
    LoadedFeedback,
    RejectedRow,
    read_catalog,
)
from siamrec.feedback.filters import BurstFilter, Filter, FilteredFeedback, SpamFilter
from siamrec.feedback.labels import LabelRules
from siamrec.feedback.memory import MemoryFeedback
from siamrec.feedback.quality import QualityWeights
from siamrec.feedback.sources import (
    DatabaseConnection,
    IterableFeedback,
    MergedFeedback,
    SqlFeedback,
)

__all__ = [
    "FEEDBACK_SOURCES",
    "BurstFilter",
    "ConPortClient",
    "ConPortDocuments",
    "ConPortFeedback",
    "ConPortSession",
    "DatabaseConnection",
    "FileFeedback",
    "FileTail",
    "Filter",
    "FilteredFeedback",
    "IterableFeedback",
    "LabelRules",
    "LoadedConPort",
    "LoadedFeedback",
    "McpSession",
    "MemoryFeedback",
    "MergedFeedback",
    "QualityWeights",
    "RejectedRow",
    "SpamFilter",
    "SqlFeedback",
    "conport_entries",
    "conport_server",
    "read_catalog",
]
