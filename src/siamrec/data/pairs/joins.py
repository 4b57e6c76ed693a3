"""Putting sets of pairs together over one table of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data.frames import NO_TIME
from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.data.pairs.columns import PairColumns, SplitUnit

_PLAIN = ("label", "weight", "origin", "time")


def joined(parts: Sequence[PairColumns]) -> dict[str, Any]:
    """Return the constructor arguments of all rows of `parts`, one after the other."""
    tables = {
        name: _union([_vocabulary(part, name) for part in parts])
        for name in ("texts", "users", "items")
    }
    columns: dict[str, list[npt.NDArray[Any]]] = {}
    for part in parts:
        moves = {name: _move(_vocabulary(part, name), table) for name, table in tables.items()}
        for name in _PLAIN:
            columns.setdefault(name, []).append(getattr(part, name))
        for name, table in _TABLE_OF.items():
            columns.setdefault(name, []).append(moves[table][getattr(part, name)])
        columns.setdefault("negatives", []).append(
            np.empty((len(part), 0), np.int32)
            if part.negatives is None
            else moves["texts"][part.negatives]
        )
    width = max(block.shape[1] for block in columns["negatives"])
    negatives = [_widened(block, width) for block in columns.pop("negatives")]
    return {
        "liked_time": _liked_time(parts),
        "split_by": _split_by(parts),
        "miner": _miner(parts),
        **{name: np.concatenate(blocks) for name, blocks in columns.items()},
        "negatives": np.concatenate(negatives) if width else None,
        "texts": tables["texts"].ids,
        "users": tables["users"],
        "items": tables["items"],
    }


_TABLE_OF = {
    "left": "texts",
    "right": "texts",
    "liked_text": "texts",
    "user": "users",
    "liked_user": "users",
    "left_item": "items",
    "right_item": "items",
}


def _liked_time(parts: Sequence[PairColumns]) -> npt.NDArray[np.int64]:
    return np.concatenate(
        [
            np.full(part.liked_user.size, NO_TIME) if part.liked_time is None else part.liked_time
            for part in parts
        ]
    )


def _split_by(parts: Sequence[PairColumns]) -> SplitUnit | None:
    """The unit that all parts were split by.

    Synthetic and replayed pairs are added to one side of a split and have no say; whoever trains
    proves anew that they share nothing with the other.
    """
    added = (PairOrigin.SYNTHETIC, PairOrigin.REPLAY)
    units = {part.split_by for part in parts if not np.isin(part.origin, added).all()}
    return units.pop() if len(units) == 1 else None


def _miner(parts: Sequence[PairColumns]) -> Any:
    """The recipe of all parts that have negatives, where they share one."""
    miners = {id(part.miner): part.miner for part in parts if part.negatives is not None}
    return miners.popitem()[1] if len(miners) == 1 else None


def _vocabulary(part: PairColumns, name: str) -> Vocabulary:
    table: Vocabulary = Vocabulary(part.texts) if name == "texts" else getattr(part, name)
    return table


def _union(tables: Sequence[Vocabulary]) -> Vocabulary:
    union = tables[0]
    for table in tables[1:]:
        union = union.extend(table.ids)
    return union


def _move(table: Vocabulary, target: Vocabulary) -> npt.NDArray[np.int32]:
    return np.append(table.translate(target), np.int32(UNKNOWN))


def _widened(block: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    return np.pad(block, ((0, 0), (0, width - block.shape[1])), constant_values=UNKNOWN)
