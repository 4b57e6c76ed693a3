"""Probabilistic interleaving: every list is possible, and credit is shared by likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import uniform
from siamrec._core.table import Shown, Table, counted, number
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments.interleaving.deterministic import request_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from siamrec.typing import BoolArray, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class SharedList(Shown):
    """A list whose items are credited to all rankers by how likely each was to place them.

    Attributes:
        items: The list, best first, without repeats.
        shares: For each item, the probability that each ranker placed it, given the list.
    """

    items: tuple[Hashable, ...]
    shares: tuple[tuple[float, ...], ...]

    @override
    def title(self) -> str:
        return f"Shared list of {counted(len(self.items), 'item')}"

    @override
    def table(self) -> Table:
        """Return the items with the share of each team."""
        rows = tuple(
            (str(item), ", ".join(map(number, shares)))
            for item, shares in zip(self.items, self.shares, strict=True)
        )
        return Table(head=("item", "shares"), rows=rows, title=self.title())

    def credit(self, clicked: Sequence[Hashable]) -> tuple[float, ...]:
        """Return the credit of each ranker: the sum of its shares of the items clicked.

        Items clicked twice count once; items that were not shown are left out.
        """
        share = dict(zip(self.items, self.shares, strict=True))
        hits = [share[item] for item in dict.fromkeys(clicked) if item in share]
        n_teams = len(self.shares[0]) if self.shares else 0
        return tuple(np.array(hits).reshape(-1, n_teams).sum(axis=0).tolist())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilisticInterleaving:
    """Draws every place from a randomly chosen ranker's softened ranking.

    A ranker takes the item at its rank r with probability proportional to `1 / r^tau` among the
    items not placed yet (its ranks close up). Credit does not follow the coin that was thrown but
    the probability that each ranker would have placed the item, which removes the noise of the
    coin; all lists are possible, so that a comparison cannot be biased by lists that cannot occur.

    Args:
        tau: Steepness, above 0; 3 as published.
        salt: Changes every draw.

    Raises:
        InvalidParameterError: If tau is not above 0.

    References:
        Hofmann, Whiteson, de Rijke (2011), CIKM: a probabilistic method for inferring preferences
        from clicks.

    Examples:
        >>> shown = ProbabilisticInterleaving().interleave("r1", ["a", "b"], ["b", "c"], k=2)
        >>> [round(sum(share), 9) for share in shown.shares]
        [1.0, 1.0]
    """

    tau: float = 3.0
    salt: str = ""

    def __post_init__(self) -> None:
        check.positive("tau", self.tau)

    def interleave(self, request: str | int, *rankings: Sequence[Hashable], k: int) -> SharedList:
        """Return one list of at most k items.

        Args:
            request: Id of the request; the same one gives the same list.
            rankings: Two or more lists without repeats, best first. An item that a ranker does
                not have is never placed by it.
            k: Length of the list.

        Raises:
            InvalidDataError: If a ranking repeats an item.
            InvalidParameterError: If there are fewer than two rankings, k is below 1, or the
                request is neither text with a UTF-8 form nor a whole number.
        """
        if len(rankings) < 2:
            raise InvalidParameterError("rankings", len(rankings), "two or more")
        check.count("k", k)
        request = request_text(request)
        for team, ranking in enumerate(rankings):
            if len(set(ranking)) != len(ranking):
                raise InvalidDataError(f"Ranking {team} must not repeat items.")
        items = list(dict.fromkeys(item for ranking in rankings for item in ranking))
        place = {item: number for number, item in enumerate(items)}
        orders = [
            np.array([place[item] for item in ranking], dtype=np.int64) for ranking in rankings
        ]
        left = np.ones(len(items), dtype=np.bool_)
        chosen: list[int] = []
        shares: list[tuple[float, ...]] = []
        while len(chosen) < min(k, len(items)):
            table = np.stack([self._softened(order, left) for order in orders])
            open_ = table.sum(axis=1) > 0
            mixture = table[open_].mean(axis=0)
            draw = uniform(f"{request}|{len(chosen)}", f"probabilistic|{self.salt}")
            edges = np.cumsum(mixture)
            item = int(np.searchsorted(edges, draw * edges[-1], side="right"))
            chosen.append(item)
            left[item] = False
            likely = table[:, item]
            shares.append(tuple((likely / likely.sum()).tolist()))
        return SharedList(tuple(items[item] for item in chosen), tuple(shares))

    def _softened(self, order: IntArray, left: BoolArray) -> FloatArray:
        """Return the probability of each item under one ranker, given what is left."""
        chance = np.zeros(left.size)
        still = order[left[order]] if order.size else order
        if still.size:
            weight = 1.0 / np.arange(1, still.size + 1) ** self.tau
            chance[still] = weight / weight.sum()
        return chance
