"""Feedback: where it comes from, and how much each event counts."""

from siamrec.feedback._book import FEEDBACK_SOURCES
from siamrec.feedback.catalogs import read_catalog
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
from siamrec.feedback.files import FileFeedback
from siamrec.feedback.filters import BurstFilter, Filter, FilteredFeedback, SpamFilter
from siamrec.feedback.formats import FILE_FORMATS, FileFormat
from siamrec.feedback.labels import LabelRules, Scale
from siamrec.feedback.loaded import LoadedFeedback, RejectedRow
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
    "FILE_FORMATS",
    "BurstFilter",
    "ConPortClient",
    "ConPortDocuments",
    "ConPortFeedback",
    "ConPortSession",
    "DatabaseConnection",
    "FileFeedback",
    "FileFormat",
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
    "Scale",
    "SpamFilter",
    "SqlFeedback",
    "conport_entries",
    "conport_server",
    "read_catalog",
]
