"""Labelling rules: which events say yes, which say no, and which say neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import numpy as np

from siamrec._core import check
from siamrec.data.feedback import FeedbackKind
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from typing import Self

    from siamrec.data import Feedback
    from siamrec.typing import FloatArray

Said = Literal["yes", "no", "neither"]
"""What an event says."""

_LABELS = {"yes": 1.0, "no": 0.0, "neither": float("nan")}


_KNOWN_SCALES = (
    (0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0),
    (-10.0, 10.0), (0.0, 100.0),
)  # fmt: skip


class Scale(NamedTuple):
    """The smallest and the largest rating that can be given; likes and dislikes follow it.

    On a scale that begins at about nought a like begins at four fifths of the largest rating and
    a dislike ends at two fifths (4 and 2 of 5, 8 and 4 of 10); on any other at three quarters and
    one quarter of the way up.

    Attributes:
        low: Smallest rating.
        high: Largest rating.

    Examples:
        >>> Scale(1, 10).like, Scale(1, 10).dislike, Scale(-10, 10).like
        (8.0, 4.0, 5.0)
        >>> Scale.around(2.0, 9.0)
        Scale(low=1.0, high=10.0)
    """

    low: float
    high: float

    @classmethod
    def around(cls, least: float, greatest: float) -> Scale:
        """Return the usual scale that holds ratings from `least` to `greatest`."""
        return next(
            (cls(low, high) for low, high in _KNOWN_SCALES if low <= least and greatest <= high),
            cls(least, greatest),
        )

    @property
    def like(self) -> float:
        """Least rating that is a like."""
        return self._at(0.8, 0.75)

    @property
    def dislike(self) -> float:
        """Greatest rating that is a dislike."""
        return self._at(0.4, 0.25)

    def _at(self, of_high: float, of_way: float) -> float:
        if 0 <= self.low <= self.high / 5:
            return float(self.high * of_high)
        return float(self.low + of_way * (self.high - self.low))


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

    @classmethod
    def on(cls, scale: Scale) -> Self:
        """Return rules whose likes and dislikes follow a scale of ratings."""
        return cls(like=scale.like, dislike=scale.dislike)

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
