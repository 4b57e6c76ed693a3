"""Decisions as rows of the log, and the log as decisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select, update

from siamrec.data import Decision, Decisions, Rewards
from siamrec.errors import StorageError, shown
from siamrec.storage import _bulk
from siamrec.storage._events import storable
from siamrec.storage._join import Given, Made, rewards_of
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import reward as reward_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from siamrec.bandits import Context, ContextualBandit
    from siamrec.bandits.policies.base import ModelT
    from siamrec.typing import FloatArray, Instant


def columns_of(
    decisions: Decision | Decisions | Sequence[Decision],
    context: Context,
    features: FloatArray | None,
) -> list[dict[str, Any]]:
    """Return one row for each decision, with its cell and its feature vector."""
    if isinstance(decisions, Decision):
        decisions = [decisions]
    if isinstance(decisions, Decisions):
        cells = decisions.cell.tolist()
        decisions = _single(decisions, context)
    else:
        cells = [context.cell(decision.context) for decision in decisions]
    storable("Units", [decision.unit for decision in decisions if decision.unit is not None])
    vectors = None if features is None else np.asarray(features, dtype=np.float64)
    if vectors is not None and vectors.ndim == 1:
        vectors = vectors[None]
    return [
        {
            "id": decision.id,
            "bandit": decision.bandit,
            "time": decision.time,
            "unit": decision.unit,
            "arm": decision.arms[0],
            "propensity": decision.propensities[0],
            "state_version": decision.state_version,
            "body": decision.to_json(),
            "cell": cell,
            "features": None if vectors is None else json.dumps(vectors[row].tolist()),
        }
        for row, (decision, cell) in enumerate(zip(decisions, cells, strict=True))
    ]


def place_in_cells(connection: Connection, context: Context, bandit: str) -> int:
    """Write down the cells of decisions that were made elsewhere; return the number of all.

    Raises:
        UnknownNameError: If one names a factor or a level that the context has not.
    """
    c = decision_table.c
    mine = c.bandit == bandit
    rows = connection.execute(select(c.id, c.body).where(mine, c.cell.is_(None))).all()
    for id_, body in rows:
        cell = context.cell(Decision.from_json(body).context)
        connection.execute(update(decision_table).where(c.id == id_).values(cell=cell))
    return int(connection.execute(select(func.count()).where(mine)).scalar_one())


def decided(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add decisions to the log; an id that is there already is an error."""
    if rows:
        names = list(rows[0])
        values = [tuple(row[name] for name in names) for row in rows]
        _bulk.insert(connection, decision_table, names, values, skip=False)


def sweepable(connection: Connection, bandit: str, until: Instant) -> list[str]:
    """Return the decisions up to `until` that no sweep has closed yet."""
    c = decision_table.c
    query = select(c.id).where(c.bandit == bandit, c.time <= until, c.swept == 0)
    return list(connection.execute(query).scalars())


def swept(made: Mapping[str, Made], before: Sequence[Given], attribution: int) -> list[Given]:
    """Return a reward of 0 for every pick without one inside the window."""
    done = {
        (one.decision, one.arm or made[one.decision].arm)
        for one in before
        if one.time <= made[one.decision].time + attribution
    }
    return [
        Given(id_, arm, decision.time + attribution, 0.0, 1.0)
        for id_, decision in made.items()
        for arm in decision.ranked or (decision.arm,)
        if (id_, arm) not in done
    ]


def replayed(
    connection: Connection, blank: ContextualBandit[ModelT], name: str, until: Instant | None
) -> ContextualBandit[ModelT]:
    """Return `blank` after it has seen the log of a bandit, up to `until`."""
    c = decision_table.c
    query = select(c.body, c.features).where(c.bandit == name).order_by(c.time, c.id)
    if until is not None:
        query = query.where(c.time <= until)
    first: dict[str, str] = {}
    single: list[dict[str, Any]] = []
    vectors = []
    for body, features in connection.execute(query):
        fields = fields_of(body)
        first[str(fields["id"])] = fields["arms"][0]
        if len(fields["arms"]) == 1:
            single.append(fields)
            vectors.append(features)
            continue
        row = None if features is None else np.asarray([json.loads(features)])
        blank.record(Decision.from_json(body), features=row)
    _record_together(blank, single, vectors)
    given = rewards_of(connection, first) if until is None else _until(connection, first, until)
    if given:
        blank.learn(
            Rewards(
                decision=np.asarray([one.decision for one in given], dtype=np.str_),
                reward=np.asarray([one.reward for one in given]),
                time=np.asarray([one.time for one in given]),
                weight=np.asarray([one.weight for one in given]),
                arm=tuple(one.arm or first[one.decision] for one in given),
            )
        )
    return blank


def fields_of(body: str) -> dict[str, Any]:
    """Return the fields of a logged decision.

    Raises:
        StorageError: If it is none: somebody has changed the log.
    """
    try:
        fields: dict[str, Any] = json.loads(body)
        known = fields["arms"] and (fields["propensities"], fields["context"], fields["time"])
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"A decision in the log is none: {shown(body)}.") from error
    if not known:
        raise StorageError(f"A decision in the log has no arm: {shown(body)}.")
    return fields


def _record_together(
    blank: ContextualBandit[Any], single: Sequence[Mapping[str, Any]], vectors: Sequence[Any]
) -> None:
    """Record decisions for one arm as columns: one by one they take ten times as long."""
    if not single:
        return
    arms = tuple(dict.fromkeys(fields["arms"][0] for fields in single))
    codes = {name: code for code, name in enumerate(arms)}
    cells: dict[str, int] = {}
    places = []
    for fields in single:
        told = repr(fields["context"])
        if told not in cells:
            cells[told] = blank.context.cell(fields["context"])
        places.append(cells[told])
    features = None
    if vectors[0] is not None:
        features = np.asarray([json.loads(vector) for vector in vectors], dtype=np.float64)
    made = Decisions(
        id=np.asarray([fields["id"] for fields in single], dtype=np.str_),
        arm=np.asarray([codes[fields["arms"][0]] for fields in single], dtype=np.int32),
        propensity=np.asarray([fields["propensities"][0] for fields in single]),
        cell=np.asarray(places, dtype=np.int32),
        time=np.asarray([fields["time"] for fields in single], dtype=np.int64),
        arms=arms,
    )
    blank.record(made, features=features)


def _until(connection: Connection, known: Mapping[str, str], until: Instant) -> list[Given]:
    c = reward_table.c
    query = select(c.decision, c.arm, c.time, c.reward, c.weight).where(c.received <= until)
    return [Given(*row) for row in connection.execute(query) if row.decision in known]


def _single(decisions: Decisions, context: Context) -> list[Decision]:
    columns = zip(
        map(str, decisions.id.tolist()),
        decisions.names(),
        decisions.propensity.tolist(),
        decisions.cell.tolist(),
        decisions.time.tolist(),
        np.asarray(decisions.state_version).tolist(),
        strict=True,
    )
    levels = {cell: context.levels(cell) for cell in np.unique(decisions.cell).tolist()}
    return [
        Decision(
            id=id_,
            bandit=decisions.bandit,
            context=levels[cell],
            arms=(arm,),
            propensities=(propensity,),
            policy=decisions.policy,
            state_version=version,
            time=time,
        )
        for id_, arm, propensity, cell, time, version in columns
    ]
