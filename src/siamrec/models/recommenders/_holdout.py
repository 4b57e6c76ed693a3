"""Feedback held out of a training to watch the ranking of an arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy import sparse

    from siamrec.models.recommenders.histories import Histories
    from siamrec.typing import CodeArray, Float32Array

WATCHED = 1024  # people whose lists are measured after each pass
_DEPTH = 10


def hold_out(
    history: Histories, share: float, seed: int, *, positive: float | None = None
) -> tuple[Histories, sparse.csr_array | None]:
    """Return the histories without a random share of liked entries, and these.

    At least one entry of everybody stays; with nothing held out the second value is None.
    """
    owner = history.owner
    draw = np.random.default_rng((seed, 2)).random(owner.size)
    lowest = np.full(len(history), np.inf)
    np.minimum.at(lowest, owner, draw)
    held = (draw > 1.0 - share) & (draw > lowest[owner]) & history.is_liked(positive)
    if not held.any():
        return history, None
    return history.kept(~held), history.kept(held).value


def hold_out_latest(
    history: Histories, share: float, seed: int, *, positive: float | None = None
) -> tuple[Histories, sparse.csr_array | None]:
    """Return the histories without the last liked item of a share of people, and these items."""
    item, there = history.latest(1, positive)
    length = np.diff(history.value.indptr)
    chosen = np.random.default_rng((seed, 2)).random(len(history)) < share
    chosen &= there[:, 0] & (length > 1)
    if not chosen.any():
        return history, None
    owner = history.owner
    held = chosen[owner] & (history.value.indices == item[owner, 0])
    return history.kept(~held), history.kept(held).value


def watch(
    train: Histories,
    held: sparse.csr_array | None,
    score: Callable[[CodeArray, Histories], Float32Array],
) -> Callable[[], float] | None:
    """Return a function that measures NDCG@10 on what was held out; None without any.

    Args:
        train: What is left for training.
        held: What was held out.
        score: Scores of all items for users, given their codes and what is left of them.
    """
    if held is None:
        return None
    users = np.flatnonzero(np.diff(held.indptr))[:WATCHED].astype(np.int32)
    people, wanted = train.people(users), held[users].toarray() != 0
    seen = people.value.tocoo()
    discount = 1.0 / np.log2(np.arange(2, _DEPTH + 2))
    ideal = np.cumsum(discount)[np.minimum(wanted.sum(axis=1), _DEPTH) - 1]

    def ndcg() -> float:
        table = score(users, people)
        table[seen.row, seen.col] = -np.inf
        depth = min(_DEPTH, table.shape[1])
        best = np.argpartition(-table, depth - 1, axis=1)[:, :depth]
        best = np.take_along_axis(
            best, np.argsort(-np.take_along_axis(table, best, 1), axis=1, kind="stable"), 1
        )
        hits = np.take_along_axis(wanted, best, axis=1)
        return float(((hits * discount[:depth]).sum(axis=1) / ideal).mean())

    return ndcg
