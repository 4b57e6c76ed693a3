"""What fills a list where arms have too little: the fallback, or items as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.errors import InvalidDataError
from siamrec.lifecycle._draft import Pool
from siamrec.lifecycle.recommendation import FALLBACK

if TYPE_CHECKING:
    from siamrec.lifecycle._filling import Ranked
    from siamrec.lifecycle._person import Person
    from siamrec.lifecycle._state import State
    from siamrec.lifecycle.eligibility import Shelf
    from siamrec.typing import BoolArray


@final
class Fallback:
    """The fallback of a release, and what becomes of one that fails."""

    def __init__(self, state: State, person: Person) -> None:
        self._state, self._person = state, person
        self.trouble = ""

    def __call__(self, free: BoolArray, k: int) -> Pool:
        release = self._state.release
        assert release is not None
        free = free[: len(release.items)]
        pool = Pool(np.empty(0, dtype=np.int64), np.empty(0))
        try:
            place = self._state.places[FALLBACK]
            pool = sound(self._person.ranked(release.fallback, place, free, k), free)
        except Exception as error:  # noqa: BLE001 - a fallback of whoever
            self.trouble = f"the fallback failed: {line_of(error)}"
        if pool.item.size:  # else it failed, or all that is left scores alike
            return pool
        item = np.flatnonzero(free)
        item = item[np.argsort(-release.popularity[item], kind="stable")][:k]
        return Pool(item, release.popularity[item])


def in_order(shelf: Shelf, best: int) -> Ranked:
    """Return what ranks items as they stand on the shelf, the first with the score `best`."""

    def ranked(free: BoolArray, k: int) -> Pool:
        item = np.flatnonzero(free[: shelf.n_ranked])[:k]
        return Pool(item, best - np.arange(item.size, dtype=np.float64))

    return ranked


def sound(pool: Pool, known: BoolArray) -> Pool:
    """Return the candidates that may be shown; an arm may have overlooked what it was told.

    Raises:
        siamrec.errors.InvalidDataError: If a score is not finite.
    """
    if not np.isfinite(pool.score).all():
        raise InvalidDataError("scores must be finite.")
    keep = known[pool.item]
    return Pool(pool.item[keep], pool.score[keep])


def line_of(error: Exception) -> str:
    """Return an error as one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
