"""The sums of a bandit as additive rows: any worker, any order, any batching add up to the same.

A row is one number of one array of the policy's sums, of one bucket of time where the bandit
forgets: rows only ever add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from sqlalchemy import bindparam, delete, select

from siamrec.bandits import ContextualBandit, Snapshot
from siamrec.bandits.log.forgetting import FORGOTTEN, FadingSums, gathered
from siamrec.storage import _engine
from siamrec.storage.schema import fold as fold_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from siamrec.bandits import Policy
    from siamrec.bandits.policies import Outcomes, Space, Sums
    from siamrec.protocols import Clock
    from siamrec.typing import Instant, IntArray

_ALWAYS = -(2**62)


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
            .where(c.version > bindparam("after"), c.part > bindparam("oldest"))
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

    def load(
        self, connection: Connection, known: dict[int, Sums], *, after: int, now: Instant
    ) -> None:
        """Bring `known` sums, complete up to version `after`, up to date in place."""
        oldest = _ALWAYS if self._half_life is None else now // self._half_life - FORGOTTEN
        rows = connection.execute(self._newer, {"after": after, "oldest": oldest})
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
        arrays = dict(empty.arrays)
        if self._half_life is not None:
            known = gathered(known, clock.now(), self._half_life)
        for part, sums in known.items():
            for name, total in sums.items():
                arrays[f"settled/0/{part}/{name}"] = total
        settled = [{"worker": "sums", "horizon": 0}]
        state = Snapshot({**empty.header, **header, "settled": settled}, arrays)
        return ContextualBandit.restore(state, blank.policy, context=blank.context, clock=clock)

    def _deltas(self, outcomes: Outcomes, times: IntArray) -> dict[int, Sums]:
        memory = FadingSums(self._policy, self.space, self._half_life, self._window)
        memory.add(outcomes, times)
        return memory.buckets


def _adding(make: Callable[..., Any]) -> Any:
    statement = make(fold_table)
    return statement.on_conflict_do_update(
        index_elements=["projection", "part", "name", "slot"],
        set_={
            "value": fold_table.c.value + statement.excluded.value,
            "version": statement.excluded.version,
        },
    )
