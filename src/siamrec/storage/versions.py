"""Model versions and the aliases that point at them, with every change of an alias on record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from sqlalchemy import delete, func, insert, select, update
from typing_extensions import override

from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, day
from siamrec.errors import StaleWriteError, UnknownNameError
from siamrec.storage import _engine
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import alias as alias_table
from siamrec.storage.schema import alias_log, model_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant


Action: TypeAlias = Literal["activated", "rolled_back"]
"""What a change of an alias was."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StoredVersion(Record):
    """One row of the version table.

    Attributes:
        id: Hash of the manifest, 64 hexadecimal digits.
        name: What the versions of one thing are called together.
        number: 1 for the first version of that name, and so on.
        created: When it was registered.
        manifest: Files with their hashes, parents and metadata.
    """

    id: str
    name: str
    number: int
    created: Instant
    manifest: Mapping[str, Any]

    @override
    def title(self) -> str:
        return f"Version {self.number} of {self.name}, {self.id[:12]}, {day(self.created)}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Activation(Record):
    """One change of an alias.

    Attributes:
        alias: The alias.
        version: Version that it points at now; empty for none.
        previous: Version that it pointed at before.
        time: When.
        action: Whether the change was an activation, or took the one before back.
        reason: Why, in words.
    """

    alias: str
    version: str
    previous: str | None
    time: Instant
    action: Action
    reason: str

    @override
    def title(self) -> str:
        what = f"{self.action}: {self.version[:12] or 'none'}"
        return f"{day(self.time)} {self.alias} {what}, {self.reason}"


@final
class VersionTable(OnDatabase):
    """Versions are only added; an alias changes by compare-and-set and is logged."""

    keeps = (model_version, alias_table, alias_log)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, id_: str, name: str, manifest: Mapping[str, Any]) -> StoredVersion:
        """Store a version and return it; one that is there already is returned as it is."""

        def work(connection: Connection) -> StoredVersion:
            _engine.lock(connection, "model_version")
            found = _version(connection, id_)
            if found is not None:
                return found
            newest = connection.execute(
                select(func.max(model_version.c.number)).where(model_version.c.name == name)
            ).scalar()
            row = {
                "id": id_,
                "name": name,
                "number": (newest or 0) + 1,
                "created": self._clock.now(),
                "manifest": canonical_json(dict(manifest)),
            }
            connection.execute(insert(model_version).values(row))
            return StoredVersion(**{**row, "manifest": dict(manifest)})  # type: ignore[arg-type]

        return _engine.transact(self._engine, work)

    def get(self, id_: str) -> StoredVersion:
        """Return a version by its id.

        Raises:
            siamrec.errors.UnknownNameError: If there is none.
        """
        with _engine.reading(self._engine) as connection:
            found = _version(connection, id_)
        if found is None:
            raise UnknownNameError("version", id_, [version.id for version in self.all()])
        return found

    def all(self, name: str | None = None) -> list[StoredVersion]:
        """Return all versions, or those of one name, oldest first."""
        query = select(model_version).order_by(model_version.c.created, model_version.c.number)
        if name is not None:
            query = query.where(model_version.c.name == name)
        with _engine.reading(self._engine) as connection:
            return [_stored(row) for row in connection.execute(query)]

    def active(self, alias: str) -> str | None:
        """Return the version id that an alias points at, None where it points at nothing."""
        with _engine.reading(self._engine) as connection:
            return _active(connection, alias)

    def point(
        self,
        alias: str,
        version: str | None,
        *,
        expect: str | None,
        reason: str,
        action: Action = "activated",
    ) -> Activation:
        """Move an alias from `expect` to `version` and log it, in one transaction.

        Raises:
            siamrec.errors.StaleWriteError: If the alias does not point at `expect`.
            siamrec.errors.UnknownNameError: If the version is not registered.
        """

        def work(connection: Connection) -> Activation:
            _engine.lock(connection, "alias")
            now_at = _active(connection, alias)
            if now_at != expect:
                raise StaleWriteError(
                    f"Alias {alias!r} points at {now_at}, not at {expect}; read it again."
                )
            if version is None:
                connection.execute(delete(alias_table).where(alias_table.c.name == alias))
            elif _version(connection, version) is None:
                raise UnknownNameError("version", version, [])
            elif now_at is None:
                connection.execute(insert(alias_table).values(name=alias, version=version))
            else:
                where = alias_table.c.name == alias
                connection.execute(update(alias_table).where(where).values(version=version))
            change = Activation(
                alias=alias,
                version=version or "",
                previous=now_at,
                time=self._clock.now(),
                action=action,
                reason=reason,
            )
            connection.execute(
                insert(alias_log).values(
                    name=alias,
                    version=change.version,
                    previous=change.previous,
                    time=change.time,
                    action=action,
                    reason=reason,
                )
            )
            return change

        return _engine.transact(self._engine, work)

    def history(self, alias: str) -> list[Activation]:
        """Return every change of an alias, oldest first."""
        query = select(alias_log).where(alias_log.c.name == alias).order_by(alias_log.c.seq)
        with _engine.reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            Activation(
                alias=row.name,
                version=row.version,
                previous=row.previous,
                time=row.time,
                action=row.action,
                reason=row.reason,
            )
            for row in rows
        ]


def _active(connection: Connection, alias: str) -> str | None:
    return connection.execute(
        select(alias_table.c.version).where(alias_table.c.name == alias)
    ).scalar()


def _version(connection: Connection, id_: str) -> StoredVersion | None:
    row = connection.execute(select(model_version).where(model_version.c.id == id_)).first()
    return None if row is None else _stored(row)


def _stored(row: Any) -> StoredVersion:
    return StoredVersion(
        id=row.id,
        name=row.name,
        number=row.number,
        created=row.created,
        manifest=json.loads(row.manifest),
    )
