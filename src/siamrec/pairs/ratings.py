"""Pairs from ratings: what one user likes belongs together, what a user dislikes does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.pairs.base import Generator, MinimumCounts, TextTable, capped, latest

if TYPE_CHECKING:
    from siamrec.data import Catalog, Feedback
    from siamrec.feedback import QualityWeights
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RatingPairs(Generator):
    """Joins items that a user rated high, and parts them from items that the user rated low.

    A user with k liked items is drawn `ceil(per_root * sqrt(k))` times, so that eager users count
    more than others but do not drown them. Of several ratings of one item the last counts.

    Args:
        positive: Least rating of a liked item.
        negative: Largest rating of a disliked item, below `positive`.
        centred: Whether ratings are first moved by the distance of the user's mean from the mean
            of all, so that 4 from a user who always says 5 is no praise.
        weights: Quality of events; a pair weighs the geometric mean of its two. Without it the
            events' own weights count.
        margin: Whether a pair also weighs by how clear its ratings are: the distance to the middle
            between `positive` and `negative`.
        per_root: Positive pairs of a user by the square root of the number of liked items.
        per_user: Most positive pairs of a user.
        per_item: Most positive pairs in which an item is the second text; no limit by default.
        negatives_per_positive: Negative pairs by positive ones, where enough is disliked.
        minimum: Fewest pairs to return.

    Raises:
        InvalidParameterError: If a number is out of its range.

    Examples:
        >>> import numpy as np
        >>> from siamrec.data import Catalog, Feedback
        >>> feedback = Feedback.of(
        ...     user=["ann"] * 3, item=["heat", "ronin", "babe"], value=[5, 4, 1]
        ... )
        >>> catalog = Catalog.from_frame(
        ...     {"item": ["heat", "ronin", "babe"], "text": ["Heat", "Ronin", "Babe"]}, text="text"
        ... )
        >>> recipe = RatingPairs(minimum=MinimumCounts(positive=1, negative=1, total=2))
        >>> pairs = recipe.generate(feedback, catalog, rng=np.random.default_rng(0))
        >>> sorted(pairs.texts[code] for code in set(pairs.right[pairs.label > 0].tolist()))
        ['Heat', 'Ronin']
    """

    positive: float = 4.0
    negative: float = 2.0
    centred: bool = False
    weights: QualityWeights | None = None
    margin: bool = True
    per_root: float = 12.0
    per_user: int = 400
    per_item: int | None = None
    negatives_per_positive: float = 0.5
    minimum: MinimumCounts = field(default_factory=MinimumCounts)

    def __post_init__(self) -> None:
        if not self.negative < self.positive:
            raise InvalidParameterError("negative", self.negative, f"below {self.positive}")
        check.positive("per_root", self.per_root)
        check.count("per_user", self.per_user)
        check.not_negative("negatives_per_positive", self.negatives_per_positive)
        if self.per_item is not None:
            check.count("per_item", self.per_item)

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        table = TextTable.of(catalog, feedback.items)
        events = _Events.of(self, feedback, table)
        left, right = self._positives(events, rng)
        if self.per_item is not None:
            keep = capped(events.item[right], self.per_item, rng)
            left, right = left[keep], right[keep]
        anchor, disliked = self._negatives(events, left, rng)
        self.minimum.require(positive=left.size, negative=disliked.size, source="The ratings")
        first, second = np.concatenate([left, anchor]), np.concatenate([right, disliked])
        label = np.repeat([1.0, 0.0], [left.size, disliked.size])
        origin = np.repeat([PairOrigin.POSITIVE, PairOrigin.NEGATIVE], [left.size, disliked.size])
        weight = np.sqrt(events.weight[first] * events.weight[second])
        likes = np.flatnonzero(events.liked)
        likes = likes[np.argsort(events.user[likes], kind="stable")]  # by user, then by time
        return Pairs(
            texts=table.texts,
            left=events.text[first],
            right=events.text[second],
            label=label.astype(np.float32),
            weight=(weight / weight.mean() if weight.any() else weight).astype(np.float32),
            origin=origin.astype(np.int8),
            user=events.user[first],
            left_item=events.item[first],
            right_item=events.item[second],
            time=np.maximum(events.time[first], events.time[second]),
            users=feedback.users,
            items=feedback.items,
            liked_user=events.user[likes],
            liked_text=events.text[likes],
        )

    def _positives(self, events: _Events, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw two different liked events of one user, many users at a time."""
        rows = np.flatnonzero(events.liked)
        rows = rows[np.argsort(events.user[rows], kind="stable")]
        size = np.bincount(events.user[rows], minlength=events.n_users)
        start = np.cumsum(size) - size
        wanted = np.minimum(np.ceil(self.per_root * np.sqrt(size)), size * (size - 1))
        drawn = np.repeat(np.arange(size.size), np.minimum(wanted, self.per_user).astype(np.int64))
        first = (rng.random(drawn.size) * size[drawn]).astype(np.int64)
        second = (rng.random(drawn.size) * (size[drawn] - 1)).astype(np.int64)
        second += second >= first
        left, right = rows[start[drawn] + first], rows[start[drawn] + second]
        different = events.text[left] != events.text[right]
        kept = np.unique(np.stack([left, right], axis=1)[different], axis=0)
        return kept[:, 0], kept[:, 1]

    def _negatives(
        self, events: _Events, left: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Pair liked events with disliked ones of the same user."""
        rows = np.flatnonzero(events.disliked)
        rows = rows[np.argsort(events.user[rows], kind="stable")]
        size = np.bincount(events.user[rows], minlength=events.n_users)
        start = np.cumsum(size) - size
        has = np.flatnonzero(size[events.user[left]] > 0)
        n = round(self.negatives_per_positive * left.size)
        anchor = left[np.sort(rng.choice(has, min(n, has.size), replace=False))]
        user = events.user[anchor]
        disliked = rows[start[user] + (rng.random(user.size) * size[user]).astype(np.int64)]
        different = events.text[anchor] != events.text[disliked]
        kept = np.unique(np.stack([anchor, disliked], axis=1)[different], axis=0)
        return kept[:, 0], kept[:, 1]


@final
@dataclass(frozen=True, slots=True)
class _Events:
    """The last rating of each user and item with a text, in order of time."""

    user: CodeArray
    item: CodeArray
    text: CodeArray
    time: IntArray
    weight: FloatArray
    liked: BoolArray
    disliked: BoolArray
    n_users: int

    @classmethod
    def of(cls, recipe: RatingPairs, feedback: Feedback, table: TextTable) -> _Events:
        weight = feedback.weight if recipe.weights is None else recipe.weights(feedback)
        value = feedback.value.astype(np.float64)
        if recipe.centred:
            count = np.bincount(feedback.user, minlength=len(feedback.users))
            mean = np.bincount(feedback.user, value, len(feedback.users)) / np.maximum(count, 1)
            value = value - mean[feedback.user] + (value.mean() if value.size else 0.0)
        rows = latest(feedback)
        rows = rows[table.of_item[feedback.item[rows]] != UNKNOWN]
        value, weight = value[rows], weight[rows].astype(np.float64)
        liked, disliked = value >= recipe.positive, value <= recipe.negative
        if not liked.any():
            raise InvalidDataError(
                f"feedback must hold ratings of at least {recipe.positive:g} of items with a "
                f"text, got none in {len(feedback)} events (the largest value is "
                f"{feedback.value.max() if len(feedback) else 'missing'})."
            )
        if recipe.margin:
            weight = weight * np.abs(value - (recipe.positive + recipe.negative) / 2)
        item = feedback.item[rows]
        return cls(
            user=feedback.user[rows],
            item=item,
            text=table.of_item[item],
            time=feedback.time[rows],
            weight=weight,
            liked=liked & (feedback.weight[rows] > 0),
            disliked=disliked,
            n_users=len(feedback.users),
        )
