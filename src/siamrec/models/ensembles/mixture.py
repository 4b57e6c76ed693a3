"""A bandit that chooses among fitted arms, list by list, and learns from clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted
from siamrec.data import Rankings, Rewards, Vocabulary
from siamrec.errors import InvalidParameterError
from siamrec.experiments import TeamDraft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data import Decision, Decisions
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.protocols import Bandit
    from siamrec.typing import Id


@final
@dataclass(frozen=True, slots=True, repr=False)
class Mixed(Record):
    """One list and the decision it came from.

    Attributes:
        decision: The bandit's choice, with propensities.
        rankings: The list of the one user; `source` names the arm of each item.
    """

    decision: Decision
    rankings: Rankings

    @override
    def title(self) -> str:
        return f"{self.decision.title()}; {self.rankings.title()}"

    @property
    def items(self) -> tuple[Id, ...]:
        """The list, best first."""
        return tuple(self.rankings.items.decode(self.rankings.item))

    @property
    def sources(self) -> tuple[str, ...]:
        """The arm that each item is credited to."""
        assert self.rankings.source is not None
        return tuple(self.rankings.arms[place] for place in self.rankings.source.tolist())

    def rewards(self, clicked: Sequence[Id]) -> Rewards:
        """Return 1 for each chosen arm with a clicked item of its own, 0 for the others.

        An arm none of whose items was shown gets no reward: nothing was learned about it.
        """
        owner = dict(zip(self.items, self.sources, strict=True))
        won = {owner[item] for item in check.many("clicked", clicked) if item in owner}
        shown = tuple(arm for arm in self.decision.arms if arm in set(owner.values()))
        return Rewards(
            decision=np.array([self.decision.id] * len(shown), dtype=np.str_),
            reward=np.array([float(arm in won) for arm in shown]),
            arm=shown,
        )


@final
class BanditMixture(Shown):
    """Fitted arms behind a bandit.

    With `n = 1` a list comes whole from the arm that the bandit chose. With more, the chosen arms
    share the list by team draft, and each learns from its own items. Every decision carries the
    exact propensities of its arms, so that the log can be evaluated off-policy.

    Args:
        bandit: A bandit over the names of the arms.
        arms: Fitted arms by name.

    Raises:
        siamrec.errors.InvalidParameterError: If the names differ from the bandit's arms.

    Examples:
        >>> from siamrec.bandits import BetaThompson, ContextualBandit
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import EASE, Popularity
        >>> feedback = Feedback.of(user=["ann", "ann", "bob", "bob"], item=["x", "y", "x", "z"])
        >>> arms = {"ease": EASE(l2=1.0).fit(feedback), "popularity": Popularity().fit(feedback)}
        >>> bandit = ContextualBandit(BetaThompson(), arms=("ease", "popularity"), seed=7)
        >>> mixture = BanditMixture(bandit, arms)
        >>> shown = mixture.recommend("ann", k=1)
        >>> shown.items, shown.sources == shown.decision.arms
        (('z',), True)
        >>> mixture.learn(shown, clicked=["z"]).applied
        1
    """

    def __init__(self, bandit: Bandit, arms: Mapping[str, FittedRecommender]) -> None:
        check.methods("bandit", bandit, ["arms", "select", "learn"], what="a bandit")
        for name, arm in check.kind("arms", arms, Mapping).items():
            check.methods(f"arms[{name!r}]", arm, ["users", "recommend"], what="a fitted arm")
        if set(bandit.arms) != set(arms):
            raise InvalidParameterError("arms", tuple(arms), f"those of the bandit: {bandit.arms}")
        self.bandit, self.arms = bandit, {name: arms[name] for name in bandit.arms}
        self._names = tuple(self.arms)

    @override
    def title(self) -> str:
        return f"Mixture of {counted(len(self.arms), 'arm')} by a bandit"

    @override
    def table(self) -> Table:
        """Return one row for each arm."""
        rows = ((name, len(arm.users), len(arm.items)) for name, arm in self.arms.items())
        return Table(head=("arm", "users", "items"), rows=tuple(rows), title=self.title())

    def recommend(
        self,
        user: Id,
        context: Mapping[str, Any] | None = None,
        *,
        k: int = 10,
        n: int = 1,
        **filters: Any,
    ) -> Mixed:
        """Return one list for a user of the training feedback.

        Args:
            user: Id of the user.
            context: Context of the decision.
            k: Longest list.
            n: Number of arms that share the list.
            filters: `exclude_seen`, `candidates` and `deny`, as arms take them.

        Raises:
            siamrec.errors.UnknownNameError: If the user is unknown, or a level of the context.
        """
        check.count("k", k)
        for arm in self.arms.values():  # before a decision is made and logged
            arm.users.encode([user], name="user")
        decision = self.bandit.select(context or {}, n=n, unit=str(user))
        lists = [
            self.arms[name].recommend([user], k=k, **filters).lists()[user]
            for name in decision.arms
        ]
        place = [self._names.index(name) for name in decision.arms]
        if n == 1:
            items, source = tuple(lists[0]), [place[0]] * len(lists[0])
        else:
            drafted = TeamDraft().interleave(decision.id, *lists, k=k)
            items, source = drafted.items, [place[team] for team in drafted.teams]
        names = Vocabulary(tuple(items))
        return Mixed(
            decision,
            Rankings(
                users=Vocabulary((user,)),
                items=names,
                item=np.arange(len(items), dtype=np.int32),
                start=np.array([0, len(items)]),
                source=np.array(source, dtype=np.int32),
                arms=self._names,
            ),
        )

    def recommend_many(
        self,
        users: Sequence[Id],
        contexts: Sequence[Mapping[str, Any]] | None = None,
        *,
        k: int = 10,
        **filters: Any,
    ) -> tuple[Rankings, Decisions]:
        """Return one list for each user, each from one arm, and the decisions in their order."""
        check.count("k", k)
        users = check.many("users", users)
        for arm in self.arms.values():
            arm.users.encode(users, name="user")
        decisions = self.bandit.select_many([{} for _ in users] if contexts is None else contexts)
        parts: dict[Id, list[Id]] = {}
        for code, name in enumerate(decisions.arms):
            rows = np.flatnonzero(decisions.arm == code).tolist()
            if rows:
                own = [users[row] for row in rows]
                parts |= self.arms[name].recommend(own, k=k, **filters).lists()
        lists = Rankings.from_lists({user: parts[user] for user in users})
        source = np.repeat(decisions.arm, lists.length).astype(np.int32)
        whole = Rankings(
            users=lists.users,
            items=lists.items,
            item=lists.item,
            start=lists.start,
            source=source,
            arms=decisions.arms,
        )
        return whole, decisions

    def learn(self, shown: Mixed, clicked: Sequence[Id]) -> Any:
        """Credit the arms of a list with its clicks; return what the bandit answers."""
        return self.bandit.learn(check.kind("shown", shown, Mixed).rewards(clicked))
