"""Whether stored state is the fold of the log, and what it was at an earlier instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from sqlalchemy import func, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted, day
from siamrec.errors import StorageError, shown
from siamrec.storage import _bulk, _engine
from siamrec.storage._events import NAMES, digests_of
from siamrec.storage.schema import event, model_version
from siamrec.storage.schema import projection as projection_table
from siamrec.storage.versions import unsound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from siamrec.bandits import ContextualBandit
    from siamrec.protocols import Clock
    from siamrec.storage.archive import Archive
    from siamrec.storage.bandit import StoredBandit
    from siamrec.typing import FloatArray, Instant

_AT_ONCE = 20_000
_ROUNDING = 1e-9
"""Relative to the greatest sum of an array: sums were added in another order."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verification(Record):
    """What was compared with the log, and agreed.

    Attributes:
        checked: Number of sums compared, for each projection.
        unchecked: Projections whose policy is not at hand.
        archived: Number of events in the archive, each file as it was sealed.
        events: Number of events in the table, each as it was written.
        versions: Number of versions whose manifest is what was registered.
        files: Number of versions whose files are, too; None where they were not looked at.
    """

    checked: Mapping[str, int]
    unchecked: tuple[str, ...]
    archived: int = 0
    events: int = 0
    versions: int = 0
    files: int | None = None

    @override
    def title(self) -> str:
        sums = counted(sum(self.checked.values()), "sum")
        return f"Verified: {sums} agree with the log, {len(self.unchecked):,} not checked"


@final
class Past(Shown):
    """A store as it was known at an earlier instant; made by `Store.as_of`."""

    def __init__(self, bandits: Mapping[str, StoredBandit[Any]], time: Instant) -> None:
        self._bandits = bandits
        self._time = time

    @override
    def title(self) -> str:
        return f"Past of {counted(len(self._bandits), 'bandit')} as of {day(self._time)}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "bandits": list(self._bandits),
            "day": day(self._time),
        }
        return Table.of(self.title(), facts)

    def bandit(self, name: str) -> ContextualBandit[Any]:
        """Return a bandit with the decisions made, and the rewards received, up to then.

        Raises:
            siamrec.errors.UnknownNameError: If no such bandit was opened on this store.
        """
        return self._bandits[check.one_of("bandit", name, self._bandits)].replay(until=self._time)


def verified(
    engine: Engine, bandits: Mapping[str, StoredBandit[Any]], archive: Archive, clock: Clock
) -> Verification:
    """Compare the stored sums of every bandit with a replay of its log, and all with hashes.

    Raises:
        StorageError: If one differs.
    """
    with _engine.reading(engine) as connection:
        names = list(connection.execute(select(projection_table.c.name)).scalars())
        n_events = _events(connection)
        n_versions = connection.execute(select(func.count()).select_from(model_version)).scalar()
        if changed := unsound(connection):
            raise StorageError(
                f"The manifest of version {shown(changed[0])} is not what was registered "
                f"({counted(len(changed), 'such version')}): restore it from a backup."
            )
    checked = {}
    now = clock.now()
    for name, bandit in sorted(bandits.items()):
        stored, log = bandit.audited(now)
        for array, total in log.items():
            _same(f"bandit:{name}", array, stored[array], total)
        checked[f"bandit:{name}"] = int(sum(total.size for total in log.values()))
    unchecked = tuple(sorted(set(names) - set(checked)))
    return Verification(
        checked=checked,
        unchecked=unchecked,
        archived=archive.audit(),
        events=n_events,
        versions=n_versions or 0,
    )


def _events(connection: Connection) -> int:
    """Compare every event of the table with its digest; return how many there are.

    Raises:
        StorageError: If one was changed.
    """
    n = 0
    columns = [event.c[name] for name in ("seq", *NAMES)]
    query = select(*columns).order_by(event.c.seq).limit(_AT_ONCE)
    last = -1
    while rows := _bulk.fetched(connection.execute(query.where(event.c.seq > last))):
        with _bulk.many_rows():
            page = dict(zip(("seq", *NAMES), zip(*rows, strict=True), strict=True))
            try:
                found = digests_of(page)
            except (TypeError, ValueError, OverflowError) as error:  # another kind of value
                raise StorageError(f"An event of the log was changed: {error}.") from error
        off = [key for key, a, b in zip(page["key"], page["digest"], found, strict=True) if a != b]
        if off:
            raise StorageError(
                f"The event {shown(off[0])} is not what was written "
                f"({counted(len(off), 'such event')}): restore it from a backup."
            )
        n += len(rows)
        last = page["seq"][-1]
    return n


def _same(projection: str, name: str, stored: FloatArray, log: FloatArray) -> None:
    scale = float(np.abs(log).max(initial=1.0))
    off = np.flatnonzero(~(np.abs(stored - log) <= _ROUNDING * scale))
    if off.size:
        where = int(off[0])
        raise StorageError(
            f"Projection {projection!r} is not the fold of its log: {name}[{where}] is "
            f"{shown(stored.flat[where])}, the log gives {shown(log.flat[where])} "
            f"({off.size} such sums); work it out anew with store.rebuild({projection!r})."
        )
