"""A page of several rows: no item twice, and all of it stored or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from siamrec._core import check
from siamrec.errors import InvalidParameterError, StaleWriteError, StorageError
from siamrec.lifecycle._following import Following
from siamrec.lifecycle._server import ATTEMPTS, Servers, store_lists, unwritten

if TYPE_CHECKING:
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._state import State
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.lifecycle.wishes import Wishes
    from siamrec.typing import Id


def page_of(
    ground: Ground, servers: Servers, user: Id | None, rows: object, wishes: Wishes
) -> dict[str, Recommendation]:
    """Return the lists of a page by placement; see `Workspace.page`."""
    lengths = _lengths(rows)
    for name in lengths:
        servers.of(name)
    given = wishes.get("request")
    time = wishes.get("time")
    shared: Wishes = {
        **wishes,
        "request": uuid4().hex if given is None else given,
        "time": ground.now() if time is None else time,
    }
    for _ in range(ATTEMPTS):
        try:
            return _once(ground, servers, user, lengths, shared)
        except StaleWriteError:
            continue  # what a row depends on has changed, or another worker was first
    raise StaleWriteError("The placements of the page change too often to be served.")


def _once(
    ground: Ground, servers: Servers, user: Id | None, lengths: Mapping[str, int], wishes: Wishes
) -> dict[str, Recommendation]:
    done: dict[str, Recommendation] = {}
    new: list[tuple[State, list[Recommendation]]] = []
    shown: list[Id] = []
    above: str | None = None
    for name, k in lengths.items():
        server = servers.of(name)
        asked = server.asked(user, k, wishes)
        if above is not None:
            asked = replace(asked, following=Following(above, 1, tuple(shown), None))
        try:
            state, known = server.look(asked)
        except StorageError as error:
            made = server.unlogged(asked, error)
        else:
            if known.there:
                made = server.again(state, asked, known)
            else:
                made = server.made(state, asked, known)
                new.append((state, [made]))
        done[name], above = made, made.id
        shown += made.items
    try:
        store_lists(ground, new)
    except StaleWriteError:
        raise
    except StorageError as error:
        if any(state.config.unlogged == "refuse" for state, _ in new):
            raise
        done |= {made.placement: unwritten(made, error) for _, (made,) in new}
    return done


def _pairs(rows: object) -> list[Any]:
    what = "pairs of a placement and a length"
    if isinstance(rows, str):
        raise InvalidParameterError("rows", rows, f"{what}, such as {{{rows!r:.40}: 10}}")
    return check.many("rows", rows, what=what)


def _lengths(rows: object) -> dict[str, int]:
    """Return the length of each row, checked."""
    pairs = list(rows.items()) if isinstance(rows, Mapping) else _pairs(rows)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InvalidParameterError("rows", pair, "pairs of a placement and a length")
    names = [check.text("placement", name, longest=64) for name, _ in pairs]
    check.distinct("placements of a page", names)
    return {name: check.count(f"length of {name}", k) for name, k in pairs}
