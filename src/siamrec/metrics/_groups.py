"""Users in a few groups by their id, the same ones on every machine, for the jackknife."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.hashing import uniforms

if TYPE_CHECKING:
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.typing import IntArray

N_GROUPS = 20
_SALT = "siamrec.metrics.groups"


def groups_of(users: Vocabulary) -> IntArray:
    """Return the group of each user, in `[0, N_GROUPS)`, from the id alone."""
    ids = users.ids
    if ids and all(type(id_) is int for id_ in ids):
        try:
            mixed = _mixed(np.array(ids, dtype=np.int64).view(np.uint64))
        except OverflowError:
            mixed = None
        if mixed is not None:
            return (mixed % np.uint64(N_GROUPS)).astype(np.int64)
    chance = uniforms((str(id_) for id_ in ids), _SALT)
    return (chance * N_GROUPS).astype(np.int64)


def _mixed(bits: np.typing.NDArray[np.uint64]) -> np.typing.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit depends on every bit."""
    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))
