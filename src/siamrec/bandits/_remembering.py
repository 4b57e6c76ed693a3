"""The half of a bandit that remembers: rewards, arms that come and go, snapshots."""

from __future__ import annotations

from abc import ABC
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

import numpy as np

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec.bandits._choice import Chooser, temperatures
from siamrec.bandits._roster import Roster
from siamrec.bandits._settings import Settings, nanoseconds
from siamrec.bandits.context import Context
from siamrec.bandits.limits import Baseline, Limits
from siamrec.bandits.log import packing as _state
from siamrec.bandits.log.delay import DelayCurve
from siamrec.bandits.log.journal import Journal, RewardReceipt
from siamrec.bandits.log.ledger import Early
from siamrec.bandits.policies._book import POLICIES
from siamrec.bandits.policies.base import ModelT, Policy, Space
from siamrec.data.decisions import Decision, Decisions
from siamrec.data.rewards import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Self

    from siamrec._core.book import Named
    from siamrec.bandits.log.snapshot import Snapshot
    from siamrec.bandits.policies.base import Sums
    from siamrec.protocols import Clock
    from siamrec.typing import FloatArray, Instant


class Remembering(ABC, Generic[ModelT]):
    """Everything of a bandit but the choosing; see `ContextualBandit` for the arguments."""

    def __init__(
        self,
        policy: Policy[ModelT] | Named,
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        half_life: str | timedelta | float | None = None,
        window: str | timedelta | float | None = None,
        attribution: str | timedelta | float | None = None,
        delay: str | timedelta | float | DelayCurve | None = None,
        reset: float | None = None,
        holdout: float = 0.0,
        baseline: Baseline | None = None,
        tempering: Mapping[str, Mapping[str, float]] | None = None,
        seed: int | str = 0,
        name: str = "bandit",
        worker: str = "",
        refresh_every: int = 1,
        n_features: int = 0,
        clock: Clock | None = None,
    ) -> None:
        policy = self.policy = POLICIES.make(policy)
        self.context = (
            Context.none() if context is None else check.kind("context", context, Context)
        )
        self._settings = Settings(
            name=name,
            worker=worker,
            seed=seed,
            limits=Limits() if limits is None else limits,
            half_life=nanoseconds("half_life", half_life),
            window=nanoseconds("window", window),
            attribution=nanoseconds("attribution", attribution),
            delay=delay if isinstance(delay, DelayCurve) else nanoseconds("delay", delay),
            reset=reset,
            holdout=holdout,
            baseline=baseline,
            tempering=tempering or {},
            refresh_every=refresh_every,
            n_features=n_features,
        )
        if reset is not None and policy.reward_range != (0.0, 1.0):
            raise InvalidParameterError(
                "reset", reset, f"left out with {policy.name}, whose rewards leave [0, 1]"
            )
        self._roster = Roster(arms, self._settings.limits)
        self._clock: Clock = clock_or_system(clock)
        self._chooser = Chooser(
            policy, self._settings, temperatures(self.context, self._settings.tempering)
        )
        self._trust()
        self._journal = Journal(policy, self._space(), self._settings)
        self._counter = 0

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that may be chosen."""
        return self._roster.active

    @property
    def state_version(self) -> int:
        """Number of changes to what has been learned."""
        return self._journal.version

    @property
    def n_pending(self) -> int:
        """Number of picks without a reward yet."""
        return self._journal.n_pending()

    @property
    def n_early(self) -> int:
        """Number of decisions that rewards came for but that are not known yet."""
        return len(self._journal.ledger.early)

    def sums(self, *, time: Instant | None = None) -> Sums:
        """Return what has been learned as it counts now, or at `time`."""
        return self._journal.look(self._now(time))

    def model(self, *, time: Instant | None = None) -> ModelT:
        """Return what the policy believes now, or at `time`."""
        return self._believe(self._now(time))

    @overload
    def learn(
        self,
        rewards: Decision | str | int,
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
        rewards: Rewards | Decision | str | int,
        reward: float | None = None,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> RewardReceipt:
        """Take in one reward by decision id, or a batch.

        Rewards may come late, twice or out of order: of all rewards of one pick the latest
        counts (by its time, then by its size), so a correction is just a later reward. A reward
        for a decision that is not known waits until the decision is recorded or merged.

        Args:
            rewards: A decision, its id, or a batch.
            reward: The reward, where one decision is given.
            arm: The arm it belongs to, where the decision blended several; the first rank
                when absent.
            time: When it was observed; the clock's instant when absent.
            weight: How much it counts, at least 0.

        Raises:
            InvalidDataError: If a reward is outside the range of the policy, or not finite; the
                state is then unchanged.
            UnknownNameError: If an arm is not known.
        """
        if isinstance(rewards, Decision):
            rewards = rewards.id
        if isinstance(rewards, str | int):
            if reward is None:
                raise MissingInputError("reward", "learn(decision, reward=...)")
            seen = self._clock.now() if time is None else int(time)
            one = Early(arm, float(reward), seen, float(weight))
            receipt, cells = self._journal.post_one(str(rewards), one, self._roster)
        else:
            check.kind("rewards", rewards, Rewards, Decision)
            now = self._clock.now() if rewards.time is None else 0
            receipt, cells = self._journal.post(rewards, self._roster, now)
        self._chooser.touch(cells)
        return receipt

    def record(
        self, decisions: Decision | Decisions, *, features: FloatArray | None = None
    ) -> int:
        """Take in decisions that were made elsewhere: a replayed log, or another system's.

        Rewards that came before their decisions take effect now; decisions already known are
        skipped. Returns the number of new decisions.

        Args:
            decisions: One decision, or a batch.
            features: Feature vectors, one per decision, for policies that use them.

        Raises:
            InvalidDataError: If a cell is out of range.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        check.kind("decisions", decisions, Decisions, Decision)
        n = len(decisions) if isinstance(decisions, Decisions) else 1
        vectors = self._settings.vectors(features, n)
        picks = _state.picks_of(decisions, self.context, self._roster, vectors)
        n_new, cells = self._journal.record(picks, self._roster)
        self._counter += n_new
        self._chooser.touch(cells)
        return n_new

    def expire(self, *, time: Instant | None = None) -> RewardReceipt:
        """Count as 0 every pick whose attribution window has passed without a reward.

        The zero carries the instant at which the window closed; a reward from before that,
        delivered late, does not replace it unless it is newer.

        Raises:
            MissingInputError: If the bandit has no attribution window.
        """
        if self._settings.attribution is None:
            raise MissingInputError("attribution", "ContextualBandit(..., attribution='7d')")
        receipt, cells = self._journal.expire(self._now(time), self._settings.attribution)
        self._chooser.touch(cells)
        return receipt

    def settle(self, before: Instant) -> int:
        """Drop this worker's decisions older than `before` from memory; their sums stay.

        A later reward for them waits, like one of an unknown decision. Returns the number of
        picks dropped.

        Raises:
            InvalidDataError: If the bandit has a `reset`, which needs the whole log.
        """
        return self._journal.settle(before)

    def add_arm(self, arm: str) -> None:
        """Add an arm that has seen nothing, or bring a removed one back.

        Raises:
            InvalidParameterError: If the arm is there already, or the floor leaves no room.
        """
        if self._roster.add(arm):
            self._journal.widen(self._space())
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
        n_open = self._journal.n_pending(self._roster.code(arm))
        if n_open and check.one_of("pending", pending, ("error", "keep")) == "error":
            raise InvalidDataError(
                f"{n_open} decisions for {arm!r} wait for their reward; expire them, or remove "
                "the arm with pending='keep'."
            )
        self._roster.retire(arm)

    def disable(self, arm: str) -> None:
        """Stop choosing an arm at once, until `enable`; raises UnknownNameError."""
        self._roster.disabled |= {self._roster.code(arm)}

    def enable(self, arm: str) -> None:
        """Choose an arm again that was disabled; raises UnknownNameError."""
        self._roster.disabled -= {self._roster.code(arm)}

    def exploration(self, *, time: Instant | None = None) -> float:
        """Return the share of choices that would not go to the arm of greatest expected reward.

        Averaged over the contexts of the log, in the present state; 0 before any decision, and
        not for policies that need features.
        """
        cells, counts = np.unique(self._journal.ledger.column("cell"), return_counts=True)
        if not cells.size or self._settings.n_features:
            return 0.0
        eligible = self._roster.eligible(None, 1)
        model = self._believe(self._now(time))
        return self._chooser.exploration(model, cells.astype(np.int64), counts, eligible)

    def snapshot(self) -> Snapshot:
        """Return everything this bandit knows, as JSON and arrays."""
        return _state.pack(self._journal, self._header())

    def merge(self, state: Snapshot) -> None:
        """Take in what another worker of the same bandit knows.

        Merging is idempotent, commutative and associative: decisions are joined by id, their
        rewards by time.

        Raises:
            InvalidDataError: If the snapshot is of another bandit; the state is then unchanged.
        """
        _state.same_kind(self._header(), state.header)
        for arm in state.header["arms"][len(self._roster.names) :]:
            self.add_arm(arm)
        _state.absorb(self._journal, state, self._roster)
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
        header = state.header
        settings = Settings.from_header(header)
        bandit = cls(policy, header["arms"], context=context, clock=clock, name=settings.name)
        bandit._adopt(replace(settings, worker=settings.worker if worker is None else worker))
        bandit.merge(state)
        bandit._roster.retired = frozenset(header["retired"])
        bandit._roster.disabled = frozenset(header["disabled"])
        bandit._counter = int(header["counter"]) if worker in {None, settings.worker} else 0
        bandit._journal.version = int(header["version"])
        return bandit

    def _adopt(self, settings: Settings) -> None:
        self._settings = settings
        self._roster = Roster(self._roster.names, settings.limits)
        self._chooser = Chooser(
            self.policy, settings, temperatures(self.context, settings.tempering)
        )
        self._trust()
        self._journal = Journal(self.policy, self._space(), settings)

    def _trust(self) -> None:
        baseline = self._settings.baseline
        if baseline is not None:
            self._chooser.baseline_code = self._roster.code(baseline.arm)

    def _header(self) -> dict[str, Any]:
        return {
            **self._settings.to_header(),
            "policy": repr(self.policy),
            "factors": [[factor.name, *factor.labels] for factor in self.context.factors],
            "arms": list(self._roster.names),
            "retired": sorted(self._roster.retired),
            "disabled": sorted(self._roster.disabled),
            "counter": self._counter,
        }

    def _space(self) -> Space:
        return Space(
            n_arms=len(self._roster.names),
            levels=self.context.sizes,
            pooled=tuple(factor.unknown == "pool" for factor in self.context.factors),
            n_features=self._settings.n_features,
        )

    def _now(self, time: Instant | None) -> Instant:
        now = self._clock.now() if time is None else int(time)
        if now < 0:
            raise InvalidParameterError("time", now, "nanoseconds since 1970, not below 0")
        return now

    def _new_ids(self, times: list[Instant]) -> list[str]:
        """Return ids that sort by time, for the next decisions of this worker."""
        end = f"-{self._settings.worker}" if self._settings.worker else ""
        numbers = range(self._counter, self._counter + len(times))
        if len(set(times)) == 1:
            start = f"{times[0]:016x}-"
            return [f"{start}{number:08x}{end}" for number in numbers]
        return [f"{now:016x}-{n:08x}{end}" for now, n in zip(times, numbers, strict=True)]

    def _believe(self, now: Instant) -> ModelT:
        return self._chooser.model(self._journal, now)

    def _vectors(self, features: FloatArray | None, n: int) -> FloatArray | None:
        return self._settings.vectors(features, n)
