"""Pairs from ratings: what one user likes belongs together, what a user dislikes does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.pairs._book import MINERS, PAIR_GENERATORS
from siamrec.pairs._events import Events
from siamrec.pairs.base import (
    Generator,
    MinimumCounts,
    TextTable,
    capped,
    latest,
    require_parts,
)
from siamrec.pairs.synthetic import Synthetic, finished

if TYPE_CHECKING:
    from siamrec._core.book import Named
    from siamrec.data import Catalog, Feedback, Pairs
    from siamrec.feedback import QualityWeights
    from siamrec.pairs.base import Miner


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
        hard_negatives: Mines negatives beside each positive pair: a miner, or its name such as
            `"hard-negatives"`.
        synthetic: Adds pairs made without feedback.
        minimum: Fewest pairs from feedback to return.

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
    hard_negatives: Miner | Named | None = None
    synthetic: Synthetic | Named | None = None
    minimum: MinimumCounts = field(default_factory=MinimumCounts)

    def __post_init__(self) -> None:
        self.take_by_name(hard_negatives=MINERS, synthetic=PAIR_GENERATORS)
        require_parts(self, "weights", "minimum")
        for name in ("centred", "margin"):
            check.flag(name, getattr(self, name))
        for name in ("positive", "negative"):
            check.real(name, getattr(self, name))
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
        events = self._events(feedback, table)
        positive = events.positives(per_root=self.per_root, per_user=self.per_user, rng=rng)
        if self.per_item is not None:
            keep = capped(events.item[positive[1]], self.per_item, rng)
            positive = (positive[0][keep], positive[1][keep])
        negative = events.negatives(positive[0], share=self.negatives_per_positive, rng=rng)
        self.minimum.require(
            positive=positive[0].size, negative=negative[0].size, source="The ratings"
        )
        pairs = events.pairs(positive, negative, table=table, users=feedback.users)
        return finished(pairs, self.hard_negatives, self.synthetic, catalog, rng=rng)

    def _events(self, feedback: Feedback, table: TextTable) -> Events:
        weight = feedback.weight if self.weights is None else self.weights(feedback)
        value = feedback.value.astype(np.float64)
        if self.centred and value.size:
            count = np.bincount(feedback.user, minlength=len(feedback.users))
            mean = np.bincount(feedback.user, value, len(feedback.users)) / np.maximum(count, 1)
            value = value - mean[feedback.user] + value.mean()
        rows = latest(feedback)
        rows = rows[table.of_item[feedback.item[rows]] != UNKNOWN]
        value, trust = value[rows], weight[rows].astype(np.float64)
        liked, disliked = value >= self.positive, value <= self.negative
        if not liked.any():
            largest = feedback.value.max() if len(feedback) else "missing"
            raise InvalidDataError(
                f"feedback must hold ratings of at least {self.positive:g} of items with a text, "
                f"got none in {len(feedback)} events (the largest value is {largest})."
            )
        if self.margin:
            trust = trust * np.abs(value - (self.positive + self.negative) / 2)
        item = feedback.item[rows]
        return Events(
            user=feedback.user[rows],
            item=item,
            text=table.of_item[item],
            time=feedback.time[rows],
            weight=trust,
            liked=liked & (feedback.weight[rows] > 0),
            disliked=disliked,
            n_users=len(feedback.users),
        )
