"""How several arms share one list: by turns, or by weighted scores."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siamrec._core.hashing import uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from siamrec.typing import FloatArray, IntArray


class Pool(NamedTuple):
    """Candidates of one arm, best first: codes of items and their scores."""

    item: IntArray
    score: FloatArray


class Pick(NamedTuple):
    """One place of a list."""

    item: int
    score: float
    source: str
    shares: Mapping[str, float]


def drafted(
    pools: Mapping[str, Pool],
    *,
    k: int,
    id_: str,
    taken: AbstractSet[int] = frozenset(),
    takes: Callable[[int], bool] = lambda _item: True,
) -> list[Pick]:
    """Return a list for which arms take turns.

    In each round every arm picks its best item that is not taken, in an order that is drawn anew
    for each round from the hash of the decision's id; so arms have equally many places, give or
    take one. An item that several arms offer belongs to the arm that picked it.

    Args:
        pools: Candidates of each arm.
        k: Length of the list; it is shorter where the arms have nothing left.
        id_: Id of the decision.
        taken: Items that are in the list already.
        takes: Says whether the list takes an item, and counts it in if it does.

    References:
        Radlinski, Kurup, Joachims (2008), "How does clickthrough data reflect retrieval
        quality?", CIKM: team drafts.

    Examples:
        >>> pools = {
        ...     "a": Pool(np.array([1, 2, 3]), np.array([3.0, 2.0, 1.0])),
        ...     "b": Pool(np.array([1, 4]), np.array([9.0, 8.0])),
        ... }
        >>> sorted((pick.item, pick.source) for pick in drafted(pools, k=2, id_="r1"))
        [(1, 'a'), (4, 'b')]
    """
    waiting = {arm: _rows(pool) for arm, pool in pools.items()}
    gone = set(taken)
    picks: list[Pick] = []
    turn = 0
    while waiting and len(picks) < k:
        order = sorted(waiting, key=lambda arm: uniform(f"{id_}|{turn}|{arm}", "draft"))
        turn += 1
        for arm in order:
            if len(picks) == k:
                break
            for item, score in waiting[arm]:
                if item not in gone and takes(item):
                    gone.add(item)
                    picks.append(Pick(item, score, arm, {}))
                    break
            else:
                del waiting[arm]
    return picks


def weighted(
    pools: Mapping[str, Pool],
    weights: Mapping[str, float],
    *,
    k: int,
    taken: AbstractSet[int] = frozenset(),
    takes: Callable[[int], bool] = lambda _item: True,
) -> list[Pick]:
    """Return the items with the greatest sums of weighted scores.

    Scores of each arm are brought to [0, 1] first. The source of an item is the arm that adds
    most; `shares` has what each arm adds, as parts of one.

    Args:
        pools: Candidates of each arm.
        weights: Weight of each arm; they need not sum to 1.
        k: Length of the list.
        taken: Items that are in the list already.
        takes: Says whether the list takes an item, and counts it in if it does.

    Examples:
        >>> pools = {
        ...     "a": Pool(np.array([1, 2]), np.array([3.0, 1.0])),
        ...     "b": Pool(np.array([2, 1]), np.array([9.0, 8.0])),
        ... }
        >>> [(pick.item, pick.source) for pick in weighted(pools, {"a": 0.7, "b": 0.3}, k=2)]
        [(1, 'a'), (2, 'b')]
    """
    total = sum(weights[arm] for arm in pools) or 1.0
    parts: dict[int, dict[str, float]] = {}
    for arm, pool in pools.items():
        part = weights[arm] / total
        for item, score in zip(pool.item.tolist(), scaled(pool.score).tolist(), strict=True):
            parts.setdefault(item, {})[arm] = part * score
    sums = {item: sum(added.values()) for item, added in parts.items()}
    order = sorted(sums, key=lambda item: (-sums[item], item))
    best = list(islice((item for item in order if item not in taken and takes(item)), k))
    return [
        Pick(item, sums[item], max(parts[item], key=parts[item].__getitem__), _shares(parts[item]))
        for item in best
    ]


def _rows(pool: Pool) -> Iterator[tuple[int, float]]:
    return zip(pool.item.tolist(), pool.score.tolist(), strict=True)


def scaled(score: FloatArray) -> FloatArray:
    """Return scores in [0, 1]; the last candidate of a long pool is still worth something."""
    low, high = score.min(initial=np.inf), score.max(initial=-np.inf)
    width = high - low
    scaled: FloatArray = (score - low) / width if width > 0 else np.ones_like(score)
    return scaled


def _shares(added: Mapping[str, float]) -> dict[str, float]:
    total = sum(added.values())
    if total == 0:
        return {arm: 1 / len(added) for arm in added}
    return {arm: part / total for arm, part in added.items()}


def drawn(weights: Mapping[str, float], *, n: int, id_: str, salt: str) -> tuple[
    tuple[str, ...], tuple[float, ...]
]:  # fmt: skip
    """Return `n` different arms drawn by weights, with the probability of each draw.

    Rank by rank, among the arms not drawn yet; the draw is a hash of the id.

    Args:
        weights: Weight of each eligible arm, at least `n` of them above 0.
        n: Number of arms.
        id_: Id of the decision.
        salt: Salt of the draws.

    Examples:
        >>> drawn({"a": 1.0, "b": 0.0}, n=1, id_="r1", salt="s")
        (('a',), (1.0,))
    """
    left = {arm: weight for arm, weight in weights.items() if weight > 0}
    arms: list[str] = []
    chances: list[float] = []
    for rank in range(min(n, len(left))):
        names: Sequence[str] = list(left)
        edges = np.cumsum(list(left.values()))
        point = uniform(f"{id_}#{rank}" if rank else id_, salt) * edges[-1]
        place = min(int(np.searchsorted(edges, point, side="right")), len(names) - 1)
        arms.append(names[place])
        chances.append(left.pop(names[place]) / float(edges[-1]))
    return tuple(arms), tuple(chances)
