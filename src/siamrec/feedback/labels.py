"""Labelling rules: which events say yes, which say no, and which say neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from siamrec._core import check
from siamrec.data.feedback import FeedbackKind
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from siamrec.data import Feedback
    from siamrec.typing import FloatArray

Said = Literal["yes", "no", "neither"]
"""What an event says."""

_LABELS = {"yes": 1.0, "no": 0.0, "neither": float("nan")}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Reads a yes, a no or neither from each event.

    - A rating says yes from `like` up, and no from `dislike` down.
    - A thumb says yes or no.
    - A dwell says yes from `stay` seconds up, and no from `bounce` seconds down.
    - A click and a conversion say yes.
    - A view says what `view` says, a comment neither.

    Args:
        like: Least rating that is a yes.
        dislike: Greatest rating that is a no; below `like`.
        stay: Least dwell that is a yes, in seconds.
        bounce: Greatest dwell that is a no, in seconds; below `stay`.
        view: What an item says that was shown and not acted on: `"neither"`, or `"no"` where
            every item that was looked at is logged.

    Raises:
        siamrec.errors.InvalidParameterError: If a no is not below its yes.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(user=["a"] * 3, item=["x", "y", "z"], value=[5, 3, 1])
        >>> LabelRules()(feedback).tolist()
        [1.0, nan, 0.0]
        >>> LabelRules().labelled(feedback).value.tolist()
        [1.0, 0.0]
    """

    like: float = 4.0
    dislike: float = 2.0
    stay: float = 30.0
    bounce: float = 3.0
    view: Said = "neither"

    def __post_init__(self) -> None:
        if not self.dislike < self.like:
            raise InvalidParameterError("dislike", self.dislike, f"below like, {self.like}")
        if not 0 <= self.bounce < self.stay:
            raise InvalidParameterError("bounce", self.bounce, f"in [0, stay), stay {self.stay}")
        check.one_of("view", self.view, _LABELS)

    def __call__(self, feedback: Feedback) -> FloatArray:
        """Return 1 (yes), 0 (no) or NaN (neither) of each event, shape `(n,)`."""
        value = feedback.value.astype(np.float64)
        labels = np.full(value.size, np.nan)
        for kind, yes, no in (
            (FeedbackKind.RATING, value >= self.like, value <= self.dislike),
            (FeedbackKind.THUMB, value > 0, value < 0),
            (FeedbackKind.DWELL, value >= self.stay, value <= self.bounce),
        ):
            mine = feedback.kind == kind
            labels[mine & yes] = 1.0
            labels[mine & no] = 0.0
        labels[np.isin(feedback.kind, (FeedbackKind.CLICK, FeedbackKind.CONVERSION))] = 1.0
        labels[feedback.kind == FeedbackKind.VIEW] = _LABELS[self.view]
        return labels

    def labelled(self, feedback: Feedback) -> Feedback:
        """Return the events that say yes or no, with the label as their value."""
        labels = self(feedback)
        known = np.flatnonzero(~np.isnan(labels))
        return replace(feedback.where(known), value=labels[known].astype(np.float32))
