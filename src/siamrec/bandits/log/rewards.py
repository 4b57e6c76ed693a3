"""From events to rewards: what counts as a success of the arm that was shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.data import NO_TIME, FeedbackKind, Rewards
from siamrec.data.liking import places_of
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from siamrec.data import Feedback
    from siamrec.typing import FloatArray


class RewardRule(ABC):
    """Turns feedback that names its decision into rewards."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    @abstractmethod
    def score(self, feedback: Feedback) -> FloatArray:
        """Return the reward of each event, NaN for events that say nothing."""

    def rewards(self, feedback: Feedback) -> Rewards:
        """Return the rewards of the events that belong to a decision and say something.

        Of several events of one decision the bandit keeps the latest, so a low rating corrects
        an earlier click.

        Raises:
            MissingInputError: If the feedback does not name decisions.
        """
        if feedback.decision is None:
            raise MissingInputError("decision", "Feedback(..., decision=ids)")
        score = self.score(feedback)
        named = feedback.decision != ("" if feedback.decision.dtype.kind == "U" else -1)
        kept = np.flatnonzero(np.isfinite(score) & named)
        time = feedback.time[kept]
        return Rewards(
            decision=feedback.decision[kept],
            reward=score[kept],
            time=np.where(time == NO_TIME, 0, time),
            weight=feedback.weight[kept].astype(np.float64),
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRule(RewardRule):
    """Success for a click, a good rating, a thumb up, a long look or a conversion.

    A rating in between, a view and a comment say nothing. No reaction at all is a failure once
    the attribution window has passed: see `ContextualBandit.expire`.

    Args:
        good_rating: Ratings from here on are a success.
        bad_rating: Ratings up to here are a failure.
        between: Reward of a rating in between; nothing when absent.
        long_dwell: Seconds from which a look is a success; shorter ones are a failure.
        click: Reward of a click, in [0, 1]; nothing when absent.
        window: How long after a list was opened its events count.
        learn: When a placement's bandit learns what came of a list: `"at_window"`, once its
            window is over, or `"at_once"`. Learning at once favours arms with quick reactions:
            of two arms that are equally good, the one whose clicks come at once is chosen more
            and more, since the failures of both are seen only when their windows are over.

    Raises:
        InvalidParameterError: If the bad rating is not below the good one, a reward is
            outside [0, 1], or the window is no duration.

    Examples:
        >>> from siamrec.data import Feedback
        >>> events = Feedback.of(user=[1, 1, 1], item=[7, 8, 9], value=[5.0, 3.0, 1.0])
        >>> SuccessRule().score(events).tolist()
        [1.0, nan, 0.0]
    """

    good_rating: float = 4.0
    bad_rating: float = 2.0
    between: float | None = None
    long_dwell: float = 30.0
    click: float | None = 1.0
    window: str = "1d"
    learn: Literal["at_window", "at_once"] = "at_window"

    def __post_init__(self) -> None:
        duration("window", self.window)
        check.one_of("learn", self.learn, ("at_window", "at_once"))
        if not self.bad_rating < self.good_rating:
            raise InvalidParameterError(
                "bad_rating", self.bad_rating, f"below the good rating {self.good_rating}"
            )
        check.positive("long_dwell", self.long_dwell)
        for name in ("between", "click"):
            if getattr(self, name) is not None:
                check.share(name, getattr(self, name))

    def require_scale(self, feedback: Feedback) -> None:
        """Pass when good and bad ratings are so on the scale of the ratings that there are.

        Raises:
            InvalidDataError: If what the rule calls good is a dislike there, or what it calls
                bad a like, as 4 is of ten and of hundred.
        """
        rated = feedback.value[feedback.kind == FeedbackKind.RATING]
        like, dislike = places_of(rated)
        fits = self.good_rating > dislike and self.bad_rating < like
        if not fits and np.isfinite(dislike):  # else they are all alike, or amounts
            raise InvalidDataError(
                f"Ratings run from {rated.min():g} to {rated.max():g}, where a good rating of "
                f"{self.good_rating:g} and a bad one of {self.bad_rating:g} say something else: "
                f"SuccessRule(good_rating={like:g}, bad_rating={dislike:g}) fits them."
            )

    @override
    def score(self, feedback: Feedback) -> FloatArray:
        value, kind = feedback.value, feedback.kind
        nothing = np.nan
        middle = nothing if self.between is None else self.between
        rating = np.where(value >= self.good_rating, 1.0, middle)
        rating = np.where(value <= self.bad_rating, 0.0, rating)
        return np.select(
            [
                kind == FeedbackKind.RATING,
                kind == FeedbackKind.THUMB,
                kind == FeedbackKind.DWELL,
                kind == FeedbackKind.CLICK,
                kind == FeedbackKind.CONVERSION,
            ],
            [
                rating,
                (value > 0).astype(np.float64),
                (value >= self.long_dwell).astype(np.float64),
                np.full(len(value), nothing if self.click is None else self.click),
                np.ones(len(value)),
            ],
            nothing,
        )
