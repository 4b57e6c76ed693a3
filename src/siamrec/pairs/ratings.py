"""Pairs from ratings: what one user likes belongs together, what a user dislikes does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.feedback import FeedbackKind
from siamrec.data.liking import (
    OPINION,
    disliked,
    liked,
    places,
    require_places,
    speakers,
    voice,
)
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError
from siamrec.pairs._book import MINERS, PAIR_GENERATORS
from siamrec.pairs._events import Events
from siamrec.pairs.base import Generator, MinimumCounts, TextTable, capped, require_parts
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

    Opinions count: ratings, and thumbs by their sign; clicks, views and dwells say nothing here. A
    user with k liked items is drawn `ceil(per_root * sqrt(k))` times, so that eager users count
    more than others but do not drown them. Of several ratings of one item the last counts.

    Args:
        positive: Least rating of a liked item; `"scale"` is 4 of 5 and the same share of other
            scales.
        negative: Largest rating of a disliked item, below `positive`; `"scale"` is 2 of 5.
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

    positive: float | Literal["scale"] = "scale"
    negative: float | Literal["scale"] = "scale"
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
        require_places(self.positive, self.negative)
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
        value, kind = feedback.value.astype(np.float64), feedback.kind
        positive, negative = places(self.positive, self.negative, feedback)
        rated = kind == FeedbackKind.RATING
        if self.centred and rated.any():
            heavy = np.where(rated, feedback.weight, 0.0)
            total = np.bincount(feedback.user, heavy, len(feedback.users))
            summed = np.bincount(feedback.user, heavy * value, len(feedback.users))
            mean = summed / np.where(total > 0, total, 1.0)
            middle = np.average(value[rated], weights=heavy[rated] + 1e-12)
            value = np.where(rated, value - mean[feedback.user] + middle, value)
        rows = speakers(feedback)
        rows = rows[voice(kind[rows]) == OPINION]
        rows = rows[table.of_item[feedback.item[rows]] != UNKNOWN]
        value, kind, trust = value[rows], kind[rows], weight[rows].astype(np.float64)
        likes, dislikes = liked(kind, value, positive), disliked(kind, value, negative)
        if not likes.any():
            largest = feedback.value[rated].max() if rated.any() else "missing"
            raise InvalidDataError(
                f"feedback must hold ratings of at least {positive:g}, or thumbs up, of items "
                f"with a text, got none in {len(feedback)} events (the largest rating is "
                f"{largest}; ClickPairs reads clicks)."
            )
        if self.margin and np.isfinite(negative):
            clear = np.abs(value - (positive + negative) / 2)
            # a thumb is as clear as a rating that is just a like
            trust = trust * np.where(kind == FeedbackKind.THUMB, (positive - negative) / 2, clear)
        item = feedback.item[rows]
        return Events(
            user=feedback.user[rows],
            item=item,
            text=table.of_item[item],
            time=feedback.time[rows],
            weight=trust,
            liked=likes,
            disliked=dislikes,
            n_users=len(feedback.users),
        )
