"""Model versions and the aliases that point at them, with every change of an alias on record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from sqlalchemy import bindparam, delete, func, insert, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Record, day
from siamrec.errors import StaleWriteError, UnknownNameError
from siamrec.storage import _bulk, _engine
from siamrec.storage._events import json_of, storable
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._prepared import Prepared
from siamrec.storage.schema import alias as alias_table
from siamrec.storage.schema import alias_log, model_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant


_COLUMNS = ("id", "name", "number", "created", "manifest")
_CHANGE = ("name", "version", "previous", "time", "action", "reason")
_COMPARED = 10_000
"""Ids that are offered where one is not known, at most."""

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
        # Made once: to put a statement together takes longer than to run it.
        c = model_version.c
        self._ids = select(c.id).limit(_COMPARED)
        every = select(*(c[column] for column in _COLUMNS)).order_by(c.name, c.number)
        self._every = Prepared(every)
        self._named = Prepared(every.where(c.name == bindparam("name")))
        newest = select(func.max(c.number)).where(c.name == bindparam("name"))
        self._newest = Prepared(newest)
        mine = alias_table.c.name == bindparam("alias")
        self._active = select(alias_table.c.version).where(mine)
        self._forget = delete(alias_table).where(mine)
        move = _engine.inserting(engine.dialect.name)(alias_table)
        self._move = move.on_conflict_do_update(
            index_elements=["name"], set_={"version": move.excluded.version}
        )
        self._log = insert(alias_log)
        logged = alias_log.c
        self._changes = select(*(logged[column] for column in _CHANGE)).order_by(logged.seq)
        self._changes = self._changes.where(logged.name == bindparam("alias"))

    def add(self, id_: str, name: str, manifest: Mapping[str, Any]) -> StoredVersion:
        """Store a version and return it; one that is there already is returned as it is."""
        (added,) = self.add_many([(id_, name, manifest)])
        return added

    def add_many(
        self, versions: Sequence[tuple[str, str, Mapping[str, Any]]]
    ) -> list[StoredVersion]:
        """Store versions as `(id, name, manifest)` in one transaction and return them."""
        texts = [json_of("manifest", manifest) for _, _, manifest in versions]
        storable("Versions", [text for *both, _ in versions for text in both])

        def work(connection: Connection) -> list[StoredVersion]:
            _engine.lock(connection, "model_version")
            ids = [id_ for id_, _, _ in versions]
            found = {row[0]: _stored(row) for row in _rows(connection, "id", ids)}
            numbers = {
                name: self._newest.rows(connection, name=name)[0][0] or 0
                for name in sorted({name for _, name, _ in versions})
            }
            now, new = self._clock.now(), []
            for (id_, name, _), text in zip(versions, texts, strict=True):
                if id_ not in found:
                    numbers[name] += 1
                    new.append((id_, name, numbers[name], now, text))
                    found[id_] = _stored(new[-1])
            _bulk.insert(connection, model_version, _COLUMNS, new, skip=False)
            return [found[id_] for id_ in ids]

        return _engine.transact(self._engine, work)

    def get(self, id_: str) -> StoredVersion:
        """Return a version by its id.

        Raises:
            siamrec.errors.UnknownNameError: If there is none.
        """
        check.text("id", id_)
        with _engine.reading(self._engine) as connection:
            found = _rows(connection, "id", [id_])
            if found:
                return _stored(found[0])
            raise UnknownNameError("version", id_, connection.execute(self._ids).scalars())

    def all(self, name: str | None = None) -> list[StoredVersion]:
        """Return all versions by name, or those of one name, oldest first."""
        with _engine.reading(self._engine) as connection, _bulk.many_rows():
            if name is None:
                found = self._every.rows(connection)
            else:
                found = self._named.rows(connection, name=name)
            return [*map(_stored, found)]

    def active(self, alias: str) -> str | None:
        """Return the version id that an alias points at, None where it points at nothing."""
        check.text("alias", alias)
        with _engine.reading(self._engine) as connection:
            return self._now_at(connection, alias)

    def _now_at(self, connection: Connection, alias: str) -> str | None:
        return connection.execute(self._active, {"alias": alias}).scalar()

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
        storable("Aliases and reasons", [alias, reason])

        def work(connection: Connection) -> Activation:
            _engine.lock(connection, "alias")
            now_at = self._now_at(connection, alias)
            if now_at != expect:
                raise StaleWriteError(
                    f"Alias {alias!r} points at {now_at}, not at {expect}; read it again."
                )
            if version is None:
                connection.execute(self._forget, {"alias": alias})
            elif not _rows(connection, "id", [version]):
                raise UnknownNameError("version", version, connection.execute(self._ids).scalars())
            else:
                connection.execute(self._move, {"name": alias, "version": version})
            time = self._clock.now()
            row = (alias, version or "", now_at, time, action, reason)
            connection.execute(self._log, dict(zip(_CHANGE, row, strict=True)))
            return _changed(row)

        return _engine.transact(self._engine, work)

    def history(self, alias: str) -> list[Activation]:
        """Return every change of an alias, oldest first."""
        check.text("alias", alias)
        with _engine.reading(self._engine) as connection:
            rows = _bulk.fetched(connection.execute(self._changes, {"alias": alias}))
        return [*map(_changed, rows)]


def version_id(manifest: Mapping[str, Any]) -> str:
    """Return the id of a manifest: its hash.

    Raises:
        InvalidDataError: If it holds what JSON has no form for.
    """
    return content_hash(json_of("manifest, and the lineage in it,", manifest))


def unsound(connection: Connection) -> list[str]:
    """Return the ids of versions whose manifest is not what it was."""
    found = []
    c = model_version.c
    for id_, text in connection.execute(select(c.id, c.manifest).order_by(c.id)):
        try:
            same = version_id(json.loads(text)) == id_
        except (ValueError, TypeError, RecursionError):
            same = False
        if not same:
            found.append(id_)
    return found


def _changed(row: tuple[Any, ...]) -> Activation:
    alias, version, previous, time, action, reason = row
    return Activation(
        alias=alias, version=version, previous=previous, time=time, action=action, reason=reason
    )


def _rows(connection: Connection, column: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
    return _bulk.select(connection, model_version, _COLUMNS, column, values)


def _stored(row: tuple[Any, ...]) -> StoredVersion:
    id_, name, number, created, manifest = row
    return StoredVersion(
        id=id_, name=name, number=number, created=created, manifest=_Manifest(manifest)
    )


@final
class _Manifest(Mapping[str, Any]):
    """A manifest that is parsed when it is looked into: most of a list never are."""

    __slots__ = ("_text", "_value")

    def __init__(self, text: str) -> None:
        self._text = text
        self._value: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._value is None:
            self._value = json.loads(self._text)
        return self._value

    @override
    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    @override
    def __len__(self) -> int:
        return len(self._read())

    @override
    def __repr__(self) -> str:
        return repr(self._read())
