"""Filling one list: pins, what the arms offer, the fallback, quotas, what must be included."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, final

import numpy as np

from siamrec.lifecycle._draft import Pick, Pool
from siamrec.lifecycle.recommendation import FALLBACK, RULE

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from siamrec.lifecycle._ruling import Quotas, Ruling, Wanted
    from siamrec.lifecycle.eligibility import Gate
    from siamrec.typing import BoolArray

_MORE = 5
"""Candidates of the fallback for each place, where quotas may refuse some."""


class Blend(Protocol):
    """Shares places between arms."""

    def __call__(
        self, *, k: int, taken: AbstractSet[int], takes: Callable[[int], bool]
    ) -> list[Pick]:
        """Return at most `k` picks that are not taken and that the list takes."""


class Ranked(Protocol):
    """Ranks for everybody, where the arms have too little."""

    def __call__(self, free: BoolArray, k: int) -> Pool:
        """Return the best items among those that are free."""


class Filled(NamedTuple):
    """A list.

    Attributes:
        picks: From the first place on.
        enough: Whether the arms were enough.
        rules: What each rule moved.
        relaxed: Rules whose quotas were let go of.
    """

    picks: list[Pick]
    enough: bool
    rules: dict[str, tuple[str | int, ...]]
    relaxed: tuple[str, ...]


@final
class Filling:
    """Fills the places of one list.

    Args:
        gate: What may be shown; it has the last word.
        ruling: The rules in force.
        k: Length of the list.
        ranked: The fallback.
    """

    def __init__(self, gate: Gate, ruling: Ruling, k: int, ranked: Ranked) -> None:
        self._gate, self._ruling, self._k, self._ranked = gate, ruling, k, ranked
        self._free = ruling.unpinned(gate.left)

    def filled(self, blend: Blend | None) -> Filled:
        """Return the list.

        Args:
            blend: What the arms offer; None where no arm was drawn.
        """
        quotas = self._ruling.quotas()
        for code, _ in self._ruling.pins.values():
            quotas.count(code)
        n = self._k - len(self._ruling.pins)
        picks: list[Pick] = []
        relaxed: list[str] = []
        while True:
            if blend is not None:
                taken = {pick.item for pick in picks}
                picks += blend(k=n - len(picks), taken=taken, takes=quotas.take)
            if len(picks) < n:
                picks += self._from_fallback(picks, n - len(picks), quotas)
            gone = None if len(picks) == n else quotas.relax()
            if gone is None:
                break
            relaxed.append(gone)
        enough = len(picks) == n and all(pick.source != FALLBACK for pick in picks)
        for wanted in self._ruling.includes:
            self._include(wanted, picks, n, quotas)
        whole = self._with_pins(picks)
        shown = [pick for pick in whole if self._gate.left[pick.item]]
        rules = self._ruling.told([pick.item for pick in shown], quotas.refused)
        return Filled(shown, enough, rules, tuple(relaxed))

    def _from_fallback(self, picks: list[Pick], n: int, quotas: Quotas) -> list[Pick]:
        free = self._free.copy()
        free[[pick.item for pick in picks]] = False
        pool = self._ranked(free, n * _MORE if len(quotas) else n)
        found: list[Pick] = []
        for item, score in zip(pool.item.tolist(), pool.score.tolist(), strict=True):
            if len(found) == n:
                break
            if quotas.take(item):
                found.append(Pick(item, score, FALLBACK, {}))
        return found

    def _include(self, wanted: Wanted, picks: list[Pick], n: int, quotas: Quotas) -> None:
        """Put what must be included into the lowest places."""
        listed = [*(pick.item for pick in picks), *(c for c, _ in self._ruling.pins.values())]
        missing = wanted.least - int(np.count_nonzero(wanted.where[listed]))
        if missing <= 0:
            return
        open_ = self._free & wanted.where
        open_[listed] = False
        pool = self._ranked(open_, missing * _MORE if len(quotas) else missing)
        ranked = self._gate.shelf.n_ranked
        newest = np.flatnonzero(open_[ranked:])[::-1] + ranked  # no arm knows them yet
        for item in [*pool.item.tolist(), *newest.tolist()][: max(missing * _MORE, 1)]:
            if missing == 0:
                return
            fits = len(picks) < n and quotas.take(item)
            if not fits and not _made_room(item, wanted, picks, quotas):
                continue
            picks.append(Pick(item, 0.0, RULE, {}))
            self._ruling.moved[wanted.rule][item] = None
            missing -= 1

    def _with_pins(self, picks: list[Pick]) -> list[Pick]:
        """Return the list with pins at their places, or right after what there is."""
        rest = iter(picks)
        whole: list[Pick] = []
        for place in range(1, self._k + 1):
            if place in self._ruling.pins:
                code, rule = self._ruling.pins[place]
                whole.append(Pick(code, 0.0, RULE, {}))
                self._ruling.moved[rule][code] = None
            else:
                whole += islice(rest, 1)
        return whole


def _made_room(item: int, wanted: Wanted, picks: list[Pick], quotas: Quotas) -> bool:
    """Take out the lowest pick in whose stead an item fits; return whether there is one."""
    for place in reversed(range(len(picks))):
        each = picks[place]
        if each.source != RULE and not wanted.where[each.item] and quotas.swap(each.item, item):
            del picks[place]
            return True
    return False
