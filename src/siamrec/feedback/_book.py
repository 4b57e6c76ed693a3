"""The names of feedback sources."""

from __future__ import annotations

from siamrec._core.book import Book
from siamrec.protocols import FeedbackSource

FEEDBACK_SOURCES: Book[FeedbackSource] = Book(
    "feedback source",
    {
        "conport": "siamrec.feedback.conport:ConPortFeedback",
        "file": "siamrec.feedback.files:FileFeedback",
        "filtered": "siamrec.feedback.filters:FilteredFeedback",
        "iterable": "siamrec.feedback.sources:IterableFeedback",
        "memory": "siamrec.feedback.memory:MemoryFeedback",
        "merged": "siamrec.feedback.sources:MergedFeedback",
        "sql": "siamrec.feedback.sources:SqlFeedback",
    },
    contract=FeedbackSource,
)
"""Every feedback source by name."""
