"""The contract of an arm: a frozen recipe, and the fitted value it returns.

An author writes two classes. The recipe holds settings and has `fit`; the fitted value holds
what was learned and has `score`. Everything else (ids, seen items, candidates, ties, short
lists, unknown people) is done once, here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from inspect import isabstract
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec._core.recipe import Recipe
from siamrec._core.table import Shown, Table, counted
from siamrec.data import Catalog, Feedback, FeedbackKind, Rankings, Vocabulary
from siamrec.data.liking import acted
from siamrec.errors import InvalidParameterError, MissingCapabilityError
from siamrec.models.recommenders._lists import best_answers, best_of, make_lists
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.models.recommenders.search import Range
    from siamrec.typing import BoolArray, CodeArray, Float32Array, FloatArray, Id, IntArray


class FittedRecommender(Shown):
    """What an arm has learned: ranks items for known users and for new histories.

    An author sets the three attributes and `capabilities`, and writes `score` and `save`.

    Attributes:
        users: Users of the training feedback.
        items: Items that can be ranked.
        history: What the training users did.
    """

    users: Vocabulary
    items: Vocabulary
    history: Histories

    @override
    def title(self) -> str:
        users, items = counted(len(self.users), "user"), counted(len(self.items), "item")
        return f"{type(self).__name__}: {users}, {items}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "users": len(self.users),
            "items": len(self.items),
            "seen": self.history.value.nnz,
            "capabilities": [str(each.name).lower() for each in self.capabilities],
            "members": self.members,
        }
        return Table.of(self.title(), facts)

    @property
    def capabilities(self) -> Capability:
        """What the arm can do; a class attribute where it is the same for all.

        `score` takes histories, so an arm ranks for anybody who has one; an arm that knows
        nobody but its training users says `Capability.RANKING` alone.
        """
        return Capability.RANKING | Capability.COLD_USER

    @abstractmethod
    def score(self, histories: Histories) -> Float32Array:
        """Return the score of every item for each history, shape `(n, n_items)`.

        An item that the arm cannot rank has the score minus infinity; NaN is an error.
        """

    members: tuple[str, ...] = ()
    """Names of the arms that this one is made of; empty where it is made of none."""

    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        """Return the scores, and the place in `members` of the arm that each comes from.

        An arm that takes each score from one of its members says so here, with places of the
        shape of the scores; the lists then carry it as `source`.
        """
        return self.score(histories), None

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write the arm to a folder as JSON and safetensors; nothing is half-written."""

    @final
    def recommend(
        self,
        users: Sequence[Id],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for users of the training feedback.

        Where the arm has nothing to say of a person, because all that can be shown scores alike,
        the list is by popularity, and `source` of the result tells so.

        Args:
            users: Ids of users.
            k: Longest list, at least 1; a list is shorter where fewer items are left.
            exclude_seen: Whether items with feedback of the user are left out.
            candidates: The only items to rank; None for all.
            deny: Items never to rank.

        Raises:
            siamrec.errors.UnknownNameError: If a user or candidate is unknown.
            siamrec.errors.InvalidParameterError: If `k` is not positive.
        """
        users = check.many("users", users)
        rows = self.users.encode(users, name="user")
        histories = self.history.people(rows)
        allowed = self._allowed(candidates, deny)
        names = Vocabulary(tuple(users))
        return self._ranked(histories, names, k=k, allowed=allowed, exclude_seen=exclude_seen)

    @final
    def recommend_for_history(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for people known by what they liked, in the order given.

        Items that the arm does not know are passed over; the people are numbered from 0. Each
        item counts as rated like the best of training, or as clicked where nothing was rated.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm ranks for training users only.
            siamrec.errors.InvalidParameterError: If `k` is not positive, or a history is not a
                list of ids.
        """
        self.require(Capability.COLD_USER)
        listed = [
            check.many(f"histories[{place}]", history)
            for place, history in enumerate(check.many("histories", histories, what="histories"))
        ]
        row = np.repeat(np.arange(len(listed)), [len(history) for history in listed])
        flat = [item for history in listed for item in history]
        column = self.items.encode(flat, unknown="code")
        place = np.flatnonzero(column >= 0)[::-1]  # of a repeated item the last counts
        pairs, latest = np.unique(
            np.stack([row, column], axis=1)[place].reshape(-1, 2), axis=0, return_index=True
        )
        shape = (len(listed), len(self.items))
        where = (pairs[:, 0], pairs[:, 1])
        kind, value = self._praise()
        return self._ranked(
            Histories(
                sparse.csr_array((np.full(len(pairs), value), where), shape=shape),
                sparse.csr_array((place[latest], where), shape=shape),
                kind=sparse.csr_array((np.full(len(pairs), kind), where), shape=shape),
            ),
            Vocabulary(tuple(range(len(listed)))),
            k=k,
            allowed=self._allowed(candidates, deny),
            exclude_seen=exclude_seen,
        )

    @final
    def recommend_for_feedback(
        self,
        feedback: Feedback,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for the users of `feedback`, known or not, by that feedback alone.

        Ratings count as in training. The lists follow the order of `feedback.users`.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm ranks for training users only.
            siamrec.errors.InvalidDataError: If events weigh differently and the arm has no place
                for that.
        """
        self.require(Capability.COLD_USER)
        histories = self._taken_in(feedback, check.kind("feedback", feedback, Feedback).users)
        return self._ranked(
            histories,
            feedback.users,
            k=k,
            allowed=self._allowed(candidates, deny),
            exclude_seen=exclude_seen,
        )

    @final
    def best(
        self, histories: Histories, *, k: int, allowed: BoolArray, exclude_seen: bool = True
    ) -> tuple[IntArray, FloatArray]:
        """Return codes and scores of the `k` best allowed items for one person.

        What the person has met is left out where `exclude_seen` says so.

        Both are empty where the arm has nothing to say, because all items score alike.
        """
        return best_of(self, histories, k=k, allowed=allowed, exclude_seen=exclude_seen)

    def score_query(self, query: str) -> Float32Array:
        """Return the score of every item for the text of a query, shape `(n_items,)`.

        An item that the arm cannot rank has the score minus infinity.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm answers no queries.
        """
        _ = query
        raise self._lacks(Capability.QUERY)

    @final
    def best_for_query(
        self, query: str, *, k: int, allowed: BoolArray
    ) -> tuple[IntArray, FloatArray]:
        """Return codes and scores of the `k` best allowed items for the text of a query.

        Both are empty where the arm has nothing to say, because all items score alike.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm answers no queries.
        """
        return best_answers(self, query, k=k, allowed=allowed)

    def predict(
        self,
        users: Sequence[Id],
        items: Sequence[Id],
        *,
        time: npt.ArrayLike | None = None,
        unknown: str = "error",
    ) -> FloatArray:
        """Return the rating that each user would give the item of the same place.

        Args:
            users: Ids of users, one for each pair.
            items: Ids of items, one for each pair.
            time: Instant of each rating in nanoseconds, for arms that look at it; None is the
                end of training.
            unknown: `"error"`, or `"fallback"` to predict what is known of the pair without the
                unknown user or item; `knows` tells where that was done.

        Returns:
            Ratings within the range of training, float64, shape `(n,)`.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm does not predict ratings.
            siamrec.errors.UnknownNameError: If a user or item is unknown.
        """
        _ = users, items, time, unknown
        raise self._lacks(Capability.RATINGS)

    @final
    def knows(self, users: Sequence[Id], items: Sequence[Id]) -> BoolArray:
        """Return for each pair whether user and item are from training, shape `(n,)`."""
        user = self.users.encode(users, unknown="code", name="user")
        item = self.items.encode(items, unknown="code", name="item")
        check.same_length(users=user, items=item)
        known: BoolArray = (user >= 0) & (item >= 0)
        return known

    def update(self, feedback: Feedback) -> FittedRecommender:
        """Return the arm with more feedback taken into what people did.

        Approximate unless the arm has `INCREMENTAL_EXACT`: what was learned about items stays,
        new people are folded in, and feedback on new items waits for the next fit.

        Args:
            feedback: Further events; of a repeated user and item the one later in time counts,
                in whatever order events are brought.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm ranks for training users only.
            siamrec.errors.InvalidDataError: If events weigh differently and the arm has no place
                for that.
        """
        self.require(Capability.COLD_USER)
        newer = copy(self)
        newer.users = self.users.extend(check.kind("feedback", feedback, Feedback).users)
        newer.history = self.history.extended(self._taken_in(feedback, newer.users))
        return newer

    def _taken_in(self, feedback: Feedback, users: Vocabulary) -> Histories:
        """Return what `users` did, as far as the arm can count it."""
        histories = Histories.of(feedback, users, self.items)
        if Capability.WEIGHTS in self.capabilities:
            return histories
        return histories.require_even(type(self).__name__)

    def _praise(self) -> tuple[np.int8, np.float32]:
        """Return kind and value of an event that likes an item as much as any of training."""
        ratings = self.history.ratings.value.data
        if ratings.size or not self.history.value.nnz:
            best = ratings.max(initial=-np.inf) if ratings.size else 5.0
            return np.int8(FeedbackKind.RATING), np.float32(best)
        return np.int8(FeedbackKind.CLICK), np.float32(1.0)

    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        """Return the `k` items most like `item`, with their similarity, best first.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm knows no similarity.
        """
        _ = item, k
        raise self._lacks(Capability.SIMILAR)

    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        """Return the `n` seen items that add most to the score of `item`, with what they add.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm cannot explain its scores.
        """
        _ = user, item, n
        raise self._lacks(Capability.EXPLAIN)

    @final
    def explain_for_feedback(
        self, feedback: Feedback, item: Id, *, n: int = 5
    ) -> list[tuple[Id, float]]:
        """Return what `explain` would say of somebody, known or not, by that feedback alone.

        Raises:
            siamrec.errors.MissingCapabilityError: If the arm cannot explain its scores.
            siamrec.errors.InvalidParameterError: If the feedback is not of one user.
        """
        self.require(Capability.EXPLAIN)
        users = check.kind("feedback", feedback, Feedback).users
        if len(users) != 1:
            raise InvalidParameterError("feedback", feedback, "of one user")
        alone = copy(self)
        alone.users, alone.history = users, self._taken_in(feedback, users)
        return alone.explain(users.ids[0], item, n=n)

    @final
    def require(self, capability: Capability) -> None:
        """Refuse what the arm cannot do.

        Raises:
            siamrec.errors.MissingCapabilityError: If it lacks `capability`; the message names
                the recipes that have it.
        """
        if capability not in self.capabilities:
            raise self._lacks(capability)

    def _known(self, histories: Histories) -> CodeArray:
        """Return the training user of each row, for arms that know nobody else."""
        if histories.user is None or (histories.user < 0).any():
            raise self._lacks(Capability.COLD_USER)
        return histories.user

    def _lacks(self, capability: Capability) -> MissingCapabilityError:
        able = [recipe.__name__ for recipe in known_recipes() if capability in recipe.capabilities]
        # A dataclass with slots replaces its class, so that most are found twice.
        return MissingCapabilityError(
            type(self).__name__, str(capability.name), dict.fromkeys(able)
        )

    def _allowed(self, candidates: Sequence[Id] | None, deny: Sequence[Id]) -> BoolArray:
        allowed = np.ones(len(self.items), dtype=bool)
        if candidates is not None:
            allowed[:] = False
            listed = check.many("candidates", candidates)
            allowed[self.items.encode(listed, name="candidate item")] = True
        denied = self.items.encode(check.many("deny", deny), unknown="code", name="denied item")
        allowed[denied[denied >= 0]] = False
        return allowed

    def _ranked(
        self,
        histories: Histories,
        users: Vocabulary,
        *,
        k: int,
        allowed: BoolArray,
        exclude_seen: bool,
    ) -> Rankings:
        return make_lists(self, histories, users, k=k, allowed=allowed, exclude_seen=exclude_seen)

    def few_scores(self, histories: Histories) -> sparse.csr_array | None:
        """Return the scores as sparse rows where most are 0, so that 0 is not worked out.

        None where they are not few. Every number must equal that of `score`.
        """
        _ = histories
        return None


class RecommenderRecipe(Recipe, ABC):
    """Settings of an arm; fitting returns a new value and leaves the recipe untouched.

    Leaves are frozen keyword-only dataclasses.
    """

    capabilities: ClassVar[Capability] = Capability.RANKING
    """What every fitted arm of this kind can do; some can do more."""

    search_space: ClassVar[Mapping[str, Range]] = {}
    """Ranges worth searching, by the name of the setting; empty where nothing needs tuning."""

    doors: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "fit": {"feedback": Feedback, "catalog": Catalog}
    }
    taken: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"feedback": acted}
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @abstractmethod
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRecommender:
        """Return the arm fitted to `feedback`.

        Args:
            feedback: Training events.
            catalog: Items with texts and attributes, for arms that use them.
        """


def known_recipes() -> list[type[RecommenderRecipe]]:
    """Return every recipe that is imported, those of plugins included.

    One class may stand there twice, since slots make a class anew.
    """
    found: list[type[RecommenderRecipe]] = RecommenderRecipe.__subclasses__()
    for recipe in found:
        found.extend(recipe.__subclasses__())
    return [recipe for recipe in found if not isabstract(recipe)]
