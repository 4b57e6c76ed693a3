"""A bandit whose decisions, rewards and state are shared by all workers of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, final, overload

import numpy as np
from sqlalchemy import func, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.bandits.policies.base import ModelT
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.storage import _bulk, _engine, _join
from siamrec.storage._decided import columns_of, decided, replayed, sweepable, swept
from siamrec.storage._shared import Shared
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.bandits import ArmShare, ArmView, Context, ContextualBandit, Policy, RewardReceipt
    from siamrec.bandits.context import ContextLike
    from siamrec.bandits.insight import ArmPerformance
    from siamrec.data import Decision, Decisions
    from siamrec.protocols import Clock
    from siamrec.storage._shared import Recipe
    from siamrec.typing import FloatArray, Instant, IntArray


@final
class StoredBandit(Shown, Generic[ModelT]):
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
        self._shared = _engine.transact(engine, lambda connection: Shared(recipe, connection))

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
    def policy(self) -> Policy[ModelT]:
        """How arms are weighed."""
        return self._recipe.policy

    @property
    def context(self) -> Context:
        """Factors whose combinations are the cells."""
        return self._recipe.context

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""
        return self._read().arms

    @property
    def state_version(self) -> int:
        """Number of changes to what has been learned, by all workers."""
        self._read()
        return self._shared.version

    @property
    def n_pending(self) -> int:
        """Number of decisions without any reward yet."""
        rewarded = select(reward_table.c.time).where(
            reward_table.c.decision == decision_table.c.id
        )
        mine = decision_table.c.bandit == self.name
        return self._count(
            select(func.count()).select_from(decision_table).where(mine, ~rewarded.exists())
        )

    @property
    def n_early(self) -> int:
        """Number of decisions that rewards in the store wait for, of this bandit or another."""
        known = select(decision_table.c.id).where(decision_table.c.id == reward_table.c.decision)
        waiting = func.count(reward_table.c.decision.distinct())
        return self._count(select(waiting).where(~known.exists()))

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
        """Choose `n` different arms and log the decision; see `ContextualBandit.select`.

        Raises:
            siamrec.errors.InvalidParameterError: If fewer than `n` arms are eligible.
            siamrec.errors.MissingInputError: If the policy needs features and none are given.
            siamrec.errors.StorageError: If the decision cannot be logged; none is made then.
            siamrec.errors.UnknownNameError: If an arm, factor or level is not known.
        """

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

    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:
        """Choose one arm for each context from one state, and log the decisions together.

        Raises:
            siamrec.errors.InvalidParameterError: If no arm is eligible.
            siamrec.errors.MissingInputError: If the policy needs features and none are given.
            siamrec.errors.StorageError: If they cannot be logged; none is made then.
            siamrec.errors.UnknownNameError: If an arm, factor or level is not known.
        """

        def work(connection: Connection) -> Decisions:
            local = self._shared.refreshed(connection, self._clock)
            decisions = local.select_many(contexts, arms=arms, features=features, time=time)
            self._shared.chose(len(decisions))
            decided(connection, columns_of(decisions, self.context, features))
            return decisions

        return _engine.transact(self._engine, work)

    def probabilities(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, float]:
        """Return the probability with which each eligible arm would be chosen first."""
        return self._read().probabilities(context, arms=arms, features=features, time=time)

    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        """Return probability, confidence, mean and 95 % interval of each eligible arm."""
        return self._read().describe(context, arms=arms, features=features, time=time)

    def sums(self, *, time: Instant | None = None) -> dict[str, FloatArray]:
        """Return what has been learned as it counts now, or at `time`."""
        return dict(self._read().sums(time=time))

    def model(self, *, time: Instant | None = None) -> ModelT:
        """Return what the policy believes now, or at `time`."""
        return self._read().model(time=time)

    @overload
    def learn(
        self,
        rewards: str | int,
        reward: float,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> RewardReceipt: ...

    @overload
    def learn(self, rewards: Rewards) -> RewardReceipt: ...

    def learn(
        self,
        rewards: Rewards | str | int,
        reward: float | None = None,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> RewardReceipt:
        """Take in one reward by decision id, or a batch, in one transaction.

        Rewards may come late, twice, out of order and through any worker: of all rewards of one
        pick the latest counts (by its time, then by its size), so a correction is a later reward.
        A reward for a decision that is not known waits until the decision is recorded.

        Args:
            rewards: A decision id, or a batch.
            reward: The reward, with an id.
            arm: The arm it belongs to; the first rank when absent.
            time: When it was observed; the clock's instant when absent.
            weight: How much it counts, at least 0.

        Raises:
            siamrec.errors.InvalidDataError: If a reward is outside the range of the policy, or
                names an arm that was not chosen; nothing is stored then.
            siamrec.errors.StorageError: If the database fails; nothing is stored then.
            siamrec.errors.UnknownNameError: If an arm is not known.
        """
        now = self._clock.now()
        if not isinstance(rewards, Rewards):
            if reward is None:
                raise MissingInputError("reward", "learn(decision_id, reward=...)")
            rewards = Rewards(
                decision=np.asarray([str(rewards)]),
                reward=np.asarray([reward], dtype=np.float64),
                time=None if time is None else np.asarray([int(time)]),
                weight=np.asarray([weight], dtype=np.float64),
                arm=None if arm is None else (arm,),
            )
        _join.checked(rewards, *self.policy.reward_range, self.policy.name)
        with _bulk.many_rows():
            given = _given(rewards, now)

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
                _join.append(connection, given, now)
                return self._count_in(connection, made, before, given)

        return _engine.transact(self._engine, work)

    def record(
        self, decisions: Decision | Decisions, *, features: FloatArray | None = None
    ) -> int:
        """Take in decisions that were made elsewhere, and the rewards that waited for them.

        Returns the number of new decisions.

        Raises:
            siamrec.errors.InvalidDataError: If a decision is of another bandit.
            siamrec.errors.MissingInputError: If the policy needs features and none are given.
            siamrec.errors.UnknownNameError: If an arm, factor or level is not known.
        """
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
            self._count_in(connection, made, [], _join.rewards_of(connection, new))
            return len(new)

        return _engine.transact(self._engine, work)

    def expire(self, *, time: Instant | None = None) -> RewardReceipt:
        """Write a reward of 0 for every pick whose attribution window closed without one.

        The zero carries the instant at which the window closed; it is written once.

        Raises:
            siamrec.errors.MissingInputError: If the bandit has no attribution window.
        """
        attribution = self._recipe.attribution
        if attribution is None:
            raise MissingInputError("attribution", "store.bandit(..., attribution='7d')")
        now = self._clock.now()
        until = (now if time is None else int(time)) - attribution

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

        return _engine.transact(self._engine, work)

    def add_arm(self, arm: str) -> None:
        """Add an arm that has seen nothing, for all workers.

        Raises:
            siamrec.errors.InvalidParameterError: If the arm is there already, or the floor
                leaves no room.
        """

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

    def performance(self, factor: str | None = None) -> dict[tuple[str, str], ArmPerformance]:
        """Return what each arm has earned in the log; see `ContextualBandit.performance`."""
        return self.replay().performance(factor)

    def imbalance(self, *, limit: float = 0.7, alpha: float = 0.01) -> tuple[ArmShare, ...]:
        """Return every arm's share of the logged picks, with an alarm above `limit`."""
        return self.replay().imbalance(limit=limit, alpha=alpha)

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
