"""Who is the same person as whom: events that are only added, of which the newest counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, final

from sqlalchemy import bindparam, delete, exists, insert, select

from siamrec.data import Vocabulary
from siamrec.errors import InvalidParameterError
from siamrec.storage import _bulk, _engine
from siamrec.storage._events import id_of
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.data import Feedback
    from siamrec.protocols import Clock

Id: TypeAlias = str | int


class Whose(NamedTuple):
    """The ids of one person.

    Attributes:
        person: The id that the others are identified as.
        ids: All of them, that of the person among them.
    """

    person: Id
    ids: tuple[Id, ...]


_c, _later = identity.c, identity.alias("later")
_overruled = exists().where(
    _later.c.alias == _c.alias, _later.c.whole == _c.whole, _later.c.seq > _c.seq
)
LINKED = exists().where(_c.alias == bindparam("user")) | exists().where(
    _c.person == bindparam("user")
)
"""Whether there is any event of a user, as part of another statement."""
_NEXT = (
    select(_c.person)
    .where(_c.alias == bindparam("alias"), _c.whole == bindparam("whole"))
    .order_by(_c.seq.desc())
    .limit(1)
)
_members = (
    select(_c.alias)
    .where(_c.person == bindparam("person"), _c.whole == bindparam("whole"), ~_overruled)
    .cte("members", recursive=True)
)
_members = _members.union(
    select(_c.alias)
    .join(_members, _c.person == _members.c.alias)
    .where(_c.whole == bindparam("whole"), ~_overruled)
)
_MEMBERS = select(_members.c.alias)


@final
class IdentityLog(OnDatabase):
    """Events that an id is another one's, or is itself again; nothing else is rewritten."""

    keeps = (identity,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def identify(self, alias: Id, person: Id) -> bool:
        """Let an id be a person's from now on; return whether it was not before.

        Raises:
            siamrec.errors.InvalidParameterError: If the two are one id or of two kinds, the
                person is identified as the alias, or the alias as somebody else.
        """
        alias, person = id_of("alias", alias), id_of("person", person)
        if isinstance(alias, int) != isinstance(person, int):
            raise InvalidParameterError("person", person, "of the same kind as the alias")
        if alias == person:
            raise InvalidParameterError("person", person, "another id than the alias")

        def work(connection: Connection) -> bool:
            _engine.lock(connection, "identity")
            higher = above(connection, person)
            if alias in higher:
                expected = f"somebody who is not identified as {alias!r} in turn"
                raise InvalidParameterError("person", person, expected)
            before = above(connection, alias)
            if before and before[-1] == [person, *higher][-1]:
                return False
            if before:
                expected = f"an id that is not {before[0]!r} yet: unidentify it first"
                raise InvalidParameterError("alias", alias, expected)
            self._add(connection, alias, person)
            return True

        return _engine.transact(self._engine, work)

    def unidentify(self, alias: Id) -> bool:
        """Let an id be itself again; return whether it was somebody's."""
        alias = id_of("alias", alias)

        def work(connection: Connection) -> bool:
            _engine.lock(connection, "identity")
            if not above(connection, alias):
                return False
            self._add(connection, alias, None)
            return True

        return _engine.transact(self._engine, work)

    def _add(self, connection: Connection, alias: Id, person: Id | None) -> None:
        row = {
            "alias": str(alias),
            "person": None if person is None else str(person),
            "whole": int(isinstance(alias, int)),
            "time": self._clock.now(),
        }
        connection.execute(insert(identity).values(row))

    def whose(self, user: Id) -> Whose:
        """Return the person of an id, with all ids."""
        with _engine.reading(self._engine) as connection:
            return whose(connection, user)

    def persons(self) -> dict[Id, Id]:
        """Return for each id that is somebody else's now the person."""
        with _engine.reading(self._engine) as connection:
            query = select(_c.alias, _c.person, _c.whole).order_by(_c.seq)
            rows = _bulk.fetched(connection.execute(query))
        newest: dict[Id, Id | None] = {
            _typed(alias, whole): None if person is None else _typed(person, whole)
            for alias, person, whole in rows
        }
        found: dict[Id, Id] = {}
        for alias in newest:
            person = alias
            while (higher := newest.get(person)) is not None:
                person = higher
            if person != alias:
                found[alias] = person
        return found

    def joined(self, feedback: Feedback) -> Feedback:
        """Return events with one user for each person."""
        return joined(feedback, self.persons())


def joined(feedback: Feedback, persons: Mapping[Id, Id]) -> Feedback:
    """Return events with one user for each person.

    Args:
        feedback: The events.
        persons: The person of each id that is somebody else's.

    Examples:
        >>> from siamrec.data import Feedback
        >>> both = joined(Feedback.of(user=["anon-9", "ann"], item=["x", "y"]), {"anon-9": "ann"})
        >>> both.users.ids, both.user.tolist()
        (('ann',), [0, 0])
    """
    if not any(id_ in persons for id_ in feedback.users.ids):
        return feedback
    named = [persons.get(id_, id_) for id_ in feedback.users.ids]  # type: ignore[call-overload]
    users, code = Vocabulary.factorize(named)
    return replace(feedback, users=users, user=code[feedback.user])


def whose(connection: Connection, user: Id) -> Whose:
    """Return the person of an id, with all ids, as one transaction sees it."""
    person = [user, *above(connection, user)][-1]
    return Whose(person, (person, *below(connection, person)))


def below(connection: Connection, user: Id) -> list[Id]:
    """Return the ids that are identified as one, and as those in turn."""
    whole = int(isinstance(user, int))
    given = {"person": str(user), "whole": whole}
    rows = _bulk.fetched(connection.execute(_MEMBERS, given))
    return [_typed(alias, whole) for (alias,) in rows]


def forget(connection: Connection, ids: Sequence[Id]) -> None:
    """Let go of every event that names one of these ids."""
    names = [str(id_) for id_ in ids]
    mine = _c.alias.in_(names) | _c.person.in_(names)
    connection.execute(delete(identity).where(mine, _c.whole == int(isinstance(ids[0], int))))


def above(connection: Connection, user: Id) -> list[Id]:
    """Return who an id is identified as, and who that is in turn, up to the person."""
    whole = int(isinstance(user, int))
    found: list[Id] = []
    name: str | None = str(user)
    while True:
        name = connection.execute(_NEXT, {"alias": name, "whole": whole}).scalar()
        if name is None:
            return found
        found.append(_typed(name, whole))


def _typed(text: str, whole: int) -> Id:
    return int(text) if whole else text
