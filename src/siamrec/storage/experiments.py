"""Experiments and sticky variants in a database, behind the ports of `siamrec.experiments`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import select, update

from siamrec._core.hashing import canonical_json
from siamrec.errors import InvalidDataError, StaleWriteError, shown
from siamrec.storage import _engine
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import experiment as experiment_table
from siamrec.storage.schema import sticky as sticky_table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from siamrec.experiments.assignment import StickyVariant
    from siamrec.experiments.manager import ExperimentRecord

_PLAIN = (
    "key", "exposure", "salt", "layer", "layer_range", "holdout", "holdout_salt", "status",
    "version",
)  # fmt: skip


@final
class StoredExperiments(OnDatabase):
    """An `ExperimentStore` on a database: a write succeeds only on what it was made from."""

    keeps = (experiment_table,)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, key: str) -> ExperimentRecord | None:
        """Return a record, None where there is none."""
        query = select(experiment_table.c.record).where(experiment_table.c.key == key)
        with _engine.reading(self._engine) as connection:
            text = connection.execute(query).scalar()
        return None if text is None else _record(json.loads(text))

    def put(self, record: ExperimentRecord, *, expected: int | None) -> None:
        """Store a record whose present revision is `expected` (None: there is none).

        Raises:
            siamrec.errors.InvalidDataError: If its targeting cannot be written as JSON.
            siamrec.errors.StaleWriteError: If the present revision is another.
        """
        key = record.experiment.key
        row = {"revision": record.revision, "record": canonical_json(_fields(record))}
        c = experiment_table.c

        def work(connection: Connection) -> bool:
            if expected is None:
                make = _engine.inserting(self._engine.dialect.name)
                new = make(experiment_table).values(key=key, **row).on_conflict_do_nothing()
                return connection.execute(new.returning(c.key)).first() is not None
            mine = (c.key == key) & (c.revision == expected)
            change = update(experiment_table).where(mine).values(row).returning(c.key)
            return connection.execute(change).first() is not None

        if not _engine.transact(self._engine, work):
            raise StaleWriteError(f"Experiment {shown(key)} was changed meanwhile; read it again.")

    def keys(self) -> tuple[str, ...]:
        """Return every key, sorted."""
        with _engine.reading(self._engine) as connection:
            return tuple(sorted(connection.execute(select(experiment_table.c.key)).scalars()))


@final
class StoredSticky(OnDatabase):
    """A `StickyStore` on a database: the first variant of a unit stays, for all workers."""

    keeps = (sticky_table,)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, experiment: str, unit: str) -> StickyVariant | None:
        """Return what is stored, None where there is nothing."""
        with _engine.reading(self._engine) as connection:
            return _stored(connection, experiment, unit)

    def put(self, experiment: str, unit: str, given: StickyVariant) -> StickyVariant:
        """Store a variant, and return what stands: a variant that is there already stays."""
        make = _engine.inserting(self._engine.dialect.name)
        row = {
            "experiment": experiment,
            "unit": unit,
            "variant": given.variant,
            "propensity": given.propensity,
            "version": given.version,
        }
        new = make(sticky_table).values(row).on_conflict_do_nothing()

        def work(connection: Connection) -> bool:
            return connection.execute(new.returning(sticky_table.c.unit)).first() is not None

        if _engine.transact(self._engine, work):
            return given
        # Read after the transaction: another worker's row need not be visible within it.
        return self.get(experiment, unit) or given  # erased in between: as if it were there


def _stored(connection: Connection, experiment: str, unit: str) -> StickyVariant | None:
    c = sticky_table.c
    query = select(c.variant, c.propensity, c.version)
    row = connection.execute(query.where(c.experiment == experiment, c.unit == unit)).first()
    from siamrec.experiments.assignment import StickyVariant  # takes its time

    return None if row is None else StickyVariant(*row)


def _fields(record: ExperimentRecord) -> dict[str, Any]:
    from siamrec.expressions import Expression

    experiment = record.experiment
    targeting = experiment.targeting
    if targeting is not None and not isinstance(targeting, Expression):
        raise InvalidDataError(
            f"targeting of a stored experiment must be an expression, got {shown(targeting)}."
        )
    allocation = experiment.allocation
    return {
        "experiment": {
            **{name: getattr(experiment, name) for name in _PLAIN},
            "variants": list(experiment.variants.items()),  # their order has a meaning
            "targeting": None if targeting is None else targeting.text,
            "allocation": None
            if allocation is None
            else [allocation.variants, allocation.edges, allocation.owners],
        },
        "revision": record.revision,
        "trail": [
            [entry.time, entry.experiment, entry.action, entry.detail, entry.who]
            for entry in record.trail
        ],
        "decision": record.decision,
        "winner": record.winner,
    }


def _record(fields: dict[str, Any]) -> ExperimentRecord:
    from siamrec.experiments import Experiment  # takes its time
    from siamrec.experiments.assignment.allocation import Allocation
    from siamrec.experiments.manager import AuditEntry, ExperimentRecord

    given = fields["experiment"]
    low, high = given["layer_range"]
    rule, ranges = given["targeting"], given["allocation"]
    experiment = Experiment(
        **{name: given[name] for name in _PLAIN if name != "layer_range"},
        layer_range=(low, high),
        variants=dict(given["variants"]),
        targeting=rule,
        allocation=None if ranges is None else Allocation(*map(tuple, ranges)),
    )
    names = ("time", "experiment", "action", "detail", "who")
    return ExperimentRecord(
        experiment=experiment,
        revision=fields["revision"],
        trail=tuple(AuditEntry(**dict(zip(names, e, strict=True))) for e in fields["trail"]),
        decision=fields["decision"],
        winner=fields["winner"],
    )
