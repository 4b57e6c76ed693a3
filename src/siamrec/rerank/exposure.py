"""Items that were shown little get a better chance; the counts are a value of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.clock import duration
from siamrec._core.table import Record, counted, day
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.rerank.base import Adjuster

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from siamrec.data.rankings import Rankings
    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, Instant


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ItemExposure(Record):
    """How much each item was shown, with old showings fading by forward decay.

    Two values of one half-life add in any order; the sum is what one value would have become.

    Args:
        items: Ids of the items.
        amount: Decayed exposure of each item at `time`, not negative, shape `(n_items,)`.
        time: Instant of the amounts, in nanoseconds.
        half_life: Time in which exposure halves, in nanoseconds; 0 never fades.

    Raises:
        siamrec.errors.InvalidDataError: If the amounts do not fit or are negative.

    References:
        Cormode, Shkapenyuk, Srivastava, Xu (2009), "Forward decay", ICDE.

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> lists = Rankings.from_lists({"ann": ["a", "b"]})
        >>> shown = ItemExposure.start(half_life="1d").plus(lists)
        >>> shown.items.ids, shown.amount.tolist()
        (('a', 'b'), [1.0, 1.0])
    """

    items: Vocabulary
    amount: FloatArray
    time: Instant = 0
    half_life: int = 0

    def __post_init__(self) -> None:
        amount = check.finite("amount", self.amount)
        if amount.shape != (len(self.items),) or (amount < 0).any():
            raise InvalidDataError(
                f"amount must hold {len(self.items)} numbers that are not negative, "
                f"got shape {amount.shape}."
            )
        object.__setattr__(self, "amount", check.frozen(amount, np.float64))
        object.__setattr__(self, "time", check.instant("time", self.time))

    @override
    def title(self) -> str:
        return f"Exposure of {counted(len(self.items), 'item')} as of {day(self.time)}"

    @classmethod
    def start(cls, *, half_life: str | timedelta | float | None = None) -> ItemExposure:
        """Return the exposure of nothing.

        Args:
            half_life: `"7d"`, a `timedelta` or seconds; without it, exposure never fades.
        """
        fade = 0 if half_life is None else duration("half_life", half_life)
        return cls(items=Vocabulary(), amount=np.empty(0), half_life=fade)

    @property
    def total(self) -> float:
        """Sum of all exposure."""
        return float(self.amount.sum())

    def at(self, time: Instant) -> ItemExposure:
        """Return the exposure at another instant."""
        time = check.instant("time", time)
        if not self.half_life or time == self.time or not self.total:
            return replace(self, time=time)
        faded = self.amount * 0.5 ** ((time - self.time) / self.half_life)
        return replace(self, amount=faded, time=time)

    def plus(
        self, shown: Rankings, *, time: Instant | None = None, by_rank: bool = False
    ) -> ItemExposure:
        """Return the exposure after some lists were shown.

        Args:
            shown: The lists.
            time: When they were shown; without it, the instant of this value.
            by_rank: Whether a place counts by `1 / log2(rank + 1)` instead of 1.
        """
        at = self.time if time is None else time
        weight = 1.0 / np.log2(shown.rank + 2.0) if by_rank else np.ones(shown.item.size)
        amount = np.bincount(shown.item, weight, minlength=len(shown.items)).astype(np.float64)
        batch = ItemExposure(items=shown.items, amount=amount, time=at, half_life=self.half_life)
        return self + batch

    def __add__(self, other: ItemExposure) -> ItemExposure:
        if self.half_life != other.half_life:
            raise InvalidDataError(
                f"Exposures must share a half-life, got {self.half_life} and {other.half_life}."
            )
        time = max(self.time, other.time)
        items = self.items.extend(other.items)
        amount = np.zeros(len(items))
        for part in (self.at(time), other.at(time)):
            amount[part.items.translate(items)] += part.amount
        return ItemExposure(items=items, amount=amount, time=time, half_life=self.half_life)

    def of(self, items: Vocabulary) -> FloatArray:
        """Return the exposure of other items' codes; 0 for an item that was never shown."""
        place = items.translate(self.items)
        amount = np.append(self.amount, 0.0)
        exposed: FloatArray = amount[place]  # -1 is the last: 0
        return exposed

    @override
    def to_json(self) -> str:
        """Return the value as JSON; ids must be texts or whole numbers."""
        return json.dumps(
            {
                "items": list(self.items.ids),
                "amount": self.amount.tolist(),
                "time": self.time,
                "half_life": self.half_life,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ItemExposure:
        """Return the value that `to_json` wrote.

        Raises:
            siamrec.errors.InvalidDataError: If the text is not such a value.
        """
        try:
            state = json.loads(text)
            return cls(
                items=Vocabulary(tuple(state["items"])),
                amount=np.array(state["amount"], dtype=np.float64),
                time=int(state["time"]),
                half_life=int(state["half_life"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDataError(f"text must be the JSON of an Exposure ({error}).") from error


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExposureCoverage(Adjuster):
    """Raise the scores of items that were shown little so far.

    `weight log((1 + T) / (1 + e_i)) / log(1 + T)` with `T` the total exposure and `e_i` that of
    the item; 0 while nothing was shown.

    Args:
        exposure: What was shown so far.
        weight: What an item that was never shown gets, not below 0.

    References:
        Antikacioglu and Ravi (2017), "Post processing recommender systems for diversity", KDD
        (aggregate coverage by re-ranking).
    """

    name: ClassVar[str] = "exposure_coverage"

    exposure: ItemExposure
    weight: float = 0.1

    def __post_init__(self) -> None:
        check.methods("exposure", self.exposure, ("total", "of"), what="an ItemExposure()")
        check.not_negative("weight", self.weight)

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        total = self.exposure.total
        if not total:
            return np.zeros(score.size)
        shown = self.exposure.of(candidates.rankings.items)
        share: FloatArray = 1.0 - np.log1p(shown) / np.log1p(total)
        return self.weight * share[candidates.item]


def in_turns(
    rerank: Callable[[Rankings, ItemExposure], Rankings],
    candidates: Rankings,
    exposure: ItemExposure,
    *,
    turns: int = 10,
    rng: Chance,
) -> tuple[Rankings, ItemExposure]:
    """Re-rank users in random turns, each of which sees what the turns before it were shown.

    Args:
        rerank: Makes lists from candidates and the exposure so far.
        candidates: Candidates of all users.
        exposure: What was shown before.
        turns: Number of turns.
        rng: Source of the order of users.

    Returns:
        The lists in the order of the candidates' users, and the exposure after them.
    """
    rng = generator(rng)
    check.count("turns", turns)
    turn = rng.permutation(len(candidates)) % turns
    parts = []
    for now in range(turns):
        chosen = turn == now
        part = candidates.places(np.flatnonzero(chosen[candidates.owner]))
        lists = rerank(part, exposure)
        exposure = exposure.plus(lists)
        parts.append(lists)
    return _joined(candidates, parts), exposure


def _joined(candidates: Rankings, parts: list[Rankings]) -> Rankings:
    """Return lists of disjoint users, all over one pair of vocabularies, in order of user."""
    owner = np.concatenate([part.owner for part in parts])
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(candidates))
    score = [part.score for part in parts if part.score is not None]
    return replace(
        parts[0],
        item=np.concatenate([part.item for part in parts])[order],
        start=np.concatenate(([0], counts.cumsum())),
        score=np.concatenate(score)[order] if len(score) == len(parts) else None,
        source=None,
        arms=(),
    )
