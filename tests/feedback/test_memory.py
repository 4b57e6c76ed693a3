"""Feedback at hand, as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from siamrec.feedback import MemoryFeedback
from siamrec.testing.feedback import FeedbackSourceContract

if TYPE_CHECKING:
    from siamrec.data import Feedback


class TestMemoryFeedback(FeedbackSourceContract):
    @override
    def make(self, feedback: Feedback) -> MemoryFeedback:
        return MemoryFeedback(feedback)
