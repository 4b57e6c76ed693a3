"""What a bandit chose, with what probability, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Shown, Table, counted
from siamrec.data.columnar import Columnar, days_of, joined, one_or_more, plain_row, same
from siamrec.data.frames import arrow_table, codes_of, floats_of, instants_of, pick, table_of
from siamrec.data.rewards import LONGEST_DECISION, decision_id_column, decision_ids
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from siamrec.typing import BoolArray, CodeArray, FloatArray, IdArray, Instant, IntArray

_ROUNDING = 1e-9
"""How far a stored probability may stand outside [0, 1] from rounding alone."""


_LONGEST_NAME = 200
_LONGEST_TEXT = 100_000
_MOST = 2**62


def _named(name: str, value: object, longest: int, *, least: int = 1) -> None:
    if not isinstance(value, str) or not least <= len(value) <= longest or "\0" in value:
        raise InvalidDataError(
            f"{name} of a decision must be a text of {least} to {longest:,} letters without NUL, "
            f"got {shown(value)}."
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Decision(Shown):
    """One choice of a bandit: ranked arms and the exact probability of each rank.

    Attributes:
        id: Name of the decision; rewards refer to it. Ids of one bandit sort by time.
        bandit: Name of the bandit.
        context: Level of each context factor, as the bandit understood it.
        arms: Chosen arms, best rank first; one arm for `n=1`.
        propensities: For each rank, the probability with which its arm was drawn, given the
            arms above it; their product is the probability of the ranked list. Computed
            after tempering, holdout, floor, cap and mask.
        confidences: For each chosen arm, the probability that it is the best of all eligible
            arms, given the context and the data.
        means: Expected reward of each chosen arm.
        intervals: 95 % interval of each mean, as `(low, high)`.
        in_top: For each chosen arm, the probability that it is among the best `n`.
        policy: Name of the policy.
        state_version: Version of the state the decision was made with.
        time: When, in nanoseconds since the epoch.
        unit: Whom it was made for, if that was told.

    Raises:
        InvalidDataError: If no arm is given, an arm repeats, the lengths differ or a
            probability is outside `[0, 1]`.

    Examples:
        >>> decision = Decision(id="7", bandit="home", arms=("svd",), propensities=(0.4,))
        >>> Decision.from_json(decision.to_json()) == decision
        True
    """

    id: str
    bandit: str
    context: Mapping[str, str] = field(default_factory=dict)
    arms: tuple[str, ...]
    propensities: tuple[float, ...]
    confidences: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    intervals: tuple[tuple[float, float], ...] = ()
    in_top: tuple[float, ...] = ()
    policy: str = ""
    state_version: int = 0
    time: Instant = 0
    unit: str | None = None

    def __post_init__(self) -> None:
        self._check_fields()
        n = len(self.arms)
        if not n or len(set(self.arms)) != n:
            raise InvalidDataError(
                f"arms must be one or more different names, got {shown(self.arms)}."
            )
        if len(self.propensities) != n:
            raise InvalidDataError(
                f"propensities must hold one number per arm, got {len(self.propensities)} for {n}."
            )
        for name in ("confidences", "means", "intervals", "in_top"):
            if len(getattr(self, name)) not in {0, n}:
                raise InvalidDataError(f"{name} must be empty or hold one entry per arm.")
        for value in (*self.propensities, *self.confidences, *self.in_top):
            if not -_ROUNDING <= value <= 1 + _ROUNDING:
                raise InvalidDataError(f"A probability must be in [0, 1], got {shown(value)}.")

    def _check_fields(self) -> None:
        """Refuse what a log could not keep, or not find again."""
        _named("id", self.id, LONGEST_DECISION)
        for arm in self.arms:
            _named("arm", arm, _LONGEST_NAME)
        _named("bandit", self.bandit, _LONGEST_NAME, least=0)
        _named("policy", self.policy, _LONGEST_TEXT, least=0)
        if self.unit is not None:
            _named("unit", self.unit, LONGEST_DECISION)
        for name, number in (("time", self.time), ("state_version", self.state_version)):
            if type(number) is not int or not -_MOST < number < _MOST:
                raise InvalidDataError(
                    f"{name} of a decision must be a whole number within 62 bits, "
                    f"got {shown(number)}."
                )

    @property
    def arm(self) -> str:
        """The first-ranked arm."""
        return self.arms[0]

    @property
    def propensity(self) -> float:
        """The probability with which the first-ranked arm was drawn."""
        return self.propensities[0]

    @override
    def title(self) -> str:
        by = f" of {self.bandit}" if self.bandit else ""
        whom = "" if self.unit is None else f" for {self.unit}"
        return f"Decision {self.id}{by}{whom}: {', '.join(self.arms)}"

    @override
    def table(self) -> Table:
        """Return one row for each chosen arm, best rank first."""
        told = {
            "propensity": self.propensities,
            "confidence": self.confidences,
            "mean": self.means,
            "95 % interval": self.intervals,
            "in top": self.in_top,
        }
        there = {name: column for name, column in told.items() if column}
        place = ", ".join(f"{name}={level}" for name, level in self.context.items())
        return Table(
            head=("arm", *there),
            rows=tuple(zip(self.arms, *there.values(), strict=True)),
            title=self.title(),
            notes=(f"context: {place}",) if place else (),
        )

    @override
    def to_json(self) -> str:
        """Return the decision as JSON; equal decisions give equal text."""
        return canonical_json(
            {
                name: dict(value) if name == "context" else value
                for name in self.__slots__
                for value in (getattr(self, name),)
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the decision that `to_json` wrote.

        Raises:
            InvalidDataError: If the text is not JSON of a decision.
        """
        try:
            fields = json.loads(text)
            for name in ("arms", "propensities", "confidences", "means", "in_top"):
                fields[name] = tuple(fields.get(name, ()))
            fields["intervals"] = tuple((low, high) for low, high in fields.get("intervals", ()))
            return cls(**fields)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            if isinstance(error, InvalidDataError):
                raise
            raise InvalidDataError(f"text must be JSON of a decision: {error}.") from error


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Decisions(Columnar):
    """Many single-arm choices as columns of length `n`.

    Attributes:
        id: Decision ids, int64 or fixed-width text.
        arm: Code of the chosen arm in `arms`, int32.
        propensity: Probability with which that arm was drawn, in `(0, 1]`.
        cell: Context cell of the round, int32.
        time: Instant of the decision in nanoseconds, int64.
        state_version: Version of the state that each was made with, int64; one for all may be
            given.
        arms: Names of the arms.
        bandit: Name of the bandit.
        policy: Name of the policy.

    Raises:
        InvalidDataError: If lengths differ, a code is out of range or a propensity is not in
            `(0, 1]`.

    Examples:
        >>> decisions = Decisions(
        ...     id=np.arange(2), arm=np.array([0, 1]), propensity=np.array([0.5, 0.5]),
        ...     cell=np.zeros(2), time=np.zeros(2), arms=("svd", "graph"),
        ... )
        >>> decisions.names()
        ['svd', 'graph']
    """

    id: IdArray
    arm: CodeArray
    propensity: FloatArray
    cell: CodeArray
    time: IntArray
    state_version: IntArray | int = 0
    arms: tuple[str, ...]
    bandit: str = ""
    policy: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", decision_ids(self.id))
        for name, dtype in (("arm", np.int32), ("cell", np.int32), ("time", np.int64)):
            object.__setattr__(self, name, check.frozen(getattr(self, name), dtype))
        chances = check.frozen(check.finite("propensity", self.propensity), np.float64)
        object.__setattr__(self, "propensity", chances)
        version = self.state_version
        if isinstance(version, int):
            version = np.full(self.arm.size, check.count("state_version", version, least=0))
        version = check.frozen(version, np.int64)
        object.__setattr__(self, "state_version", version)
        check.same_length(
            id=self.id, arm=self.arm, propensity=chances, cell=self.cell, time=self.time,
            state_version=version,
        )  # fmt: skip
        if self.arm.size and not (self.arm.min() >= 0 and self.arm.max() < len(self.arms)):
            raise InvalidDataError(f"arm must hold codes of the {len(self.arms)} arms.")
        if chances.size and not (chances.min() > 0 and chances.max() <= 1 + _ROUNDING):
            raise InvalidDataError(
                f"propensity must be in (0, 1], got {chances.min()} to {chances.max()}."
            )

    def names(self) -> list[str]:
        """Return the name of each chosen arm."""
        return [self.arms[code] for code in self.arm.tolist()]

    @override
    def __len__(self) -> int:
        return int(self.arm.size)

    @override
    def row(self, place: int) -> dict[str, Any]:
        cells = plain_row({name: getattr(self, name) for name in _DECISION_COLUMNS}, place)
        return cells | {"arm": self.arms[cells["arm"]]}

    @override
    def title(self) -> str:
        of = f" of {self.bandit}" if self.bandit else ""
        return (
            f"Decisions: {counted(len(self), 'decision')}{of} among "
            f"{counted(len(self.arms), 'arm')}{days_of(self.time)}"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        chosen = check.rows("rows", rows, len(self))
        return replace(self, **{name: getattr(self, name)[chosen] for name in _DECISION_COLUMNS})

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all rows of `parts`, one after the other, over the arms of all of them.

        Raises:
            InvalidDataError: If there is no part, or they are of several bandits or policies.
        """
        listed = one_or_more(parts, cls, "decisions")
        arms = tuple(dict.fromkeys(name for part in listed for name in part.arms))
        columns: dict[str, Any] = {
            name: joined(name, [getattr(part, name) for part in listed])
            for name in _DECISION_COLUMNS
        }
        moved = [np.array([arms.index(name) for name in part.arms])[part.arm] for part in listed]
        return cls(
            **{**columns, "arm": np.concatenate(moved)},
            arms=arms,
            bandit=same("bandit", (part.bandit for part in listed)),
            policy=same("policy", (part.policy for part in listed)),
        )

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        id: str = "id",  # noqa: A002 - the column is called so
        arm: str = "arm",
        propensity: str = "propensity",
        time: str | None = None,
        arms: tuple[str, ...] | None = None,
    ) -> Self:
        """Return the decisions of a data frame.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            id: Column of decision ids.
            arm: Column of arm names.
            propensity: Column of propensities.
            time: Column of instants; without it every instant is 0.
            arms: Names of all arms, in order; by default those that occur.

        Raises:
            InvalidDataError: If a column breaks the contract of the class.
            UnknownNameError: If a column is missing or an arm is not in `arms`.
        """
        table = table_of(frame)
        names, codes = codes_of(pick(table, arm, "the arm"), arm)
        known = tuple(map(str, names.ids)) if arms is None else arms
        place = {name: code for code, name in enumerate(known)}
        for name in names.ids:
            check.one_of("arm", str(name), place)
        lookup = np.array([place[str(name)] for name in names.ids], dtype=np.int32)
        n = len(codes)
        return cls(
            id=decision_id_column(pick(table, id, "the decision id")),
            arm=lookup[codes] if n else codes,
            propensity=floats_of(pick(table, propensity, "the propensity"), propensity),
            cell=np.zeros(n, dtype=np.int32),
            time=instants_of(pick(table, time, "the time"), time)
            if time is not None
            else np.zeros(n, dtype=np.int64),
            arms=known,
        )

    def to_arrow(self) -> Any:
        """Return a pyarrow table with the columns id, arm, propensity, cell, time."""
        return arrow_table(
            {
                "id": self.id,
                "arm": self.names(),
                "propensity": self.propensity,
                "cell": self.cell,
                "time": self.time.view("datetime64[ns]"),
            }
        )


_DECISION_COLUMNS = ("id", "arm", "propensity", "cell", "time", "state_version")
