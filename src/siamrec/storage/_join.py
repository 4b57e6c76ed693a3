"""Rewards joined with the decisions they belong to, inside one transaction."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

import numpy as np
from sqlalchemy import select

from siamrec.bandits import Outcomes, Receipt
from siamrec.errors import InvalidDataError
from siamrec.storage import _bulk
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from siamrec.typing import Instant, IntArray

_CHUNK = 500
"""Ids in one query: SQLite's older releases take 999 parameters."""


class Given(NamedTuple):
    """One reward; `arm` is empty where the first rank is meant."""

    decision: str
    arm: str
    time: int
    reward: float
    weight: float


Weighed: TypeAlias = tuple[int, float, float]
"""Time, reward and weight: the greatest of a pick counts."""

Pick: TypeAlias = tuple[str, str]
"""A decision's id and one of its arms."""


@final
@dataclass(frozen=True, slots=True)
class Made:
    """A stored decision, as far as rewards need it."""

    time: Instant
    cell: int
    arm: str
    propensity: float
    features: str | None
    body: str

    def propensity_of(self, arm: str) -> float | None:
        """Return the probability with which an arm was drawn; None where it was not chosen."""
        if arm == self.arm:
            return self.propensity
        fields = json.loads(self.body)
        if arm not in fields["arms"]:
            return None
        return float(fields["propensities"][fields["arms"].index(arm)])


@final
@dataclass(frozen=True, slots=True)
class Change:
    """What rewards change: the pick, its old reward if it had one, and its new one."""

    id: str
    arm: str
    made: Made
    old: Weighed | None
    new: Weighed


def decisions_of(connection: Connection, bandit: str, ids: Collection[str]) -> dict[str, Made]:
    """Return the stored decisions among `ids`.

    Raises:
        InvalidDataError: If one was made by another bandit.
    """
    found = {}
    c = decision_table.c
    columns = (c.id, c.bandit, c.time, c.cell, c.arm, c.propensity, c.features, c.body)
    for part in _chunks(ids):
        for row in connection.execute(select(*columns).where(c.id.in_(part))):
            id_, owner, time, cell, *rest = row
            if owner != bandit:
                raise InvalidDataError(f"Decision {id_!r} was made by {owner!r}, not {bandit!r}.")
            found[id_] = Made(time, cell or 0, *rest)
    return found


def rewards_of(connection: Connection, ids: Collection[str]) -> list[Given]:
    """Return every stored reward for `ids`."""
    c = reward_table.c
    columns = (c.decision, c.arm, c.time, c.reward, c.weight)
    return [
        Given(*row)
        for part in _chunks(ids)
        for row in connection.execute(select(*columns).where(c.decision.in_(part)))
    ]


def same_arms(made: Mapping[str, Made], given: Iterable[Given]) -> None:
    """Check that rewards name arms that their decisions chose.

    Raises:
        InvalidDataError: If one does not.
    """
    for one in given:
        decision = made.get(one.decision)
        if one.arm and decision is not None and decision.propensity_of(one.arm) is None:
            raise InvalidDataError(
                f"Decision {one.decision!r} did not choose the arm {one.arm!r}."
            )


def append(connection: Connection, given: Iterable[Given], received: Instant) -> None:
    """Add rewards to the log; one that is there already stays once."""
    rows = [(*one, received) for one in sorted(set(given))]
    _bulk.insert(connection, reward_table, [*Given._fields, "received"], rows, skip=True)


def changes(
    made: Mapping[str, Made],
    before: Iterable[Given],
    given: Sequence[Given],
    attribution: int | None,
) -> tuple[list[Change], Receipt]:
    """Return what `given` rewards change where `before` were counted already."""
    old, _ = _winners(made, before, attribution)
    new, n_late = _winners(made, given, attribution)
    changed = [
        Change(id_, arm, made[id_], old.get((id_, arm)), weighed)
        for (id_, arm), weighed in new.items()
        if (id_, arm) not in old or weighed > old[id_, arm]
    ]
    n_early = sum(one.decision not in made for one in given)
    receipt = Receipt(
        applied=len(changed),
        unchanged=len(given) - n_early - n_late - len(changed),
        early=n_early,
        late=n_late,
    )
    return changed, receipt


def outcomes_of(
    changed: Sequence[Change], codes: Mapping[str, int], n_features: int
) -> tuple[Outcomes, IntArray]:
    """Return signed outcomes (old rewards taken back, new ones added) and decision times."""
    signed = [
        (change, weighed, sign)
        for change in changed
        for weighed, sign in ((change.old, -1.0), (change.new, 1.0))
        if weighed is not None
    ]
    texts = [change.made.features or "[]" for change, _, _ in signed] if n_features else []
    outcomes = Outcomes(
        cell=np.asarray([change.made.cell for change, _, _ in signed], dtype=np.int64),
        arm=np.asarray([codes[change.arm] for change, _, _ in signed], dtype=np.int64),
        reward=np.asarray([weighed[1] for _, weighed, _ in signed], dtype=np.float64),
        weight=np.asarray([sign * weighed[2] for _, weighed, sign in signed], dtype=np.float64),
        propensity=np.asarray(
            [change.made.propensity_of(change.arm) for change, _, _ in signed],
            dtype=np.float64,
        ),
        features=np.asarray([*map(json.loads, texts)], dtype=np.float64) if n_features else None,
    )
    times = np.asarray([change.made.time for change, _, _ in signed], dtype=np.int64)
    return outcomes, times


def checked(given: Iterable[Given], low: float, high: float, policy: str) -> None:
    """Check that rewards lie in the range of a policy.

    Raises:
        InvalidDataError: If one does not.
    """
    for one in given:
        if not (math.isfinite(one.reward) and low <= one.reward <= high):
            raise InvalidDataError(
                f"reward must be in [{low:g}, {high:g}] for {policy}, got {one.reward}; "
                "rescale it first."
            )
        if not (math.isfinite(one.weight) and one.weight >= 0):
            raise InvalidDataError(f"weight must not be below 0, got {one.weight}.")


def _winners(
    made: Mapping[str, Made], given: Iterable[Given], attribution: int | None
) -> tuple[dict[Pick, Weighed], int]:
    """Return the greatest reward of each pick, and how many came after the window."""
    best: dict[Pick, Weighed] = {}
    n_late = 0
    for one in given:  # one dictionary look-up per reward: the join by id is what this loop is
        decision = made.get(one.decision)
        if decision is None:
            continue
        if attribution is not None and one.time > decision.time + attribution:
            n_late += 1
            continue
        if one.arm and decision.propensity_of(one.arm) is None:
            continue  # it came before its decision, and named an arm that was not chosen
        pick = (one.decision, one.arm or decision.arm)
        weighed = (one.time, one.reward, one.weight)
        if pick not in best or weighed > best[pick]:
            best[pick] = weighed
    return best, n_late


def _chunks(ids: Collection[str]) -> Iterable[list[Any]]:
    ordered = sorted(ids)
    return (ordered[first : first + _CHUNK] for first in range(0, len(ordered), _CHUNK))
