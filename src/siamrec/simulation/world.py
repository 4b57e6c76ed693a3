"""A made-up world of people with tastes and stories with themes, for examples and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.clock import DAY, HOUR, MINUTE
from siamrec._core.table import Record
from siamrec.data import Catalog, Feedback, FeedbackKind, Vocabulary
from siamrec.errors import InvalidParameterError
from siamrec.simulation import _words

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, Instant, IntArray

_START: Instant = 1_704_067_200 * 10**9  # 2024-01-01T00:00Z, so that runs do not depend on today
_THEMES_PER_TASTE = 3
_MOST_TASTES = len(_words.THEMES) // _THEMES_PER_TASTE


@final
@dataclass(frozen=True, slots=True, repr=False)
class SimulatedWorld(Record):
    """What `World.simulate` made, with the truth that real data never shows.

    Attributes:
        feedback: Ratings from 0.5 to 5 in half steps, in time order.
        catalog: Items with generated texts, `theme` and `popularity` as attributes.
        theme: Theme of each item, int64, shape `(n_items,)`.
        taste: How much each user likes each theme, shape `(n_users, n_themes)`.
    """

    feedback: Feedback
    catalog: Catalog
    theme: IntArray
    taste: FloatArray

    @override
    def title(self) -> str:
        return f"Simulated world: {self.feedback.title()}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A recipe for simulated feedback whose texts carry the tastes of users.

    Every item tells a story of one theme, in words of that theme. Every user has one main
    taste; a taste unites themes that a language model has no reason to place together (say
    lighthouses, juries and trombones), so an encoder can only learn it from feedback. Few items
    are popular, most are not (a Zipf law); what a user meets depends on popularity and taste;
    the rating is the liking plus noise, on a scale of half stars. People come in sessions, at
    hours of their own.

    Args:
        n_users: Number of users, at least 2.
        n_items: Number of items, at least 24.
        ratings_per_user: Mean number of ratings of a user, above 0.
        n_tastes: Number of tastes, from 1 to 8.
        popularity_exponent: Exponent of the Zipf law of popularity; 0 makes all items alike.
        noise: Standard deviation of a rating around the liking, in stars.

    Examples:
        >>> import numpy as np
        >>> world = World(n_users=50, n_items=60).simulate(np.random.default_rng(7))
        >>> len(world.catalog), world.feedback.has_time
        (60, True)
    """

    n_users: int = 1200
    n_items: int = 600
    ratings_per_user: float = 40.0
    n_tastes: int = 8
    popularity_exponent: float = 0.8
    noise: float = 0.7

    def __post_init__(self) -> None:
        check.count("n_users", self.n_users, least=2)
        check.count("n_items", self.n_items, least=len(_words.THEMES))
        check.positive("ratings_per_user", self.ratings_per_user)
        if not 1 <= self.n_tastes <= _MOST_TASTES:
            raise InvalidParameterError("n_tastes", self.n_tastes, f"from 1 to {_MOST_TASTES}")
        check.not_negative("popularity_exponent", self.popularity_exponent)
        check.not_negative("noise", self.noise)

    def simulate(self, rng: Chance) -> SimulatedWorld:
        """Return one world; the same generator state gives the same world."""
        rng = generator(rng)
        themes = list(_words.THEMES)
        theme: IntArray = rng.permutation(np.arange(self.n_items) % len(themes))
        catalog = self._catalog(theme, rng)
        weight = (1.0 + np.arange(self.n_items)) ** -self.popularity_exponent
        popularity: FloatArray = rng.permutation(weight / weight.sum()).astype(np.float64)
        quality = rng.normal(0.0, 0.35, self.n_items)
        taste = self._taste(len(themes), rng)
        feedback = self._feedback(
            theme=theme,
            popularity=popularity,
            quality=quality,
            taste=taste,
            items=catalog.items,
            rng=rng,
        )
        catalog = Catalog(
            items=catalog.items,
            text=catalog.text,
            attributes={"theme": [themes[t] for t in theme], "popularity": popularity.tolist()},
        )
        return SimulatedWorld(feedback, catalog, theme, taste)

    def _taste(self, n_themes: int, rng: np.random.Generator) -> FloatArray:
        groups = rng.permutation(n_themes)[: self.n_tastes * _THEMES_PER_TASTE]
        owner = np.arange(groups.size) % self.n_tastes
        main = rng.integers(0, self.n_tastes, self.n_users)
        liking = rng.normal(-0.6, 0.4, (self.n_users, n_themes))
        liked = np.zeros((self.n_tastes, n_themes))
        liked[owner, groups] = 1.9
        return liking + liked[main]

    def _catalog(self, theme: IntArray, rng: np.random.Generator) -> Catalog:
        names = list(_words.THEMES)
        texts = [_story(_words.THEMES[names[t]], rng) for t in theme]
        ids = tuple(f"story-{number:04d}" for number in range(1, self.n_items + 1))
        return Catalog(items=Vocabulary(ids), text=tuple(texts))

    def _feedback(
        self,
        *,
        theme: IntArray,
        popularity: FloatArray,
        quality: FloatArray,
        taste: FloatArray,
        items: Vocabulary,
        rng: np.random.Generator,
    ) -> Feedback:
        counts = 4 + rng.poisson(self.ratings_per_user * rng.gamma(2.0, 0.5, self.n_users))
        counts = counts.clip(max=self.n_items // 2)
        users, shown = [], []
        for one, n_ratings in enumerate(counts):  # one draw without replacement for each user
            weight = np.log(popularity) + 0.9 * taste[one, theme]
            race = weight + rng.gumbel(size=self.n_items)
            shown.append(np.argpartition(-race, n_ratings)[:n_ratings])
            users.append(np.full(n_ratings, one))
        user = np.concatenate(users)
        item = np.concatenate([rng.permutation(part) for part in shown])
        stars = (
            3.3 + taste[user, theme[item]] + quality[item] + rng.normal(0, self.noise, user.size)
        )
        rating = (np.round(stars.clip(0.5, 5.0) * 2) / 2).astype(np.float32)
        order = np.argsort(time := _times(user, counts, rng), kind="stable")
        return Feedback(
            users=Vocabulary(tuple(f"person-{n:04d}" for n in range(1, self.n_users + 1))),
            items=items,
            user=user[order].astype(np.int32),
            item=item[order].astype(np.int32),
            value=rating[order],
            kind=np.full(user.size, FeedbackKind.RATING, dtype=np.int8),
            time=time[order],
            weight=np.ones(user.size, dtype=np.float32),
        )


def _times(user: IntArray, counts: IntArray, rng: np.random.Generator) -> IntArray:
    """Sessions of about six ratings: days over half a year, at the hours a person prefers."""
    hour = rng.choice([9, 13, 19, 22], counts.size)
    session = np.concatenate([np.sort(rng.integers(0, 1 + n // 6, n)) for n in counts])
    key, inverse = np.unique(user * 10_000 + session, return_inverse=True)
    day = rng.integers(0, 180, key.size)
    start = day * DAY + (hour[key // 10_000] * HOUR) + rng.integers(0, 2 * HOUR, key.size)
    within = rng.integers(0, 25 * MINUTE, user.size)
    times: IntArray = _START + start[inverse.reshape(-1)] + within
    return times


def _story(words: tuple[str, ...], rng: np.random.Generator) -> str:
    """Return a title and two sentences that use five different words of one theme."""
    one, two, three, four, five = rng.choice(words, 5, replace=False)
    mood, other = rng.choice(_words.MOODS, 2, replace=False)
    who, whom = rng.choice(_words.PEOPLE, 2, replace=False)
    deed, act = rng.choice(_words.DEEDS, 2, replace=False)
    return (
        f"The {mood.title()} {one.title()}. {who.capitalize()} {deed} the {two} and the {three}. "
        f"Then {whom} {act} a {other} {four}, and the {five} changes everything."
    )
