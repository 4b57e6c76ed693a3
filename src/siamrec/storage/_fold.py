"""The sums of a bandit as additive rows: any worker, any order, any batching add up to the same.

A row is one number of one array of the policy's sums. With a half-life, sums stand apart by
epochs of so many half-lives, each with its own fixed landmark, so that rows only ever add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from sqlalchemy import bindparam, delete, select

from siamrec.bandits import ContextualBandit, Snapshot
from siamrec.bandits.log.forgetting import FadingSums
from siamrec.storage import _engine
from siamrec.storage.schema import fold as fold_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from siamrec.bandits import Policy
    from siamrec.bandits.policies import Outcomes, Space, Sums
    from siamrec.protocols import Clock
    from siamrec.typing import IntArray

_EPOCH = 64
"""Half-lives in an epoch: far from overflow, and few epochs in the life of a bandit."""


@final
class Fold:
    """How the outcomes of one bandit become rows, and rows a bandit that believes them.

    Args:
        projection: Name of the projection.
        policy: Whose sums these are.
        space: Its cells, arms and features.
        half_life: In nanoseconds, as the bandit was made with.
        window: In nanoseconds, as the bandit was made with.
    """

    def __init__(
        self,
        projection: str,
        policy: Policy[Any],
        space: Space,
        *,
        half_life: int | None,
        window: int | None,
    ) -> None:
        self.projection = projection
        self.space = space
        self._policy = policy
        self._half_life = half_life
        self._window = window
        c = fold_table.c
        # Made once: to put a statement together takes longer than to run it.
        self._newer = (
            select(c.part, c.name, c.slot, c.value)
            .where(c.projection == projection)
            .where(c.version > bindparam("after"))
        )
        self._added: dict[str, Any] = {}  # by dialect: to put it together takes its time

    def add(
        self, connection: Connection, outcomes: Outcomes, times: IntArray, *, version: int
    ) -> None:
        """Add outcomes, decided at `times`, to the stored sums."""
        rows = [
            {
                "projection": self.projection,
                "part": part,
                "name": name,
                "slot": ",".join(map(str, place)),
                "value": float(total[tuple(place)]),
                "version": version,
            }
            for part, sums in self._deltas(outcomes, times).items()
            for name, total in sums.items()
            for place in np.argwhere(total).tolist()
        ]
        if not rows:
            return
        # One order of rows for all workers: no two of them wait for each other.
        rows.sort(key=lambda row: (row["part"], row["name"], row["slot"]))
        dialect = connection.dialect.name
        if dialect not in self._added:
            self._added[dialect] = _adding(_engine.inserting(dialect))
        connection.execute(self._added[dialect], rows)

    def clear(self, connection: Connection) -> None:
        """Forget the stored sums."""
        connection.execute(delete(fold_table).where(fold_table.c.projection == self.projection))

    def load(self, connection: Connection, known: dict[int, Sums], *, after: int) -> None:
        """Bring `known` sums, complete up to version `after`, up to date in place."""
        rows = connection.execute(self._newer, {"after": after})
        for part, name, slot, value in rows:
            if part not in known:
                known[part] = self._policy.init(self.space)
            place = tuple(map(int, slot.split(","))) if slot else ()
            known[part][name][place] = value

    def believing(
        self,
        blank: ContextualBandit[Any],
        known: Mapping[int, Sums],
        *,
        clock: Clock,
        header: Mapping[str, object],
    ) -> ContextualBandit[Any]:
        """Return a bandit like `blank` that has learned exactly `known`."""
        empty = blank.snapshot()
        settled: list[dict[str, object]] = []
        arrays = dict(empty.arrays)
        for place, (part, sums) in enumerate(sorted(known.items())):
            bucket = 0 if self._window is None else part
            settled.append(
                {"worker": f"sums/{part}", "horizon": 0, "landmark": self._landmark(part)}
            )
            for name, total in sums.items():
                arrays[f"settled/{place}/{bucket}/{name}"] = total
        state = Snapshot({**empty.header, **header, "settled": settled}, arrays)
        return ContextualBandit.restore(state, blank.policy, context=blank.context, clock=clock)

    def _landmark(self, part: int) -> int | None:
        return None if self._half_life is None else part * _EPOCH * self._half_life

    def _deltas(self, outcomes: Outcomes, times: IntArray) -> dict[int, Sums]:
        if self._half_life is None:
            memory = FadingSums(self._policy, self.space, None, self._window)
            memory.add(outcomes, times)
            return memory.buckets
        deltas = {}
        epochs = times // (_EPOCH * self._half_life)
        for epoch in np.unique(epochs).tolist():  # one, or two where an epoch ends
            memory = FadingSums(self._policy, self.space, self._half_life, None)
            memory.landmark = self._landmark(epoch)
            mine = epochs == epoch
            memory.add(outcomes.rows(mine), times[mine])
            deltas[epoch] = memory.buckets[0]
        return deltas


def _adding(make: Callable[..., Any]) -> Any:
    statement = make(fold_table)
    return statement.on_conflict_do_update(
        index_elements=["projection", "part", "name", "slot"],
        set_={
            "value": fold_table.c.value + statement.excluded.value,
            "version": statement.excluded.version,
        },
    )
