"""Rewards joined with the decisions they belong to, inside one transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from siamrec.bandits import RewardReceipt
from siamrec.bandits.policies import Outcomes
from siamrec.errors import InvalidDataError, shown
from siamrec.storage import _bulk
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from siamrec.typing import Instant, IntArray


class Given(NamedTuple):
    """One reward; `arm` is empty where the first rank is meant."""

    decision: str
    arm: str
    time: int
    reward: float
    weight: float


made_like = tuple.__new__
"""Makes a named tuple of a row without a call in Python: there is one for each reward."""

Weighed: TypeAlias = tuple[int, float, float]
"""Time, reward and weight: the greatest of a pick counts."""

Pick: TypeAlias = tuple[str, str]
"""A decision's id and one of its arms."""


class Made(NamedTuple):
    """A stored decision, as far as rewards need it; `ranked` where later ranks were asked for."""

    time: int
    cell: int
    arm: str
    propensity: float
    features: str | None = None
    ranked: Mapping[str, float] | None = None

    def propensity_of(self, arm: str) -> float | None:
        """Return the probability with which an arm was drawn; None where it was not chosen."""
        if arm == self.arm:
            return self.propensity
        return None if self.ranked is None else self.ranked.get(arm)


class Change(NamedTuple):
    """What rewards change: the pick, its old reward if it had one, and its new one."""

    made: Made
    arm: str
    old: Weighed | None
    new: Weighed


def decisions_of(
    connection: Connection,
    bandit: str,
    ids: Collection[str],
    *,
    ranked: bool = False,
    features: bool = False,
) -> dict[str, Made]:
    """Return the stored decisions among `ids`.

    Args:
        connection: In the transaction.
        bandit: Whose decisions they must be.
        ids: Any ids.
        ranked: Whether arms after the first are needed as well.
        features: Whether feature vectors are needed as well.

    Raises:
        InvalidDataError: If one was made by another bandit.
    """
    names = ["id", "bandit", "time", "COALESCE(cell, 0)", "arm", "propensity"]
    names += ["features" if features else "NULL", "body" if ranked else "NULL"]
    rows = _bulk.select(connection, decision_table, names, "id", sorted(ids))
    for row in rows:
        if row[1] != bandit:
            raise InvalidDataError(f"Decision {row[0]!r} was made by {row[1]!r}, not {bandit!r}.")
    if ranked:
        rows = [(*row[:7], _ranks(row[7])) for row in rows]
    return {row[0]: made_like(Made, row[2:]) for row in rows}


def rewards_of(connection: Connection, ids: Collection[str]) -> list[Given]:
    """Return every stored reward for `ids`."""
    rows = _bulk.select(connection, reward_table, Given._fields, "decision", sorted(ids))
    return [made_like(Given, row) for row in rows]


def _ranks(body: str) -> dict[str, float]:
    fields = json.loads(body)
    return dict(zip(fields["arms"], fields["propensities"], strict=True))


def same_arms(made: Mapping[str, Made], given: Iterable[Given]) -> None:
    """Check that rewards name arms that their decisions chose.

    Raises:
        InvalidDataError: If one does not.
    """
    for one in given:
        if not one.arm:
            continue
        decision = made.get(one.decision)
        if decision is not None and decision.propensity_of(one.arm) is None:
            raise InvalidDataError(
                f"Decision {shown(one.decision)} did not choose the arm {shown(one.arm)}."
            )


def append(connection: Connection, given: Iterable[Given], received: Instant) -> None:
    """Add rewards to the log; one that is there already stays once."""
    rows = [(*one, received) for one in sorted(given)]  # in one order for all workers
    _bulk.insert(connection, reward_table, [*Given._fields, "received"], rows, skip=True)


def changes(
    made: Mapping[str, Made],
    before: Iterable[Given],
    given: Sequence[Given],
    attribution: int | None,
) -> tuple[list[Change], RewardReceipt]:
    """Return what `given` rewards change where `before` were counted already."""
    old, _, _ = _winners(made, before, attribution)
    new, n_late, n_early = _winners(made, given, attribution)
    changed = [
        made_like(Change, (made[pick[0]], pick[1], old.get(pick), weighed))
        for pick, weighed in new.items()
        if pick not in old or weighed > old[pick]
    ]
    receipt = RewardReceipt(
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
        (made, arm, sign, weighed)
        for made, arm, old, new in changed
        for weighed, sign in (((old, -1.0), (new, 1.0)) if old is not None else ((new, 1.0),))
    ]
    texts = [made.features or "[]" for made, _, _, _ in signed] if n_features else []
    outcomes = Outcomes(
        cell=np.asarray([made.cell for made, _, _, _ in signed], dtype=np.int64),
        arm=np.asarray([codes[arm] for _, arm, _, _ in signed], dtype=np.int64),
        reward=np.asarray([weighed[1] for _, _, _, weighed in signed], dtype=np.float64),
        weight=np.asarray([sign * weighed[2] for _, _, sign, weighed in signed], np.float64),
        propensity=np.asarray(
            [
                made.propensity if arm == made.arm else made.propensity_of(arm)
                for made, arm, _, _ in signed
            ],
            dtype=np.float64,
        ),
        features=np.asarray([*map(json.loads, texts)], dtype=np.float64) if n_features else None,
    )
    times = np.asarray([made.time for made, _, _, _ in signed], dtype=np.int64)
    return outcomes, times


def in_range(given: Iterable[Given], low: float, high: float, policy: str) -> None:
    """Check that rewards lie in the range of a policy, whichever way they came.

    Raises:
        InvalidDataError: If one does not.
    """
    for one in given:
        if not low <= one.reward <= high:
            raise InvalidDataError(
                f"reward must be in [{low:g}, {high:g}] for {policy}, got {one.reward} for the "
                f"decision {shown(one.decision)}; rescale it first."
            )


def untold(
    made: Mapping[str, Made], before: Iterable[Given], given: Sequence[Given]
) -> list[Given]:
    """Return rewards without those that say again, at no time of their own, what counts now."""
    counted, _, _ = _winners(made, before, None)
    waiting = {one[:2] + one[3:] for one in before if one.decision not in made}
    new = []
    for one in given:
        decision = made.get(one.decision)
        if decision is None:
            told = one[:2] + one[3:] in waiting
        else:
            last = counted.get((one.decision, one.arm or decision.arm))
            told = last is not None and last[1:] == (one.reward, one.weight)
        if not told:
            new.append(one)
    return new


def _winners(
    made: Mapping[str, Made], given: Iterable[Given], attribution: int | None
) -> tuple[dict[Pick, Weighed], int, int]:
    """Return the greatest reward of each pick, how many came late, and how many early."""
    best: dict[Pick, Weighed] = {}
    n_late = n_early = 0
    # One dictionary look-up per reward: the join by id is what this loop is.
    for id_, named, time, reward, weight in given:
        decision = made.get(id_)
        if decision is None:
            n_early += 1
            continue
        if attribution is not None and time > decision.time + attribution:
            n_late += 1
            continue
        if named and decision.propensity_of(named) is None:
            continue  # it came before its decision, and named an arm that was not chosen
        pick = (id_, named or decision.arm)
        weighed = (time, reward, weight)
        if pick not in best or weighed > best[pick]:
            best[pick] = weighed
    return best, n_late, n_early
