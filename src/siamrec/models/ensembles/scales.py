"""Scores of different arms on one scale, person by person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from siamrec.typing import Float32Array

__all__ = ["SCALES", "Scale", "rescaled"]

Scale: TypeAlias = Literal["z", "minmax", "rank", "rrf"]
SCALES: tuple[Scale, ...] = ("z", "minmax", "rank", "rrf")
_RRF = 60.0
"""Cormack, Clarke, Büttcher (2009), SIGIR."""


def rescaled(table: Float32Array, scale: Scale) -> Float32Array:
    """Return the scores of one arm on a common scale.

    `z` is `(s − mean) / sd` over the items of a person, `minmax` `(s − min) / (max − min)`,
    `rank` `1 − (rank − 1) / n_items`, and `rrf` `61 / (60 + rank)`, which counts little beyond the
    first places. Equal scores share the better rank. An item that the arm cannot rank stands
    where the worst one does; scores that are all alike say nothing and become 0.

    Args:
        table: Scores, minus infinity where there is none, shape `(n, n_items)`.
        scale: `"z"`, `"minmax"`, `"rank"` or `"rrf"`.

    Examples:
        >>> scores = np.array([[3.0, 1.0, 2.0, -np.inf]], dtype=np.float32)
        >>> rescaled(scores, "minmax").tolist()
        [[1.0, 0.0, 0.5, 0.0]]
        >>> rescaled(scores, "rank").tolist()
        [[1.0, 0.5, 0.75, 0.5]]
    """
    known = np.isfinite(table)
    least = np.min(table, axis=1, where=known, initial=np.inf, keepdims=True)
    most = np.max(table, axis=1, where=known, initial=-np.inf, keepdims=True)
    flat = ~(most > least)
    filled = np.where(known, table, np.where(np.isfinite(least), least, 0.0))
    if scale == "z":
        n = np.maximum(known.sum(axis=1, keepdims=True), 1)
        mean = np.sum(table, axis=1, where=known, keepdims=True, dtype=np.float64) / n
        gap = filled - mean
        spread = np.sqrt(np.sum(gap * gap, axis=1, where=known, keepdims=True) / n)
        scaled = gap / np.where(spread > 0, spread, 1.0)
    elif scale == "minmax":
        scaled = (filled - np.where(flat, 0.0, least)) / np.where(flat, 1.0, most - least)
    else:
        rank = _ranks(filled)
        scaled = 1 - (rank - 1) / table.shape[1] if scale == "rank" else (_RRF + 1) / (_RRF + rank)
    result: Float32Array = np.where(flat, 0.0, scaled).astype(np.float32)
    return result


def _ranks(table: Float32Array) -> Float32Array:
    """Return ranks from 1, the best of them for equal scores, shape `(n, n_items)`."""
    order = np.argsort(-table, axis=1, kind="stable")
    falling = np.take_along_axis(table, order, axis=1)
    place = np.broadcast_to(np.arange(1, table.shape[1] + 1), table.shape)
    first = np.ones_like(falling, dtype=bool)
    first[:, 1:] = falling[:, 1:] < falling[:, :-1]
    shared = np.maximum.accumulate(np.where(first, place, 0), axis=1)
    ranks = np.empty(table.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, shared.astype(np.float32), axis=1)
    return ranks
