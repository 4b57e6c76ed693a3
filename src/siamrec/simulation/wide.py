"""A made-up world that is wide and sparse: many users, many items, few events of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.clock import DAY
from siamrec.data import Feedback, FeedbackKind, Vocabulary

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, Instant, IntArray

_START: Instant = 1_704_067_200 * 10**9  # 2024-01-01T00:00Z, so that runs do not depend on today
_SPAN = 365


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WideWorld:
    """A recipe for clicks of a shop with a long tail: what most real logs look like.

    Items belong to small tastes, and their popularity falls as a power law. A user has a few
    tastes; each click is on an item of one of these, the popular ones first, or a stray one on
    any item by its popularity. The number of clicks of a user is 4 and more, of mean
    `events_per_user`. Nobody clicks an item twice.

    Args:
        n_users: Number of users, at least 2.
        n_items: Number of items, at least 20.
        events_per_user: Mean number of clicks, above 4.
        items_per_taste: Mean number of items of a taste, at least 2.
        tastes_per_user: Number of tastes of a user, at least 1.
        stray: Share of clicks that have nothing to do with taste, in [0, 1].
        exponent: Exponent of the power law of popularity; 0 makes all items alike.
        head: Items at the top that are about as popular, at least 1.

    Examples:
        >>> feedback = WideWorld(n_users=200, n_items=400).simulate(7)
        >>> len(feedback.users), len(feedback.items), feedback.has_time
        (200, 400, True)
    """

    n_users: int = 43_000
    n_items: int = 36_000
    events_per_user: float = 16.0
    items_per_taste: float = 40.0
    tastes_per_user: int = 4
    stray: float = 0.3
    exponent: float = 0.65
    head: float = 30.0

    def __post_init__(self) -> None:
        check.count("n_users", self.n_users, least=2)
        check.count("n_items", self.n_items, least=20)
        check.positive("events_per_user - 4", self.events_per_user - 4)
        check.positive("items_per_taste - 1", self.items_per_taste - 1)
        check.count("tastes_per_user", self.tastes_per_user)
        check.share("stray", self.stray)
        check.not_negative("exponent", self.exponent)
        check.positive("head", self.head)

    def simulate(self, rng: Chance) -> Feedback:
        """Return the clicks in order of time; the same generator state gives the same ones."""
        rng = generator(rng)
        weight = (self.head + np.arange(self.n_items)) ** -self.exponent
        popular: FloatArray = rng.permutation(weight / weight.sum()).astype(np.float64)
        n_tastes = max(1, round(self.n_items / self.items_per_taste))
        taste = np.sort(rng.integers(0, n_tastes, self.n_items))
        more = rng.gamma(1.0, self.events_per_user - 4.0, self.n_users)
        count = np.minimum(4 + rng.poisson(more), self.n_items // 2)
        user = np.repeat(np.arange(self.n_users), count)
        item = self._clicked(user, popular, taste, n_tastes, rng)
        _, first = np.unique(user * self.n_items + item, return_index=True)
        user, item = user[first], item[first]
        time = _START + rng.integers(0, _SPAN * DAY, user.size)
        order = np.argsort(time, kind="stable")
        return Feedback(
            users=Vocabulary(tuple(range(1, self.n_users + 1))),
            items=Vocabulary(tuple(range(1, self.n_items + 1))),
            user=user[order].astype(np.int32),
            item=item[order].astype(np.int32),
            value=np.ones(user.size, dtype=np.float32),
            kind=np.full(user.size, FeedbackKind.CLICK, dtype=np.int8),
            time=time[order],
            weight=np.ones(user.size, dtype=np.float32),
        )

    def _clicked(
        self,
        user: IntArray,
        popular: FloatArray,
        taste: IntArray,
        n_tastes: int,
        rng: np.random.Generator,
    ) -> IntArray:
        """Return the item of each click, drawn by popularity from one taste or from all."""
        reach = np.concatenate(([0.0], np.cumsum(popular)))
        start = np.searchsorted(taste, np.arange(n_tastes + 1))
        # users come to a taste as they come to its items
        size = reach[start[1:]] - reach[start[:-1]]
        own = rng.choice(n_tastes, (self.n_users, self.tastes_per_user), p=size / size.sum())
        drawn = own[user, rng.integers(0, self.tastes_per_user, user.size)]
        anywhere = rng.random(user.size) < self.stray
        low = np.where(anywhere, 0.0, reach[start[drawn]])
        high = np.where(anywhere, 1.0, reach[start[drawn + 1]])
        place = np.searchsorted(reach, low + (high - low) * rng.random(user.size), side="right")
        item: IntArray = np.clip(place - 1, 0, self.n_items - 1)
        return item
