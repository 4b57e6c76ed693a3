"""What was decided and what came back, as growing columns: the log that the sums are a fold of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.bandits.policies.base import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.typing import BoolArray, FloatArray, IntArray

_START = 64
_NO_REWARD = np.iinfo(np.int64).min
_COLUMNS = {
    "arm": np.int32,
    "cell": np.int32,
    "origin": np.int32,
    "rank": np.int32,
    "time": np.int64,
    "propensity": np.float64,
    "reward": np.float64,
    "reward_time": np.int64,
    "weight": np.float64,
}


@final
@dataclass(frozen=True, slots=True)
class Early:
    """A reward whose decision is not known yet."""

    arm: str | None
    reward: float
    time: int
    weight: float


@final
class Ledger:
    """Picks (one row for each ranked arm of a decision) with their latest rewards; mutable.

    A reward of a pick is replaced by one that is greater in the order (time, reward, weight).
    The greatest of a set does not depend on the order in which it is read, so rewards may
    arrive late, twice or out of order.
    """

    def __init__(self, n_features: int = 0) -> None:
        self.n_features = n_features
        self.n_rows = 0
        self.first: dict[str, int] = {}
        self.early: dict[str, list[Early]] = {}
        self._columns = {name: np.zeros(_START, dtype) for name, dtype in _COLUMNS.items()}
        self._features = np.zeros((_START, n_features))

    def column(self, name: str) -> IntArray:
        """Return a column of the rows so far, as a view."""
        view: IntArray = self._columns[name][: self.n_rows]
        return view

    def append(
        self,
        ids: Sequence[str],
        *,
        arm: IntArray,
        cell: IntArray,
        rank: IntArray,
        time: IntArray,
        propensity: FloatArray,
        origin: int,
        features: FloatArray | None = None,
    ) -> None:
        """Add picks; `ids` names every decision once, and ranks restart at 0 with each."""
        start, stop = self.n_rows, self.n_rows + len(arm)
        self._reserve(stop)
        part = slice(start, stop)
        columns = self._columns
        columns["arm"][part] = arm
        columns["cell"][part] = cell
        columns["rank"][part] = rank
        columns["time"][part] = time
        columns["propensity"][part] = propensity
        columns["origin"][part] = origin
        columns["reward_time"][part] = _NO_REWARD
        if features is not None:
            self._features[part] = features
        self.n_rows = stop
        if len(ids) == len(arm):
            self.first.update(zip(ids, range(start, stop), strict=True))
        else:
            heads = start + np.flatnonzero(np.asarray(rank) == 0)
            self.first.update(zip(ids, heads.tolist(), strict=True))

    def append_one(
        self,
        id_: str,
        arms: Sequence[int],
        chances: Sequence[float],
        *,
        cell: int,
        time: int,
        features: FloatArray | None = None,
    ) -> None:
        """Add one decision of origin 0; the short way of `append`."""
        start = self.n_rows
        self._reserve(start + len(arms))
        columns = self._columns
        for rank, (arm, chance) in enumerate(zip(arms, chances, strict=True)):
            row = start + rank
            columns["arm"][row] = arm
            columns["cell"][row] = cell
            columns["rank"][row] = rank
            columns["time"][row] = time
            columns["propensity"][row] = chance
            columns["origin"][row] = 0
            columns["reward_time"][row] = _NO_REWARD
        self.n_rows = start + len(arms)
        if features is not None:
            self._features[start : self.n_rows] = features
        self.first[id_] = start

    def row_of(self, id_: str, arm: int | None) -> int | None:
        """Return the row of a decision's arm, or of its first rank; None when not there."""
        row = self.first.get(id_)
        if row is None or arm is None:
            return row
        arms, ranks = self._columns["arm"], self._columns["rank"]
        while row < self.n_rows:
            if arms[row] == arm:
                return row
            row += 1
            if row < self.n_rows and ranks[row] == 0:
                break
        return None

    def post(
        self, row: IntArray, reward: FloatArray, time: IntArray, weight: FloatArray
    ) -> tuple[Outcomes, IntArray, BoolArray]:
        """Write rewards to rows and return what changes in the sums.

        Returns:
            Signed outcomes (old rewards taken back, new ones added), their rows, and for each
            given reward whether it took effect.
        """
        order = np.lexsort((weight, reward, time, row))
        final_one = np.ones(row.size, dtype=np.bool_)
        final_one[:-1] = row[order][1:] != row[order][:-1]
        last = order[final_one]
        newer = self._newer(row[last], reward[last], time[last], weight[last])
        took = last[newer]
        effective = np.zeros(row.size, dtype=np.bool_)
        effective[took] = True
        rows = row[took]
        had = rows[self._columns["reward_time"][rows] != _NO_REWARD]
        before = self.outcomes(had)
        self._columns["reward"][rows] = reward[took]
        self._columns["reward_time"][rows] = time[took]
        self._columns["weight"][rows] = weight[took]
        after = self.outcomes(rows)
        return _joined(before, after), np.concatenate([had, rows]), effective

    def post_one(self, row: int, one: Early) -> Outcomes | None:
        """Write one reward and return what changes in the sums; None where it is not newer."""
        columns = self._columns
        old_time = int(columns["reward_time"][row])
        old = (old_time, float(columns["reward"][row]), float(columns["weight"][row]))
        if (one.time, one.reward, one.weight) <= old:
            return None
        had = old_time != _NO_REWARD
        columns["reward"][row] = one.reward
        columns["reward_time"][row] = one.time
        columns["weight"][row] = one.weight
        rows = np.full(1 + had, row)
        return Outcomes(
            cell=columns["cell"][rows].astype(np.int64),
            arm=columns["arm"][rows].astype(np.int64),
            reward=np.array([old[1], one.reward] if had else [one.reward]),
            weight=np.array([-old[2], one.weight] if had else [one.weight]),
            propensity=columns["propensity"][rows],
            features=self._features[rows] if self.n_features else None,
        )

    def says(self, row: Any, reward: Any, weight: Any) -> Any:
        """Whether rows have just this reward now, of the same weight."""
        columns = self._columns
        had = columns["reward_time"][row] != _NO_REWARD
        return had & (columns["reward"][row] == reward) & (columns["weight"][row] == weight)

    def _newer(
        self, row: IntArray, reward: FloatArray, time: IntArray, weight: FloatArray
    ) -> BoolArray:
        old_time = self._columns["reward_time"][row]
        old_reward, old_weight = self._columns["reward"][row], self._columns["weight"][row]
        same_time = time == old_time
        heavier = (reward == old_reward) & (weight > old_weight)
        newer: BoolArray = (time > old_time) | (same_time & ((reward > old_reward) | heavier))
        return newer

    def rewarded(self) -> IntArray:
        """Return the rows that have a reward."""
        return np.flatnonzero(self.column("reward_time") != _NO_REWARD)

    def pending(self) -> IntArray:
        """Return the rows that have none."""
        return np.flatnonzero(self.column("reward_time") == _NO_REWARD)

    def outcomes(self, rows: IntArray) -> Outcomes:
        """Return rows as outcomes."""
        columns = self._columns
        return Outcomes(
            cell=columns["cell"][rows].astype(np.int64),
            arm=columns["arm"][rows].astype(np.int64),
            reward=columns["reward"][rows],
            weight=columns["weight"][rows],
            propensity=columns["propensity"][rows],
            features=self._features[rows] if self.n_features else None,
        )

    def features(self, rows: IntArray) -> FloatArray | None:
        """Return the feature vectors of rows, where there are any."""
        return self._features[rows] if self.n_features else None

    def ids(self) -> list[str]:
        """Return the decision ids in the order of their first rows."""
        return sorted(self.first, key=self.first.__getitem__)

    def row_ids(self) -> npt.NDArray[np.str_]:
        """Return the decision id of every row."""
        ids = self.ids()
        firsts = [self.first[id_] for id_ in ids]
        return np.repeat(np.array(ids, dtype=np.str_), np.diff([*firsts, self.n_rows]))

    def keep(self, kept: BoolArray) -> None:
        """Drop the rows where `kept` is false; a decision goes as a whole."""
        place = np.cumsum(kept) - 1
        self.first = {id_: int(place[row]) for id_, row in self.first.items() if kept[row]}
        for name in self._columns:
            self._columns[name] = self.column(name)[kept].copy()
        self._features = self._features[: self.n_rows][kept].copy()
        self.n_rows = int(kept.sum())
        self._reserve(max(self.n_rows, 1))

    def _reserve(self, n_rows: int) -> None:
        have = len(self._columns["arm"])
        if n_rows <= have:
            return
        size = max(n_rows, 2 * have, _START)
        for name, column in self._columns.items():
            grown = np.zeros(size, column.dtype)
            grown[: len(column)] = column
            self._columns[name] = grown
        features = np.zeros((size, self.n_features))
        features[: len(self._features)] = self._features
        self._features = features


def _joined(taken_back: Outcomes, added: Outcomes) -> Outcomes:
    if not taken_back.arm.size:
        return added
    both = (taken_back, added)
    has_features = added.features is not None and taken_back.features is not None
    return Outcomes(
        cell=np.concatenate([each.cell for each in both]),
        arm=np.concatenate([each.arm for each in both]),
        reward=np.concatenate([each.reward for each in both]),
        weight=np.concatenate([-taken_back.weight, added.weight]),
        propensity=np.concatenate([each.propensity for each in both]),
        features=np.concatenate([each.features for each in both if each.features is not None])
        if has_features
        else None,
    )
