"""Greedy selectors that look at similarities to what was chosen: MMR and max-sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.rerank._lanes import Lanes, choose_in_lanes
from siamrec.rerank._picks import Picks
from siamrec.rerank.base import Selector
from siamrec.rerank.normalise import below_best

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import Float32Array, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MMR(Selector):
    """Maximal marginal relevance: the next item is good and unlike every chosen one.

    `argmax  t s_i - (1 - t) max over chosen j of max(0, cos(i, j))`, float32.

    Args:
        trade_off: `t`: 1 is scores alone, 0 diversity alone.

    References:
        Carbonell and Goldstein (1998), "The use of MMR, diversity-based reranking", SIGIR.
    """

    name: ClassVar[str] = "mmr"

    trade_off: float = 0.7

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        below, best = below_best(candidates, score)
        worth = (self.trade_off * below).astype(np.float32)
        places, gain = choose_in_lanes(candidates, worth, k, self._run)
        return places, gain + self.trade_off * best[candidates.owner[places]]

    def _run(self, lanes: Lanes, k: int) -> tuple[IntArray, Float32Array]:
        """Return the candidates chosen in each lane, and the gain of each."""
        n_lanes, width = lanes.first.shape
        steps, lane = min(k, width), np.arange(n_lanes)
        away = np.float32(1.0 - self.trade_off)
        worth, value = lanes.first.copy(), lanes.first.copy()
        closest = np.zeros_like(worth)
        picked = np.zeros((n_lanes, steps), dtype=np.int64)
        gain = np.zeros((n_lanes, steps), dtype=np.float32)
        for step in range(steps):  # every lane takes its next item
            best = value.argmax(axis=1)
            picked[:, step], gain[:, step] = best, value[lane, best]
            if step + 1 == steps:
                break
            worth[lane, best] = -np.inf
            np.maximum(closest, lanes.cosine[lane, best], out=closest)
            np.multiply(closest, away, out=value)
            np.subtract(worth, value, out=value)
        return picked, gain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MaxSum(Selector):
    """Max-sum diversification: the next item is good and far from the chosen ones together.

    `argmax  t s_i + (1 - t) sum over chosen j of (1 - cos(i, j))`, float32. The sum grows with
    the list, so later places look less at scores.

    Args:
        trade_off: `t`: 1 is scores alone, 0 diversity alone.

    References:
        Gollapudi and Sharma (2009), "An axiomatic approach for result diversification", WWW;
        Borodin, Lee, Ye (2012), "Max-sum diversification", PODS.
    """

    name: ClassVar[str] = "max_sum"

    trade_off: float = 0.7

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        away = np.float32(1.0 - self.trade_off)
        vectors = candidates.embeddings
        below, best_score = below_best(candidates, score)
        worth_of_place = (self.trade_off * below).astype(np.float32)
        picks = Picks(candidates, k)
        for low, high in picks.users():  # each choice needs the one before
            near = vectors.take(candidates.item[low:high], axis=0)
            worth = worth_of_place[low:high].copy()
            distance = np.zeros(high - low, dtype=np.float32)
            best = int(worth.argmax())
            picks.add(low + best, float(worth[best]))
            for _ in range(1, min(k, high - low)):
                worth[best] = -np.inf
                distance += _distances(near, near[best])
                value = worth + away * distance
                best = int(value.argmax())
                picks.add(low + best, float(value[best]))
        places, gain = picks.done()
        return places, gain + self.trade_off * best_score[candidates.owner[places]]


def _distances(rows: Float32Array, one: Float32Array) -> Float32Array:
    """Return 1 less the cosine of unit rows to one, with rounding kept in range."""
    cosine: Float32Array = rows @ one
    np.clip(cosine, -1.0, 1.0, out=cosine)
    return np.subtract(np.float32(1.0), cosine, out=cosine)
