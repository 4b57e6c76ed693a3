"""Score adjusters: against popularity, for the long tail, for surprise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.rerank.base import Adjuster

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityDamping(Adjuster):
    """Lower the scores of popular items.

    `"log"` subtracts `strength log(1 + c) / log(1 + max c)`; `"power"` multiplies scores, which
    may not be negative, by `(1 + log(1 + c))^-strength`.

    Args:
        strength: How much, not below 0; 0 changes nothing.
        form: `"log"` or `"power"`.

    References:
        Abdollahpouri, Burke, Mobasher (2019), FLAIRS; Steck (2011), "Item popularity and
        recommendation accuracy", RecSys.
    """

    name: ClassVar[str] = "popularity_damping"

    strength: float = 0.2
    form: Literal["log", "power"] = "log"

    def __post_init__(self) -> None:
        check.not_negative("strength", self.strength)
        check.one_of("form", self.form, ("log", "power"))

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        popular = np.log1p(candidates.popularity)[candidates.item]
        if self.form == "log":
            most = np.log1p(candidates.most_popular)
            return -self.strength * popular / most if most > 0 else np.zeros(score.size)
        if score.size and score.min() < 0:
            raise InvalidDataError(
                f"Scores must not be negative for form='power', got {score.min():g}; "
                "Pipeline(..., normalise='minmax') brings them into [0, 1]."
            )
        return score * ((1.0 + popular) ** -self.strength - 1.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LongTailBoost(Adjuster):
    """Raise the scores of good items that few people know.

    By rule, `weight` is added to items with fewer than `votes` interactions whose mean rating is
    above `rating`. With `smooth`, it is `weight sigmoid((log votes - log(1 + c)) / smooth)` times
    a like factor of quality.

    Args:
        weight: What is added, not below 0.
        votes: Interactions below which an item is in the long tail.
        rating: Mean rating above which it is good; without it, quality does not matter.
        smooth: Width of the step in log interactions, above 0; without it, a rule.
        prior: Number of imagined votes at the mean of all ratings, so that few votes do not make
            a top rating; 0 believes means as they are.

    References:
        Abdollahpouri, Burke, Mobasher (2019), "Managing popularity bias", FLAIRS.
    """

    name: ClassVar[str] = "long_tail_boost"

    weight: float = 0.2
    votes: float = 1000.0
    rating: float | None = 7.5
    smooth: float | None = None
    prior: float = 0.0

    def __post_init__(self) -> None:
        check.not_negative("weight", self.weight)
        check.positive("votes", self.votes)
        check.not_negative("prior", self.prior)
        if self.rating is not None:
            check.real("rating", self.rating)
        if self.smooth is not None:
            check.positive("smooth", self.smooth)

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        count = candidates.popularity
        if self.smooth is None:
            share = (count < self.votes).astype(np.float64)
        else:
            share = _sigmoid((np.log(self.votes) - np.log1p(count)) / self.smooth)
        if self.rating is not None:
            mean = self._believed(candidates.quality, count)
            if self.smooth is None:
                share *= mean > self.rating
            else:
                share *= _sigmoid((mean - self.rating) / self.smooth)
        return self.weight * share[candidates.item]

    def _believed(self, mean: FloatArray, count: FloatArray) -> FloatArray:
        if not self.prior:
            return mean
        total = count.sum()
        overall = float(mean @ count / total) if total > 0 else float(mean.mean())
        return (count * mean + self.prior * overall) / (count + self.prior)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NicheBoost(Adjuster):
    """Raise scores by how rare an item is: `weight (1 - log(1 + c) / log(1 + max c))`.

    Args:
        weight: What an item without interactions gets, not below 0.
    """

    name: ClassVar[str] = "niche_boost"

    weight: float = 0.1

    def __post_init__(self) -> None:
        check.not_negative("weight", self.weight)

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        most = np.log1p(candidates.most_popular)
        share = np.log1p(candidates.popularity) / most if most > 0 else 0.0 * candidates.popularity
        return self.weight * (1.0 - share[candidates.item])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Serendipity(Adjuster):
    """Raise the scores of items unlike what the user knows: `weight (1 - cos to history)`.

    Users without a history get nothing. Items of the history must be in the candidates'
    vocabulary to have a vector; others are passed over.

    Args:
        weight: What an item at a right angle to the history gets, not below 0.
        to: `"nearest"`: cosine to the most similar item of the history; `"mean"`: to their mean.
        threshold: Distance below which nothing is added.

    References:
        Kaminskas and Bridge (2017), "Diversity, serendipity, novelty, and coverage", ACM TiiS
        7(1).
    """

    name: ClassVar[str] = "serendipity"

    weight: float = 0.2
    to: Literal["nearest", "mean"] = "nearest"
    threshold: float = 0.0

    def __post_init__(self) -> None:
        check.not_negative("weight", self.weight)
        check.one_of("to", self.to, ("nearest", "mean"))
        check.real("threshold", self.threshold)

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        start, known = candidates.history
        unit, distance = candidates.embeddings, np.zeros(score.size)
        bounds = candidates.start
        for user in np.flatnonzero((np.diff(start) > 0) & (np.diff(bounds) > 0)):
            # histories differ in length: one small product for each user
            here = slice(int(bounds[user]), int(bounds[user + 1]))
            past = unit[known[start[user] : start[user + 1]]]
            if self.to == "mean":
                cosine = unit[candidates.item[here]] @ past.mean(axis=0)
            else:
                cosine = (unit[candidates.item[here]] @ past.T).max(axis=1)
            distance[here] = 1.0 - cosine
        return self.weight * np.where(distance >= self.threshold, distance, 0.0)


def _sigmoid(values: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(values / 2.0))  # never overflows
