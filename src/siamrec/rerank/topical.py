"""Selectors that serve the categories of a user's taste: xQuAD and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.rerank._picks import in_order_of_score
from siamrec.rerank.base import Selector

if TYPE_CHECKING:
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, IntArray

_TOGETHER = 32


@final
@dataclass(frozen=True, slots=True)
class _Block:
    """Some users side by side, with the categories of their candidates in sparse form.

    An item of `L` categories belongs to each with part `1 / L`; the pair (category, L) is a cell.

    Attributes:
        place: Place of each candidate, best score first, shape `(n_lanes, width)`; where a lane
            has fewer, any.
        score: Score of each candidate; minus infinity where there is none.
        cell: Cells of each candidate, shape `(most, n_lanes, width)`; the last cell is "nothing".
        taste: Share of each category in the user's taste, shape `(n_lanes, n_categories)`.
    """

    place: IntArray
    score: FloatArray
    cell: IntArray
    taste: FloatArray


def _cells(member: FloatArray) -> tuple[IntArray, int]:
    """Return the cells of each item, padded by the cell of nothing, and the largest `L`."""
    several = (member > 0).sum(axis=1)
    most = max(int(several.max(initial=1)), 1)
    cell = np.full((member.shape[0], most), member.shape[1] * most, dtype=np.int64)
    item, category = np.nonzero(member)
    place = np.arange(item.size) - (several.cumsum() - several)[item]
    cell[item, place] = category * most + several[item] - 1
    return cell, most


def _taste(candidates: Candidates, member: FloatArray) -> FloatArray:
    """Return the categories of each user's history as shares; all alike without a history."""
    from scipy.sparse import csr_array  # costs 0.2 s at import

    start, item = candidates.history
    shape = (candidates.n_users, candidates.n_items)
    sums = csr_array((np.ones(item.size), item, start), shape=shape) @ member
    total = sums.sum(axis=1, keepdims=True)
    even = 1.0 / member.shape[1]
    taste: FloatArray = np.where(total > 0, sums / np.where(total > 0, total, 1.0), even)
    return taste


def _blocks(
    candidates: Candidates, score: FloatArray, cell: IntArray, taste: FloatArray
) -> list[tuple[IntArray, _Block]]:
    """Return users in blocks of about equal numbers of candidates."""
    size = np.diff(candidates.start)
    order, _ = in_order_of_score(candidates, score)
    users = np.argsort(size, kind="stable")
    users = users[size[users] > 0]
    blocks = []
    for low in range(0, users.size, _TOGETHER):
        chosen = users[low : low + _TOGETHER]
        rank = np.arange(int(size[chosen].max()))
        filled = rank < size[chosen][:, None]
        first = candidates.start[chosen][:, None]
        place = order[np.where(filled, first + rank, first)]
        block = _Block(
            place,
            np.where(filled, score[place], -np.inf),
            np.ascontiguousarray(cell[candidates.item[place]].transpose(2, 0, 1)),
            taste[chosen],
        )
        blocks.append((chosen, block))
    return blocks


def _collect(
    candidates: Candidates, k: int, parts: list[tuple[IntArray, IntArray, FloatArray]]
) -> tuple[IntArray, FloatArray]:
    """Return places and gains of all blocks in order of user."""
    length = np.minimum(np.diff(candidates.start), k)
    first = length.cumsum() - length
    places = np.empty(int(length.sum()), dtype=np.int64)
    gains = np.empty(places.size)
    for users, place, gain in parts:
        rank = np.arange(place.shape[1])
        filled = rank < length[users][:, None]
        target = (first[users][:, None] + rank)[filled]
        places[target], gains[target] = place[filled], gain[filled]
    return places, gains


def _worth(block: _Block, trade_off: float) -> FloatArray:
    """Return the part of each candidate's value that is its score; none without a candidate."""
    there = np.isfinite(block.score)
    return np.where(there, trade_off * np.where(there, block.score, 0.0), -np.inf)


def _sum_of_cells(table: FloatArray, cell: IntArray) -> FloatArray:
    """Return the sum of a lane's table over the cells of each candidate, `(n_lanes, width)`."""
    flat, size = table.ravel(), table.shape[1]
    offset = (np.arange(table.shape[0]) * size)[:, None]
    total: FloatArray = flat.take(cell[0] + offset)
    for column in cell[1:]:  # at most as many as an item has categories
        total += flat.take(column + offset)
    return total


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class XQuAD(Selector):
    """The next item is good and serves categories of the user's taste not served yet.

    `argmax  t s_i + (1 - t) sum over categories a of P(a|u) P(i|a) prod over chosen j of
    (1 - P(j|a))`, with `P(a|u)` the shares of categories in the user's history (all alike
    without one) and `P(i|a) = 1 / L` for an item of `L` categories.

    Args:
        trade_off: `t`: 1 is scores alone, 0 categories alone.

    References:
        Santos, Macdonald, Ounis (2010), "Exploiting query reformulations for web search result
        diversification", WWW.
    """

    name: ClassVar[str] = "xquad"

    trade_off: float = 0.7

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        member = candidates.categories
        cell, most = _cells(member)
        part = np.append(np.tile(1.0 / np.arange(1, most + 1), member.shape[1]), 0.0)
        category = np.append(np.repeat(np.arange(member.shape[1]), most), 0)
        parts = []
        for users, block in _blocks(candidates, score, cell, _taste(candidates, member)):
            place, gain = self._choose(block, part, category, k)
            parts.append((users, place, gain))
        return _collect(candidates, k, parts)

    def _choose(
        self, block: _Block, part: FloatArray, category: IntArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        lanes, width = block.place.shape
        lane = np.arange(lanes)
        wanted = block.taste.copy()
        steps = min(k, width)
        chosen, gain = np.zeros((lanes, steps), dtype=np.int64), np.zeros((lanes, steps))
        worth = _worth(block, self.trade_off)
        for step in range(steps):  # every lane takes its next item
            serves = _sum_of_cells(wanted[:, category] * part, block.cell)
            value = worth + (1.0 - self.trade_off) * serves
            best = value.argmax(axis=1)  # the first of equals has the higher score
            chosen[:, step], gain[:, step] = block.place[lane, best], value[lane, best]
            worth[lane, best] = -np.inf
            for column in block.cell[:, lane, best]:  # at most as many as an item has categories
                wanted[lane, category[column]] *= 1.0 - part[column]
        return chosen, gain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated(Selector):
    """The list is good and has the categories of the user's history in their proportions.

    Greedy on `t sum of s - (1 - t) KL(p || q~)`, with `p` the shares of categories in the history
    (all alike without one), `q` those of the list and `q~ = (1 - alpha) q + alpha p`.

    Args:
        trade_off: `t`: 1 is scores alone, 0 calibration alone.
        alpha: Smoothing, in (0, 1).

    References:
        Steck (2018), "Calibrated recommendations", RecSys.
    """

    name: ClassVar[str] = "calibrated"

    trade_off: float = 0.5
    alpha: float = 0.01

    def __post_init__(self) -> None:
        check.share("trade_off", self.trade_off)
        check.share("alpha", self.alpha, open_ends=True)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        member = candidates.categories
        cell, most = _cells(member)
        parts = []
        for users, block in _blocks(candidates, score, cell, _taste(candidates, member)):
            place, gain = self._choose(block, most, k)
            parts.append((users, place, gain))
        return _collect(candidates, k, parts)

    def _choose(self, block: _Block, most: int, k: int) -> tuple[IntArray, FloatArray]:
        lanes, width = block.place.shape
        n_categories = block.taste.shape[1]
        lane, step_size = np.arange(lanes), 1.0 / np.arange(1, most + 1)
        listed = np.zeros((lanes, n_categories))
        steps = min(k, width)
        chosen, gain = np.zeros((lanes, steps), dtype=np.int64), np.zeros((lanes, steps))
        worth = _worth(block, self.trade_off)
        own = np.where(block.taste > 0, block.taste * np.log(block.taste + 1e-300), 0.0).sum(
            axis=1
        )
        for step in range(steps):  # every lane takes its next item
            base, shift = self._terms(block.taste, listed, step_size, step)
            table = np.concatenate((shift.reshape(lanes, -1), np.zeros((lanes, 1))), axis=1)
            reached = base.sum(axis=1)[:, None] + _sum_of_cells(table, block.cell)
            value = worth - (1.0 - self.trade_off) * (own[:, None] - reached)
            best = value.argmax(axis=1)  # the first of equals has the higher score
            chosen[:, step], gain[:, step] = block.place[lane, best], value[lane, best]
            worth[lane, best] = -np.inf
            for column in block.cell[:, lane, best]:  # at most as many as an item has categories
                real = column < n_categories * most
                listed[lane[real], column[real] // most] += step_size[column[real] % most]
        return chosen, gain

    def _terms(
        self, taste: FloatArray, listed: FloatArray, step_size: FloatArray, n: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return `p log q~` of each category untouched, and what each kind of item adds to it."""
        share = (1.0 - self.alpha) / (n + 1)
        smooth = self.alpha * taste
        with np.errstate(divide="ignore", invalid="ignore"):
            base = np.where(taste > 0, taste * np.log(share * listed + smooth), 0.0)
            new = share * (listed[:, :, None] + step_size) + smooth[:, :, None]
            after = np.where(taste[:, :, None] > 0, taste[:, :, None] * np.log(new), 0.0)
        return base, after - base[:, :, None]
