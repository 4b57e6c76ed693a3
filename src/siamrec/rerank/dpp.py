"""Greedy maximum of a determinantal point process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.rerank._lanes import Lanes, choose_in_lanes
from siamrec.rerank.base import Selector
from siamrec.rerank.normalise import standardised

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import Float32Array, FloatArray, IntArray

_NOTHING = np.float32(1e-6)
_FAR = 20.0  # exponents whose squares float32 tells apart


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DPP(Selector):
    """The list of largest determinant: good items that span much, chosen greedily.

    The kernel is `L_ij = w_i cos(i, j) w_j`, `w = exp(t z)` with `z` the user's scores at mean 0
    and variance 1; each step takes the item that adds most to `log det L`. Where no candidate
    adds anything any more (the vectors are used up), the best of the rest by score follow.

    Args:
        trade_off: `t`: 0 is diversity alone; the more, the more scores count. Not below 0.

    References:
        Chen, Zhang, Zhou (2018), "Fast greedy MAP inference for determinantal point process to
        improve recommendation diversity", NeurIPS.
    """

    name: ClassVar[str] = "dpp"

    trade_off: float = 0.5

    def __post_init__(self) -> None:
        check.not_negative("trade_off", self.trade_off)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        weight = _weights(candidates, score, self.trade_off)
        return choose_in_lanes(candidates, weight * weight, k, _run)


def _weights(candidates: Candidates, score: FloatArray, trade_off: float) -> Float32Array:
    """Return `exp(t z)` with `z` the user's scores at mean 0 and variance 1, in float32."""
    scaled = np.clip(trade_off * standardised(candidates, score), -_FAR, _FAR)
    weight: Float32Array = np.exp(scaled).astype(np.float32)
    return weight


def _run(lanes: Lanes, k: int) -> tuple[IntArray, Float32Array]:
    """Return the candidates chosen in each lane, and the gain of each: its squared residual."""
    n_lanes, width = lanes.first.shape
    steps, lane = min(k, width), np.arange(n_lanes)
    residual = lanes.first.copy()
    weight = np.sqrt(np.maximum(residual, 0.0))
    nothing = _NOTHING * residual.max(axis=1)
    basis = np.zeros((n_lanes, steps, width), dtype=np.float32)
    picked = np.zeros((n_lanes, steps), dtype=np.int64)
    gain = np.zeros((n_lanes, steps), dtype=np.float32)
    for step in range(steps):  # every lane takes its next item
        best = residual.argmax(axis=1)
        worth = residual[lane, best]
        spent = worth <= nothing
        if spent.any():  # nothing spans more: the rest in order of weight
            rest = np.where(np.isneginf(residual), -np.inf, lanes.first)
            best = np.where(spent, rest.argmax(axis=1), best)
            worth = np.where(spent, np.float32(0), worth)
        picked[:, step], gain[:, step] = best, worth
        residual[lane, best] = -np.inf
        if step + 1 == steps:
            break
        similar = lanes.cosine[lane, best]
        similar *= weight
        similar *= weight[lane, best][:, None]
        if step:
            known = basis[:, :step]
            similar -= np.matmul(known[lane, :, best][:, None, :], known)[:, 0]
        similar /= np.sqrt(np.where(spent, np.float32(np.inf), worth))[:, None]
        basis[:, step] = similar
        np.multiply(similar, similar, out=similar)
        residual -= similar
    return picked, gain
