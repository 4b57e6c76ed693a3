"""The bandit: a policy, its arms, its memory and the log of its decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec._core.hashing import uniforms
from siamrec._core.table import Table, counted, line
from siamrec.bandits._choice import ArmView, Chooser, draw_many
from siamrec.bandits._settings import Settings
from siamrec.bandits.context import Context
from siamrec.bandits.door import BanditDoor
from siamrec.bandits.learning import Learning
from siamrec.bandits.limits import Limits
from siamrec.bandits.log.ledger import Early
from siamrec.bandits.memory import Memory
from siamrec.bandits.policies._book import POLICIES
from siamrec.bandits.policies.base import ModelT
from siamrec.data.decisions import Decision, Decisions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from siamrec._core.book import Named
    from siamrec.bandits.context import ContextLike
    from siamrec.bandits.log.journal import RewardReceipt
    from siamrec.bandits.log.snapshot import Snapshot
    from siamrec.bandits.policies.base import Policy, Sums
    from siamrec.data.rewards import Rewards
    from siamrec.protocols import Clock
    from siamrec.typing import FloatArray, Instant, IntArray


@final
class ContextualBandit(BanditDoor[ModelT]):
    """Chooses among named arms by context, learns from rewards, logs every probability.

    The one mutable part of this room. A decision's randomness is a hash of (seed, name,
    decision id), so a log can be replayed; everything learned is a fold over the log of
    decisions and rewards, so workers can be merged in any order. Not to be shared between
    threads: give each its own, under its own `worker` name, and merge.

    Args:
        policy: How to weigh the arms: a policy or its name, such as `"beta-thompson"`.
        arms: Distinct names of the arms.
        context: Factors whose combinations are the cells; one cell when absent.
        limits: Least and greatest probability of an arm, a trusted arm, a share for audits.
        learning: What is forgotten, waited for and noticed.
        tempering: For factors, the temperature of some of their levels, such as
            `{"session_position": {"early": 0.7, "late": 1.5}}`; several multiply.
        seed: Salt of every draw.
        name: Name of the bandit, part of the salt.
        worker: Name of this process among several that serve one bandit; part of every id.
        n_features: Length of the feature vectors, for policies that use them.
        clock: Source of instants; the system's when absent.

    Raises:
        InvalidParameterError: If arms repeat, the floor leaves no room, or a setting is out of
            range.
        UnknownNameError: If tempering names an unknown factor or level, or the trusted arm is
            none.

    Examples:
        >>> from siamrec.bandits import BetaThompson, Context
        >>> bandit = ContextualBandit(
        ...     BetaThompson(), arms=("svd", "graph"), context=Context.default(), seed=7
        ... )
        >>> decision = bandit.select({"time_of_day": "evening", "segment": "cold"})
        >>> bandit.learn(decision, 1.0).applied
        1
    """

    def __init__(
        self,
        policy: Policy[ModelT] | Named,
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        learning: Learning | None = None,
        tempering: Mapping[str, Mapping[str, float]] | None = None,
        seed: int | str = 0,
        name: str = "bandit",
        worker: str = "",
        n_features: int = 0,
        clock: Clock | None = None,
    ) -> None:
        recipe: Policy[ModelT] = POLICIES.make(policy)
        settings = Settings.of(
            recipe,
            Limits() if limits is None else check.kind("limits", limits, Limits),
            Learning() if learning is None else check.kind("learning", learning, Learning),
            name=name,
            worker=worker,
            seed=seed,
            tempering={} if tempering is None else check.kind("tempering", tempering, Mapping),
            n_features=n_features,
        )
        factors = Context.none() if context is None else check.kind("context", context, Context)
        self._hold(Memory(recipe, factors, arms, settings, clock_or_system(clock)))

    def _hold(self, memory: Memory[ModelT]) -> None:
        self._memory, self._chooser = memory, Chooser(memory)
        self._policy_name = memory.policy.name

    @override
    def title(self) -> str:
        arms, changes = counted(len(self.arms), "arm"), counted(self.state_version, "change")
        return f"Bandit {self._memory.settings.name!r}: {self.policy.name} over {arms}, {changes}"

    @override
    def table(self) -> Table:
        """Return what it is made of, and how much it has seen."""
        facts = {
            "policy": line(self.policy),
            "arms": self.arms,
            "cells": self.context.n_cells,
            "changes": self.state_version,
            "without a reward": self.n_pending,
            "early rewards": self.n_early,
        }
        return Table.of(self.title(), facts)

    @property
    @override
    def policy(self) -> Policy[ModelT]:
        return self._memory.policy

    @property
    @override
    def context(self) -> Context:
        return self._memory.context

    @property
    @override
    def memory(self) -> Memory[ModelT]:
        return self._memory

    @property
    @override
    def arms(self) -> tuple[str, ...]:
        return self._memory.roster.active

    @property
    @override
    def state_version(self) -> int:
        return self._memory.journal.version

    @property
    @override
    def n_pending(self) -> int:
        return self._memory.journal.n_pending()

    @property
    @override
    def n_early(self) -> int:
        return len(self._memory.ledger.early)

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
        memory = self._memory
        now = memory.now(time)
        vector = memory.settings.vector(features)
        decision, chosen, cell = self._choose(
            context, memory.new_ids([now])[0], now, n=n, unit=unit, arms=arms, vector=vector
        )
        memory.counter += 1
        chances = list(decision.propensities)
        memory.ledger.append_one(
            decision.id, chosen, chances, cell=cell, time=now, features=vector
        )
        return decision

    def draw(
        self,
        context: ContextLike | None = None,
        *,
        id: str,  # noqa: A002 - as in `Decision`
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Choose as `select` does, under an id of the caller's, and log nothing.

        The same id, context and state give the same arms. What is chosen here is not known to the
        bandit until `record` tells it.

        Args:
            context: As in `select`.
            id: Id of the decision, the ground of the draw.
            n: Number of arms.
            unit: Whom the decision is for.
            arms: The arms that are eligible; all when absent.
            features: Feature vector, for policies that use one.
            time: Instant of the decision; the clock's when absent.

        Raises:
            InvalidParameterError: If fewer than `n` arms are eligible.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        memory = self._memory
        now, vector = memory.now(time), memory.settings.vector(features)
        name = check.text("id", id)
        return self._choose(context, name, now, n=n, unit=unit, arms=arms, vector=vector)[0]

    def _choose(
        self,
        context: ContextLike | None,
        id_: str,
        now: Instant,
        *,
        n: int,
        unit: str | None,
        arms: Sequence[str] | None,
        vector: FloatArray | None,
    ) -> tuple[Decision, list[int], int]:
        """Return a decision, the codes of its arms and its cell."""
        memory = self._memory
        cell = memory.context.cell(context)
        eligible = memory.roster.eligible(arms, check.count("n", n))
        model = self._chooser.model(now)
        first = self._chooser.weights(model, cell, eligible, vector)
        chosen, chances = self._chooser.draw_ranks(model, cell, eligible, vector, id_=id_, n=n)
        in_top: tuple[float, ...] = ()
        if n > 1:
            among = self._chooser.among_best(model, cell, eligible, vector, n=n)
            in_top = tuple(float(among[arm]) for arm in chosen)
        decision = Decision(
            id=id_,
            bandit=memory.settings.name,
            context=memory.context.levels(cell),
            arms=tuple(memory.names[arm] for arm in chosen),
            propensities=tuple(chances),
            confidences=tuple(first.best[arm] for arm in chosen),
            means=tuple(first.mean[arm] for arm in chosen),
            intervals=tuple((first.low[arm], first.high[arm]) for arm in chosen),
            in_top=in_top,
            policy=self._policy_name,
            state_version=self._chooser.version,
            time=now,
            unit=None if unit is None else check.text("unit", unit),
        )
        return decision, chosen, cell

    @override
    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:
        memory = self._memory
        cells = memory.context.cells(contexts)
        n = cells.size
        times = memory.times(time, n)
        eligible = memory.roster.eligible(arms, 1)
        vectors = memory.settings.vectors(features, n)
        model = self._chooser.model(int(times.max()) if n else memory.now(None))
        chance, which = self._chooser.chances(model, cells, eligible, vectors)
        ids = memory.new_ids(times.tolist())
        draws = uniforms(ids, memory.settings.salt)
        arm = draw_many(chance, which, draws)
        propensity = chance[which, arm]
        decisions = Decisions(
            id=np.array(ids, dtype=np.str_),
            arm=arm.astype(np.int32),
            propensity=propensity,
            cell=cells.astype(np.int32),
            time=times,
            state_version=self._chooser.version,
            arms=memory.names,
            bandit=memory.settings.name,
            policy=self._policy_name,
        )
        memory.counter += n
        memory.ledger.append(
            ids,
            arm=arm,
            cell=cells,
            rank=np.zeros(n, dtype=np.int64),
            time=times,
            propensity=propensity,
            origin=0,
            features=vectors,
        )
        return decisions

    @override
    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        memory = self._memory
        eligible = memory.roster.eligible(arms, 1)
        vector = memory.settings.vector(features)
        weights = self._chooser.weights(
            self._chooser.model(memory.now(time)), memory.context.cell(context), eligible, vector
        )
        columns = (weights.chance, weights.best, weights.mean, weights.low, weights.high)
        return {
            memory.names[arm]: ArmView(*(float(column[arm]) for column in columns))
            for arm in np.flatnonzero(eligible).tolist()
        }

    @override
    def sums(self, *, time: Instant | None = None) -> Sums:
        return self._memory.journal.look(self._memory.now(time))

    @override
    def model(self, *, time: Instant | None = None) -> ModelT:
        return self._chooser.model(self._memory.now(time))

    @override
    def _take(self, rewards: Rewards) -> RewardReceipt:
        receipt, cells = self._memory.take(rewards)
        self._chooser.touch(cells)
        return receipt

    @override
    def _take_one(
        self, id_: str, reward: float, arm: str | None, time: Instant | None, weight: float
    ) -> RewardReceipt:
        seen = self._memory.clock.now() if time is None else time
        told = time is not None
        receipt, cells = self._memory.take_one(id_, Early(arm, reward, seen, weight), told=told)
        self._chooser.touch(cells)
        return receipt

    @override
    def record(
        self, decisions: Decision | Decisions, *, features: FloatArray | None = None
    ) -> int:
        n_new, cells = self._memory.record(decisions, features)
        self._chooser.touch(cells)
        return n_new

    @override
    def expire(self, *, time: Instant | None = None) -> RewardReceipt:
        receipt, cells = self._memory.expire(self._memory.now(time))
        self._chooser.touch(cells)
        return receipt

    def settle(self, before: Instant) -> int:
        """Drop this worker's decisions older than `before` from memory; their sums stay.

        A later reward for them waits, like one of an unknown decision. Returns the number of
        picks dropped.

        Raises:
            InvalidDataError: If the bandit has a `reset`, which needs the whole log.
        """
        return self._memory.journal.settle(check.instant("before", before))

    @override
    def add_arm(self, arm: str) -> None:
        self._memory.add_arm(arm)
        self._chooser.reset()

    def remove_arm(self, arm: str, *, pending: Literal["error", "keep"] = "error") -> None:
        """Retire an arm: its log stays, it is not chosen again.

        Args:
            arm: Name of the arm.
            pending: Whether picks of it that wait for a reward are an error, or are kept and
                may still be rewarded.

        Raises:
            InvalidDataError: If rewards are pending and that is an error.
            InvalidParameterError: If it is the last arm.
            UnknownNameError: If there is no such arm.
        """
        self._memory.remove_arm(arm, pending)

    def disable(self, arm: str) -> None:
        """Stop choosing an arm at once, until `enable`; raises UnknownNameError."""
        self._memory.roster.disabled |= {self._memory.roster.code(arm)}

    def enable(self, arm: str) -> None:
        """Choose an arm again that was disabled; raises UnknownNameError."""
        self._memory.roster.disabled -= {self._memory.roster.code(arm)}

    def merge(self, state: Snapshot) -> None:
        """Take in what another worker of the same bandit knows.

        Merging is idempotent, commutative and associative: decisions are joined by id, their
        rewards by time.

        Raises:
            InvalidDataError: If the snapshot is of another bandit; the state is then unchanged.
        """
        self._memory.merge(state)
        self._chooser.reset()

    @classmethod
    def restore(
        cls,
        state: Snapshot,
        policy: Policy[ModelT],
        *,
        context: Context | None = None,
        worker: str | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Return the bandit that a snapshot was taken of.

        Args:
            state: The snapshot.
            policy: The same policy.
            context: The same context.
            worker: Name of this process, when it is not the one that took the snapshot.
            clock: Source of instants; the system's when absent.

        Raises:
            InvalidDataError: If policy or context are not those of the snapshot.
        """
        bandit = cls(policy, state.header["arms"], context=context, clock=clock)
        mine = bandit._memory
        bandit._hold(
            Memory.restore(
                state, mine.policy, context=mine.context, worker=worker, clock=mine.clock
            )
        )
        return bandit
