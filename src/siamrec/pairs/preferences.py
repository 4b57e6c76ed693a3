"""Pairs that keep the degree of a rating: one text before another, and scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.feedback import FeedbackKind
from siamrec.data.frames import NO_TIME
from siamrec.data.liking import places_of, require_threshold, speakers
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.pairs.base import Generator, MinimumCounts, TextTable, require_parts

if TYPE_CHECKING:
    from siamrec.data import Catalog, Feedback
    from siamrec.feedback import QualityWeights
    from siamrec.typing import CodeArray, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePairs(Generator):
    r"""Triplets of an anchor, a text that was valued more, and one that was valued less.

    Both were valued by one user, for one query where the feedback has queries. The anchor is the
    query, or else another item that the user likes. A triplet weighs by the difference of its two
    values: a gap of 4 says more than one of 2. Losses on triplets read the worse text as the
    negative: `"bradley-terry"`, `"reference-preference"`, `"weighted-triplet"`.

    Args:
        positive: Least value of an anchor, and of the better text where there is no query;
            `"scale"` is 4 of 5 and the same share of other scales.
        gap: Least difference of the two values, above 0; `"scale"` is 1 of 5.
        weights: Quality of events; a triplet weighs the geometric mean of its two.
        per_root: Triplets of a user (or query) by the square root of its number of events.
        per_user: Most triplets of a user or query.
        minimum: Fewest triplets to return.

    Raises:
        InvalidParameterError: If a number is out of its range.

    Examples:
        >>> from siamrec.data import Catalog, Feedback
        >>> feedback = Feedback.of(
        ...     user=["ann"] * 3, item=["heat", "ronin", "babe"], value=[5, 4, 1]
        ... )
        >>> catalog = Catalog.from_frame(
        ...     {"item": ["heat", "ronin", "babe"], "text": ["Heat", "Ronin", "Babe"]}, text="text"
        ... )
        >>> recipe = PreferencePairs(minimum=MinimumCounts(positive=1, negative=0, total=1))
        >>> pairs = recipe.generate(feedback, catalog, rng=np.random.default_rng(0))
        >>> {pairs.texts[code] for code in pairs.negatives[:, 0]}
        {'Babe'}
    """

    positive: float | Literal["scale"] = "scale"
    gap: float | Literal["scale"] = "scale"
    weights: QualityWeights | None = None
    per_root: float = 12.0
    per_user: int = 400
    minimum: MinimumCounts = field(default_factory=lambda: MinimumCounts(negative=0, total=50))

    def __post_init__(self) -> None:
        require_parts(self, "weights", "minimum")
        require_threshold("positive", self.positive, optional=False)
        if self.gap != "scale":
            check.positive("gap", self.gap)
        check.positive("per_root", self.per_root)
        check.count("per_user", self.per_user)

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        valued = _Valued.of(feedback, catalog, self.weights)
        positive, gap = valued.like(self.positive), valued.step(self.gap)
        likes = None if valued.queries else positive
        better = valued.drawn(least=likes, per_root=self.per_root, most=self.per_user, rng=rng)
        below = valued.count_up_to(valued.block[better], valued.value[better] - gap)
        first = valued.start[valued.block[better]]
        better, first, n_worse = (part[below > first] for part in (better, first, below - first))
        worse = first + (rng.random(better.size) * n_worse).astype(np.int64)
        anchor = valued.anchors(better, positive, rng)
        differ = (anchor >= 0) & (anchor != valued.text[better]) & (anchor != valued.text[worse])
        differ &= valued.text[better] != valued.text[worse]
        rows = np.stack([anchor, better, worse], axis=1)[differ]
        anchor, better, worse = np.unique(rows, axis=0).T
        self.minimum.require(positive=anchor.size, negative=0, source="The preferences")
        apart = valued.value[better] - valued.value[worse]
        weight = apart * np.sqrt(valued.weight[better] * valued.weight[worse])
        return valued.pairs(
            anchor,
            better,
            label=np.ones(anchor.size),
            weight=weight,
            worse=worse,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPairs(Generator):
    """Pairs whose label is how well an item was valued, between the least value and the largest.

    The anchor is the event's query, or else another item that the user likes. For losses that read
    degrees: `"weighted-cosent"`, `"listwise-rating"`, `"weighted-cosine"`.

    Args:
        positive: Least value of an anchor where there is no query; `"scale"` is 4 of 5 and the
            same share of other scales.
        lowest: Value of label 0; the least of the feedback by default.
        highest: Value of label 1; the largest of the feedback by default.
        weights: Quality of events.
        per_root: Pairs of a user (or query) by the square root of its number of events.
        per_user: Most pairs of a user or query.
        minimum: Fewest pairs to return, by whether the label reaches one half.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """

    positive: float | Literal["scale"] = "scale"
    lowest: float | None = None
    highest: float | None = None
    weights: QualityWeights | None = None
    per_root: float = 12.0
    per_user: int = 400
    minimum: MinimumCounts = field(default_factory=lambda: MinimumCounts(negative=0, total=50))

    def __post_init__(self) -> None:
        require_parts(self, "weights", "minimum")
        require_threshold("positive", self.positive, optional=False)
        for name in ("lowest", "highest"):
            if getattr(self, name) is not None:
                check.real(name, getattr(self, name))
        if self.lowest is not None and self.highest is not None:
            check.positive("highest - lowest", self.highest - self.lowest)
        check.positive("per_root", self.per_root)
        check.count("per_user", self.per_user)

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        valued = _Valued.of(feedback, catalog, self.weights)
        lowest = valued.value.min() if self.lowest is None else self.lowest
        highest = valued.value.max() if self.highest is None else self.highest
        if not highest > lowest:
            raise InvalidDataError(
                f"feedback must hold values of different height, got {lowest:g} only."
            )
        right = valued.drawn(least=None, per_root=self.per_root, most=self.per_user, rng=rng)
        anchor = valued.anchors(right, valued.like(self.positive), rng)
        rows = np.stack([anchor, right], axis=1)[(anchor >= 0) & (anchor != valued.text[right])]
        anchor, right = np.unique(rows, axis=0).T
        label = np.clip((valued.value[right] - lowest) / (highest - lowest), 0.0, 1.0)
        high = int((label >= 0.5).sum())
        self.minimum.require(positive=high, negative=label.size - high, source="The scores")
        return valued.pairs(anchor, right, label=label, weight=valued.weight[right])


@final
@dataclass(frozen=True, slots=True)
class _Valued:
    """Opinions by block (a user, or a user's query) and value, lowest first.

    Ratings have values; where nothing is rated, thumbs do.

    `text` holds codes of `texts`, and `query` that of each event's query, -1 without one.
    """

    texts: tuple[str, ...]
    feedback: Feedback
    row: IntArray
    block: IntArray
    start: IntArray
    text: CodeArray
    query: CodeArray
    value: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, feedback: Feedback, catalog: Catalog, weights: QualityWeights | None) -> _Valued:
        table = TextTable.of(catalog, feedback.items)
        trust = feedback.weight if weights is None else weights(feedback)
        spoken = () if feedback.query is None else tuple(map(str, feedback.queries.ids))
        texts = Vocabulary.of([*table.texts, *spoken])
        asked = np.full(len(feedback), UNKNOWN, np.int32)
        if feedback.query is not None:
            codes = Vocabulary(spoken).translate(texts)
            asked = np.where(feedback.query == UNKNOWN, UNKNOWN, codes[feedback.query])
        rows = speakers(feedback, asked if spoken else None)
        rated = feedback.kind[rows] == FeedbackKind.RATING
        thumbs = feedback.kind[rows] == FeedbackKind.THUMB
        rows = rows[rated if rated.any() else thumbs]
        keep = table.of_item[feedback.item[rows]] != UNKNOWN
        rows = rows[keep & ((asked[rows] != UNKNOWN) | (not spoken))]
        if not rows.size:
            raise InvalidDataError(
                "feedback must hold ratings, or else thumbs, of items with a text, got none in "
                f"{len(feedback)} events."
            )
        key = feedback.user[rows].astype(np.int64) * (len(texts) + 1) + asked[rows]
        rows = rows[np.lexsort((feedback.value[rows], key))]
        key = feedback.user[rows].astype(np.int64) * (len(texts) + 1) + asked[rows]
        _, start, block = np.unique(key, return_index=True, return_inverse=True)
        return cls(
            texts=tuple(map(str, texts.ids)),
            feedback=feedback,
            row=rows,
            block=block,
            start=np.append(start, rows.size),
            text=table.of_item[feedback.item[rows]],
            query=asked[rows].astype(np.int32),
            value=feedback.value[rows].astype(np.float64),
            weight=np.asarray(trust)[rows].astype(np.float64),
        )

    def like(self, positive: float | Literal["scale"]) -> float:
        """Return the number that `positive` means for these values."""
        return places_of(self.value)[0] if positive == "scale" else positive

    def step(self, gap: float | Literal["scale"]) -> float:
        """Return the number that `gap` means: half of what lies between dislike and like."""
        like, dislike = places_of(self.value)
        apart = (like - dislike) / 2 if np.isfinite(dislike) else 1.0
        return apart if gap == "scale" else gap

    @property
    def queries(self) -> bool:
        return bool(self.query.size and self.query[0] != UNKNOWN)

    def count_up_to(self, block: IntArray, value: FloatArray | float) -> IntArray:
        """Return the place after the last event of each block with at most `value`."""
        low, span = self.value.min(), np.ptp(self.value) + 1.0
        inside = np.clip(np.asarray(value) - low, -0.5, span - 0.5)
        places: IntArray = np.searchsorted(
            self.block * span + (self.value - low), block * span + inside, side="right"
        )
        return places

    def drawn(
        self, *, least: float | None, per_root: float, most: int, rng: np.random.Generator
    ) -> IntArray:
        """Draw events of each block, those of at least `least` where it is given."""
        blocks = np.arange(self.start.size - 1)
        first = self.start[:-1]
        if least is not None:
            first = self.count_up_to(blocks, np.nextafter(least, -np.inf))
        size = self.start[1:] - first
        count = np.where(size > 0, np.minimum(np.ceil(per_root * np.sqrt(size)), most), 0)
        of = np.repeat(blocks, count.astype(np.int64))
        drawn: IntArray = first[of] + (rng.random(of.size) * size[of]).astype(np.int64)
        return drawn

    def anchors(self, events: IntArray, least: float, rng: np.random.Generator) -> CodeArray:
        """Return each event's query, or the text of another liked event; -1 without one."""
        if self.queries:
            return self.query[events]
        block = self.block[events]
        first = self.count_up_to(block, np.nextafter(least, -np.inf))
        size = self.start[block + 1] - first
        drawn = first + (rng.random(events.size) * size).astype(np.int64)
        found = np.where(size > 0, self.text[np.minimum(drawn, self.text.size - 1)], UNKNOWN)
        return np.where((size > 0) & (drawn == events), UNKNOWN, found).astype(np.int32)

    def pairs(
        self,
        anchor: IntArray,
        event: IntArray,
        *,
        label: Any,
        weight: FloatArray,
        worse: IntArray | None = None,
    ) -> Pairs:
        row = self.row[event]
        time = np.maximum(self.feedback.time[row], self._anchor_time(row, anchor))
        if worse is not None:
            time = np.maximum(time, self.feedback.time[self.row[worse]])
        mean = float(weight.mean()) if weight.size else 0.0
        liked = np.asarray(label) >= 0.5
        couples = np.stack([self.feedback.user[row][liked], self.text[event][liked]])
        (likes, text), place = np.unique(couples, axis=1, return_inverse=True)
        liked_time = np.full(likes.size, NO_TIME)
        np.maximum.at(liked_time, place.reshape(-1), self.feedback.time[row][liked])
        return Pairs(
            texts=self.texts,
            left=anchor.astype(np.int32),
            right=self.text[event],
            label=np.asarray(label, np.float32),
            weight=(weight / mean if mean > 0 else weight).astype(np.float32),
            origin=np.where(liked, PairOrigin.POSITIVE, PairOrigin.NEGATIVE).astype(np.int8),
            user=self.feedback.user[row],
            left_item=self._anchor_item(anchor),
            right_item=self.feedback.item[row],
            time=time,
            negatives=None if worse is None else self.text[worse][:, None],
            users=self.feedback.users,
            items=self.feedback.items,
            liked_user=likes.astype(np.int32),
            liked_text=text.astype(np.int32),
            liked_time=liked_time,
        )

    def _anchor_item(self, anchor: IntArray) -> CodeArray:
        """Return an item with the text of each anchor; -1 where the anchor is a query."""
        item = np.full(len(self.texts), UNKNOWN, np.int32)
        if not self.queries:
            item[self.text] = self.feedback.item[self.row]
        return item[anchor]

    def _anchor_time(self, row: IntArray, anchor: IntArray) -> IntArray:
        """Return when the row's user valued its anchor; unknown where the anchor is a query."""
        if self.queries:
            return np.full(row.size, NO_TIME)
        n, time = len(self.texts), self.feedback.time[self.row]
        key = self.feedback.user[self.row].astype(np.int64) * n + self.text
        order = np.lexsort((time, key))
        wanted = self.feedback.user[row].astype(np.int64) * n + anchor
        found: IntArray = time[order][np.searchsorted(key[order], wanted, side="right") - 1]
        return found
