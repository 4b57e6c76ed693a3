"""What makes the lists of a placement: looks at the log, makes a list, and writes it down."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, final
from uuid import uuid4

from siamrec._core import check
from siamrec._core.clock import SECOND
from siamrec.errors import (
    InvalidParameterError,
    SiamrecError,
    StaleWriteError,
    StorageError,
)
from siamrec.expressions import Expression
from siamrec.lifecycle._making import Asked, Known, Maker
from siamrec.lifecycle._next import next_page
from siamrec.lifecycle._searching import query_of
from siamrec.lifecycle._settlement import settled
from siamrec.lifecycle._states import States
from siamrec.lifecycle.context import session_of, told
from siamrec.lifecycle.recommendation import Recommendation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._state import State
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.wishes import Wishes
    from siamrec.storage import Looked
    from siamrec.typing import Id, Instant

ATTEMPTS = 5
"""How often a list is made anew because what it depends on has changed meanwhile."""
_PORTION = 20
"""Lists that one request settles at most."""


@final
class Server:
    """Serves one placement; threads may share it.

    Args:
        ground: The workspace.
        name: Name of the placement.

    Attributes:
        states: What serves.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self.name = name
        self._settling = threading.Lock()
        self._settled: Instant = 0
        self._maker = Maker(ground, name, self)
        self.states = States(ground, name)

    def asked(self, user: Id | None, k: int | None, wishes: Wishes) -> Asked:
        """Return a request, checked; see `LivePlacement.recommend`."""
        session, about, where = wishes.get("session"), wishes.get("about"), wishes.get("where")
        anchors = self._ground.like_items("items", wishes.get("items", ()))
        among, time, request = wishes.get("among"), wishes.get("time"), wishes.get("request")
        mapped = session if isinstance(session, Mapping) else None
        listed = () if session is None or mapped is not None else session
        visit = self._ground.like_items("session", listed)  # type: ignore[arg-type]  # no mapping
        return Asked(
            user=self._ground.user(user),
            id=self._ground.list_id(self.name, uuid4().hex if request is None else request),
            k=k,
            n_arms=wishes.get("n_arms"),
            diversity=wishes.get("diversity"),
            query=query_of(wishes.get("query"), {"items": anchors, "session": visit}),
            anchors=anchors,
            session=None if mapped is None else session_of(mapped),
            visit=visit,
            about={} if about is None else told("about", check.kind("about", about, Mapping)),
            exclude=self._ground.like_items("exclude", wishes.get("exclude", ())),
            where=None if where is None else Expression.read("where", where),
            among=None if among is None else self._ground.like_items("among", among),
            confirm=wishes.get("confirm"),
            time=self._ground.now() if time is None else check.instant("time", time),
        )

    def serve(self, asked: Asked) -> Recommendation:
        """Return the list of one request, stored before it is returned."""
        self._settle_some()
        for _ in range(ATTEMPTS):
            try:
                state, known = self.look(asked)
            except StorageError as error:
                return self.unlogged(asked, error)
            if known.there:
                return self.again(state, asked, known)
            made = self.made(state, asked, known)
            try:
                store_lists(self._ground, [(state, [made])])
            except StaleWriteError:
                continue  # what it depends on has changed, or another worker was first
            except StorageError as error:
                if state.config.unlogged == "refuse":
                    raise
                return unwritten(made, error)
            return made
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def serve_many(
        self, users: Sequence[Id], k: int | None, wishes: Wishes
    ) -> list[Recommendation]:
        """Return lists for many people, stored in one transaction; see `recommend_many`."""
        people = [self._ground.user(user) for user in users]
        if not people:
            return []
        check.distinct("users", [str(user) for user in people])
        batch = wishes.get("request") or uuid4().hex
        every = self.asked(None, k, wishes)
        for _ in range(ATTEMPTS):
            done: list[Recommendation] = []
            new: dict[str | None, tuple[State, list[Recommendation]]] = {}
            for user in people:
                id_ = self._ground.list_id(self.name, batch, user)
                asked = replace(every, user=user, id=id_)
                state, known = self.look(asked)
                if known.there:
                    done.append(self.again(state, asked, known))
                    continue
                done.append(self.made(state, asked, known))
                begun, lists = new.setdefault(state.variant, (state, []))
                lists.append(done[-1])
                if begun is not state:  # changed on the way
                    break
            try:
                if len(done) == len(people):
                    store_lists(self._ground, new.values())
                    return done
            except StaleWriteError:
                continue
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def next(
        self,
        shown: Recommendation | str,
        k: int | None = None,
        *,
        request: str | None = None,
        time: Instant | None = None,
    ) -> Recommendation:
        """Return the page after a list; see `LivePlacement.next`."""
        id_ = shown.id if isinstance(shown, Recommendation) else shown
        now = self._ground.now() if time is None else check.instant("time", time)
        return self.serve(next_page(self._ground, self.name, id_, k=k, request=request, time=now))

    def preview(self, asked: Asked) -> Recommendation:
        """Return what would be served to a request; see `Workspace.preview`."""
        state, known = self.look(asked)
        if known.there:
            made = self.again(state, asked, known)
        else:
            made = self._maker.for_previews().made(state, asked, known)
        id_ = f"preview:{made.id}"
        decision = None if made.decision is None else replace(made.decision, id=id_)
        return replace(made, id=id_, decision=decision, logged=False, pager=None)

    def made(self, state: State, asked: Asked, known: Known) -> Recommendation:
        """Return a list that is made now; nothing is written."""
        made = self._maker.made(state, asked, known)
        return made if asked.following is None else asked.following.marked(made, state)

    def _settle_some(self) -> None:
        """Settle a few lists, once a second: where no worker does it, requests do."""
        now = self._ground.now()
        if 0 <= now - self._settled < SECOND or not self._settling.acquire(blocking=False):
            return
        try:
            self._settled = now
            with suppress(SiamrecError):  # no list waits for it; `settle` says what is wrong
                settled(self._ground, self.states.latest().config, n=_PORTION)
        finally:
            self._settling.release()

    def look(self, asked: Asked) -> tuple[State, Known]:
        """Return what serves this person now, and what is known."""
        state, unit = self.states.latest(), asked.user
        log = self._ground.store.recommendations
        served = None if asked.following is None else asked.following.served
        for _ in range(ATTEMPTS):
            variant = None if served else state.assigned(unit, asked.query)
            config = state.variants.get(variant or "", state.config)
            looked = log.look(
                self.name, config.alias, user=asked.user, n=config.history, id_=asked.id,
                experiment=config.experiment,
            )  # fmt: skip
            heads = looked.heads
            if looked.unit != unit:  # a person of several ids
                unit = looked.unit
            elif heads.placement == state.heads.placement and (
                heads.experiments == state.heads.experiments
            ):
                if served is None:
                    state = self.states.of(heads, variant)
                else:
                    state = self.states.of_first(heads, served)
                return state, self._known(state.config, asked, looked)
            else:
                state = self.states.current()
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def _known(self, config: Placement, asked: Asked, looked: Looked) -> Known:
        """Return what is known of a person; more is read where the newest events are not all."""
        ids = () if looked.whose is None else looked.whose.ids
        if looked.there:
            return Known(there=True, ids=ids, blocked=looked.blocked)
        log, history, impressions = self._ground.store.persons, looked.history, []
        past = history
        if looked.whose is not None:
            if history is not None and len(history) >= config.history:
                past = log.past(looked.whose)
            since = config.seen.since(asked.time)
            if since is not None:
                here = None if config.seen.at == "everywhere" else self.name
                impressions = log.impressions(looked.whose, since, here)
        return Known(
            ids=ids, history=history, past=past, blocked=looked.blocked, impressions=impressions
        )

    def again(self, state: State, asked: Asked, known: Known) -> Recommendation:
        """Return the list that was served to the same request before, as far as it may be."""
        found = self._ground.store.recommendations.get(asked.id)
        if found is None:
            raise StaleWriteError(f"The recommendation {asked.id} was erased meanwhile.")
        shown = Recommendation.of(found)
        if shown.user != asked.user:
            raise InvalidParameterError("request", asked.id, "of one user: it was another's")
        if shown.query != asked.query:
            raise InvalidParameterError(
                "request", asked.id, f"of one query: it was {shown.query!r}"
            )
        shown = replace(shown, pager=self)
        return state.still_shown(shown, users=known.ids, blocked=known.blocked, now=asked.time)

    def unlogged(self, asked: Asked, error: StorageError) -> Recommendation:
        """Serve from memory while the log cannot be read."""
        state = self.states.in_memory(asked.user, asked.query)
        if state is None or state.config.unlogged == "refuse" or self._ground.store.closed:
            raise error
        ids = () if asked.user is None else (asked.user,)
        made = self.made(state, asked, Known(ids=ids))
        why = f"the log cannot be read: {error}"
        return replace(made, logged=False, fallback=why)


@final
class Servers:
    """The servers of a workspace by name of their placements; threads may share it.

    Args:
        ground: The workspace.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lock = threading.Lock()
        self._servers: dict[str, Server] = {}

    def of(self, name: str) -> Server:
        """Return the server of a placement.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that name.
        """
        if name not in self._servers:
            self._ground.config(name)
            with self._lock:
                self._servers.setdefault(name, Server(self._ground, name))
        return self._servers[name]


def store_lists(ground: Ground, made: Iterable[tuple[State, Sequence[Recommendation]]]) -> None:
    """Store lists with their decisions, of one placement or several, in one transaction.

    Raises:
        siamrec.errors.StaleWriteError: If what one of them depends on has changed, or one of the
            same id is there already.
    """
    with ground.store.recommendations.together() as write:
        for state, lists in made:
            config = state.config
            learns = config.blend == "draft"
            rows = [
                each.stored(bandit=state.belief if learns and each.decision else None)
                for each in lists
            ]
            decisions = [each.decision for each in lists if each.decision is not None]
            expect = (config.name, state.alias, state.heads)
            write(rows, decisions, context=config.context, expect=expect)


def unwritten(made: Recommendation, error: StorageError) -> Recommendation:
    """Return a list that could not be written down, marked."""
    why = f"the log cannot be written: {error}"
    return replace(made, logged=False, fallback=made.fallback or why)
