"""Selectors that keep groups of items, such as makers, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import UnknownNameError
from siamrec.rerank._picks import Picks, in_order_of_score
from siamrec.rerank.base import Selector

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, IntArray

    Allowed = Callable[[list[int], int], set[int] | None]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPerGroup(Selector):
    """The best items by score, with at most `most` of one group in a list.

    Where the candidates do not allow a full list, the best of the rest fill it.

    Args:
        most: Items of one group that a list may hold, above 0.
    """

    name: ClassVar[str] = "max_per_group"

    most: int = 2

    def __post_init__(self) -> None:
        check.count("most", self.most)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        def full(groups: list[int], _rank: int) -> set[int]:
            return {group for group in groups if groups.count(group) >= self.most}

        return _greedy(candidates, score, k, refused=full)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindow(Selector):
    """The best items by score, with at most `most` of one group in any `window` places in a row.

    Where the candidates do not allow it, the best of the rest take the place.

    Args:
        window: Places that are looked at together, at least 2.
        most: Items of one group that they may hold, above 0.
    """

    name: ClassVar[str] = "sliding_window"

    window: int = 3
    most: int = 1

    def __post_init__(self) -> None:
        check.count("window", self.window, least=2)
        check.count("most", self.most)

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        def crowded(groups: list[int], _rank: int) -> set[int]:
            recent = groups[-(self.window - 1) :]
            return {group for group in recent if recent.count(group) >= self.most}

        return _greedy(candidates, score, k, refused=crowded)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas(Selector):
    """The best items by score, with a least share of some groups in every prefix of a list.

    After each place `r`, at least `floor(share r)` items of each group named in `least` have been
    taken, as far as the candidates go.

    Args:
        least: Least share of groups by name, each in [0, 1], together at most 1.

    References:
        Zehlike, Bonchi, Castillo, Hajian, Megahed, Baeza-Yates (2017), "FA*IR: a fair top-k
        ranking algorithm", CIKM (ranked group fairness, here without its test).
    """

    name: ClassVar[str] = "quotas"

    least: Mapping[Any, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for share in check.kind("least", self.least, Mapping).values():
            check.share("least", share)
        check.share("sum of least", sum(self.least.values()))

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        names, _ = candidates.groups
        for name in self.least:
            if name not in names:
                raise UnknownNameError("group", name, names)
        share = {names.index(name): value for name, value in self.least.items()}

        def short(groups: list[int], rank: int) -> set[int]:
            return {
                group
                for group, value in share.items()
                if groups.count(group) < int(np.floor(value * (rank + 1) + 1e-9))
            }

        return _greedy(candidates, score, k, asked=short)


def _greedy(
    candidates: Candidates,
    score: FloatArray,
    k: int,
    *,
    refused: Allowed | None = None,
    asked: Allowed | None = None,
) -> tuple[IntArray, FloatArray]:
    """Take the best place whose group is not refused, or is asked for if any is."""
    _, code = candidates.groups
    order, _ = in_order_of_score(candidates, score)
    group = code[candidates.item[order]]
    picks = Picks(candidates, k)
    for low, high in picks.users():  # each choice depends on the groups of those before
        queues = _Queues(group[low:high].tolist())
        taken: list[int] = []
        for rank in range(min(k, high - low)):
            wanted = asked(taken, rank) if asked else None
            shut = refused(taken, rank) if refused else None
            now = queues.next(wanted or None, shut or set())
            place = int(order[low + now])
            picks.add(place, float(score[place]))
            taken.append(int(group[low + now]))
    return picks.done()


@final
class _Queues:
    """The places of one user by group, each best first."""

    def __init__(self, groups: list[int]) -> None:
        self._waiting: dict[int, list[int]] = {}
        for rank in range(len(groups) - 1, -1, -1):
            self._waiting.setdefault(groups[rank], []).append(rank)

    def next(self, wanted: set[int] | None, shut: set[int]) -> int:
        """Take the best place of a wanted group, else of one that is not shut, else of any."""
        for choice in (
            [g for g in self._waiting if wanted and g in wanted],
            [g for g in self._waiting if g not in shut],
            list(self._waiting),
        ):
            open_ = [group for group in choice if self._waiting[group]]
            if open_:
                best = min(open_, key=lambda group: self._waiting[group][-1])
                return self._waiting[best].pop()
        raise AssertionError  # a place is asked for only while one is left
