"""Pairs from clicks, from queries, and from what many users take together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.data import FeedbackKind, Vocabulary
from siamrec.data.frames import NO_TIME
from siamrec.data.liking import (
    Threshold,
    disliked,
    liked,
    places,
    require_places,
    require_threshold,
    speakers,
    threshold,
)
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.pairs._book import MINERS, PAIR_GENERATORS
from siamrec.pairs._events import Events
from siamrec.pairs.base import Generator, MinimumCounts, TextTable, capped, require_parts
from siamrec.pairs.synthetic import Synthetic, finished

if TYPE_CHECKING:
    from siamrec._core.book import Named
    from siamrec.data import Catalog, Feedback
    from siamrec.feedback import QualityWeights
    from siamrec.pairs.base import Miner
    from siamrec.protocols import DocumentStore
    from siamrec.typing import BoolArray, CodeArray, Float32Array, FloatArray

_STRONG = (FeedbackKind.CLICK, FeedbackKind.CONVERSION, FeedbackKind.THUMB)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClickPairs(Generator):
    r"""Joins items that a user clicked; what was not clicked is no negative unless it was seen.

    An item that the user rated low, or gave a thumb down, was not liked, whatever was clicked. A
    click at a place that few people look at says more, so it weighs
    :math:`\min(1 / p, \text{clip})` with p the logged propensity, or else
    :math:`\text{position}^{-\eta}`, the examination curve. An item shown above a click in the same
    decision was seen and passed over: it may serve as a weak negative, unless the same user
    clicked it, or an item with the same text, at any time.

    Args:
        eta: Steepness of the examination curve, not below 0; 0 trusts all places alike.
        clip: Largest weight of a click, at least 1.
        skipped: Weight of a passed-over item as a negative, in [0, 1]; 0 makes no negatives.
        weights: Quality of events. Without it the events' own weights count.
        per_root: Positive pairs of a user by the square root of the number of clicked items.
        per_user: Most positive pairs of a user.
        per_item: Most positive pairs in which an item is the second text.
        hard_negatives: Mines negatives beside each positive pair: a miner, or its name such as
            `"hard-negatives"`.
        synthetic: Adds pairs made without feedback.
        minimum: Fewest pairs from feedback to return; negatives are optional here.

    References:
        Joachims, Swaminathan, Schnabel (2017), Unbiased learning-to-rank, WSDM; Craswell et al.
        (2008), Click position-bias models, WSDM (cascade).
    """

    eta: float = 1.0
    clip: float = 10.0
    skipped: float = 0.3
    weights: QualityWeights | None = None
    per_root: float = 12.0
    per_user: int = 400
    per_item: int | None = None
    hard_negatives: Miner | Named | None = None
    synthetic: Synthetic | Named | None = None
    minimum: MinimumCounts = field(default_factory=lambda: MinimumCounts(negative=0, total=50))

    def __post_init__(self) -> None:
        self.take_by_name(hard_negatives=MINERS, synthetic=PAIR_GENERATORS)
        require_parts(self, "weights", "minimum")
        check.not_negative("eta", self.eta)
        check.share("1 / clip", 1 / check.positive("clip", self.clip))
        check.share("skipped", self.skipped)
        check.positive("per_root", self.per_root)
        check.count("per_user", self.per_user)
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
        negative = events.negatives(positive[0], share=1.0 if self.skipped else 0.0, rng=rng)
        self.minimum.require(
            positive=positive[0].size, negative=negative[0].size, source="The clicks"
        )
        pairs = events.pairs(positive, negative, table=table, users=feedback.users)
        return finished(pairs, self.hard_negatives, self.synthetic, catalog, rng=rng)

    def _events(self, feedback: Feedback, table: TextTable) -> Events:
        clicked = np.isin(feedback.kind, _STRONG) & (feedback.value > 0) & (feedback.weight > 0)
        clicked &= ~_taken_back(feedback)
        if not clicked.any():
            raise InvalidDataError(
                f"feedback must hold clicks, conversions or thumbs up, got none in "
                f"{len(feedback)} events."
            )
        passed = _passed_over(feedback, clicked) if self.skipped else np.zeros_like(clicked)
        passed &= ~_ever_clicked(feedback, clicked, table)
        kept = feedback.where(clicked | passed)
        trust = (kept.weight if self.weights is None else self.weights(kept)).astype(np.float64)
        is_click = clicked[clicked | passed]
        trust = trust * np.where(is_click, self._looked(kept), self.skipped)
        rows = speakers(kept)
        rows = rows[table.of_item[kept.item[rows]] != UNKNOWN]
        item = kept.item[rows]
        return Events(
            user=kept.user[rows],
            item=item,
            text=table.of_item[item],
            time=kept.time[rows],
            weight=trust[rows],
            liked=is_click[rows],
            disliked=~is_click[rows],
            n_users=len(feedback.users),
        )

    def _looked(self, feedback: Feedback) -> FloatArray:
        """Inverse chance that the place was looked at, cut at `clip`."""
        inverse = np.ones(len(feedback))
        if feedback.position is not None:
            known = feedback.position > 0
            inverse[known] = feedback.position[known].astype(np.float64) ** self.eta
        if feedback.propensity is not None:
            known = np.isfinite(feedback.propensity)
            inverse[known] = 1.0 / feedback.propensity[known]
        return np.minimum(inverse, self.clip)


def _taken_back(feedback: Feedback) -> BoolArray:
    """Events of a user with an item of which the user has a low opinion."""
    said = speakers(feedback)
    low = places("scale", "scale", feedback)[1]
    said = said[disliked(feedback.kind[said], feedback.value[said], low)]
    pair = feedback.user.astype(np.int64) * len(feedback.items) + feedback.item
    back: BoolArray = np.isin(pair, pair[said])
    return back


def _passed_over(feedback: Feedback, clicked: BoolArray) -> BoolArray:
    """Views above the lowest click of the same decision."""
    if feedback.decision is None or feedback.position is None:
        return np.zeros_like(clicked)
    _, shown = np.unique(feedback.decision, return_inverse=True)
    lowest = np.zeros(int(shown.max()) + 1, dtype=np.int64)
    np.maximum.at(lowest, shown[clicked], feedback.position[clicked])
    viewed = (feedback.kind == FeedbackKind.VIEW) & (feedback.position > 0)
    passed: BoolArray = viewed & (feedback.position < lowest[shown])
    return passed


def _ever_clicked(feedback: Feedback, clicked: BoolArray, table: TextTable) -> BoolArray:
    """Events of a user with an item, or a text, that the user clicked at any time."""
    ever = np.zeros(len(feedback), dtype=np.bool_)
    for of in (feedback.item, table.of_item[feedback.item]):
        key = feedback.user.astype(np.int64) * (len(feedback.items) + 1) + of
        ever |= np.isin(key, key[clicked]) & (of != UNKNOWN)
    return ever


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPairs(Generator):
    """Joins a query's text with the items that its users found good.

    Of what a user said of an item for a query the strongest and latest event speaks: a rating for
    or against the item by its value, a click or conversion for it, a thumb either way by its sign.
    A view, a dwell or a comment alone says neither.

    Args:
        positive: Least rating that speaks for the item; `"scale"` is 4 of 5 and the same share of
            other scales.
        negative: Largest rating that speaks against it, below `positive`; `"scale"` is 2 of 5.
        weights: Quality of events. Without it the events' own weights count.
        per_query: Most pairs of a query.
        documents: Where texts are found by id, in the place of the catalogue.
        hard_negatives: Mines negatives beside each positive pair: a miner, or its name such as
            `"hard-negatives"`.
        synthetic: Adds pairs made without feedback.
        minimum: Fewest pairs from feedback to return; negatives are optional here.
    """

    positive: float | Literal["scale"] = "scale"
    negative: float | Literal["scale"] = "scale"
    weights: QualityWeights | None = None
    per_query: int = 50
    documents: DocumentStore | None = None
    hard_negatives: Miner | Named | None = None
    synthetic: Synthetic | Named | None = None
    minimum: MinimumCounts = field(default_factory=lambda: MinimumCounts(negative=0, total=50))

    def __post_init__(self) -> None:
        self.take_by_name(hard_negatives=MINERS, synthetic=PAIR_GENERATORS)
        require_parts(self, "weights", "documents", "minimum")
        check.count("per_query", self.per_query)
        require_places(self.positive, self.negative)

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        if feedback.query is None:
            raise MissingInputError("The query of each event", "Feedback(query=…, queries=…)")
        table = (
            TextTable.of(catalog, feedback.items)
            if self.documents is None
            else TextTable.of_store(self.documents, feedback.items)
        )
        trust = feedback.weight if self.weights is None else self.weights(feedback)
        good, bad = self._said(feedback)
        spoken = (feedback.query != UNKNOWN) & (table.of_item[feedback.item] != UNKNOWN)
        rows = np.flatnonzero(spoken & (good | bad))
        rows = rows[capped(feedback.query[rows], self.per_query, rng)]
        texts = Vocabulary.of([*table.texts, *map(str, feedback.queries.ids)])
        left = Vocabulary(tuple(map(str, feedback.queries.ids))).translate(texts)
        left, right = left[feedback.query[rows]], table.of_item[feedback.item[rows]]
        rows = rows[left != right]
        left, right = left[left != right], right[left != right]
        label = good[rows].astype(np.float32)
        self.minimum.require(
            positive=int(label.sum()), negative=int((1 - label).sum()), source="The queries"
        )
        origin = np.where(label > 0, PairOrigin.POSITIVE, PairOrigin.NEGATIVE)
        pairs = Pairs(
            texts=tuple(map(str, texts.ids)),
            left=left,
            right=right,
            label=label,
            weight=trust[rows],
            origin=origin.astype(np.int8),
            user=feedback.user[rows],
            left_item=np.full(rows.size, UNKNOWN, dtype=np.int32),
            right_item=feedback.item[rows],
            time=feedback.time[rows],
            users=feedback.users,
            items=feedback.items,
        )
        return finished(pairs, self.hard_negatives, self.synthetic, catalog, rng=rng, table=table)

    def _said(self, feedback: Feedback) -> tuple[BoolArray, BoolArray]:
        """Which events speak for their item, and which against it.

        Raises:
            InvalidDataError: If none speaks for its item.
        """
        rated = feedback.kind == FeedbackKind.RATING
        positive, negative = places(self.positive, self.negative, feedback)
        speaks = np.zeros(len(feedback), dtype=np.bool_)
        speaks[speakers(feedback, feedback.query)] = True
        good = speaks & liked(feedback.kind, feedback.value, positive)
        bad = speaks & disliked(feedback.kind, feedback.value, negative)
        if not good.any():
            largest = feedback.value[rated].max() if rated.any() else "missing"
            raise InvalidDataError(
                f"feedback must hold ratings of at least {positive:g}, clicks, conversions "
                f"or thumbs up, got none in {len(feedback)} events (the largest rating is "
                f"{largest}; lower positive and negative if it is a good one)."
            )
        return good, bad


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CoEngagementPairs(Generator):
    r"""Joins items that more users take together than chance would bring together.

    With :math:`n_{ij}` users of both, a couple counts when :math:`n_{ij}` reaches `least_users`
    and :math:`n_{ij} n / (n_i n_j)` reaches `lift`; its weight is the cosine of what the events of
    the two weigh, :math:`n_{ij} / \sqrt{n_i n_j}` where all weigh alike. Pairs belong to no user.

    Args:
        positive: Least rating that counts; thumbs up, clicks and conversions do. `"scale"` is 4 of
            5 and the same share of other scales; None counts every event but a thumb down.
        least_users: Users that two items must have in common.
        lift: How many times as often as by chance.
        per_item: Most pairs of an item, of largest weight.
        hard_negatives: Mines negatives beside each positive pair: a miner, or its name such as
            `"hard-negatives"`.
        synthetic: Adds pairs made without feedback.
        minimum: Fewest pairs to return.
    """

    positive: Threshold = "scale"
    least_users: int = 3
    lift: float = 1.5
    per_item: int = 20
    hard_negatives: Miner | Named | None = None
    synthetic: Synthetic | Named | None = None
    minimum: MinimumCounts = field(default_factory=lambda: MinimumCounts(negative=0, total=50))

    def __post_init__(self) -> None:
        self.take_by_name(hard_negatives=MINERS, synthetic=PAIR_GENERATORS)
        require_parts(self, "minimum")
        check.count("least_users", self.least_users)
        require_threshold("positive", self.positive)
        check.positive("lift", self.lift)
        check.count("per_item", self.per_item)

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        table = TextTable.of(catalog, feedback.items)
        text = table.of_item[feedback.item]
        said = speakers(feedback)
        kind, value = feedback.kind[said], feedback.value[said]
        likes = liked(kind, value, threshold(self.positive, kind, value))
        rows = said[likes & (text[said] != UNKNOWN)]
        first, second, cosine = self._couples(
            feedback.user[rows], text[rows], feedback.weight[rows], len(table.texts)
        )
        self.minimum.require(positive=first.size, negative=0, source="The co-engagement")
        n = first.size
        none = np.full(n, UNKNOWN, dtype=np.int32)
        item_of = np.zeros(len(table.texts), dtype=np.int32)
        item_of[text[rows]] = feedback.item[rows]
        pairs = Pairs(
            texts=table.texts,
            left=first,
            right=second,
            label=np.ones(n, dtype=np.float32),
            weight=(cosine / cosine.mean()).astype(np.float32),
            origin=np.full(n, PairOrigin.POSITIVE, dtype=np.int8),
            user=none,
            left_item=item_of[first],
            right_item=item_of[second],
            time=np.full(n, NO_TIME),
            items=feedback.items,
        )
        return finished(pairs, self.hard_negatives, self.synthetic, catalog, rng=rng)

    def _couples(
        self, user: CodeArray, text: CodeArray, weight: Float32Array, n_texts: int
    ) -> tuple[np.ndarray, np.ndarray, FloatArray]:
        """Both directions of each couple that passes, the best `per_item` of each text."""
        users, row = np.unique(user, return_inverse=True)
        shape = (users.size, n_texts)
        heavy = sparse.csr_array((weight.astype(np.float64), (row, text)), shape=shape)
        heavy.sum_duplicates()
        taken = sparse.csr_array((np.ones(heavy.nnz), heavy.indices, heavy.indptr), shape=shape)
        # both products have the same places, in the same order
        together, weighed = sparse.coo_array(taken.T @ taken), sparse.coo_array(heavy.T @ heavy)
        count = np.asarray(taken.sum(axis=0)).ravel()
        size = np.sqrt(np.bincount(heavy.indices, heavy.data**2, n_texts))
        first, second, both = together.row, together.col, together.data
        keep = (first != second) & (both >= self.least_users)
        keep &= both * users.size >= self.lift * count[first] * count[second]
        first, second, both = first[keep], second[keep], weighed.data[keep]
        cosine = both / (size[first] * size[second])
        order = np.lexsort((second, -cosine, first))
        first, second, cosine = first[order], second[order], cosine[order]
        rank = np.arange(first.size) - np.searchsorted(first, first)
        near = rank < self.per_item
        return first[near].astype(np.int32), second[near].astype(np.int32), cosine[near]
