"""A bandit whose decisions, rewards and state are shared by all workers of a store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from sqlalchemy import func, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import DAY, SECOND
from siamrec._core.table import Table
from siamrec.bandits import BanditDoor
from siamrec.bandits.log.journal import WAIT
from siamrec.bandits.policies.base import ModelT
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.storage import _bulk, _engine, _join
from siamrec.storage._decided import (
    columns_of,
    decided,
    place_in_cells,
    replayed,
    sweepable,
    swept,
)
from siamrec.storage._shared import Shared
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.bandits import ArmView, Context, ContextualBandit, Memory, Policy, RewardReceipt
    from siamrec.bandits.context import ContextLike
    from siamrec.data import Decision, Decisions
    from siamrec.protocols import Clock
    from siamrec.storage._shared import Recipe
    from siamrec.typing import FloatArray, Instant, IntArray

_FRESH = SECOND
"""How long a state is drawn from before it is looked at again."""


@final
class StoredBandit(BanditDoor[ModelT]):
    """A `ContextualBandit` on a store; made by `Store.bandit`, which tells the arguments.

    Every decision is in the log before it is returned. Rewards, their join with decisions and
    the sums of the policy change in one transaction, and the sums are rows that only add: any
    number of workers, in any order and any batching, share one state. Each worker takes in what
    the others have learned before it chooses. Not to be shared between threads: open one in each.

    Examples:
        >>> from siamrec.bandits import BetaThompson
        >>> from siamrec.storage import Store
        >>> store = Store("sqlite://")
        >>> one = store.bandit("home", BetaThompson(), arms=("svd", "graph"))
        >>> two = store.bandit("home", BetaThompson(), arms=("svd", "graph"))
        >>> decision = one.select(unit="ann")
        >>> two.learn(decision.id, reward=1.0).applied, one.learn(decision.id, reward=1.0, time=0)
        (1, <Rewards: 0 applied, 1 unchanged, 0 early, 0 late>)
        >>> bool(one.sums()["wins"].sum() == two.sums()["wins"].sum() == 1)
        True
    """

    def __init__(self, engine: Engine, clock: Clock, recipe: Recipe[ModelT]) -> None:
        self._engine = engine
        self._clock = clock
        self._recipe = recipe
        self._shared = _engine.transact(engine, self._opened)
        self._drawing: ContextualBandit[ModelT] | None = None
        self._looked: Instant = 0
        self._cleared: Instant = -DAY

    def _opened(self, connection: Connection) -> Shared[ModelT]:
        """Enter the store; where the log knows the bandit already, its sums are worked out."""
        _engine.lock(connection, "projection")
        self._shared = shared = Shared(self._recipe, connection)
        if shared.is_new and place_in_cells(connection, self._recipe.context, self.name):
            seen = replayed(
                connection, self._recipe.blank(shared.arms, self._clock), self.name, None
            )  # every check of a bandit in memory: arms, levels, the range of rewards
            if seen.n_pending or seen.state_version:
                self.rebuilt(connection)
        return shared

    @override
    def title(self) -> str:
        return f"Stored bandit {self.name!r}: {self.policy.name}, {len(self._recipe.arms):,} arms"

    @override
    def table(self) -> Table:
        """Return what it is made of, and how much all workers have learned."""
        facts = {"arms": self.arms, "changes": self.state_version}
        return Table.of(self.title(), {**facts, "without a reward": self.n_pending})

    @property
    def name(self) -> str:
        """Name of the bandit."""
        return self._recipe.name

    @property
    @override
    def policy(self) -> Policy[ModelT]:
        return self._recipe.policy

    @property
    @override
    def context(self) -> Context:
        return self._recipe.context

    @property
    @override
    def memory(self) -> Memory[ModelT]:
        return self.replay().memory

    @property
    @override
    def arms(self) -> tuple[str, ...]:
        return self._read().arms

    @property
    @override
    def state_version(self) -> int:
        self._read()
        return self._shared.version

    @property
    @override
    def n_pending(self) -> int:
        rewarded = select(reward_table.c.time).where(
            reward_table.c.decision == decision_table.c.id
        )
        mine = decision_table.c.bandit == self.name
        return self._count(
            select(func.count()).select_from(decision_table).where(mine, ~rewarded.exists())
        )

    @property
    @override
    def n_early(self) -> int:
        known = select(decision_table.c.id).where(decision_table.c.id == reward_table.c.decision)
        waiting = func.count(reward_table.c.decision.distinct())
        return self._count(select(waiting).where(~known.exists()))

    @override
    def select(
        self,
        context: ContextLike | None = None,
        *,
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> Decision:

        def work(connection: Connection) -> Decision:
            local = self._shared.refreshed(connection, self._clock)
            decision = local.select(
                context, n=n, unit=unit, arms=arms, features=features, time=time
            )
            self._shared.chose(1)
            vectors = None if features is None else np.asarray(features, dtype=np.float64)[None]
            decided(connection, columns_of([decision], self.context, vectors))
            return decision

        return _engine.transact(self._engine, work)

    def draw(
        self,
        context: ContextLike | None = None,
        *,
        id: str,  # noqa: A002 - as in `Decision`
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Choose as `ContextualBandit.draw` does; whoever asks writes it to the log.

        What the workers have learned is looked at once a second.
        """
        now = self._clock.now()
        if self._drawing is None or not 0 <= now - self._looked < _FRESH:
            self._drawing, self._looked = self._read(), now
        return self._drawing.draw(context, id=id, n=n, unit=unit, arms=arms, time=time)

    @override
    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:

        def work(connection: Connection) -> Decisions:
            local = self._shared.refreshed(connection, self._clock)
            decisions = local.select_many(contexts, arms=arms, features=features, time=time)
            self._shared.chose(len(decisions))
            decided(connection, columns_of(decisions, self.context, features))
            return decisions

        return _engine.transact(self._engine, work)

    @override
    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        return self._read().describe(context, arms=arms, features=features, time=time)

    @override
    def sums(self, *, time: Instant | None = None) -> dict[str, FloatArray]:
        return dict(self._read().sums(time=time))

    @override
    def model(self, *, time: Instant | None = None) -> ModelT:
        return self._read().model(time=time)

    @override
    def _take_one(
        self, id_: str, reward: float, arm: str | None, time: Instant | None, weight: float
    ) -> RewardReceipt:
        return self._take(
            Rewards(
                decision=np.asarray([id_]),
                reward=np.asarray([reward], dtype=np.float64),
                time=None if time is None else np.asarray([time]),
                weight=np.asarray([weight], dtype=np.float64),
                arm=None if arm is None else (arm,),
            )
        )

    @override
    def _take(self, rewards: Rewards) -> RewardReceipt:
        now = self._clock.now()
        with _bulk.many_rows():
            given = _given(rewards, now)
        _join.in_range(given, *self.policy.reward_range, self.policy.name)

        def work(connection: Connection) -> RewardReceipt:
            self._shared.lock(connection)
            for one in {each.arm for each in given if each.arm}:
                check.one_of("arm", one, self._shared.arms)
            with _bulk.many_rows():
                ids = {each.decision for each in given}
                ranked = rewards.arm is not None
                made = self._decisions_of(connection, ids, ranked=ranked)
                _join.same_arms(made, given)
                before = _join.rewards_of(connection, ids)
                if not ranked and any(one.arm for one in before):
                    made = self._decisions_of(connection, ids, ranked=True)
                new = given
                if rewards.time is None:
                    new = _join.untold(made, before, given)
                _join.append(connection, new, now)
                receipt = self._count_in(connection, made, before, new)
                n_again = len(given) - len(new)
                return replace(receipt, unchanged=receipt.unchanged + n_again)

        return _engine.transact(self._engine, work)

    @override
    def record(
        self, decisions: Decision | Decisions, *, features: FloatArray | None = None
    ) -> int:
        # A scratch bandit applies every check of `ContextualBandit.record`.
        self._recipe.blank(self.arms, self._clock).record(decisions, features=features)
        rows = columns_of(decisions, self.context, features)
        for row in rows:
            if row["bandit"] not in {"", self.name}:
                raise InvalidDataError(
                    f"Decision {row['id']!r} was made by {row['bandit']!r}, not {self.name!r}."
                )
            row["bandit"] = self.name

        def work(connection: Connection) -> int:
            self._shared.lock(connection)
            ids = {str(row["id"]) for row in rows}
            known = _join.decisions_of(connection, self.name, ids)
            new = {str(row["id"]): row for row in reversed(rows) if row["id"] not in known}
            decided(connection, list(new.values()))
            made = self._decisions_of(connection, new, ranked=True)
            waited = _join.rewards_of(connection, new)
            _join.in_range(waited, *self.policy.reward_range, self.policy.name)
            self._count_in(connection, made, [], waited)
            return len(new)

        return _engine.transact(self._engine, work)

    @override
    def expire(self, *, time: Instant | None = None) -> RewardReceipt:
        attribution = self._recipe.attribution
        if attribution is None:
            raise MissingInputError("attribution", "learning=Learning(attribution='7d')")
        now = self._clock.now()
        until = (now if time is None else check.instant("time", time)) - attribution

        def work(connection: Connection) -> RewardReceipt:
            self._shared.lock(connection)
            ids = sweepable(connection, self.name, until)
            made = self._decisions_of(connection, ids, ranked=True)
            before = _join.rewards_of(connection, ids)
            zeros = swept(made, before, attribution)
            _join.append(connection, zeros, now)
            receipt = self._count_in(connection, made, before, zeros)
            self._shared.sweep(connection, ids)
            return receipt

        receipt = _engine.transact(self._engine, work)
        if not 0 <= now - self._cleared < DAY:  # a look through all rewards
            DecisionLog(self._engine, self._clock).expire(now - attribution - WAIT)
            self._cleared = now
        return receipt

    @override
    def add_arm(self, arm: str) -> None:

        def work(connection: Connection) -> None:
            self._shared.lock(connection)
            self._shared.add_arm(connection, arm, self._clock)

        _engine.transact(self._engine, work)

    def replay(self, *, until: Instant | None = None) -> ContextualBandit[ModelT]:
        """Return a bandit in memory that has seen the log, as it was known at `until`.

        It is a fold of its own over decisions and rewards, and does not use the stored sums.
        """
        with _engine.reading(self._engine) as connection:
            arms = self._shared.arms_in(connection)
            blank = self._recipe.blank(arms, self._clock)
            return replayed(connection, blank, self.name, until)

    def audited(self, time: Instant) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return the stored sums and those of a replay, from one state of the database."""
        with _engine.reading(self._engine) as connection:
            fresh = Shared(self._recipe, connection, join=False)
            stored = fresh.refreshed(connection, self._clock)
            blank = self._recipe.blank(fresh.arms, self._clock)
            log = replayed(connection, blank, self.name, None)
        return dict(stored.sums(time=time)), dict(log.sums(time=time))

    def rebuild(self) -> int:
        """Work out the stored sums anew from the log; return the number of rewarded picks."""

        def work(connection: Connection) -> int:
            self.locked(connection)
            return self.rebuilt(connection)

        return _engine.transact(self._engine, work)

    def locked(self, connection: Connection) -> None:
        """Make this transaction the only one that changes what is learned, until it ends."""
        self._shared.lock(connection)

    def rebuilt(self, connection: Connection) -> int:
        """Work out the stored sums anew inside a transaction that has the lock."""
        ids = connection.execute(
            select(decision_table.c.id).where(decision_table.c.bandit == self.name)
        )
        every = list(ids.scalars())
        self._shared.fold.clear(connection)
        receipt = self._count_in(
            connection,
            self._decisions_of(connection, every, ranked=True),
            [],
            _join.rewards_of(connection, every),
        )
        self._shared.forget(connection)
        return receipt.applied

    def _decisions_of(
        self, connection: Connection, ids: Collection[str], *, ranked: bool
    ) -> dict[str, _join.Made]:
        features = self._recipe.n_features > 0
        return _join.decisions_of(connection, self.name, ids, ranked=ranked, features=features)

    def _count_in(
        self,
        connection: Connection,
        made: Mapping[str, _join.Made],
        before: Sequence[_join.Given],
        given: Sequence[_join.Given],
    ) -> RewardReceipt:
        changed, receipt = _join.changes(made, before, given, self._recipe.attribution)
        if changed:
            outcomes, times = _join.outcomes_of(
                changed, self._shared.codes, self._recipe.n_features
            )
            self._shared.add(connection, outcomes, times, n_changes=len(changed))
        return receipt

    def _read(self) -> ContextualBandit[ModelT]:
        with _engine.reading(self._engine) as connection:
            return self._shared.refreshed(connection, self._clock)

    def _count(self, query: Any) -> int:
        with _engine.reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())


def _given(rewards: Rewards, now: Instant) -> list[_join.Given]:
    n = len(rewards)
    columns = zip(
        map(str, rewards.decision.tolist()),
        rewards.arm or ("",) * n,
        [now] * n if rewards.time is None else rewards.time.tolist(),
        rewards.reward.tolist(),
        [1.0] * n if rewards.weight is None else rewards.weight.tolist(),
        strict=True,
    )
    return [_join.made_like(_join.Given, row) for row in columns]
