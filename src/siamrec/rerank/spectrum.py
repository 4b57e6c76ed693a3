"""Selectors that look at the space which chosen items span, or at what they cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.rerank._picks import Picks
from siamrec.rerank.base import Selector
from siamrec.rerank.normalise import below_best

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import Float32Array, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SSD(Selector):
    """Sliding spectrum decomposition: the next item leaves the space of the last few the most.

    `argmax  t s_i + (1 - t) |residual of v_i against the last `window` choices|`, where `v` are
    unit vectors with a constant 1 attached, so that residuals of like items shrink but stay.

    Args:
        trade_off: `t`: 1 is scores alone, 0 diversity alone.
        window: How many choices back it looks; without it, all.

    References:
        Huang, Wang, Zhang, Xu (2021), "Sliding spectrum decomposition for diversified
        recommendation", KDD.
    """

    name: ClassVar[str] = "ssd"

    trade_off: float = 0.7
    window: int | None = None

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)
        if self.window is not None:
            check.count("window", self.window)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        vectors = candidates.embeddings
        picks = Picks(candidates, k)
        for low, high in picks.users():  # each choice needs the one before
            rows = vectors.take(candidates.item[low:high], axis=0)
            near = np.concatenate((rows, np.ones((high - low, 1), dtype=np.float32)), axis=1)
            self._one_list(near, score[low:high], min(k, high - low), low, picks)
        return picks.done()

    def _one_list(
        self, near: Float32Array, score: FloatArray, size: int, low: int, picks: Picks
    ) -> None:
        """Choose one list; a residual loses its squared part along each new direction."""
        window = size if self.window is None else min(self.window, size)
        away = 1.0 - self.trade_off
        worth = self.trade_off * score
        norm = np.einsum("ij,ij->i", near, near).astype(np.float64)
        span = _Span(norm, window)
        best = int(score.argmax())
        value = worth + away * np.sqrt(norm)
        for step in range(size):
            if step:
                value = worth + away * np.sqrt(np.maximum(span.residual, 0.0))
                best = int(value.argmax())
            picks.add(low + best, float(value[best]))
            worth[best] = -np.inf
            if step + 1 < size:
                # row by row in one order of summing, so that equal candidates stay equal
                span.add(best, np.einsum("ij,j->i", near, near[best]).astype(np.float64))


@final
class _Span:
    """What the last few choices leave of every candidate, by a growing Cholesky factor.

    Args:
        norm: Squared length of each candidate.
        window: How many choices count.
    """

    def __init__(self, norm: FloatArray, window: int) -> None:
        self._norm = norm
        self._chosen: list[int] = []
        self._products: list[FloatArray] = []
        self._factor = np.empty((window, norm.size))
        self._rank = 0
        self.residual = norm.copy()

    def add(self, item: int, products: FloatArray) -> None:
        """Take a choice in, with its inner products; the oldest beyond the window leaves."""
        self._chosen.append(item)
        self._products.append(products)
        if len(self._chosen) <= len(self._factor):
            self._project(item, products)
            return
        self._chosen.pop(0)
        self._products.pop(0)
        self._rank, self.residual = 0, self._norm.copy()
        for kept, own in zip(self._chosen, self._products, strict=True):
            self._project(kept, own)

    def _project(self, item: int, products: FloatArray) -> None:
        left = self.residual[item]
        if left <= 1e-6 * self._norm[item]:  # the item lies in the span already
            return
        known = self._factor[: self._rank]
        part = products - known[:, item] @ known
        part /= np.sqrt(left)
        self._factor[self._rank] = part
        self._rank += 1
        self.residual -= part * part


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityCoverage(Selector):
    """The next item makes the candidates best represented by the list (facility location).

    `argmax  t s_i + (1 - t) sum over candidates j of ((C_j + sim_ij)^p - C_j^p)`, where `C_j` is
    the summed similarity of `j` to the chosen items and `sim = max(0, cos)`.

    Args:
        trade_off: `t`: 1 is scores alone, 0 coverage alone.
        concavity: `p` in (0, 1]: the lower, the less a second representative counts.

    References:
        Lin and Bilmes (2011), "A class of submodular functions for document summarization", ACL.
    """

    name: ClassVar[str] = "facility_coverage"

    trade_off: float = 0.7
    concavity: float = 0.5

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)
        check.positive("concavity", self.concavity)
        check.share("concavity", self.concavity)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        vectors = candidates.embeddings
        below, best_score = below_best(candidates, score)
        picks = Picks(candidates, k)
        for low, high in picks.users():  # each choice needs the one before
            rows = vectors.take(candidates.item[low:high], axis=0)
            similar = np.clip(rows @ rows.T, 0.0, 1.0)
            covered = np.zeros(high - low, dtype=np.float32)
            worth = (self.trade_off * below[low:high]).astype(np.float32)
            for _ in range(min(k, high - low)):
                gain = self._power(similar + covered).sum(axis=1) - self._power(covered).sum()
                value = worth + np.float32(1.0 - self.trade_off) * gain
                best = int(value.argmax())
                picks.add(low + best, float(value[best]))
                covered += similar[best]
                worth[best] = -np.inf
        places, gains = picks.done()
        return places, gains + self.trade_off * best_score[candidates.owner[places]]

    def _power(self, values: Float32Array) -> Float32Array:
        return np.sqrt(values) if self.concavity == 0.5 else values**self.concavity
