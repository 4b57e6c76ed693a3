"""What events say of their items: which one speaks for a pair, what is a like, where a scale ends.

An opinion (a rating or a thumb) says more than an act (a click, a conversion, a comment, a
dwell), and an act more than a view. Of what a user said of an item the strongest speaks, and of
equally strong events the latest: a page view never takes back a rating. An impression is of what
was shown: it says nothing.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray, IntArray

__all__ = [
    "OPINION",
    "Threshold",
    "acted",
    "disliked",
    "liked",
    "places",
    "places_of",
    "require_places",
    "require_threshold",
    "speakers",
    "tells",
    "threshold",
    "top_of",
    "voice",
]

Threshold: TypeAlias = float | Literal["scale"] | None
"""Least rating that is a like: a number, `"scale"` for what the ratings' scale calls good, or None
where every event counts."""

OPINION, _ACT, _SEEN = 2, 1, 0
_VOICE = np.full(len(FeedbackKind), _ACT, dtype=np.int8)
_VOICE[[FeedbackKind.RATING, FeedbackKind.THUMB]] = OPINION
_VOICE[[FeedbackKind.VIEW, FeedbackKind.IMPRESSION]] = _SEEN
_DEEDS = np.zeros(len(FeedbackKind), dtype=bool)
_DEEDS[[FeedbackKind.CLICK, FeedbackKind.CONVERSION]] = True
_TOPS = (1.0, 5.0, 10.0, 100.0)  # of the usual scales


def voice(kind: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return how much events of a kind say: 2 an opinion, 1 an act, 0 a view."""
    strength: npt.NDArray[np.int8] = _VOICE[kind]
    return strength


def acted(feedback: Feedback) -> Feedback:
    """Return what people did: events without impressions; the same where there are none.

    Examples:
        >>> feedback = Feedback.of(user=["ann"] * 2, item=["x", "y"], kind=[7, 1])
        >>> acted(feedback).items.decode(acted(feedback).item)
        ['y']
    """
    did = feedback.kind != FeedbackKind.IMPRESSION
    return feedback if did.all() else feedback.where(did)


def tells(feedback: Feedback) -> BoolArray:
    """Return which events say something: no impression, and none of weight 0."""
    says: BoolArray = (feedback.weight > 0) & (feedback.kind != FeedbackKind.IMPRESSION)
    return says


def speakers(feedback: Feedback, within: CodeArray | None = None) -> IntArray:
    """Return the row that speaks for each user and item, in order of time.

    With codes `within`, such as those of queries, one speaks for each user, item and code.
    Impressions and events of weight 0 do not count. An event with a time is later than one
    without; events of one instant, and those without one, come in the order of their rows.

    Examples:
        >>> feedback = Feedback.of(
        ...     user=["ann"] * 2, item=["x"] * 2, value=[5, 1], kind=[0, 2], time=[1, 2]
        ... )
        >>> speakers(feedback).tolist()  # the rating, not the view after it
        [0]
    """
    rows = np.flatnonzero(tells(feedback))
    rows = rows[np.lexsort((feedback.time[rows], voice(feedback.kind[rows])))]
    pair = feedback.user[rows].astype(np.int64) * max(len(feedback.items), 1) + feedback.item[rows]
    if within is not None:
        _, pair = np.unique(pair, return_inverse=True)
        pair = pair * (int(within.max(initial=0)) + 2) + within[rows] + 1
    _, from_end = np.unique(pair[::-1], return_index=True)
    last = np.sort(rows[::-1][from_end])
    by_time: IntArray = last[np.argsort(feedback.time[last], kind="stable")]
    return by_time


def liked(kind: npt.NDArray[Any], value: npt.NDArray[Any], positive: float | None) -> BoolArray:
    """Return which events are likes.

    Without `positive` every event is one, but a thumb down and an impression. With it, ratings
    from there up are, a thumb up, and a click or conversion above 0; a view, a dwell or a comment
    is none.
    """
    up = value > 0
    if positive is None:
        every: BoolArray = (kind != FeedbackKind.IMPRESSION) & ((kind != FeedbackKind.THUMB) | up)
        return every
    likes: BoolArray = np.where(
        kind == FeedbackKind.RATING,
        value >= check.real("positive", positive),
        up & ((kind == FeedbackKind.THUMB) | _DEEDS[kind]),
    )
    return likes


def disliked(kind: npt.NDArray[Any], value: npt.NDArray[Any], negative: float) -> BoolArray:
    """Return which events are dislikes: ratings of at most `negative`, and a thumb down."""
    dislikes: BoolArray = np.where(
        kind == FeedbackKind.RATING,
        value <= check.real("negative", negative),
        (kind == FeedbackKind.THUMB) & (value <= 0),
    )
    return dislikes


def threshold(
    positive: Threshold, kind: npt.NDArray[Any], value: npt.NDArray[Any]
) -> float | None:
    """Return the number that `positive` means for these events.

    `"scale"` is the good place of the ratings' scale. Where no event could be a like by itself,
    since all are views, dwells or comments, it means that each of them is one.
    """
    if positive != "scale":
        return None if positive is None else check.real("positive", positive)
    telling = (voice(kind) == OPINION) | _DEEDS[kind]
    return places_of(value[kind == FeedbackKind.RATING])[0] if telling.any() else None


def require_threshold(name: str, positive: Threshold, *, optional: bool = True) -> None:
    """Pass when `positive` is a finite number, `"scale"`, or None where that is allowed.

    Raises:
        InvalidParameterError: If it is something else.
    """
    if positive == "scale" or (optional and positive is None):
        return
    expected = "a finite number or 'scale'"
    if not isinstance(positive, Real) or not np.isfinite(float(positive)):
        raise InvalidParameterError(name, positive, expected)


def places_of(ratings: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the least like and the greatest dislike on the scale that ratings are on.

    4 and 2 of 5 stars, and the same shares of 1, 10 and 100, whichever is the least that holds
    all ratings; with ratings below 0, half of that up and down. Above 100 they are amounts, and
    where all are the same they tell nothing apart: each is a like.

    Examples:
        >>> import numpy as np
        >>> places_of(np.array([1.0, 3.0, 5.0])), places_of(np.array([35.0, 90.0]))
        ((4.0, 2.0), (80.0, 40.0))
        >>> places_of(np.array([-1.0, 1.0])), places_of(np.array([1.0, 1.0]))
        ((0.5, -0.5), (1.0, -inf))
    """
    if not ratings.size:
        return 4.0, 2.0
    low, high = float(ratings.min()), float(ratings.max())
    most = max(abs(low), abs(high))
    if low == high or most > _TOPS[-1]:
        return (low if low == high else np.nextafter(0.0, 1.0)), -np.inf
    top = top_of(ratings)
    return (0.5 * top, -0.5 * top) if low < 0 else (0.8 * top, 0.4 * top)


def require_places(positive: float | Literal["scale"], negative: float | Literal["scale"]) -> None:
    """Pass when both are finite numbers or `"scale"`, the dislike below the like.

    Raises:
        InvalidParameterError: If they are not.
    """
    require_threshold("positive", positive, optional=False)
    require_threshold("negative", negative, optional=False)
    if positive != "scale" and negative != "scale" and not negative < positive:
        raise InvalidParameterError("negative", negative, f"below positive, {positive:g}")


def places(
    positive: float | Literal["scale"], negative: float | Literal["scale"], feedback: Feedback
) -> tuple[float, float]:
    """Return the least like and the greatest dislike of feedback, by its scale where that is said.

    Raises:
        InvalidParameterError: If the dislike is not below the like.
    """
    rated = (feedback.kind == FeedbackKind.RATING) & (feedback.weight > 0)
    high, low = places_of(feedback.value[rated])
    high = high if positive == "scale" else positive
    low = low if negative == "scale" else negative
    if not low < high:
        raise InvalidParameterError("negative", low, f"below positive, {high:g}")
    return high, low


def top_of(ratings: npt.NDArray[Any]) -> float:
    """Return the top of the usual scale that ratings are on; their largest size above 100."""
    most = float(np.abs(ratings).max(initial=0.0))
    return next((top for top in _TOPS if most <= top), most)
