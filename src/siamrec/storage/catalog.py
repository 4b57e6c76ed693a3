"""The catalogue of a workspace: what is known of every item, with every change."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from sqlalchemy import func, select

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec.data import Catalog, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.storage import _bulk, _engine
from siamrec.storage._events import storable
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import catalog_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock

Item: TypeAlias = str | int
Change: TypeAlias = (
    "Callable[[Mapping[str, Any] | None, Mapping[str, Any]], Mapping[str, Any] | None]"
)
"""What becomes of what is known of an item (None: it was taken out) by what is told now."""
_NAMES = ("item", "whole", "time", "body")
_TEXT = "text"
TIMES = ("available_from", "available_until")
"""Attributes that say from when and until when an item is shown: instants in nanoseconds."""
HIDDEN = "hidden"
"""Attribute that says why an item is not shown; None where it is."""


@final
class CatalogLog(OnDatabase):
    """Rows are only added: the newest of an item counts, and an item can be taken out.

    Readers that keep a copy ask `revision` whether it is still the newest.
    """

    keeps = (catalog_item,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @property
    def revision(self) -> int:
        """Number of the newest change, 0 before the first."""
        with _engine.reading(self._engine) as connection:
            return _revision(connection)

    def write(self, catalog: Catalog) -> int:
        """Store items with text and attributes; return how many of them are new or changed.

        Attributes that an item has already and that are not given stay as they are. Instants
        with a zone are kept as nanoseconds.

        Raises:
            siamrec.errors.InvalidParameterError: If a time has no zone.
            siamrec.errors.InvalidDataError: If an id is neither text nor a whole number, or an
                attribute cannot be written as JSON.
        """
        given = _given(catalog)
        return self._change(given, _merged)

    def written(self, connection: Connection, catalog: Catalog) -> int:
        """Store items inside a transaction; see `write`."""
        return self._changed(connection, _given(catalog), _merged)

    def hide(self, *items: Item, reason: str) -> int:
        """Keep items from every list that is asked for from now on; return how many changed.

        They stay in the log and may still be learned from.

        Args:
            items: Ids of items.
            reason: Why; kept with the item.
        """
        why = {HIDDEN: check.reason(reason)}
        return self._change(dict.fromkeys(items, why), _amended)

    def unhide(self, *items: Item) -> int:
        """Let items be shown again; return how many changed."""
        shown: dict[str, Any] = {HIDDEN: None}

        def unhidden(old: Any, new: Mapping[str, Any]) -> Any:
            return {**old, **new} if old and old.get(HIDDEN) is not None else old

        return self._change(dict.fromkeys(items, shown), unhidden)

    def remove(self, *items: Item) -> int:
        """Take items out of the catalogue and of every list; return how many changed."""
        return self._change({item: {} for item in items}, lambda _old, _new: None, tombs=True)

    def removed(self) -> set[Item]:
        """Return the items that were taken out."""
        with _engine.reading(self._engine) as connection:
            return {item for item, body in _newest(connection, None).items() if body is None}

    def lacks(self, *items: Item) -> list[Item]:
        """Return the items of which the catalogue has nothing now, in their order.

        One that was hidden before it came has nothing but the reason.
        """
        with _engine.reading(self._engine) as connection:
            known = _newest(connection, items)
        told = {item: set(json.loads(body or "{}")) - {HIDDEN} for item, body in known.items()}
        return [item for item in dict.fromkeys(items) if not told.get(item)]

    def read(self) -> Catalog:
        """Return every item that is in the catalogue now, with all attributes that any has."""
        with _engine.reading(self._engine) as connection:
            found = _newest(connection, None)
        kept = {item: json.loads(body) for item, body in found.items() if body is not None}
        names = sorted({name for body in kept.values() for name in body} - {_TEXT})
        return Catalog(
            items=Vocabulary(tuple(kept)),
            text=tuple(body.get(_TEXT) for body in kept.values()),
            attributes={
                name: [_plain(body.get(name)) for body in kept.values()] for name in names
            },
        )

    def _change(
        self,
        given: Mapping[Item, Mapping[str, Any]],
        change: Change,
        *,
        tombs: bool = False,
    ) -> int:
        return _engine.transact(
            self._engine, lambda connection: self._changed(connection, given, change, tombs=tombs)
        )

    def _changed(
        self,
        connection: Connection,
        given: Mapping[Item, Mapping[str, Any]],
        change: Change,
        *,
        tombs: bool = False,
    ) -> int:
        for item in given:
            if isinstance(item, bool) or not isinstance(item, str | int):
                raise InvalidDataError(f"Ids must be text or whole numbers, got {item!r:.100}.")
        storable("Ids", map(str, given))
        _engine.lock(connection, "catalog_item")
        now = self._clock.now()
        known = _newest(connection, given)
        rows = []
        for item, new in given.items():
            old = known.get(item)
            there = item in known
            before = {} if not there else None if old is None else json.loads(old)
            changed = change(before, new)
            body = None if changed is None else canonical_json(changed)
            if body != old if there else changed or tombs:
                rows.append((str(item), int(isinstance(item, int)), now, body))
        _bulk.insert(connection, catalog_item, _NAMES, rows, skip=False)
        return len(rows)


def _given(catalog: Catalog) -> dict[Item, dict[str, Any]]:
    return dict(_bodies(check.kind("catalog", catalog, Catalog)))


def _merged(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**(old or {}), **new}


def _amended(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what is known of an item with a change; what was taken out stays out."""
    return None if old is None else {**old, **new}


def _revision(connection: Connection) -> int:
    return int(connection.execute(select(func.max(catalog_item.c.seq))).scalar() or 0)


def _newest(connection: Connection, items: Iterable[Item] | None) -> dict[Item, str | None]:
    """Return the newest body of items, of all where none are named, in order of appearance."""
    c = catalog_item.c
    if items is None:
        # One pass of two windows: a join of the first with the newest rows is quadratic on SQLite.
        whose = (c.item, c.whole)
        first = func.min(c.seq).over(partition_by=whose).label("first")
        last = func.max(c.seq).over(partition_by=whose).label("last")
        all_ = select(c.item, c.whole, c.body, c.seq, first, last).subquery()
        a = all_.c
        query = select(a.item, a.whole, a.body).where(a.seq == a.last).order_by(a.first)
        rows: Any = connection.execute(query).all()
    else:
        texts = list({str(item) for item in items})
        names = ("item", "whole", "body", "seq")
        found = _bulk.select(connection, catalog_item, names, "item", texts)
        rows = [row[:3] for row in sorted(found, key=lambda row: row[3])]
    return {int(item) if whole else item: body for item, whole, body in rows}


def _bodies(catalog: Catalog) -> Iterable[tuple[Item, dict[str, Any]]]:
    names = list(catalog.attributes)
    columns = zip(
        catalog.items.ids, catalog.text, *(catalog.attributes[name] for name in names), strict=True
    )
    for item, text, *values in columns:
        body = {name: _listed(name, value) for name, value in zip(names, values, strict=True)}
        for name in TIMES:
            if body.get(name) is not None:
                body[name] = check.instant(name, body[name])
        _require_writable(item, body)
        try:
            canonical_json(body)
        except (TypeError, ValueError) as error:
            raise InvalidDataError(
                f"Attributes of {item!r:.100} cannot be written as JSON: {error}."
            ) from error
        yield item, {**body, _TEXT: text}


def _require_writable(item: Item, body: Mapping[str, Any]) -> None:
    """Pass when every attribute is what it can be; the first that is not is named."""
    stock = body.get("stock")
    if stock is not None and (isinstance(stock, bool) or not isinstance(stock, int | float)):
        raise InvalidParameterError(f"stock of {item!r:.100}", stock, "a number")
    for name, value in body.items():
        if isinstance(value, date):
            expected = "a datetime with a zone, a number or a text"
            raise InvalidParameterError(f"{name} of {item!r:.100}", value, expected)


def _listed(name: str, value: Any) -> Any:
    if isinstance(value, float | np.floating) and np.isnan(value):
        return None  # how data frames write that nothing is known
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, datetime | np.datetime64):
        return check.instant(name, value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
