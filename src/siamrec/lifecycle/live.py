"""A placement in use: asks the log, draws, ranks, and writes down what it served."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, final
from uuid import uuid4

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND
from siamrec._core.table import Shown, Table
from siamrec.errors import (
    InvalidParameterError,
    ModelLoadError,
    SiamrecError,
    StaleWriteError,
    StorageError,
    UnknownNameError,
)
from siamrec.expressions import Expression
from siamrec.lifecycle._making import Asked, Known, Maker
from siamrec.lifecycle._readers import reading
from siamrec.lifecycle._searching import query_of
from siamrec.lifecycle._settlement import settled
from siamrec.lifecycle._state import State
from siamrec.lifecycle._trying import begun, ended
from siamrec.lifecycle.context import session_of, told
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.lifecycle.release import Release, loaded_release

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siamrec.data import Feedback
    from siamrec.experiments import Experiment
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.storage import Heads
    from siamrec.typing import Id, Instant

_ATTEMPTS = 5
_AGAIN = 10 * SECOND
"""How long a release that could not be loaded is not tried again."""
_PORTION = 20
"""Lists that one request settles at most."""


@final
class LivePlacement(Shown):
    """A placement of a workspace; made by `Workspace.place` and `Workspace.placement`.

    Threads may share it. A newly activated release, a changed configuration and a changed
    catalogue are taken over between two requests, in every process.

    Args:
        ground: The workspace that it belongs to.
        name: Its name.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self.name = name
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._settled: Instant = 0
        self._tried: Instant = 0
        self._maker = Maker(ground, name)
        self._states: dict[str | None, State] = {}
        """What serves, by variant; under None what serves outside of every experiment."""

    @override
    def title(self) -> str:
        return f"Placement {self.name} at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return what serves now."""
        state = self._current()
        release = state.release
        facts = {
            "revision": state.heads.placement,
            "release": "nothing trained yet" if release is None else release.id[:12],
            "arms": list(state.config.arms),
            "mode": state.config.mode,
            "fallback": state.config.fallback["name"],
        }
        return Table.of(self.title(), facts)

    @property
    def config(self) -> Placement:
        """The placement as it is stored now."""
        return self._current().config

    @property
    def release(self) -> Release | None:
        """The release that serves; None before the first training."""
        return self._current().release

    def switch(self, mode: Literal["bandit", "static"]) -> Placement:
        """Turn the bandit on, or off for a draw by the static weights; return the placement.

        The draw is random in both modes and its propensities are logged, so that what the other
        mode would have done can be told from the log.
        """
        check.one_of("mode", mode, ("bandit", "static"))
        state = self._current()
        changed = state.config.switched(mode)
        self._ground.keep(changed, expect=state.heads.placement)
        self._ground.store.diary.write(self.name, "switched", {"mode": mode})
        return changed

    def test(self, experiment: Experiment, variants: Mapping[str, Mapping[str, Any]]) -> Placement:
        """Start an experiment here; return the placement with it.

        Every user gets a variant by hash, for as long as it runs. A variant whose arms, policy
        or context differ has a release and a belief of its own; its arms are trained now.

        Args:
            experiment: The experiment; its first variant shows the placement as it is.
            variants: Settings of the others by dotted path, such as
                `{"new": {"arms.text.encoder": "encoder@candidate"}}`.

        Raises:
            siamrec.errors.InvalidParameterError: If an experiment runs here already, the key was
                used before, or a variant is without settings.
            siamrec.errors.UnknownNameError: If a variant or a path is not known.
        """
        state = self._current()
        return begun(self._ground, state.config, experiment, variants, at=state.heads.placement)

    def end_test(self, *, keep: str | None = None, reason: str) -> Placement:
        """Stop the experiment and return the placement, as one of its variants if told.

        Args:
            keep: The variant that serves everybody from now on, with its release; the placement
                goes on as it was when absent.
            reason: Why; kept with the experiment.

        Raises:
            siamrec.errors.InvalidParameterError: If no experiment runs here.
            siamrec.errors.UnknownNameError: If there is no such variant.
        """
        state = self._current()
        return ended(
            self._ground, state.config, keep=keep, reason=reason, at=state.heads.placement
        )

    def recommend(
        self,
        user: Id | None = None,
        *,
        k: int | None = None,
        n_arms: int | None = None,
        diversity: float | None = None,
        query: str | None = None,
        items: Sequence[Id] = (),
        session: Mapping[str, object] | Sequence[Id] | None = None,
        about: Mapping[str, object] | None = None,
        request: str | None = None,
        exclude: Sequence[Id] = (),
        among: Sequence[Id] | None = None,
        where: str | None = None,
        confirm: Literal["on_serve", "on_seen"] | None = None,
        time: Instant | None = None,
    ) -> Recommendation:
        """Return a list for a person, stored with its decision before it is returned.

        What the person has seen (see `Placement.seen`) is left out, as the log knows it now. What
        the chosen arms leave empty is filled by the fallback, and `fallback` of the result says
        so; `filtered` says how many items were kept back, and why.

        Args:
            user: The person; None for nobody, known or not.
            k: Length of the list; the placement's when absent.
            n_arms: Arms that share the list; the placement's when absent.
            diversity: How much unlikeness counts, in [0, 1]; the placement's re-ranking when
                absent.
            query: What the person searches for: arms that answer queries rank by it alone. What
                was seen is found again, unless `Placement.seen` is set.
            items: Items on the screen, in the place of a history: what goes with them, for
                nobody or for a person who has seen some of it. Expressions read the first of
                them as `current.genre` and so on.
            session: What the application knows of this visit, such as `{"seen": 4}`; or the items
                of it, such as a basket, which arms take as the newest of the history.
            about: What is known of the person, which expressions read as `user.country` and so on.
            request: Id of the request: one that comes again gets the same list, without what was
                hidden or blocked since, and there is one decision. A new one when absent.
            exclude: Items not to show.
            among: The only items to show; all when absent.
            where: A filter beside that of the placement, such as `"language == 'en'"`.
            confirm: As in the placement.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: If a number is out of range, or the user is of
                another kind than the users of the workspace.
            siamrec.errors.UnknownNameError: If `among` has an item that nobody knows, or `where`
                reads a column that the catalogue does not have.
            siamrec.errors.MissingCapabilityError: If there is a query and no arm answers one.
            siamrec.errors.StorageError: If the log cannot be read and nothing was served before,
                or it cannot be written and the placement refuses to serve then.
        """
        visit: Sequence[Id] = ()
        if session is not None and not isinstance(session, Mapping):
            visit = self._ground.like_items("session", session)
        asked = Asked(
            user=self._ground.user(user),
            id=self._ground.list_id(self.name, uuid4().hex if request is None else request),
            k=k,
            n_arms=n_arms,
            diversity=diversity,
            query=query_of(query, {"items": items, "session": visit}),
            anchors=self._ground.like_items("items", items),
            session=session_of(session) if isinstance(session, Mapping) else None,
            visit=visit,
            about={} if about is None else told("about", check.kind("about", about, Mapping)),
            exclude=self._ground.like_items("exclude", exclude),
            where=None if where is None else Expression.read("where", where),
            among=None if among is None else self._ground.like_items("among", among),
            confirm=confirm,
            time=self._ground.now() if time is None else check.instant("time", time),
        )
        self._settle_some()
        for _ in range(_ATTEMPTS):
            try:
                state, known = self._look(asked)
            except StorageError as error:
                return self._unlogged(asked, error)
            if known is None:
                return self._again(state, asked)
            made = self._maker.made(state, asked, known)
            try:
                self._write([(state, [made])])
            except StaleWriteError:
                continue  # what it depends on has changed, or another worker was first
            except StorageError as error:
                if state.config.unlogged == "refuse":
                    raise
                why = f"the log cannot be written: {error}"
                return replace(made, logged=False, fallback=made.fallback or why)
            return made
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def recommend_many(
        self,
        users: Sequence[Id],
        *,
        k: int | None = None,
        request: str | None = None,
        confirm: Literal["on_serve", "on_seen"] = "on_seen",
        time: Instant | None = None,
    ) -> list[Recommendation]:
        """Return lists for many people, stored in one transaction; for mails and the like.

        A list counts as seen when somebody says so, with `feedback.seen` or by an event on it:
        one that nobody opens is no trial.

        Args:
            users: Different people.
            k: Length of the lists; the placement's when absent.
            request: Id of the batch; the ids of its lists are made of it and of the person.
            confirm: When a list counts as seen.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: As for `recommend`, or if a user repeats.
            siamrec.errors.StorageError: If the log cannot be read or written.
        """
        people = [self._ground.user(user) for user in check.many("users", users)]
        if not people:
            return []
        check.distinct("users", [str(user) for user in people])
        batch = uuid4().hex if request is None else check.text("request", request)
        now = self._ground.now() if time is None else check.instant("time", time)
        for _ in range(_ATTEMPTS):
            done: list[Recommendation] = []
            new: dict[str | None, tuple[State, list[Recommendation]]] = {}
            for user in people:
                id_ = self._ground.list_id(self.name, batch, user)
                asked = Asked(user=user, id=id_, k=k, confirm=confirm, time=now)
                state, known = self._look(asked)
                if known is None:
                    done.append(self._again(state, asked))
                    continue
                done.append(self._maker.made(state, asked, known))
                begun, lists = new.setdefault(state.variant, (state, []))
                lists.append(done[-1])
                if begun is not state:  # changed on the way
                    break
            try:
                if len(done) == len(people):
                    self._write(new.values())
                    return done
            except StaleWriteError:
                continue
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def _settle_some(self) -> None:
        """Settle a few lists, once a second: where no worker does it, requests do."""
        now = self._ground.now()
        if 0 <= now - self._settled < SECOND or not self._settling.acquire(blocking=False):
            return
        try:
            self._settled = now
            with suppress(SiamrecError):  # no list waits for it; `settle` says what is wrong
                state = self._states.get(None) or self._current()
                settled(self._ground, state.config, n=_PORTION)
        finally:
            self._settling.release()

    def _look(self, asked: Asked) -> tuple[State, Known | None]:
        """Return what serves this person now, and what is known; None where the list is there."""
        state = self._states.get(None) or self._current()
        log = self._ground.store.recommendations
        for _ in range(_ATTEMPTS):
            variant = state.assigned(asked.user, asked.query)
            config = state.variants.get(variant or "", state.config)
            heads, history, blocked, there = log.look(
                self.name, config.alias, user=asked.user, n=config.history, id_=asked.id
            )
            if heads.placement == state.heads.placement and (
                heads.experiments == state.heads.experiments
            ):
                state = self._state_of(heads, variant)
                if there:
                    return state, None
                return state, self._known(config, asked, history, blocked)
            state = self._current()
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def _known(
        self, config: Placement, asked: Asked, history: Feedback | None, blocked: Sequence[Id]
    ) -> Known:
        """Return what is known of a person; more is read where the newest events are not all."""
        log, past, impressions = self._ground.store.recommendations, history, []
        if asked.user is not None:
            if history is not None and len(history) >= config.history:
                past = log.past(asked.user)
            since = config.seen.since(asked.time)
            if since is not None:
                here = None if config.seen.at == "everywhere" else self.name
                impressions = log.impressions(asked.user, since, here)
        return Known(history=history, past=past, blocked=blocked, impressions=impressions)

    def _again(self, state: State, asked: Asked) -> Recommendation:
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
        blocked = () if asked.user is None else self._ground.store.blocks.of(asked.user)
        return state.still_shown(shown, blocked=blocked, now=asked.time)

    def _write(self, made: Iterable[tuple[State, Sequence[Recommendation]]]) -> None:
        log = self._ground.store.recommendations
        with log.together() as write:
            for state, lists in made:
                config = state.config
                learns = config.blend == "draft"
                rows = [
                    each.stored(bandit=state.belief if learns and each.decision else None)
                    for each in lists
                ]
                decisions = [each.decision for each in lists if each.decision is not None]
                expect = (self.name, config.alias, state.heads)
                write(rows, decisions, context=config.context, expect=expect)

    def _unlogged(self, asked: Asked, error: StorageError) -> Recommendation:
        """Serve from memory while the log cannot be read."""
        state = self._states.get(None)
        if state is None or state.config.unlogged == "refuse" or self._ground.store.closed:
            raise error
        state = self._states.get(state.assigned(asked.user, asked.query), state)
        made = self._maker.made(state, asked, Known())
        why = f"the log cannot be read: {error}"
        return replace(made, logged=False, fallback=why)

    # --- what serves ---------------------------------------------------------------------------

    def _current(self) -> State:
        """Return what serves outside of every experiment."""
        log = self._ground.store.recommendations
        return self._state_of(log.heads(self.name, f"placement:{self.name}"), None)

    def _state_of(self, heads: Heads, variant: str | None) -> State:
        """Return what serves under these heads; what has changed is loaded, once."""
        state = self._states.get(variant)
        if state is not None and self._holds(state, heads):
            return state
        with self._lock:
            state = self._states.get(variant)
            if state is None or not self._holds(state, heads):
                state = self._loaded(heads, variant, state)
                self._states[variant] = state
        return state

    def _holds(self, state: State, heads: Heads) -> bool:
        """Whether a state is what serves; one that could not be loaded is tried again at times."""
        again = state.trouble and not 0 <= self._ground.now() - self._tried < _AGAIN
        return state.heads == heads and not again

    def _loaded(self, heads: Heads, variant: str | None, old: State | None) -> State:
        config = self._ground.config(self.name)
        experiment = self._ground.experiment(config)
        if variant is not None and variant in config.variants:
            config = config.of_variant(variant, config.variants[variant])
        release, trouble = None, ""
        if heads.release is not None:
            held = (each.release for each in self._states.values())
            release = next((each for each in held if each and each.id == heads.release), None)
            try:
                registry = self._ground.registry
                release = release or reading(loaded_release(heads.release, registry), registry)
            except (ModelLoadError, UnknownNameError) as error:
                trouble = f"the release cannot be loaded: {error}"
                self._tried = self._ground.now()
        if old is not None and old.heads.catalog == heads.catalog:
            catalog, removed = old.catalog, old.removed
        else:
            catalog = self._ground.store.catalog.read()
            removed = self._ground.store.catalog.removed()
        same = old is not None and old.heads.catalog == heads.catalog and old.release is release
        return State.of(
            heads,
            config=config,
            release=release,
            catalog=catalog,
            removed=removed,
            trouble=trouble,
            experiment=experiment,
            variant=variant,
            clock=self._ground.clock,
            shelf=old.shelf if old is not None and same else None,
        )
