"""Decisions and rewards as they come in, and the sums that are a fold of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec._core.clock import DAY
from siamrec._core.table import Record
from siamrec.bandits.log.changes import ALWAYS, starts
from siamrec.bandits.log.delay import ageing_step, seen_share
from siamrec.bandits.log.forgetting import FadingSums
from siamrec.bandits.log.ledger import Early, Ledger
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits._roster import Roster
    from siamrec.bandits._settings import Settings
    from siamrec.bandits.policies.base import Policy, Space, Sums
    from siamrec.data.rewards import Rewards
    from siamrec.typing import BoolArray, FloatArray, Instant, IntArray


_NO_CELLS = np.empty(0, dtype=np.int64)


WAIT = 30 * DAY
"""How long a reward waits for a decision that nobody has told, besides the attribution window."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RewardReceipt(Record):
    """What became of rewards that were handed in.

    Attributes:
        applied: Rewards that changed what is believed (corrections included).
        unchanged: Repeated rewards, and rewards older than one already taken in.
        early: Rewards whose decision is not known yet; they wait for it.
        late: Rewards after the attribution window; they are left out.
    """

    applied: int = 0
    unchanged: int = 0
    early: int = 0
    late: int = 0

    @override
    def title(self) -> str:
        late = f"{self.early:,} early, {self.late:,} late"
        return f"Rewards: {self.applied:,} applied, {self.unchanged:,} unchanged, {late}"


class Picks(NamedTuple):
    """Ranked arms of decisions as columns; `ids` names each decision once."""

    ids: Sequence[str]
    arm: IntArray
    cell: IntArray
    rank: IntArray
    time: IntArray
    propensity: FloatArray
    features: FloatArray | None = None


@final
class Journal:
    """The log of one bandit and what it adds up to; mutable.

    Args:
        policy: Whose sums are kept.
        space: Its cells, arms and features.
        settings: Half-life, window and the name of the worker that writes here.
    """

    def __init__(self, policy: Policy[Any], space: Space, settings: Settings) -> None:
        self.policy = policy
        self.worker = settings.worker
        self.half_life, self.window = settings.half_life, settings.window
        self.delay = settings.delay
        self.attribution = settings.attribution
        self.reset = settings.reset
        self._unchanged: tuple[int, IntArray, FadingSums] | None = None
        self.ledger = Ledger(space.n_features)
        self.memory = FadingSums(policy, space, settings.half_life, settings.window)
        self.origins = [settings.worker]
        self.settled: dict[str, tuple[Instant, FadingSums]] = {}
        self.version = 0

    def tick(self, now: Instant) -> tuple[int, int]:
        """Return what has to change for the sums to be looked at anew."""
        aged = 0 if self.delay is None else now // ageing_step(self.delay)
        return self.memory.tick(now), aged

    def look(self, now: Instant) -> Sums:
        """Return the sums as they count at `now`.

        With a delay, a pick that waits for its reward counts as a failure of the weight of the
        share of successes that would have been seen by now: `1 - exp(-age / delay)`, or that of
        a curve (Vernade, Cappé, Perchet (2017), UAI: bandits under delayed conversions).
        """
        since, memory = self._since_changes()
        total = memory.look(now)
        if self.delay is None:
            return total
        rows = self._current(self.ledger.pending(), since)
        step = ageing_step(self.delay)
        age = np.maximum(now // step * step - self.ledger.column("time")[rows], 0)
        waiting = replace(
            self.ledger.outcomes(rows),
            reward=np.zeros(rows.size),
            weight=seen_share(self.delay, age),
        )
        self.policy.accumulate(total, waiting)
        return total

    def _since_changes(self) -> tuple[IntArray | None, FadingSums]:
        """Return since when each arm counts, None for always, and the sums since then."""
        if self.reset is None:
            return None, self.memory
        if self._unchanged is None or self._unchanged[0] != self.version:
            since = starts(self.ledger, self.memory.space, self.reset)
            memory = self.memory
            if (since != ALWAYS).any():
                memory = self.fresh_memory()
                rows = self._current(self.ledger.rewarded(), since)
                memory.add(self.ledger.outcomes(rows), self.ledger.column("time")[rows])
            self._unchanged = (self.version, since, memory)
        return self._unchanged[1:]

    def _current(self, rows: IntArray, since: IntArray | None) -> IntArray:
        """Return the rows whose arm has not changed after them."""
        if since is None:
            return rows
        ledger = self.ledger
        start = since[ledger.column("cell")[rows], ledger.column("arm")[rows]]
        return rows[ledger.column("time")[rows] >= start]

    def fresh_memory(self) -> FadingSums:
        """Return an empty memory of the same kind."""
        return FadingSums(self.policy, self.memory.space, self.half_life, self.window)

    def widen(self, space: Space) -> None:
        """Make room for added arms."""
        self._unchanged = None
        self.memory.widen(space)
        for _, memory in self.settled.values():
            memory.widen(space)

    def n_pending(self, arm: int | None = None) -> int:
        """Return the number of picks, of one arm or of all, without a reward."""
        rows = self.ledger.pending()
        return int(rows.size if arm is None else (self.ledger.column("arm")[rows] == arm).sum())

    def record(self, picks: Picks, arms: Roster) -> tuple[int, IntArray]:
        """Add decisions made elsewhere, once each, and the rewards that waited for them.

        Returns:
            How many decisions were new, and the cells whose sums changed.
        """
        head = np.flatnonzero(picks.rank == 0)
        new = np.array([id_ not in self.ledger.first for id_ in picks.ids], dtype=np.bool_)
        # A repeated id inside one batch: its first mention counts.
        _, first = np.unique(np.array(picks.ids, dtype=np.str_), return_index=True)
        once = np.zeros(len(picks.ids), dtype=np.bool_)
        once[first] = True
        new &= once
        rows = np.repeat(new, np.diff(np.append(head, picks.rank.size)))
        ids = [id_ for id_, keep in zip(picks.ids, new.tolist(), strict=True) if keep]
        self.ledger.append(
            ids,
            arm=picks.arm[rows],
            cell=picks.cell[rows],
            rank=picks.rank[rows],
            time=picks.time[rows],
            propensity=picks.propensity[rows],
            origin=0,
            features=None if picks.features is None else picks.features[rows],
        )
        return len(ids), self.post_early(ids, arms)

    def post_one(
        self, id_: str, one: Early, arms: Roster, *, told: bool = True
    ) -> tuple[RewardReceipt, IntArray]:
        """Take in one reward: what `post` does with a batch of one, without its arrays.

        Args:
            id_: Id of the decision.
            one: The reward.
            arms: Which arms there are.
            told: Whether its time was told, so that it is another than an equal one.

        Raises:
            InvalidDataError: If a number is out of range, or the decision did not choose the arm.
            UnknownNameError: If the arm is not known.
        """
        low, high = self.policy.reward_range
        if not (math.isfinite(one.reward) and low <= one.reward <= high):
            raise self._out_of_range(one.reward)
        if not (math.isfinite(one.weight) and one.weight >= 0):
            raise InvalidDataError(f"weight must not be below 0, got {one.weight}.")
        row = self.ledger.row_of(id_, None if one.arm is None else arms.code(one.arm))
        if row is None:
            if id_ in self.ledger.first:
                raise InvalidDataError(
                    f"Decision {shown(id_)} did not choose the arm {shown(one.arm)}."
                )
            self.ledger.early.setdefault(id_, []).append(one)
            return RewardReceipt(early=1), _NO_CELLS
        decided = int(self.ledger.column("time")[row])
        if self.attribution is not None and one.time > decided + self.attribution:
            return RewardReceipt(late=1), _NO_CELLS
        again = not told and bool(self.ledger.says(row, one.reward, one.weight))
        outcomes = None if again else self.ledger.post_one(row, one)
        if outcomes is None:
            return RewardReceipt(unchanged=1), _NO_CELLS
        self.memory.add(outcomes, np.full(outcomes.arm.size, decided))
        self.version += 1
        return RewardReceipt(applied=1), outcomes.cell

    def post(self, rewards: Rewards, arms: Roster, now: Instant) -> tuple[RewardReceipt, IntArray]:
        """Take in rewards.

        Returns:
            What became of them, and the cells whose sums changed.
        """
        self._check(rewards, arms)
        n = len(rewards)
        times = np.full(n, now) if rewards.time is None else rewards.time
        weights = np.ones(n) if rewards.weight is None else rewards.weight
        names = (None,) * n if rewards.arm is None else rewards.arm
        rows = np.empty(n, dtype=np.int64)
        early: list[tuple[str, Early]] = []
        for row, (id_, name) in enumerate(
            zip(map(str, rewards.decision.tolist()), names, strict=True)
        ):
            # One dictionary look-up per reward: the join by id is what this loop is.
            found = self.ledger.row_of(id_, None if name is None else arms.codes[name])
            rows[row] = -1 if found is None else found
            if found is None:
                if id_ in self.ledger.first:
                    raise InvalidDataError(f"Decision {id_!r} did not choose the arm {name!r}.")
                waiting = Early(
                    name, float(rewards.reward[row]), int(times[row]), float(weights[row])
                )
                early.append((id_, waiting))
        for id_, reward in early:
            self.ledger.early.setdefault(id_, []).append(reward)
        known = rows >= 0
        late = np.zeros(n, dtype=np.bool_)
        if self.attribution is not None:
            decided = self.ledger.column("time")
            late[known] = times[known] > decided[rows[known]] + self.attribution
        again = np.zeros(n, dtype=np.bool_)
        if rewards.time is None:
            again[known] = self.ledger.says(rows[known], rewards.reward[known], weights[known])
        use = known & ~late & ~again
        applied, cells = self._apply(rows[use], rewards.reward[use], times[use], weights[use])
        receipt = RewardReceipt(
            applied=applied,
            unchanged=int(use.sum()) - applied + int((again & ~late).sum()),
            early=len(early),
            late=int(late.sum()),
        )
        return receipt, cells

    def expire(self, now: Instant, attribution: int) -> tuple[RewardReceipt, IntArray]:
        """Post 0 to every pick whose attribution window has passed without a reward.

        A reward that has waited much longer for its decision is given up.
        """
        early = self.ledger.early
        for id_, waiting in list(early.items()):
            early[id_] = [one for one in waiting if one.time > now - attribution - WAIT]
            if not early[id_]:
                del early[id_]
        rows = self.ledger.pending()
        closed = self.ledger.column("time")[rows] + attribution
        over = closed <= now
        zeros = np.zeros(int(over.sum()))
        applied, cells = self._apply(rows[over], zeros, closed[over], np.ones(zeros.size))
        return RewardReceipt(applied=applied), cells

    def settle(self, before: Instant) -> int:
        """Fold this worker's picks older than `before` into settled sums and drop them.

        Raises:
            InvalidDataError: If the whole log is needed.
        """
        if self.reset is not None:
            raise InvalidDataError(
                "A bandit with reset must keep its whole log; settle one without."
            )
        ledger = self.ledger
        done = (ledger.column("origin") == 0) & (ledger.column("time") < before)
        rows = np.intersect1d(np.flatnonzero(done), ledger.rewarded())
        horizon, sums = self.settled.get(self.worker, (before, self.fresh_memory()))
        sums.add(ledger.outcomes(rows), ledger.column("time")[rows])
        self.settled[self.worker] = (max(horizon, before), sums)
        ledger.keep(~done)
        return int(done.sum())

    def refold(self) -> None:
        """Work out the sums anew from the log: settled sums, then every rewarded pick."""
        self._unchanged = None
        self.memory = self.fresh_memory()
        for worker in sorted(self.settled):
            self.memory.absorb(self.settled[worker][1].copy())
        rows = self.ledger.rewarded()
        self.memory.add(self.ledger.outcomes(rows), self.ledger.column("time")[rows])

    def post_early(self, ids: Sequence[str], arms: Roster) -> IntArray:
        """Post the rewards that waited for decisions; return the cells that changed."""
        found = [
            (
                self.ledger.row_of(id_, None if reward.arm is None else arms.codes[reward.arm]),
                reward,
            )
            for id_ in ids
            if id_ in self.ledger.early
            for reward in self.ledger.early.pop(id_)
        ]
        decided = self.ledger.column("time")
        longest = math.inf if self.attribution is None else self.attribution
        posts = [
            (row, reward)
            for row, reward in found
            if row is not None and reward.time - int(decided[row]) <= longest
        ]
        if not posts:
            return np.empty(0, dtype=np.int64)
        return self._apply(
            np.array([row for row, _ in posts]),
            np.array([reward.reward for _, reward in posts]),
            np.array([reward.time for _, reward in posts]),
            np.array([reward.weight for _, reward in posts]),
        )[1]

    def _apply(
        self, rows: IntArray, reward: FloatArray, time: IntArray, weight: FloatArray
    ) -> tuple[int, IntArray]:
        if not rows.size:
            return 0, rows
        outcomes, touched, effective = self.ledger.post(rows, reward, time, weight)
        self.memory.add(outcomes, self.ledger.column("time")[touched])
        applied = int(effective.sum())
        self.version += applied
        return applied, outcomes.cell

    def _check(self, rewards: Rewards, arms: Roster) -> None:
        low, high = self.policy.reward_range
        bad: BoolArray = (rewards.reward < low) | (rewards.reward > high)
        if bad.any():
            raise self._out_of_range(float(rewards.reward[np.argmax(bad)]))
        for name in set(rewards.arm or ()):
            arms.code(name)

    def _out_of_range(self, reward: float) -> InvalidDataError:
        low, high = self.policy.reward_range
        return InvalidDataError(
            f"reward must be in [{low:g}, {high:g}] for {self.policy.name}, got {reward}; "
            "rescale it first."
        )
