"""What came of decisions: rewards, and the ids by which they find what they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import counted, number
from siamrec.data.columnar import Columnar, days_of, joined, one_or_more, plain_row
from siamrec.data.frames import arrow_table, floats_of, instants_of, pick, table_of
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from siamrec.typing import BoolArray, FloatArray, IdArray, Instant, IntArray


LARGEST_REWARD = 1e15
LARGEST_WEIGHT = 1e9
"""Bounds under which sums of squares stay far from overflow, whatever is added up."""
LONGEST_DECISION = 1_000
"""Letters of the id of a decision, at most."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rewards(Columnar):
    """What followed decisions, one row per observed reward.

    Attributes:
        decision: Ids of the decisions, int64 or fixed-width text, shape `(n,)`.
        reward: Finite rewards, shape `(n,)`; most policies want them in `[0, 1]`.
        time: Instant each reward was observed, int64 ns; the latest one of a decision counts.
        weight: How much each row counts, from 0 to a thousand million; 1 when absent.
        arm: Name of the arm each reward belongs to, where a decision blended several arms;
            without it the first-ranked arm is meant.

    Raises:
        InvalidDataError: If lengths differ, a reward is not finite or a weight is negative.

    Examples:
        >>> len(Rewards(decision=np.array([3, 4]), reward=np.array([1.0, 0.0])))
        2
    """

    decision: IdArray
    reward: FloatArray
    time: IntArray | None = None
    weight: FloatArray | None = None
    arm: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "decision", decision_ids(self.decision))
        reward = check.finite("reward", self.reward)
        if np.abs(reward).max(initial=0.0) > LARGEST_REWARD:
            raise InvalidDataError(
                f"reward must be within ±{LARGEST_REWARD:g}, got {shown(reward)}; rescale it."
            )
        object.__setattr__(self, "reward", check.frozen(reward, float))
        if self.time is not None:
            object.__setattr__(self, "time", check.frozen(self.time, np.int64))
        if self.weight is not None:
            weight = check.finite("weight", self.weight)
            if weight.size and weight.min() < 0:
                raise InvalidDataError(f"weight must not be below 0, got {weight.min()}.")
            if weight.max(initial=0.0) > LARGEST_WEIGHT:
                raise InvalidDataError(
                    f"weight must be at most {LARGEST_WEIGHT:g}, got {weight.max():g}."
                )
            object.__setattr__(self, "weight", check.frozen(weight, float))
        n = check.same_length(
            decision=self.decision, reward=self.reward, time=self.time, weight=self.weight
        )
        if self.arm is not None:
            object.__setattr__(self, "arm", tuple(check.many("arm", self.arm, what="names")))
            if len(self.arm) != n:
                raise InvalidDataError(f"arm must hold {n} names, got {len(self.arm)}.")
            if not set(map(type, self.arm)) <= {str, np.str_}:
                raise InvalidDataError(f"arm must hold names, got {shown(self.arm)}.")

    @classmethod
    def of_one(
        cls,
        decision: str | int,
        reward: float,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> Self:
        """Return the reward of the decision of this id; the rest as in the columns."""
        return cls(
            decision=np.asarray([str(decision)]),
            reward=np.asarray([reward], dtype=np.float64),
            time=None if time is None else np.asarray([check.instant("time", time)]),
            weight=np.asarray([weight], dtype=np.float64),
            arm=None if arm is None else (arm,),
        )

    @override
    def __len__(self) -> int:
        return int(self.reward.size)

    def by_decision(self) -> dict[str, float]:
        """Return the reward of each decision id, as text; of repeated ids the latest one counts.

        Rewards of one instant, and those without one, come in the order of their rows; rows of
        weight 0 do not count.
        """
        rows = np.arange(len(self)) if self.time is None else np.argsort(self.time, kind="stable")
        if self.weight is not None:
            rows = rows[self.weight[rows] > 0]
        ids = map(str, self.decision[rows].tolist())
        return dict(zip(ids, self.reward[rows].tolist(), strict=True))

    @override
    def row(self, place: int) -> dict[str, Any]:
        return plain_row({name: getattr(self, name) for name in _COLUMNS}, place)

    @override
    def title(self) -> str:
        mean = f" with a mean of {number(float(self.reward.mean()))}" if len(self) else ""
        return f"Rewards: {counted(len(self), 'reward')}{mean}{days_of(self.time)}"

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        chosen = check.rows("rows", rows, len(self))
        columns = {
            name: column[chosen]
            for name in _COLUMNS[:-1]
            if (column := getattr(self, name)) is not None
        }
        arm = None if self.arm is None else tuple(np.array(self.arm, dtype=object)[chosen])
        return replace(self, **columns, arm=arm)

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        listed = one_or_more(parts, cls, "rewards")
        columns: dict[str, Any] = {
            name: joined(name, [getattr(part, name) for part in listed]) for name in _COLUMNS[:-1]
        }
        named = [None if p.arm is None else np.array(p.arm, dtype=object) for p in listed]
        arm = joined("arm", named)
        return cls(**columns, arm=None if arm is None else tuple(arm))

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        decision: str = "decision",
        reward: str = "reward",
        time: str | None = None,
        weight: str | None = None,
    ) -> Self:
        """Return the rewards of a data frame; each argument names a column.

        Raises:
            InvalidDataError: If a column breaks the contract of the class.
            UnknownNameError: If a column is missing.
        """
        table = table_of(frame)
        return cls(
            decision=decision_id_column(pick(table, decision, "the decision id")),
            reward=floats_of(pick(table, reward, "the reward"), reward),
            time=None if time is None else instants_of(pick(table, time, "the time"), time),
            weight=None if weight is None else floats_of(pick(table, weight, "weight"), weight),
        )

    def to_arrow(self) -> Any:
        """Return a pyarrow table with the columns decision, reward and those that are set."""
        columns: dict[str, Any] = {"decision": self.decision, "reward": self.reward}
        if self.time is not None:
            columns["time"] = self.time.view("datetime64[ns]")
        for name in ("weight", "arm"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        return arrow_table(columns)


_COLUMNS = ("decision", "reward", "time", "weight", "arm")


def decision_ids(values: IdArray) -> IdArray:
    """Return ids of decisions as int64 or fixed-width text, read-only.

    Raises:
        InvalidDataError: If they are of another kind.
    """
    column = np.asarray(values)
    if column.dtype.kind == "O":
        column = np.array([str(value) for value in column.tolist()], dtype=np.str_)
    if column.dtype.kind in "ui":
        column = column.astype(np.int64, copy=False)
    if column.dtype.kind not in "iUS" and column.size:
        raise InvalidDataError(f"Decision ids must be whole numbers or text, got {column.dtype}.")
    if column.dtype.kind == "U" and column.dtype.itemsize > 4 * LONGEST_DECISION:
        longest = max(map(len, column.tolist()), default=0)
        if longest > LONGEST_DECISION:
            raise InvalidDataError(
                f"Decision ids must have at most {LONGEST_DECISION} letters, got {longest:,}."
            )
    return check.frozen(column, column.dtype)


def decision_id_column(column: Any) -> IdArray:
    """Return the ids of decisions in an Arrow column.

    Raises:
        InvalidDataError: If one is null.
    """
    if column.null_count:
        raise InvalidDataError(f"Decision ids must not be null, got {column.null_count} nulls.")
    values: IdArray = np.array(column.to_pylist())
    return values
