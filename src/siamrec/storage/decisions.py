"""Decisions with their propensities, and the rewards that came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from sqlalchemy import delete, select

from siamrec._core import check
from siamrec.data import NO_TIME, Decision, Rewards
from siamrec.errors import InvalidDataError, shown
from siamrec.storage import _bulk, _engine
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import projection
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant

_BATCH = 1_000


@final
class DecisionLog(OnDatabase):
    """An append-only log of decisions; a repeated decision or reward is stored once."""

    keeps = (decision_table, reward_table)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._insert = _engine.inserting(engine.dialect.name)

    def write(self, decisions: Sequence[Decision], rewards: Rewards | None = None) -> int:
        """Store decisions and their rewards in one transaction; return how many were new.

        Of a stored bandit they are told to the bandit, by `record` and `learn`: its sums would
        not know of them.

        Raises:
            siamrec.errors.InvalidDataError: If one is of a bandit that this store shares.
        """
        listed = check.many("decisions", decisions, what="decisions")
        if rewards is not None:
            check.kind("rewards", rewards, Rewards)
        rows = [
            {
                "id": decision.id,
                "bandit": decision.bandit,
                "time": decision.time,
                "unit": decision.unit,
                "arm": decision.arms[0],
                "propensity": decision.propensities[0],
                "state_version": decision.state_version,
                "body": decision.to_json(),
            }
            for decision in (check.kind("decision", each, Decision) for each in listed)
        ]

        bandits = sorted({str(row["bandit"]) for row in rows})

        def work(connection: Connection) -> int:
            _engine.lock(connection, "projection")  # a bandit that is opened now waits, or is seen
            self._refuse_shared(connection, bandits, rewards)
            stored = 0
            for first in range(0, len(rows), _BATCH):
                statement = self._insert(decision_table).values(rows[first : first + _BATCH])
                new = statement.on_conflict_do_nothing().returning(decision_table.c.id)
                stored += len(connection.execute(new).all())
            if rewards is not None and len(rewards):
                known = self._insert(reward_table).on_conflict_do_nothing()
                connection.execute(known, self._reward_rows(rewards))
            return stored

        return _engine.transact(self._engine, work)

    def expire(self, before: Instant) -> int:
        """Take out rewards received before an instant whose decision is not known even now.

        A reward may come before its decision is told; one whose decision never is would wait for
        ever. Returns how many were taken out.
        """
        c = reward_table.c
        unknown = ~select(decision_table.c.id).where(decision_table.c.id == c.decision).exists()
        gone = delete(reward_table).where(c.received < check.instant("before", before), unknown)
        return _engine.transact(self._engine, lambda x: int(x.execute(gone).rowcount))

    def _refuse_shared(
        self, connection: Connection, bandits: Sequence[str], rewards: Rewards | None
    ) -> None:
        """Refuse what only a stored bandit can check against its policy and take into its sums."""
        given = set() if rewards is None else set(map(str, rewards.decision.tolist()))
        of = _bulk.select(connection, decision_table, ("bandit",), "id", sorted(given))
        names = [f"bandit:{name}" for name in {*bandits, *(name for (name,) in of)}]
        shared = _bulk.select(connection, projection, ("name",), "name", names)
        if shared:
            name = shared[0][0].partition(":")[2]
            raise InvalidDataError(
                f"The bandit {shown(name)} is a stored one: tell it by record(...) and learn(...) "
                f"of store.bandit({shown(name)}, ...)."
            )

    def _reward_rows(self, rewards: Rewards) -> list[dict[str, object]]:
        n, received = len(rewards), self._clock.now()
        times = [int(NO_TIME)] * n if rewards.time is None else rewards.time.tolist()
        weights = [1.0] * n if rewards.weight is None else rewards.weight.tolist()
        columns = zip(
            map(str, rewards.decision.tolist()),
            rewards.arm or ("",) * n,
            rewards.reward.tolist(),
            times,
            weights,
            strict=True,
        )
        names = ("decision", "arm", "reward", "time", "weight")
        return [{**dict(zip(names, row, strict=True)), "received": received} for row in columns]

    def read(self, bandit: str) -> Iterator[Decision]:
        """Yield the decisions of one bandit in time order."""
        query = (
            select(decision_table.c.body)
            .where(decision_table.c.bandit == bandit)
            .order_by(decision_table.c.time, decision_table.c.id)
        )
        with _engine.reading(self._engine) as connection:
            bodies = connection.execute(query).scalars().all()
        for body in bodies:
            yield Decision.from_json(body)

    def rewards(self, bandit: str) -> Rewards:
        """Return the reward of each of a bandit's decisions, in the order of the decisions.

        Of several rewards for the first arm of one decision the latest counts (by its time, then
        by its size, then by its weight).
        """
        first = reward_table.c.arm.in_(["", decision_table.c.arm])
        query = (
            select(reward_table.c.decision, reward_table.c.reward)
            .join(decision_table, decision_table.c.id == reward_table.c.decision)
            .where(decision_table.c.bandit == bandit, first)
            .order_by(
                decision_table.c.time,
                decision_table.c.id,
                reward_table.c.time,
                reward_table.c.reward,
                reward_table.c.weight,
            )
        )
        with _engine.reading(self._engine) as connection:
            latest = {row.decision: row.reward for row in connection.execute(query)}
        return Rewards(
            decision=np.asarray(list(latest), dtype=np.str_),
            reward=np.asarray(list(latest.values()), dtype=np.float64),
        )
