"""What a bandit remembers: its log, the sums that are a fold of it, and which arms there are."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.bandits._roster import Roster
from siamrec.bandits._settings import Settings
from siamrec.bandits.log import packing as _state
from siamrec.bandits.log.journal import Journal, RewardReceipt
from siamrec.bandits.policies.base import ModelT, Policy
from siamrec.data.decisions import Decision, Decisions
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits.context import Context
    from siamrec.bandits.log.ledger import Early, Ledger
    from siamrec.bandits.log.snapshot import Snapshot
    from siamrec.data.rewards import Rewards
    from siamrec.protocols import Clock
    from siamrec.typing import FloatArray, Instant, IntArray


_LAST = 2**62
"""Instants before it can be subtracted from each other, and have a window added, in 64 bits."""


@final
class Memory(Shown, Generic[ModelT]):
    """Decisions, rewards, arms and sums of one bandit, which owns it; mutable.

    What changes sums also tells in which cells, for whoever keeps something worked out of them.

    Args:
        policy: Whose sums are kept.
        context: Factors whose combinations are the cells.
        arms: Distinct names of the arms.
        settings: What the bandit was made with.
        clock: Source of instants.
    """

    def __init__(
        self,
        policy: Policy[ModelT],
        context: Context,
        arms: Sequence[str],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.policy, self.context, self.settings, self.clock = policy, context, settings, clock
        self.roster = Roster(arms, settings.limits)
        self.journal = Journal(
            policy, context.space(len(self.names), settings.n_features), settings
        )
        self.counter = 0
        self._process = os.getpid()

    @override
    def title(self) -> str:
        picks = counted(self.ledger.column("arm").size, "pick")
        return f"Memory of {self.settings.name!r}: {picks} of {counted(len(self.names), 'arm')}"

    @override
    def table(self) -> Table:
        """Return how often each arm was picked."""
        picks = zip(self.names, self.n_picks().tolist(), strict=True)
        return Table(head=("arm", "picks"), rows=tuple(picks), title=self.title())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all arms by their codes, retired ones included."""
        return self.roster.names

    @property
    def ledger(self) -> Ledger:
        """Every pick with its latest reward, as columns."""
        return self.journal.ledger

    def now(self, time: Instant | None) -> Instant:
        """Return an instant given, or the clock's.

        Raises:
            InvalidParameterError: If it is before 1970 or after 2115.
        """
        now = self.clock.now() if time is None else check.instant("time", time)
        if now < 0:
            raise InvalidParameterError("time", now, "nanoseconds since 1970, not below 0")
        if now >= _LAST:
            raise InvalidParameterError("time", now, "an instant before the year 2116")
        return now

    def times(self, time: Instant | IntArray | None, n: int) -> IntArray:
        """Return an instant for each of n rounds; raises as `now` does."""
        given = check.instants("time", self.clock.now() if time is None else time)
        if given.shape not in {(), (1,), (n,)}:
            raise InvalidParameterError("time", time, f"one instant, or {n} of them")
        for end in (given.min(), given.max()) if given.size else ():
            self.now(int(end))
        return np.broadcast_to(given, (n,))

    def n_picks(self) -> IntArray:
        """Return how often each arm was picked, by code."""
        return np.bincount(self.ledger.column("arm"), minlength=len(self.names))

    def new_ids(self, times: list[Instant]) -> list[str]:
        """Return ids that sort by time, for the next decisions of this worker.

        In a forked child they name the process too: it counts on from where its parent did.
        """
        end = f"-{self.settings.worker}" if self.settings.worker else ""
        if os.getpid() != self._process:
            end += f".{os.getpid():x}"
        numbers = range(self.counter, self.counter + len(times))
        if len(set(times)) == 1:
            start = f"{times[0]:016x}-"
            return [f"{start}{number:08x}{end}" for number in numbers]
        return [f"{now:016x}-{n:08x}{end}" for now, n in zip(times, numbers, strict=True)]

    def take(self, rewards: Rewards) -> tuple[RewardReceipt, IntArray]:
        """Take in rewards; also tell the cells whose sums changed."""
        now = self.clock.now() if rewards.time is None else 0
        return self.journal.post(rewards, self.roster, now)

    def take_one(self, id_: str, one: Early, *, told: bool) -> tuple[RewardReceipt, IntArray]:
        """Take in one reward, its time told or not; also tell the cells whose sums changed."""
        return self.journal.post_one(id_, one, self.roster, told=told)

    def record(
        self, decisions: Decision | Decisions, features: FloatArray | None
    ) -> tuple[int, IntArray]:
        """Take in decisions made elsewhere; tell how many were new and the cells that changed."""
        check.kind("decisions", decisions, Decisions, Decision)
        n = len(decisions) if isinstance(decisions, Decisions) else 1
        vectors = self.settings.vectors(features, n)
        picks = _state.picks_of(decisions, self.context, self.roster, vectors)
        n_new, cells = self.journal.record(picks, self.roster)
        self.counter += n_new
        return n_new, cells

    def expire(self, now: Instant) -> tuple[RewardReceipt, IntArray]:
        """Count as 0 what waited past the attribution window; also tell the cells that changed.

        Raises:
            MissingInputError: If there is no attribution window.
        """
        if self.settings.attribution is None:
            raise MissingInputError("attribution", "learning=Learning(attribution='7d')")
        return self.journal.expire(now, self.settings.attribution)

    def add_arm(self, arm: str) -> None:
        """Make room for an arm, or bring a retired one back; raises as `Roster.add` does."""
        if self.roster.add(arm):
            self.journal.widen(self.context.space(len(self.names), self.settings.n_features))

    def remove_arm(self, arm: str, pending: Literal["error", "keep"]) -> None:
        """Retire an arm; see `ContextualBandit.remove_arm`."""
        n_open = self.journal.n_pending(self.roster.code(arm))
        if n_open and check.one_of("pending", pending, ("error", "keep")) == "error":
            raise InvalidDataError(
                f"{n_open} decisions for {arm!r} wait for their reward; expire them, or remove "
                "the arm with pending='keep'."
            )
        self.roster.retire(arm)

    def snapshot(self) -> Snapshot:
        """Return everything, as JSON and arrays."""
        return _state.pack(self.journal, self._header())

    def merge(self, state: Snapshot) -> None:
        """Take in what another worker of the same bandit knows.

        Raises:
            InvalidDataError: If the snapshot is of another bandit; nothing is changed then.
        """
        _state.same_kind(self._header(), state.header)
        for arm in state.header["arms"][len(self.names) :]:
            self.add_arm(arm)
        _state.absorb(self.journal, state, self.roster)

    @classmethod
    def restore(
        cls,
        state: Snapshot,
        policy: Policy[ModelT],
        *,
        context: Context,
        worker: str | None,
        clock: Clock,
    ) -> Memory[ModelT]:
        """Return the memory that a snapshot was taken of.

        Raises:
            InvalidDataError: If policy or context are not those of the snapshot.
        """
        header = state.header
        settings = Settings.from_header(header)
        mine = replace(settings, worker=settings.worker if worker is None else worker)
        memory = cls(policy, context, header["arms"], mine, clock)
        memory.merge(state)
        memory.roster.retired = frozenset(header["retired"])
        memory.roster.disabled = frozenset(header["disabled"])
        memory.counter = int(header["counter"]) if worker in {None, settings.worker} else 0
        memory.journal.version = int(header["version"])
        return memory

    def _header(self) -> dict[str, Any]:
        return {
            **self.settings.to_header(),
            "policy": repr(self.policy),
            "factors": [[factor.name, *factor.labels] for factor in self.context.factors],
            "arms": list(self.names),
            "retired": sorted(self.roster.retired),
            "disabled": sorted(self.roster.disabled),
            "counter": self.counter,
        }
